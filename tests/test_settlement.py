"""From due commissions to a paid vendor bill, and back when a bill is undone."""

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import new_test_user, tagged

from .common import StripeCase


class SettlementCase(StripeCase):
    def collect(self, date_to="2026-01-31", **how):
        return self.env["affiliate.settlement"]._collect(
            fields.Date.to_date(date_to), **how
        )

    def settle(self, date_to="2026-01-31", **how):
        settlements = self.collect(date_to, **how)
        settlements.action_confirm()
        return settlements


@tagged("post_install", "-at_install")
class TestSettlement(SettlementCase):
    def setUp(self):
        super().setUp()
        self.program = self.make_program(minimum_payout=50.0)
        self.drona = self.make_affiliate(self.program)
        self.usd = self.env.ref("base.USD")

    def earn(self, amount, affiliate=None, currency=None, **values):
        """A due ledger row, as a manager enters and approves one by hand."""
        row = (
            self.env["affiliate.commission"]
            .sudo()
            .create(
                {
                    "affiliate_id": (affiliate or self.drona).id,
                    "program_id": self.program.id,
                    "currency_id": (currency or self.usd).id,
                    "amount": amount,
                    "date": "2026-01-15",
                    "is_approved": True,
                    "explanation": "By hand",
                    **values,
                }
            )
        )
        return row.sudo(False)

    def pay(self, move):
        self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=move.ids
        ).create({})._create_payments()

    def stored_total(self, settlement):
        self.env.flush_all()
        self.env.cr.execute(
            "SELECT amount_total FROM affiliate_settlement WHERE id = %s",
            [settlement.id],
        )
        return float(self.env.cr.fetchone()[0])

    # --- collecting -----------------------------------------------------------------

    def test_one_settlement_an_affiliate_and_currency(self):
        uma = self.make_affiliate(self.program, "Uma Iyer")
        eur = self.env.ref("base.EUR")
        eur.active = True
        self.earn(60)
        self.earn(20)
        self.earn(70, currency=eur)
        self.earn(55, uma)
        settlements = self.collect()
        self.assertEqual(
            sorted(
                (s.affiliate_id.id, s.currency_id.name, s.amount_total)
                for s in settlements
            ),
            sorted(
                [
                    (self.drona.id, "USD", 80.0),
                    (self.drona.id, "EUR", 70.0),
                    (uma.id, "USD", 55.0),
                ]
            ),
        )

    def test_money_in_another_currency_is_told(self):
        self.earn(60)
        self.assertFalse(self.drona.balance_other)
        eur = self.env.ref("base.EUR")
        self.earn(70, currency=eur)
        self.earn(5, currency=eur, is_approved=False)
        self.drona.invalidate_recordset()
        self.assertEqual(self.drona.balance_total, 60)
        self.assertRegex(self.drona.balance_other, "^75.00.€ earned, 70.00.€ due$")

    def test_below_the_minimum_is_carried_over(self):
        row = self.earn(49.99)
        self.assertFalse(self.collect())
        self.assertEqual(row.state, "approved")
        self.earn(0.01, date="2026-02-10")
        self.assertFalse(self.collect(), "the rest is of the next month")
        self.assertEqual(self.collect("2026-02-28").amount_total, 50.0)

    def test_second_run_settles_nothing(self):
        self.earn(80)
        self.assertTrue(self.settle())
        self.assertFalse(self.settle())

    def test_what_is_not_due_stays_out(self):
        self.earn(80, is_approved=False)
        held = self.earn(80)
        held.action_hold()
        suspended = self.make_affiliate(self.program, "Uma Iyer")
        self.earn(80, suspended)
        suspended.action_suspend()
        self.assertFalse(self.collect())

    def test_negative_sum_is_carried_over_or_becomes_a_credit_note(self):
        self.earn(-30)
        self.assertFalse(self.collect())
        settlement = self.settle(allow_negative=True)
        move = settlement.move_id
        self.assertEqual((move.move_type, move.amount_untaxed), ("in_refund", 30.0))

    def test_zero_sum_is_closed_without_a_bill(self):
        rows = self.earn(30) | self.earn(-30)
        settlement = self.settle()
        self.assertFalse(settlement.move_id)
        self.assertEqual(settlement.state, "paid")
        self.assertEqual(set(rows.mapped("state")), {"paid"})

    def test_total_is_kept_by_the_database(self):
        rows = self.earn(60) | self.earn(25.5)
        settlement = self.collect()
        self.assertEqual(self.stored_total(settlement), 85.5)
        rows[0].sudo().settlement_id = False
        self.assertEqual(self.stored_total(settlement), 25.5)
        other = settlement.sudo().copy({"date_to": "2026-02-28"})
        rows.sudo().write({"settlement_id": other.id})
        self.assertEqual(self.stored_total(settlement), 0)
        self.assertEqual(self.stored_total(other), 85.5)

    def test_draft_can_be_deleted_and_gives_its_rows_back(self):
        row = self.earn(60)
        settlement = self.collect()
        settlement.unlink()
        self.assertEqual((row.state, row.settlement_id.id), ("approved", False))

    def test_scheduled_action_settles_the_last_month(self):
        today = fields.Date.context_today(self.program)
        last_month = fields.Date.subtract(fields.Date.start_of(today, "month"), days=1)
        row = self.earn(60, date=last_month)
        this_month = self.earn(90, date=today)
        self.env.ref("affiliate_stripe.ir_cron_settle").method_direct_trigger()
        self.env.invalidate_all()
        self.assertEqual(row.settlement_id.state, "confirmed")
        self.assertTrue(row.settlement_id.move_id)
        self.assertFalse(this_month.settlement_id)

    # --- the bill -------------------------------------------------------------------

    def test_bill_is_a_draft_made_by_core_accounting(self):
        self.earn(60)
        settlement = self.settle()
        move = settlement.move_id
        self.assertRecordValues(
            move,
            [
                {
                    "move_type": "in_invoice",
                    "state": "draft",
                    "partner_id": self.drona.partner_id.id,
                    "currency_id": self.usd.id,
                    "ref": settlement.name,
                    "amount_untaxed": 60.0,
                    "company_id": self.program.company_id.id,
                }
            ],
        )
        self.assertEqual(move.invoice_line_ids.product_id, self.program.product_id)
        statement = self.env["ir.attachment"].search(
            [("res_model", "=", "account.move"), ("res_id", "=", move.id)]
        )
        self.assertIn(settlement.name.replace("/", "-"), statement.mapped("name")[0])
        self.assertEqual(move.affiliate_settlement_count, 1)

    def test_self_billing_journal_is_preferred(self):
        journal = self.env["account.journal"].create(
            {
                "name": "Self-billing",
                "code": "SELF",
                "type": "purchase",
                "is_self_billing": True,
            }
        )
        self.earn(60)
        self.assertEqual(self.settle().move_id.journal_id, journal)

    def test_vat_of_the_affiliate_comes_on_top(self):
        tax = self.tax_purchase_a
        self.program.product_id = self._create_product(
            name="Commission", type="service", supplier_taxes_id=[(6, 0, tax.ids)]
        )
        self.earn(100)
        move = self.settle().move_id
        self.assertEqual(move.amount_untaxed, 100.0)
        self.assertEqual(move.amount_total, 100.0 + tax.amount)

    def test_no_bill_without_an_exchange_rate(self):
        yen = self.env.ref("base.JPY")
        yen.active = True
        yen.rate_ids.unlink()
        row = self.earn(9000, currency=yen)
        settlement = self.settle()
        self.assertFalse(settlement.move_id)
        self.assertIn("JPY", settlement.problem)
        self.assertEqual(row.state, "settled")
        self.env["res.currency.rate"].create(
            {
                "currency_id": yen.id,
                "rate": 150.0,
                "name": "2020-01-01",
                "company_id": self.program.company_id.id,
            }
        )
        settlement.action_make_bill()
        self.assertFalse(settlement.problem)
        self.assertEqual(settlement.move_id.amount_untaxed, 9000)

    # --- the state follows the bill --------------------------------------------------

    def test_posted_paid_and_reset(self):
        row = self.earn(60)
        settlement = self.settle()
        move = settlement.move_id
        self.assertEqual((settlement.state, row.state), ("confirmed", "settled"))
        move.action_post()
        self.assertEqual((settlement.state, row.state), ("billed", "settled"))
        move.button_draft()
        self.assertEqual(settlement.state, "confirmed")
        move.action_post()
        self.pay(move)
        self.assertEqual((settlement.state, row.state), ("paid", "paid"))

    def test_cancelled_bill_makes_its_rows_due(self):
        row = self.earn(60)
        settlement = self.settle()
        settlement.move_id.button_cancel()
        self.assertEqual((settlement.state, row.state), ("cancelled", "approved"))
        again = self.settle()
        self.assertEqual(row.settlement_id, again)
        self.assertEqual((again.state, row.state), ("confirmed", "settled"))

    def test_cancelled_settlement_gives_its_rows_to_the_next(self):
        row = self.earn(60)
        settlement = self.settle()
        move = settlement.move_id
        settlement.action_cancel()
        self.assertEqual((settlement.state, row.state), ("cancelled", "approved"))
        self.assertEqual((settlement.amount_total, move.state), (0.0, "cancel"))
        again = self.settle()
        self.assertEqual(row.settlement_id, again)
        move.button_draft()
        with self.assertRaisesRegex(UserError, settlement.name):
            move.action_post()

    def test_posted_bill_is_undone_first(self):
        self.earn(60)
        settlement = self.settle()
        settlement.move_id.action_post()
        with self.assertRaisesRegex(UserError, "posted"):
            settlement.action_cancel()

    # --- who may --------------------------------------------------------------------

    def test_accountant_settles_and_cannot_approve_or_change(self):
        row = self.earn(60)
        pending = self.earn(10, is_approved=False)
        accountant = new_test_user(
            self.env,
            "cleo",
            groups="affiliate_stripe.group_affiliate_accountant",
            company_id=self.program.company_id.id,
            company_ids=[(6, 0, self.program.company_id.ids)],
        )
        settlements = self.env["affiliate.settlement"].with_user(accountant)
        settlement = settlements._collect(fields.Date.to_date("2026-01-31"))
        settlement.action_confirm()
        settlement.move_id.action_post()
        self.assertEqual(row.state, "settled")
        with self.assertRaises(AccessError):
            pending.with_user(accountant).action_approve()

    def test_officer_cannot_settle(self):
        self.earn(60)
        officer = new_test_user(
            self.env,
            "olga",
            groups="affiliate_stripe.group_affiliate_officer",
            company_id=self.program.company_id.id,
            company_ids=[(6, 0, self.program.company_id.ids)],
        )
        with self.assertRaises(AccessError):
            self.env["affiliate.settlement"].with_user(officer)._collect(
                fields.Date.to_date("2026-01-31")
            )

    def test_wizard_settles_and_says_when_there_is_nothing(self):
        wizard = self.env["affiliate.settlement.wizard"].create(
            {"date_to": "2026-01-31"}
        )
        with self.assertRaisesRegex(UserError, "Nothing to settle"):
            wizard.action_settle()
        self.earn(60)
        wizard.invalidate_recordset()
        self.assertIn("60.00", wizard.due_text.replace("\xa0", " "))
        action = wizard.action_settle()
        settlement = self.env["affiliate.settlement"].search(action["domain"])
        self.assertEqual(settlement.amount_total, 60.0)

    # --- one that cannot be settled keeps nobody else from it ------------------------

    def spoil(self, affiliate):
        """Rows of another company than their affiliate's, as nothing of ours makes."""
        company = self.env["res.company"].sudo().create({"name": "Elsewhere"})
        rows = self.earn(70, affiliate)
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE affiliate_affiliate SET company_id = %s WHERE id = %s",
            [company.id, affiliate.id],
        )
        self.env.invalidate_all()
        return rows

    def activities(self, affiliate):
        return affiliate.sudo().activity_ids.filtered(
            lambda activity: "could not be settled" in activity.summary
        )

    def test_one_bad_group_does_not_stop_the_wizard(self):
        uma = self.make_affiliate(self.program, "Uma Iyer")
        zoe = self.make_affiliate(self.program, "Zoe Lang")
        good = self.earn(60) | self.earn(80, zoe)
        bad = self.spoil(uma)
        wizard = self.env["affiliate.settlement.wizard"].create(
            {"date_to": "2026-01-31"}
        )
        answer = wizard.action_settle()
        self.assertEqual(good.settlement_id.mapped("state"), ["confirmed"] * 2)
        self.assertEqual(len(good.settlement_id.move_id), 2)
        self.assertEqual((bad.state, bad.settlement_id.id), ("approved", False))
        said = answer["params"]["message"]
        self.assertIn("Uma Iyer", said)
        self.assertIn("company", said)
        shown = answer["params"]["next"]["domain"]
        self.assertEqual(
            self.env["affiliate.settlement"].search(shown), good.settlement_id
        )
        activity = self.activities(uma)
        self.assertIn("company", str(activity.note))
        accountants = self.env.ref("affiliate_stripe.group_affiliate_accountant")
        self.assertIn(activity.user_id, accountants.sudo().all_user_ids)
        self.assertFalse(self.activities(self.drona))

    def test_one_bad_group_does_not_stop_the_scheduled_action(self):
        uma = self.make_affiliate(self.program, "Uma Iyer")
        good, bad = self.earn(60), self.spoil(uma)
        cron = self.env.ref("affiliate_stripe.ir_cron_settle")
        for _time in range(2):
            cron.method_direct_trigger()
            self.env.invalidate_all()
            self.assertEqual(good.settlement_id.state, "confirmed")
            self.assertFalse(bad.settlement_id)
            self.assertEqual(len(self.activities(uma)), 1, "not one each time")
        self.env.cr.execute(
            "UPDATE affiliate_affiliate SET company_id = %s WHERE id = %s",
            [self.program.company_id.id, uma.id],
        )
        self.env.invalidate_all()
        cron.method_direct_trigger()
        self.env.invalidate_all()
        self.assertEqual(bad.settlement_id.state, "confirmed")
        self.assertFalse(self.activities(uma), "it closes by itself")

    def test_one_bad_bill_does_not_stop_the_others(self):
        row = self.earn(60)
        # A journal for sales, as core accounting finds out when the bill is made.
        journal = self.company_data["default_journal_purchase"].copy({"code": "BADJ"})
        bad_program = self.make_program(journal_id=journal.id, code_number_start=90)
        bad = self.make_affiliate(bad_program, "Bad Luck")
        bad_row = self.earn(90, bad, program_id=bad_program.id)
        journal.sudo().type = "sale"
        answer = (
            self.env["affiliate.settlement.wizard"]
            .create({"date_to": "2026-01-31"})
            .action_settle()
        )
        self.assertEqual(row.settlement_id.state, "confirmed")
        self.assertTrue(row.settlement_id.move_id)
        self.assertEqual(bad_row.settlement_id.state, "draft")
        self.assertTrue(bad_row.settlement_id.problem)
        self.assertIn("Bad Luck", answer["params"]["message"])

    # --- the ledger -------------------------------------------------------------------

    def test_ledger_rows_are_never_edited(self):
        row = self.earn(60)
        with self.assertRaisesRegex(UserError, "never edited"):
            row.amount = 6000
        pending = self.earn(10, is_approved=False)
        pending.amount = 12
        pending._reject("Typed twice")
        self.assertEqual(pending.state, "void")
        with self.assertRaisesRegex(UserError, "Only pending"):
            row._reject("Too late")

    def test_approval_waits_for_the_hold_and_for_open_questions(self):
        today = fields.Date.context_today(self.program)
        past = fields.Date.subtract(today, days=1)
        due = self.earn(5, is_approved=False, hold_until=past)
        waiting = self.earn(
            5, is_approved=False, hold_until=fields.Date.add(today, days=1)
        )
        held = self.earn(5, is_approved=False, hold_until=past)
        held.action_hold()
        self.env.ref("affiliate_stripe.ir_cron_approve").method_direct_trigger()
        self.env.invalidate_all()
        self.assertEqual(
            (due.state, waiting.state, held.state), ("approved", "pending", "pending")
        )
        held.action_release()
        self.program.auto_approve_commissions = False
        self.env.ref("affiliate_stripe.ir_cron_approve").method_direct_trigger()
        self.env.invalidate_all()
        self.assertEqual(held.state, "pending", "a person approves")
        held.action_approve()
        self.assertEqual(held.state, "approved")
