"""A row and what corrects it are approved, rejected and held together."""

from contextlib import contextmanager

from odoo import fields
from odoo.tests import tagged
from odoo.tools import mute_logger

from .test_bills import BillCase

#: Who reports what the database refuses, which these tests have it do.
LOUD = ("odoo.sql_db", "odoo.addons.affiliate_stripe.tools.database")


class ApprovingCase(BillCase):
    def setUp(self):
        super().setUp()
        self.program.hold_days = 30

    def sell_later(self, amount=10000):
        """A sale that waits out its hold: the double's time is long ago."""
        self.program.auto_approve_commissions = False
        return self.sell(amount)

    def pair(self):
        """A sale of +50.00 and its refund of -50.00, both pending."""
        before = self.rows()
        invoice = self.sell_later()
        self.refund(invoice)
        rows = self.rows() - before
        self.assertEqual(rows.mapped("amount"), [50, -50])
        self.assertEqual(rows.mapped("state"), ["pending", "pending"])
        return rows

    def states(self, rows):
        self.env.invalidate_all()
        return set(rows.mapped("state"))


@tagged("post_install", "-at_install")
class TestTogether(ApprovingCase):
    def test_approving_a_sale_takes_its_refund_with_it(self):
        rows = self.pair()
        rows[0].action_approve()
        self.assertEqual(self.states(rows), {"approved"})
        self.assertEqual(self.settle().amount_total, 0)
        self.assertEqual(self.owed(), 0)

    def test_approving_a_refund_takes_its_sale_with_it(self):
        rows = self.pair()
        rows[1].action_approve()
        self.assertEqual(self.states(rows), {"approved"})

    def test_corrections_of_corrections_go_along(self):
        invoice = self.sell_later()
        refund = self.refund(invoice)
        self.double.refund_status(refund["id"], "failed")
        self.deliver()
        rows = self.rows()
        self.assertEqual(rows.mapped("amount"), [50, -50, 50])
        rows[2].action_approve()
        self.assertEqual(self.states(rows), {"approved"})

    def test_what_is_not_corrected_stays(self):
        """Two payments of one line: each waits out its own hold."""
        invoice = self.shop.invoice(self.jane, 10000, pay=False)
        self.program.auto_approve_commissions = False
        self.double.pay_invoice(invoice["id"], 4000)
        self.double.advance(days=10)
        self.double.pay_invoice(invoice["id"], 6000)
        self.deliver()
        rows = self.rows()
        self.assertEqual(rows.mapped("amount"), [20, 30])
        rows[0].action_approve()
        self.env.invalidate_all()
        self.assertEqual(rows.mapped("state"), ["approved", "pending"])

    def test_rejecting_takes_the_pair(self):
        for number in (0, 1):
            with self.subTest(number=number):
                rows = self.pair()
                wizard = self.env["affiliate.reject.wizard"].create(
                    {"commission_ids": [(6, 0, rows[number].ids)], "reason": "No"}
                )
                wizard.action_reject()
                self.assertEqual(self.states(rows), {"void"})

    def test_holding_and_releasing_take_the_pair(self):
        for number in (0, 1):
            with self.subTest(number=number):
                rows = self.pair()
                rows[number].action_hold()
                self.env.invalidate_all()
                self.assertEqual(rows.mapped("on_hold"), [True, True])
                rows[1 - number].action_release()
                self.env.invalidate_all()
                self.assertEqual(rows.mapped("on_hold"), [False, False])

    def test_releasing_what_a_dispute_holds_takes_the_pair(self):
        invoice = self.sell_later()
        self.refund(invoice, 4000)
        self.double.open_dispute(self.shop.charge_of(invoice))
        self.deliver()
        rows = self.rows()
        self.assertEqual(rows.mapped("hold_reason"), ["dispute", "dispute"])
        rows[0].action_release()
        self.env.invalidate_all()
        self.assertEqual(len(set(rows.mapped("on_hold"))), 1)

    def test_a_refund_is_not_approved_before_its_sale(self):
        """The hold has ended today, and the scheduled action has not come yet."""
        invoice = self.sell_later()
        self.rows().sudo().hold_until = fields.Date.context_today(self.program)
        self.program.auto_approve_commissions = True
        self.refund(invoice, 4000)
        self.assertEqual(self.rows().mapped("state"), ["pending", "pending"])
        self.approve_by_schedule()
        self.assertEqual(self.rows().mapped("state"), ["approved", "approved"])

    def approve_by_schedule(self):
        self.program.auto_approve_commissions = True
        self.env.ref("affiliate_stripe.ir_cron_approve").method_direct_trigger()
        self.env.invalidate_all()

    def test_the_scheduled_action_never_takes_half_a_pair(self):
        past = fields.Date.subtract(fields.Date.context_today(self.program), days=1)
        later = fields.Date.add(past, days=9)
        for number in (0, 1):
            with self.subTest(number=number):
                rows = self.pair()
                rows.sudo().hold_until = past
                rows[number].sudo().hold_until = later
                self.approve_by_schedule()
                self.assertIn(self.states(rows), ({"approved"}, {"pending"}))
        held = self.pair()
        held.sudo().hold_until = past
        held[1].sudo().write({"on_hold": True, "hold_reason": "manual"})
        self.approve_by_schedule()
        self.assertEqual(self.states(held), {"pending"})

    @mute_logger(*LOUD)
    def test_one_bad_row_does_not_stop_the_scheduled_action(self):
        past = fields.Date.subtract(fields.Date.context_today(self.program), days=1)
        uma = self.make_affiliate(self.program, "Uma Iyer")
        good = self.earn(50, is_approved=False, hold_until=past)
        bad = self.earn(60, uma, is_approved=False, hold_until=past)
        self.spoil(uma)
        for _time in range(2):
            self.approve_by_schedule()
            self.assertEqual((good.state, bad.state), ("approved", "pending"))
            warning = uma.sudo().activity_ids.filtered(
                lambda activity: "approved" in activity.summary
            )
            self.assertEqual(len(warning), 1, "said once")
        self.mend(uma)
        self.approve_by_schedule()
        self.assertEqual(bad.state, "approved")
        self.assertFalse(warning.exists().active)

    @mute_logger(*LOUD)
    def test_one_bad_row_does_not_stop_the_button(self):
        uma = self.make_affiliate(self.program, "Uma Iyer")
        good = self.earn(50, is_approved=False)
        bad = self.earn(60, uma, is_approved=False)
        self.spoil(uma)
        answer = (good | bad).action_approve()
        self.env.invalidate_all()
        self.assertEqual((good.state, bad.state), ("approved", "pending"))
        self.assertIn("Uma", answer["params"]["message"])

    def spoil(self, affiliate):
        """Let the database refuse that this affiliate's rows are approved."""
        self.env.flush_all()
        self.env.cr.execute(
            """ALTER TABLE affiliate_commission ADD CONSTRAINT spoiled
               CHECK (affiliate_id <> %s OR is_approved IS NOT TRUE)""",
            [affiliate.id],
        )

    def mend(self, _affiliate):
        self.env.flush_all()
        self.env.cr.execute("ALTER TABLE affiliate_commission DROP CONSTRAINT spoiled")


@tagged("post_install", "-at_install")
class TestOneBadBill(BillCase):
    """One bill that cannot be made or written keeps nobody else from his."""

    def setUp(self):
        super().setUp()
        self.uma = self.make_affiliate(self.program, "Uma Iyer")
        self.good, self.bad = self.earn(60), self.earn(80, self.uma)

    @contextmanager
    def failing(self):
        """Let the database refuse whatever is written to a bill of Uma's."""
        self.env.flush_all()
        self.env.cr.execute(
            """ALTER TABLE account_move ADD CONSTRAINT spoiled
               CHECK (partner_id <> %s) NOT VALID""",
            [self.uma.partner_id.id],
        )
        with (
            mute_logger("odoo.sql_db"),
            self.assertLogs("odoo.addons.affiliate_stripe", "ERROR"),
        ):
            yield
        self.env.flush_all()
        self.env.cr.execute("ALTER TABLE account_move DROP CONSTRAINT spoiled")

    def test_the_button_of_the_list(self):
        settlements = self.collect()
        with self.failing():
            answer = settlements.action_confirm()
        self.env.invalidate_all()
        self.assertTrue(self.good.settlement_id.move_id)
        bad = self.bad.settlement_id
        self.assertFalse(bad.move_id)
        self.assertIn("spoiled", bad.problem)
        self.assertTrue(bad.sudo().activity_ids)
        self.assertIn("Uma", answer["params"]["message"])
        bad.action_make_bill() if bad.step == "confirmed" else bad.action_confirm()
        self.assertTrue(bad.move_id)
        self.assertFalse(bad.problem)
        self.assertFalse(bad.sudo().activity_ids)

    def test_the_button_make_the_bill(self):
        settlements = self.settle()
        settlements.move_id.unlink()
        self.env.invalidate_all()
        with self.failing():
            settlements.action_make_bill()
        self.env.invalidate_all()
        self.assertTrue(self.good.settlement_id.move_id)
        self.assertIn("spoiled", self.bad.settlement_id.problem)

    def test_the_scheduled_action(self):
        with self.failing():
            self.env.ref("affiliate_stripe.ir_cron_settle").method_direct_trigger()
        self.env.invalidate_all()
        self.assertTrue(self.good.settlement_id.move_id)
        self.assertIn("spoiled", self.bad.settlement_id.problem)
        self.env.ref("affiliate_stripe.ir_cron_settle").method_direct_trigger()
        self.env.invalidate_all()
        self.assertTrue(self.bad.settlement_id.move_id)

    def test_writing_draft_bills_again(self):
        """And the payment that has caused it is booked all the same."""
        self.lead("joe@example.com", self.uma)
        joe = self.shop.customer("joe@example.com")
        sales = self.sell(10000), self.sell(10000, customer=joe)
        settlements = self.settle()
        self.assertEqual(sorted(settlements.mapped("amount_total")), [110, 130])
        with self.failing():
            for sale in sales:
                self.shop.refund(sale, 4000)
            self.deliver()
        self.assert_pending_empty()
        good, bad = self.good.settlement_id, self.bad.settlement_id
        self.assertEqual((good.amount_total, good.move_id.amount_untaxed), (90, 90))
        self.assertEqual((bad.amount_total, bad.move_id.amount_untaxed), (110, 130))
        self.assertIn("spoiled", bad.problem)
        self.two_ways(bad.move_id).action_restore()
        self.assertFalse(bad.problem)
        bad.move_id.action_post()
        self.assertEqual(bad.state, "billed")

    def test_cancelling(self):
        settlements = self.settle()
        self.bad.settlement_id.move_id.action_post()
        answer = settlements.action_cancel()
        self.env.invalidate_all()
        self.assertEqual(self.good.state, "approved")
        self.assertEqual(self.bad.state, "settled")
        self.assertIn("Uma", answer["params"]["message"])
