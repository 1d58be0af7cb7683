"""From payments in Stripe to what the books say."""

from odoo import fields
from odoo.exceptions import UserError
from odoo.tests import tagged

from .test_settlement import SettlementCase


@tagged("post_install", "-at_install")
class TestBillsAndMoney(SettlementCase):
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
        again = self.settle().move_id
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
        again = self.settle()
        first.button_draft()
        with (
            self.assertRaisesRegex(UserError, settlement.name),
            self.env.cr.savepoint(),
        ):
            first.action_post()
        again.move_id.action_post()
        self.assertEqual(again.state, "billed")

    def test_a_bill_of_a_settlement_that_was_made_again_elsewhere(self):
        """A cancelled bill whose rows went to another settlement."""
        self.sell(10000)
        settlement = self.settle()
        bill = settlement.move_id
        bill.button_cancel()
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
        other = settlement.sudo().copy({"date_to": "2026-02-28"})
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
