"""Tracking codes: how they are made, and that Stripe has each exactly once."""

from unittest.mock import patch

import psycopg2

from odoo.exceptions import UserError, ValidationError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..lib import stripe_client
from .common import StripeCase


class CodesCase(StripeCase):
    def approve(self, program, name="Drona Rao", **values):
        """An approved affiliate whose code is not in Stripe yet."""
        count = self.env["affiliate.affiliate"].search_count([])
        partner = self.env["res.partner"].create(
            {"name": name, "email": f"affiliate{count}@partners.example"}
        )
        affiliate = self.env["affiliate.affiliate"].create(
            {"partner_id": partner.id, "program_id": program.id, **values}
        )
        affiliate.action_approve()
        return affiliate

    def push(self, affiliate):
        self.env.invalidate_all()
        affiliate.code_ids.action_push()
        return affiliate.code_ids

    def promotions(self, **where):
        return self.double.all("promotion_code", **where)

    def push_unreachable(self, affiliate):
        with patch.object(stripe_client, "NETWORK_RETRIES", 0):
            return self.push(affiliate)

    def look_at_foreign(self, code):
        """The dialog in which a person sees whose the promotion code is."""
        action = code.action_adopt()
        return self.env[action["res_model"]].browse(action["res_id"])

    def run_cron(self):
        self.env.flush_all()
        self.env.ref("affiliate_stripe.ir_cron_codes").method_direct_trigger()
        self.env.invalidate_all()


@tagged("post_install", "-at_install")
class TestCodeNames(CodesCase):
    def test_by_the_pattern_and_counted(self):
        program = self.make_program()
        for name, code in (
            ("Drona Rao", "DRONA29"),
            ("Đỗ Thị Mai", "DO30"),
            ("李小龍", "AFF31"),
            ("O'Brien Pat", "OBRIEN32"),
            ("🎉", "AFF33"),
            ("Drona Second", "DRONA34"),
        ):
            self.assertEqual(self.approve(program, name).code, code)

    def test_another_pattern(self):
        program = self.make_program(code_pattern="SAVE-{fullname}")
        self.assertEqual(self.approve(program).code, "SAVE-DRONARAO29")
        for pattern in ("X" * 50 + "{number}", "?!", "李"):
            with (
                self.subTest(pattern),
                self.assertRaisesRegex(ValidationError, "no usable code"),
            ):
                program.code_pattern = pattern

    def test_a_wish_is_granted_where_it_is_free(self):
        program = self.make_program()
        wishes = [
            self.approve(program, wished_code=wish).code
            for wish in ("best deal!", "BESTDEAL", "bestdeal", "x", "", "Ünï-Code")
        ]
        self.assertEqual(wishes[0], "BESTDEAL")
        self.assertEqual(wishes[1:5], ["DRONA30", "DRONA31", "DRONA32", "DRONA33"])
        self.assertEqual(wishes[5], "UNI-CODE")

    def test_a_code_somebody_made_in_stripe_is_not_proposed(self):
        self.shop.code("drona29")
        self.deliver()
        self.assertEqual(self.approve(self.make_program()).code, "DRONA30")

    def test_unique_without_case_in_a_stripe_account(self):
        program, second = self.make_program(), self.make_program()
        drona = self.approve(program)
        other = self.approve(second, "Uma Iyer")
        self.assertEqual(drona.code, "DRONA29")
        with (
            self.assertRaises(psycopg2.errors.UniqueViolation),
            mute_logger("odoo.sql_db"),
            self.env.cr.savepoint(),
        ):
            self.env["affiliate.code"].create(
                {"code": " drona29 ", "affiliate_id": other.id}
            )

    def test_a_typed_code_is_checked(self):
        drona = self.approve(self.make_program())
        make = self.env["affiliate.code"].create
        for bad in ("AB", "X" * 41, "", "!!!", "李"):
            with self.subTest(bad), self.assertRaisesRegex(ValidationError, "3 to 40"):
                make({"code": bad, "affiliate_id": drona.id})
        self.assertEqual(
            make({"code": "sum mer_26", "affiliate_id": drona.id}).code, "SUMMER26"
        )

    def test_the_link_keeps_what_the_address_has(self):
        program = self.make_program(
            signup_url="https://acme.example/p?via=old&utm=x#top"
        )
        self.assertEqual(
            self.approve(program).link, "https://acme.example/p?utm=x&via=DRONA29#top"
        )


@tagged("post_install", "-at_install")
class TestCodesInStripe(CodesCase):
    def test_one_coupon_a_programme_and_one_promotion_code_a_code(self):
        program = self.make_program(
            discount=20, discount_duration="repeating", discount_months=6
        )
        drona, uma = self.approve(program), self.approve(program, "Uma Iyer")
        self.assertEqual(drona.code_ids.state, "draft")
        self.run_cron()
        self.assertEqual((drona | uma).code_ids.mapped("state"), ["synced"] * 2)
        (coupon,) = self.double.all("coupon")
        self.assertEqual(
            (coupon["percent_off"], coupon["duration"], coupon["duration_in_months"]),
            (20, "repeating", 6),
        )
        self.assertEqual(program.coupon_id.stripe_id, coupon["id"])
        made = {promo["code"]: promo for promo in self.promotions()}
        self.assertEqual(set(made), {"DRONA29", "UMA30"})
        for promo in made.values():
            self.assertTrue(promo["active"])
            self.assertEqual(promo["promotion"]["coupon"], coupon["id"])
            self.assertTrue(promo["restrictions"]["first_time_transaction"])
        self.assertEqual(self.promotion(drona), made["DRONA29"]["id"])

    def test_a_fixed_discount_in_the_currency_of_the_programme(self):
        for currency, value, minor in (
            ("base.USD", 12.5, 1250),
            ("base.JPY", 1500, 1500),
            ("base.KWD", 1.234, 1234),
        ):
            self.env.ref(currency).active = True
            program = self.make_program(
                discount_type="amount",
                discount_value=value,
                currency_id=self.env.ref(currency).id,
            )
            self.push(self.approve(program))
            coupon = self.double.get("coupon", program.coupon_id.stripe_id)
            self.assertEqual(
                (coupon["amount_off"], coupon["currency"]),
                (minor, program.currency_id.name.lower()),
            )

    def test_a_percentage_with_decimals(self):
        program = self.make_program(discount=12.5)
        self.push(self.approve(program))
        self.assertEqual(self.double.all("coupon")[0]["percent_off"], 12.5)

    def test_also_for_customers_of_old_where_the_programme_says_so(self):
        program = self.make_program(discount=10, first_time_only=False)
        self.push(self.approve(program))
        limits = self.promotions()[0]["restrictions"]
        self.assertFalse(limits["first_time_transaction"])

    def test_without_a_discount_the_code_is_a_link(self):
        program = self.make_program()
        drona = self.approve(program)
        self.run_cron()
        self.assertEqual(drona.code_ids.state, "synced")
        self.assertTrue(drona.code_ids.link_only)
        self.assertEqual(drona.link, "https://acme.example/pricing?via=DRONA29")
        self.assertEqual(self.promotions(), [])
        self.assertEqual(self.double.all("coupon"), [])

    def test_a_discount_makes_sense(self):
        for values in (
            {"discount": -1},
            {"discount": 101},
            {"discount_type": "percent"},
            {"discount_type": "amount", "discount_value": -5},
            {"discount": 10, "discount_duration": "repeating", "discount_months": 0},
        ):
            with self.subTest(values), self.assertRaises(ValidationError):
                self.make_program(**values)

    # --- once, whatever happens -------------------------------------------------------

    def test_a_crash_after_the_coupon_makes_no_second_one(self):
        drona = self.approve(self.make_program(discount=10))
        self.double.disturb("lost", "POST /v1/coupons", times=1)
        code = self.push_unreachable(drona)
        self.assertEqual(code.state, "draft", "tried again by itself")
        self.assertTrue(code.sync_error)
        self.assertEqual(len(self.double.all("coupon")), 1)
        self.run_cron()
        self.assertEqual((code.state, code.sync_error), ("synced", False))
        self.assertEqual(len(self.double.all("coupon")), 1)
        self.assertEqual(len(self.promotions()), 1)

    def test_a_crash_after_the_promotion_code_makes_no_second_one(self):
        drona = self.approve(self.make_program(discount=10))
        self.double.disturb("lost", "POST /v1/promotion_codes", times=1)
        code = self.push_unreachable(drona)
        self.assertEqual((code.state, code.promotion_code_ids.ids), ("draft", []))
        self.assertEqual(len(self.promotions()), 1)
        self.run_cron()
        self.assertEqual(code.state, "synced")
        self.assertEqual(len(self.promotions()), 1)
        self.assertEqual(self.promotion(drona), self.promotions()[0]["id"])

    def test_an_answer_that_never_came_is_asked_for_again_at_once(self):
        drona = self.approve(self.make_program(discount=10))
        self.double.disturb("lost", "POST /v1/(coupons|promotion_codes)", times=2)
        self.assertEqual(self.push(drona).state, "synced")
        self.assertEqual(len(self.double.all("coupon")), 1)
        self.assertEqual(len(self.promotions()), 1)

    def test_a_rollback_after_stripe_has_it_makes_no_second_one(self):
        drona = self.approve(self.make_program(discount=10))
        self.env.flush_all()
        with self.assertRaises(ZeroDivisionError), self.env.cr.savepoint():
            self.push(drona)
            raise ZeroDivisionError
        self.env.invalidate_all()
        self.assertEqual(drona.code_ids.state, "draft")
        self.push(drona)
        self.assertEqual(len(self.double.all("coupon")), 1)
        self.assertEqual(len(self.promotions()), 1)

    def test_repeated_jobs_change_nothing(self):
        drona = self.approve(self.make_program(discount=10))
        self.run_cron()
        self.run_cron()
        for _time in range(2):
            drona.code_ids.sudo().state = "draft"
            self.push(drona)
        self.assertEqual(len(self.double.all("coupon")), 1)
        self.assertEqual(len(self.promotions()), 1)
        self.assertEqual(len(drona.code_ids.promotion_code_ids), 1)

    def test_our_own_echo_makes_nothing_new(self):
        drona = self.approve(self.make_program(discount=10))
        self.push(drona)
        self.deliver()
        mirrored = self.env["affiliate.stripe.promotion.code"].search([])
        self.assertEqual(mirrored, drona.code_ids.promotion_code_ids)
        self.assertEqual(len(self.promotions()), 1)

    def test_the_cron_pushes_only_what_waits(self):
        program = self.make_program(discount=10)
        drona = self.approve(program)
        pending = self.approve(program, "Uma Iyer")
        pending.sudo().state = "suspended"
        self.run_cron()
        self.assertEqual(drona.code_ids.state, "synced")
        self.assertEqual([promo["code"] for promo in self.promotions()], ["DRONA29"])

    # --- somebody else's --------------------------------------------------------------

    def test_the_same_code_by_hand_is_an_error_with_ways_out(self):
        made = self.shop.code("drona29")  # not mirrored yet, and without case
        drona = self.approve(self.make_program(discount=10))
        code = self.push(drona)
        self.assertEqual(code.state, "error")
        self.assertNotIn(made["id"], code.sync_error)
        self.assertIn("Look at it and use it", code.sync_error)
        self.assertEqual(code.foreign_promotion_id, made["id"])
        self.assertEqual(len(self.promotions()), 1)

    def test_way_out_one_adopt_it(self):
        made = self.shop.code("DRONA29", metadata={"shop": "old"})
        drona = self.approve(self.make_program(discount=10))
        code = self.push(drona)
        wizard = self.look_at_foreign(code)
        self.assertEqual(wizard.made_for, "Nobody: it was made in Stripe itself")
        self.assertEqual(wizard.discount, "20 % off every payment")
        self.assertEqual(wizard.times_redeemed, 0)
        self.assertFalse(wizard.is_lost)
        self.assertEqual(self.promotions()[0]["metadata"], {"shop": "old"})
        wizard.action_adopt()
        self.assertEqual((code.state, code.sync_error), ("synced", False))
        self.assertEqual(self.promotion(drona), made["id"])
        self.assertEqual(self.promotions()[0]["metadata"]["shop"], "old")
        self.push(drona)
        self.assertEqual(len(self.promotions(active=True)), 1)
        self.shop.subscribe(
            "buyer@example.com",
            self.shop.price(10000),
            discounts=[{"promotion_code": self.promotion(drona)}],
        )
        self.deliver()
        self.assertEqual(self.rows().affiliate_id, drona)

    def test_way_out_two_another_code(self):
        made = self.shop.code("DRONA29")
        drona = self.approve(self.make_program(discount=10), wished_code="DRONA29")
        self.push(drona).action_propose_other()
        self.run_cron()
        self.assertEqual(drona.code_ids.mapped("state"), ["synced"])
        self.assertNotEqual(drona.code, "DRONA29")
        self.assertTrue(self.double.get("promotion_code", made["id"])["active"])
        self.assertEqual(
            self.double.get("promotion_code", self.promotion(drona))["code"], drona.code
        )

    def test_a_foreign_code_that_is_inactive_is_no_obstacle(self):
        old = self.shop.code("DRONA29")
        self.shop.post(f"promotion_codes/{old['id']}", active=False)
        drona = self.approve(self.make_program(discount=10))
        self.assertEqual(self.push(drona).state, "synced")
        self.assertNotEqual(self.promotion(drona), old["id"])

    # --- suspending -------------------------------------------------------------------

    def test_suspending_deactivates_and_reactivating_works_again(self):
        drona = self.approve(self.make_program(discount=10))
        self.push(drona)
        promotion = self.promotion(drona)
        drona.action_suspend()
        self.assertFalse(self.double.get("promotion_code", promotion)["active"])
        self.assertEqual(drona.code_ids.state, "inactive")
        drona.action_reactivate()
        self.run_cron()
        self.assertEqual(drona.code_ids.state, "synced")
        self.assertTrue(self.double.get("promotion_code", promotion)["active"])
        self.assertEqual(len(self.promotions()), 1)
        self.shop.buy(self.shop.price(1000), "x@example.com", code="DRONA29")

    def test_suspending_while_stripe_is_away_is_made_good_later(self):
        drona = self.approve(self.make_program(discount=10))
        self.push(drona)
        promotion = self.promotion(drona)
        self.double.disturb("status", "POST /v1/promotion_codes", times=9, status=500)
        with patch.object(stripe_client, "NETWORK_RETRIES", 0):
            drona.action_suspend()
        self.assertEqual(drona.state, "suspended")
        self.assertTrue(drona.code_ids.sync_error)
        self.assertTrue(self.double.get("promotion_code", promotion)["active"])
        self.double.calm()
        self.run_cron()
        self.assertFalse(self.double.get("promotion_code", promotion)["active"])
        self.assertEqual(drona.code_ids.state, "inactive")

    def test_suspended_while_another_discount_waits(self):
        """The promotion code of the old discount is switched off, too."""
        program = self.make_program(discount=10)
        drona = self.approve(program)
        self.push(drona)
        promotion = self.promotion(drona)
        program.discount_value = 20
        self.assertEqual(drona.code_ids.state, "draft")
        self.double.disturb("status", "POST /v1/promotion_codes", times=9, status=500)
        with patch.object(stripe_client, "NETWORK_RETRIES", 0):
            drona.action_suspend()
        self.assertTrue(self.double.get("promotion_code", promotion)["active"])
        self.double.calm()
        self.run_cron()
        self.assertFalse(self.double.get("promotion_code", promotion)["active"])
        self.assertEqual(drona.code_ids.state, "inactive")

    def test_a_foreign_code_taken_meanwhile_stops_a_reactivation(self):
        drona = self.approve(self.make_program(discount=10))
        self.push(drona)
        drona.action_suspend()
        self.shop.code("DRONA29")
        drona.action_reactivate()
        self.assertEqual(self.push(drona).state, "error")
        self.assertTrue(drona.code_ids.foreign_promotion_id)

    # --- another discount -------------------------------------------------------------

    def test_another_discount_makes_another_coupon_and_promotion_code(self):
        program = self.make_program(discount=10, first_time_only=False)
        drona = self.approve(program)
        self.push(drona)
        old = self.promotion(drona)
        price = self.shop.price(10000)
        # Bought with the old one, but we hear of it only after the change.
        self.shop.buy(price, "old@example.com", code="DRONA29")
        program.discount_value = 20
        self.assertEqual(drona.code_ids.state, "draft")
        self.run_cron()
        new = self.promotion(drona)
        self.assertNotEqual(new, old)
        self.assertFalse(self.double.get("promotion_code", old)["active"])
        self.assertEqual(self.double.get("promotion_code", new)["code"], "DRONA29")
        self.assertEqual(len(self.double.all("coupon")), 2)
        self.assertEqual(
            len(drona.code_ids.promotion_code_ids.with_context(active_test=False)), 2
        )
        self.shop.buy(price, "new@example.com", code="DRONA29")
        self.deliver()
        self.assertEqual(sorted(self.amounts()), [24.00, 27.00])
        self.assertEqual(self.rows().affiliate_id, drona)

    def test_the_discount_of_old_comes_back(self):
        program = self.make_program(discount=10)
        drona = self.approve(program)
        self.push(drona)
        first = self.promotion(drona)
        for value in (20, 10):
            program.discount_value = value
            self.run_cron()
        self.assertEqual(self.promotion(drona), first)
        self.assertEqual(len(self.double.all("coupon")), 2)
        self.assertEqual(len(self.promotions()), 2)
        self.assertEqual(len(self.promotions(active=True)), 1)

    def test_another_restriction_makes_another_promotion_code(self):
        program = self.make_program(discount=10)
        drona = self.approve(program)
        self.push(drona)
        program.first_time_only = False
        self.run_cron()
        (promo,) = self.promotions(active=True)
        self.assertFalse(promo["restrictions"]["first_time_transaction"])
        self.assertEqual(promo["code"], "DRONA29")

    def test_taking_the_discount_away_deactivates(self):
        program = self.make_program(discount=10)
        drona = self.approve(program)
        self.push(drona)
        program.discount_type = "none"
        self.run_cron()
        self.assertEqual(self.promotions(active=True), [])
        self.assertEqual(drona.code_ids.state, "synced")
        self.assertTrue(drona.code_ids.link_only)

    def test_a_coupon_deleted_in_stripe_is_made_again(self):
        program = self.make_program(discount=10)
        drona = self.approve(program)
        self.push(drona)
        self.shop.delete(f"coupons/{program.coupon_id.stripe_id}")
        self.deliver()
        uma = self.approve(program, "Uma Iyer")
        code = self.push(uma)
        self.assertEqual((code.state, code.sync_error), ("synced", False))
        self.assertTrue(
            self.double.get("promotion_code", self.promotion(uma))["active"]
        )

    # --- several codes ----------------------------------------------------------------

    def test_a_code_in_use_is_kept(self):
        drona = self.approve(self.make_program(discount=10))
        code = self.push(drona)
        with self.assertRaisesRegex(UserError, "in use"):
            code.code = "OTHER"
        with self.assertRaisesRegex(UserError, "Deactivate it instead"):
            code.unlink()
        second = self.env["affiliate.code"].create(
            {"code": "SECOND", "affiliate_id": drona.id}
        )
        second.action_push()
        for text in ("DRONA29", "SECOND"):
            self.shop.buy(self.shop.price(10000), f"{text}@example.com", code=text)
        self.deliver()
        self.assertEqual(self.amounts(affiliate_id=drona.id), [27.00, 27.00])
        self.assertEqual(
            set(self.rows().referral_id.mapped("code_id.code")), {"DRONA29", "SECOND"}
        )

    # --- problems ---------------------------------------------------------------------

    def test_a_missing_permission_is_told(self):
        drona = self.approve(self.make_program(discount=10))
        reads = [f"{name}_read" for name in ("coupon", "promotion_code", "account")]
        self.double.add_key("sk_test_double", permissions=reads)
        code = self.push(drona)
        self.assertEqual(code.state, "error")
        self.assertIn("coupon_write", code.sync_error)
        self.double.add_key("sk_test_double")
        code.action_push()
        self.assertEqual(code.state, "synced")

    def test_a_rejected_affiliate_gets_no_code(self):
        program = self.make_program(discount=10)
        partner = self.env["res.partner"].create(
            {"name": "No", "email": "no@partners.example"}
        )
        affiliate = self.env["affiliate.affiliate"].create(
            {"partner_id": partner.id, "program_id": program.id}
        )
        affiliate.action_reject()
        self.run_cron()
        self.assertFalse(affiliate.code_ids)
        self.assertEqual(self.promotions(), [])
        affiliate.action_approve()
        self.run_cron()
        self.assertEqual(affiliate.code_ids.state, "synced")
