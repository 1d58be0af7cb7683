"""Codes follow Stripe: what its checkout refuses is never active here."""

import time

from odoo.tests import tagged

from ..lib import stripe_promotions
from ..lib.visits import Reference
from .common import moment
from .test_codes import CodesCase

DAY = 86400


@tagged("post_install", "-at_install")
class TestCodesFollowStripe(CodesCase):
    def setUp(self):
        super().setUp()
        self.program = self.make_program(discount=10)
        self.drona = self.approve(self.program)
        self.code = self.push(self.drona)
        self.deliver()
        self.assertEqual(self.code.state, "synced")

    def switch(self, active):
        self.shop.post(f"promotion_codes/{self.newest()['id']}", active=active)

    def newest(self):
        return self.promotions()[-1]

    def offer(self):
        return self.program._offer(self.program.id, Reference("DRONA29", ""))["offer"]

    def told(self):
        activities = self.drona.activity_ids | self.program.activity_ids
        return activities.filtered(lambda a: "off in Stripe" in a.summary)

    def assert_off(self, text):
        self.env.invalidate_all()
        self.assertEqual(self.code.state, "error")
        self.assertRegex(self.code.sync_error, text)
        self.assertRegex(self.code.sync_error, "Try again|work again")
        self.assertIn("DRONA29", self.told().note)
        self.assertEqual(self.offer(), "")

    def assert_on(self):
        self.env.invalidate_all()
        self.assertEqual((self.code.state, self.code.sync_error), ("synced", False))
        self.assertFalse(self.told())
        self.assertEqual(self.offer(), "10 % off the first payment")
        self.assertTrue(self.newest()["active"])
        self.shop.buy(self.shop.price(1000), "new@example.com", code="DRONA29")

    def test_switched_off_in_stripe_and_one_button_switches_it_on(self):
        self.assertEqual(self.offer(), "10 % off the first payment")
        self.switch(False)
        self.deliver()
        self.assert_off("switched off in Stripe")
        self.code.action_push()
        self.assert_on()
        self.assertEqual(len(self.promotions()), 1)

    def test_switched_on_again_in_stripe(self):
        self.switch(False)
        self.deliver()
        self.switch(True)
        self.deliver()
        self.assert_on()

    def test_its_coupon_deleted(self):
        self.shop.delete(f"coupons/{self.program.coupon_id.stripe_id}")
        self.deliver()
        self.assert_off("deleted in Stripe")
        self.code.action_push()
        self.assert_on()

    def test_its_coupon_deleted_and_nothing_said_of_the_code(self):
        self.shop.delete(f"coupons/{self.program.coupon_id.stripe_id}")
        coupons, codes = [], []
        for delivery in self.double.deliveries():
            kind = coupons if "coupon.deleted" in str(delivery.request()[2]) else codes
            kind.append(delivery)
        self.assertTrue(coupons)
        self.deliver(coupons)
        self.assert_off("deleted in Stripe")

    def test_used_up(self):
        promotion = self.newest()["id"]
        self.double.alter(
            "promotion_code",
            promotion,
            ["promotion_code.updated"],
            active=False,
            max_redemptions=5,
            times_redeemed=5,
        )
        self.deliver()
        self.assert_off("as often as Stripe allows")
        self.code.action_push()
        self.assert_on()
        self.assertNotEqual(self.newest()["id"], promotion, "Stripe refuses that one")

    def test_expired_of_which_no_event_tells(self):
        ends = int(time.time()) + 1
        self.double.alter(
            "promotion_code",
            self.newest()["id"],
            ["promotion_code.updated"],
            expires_at=ends,
        )
        self.deliver()
        self.assertEqual(self.code.state, "synced")
        time.sleep(max(0, ends + 0.1 - time.time()))
        self.assertEqual(self.offer(), "", "at once")
        self.run_cron()
        self.assert_off("expired in Stripe")

    def test_what_we_switched_off_stays_off(self):
        self.code.action_deactivate()
        self.deliver()
        self.assertEqual((self.code.state, self.code.sync_error), ("inactive", False))
        self.assertFalse(self.told())
        self.switch(True)
        self.deliver()
        self.run_cron()
        self.assertEqual(self.code.state, "inactive")

    def test_what_is_off_can_be_switched_off_here(self):
        self.switch(False)
        self.deliver()
        self.assertTrue(self.told())
        self.code.action_deactivate()
        self.assertEqual((self.code.state, self.code.sync_error), ("inactive", False))
        self.assertFalse(self.told(), "nothing is left to do")

    def test_codes_for_links_follow_nothing(self):
        self.program.discount_type = "none"
        self.run_cron()
        self.deliver()
        self.run_cron()
        self.assertEqual(self.promotions(active=True), [])
        self.assertEqual((self.code.state, self.code.sync_error), ("synced", False))

    def test_another_discount_is_no_news(self):
        self.program.discount_value = 20
        self.run_cron()
        self.deliver()
        self.run_cron()
        self.assertEqual((self.code.state, self.code.sync_error), ("synced", False))
        self.assertFalse(self.told())

    # --- what no event tells ---------------------------------------------------------

    def deliver_sales_only(self):
        """Of a sale, Stripe need not tell that a promotion code was used."""
        for delivery in self.double.deliveries():
            body = str(delivery.request()[2])
            if '"promotion_code.' in body or '"coupon.' in body:
                delivery.drop()
        self.deliver()

    def test_a_sale_uses_it_up(self):
        self.double.alter(
            "promotion_code",
            self.newest()["id"],
            ["promotion_code.updated"],
            max_redemptions=2,
        )
        self.deliver()
        for number in range(2):
            self.assertEqual(self.offer(), "10 % off the first payment")
            self.shop.buy(
                self.shop.price(1000), f"jane{number}@example.com", code="DRONA29"
            )
            self.deliver_sales_only()
        self.assert_off("as often as Stripe allows")
        self.code.action_push()
        self.assert_on()

    def test_a_sale_uses_its_coupon_up(self):
        coupon = self.newest()["promotion"]["coupon"]
        self.double.alter("coupon", coupon, ["coupon.updated"], max_redemptions=1)
        self.deliver()
        self.shop.buy(self.shop.price(1000), "jane@example.com", code="DRONA29")
        self.deliver_sales_only()
        self.assert_off("no longer valid")

    def test_an_unlimited_code_is_not_read_with_each_sale(self):
        self.shop.buy(self.shop.price(1000), "jane@example.com", code="DRONA29")
        before = len(self.double.request_log())
        self.deliver_sales_only()
        asked = [entry["path"] for entry in self.double.request_log()[before:]]
        self.assertTrue(asked)
        self.assertFalse([path for path in asked if "/promotion_codes" in path])

    def test_its_coupon_is_known_with_it(self):
        """A promotion code that is met first, over a coupon that has an end."""
        coupon = self.shop.coupon(5)
        promotion = self.shop.code("OTHER", coupon=coupon["id"])
        for delivery in self.double.deliveries():
            if '"coupon.' in str(delivery.request()[2]):
                delivery.drop()
        self.deliver()
        mirrored = self.env["affiliate.stripe.promotion.code"].search(
            [("stripe_id", "=", promotion["id"])]
        )
        self.assertEqual(mirrored.coupon_id.stripe_id, coupon["id"])

    def test_the_moment_at_which_it_expires_is_waited_for(self):
        cron = self.env.ref("affiliate_stripe.ir_cron_codes").sudo()
        triggers = self.env["ir.cron.trigger"].sudo()
        ends = int(time.time()) + 5 * DAY
        for _time in range(2):
            self.double.alter(
                "promotion_code",
                self.newest()["id"],
                ["promotion_code.updated"],
                expires_at=ends,
            )
            self.deliver()
        found = triggers.search([("cron_id", "=", cron.id)]).mapped("call_at")
        self.assertEqual(found.count(moment(ends)), 1)

    def test_a_coupon_of_whose_end_we_have_not_heard(self):
        self.shop.delete(f"coupons/{self.program.coupon_id.stripe_id}")
        for delivery in self.double.deliveries():
            delivery.drop()
        uma = self.approve(self.program, "Uma Iyer")
        self.push(uma)
        self.assertEqual(
            (uma.code_ids.state, uma.code_ids.sync_error), ("synced", False)
        )
        self.shop.buy(self.shop.price(1000), "new@example.com", code=uma.code)

    # --- one message, one button -----------------------------------------------------

    def test_the_coupon_of_all_is_one_message_and_one_button(self):
        uma = self.approve(self.program, "Uma Iyer")
        self.push(uma)
        self.deliver()
        self.shop.delete(f"coupons/{self.program.coupon_id.stripe_id}")
        self.deliver()
        codes = (self.drona | uma).code_ids
        self.assertEqual(codes.mapped("state"), ["error", "error"])
        self.assertFalse((self.drona | uma).activity_ids)
        told = (self.drona | uma).message_ids.mapped("body")
        self.assertNotIn("off in Stripe", "".join(told), "not even for a moment")
        told = self.program.activity_ids
        self.assertEqual(len(told), 1)
        self.assertIn("DRONA29", told.note)
        self.assertIn(uma.code, told.note)
        self.assertEqual(self.program.codes_off_count, 2)
        self.program.action_renew_codes()
        self.run_cron()
        self.assertEqual(codes.mapped("state"), ["synced", "synced"])
        self.assertFalse(self.program.activity_ids)
        self.assertEqual(len(self.promotions(active=True)), 2)
        self.assert_on()

    def test_all_that_customers_can_use_is_switched_off_before_leaving(self):
        """Also a code that waits for another discount: the old one works meanwhile."""
        self.program.discount_value = 20
        self.assertEqual(self.code.state, "draft")
        self.account.action_deactivate_codes()
        self.assertEqual(self.promotions(active=True), [])
        self.assertEqual(self.code.state, "inactive")

    # --- our transaction was rolled back after Stripe had done it --------------------

    def rolled_back(self, act):
        self.env.flush_all()
        with self.assertRaises(ZeroDivisionError), self.env.cr.savepoint():
            act()
            raise ZeroDivisionError
        self.env.invalidate_all()

    def test_a_rollback_after_switching_off(self):
        self.rolled_back(self.code.action_deactivate)
        self.assertEqual(self.code.state, "synced")
        self.deliver()
        self.assert_off("switched off in Stripe")

    def test_a_rollback_after_making_it_loses_no_payment(self):
        uma = self.approve(self.program, "Uma Iyer")
        self.rolled_back(uma.code_ids.action_push)
        self.assertFalse(uma.code_ids.promotion_code_ids)
        self.shop.buy(self.shop.price(10000), "jane@example.com", code=uma.code)
        self.deliver()
        self.assertEqual(self.rows().affiliate_id, uma)
        self.run_cron()
        self.assertEqual(uma.code_ids.state, "synced")
        self.assertEqual(len(self.promotions(code=uma.code)), 1)

    def test_a_rollback_after_another_proposal_leaves_nothing_in_stripe(self):
        self.shop.code("WISH")
        uma = self.approve(self.program, "Uma Iyer", wished_code="WISH")
        self.push(uma)
        before = len(self.promotions())
        self.rolled_back(uma.code_ids.action_propose_other)
        self.assertEqual(len(self.promotions()), before)
        uma.code_ids.action_propose_other()
        self.run_cron()
        self.assertEqual(uma.code_ids.mapped("state"), ["synced"])

    # --- the rule ---------------------------------------------------------------------

    def test_why_not(self):
        now = 1000
        on = {"active": True}
        for promotion, coupon, why in (
            (on, None, None),
            (on, {"valid": True}, None),
            (on, {"valid": True, "redeem_by": 1001}, None),
            (on, {"valid": True, "redeem_by": 1000}, stripe_promotions.COUPON),
            (on, {"valid": False}, stripe_promotions.COUPON),
            ({"active": False}, {"valid": True}, stripe_promotions.SWITCHED_OFF),
            ({}, {"valid": True}, stripe_promotions.SWITCHED_OFF),
            ({**on, "expires_at": 1000}, None, stripe_promotions.EXPIRED),
            ({**on, "expires_at": 1001}, None, None),
            (
                {**on, "max_redemptions": 2, "times_redeemed": 2},
                None,
                stripe_promotions.USED_UP,
            ),
            ({**on, "max_redemptions": 2, "times_redeemed": 1}, None, None),
        ):
            with self.subTest(promotion=promotion, coupon=coupon):
                self.assertEqual(stripe_promotions.why_off(promotion, coupon, now), why)
