"""From due commissions to a paid vendor bill, and back when a bill is undone."""

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import new_test_user, tagged

from .common import StripeCase


@tagged("post_install", "-at_install")
class TestSettlement(StripeCase):
    def setUp(self):
        super().setUp()
        self.program = self.make_program(minimum_payout=50.0)
        self.drona = self.make_affiliate(self.program)
        self.usd = self.env.ref("base.USD")

    def earn(self, amount, affiliate=None, currency=None, **values):
        """A due ledger row, as a manager enters one by hand."""
        return self.env["affiliate.commission"].create(
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

    def collect(self, date_to="2026-01-31", **how):
        return self.env["affiliate.settlement"]._collect(
            fields.Date.to_date(date_to), **how
        )

    def settle(self, date_to="2026-01-31", **how):
        settlements = self.collect(date_to, **how)
        settlements.action_confirm()
        return settlements

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
        other = settlement.copy({"date_to": "2026-02-28"})
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

    def test_cancelled_bill_can_be_made_again(self):
        row = self.earn(60)
        settlement = self.settle()
        settlement.move_id.button_cancel()
        self.assertEqual((settlement.state, row.state), ("cancelled", "approved"))
        self.assertFalse(self.collect(), "the rows still belong to this settlement")
        first = settlement.move_id
        settlement.action_make_bill()
        self.assertNotEqual(settlement.move_id, first)
        self.assertEqual((settlement.state, row.state), ("confirmed", "settled"))

    def test_reversed_bill_is_not_owed(self):
        row = self.earn(60)
        settlement = self.settle()
        settlement.move_id.action_post()
        self.env["account.move.reversal"].with_context(
            active_model="account.move", active_ids=settlement.move_id.ids
        ).create({"journal_id": settlement.move_id.journal_id.id}).modify_moves()
        self.assertEqual((settlement.state, row.state), ("cancelled", "approved"))

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


@tagged("post_install", "-at_install")
class TestBillsAndMoney(StripeCase):
    """From payments in Stripe to what the books say."""

    def setUp(self):
        super().setUp()
        self.program = self.make_program(rate=50, hold_days=0)
        self.drona = self.make_affiliate(self.program)
        self.env["affiliate.referral"].create(
            {
                "email": "jane@example.com",
                "affiliate_id": self.drona.id,
                "date": "2025-12-01",
            }
        )
        self.jane = self.shop.customer()

    def sell(self, *amounts, **params):
        invoice = self.shop.invoice(self.jane, *amounts, **params)
        self.deliver()
        return invoice

    def collect(self, date_to="2026-01-31", **how):
        return self.env["affiliate.settlement"]._collect(
            fields.Date.to_date(date_to), **how
        )

    def settle(self, date_to="2026-01-31", **how):
        settlements = self.collect(date_to, **how)
        settlements.action_confirm()
        return settlements

    def stored(self, settlement):
        """What the database has, and what it should have."""
        self.env.flush_all()
        self.env.cr.execute(
            """SELECT s.amount_total, COALESCE(SUM(c.amount), 0)
                 FROM affiliate_settlement s
            LEFT JOIN affiliate_commission c ON c.settlement_id = s.id
                WHERE s.id = %s GROUP BY s.id""",
            [settlement.id],
        )
        return tuple(map(float, self.env.cr.fetchone()))

    def test_every_currency_its_own_bill(self):
        for code, rate in (("EUR", 0.9), ("KWD", 0.3)):
            currency = self.env.ref(f"base.{code}")
            currency.active = True
            currency.rate_ids.unlink()
            self.env["res.currency.rate"].create(
                {"currency_id": currency.id, "rate": rate, "name": "2020-01-01"}
            )
        self.sell(10000)
        self.sell(10000, currency="eur")
        self.sell(12346, currency="kwd")
        settlements = self.settle()
        bills = {
            bill.currency_id.name: bill.amount_untaxed for bill in settlements.move_id
        }
        self.assertEqual(bills, {"USD": 50.00, "EUR": 50.00, "KWD": 6.173})
        for settlement in settlements:
            total, rows = self.stored(settlement)
            self.assertEqual(total, rows)
            self.assertEqual(settlement.move_id.amount_untaxed, total)

    def test_the_programme_decides_journal_product_and_account(self):
        journal = self.company_data["default_journal_purchase"].copy(
            {"name": "Affiliates", "code": "AFFI"}
        )
        self.program.journal_id = journal
        self.sell(10000)
        settlement = self.settle()
        bill = settlement.move_id
        self.assertEqual(bill.journal_id, journal)
        line = bill.invoice_line_ids
        self.assertEqual(line.product_id, self.program.product_id)
        self.assertIn(settlement.name, line.name)
        self.assertIn("2026-01-31", line.name)
        self.assertEqual(line.account_id.account_type, "expense")
        self.assertEqual(bill.invoice_date, fields.Date.context_today(bill))

    def test_the_statement_says_what_was_earned(self):
        invoice = self.sell(10000)
        settlement = self.settle()
        statement = self.env["ir.attachment"].search(
            [
                ("res_model", "=", "account.move"),
                ("res_id", "=", settlement.move_id.id),
            ]
        )
        self.assertEqual(len(statement), 1)
        html = (
            self.env["ir.actions.report"]
            ._render_qweb_html(
                "affiliate_stripe.action_report_settlement", settlement.ids
            )[0]
            .decode()
        )
        self.assertIn(settlement.name, html)
        self.assertIn("Drona Rao", html)
        self.assertIn("50.00", html)
        self.assertIn(invoice["number"], html)
        self.assertNotIn("jane@example.com", html)

    def test_the_vat_of_the_affiliate_follows_his_fiscal_position(self):
        tax, none = self.tax_purchase_a, self.tax_purchase_b.copy({"amount": 0})
        position = self.env["account.fiscal.position"].create({"name": "Abroad"})
        none.write(
            {
                "fiscal_position_ids": [(4, position.id)],
                "original_tax_ids": [(4, tax.id)],
            }
        )
        self.program.product_id = self._create_product(
            name="Commission", type="service", supplier_taxes_id=[(6, 0, tax.ids)]
        )
        self.sell(10000)
        bill = self.settle().move_id
        self.assertAlmostEqual(bill.amount_total, 50.00 * (1 + tax.amount / 100))
        self.assertGreater(bill.amount_total, bill.amount_untaxed)
        bill.button_cancel()
        self.drona.partner_id.property_account_position_id = position
        bill.affiliate_settlement_ids.action_make_bill()
        again = self.env["affiliate.settlement"].search([]).move_id
        self.assertEqual((again.amount_untaxed, again.amount_total), (50.00, 50.00))
        self.assertEqual(again.fiscal_position_id, position)

    def test_a_payment_in_part_is_no_payment(self):
        self.sell(10000)
        settlement = self.settle()
        settlement.move_id.action_post()
        self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=settlement.move_id.ids
        ).create({"amount": 20})._create_payments()
        self.assertEqual(settlement.state, "billed")
        self.assertEqual(self.rows().state, "settled")

    def test_a_refund_after_the_bill_goes_to_the_next_settlement(self):
        self.program.hold_days = 0
        invoice = self.sell(10000)
        first = self.settle()
        first.move_id.action_post()
        self.shop.refund(invoice, 4000)
        self.deliver()
        self.assertEqual(self.stored(first), (50.0, 50.0))
        self.assertEqual(first.move_id.amount_untaxed, 50.0)
        self.assertFalse(self.settle(), "a negative sum is carried over")
        self.double.advance(days=1)
        self.sell(10000)
        second = self.settle("2026-02-28")
        self.assertEqual(second.amount_total, 30.00)
        self.assertEqual(sorted(second.commission_ids.mapped("amount")), [-20, 50])

    def test_a_negative_sum_becomes_a_credit_note_where_an_accountant_asks(self):
        invoice = self.sell(10000)
        first = self.settle()
        first.move_id.action_post()
        self.shop.refund(invoice)
        self.deliver()
        wizard = self.env["affiliate.settlement.wizard"].create(
            {"date_to": "2026-01-31", "allow_negative": True}
        )
        action = wizard.action_settle()
        second = self.env["affiliate.settlement"].search(action["domain"])
        self.assertEqual(second.amount_total, -50.00)
        note = second.move_id
        self.assertEqual((note.move_type, note.amount_untaxed), ("in_refund", 50.00))
        note.action_post()
        self.assertEqual(second.state, "billed")

    def test_a_dispute_takes_the_row_out_of_a_draft_settlement(self):
        invoice = self.sell(10000)
        self.sell(20000)
        settlement = self.collect()
        self.assertEqual(settlement.amount_total, 150.00)
        dispute = self.double.open_dispute(self.shop.charge_of(invoice))
        self.deliver()
        self.assertEqual(self.stored(settlement), (100.0, 100.0))
        settlement.invalidate_recordset()
        settlement.action_confirm()
        self.assertEqual(settlement.move_id.amount_untaxed, 100.00)
        self.assertFalse(self.settle(), "it is on hold")
        self.double.close_dispute(dispute["id"], "won")
        self.deliver()
        self.assertEqual(self.settle().amount_total, 50.00)

    def test_a_dispute_leaves_a_bill_alone(self):
        invoice = self.sell(10000)
        settlement = self.settle()
        settlement.move_id.action_post()
        self.double.open_dispute(self.shop.charge_of(invoice))
        self.deliver()
        self.assertEqual(self.stored(settlement), (50.0, 50.0))
        self.assertEqual(settlement.state, "billed")

    def test_a_cancelled_bill_that_was_made_again_is_not_posted_too(self):
        """Or its commissions would be paid twice."""
        self.sell(10000)
        settlement = self.settle()
        first = settlement.move_id
        first.button_cancel()
        settlement.action_make_bill()
        first.button_draft()
        with self.assertRaisesRegex(UserError, settlement.name):
            first.action_post()
        settlement.move_id.action_post()
        self.assertEqual(settlement.state, "billed")

    def test_a_bill_of_a_settlement_that_was_made_again_elsewhere(self):
        """A cancelled bill whose rows went to another settlement."""
        self.sell(10000)
        settlement = self.settle()
        bill = settlement.move_id
        bill.button_cancel()
        settlement.action_cancel()
        again = self.settle()
        self.assertEqual(again.amount_total, 50.00)
        bill.button_draft()
        with self.assertRaisesRegex(UserError, settlement.name):
            bill.action_post()

    def test_a_deleted_draft_bill_is_made_again(self):
        self.sell(10000)
        settlement = self.settle()
        settlement.move_id.unlink()
        self.env.invalidate_all()
        self.assertEqual(settlement.state, "confirmed")
        self.assertEqual(self.rows().state, "settled")
        settlement.action_make_bill()
        self.assertEqual(settlement.move_id.amount_untaxed, 50.00)

    def test_the_database_keeps_the_total_whatever_moves(self):
        self.sell(10000, 5000)
        self.sell(3000)
        settlement = self.collect()
        self.assertEqual(self.stored(settlement), (90.0, 90.0))
        rows = settlement.commission_ids
        other = settlement.copy({"date_to": "2026-02-28"})
        self.env.flush_all()
        execute = self.env.cr.execute
        for statement, values in (
            (
                "UPDATE affiliate_commission SET settlement_id = %s WHERE id = %s",
                [other.id, rows[0].id],
            ),
            (
                "UPDATE affiliate_commission SET amount = amount + 0.01 WHERE id = %s",
                [rows[1].id],
            ),
            (
                "UPDATE affiliate_commission SET settlement_id = NULL WHERE id = %s",
                [rows[0].id],
            ),
            (
                "UPDATE affiliate_commission SET settlement_id = %s WHERE id IN %s",
                [other.id, tuple(rows.ids)],
            ),
            ("DELETE FROM affiliate_commission WHERE id = %s", [rows[2].id]),
        ):
            execute(statement, values)
            for one in (settlement, other):
                total, expected = self.stored(one)
                self.assertEqual(total, expected, statement)

    def test_other_companies_are_settled_apart(self):
        self.sell(10000)
        company = self.env["res.company"].create({"name": "Other"})
        self.assertFalse(self.collect(company=company))
        self.assertEqual(self.collect(company=self.env.company).amount_total, 50.00)

    def test_a_posted_bill_is_not_made_again(self):
        self.sell(10000)
        settlement = self.settle()
        settlement.move_id.action_post()
        bill = settlement.move_id
        settlement.action_make_bill()
        settlement.action_confirm()
        self.assertEqual(settlement.move_id, bill)
        self.assertEqual(
            self.env["account.move"].search_count([("ref", "=", settlement.name)]), 1
        )
