"""A promotion code that was taken over from Stripe keeps what it gives."""

import importlib.util
import time
from pathlib import Path

from odoo.tests import tagged

from ..lib.stripe_promotions import Terms, same_discount
from ..lib.visits import Reference
from .test_codes import CodesCase


def migration(name):
    """A script of an upgrade, which is no module of a package."""
    folder = Path(__file__).parents[1] / "migrations" / "19.0.1.0.2"
    spec = importlib.util.spec_from_file_location("migration", folder / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@tagged("post_install", "-at_install")
class TestAdoptedCodesKeepTheirTerms(CodesCase):
    """SUMMER50 gives 50 %, in a program that gives 10 %."""

    def adopted(self, program=None, coupon=None, **promotion):
        self.program = program or self.make_program(discount=10)
        self.coupon = self.shop.post(
            "coupons", **(coupon or {"percent_off": 50, "duration": "forever"})
        )
        self.foreign = self.shop.post(
            "promotion_codes",
            code="SUMMER50",
            promotion={"type": "coupon", "coupon": self.coupon["id"]},
            **promotion,
        )
        self.drona = self.approve(self.program, wished_code="SUMMER50")
        code = self.push(self.drona)
        self.assertEqual(code.state, "error")
        self.look_at_foreign(code).action_adopt()
        self.assertEqual(code.state, "synced")
        return code

    def now(self):
        """The one promotion code that customers can use, with its coupon."""
        (promotion,) = self.promotions(active=True, code="SUMMER50")
        return promotion, self.double.get("coupon", promotion["promotion"]["coupon"])

    def assert_kept(self, code):
        self.env.invalidate_all()
        self.assertEqual((code.state, code.sync_error), ("synced", False))
        promotion, coupon = self.now()
        self.assertEqual(promotion["id"], self.foreign["id"])
        self.assertEqual(coupon["id"], self.coupon["id"])

    def offer(self):
        self.env.invalidate_all()
        reference = Reference("SUMMER50", "")
        return self.program._offer(self.program.id, reference)["offer"]

    def test_suspended_and_reactivated(self):
        code = self.adopted()
        self.drona.action_suspend()
        self.assertEqual(self.promotions(active=True, code="SUMMER50"), [])
        self.drona.action_reactivate()
        self.run_cron()
        self.assert_kept(code)
        self.assertEqual(len(self.promotions(code="SUMMER50")), 1)
        self.shop.buy(self.shop.price(10000), "jane@example.com", code="SUMMER50")
        self.deliver()
        self.assertEqual(self.amounts(), [15.00], "30 % of what is left: 50.00")

    def test_deactivated_and_activated(self):
        code = self.adopted()
        code.action_deactivate()
        code.action_activate()
        self.assert_kept(code)

    def test_repeated_pushes(self):
        code = self.adopted()
        for _time in range(2):
            code.sudo().state = "draft"
            self.push(self.drona)
            self.assert_kept(code)

    def test_another_discount_of_the_program(self):
        code = self.adopted()
        self.program.discount_value = 20
        self.run_cron()
        self.assert_kept(code)
        self.program.first_time_only = False
        self.run_cron()
        self.assert_kept(code)
        own = self.approve(self.program, "Uma Iyer")
        self.run_cron()
        self.assertEqual(
            self.double.get("coupon", self.program.coupon_id.stripe_id)["percent_off"],
            20,
        )
        self.assertEqual(own.code_ids.state, "synced")

    def test_no_discount_in_the_program_any_more(self):
        code = self.adopted()
        self.program.discount_type = "none"
        self.run_cron()
        self.assert_kept(code)
        self.assertFalse(code.link_only)
        self.drona.action_suspend()
        self.drona.action_reactivate()
        self.run_cron()
        self.assert_kept(code)

    def test_codes_taken_over_before_an_upgrade(self):
        code = self.adopted()
        own = self.approve(self.program, "Uma Iyer")
        self.push(own)
        code.sudo().adopted_id = False
        self.env.flush_all()
        migration("post-adopted").migrate(self.env.cr, "19.0.1.0.0")
        self.env.invalidate_all()
        self.assertEqual(code.adopted_id.stripe_id, self.foreign["id"])
        self.assertFalse(own.code_ids.adopted_id)

    def test_the_offer_is_what_the_code_gives(self):
        code = self.adopted()
        self.assertEqual(self.offer(), "50 % off every payment")
        self.assertEqual(code.discount, "50 % off every payment")
        self.program.discount_value = 20
        self.run_cron()
        self.assertEqual(self.offer(), "50 % off every payment")
        self.program.discount_type = "none"
        self.run_cron()
        self.assertEqual(self.offer(), "50 % off every payment")

    # --- it cannot be switched on again -----------------------------------------------

    def made_anew(self, code):
        self.deliver()
        code.invalidate_recordset()
        self.assertEqual(code.state, "error")
        code.action_push()
        self.assertEqual((code.state, code.sync_error), ("synced", False))
        promotion, coupon = self.now()
        self.assertNotEqual(promotion["id"], self.foreign["id"])
        return promotion, coupon

    def test_used_up(self):
        code = self.adopted(max_redemptions=1)
        self.shop.buy(self.shop.price(10000), "jane@example.com", code="SUMMER50")
        promotion, coupon = self.made_anew(code)
        self.assertEqual(coupon["id"], self.coupon["id"])
        self.assertIsNone(promotion["max_redemptions"])
        # And once more: the new one is kept as the first one was.
        self.drona.action_suspend()
        self.drona.action_reactivate()
        self.run_cron()
        self.assertEqual(self.now()[0]["id"], promotion["id"])

    def test_its_coupon_deleted_and_made_anew_twice(self):
        self.product = self.shop.post("products", name="Pro")
        code = self.adopted(
            coupon={
                "amount_off": 1500,
                "currency": "usd",
                "duration": "repeating",
                "duration_in_months": 6,
                "name": "Summer",
                "applies_to": {"products": [self.product["id"]]},
                "currency_options": {"eur": {"amount_off": 1400}},
            },
            restrictions={
                "first_time_transaction": True,
                "minimum_amount": 5000,
                "minimum_amount_currency": "usd",
            },
        )
        self.run_cron()
        before = self.foreign
        for coupon_id in (self.coupon["id"], None):
            self.shop.delete(f"coupons/{coupon_id or self.now()[1]['id']}")
            promotion, coupon = self.made_anew(code)
            self.assertEqual(promotion["restrictions"], before["restrictions"])
            self.assertEqual(
                (
                    coupon["amount_off"],
                    coupon["currency"],
                    coupon["duration"],
                    coupon["duration_in_months"],
                    coupon["name"],
                ),
                (1500, "usd", "repeating", 6, "Summer"),
            )
            raw = self.shop.get(
                f"coupons/{coupon['id']}", expand=["applies_to", "currency_options"]
            )
            self.assertEqual(raw["applies_to"], {"products": [self.product["id"]]})
            self.assertEqual(raw["currency_options"]["eur"], {"amount_off": 1400})
        self.assertEqual(len(self.promotions(active=True)), 1)
        self.assertEqual(self.offer(), "$\N{NO-BREAK SPACE}15.00 off for 6 months")

    def test_a_crash_between_coupon_and_promotion_code(self):
        code = self.adopted()
        self.shop.delete(f"coupons/{self.coupon['id']}")
        self.deliver()
        self.env.flush_all()
        with self.assertRaises(ZeroDivisionError), self.env.cr.savepoint():
            code.action_push()
            raise ZeroDivisionError
        self.env.invalidate_all()
        code.action_push()
        self.assertEqual(code.state, "synced")
        promotion, coupon = self.now()
        self.assertEqual(coupon["percent_off"], 50)
        self.assertEqual(len(self.promotions(code="SUMMER50")), 2, "the dead one, too")
        self.assertEqual(code.adopted_id.stripe_id, promotion["id"])

    def test_only_what_differs_from_the_program_is_kept(self):
        """A lost promotion code of the program's own discount follows the program."""
        program = self.make_program(discount=10)
        own = self.approve(program)
        self.push(own)
        code = own.code_ids
        code.sudo().write({"stripe_mark": "restored", "state": "draft"})
        code.sudo().promotion_code_ids = False
        self.push(own)
        self.look_at_foreign(code).action_adopt()
        self.assertFalse(code.adopted_id)
        program.discount_value = 20
        self.run_cron()
        (promotion,) = self.promotions(active=True)
        self.assertEqual(promotion["promotion"]["coupon"], program.coupon_id.stripe_id)

    def test_the_person_is_told_what_is_kept(self):
        program = self.make_program(discount=10)
        self.shop.code("DRONA29", percent=50)
        wizard = self.look_at_foreign(self.push(self.approve(program)))
        self.assertTrue(wizard.keeps_discount)
        self.assertEqual(wizard.program_discount, "10 % off the first payment")


@tagged("post_install", "-at_install")
class TestTerms(CodesCase):
    def test_terms_survive_the_way_through_stripe(self):
        customer = self.shop.post("customers", email="jane@example.com")["id"]
        coupon = self.shop.post("coupons", percent_off=5, duration="once")["id"]
        for number, terms in enumerate(
            (
                Terms(coupon),
                Terms(coupon, first_time=True),
                Terms(coupon, minimum_amount=5000, minimum_currency="usd"),
                Terms(coupon, customer=customer),
            )
        ):
            with self.subTest(terms):
                made = self.shop.post(
                    "promotion_codes", code=f"TERMS{number}", **terms.params()
                )
                self.assertEqual(Terms.of(made), terms)

    def test_limits_are_no_part_of_a_discount(self):
        ends = int(time.time()) + 10_000_000_000
        coupon = self.shop.post(
            "coupons",
            percent_off=12.5,
            duration="once",
            max_redemptions=3,
            redeem_by=ends,
        )
        self.assertEqual(
            same_discount(coupon), {"percent_off": 12.5, "duration": "once"}
        )
