"""Which of several codes stands for an affiliate, and which one earned something."""

from odoo.exceptions import UserError
from odoo.tests import Form, tagged

from .test_codes import CodesCase


@tagged("post_install", "-at_install")
class TestMainCode(CodesCase):
    def setUp(self):
        super().setUp()
        self.program = self.make_program(discount=10)
        self.maya = self.approve(self.program, "Maya", wished_code="MAYAROCKS")
        self.rocks = self.push(self.maya)

    def add(self, text):
        return self.env["affiliate.code"].create(
            {"code": text, "affiliate_id": self.maya.id}
        )

    def assert_main(self, code):
        self.env.invalidate_all()
        self.assertEqual(self.maya.code, code.code)
        self.assertEqual(self.maya.display_name, f"Maya ({code.code})")
        self.assertIn(f"via={code.code}", self.maya.link)
        self.assertEqual(self.maya.code_ids.filtered("is_main"), code)
        wizard = self.env["affiliate.link.wizard"].create(
            {"affiliate_id": self.maya.id}
        )
        self.assertEqual(wizard.code_id, code)
        self.assertEqual(self.maya._codes_in_order()[0], code)

    def test_the_first_active_one(self):
        second = self.add("MAYACO")
        self.assert_main(self.rocks)
        self.run_cron()
        self.assertEqual(second.state, "synced")
        self.assert_main(self.rocks)
        self.rocks.action_deactivate()
        self.assert_main(second)
        self.rocks.action_activate()
        self.assert_main(self.rocks)

    def test_another_one_by_choice(self):
        second = self.add("MAYACO")
        second.action_push()
        second.action_make_main()
        self.assert_main(second)
        self.add("MAYATHREE").action_push()
        self.assert_main(second)
        second.action_deactivate()
        self.assert_main(self.rocks)
        with self.assertRaisesRegex(UserError, "Activate this code"):
            second.action_make_main()
        second.action_activate()
        self.assert_main(second)

    def test_one_that_is_off_in_stripe_is_not_the_main_one(self):
        second = self.add("MAYACO")
        second.action_push()
        self.shop.post(f"promotion_codes/{self.promotions()[0]['id']}", active=False)
        self.deliver()
        self.assertEqual(self.rocks.state, "error")
        self.assert_main(second)

    def test_one_that_is_being_made_is_better_than_none(self):
        uma = self.approve(self.program, "Uma Iyer")
        self.assertEqual(uma.code_ids.state, "draft")
        self.assertEqual(uma.code, uma.code_ids.code)

    def test_a_row_shows_the_code_that_earned_it(self):
        self.add("MAYACO").action_push()
        for code in ("MAYAROCKS", "MAYACO"):
            self.shop.buy(
                self.shop.price(10000), f"{code}@example.com".lower(), code=code
            )
        self.deliver()
        self.assertEqual(self.rows().mapped("code_id.code"), ["MAYAROCKS", "MAYACO"])
        self.maya.code_ids[0].action_make_main()
        charge = self.double.all("charge")[0]["id"]
        self.shop.post("refunds", charge=charge, amount=4500)
        self.deliver()
        refunded = self.rows().filtered(lambda row: row.amount < 0)
        self.assertEqual(refunded.code_id, refunded.origin_id.code_id)

    def test_a_row_without_a_code_shows_none(self):
        self.env["affiliate.referral"].create(
            {
                "email": "hand@example.com",
                "affiliate_id": self.maya.id,
                "include_history": True,
            }
        )
        self.shop.buy(self.shop.price(10000), "hand@example.com")
        self.deliver()
        self.assertEqual(self.rows().affiliate_id, self.maya)
        self.assertFalse(self.rows().code_id)

    def test_a_moved_customer_did_not_come_by_the_other_ones_code(self):
        self.shop.buy(self.shop.price(10000), "jane@example.com", code="MAYAROCKS")
        self.deliver()
        uma = self.approve(self.program, "Uma Iyer")
        wizard = self.env["affiliate.move.wizard"].create(
            {
                "referral_id": self.rows().referral_id.id,
                "affiliate_id": uma.id,
                "scope": "all",
                "reason": "Agreed",
            }
        )
        wizard.action_move()
        moved = self.rows(affiliate_id=uma.id)
        self.assertTrue(moved)
        self.assertFalse(moved.code_id)
        taken = self.rows(affiliate_id=self.maya.id)
        self.assertEqual(taken.code_id, self.rocks)

    # --- made at once -----------------------------------------------------------------

    def triggers(self):
        self.env.flush_all()
        cron = self.env.ref("affiliate_stripe.ir_cron_codes").sudo()
        return (
            self.env["ir.cron.trigger"].sudo().search_count([("cron_id", "=", cron.id)])
        )

    def test_a_code_added_by_hand_is_made_at_once(self):
        before = self.triggers()
        self.add("MAYACO")
        self.assertGreater(self.triggers(), before)

    def test_a_code_that_is_corrected_is_made_at_once(self):
        self.shop.code("MAYACO")
        second = self.add("MAYACO")
        self.run_cron()
        self.assertEqual(second.state, "error")
        before = self.triggers()
        second.code = "MAYACO2"
        self.assertEqual((second.state, second.foreign_promotion_id), ("draft", False))
        self.assertGreater(self.triggers(), before)
        self.run_cron()
        self.assertEqual(second.state, "synced")

    def test_a_reactivation_is_made_at_once_and_revives_what_it_took(self):
        second = self.add("MAYACO")
        second.action_push()
        second.action_deactivate()
        self.maya.action_suspend()
        before = self.triggers()
        self.maya.action_reactivate()
        self.assertGreater(self.triggers(), before)
        self.run_cron()
        self.assertEqual(self.rocks.state, "synced")
        self.assertEqual(second.state, "inactive", "it was off before")

    def test_who_does_not_take_part_has_no_working_code(self):
        self.maya.action_suspend()
        for act in (self.rocks.action_activate, self.rocks.action_push):
            with self.assertRaisesRegex(UserError, "Not active in the program"):
                act()
        self.assertEqual(self.promotions(active=True), [])

    # --- what became of what was typed ------------------------------------------------

    def test_another_spelling_is_said(self):
        with Form(self.env["affiliate.code"]) as form:
            form.affiliate_id = self.maya
            warning = self.typed(form, "code", "JANE_20")
        self.assertIn("“JANE_20” became “JANE20”", warning)
        self.assertEqual(form.record.code, "JANE20")

    def test_small_letters_need_no_word(self):
        code = self.env["affiliate.code"].new({"code": " jane20 "})
        self.assertIsNone(code._onchange_code())
        self.assertEqual(code.code, "JANE20")

    def test_a_wish_in_another_spelling_is_said_to_both(self):
        affiliate = self.env["affiliate.affiliate"].new({"wished_code": "JANE_20"})
        said = affiliate._onchange_wished_code()["warning"]["message"]
        self.assertIn("“JANE_20” became “JANE20”", said)
        jane = self.approve(self.program, "Jane", wished_code="JANE_20")
        self.assertEqual(jane.code, "JANE20")
        self.assertIn("yours is JANE20", jane._get_wish_note())
        self.assertFalse(self.maya._get_wish_note())

    def typed(self, form, name, value):
        """The notification that typing brings."""
        with self.assertLogs("odoo.tests.form", "WARNING") as logs:
            setattr(form, name, value)
        return "".join(logs.output)
