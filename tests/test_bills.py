"""What accountants do to the bills of settlements, with core's own buttons."""

import importlib.util
from contextlib import contextmanager
from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import AccessError, RedirectWarning, UserError
from odoo.tests import Form, new_test_user, tagged
from odoo.tools import file_path

from .test_settlement import SettlementCase


class BillCase(SettlementCase):
    """A customer of Drona's, paying over Stripe; 50 %, no hold."""

    def setUp(self):
        super().setUp()
        self.program = self.make_program(rate=50, hold_days=0)
        self.drona = self.make_affiliate(self.program)
        self.usd = self.env.ref("base.USD")
        self.lead("jane@example.com", self.drona)
        self.jane = self.shop.customer()

    def lead(self, email, affiliate):
        self.env["affiliate.referral"].create(
            {"email": email, "affiliate_id": affiliate.id, "date": "2025-12-01"}
        )

    def sell(self, *amounts, customer=None, **params):
        invoice = self.shop.invoice(customer or self.jane, *amounts, **params)
        self.deliver()
        return invoice

    def refund(self, invoice, amount=None):
        refund = self.shop.refund(invoice, amount)
        self.deliver()
        return refund

    def earn(self, amount, affiliate=None, **values):
        affiliate = affiliate or self.drona
        row = (
            self.env["affiliate.commission"]
            .sudo()
            .create(
                {
                    "affiliate_id": affiliate.id,
                    "program_id": affiliate.program_id.id,
                    "currency_id": self.usd.id,
                    "amount": amount,
                    "date": "2026-01-15",
                    "is_approved": True,
                    "explanation": "By hand",
                    **values,
                }
            )
        )
        return row.sudo(False)

    def pay(self, move, **values):
        self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=move.ids
        ).create(values)._create_payments()

    def reversal(self, moves, **values):
        """Core's dialog, as the button "Credit Note" of the bill opens it."""
        return (
            self.env["account.move.reversal"]
            .with_context(active_model="account.move", active_ids=moves.ids)
            .create({"journal_id": moves.journal_id[:1].id, **values})
        )

    def reverse(self, moves, post=True, **values):
        wizard = self.reversal(moves, **values)
        wizard.refund_moves()
        if post:
            wizard.new_move_ids.action_post()
        return wizard.new_move_ids

    def replace(self, moves):
        """Core's button "Reverse and Create Bill"."""
        wizard = self.reversal(moves)
        wizard.modify_moves()
        return wizard.new_move_ids.sorted("id")

    def credit_note(self, amount, taxes=(), **line):
        note = self.draft_credit_note(amount, taxes, **line)
        note.action_post()
        return note

    def draft_credit_note(self, amount, taxes=(), **line):
        taxes = [(6, 0, [tax.id for tax in taxes])]
        line = {"name": "x", "price_unit": amount, "tax_ids": taxes, **line}
        return self.env["account.move"].create(
            {
                "move_type": "in_refund",
                "partner_id": self.drona.partner_id.id,
                "currency_id": self.usd.id,
                "invoice_date": fields.Date.context_today(self.drona),
                "invoice_line_ids": [(0, 0, line)],
            }
        )

    def payable(self, move):
        return move.line_ids.filtered(
            lambda line: line.account_type == "liability_payable"
        )

    def apply(self, note, bill):
        """The link "Add" under the bill's outstanding debits."""
        bill.js_assign_outstanding_line(self.payable(note).id)

    def pay_by_entry(self, move):
        """What is still open was paid, which is booked as a journal entry."""
        line = self.payable(move)
        amount = line.amount_residual
        values = {"currency_id": self.usd.id, "partner_id": move.partner_id.id}
        bank = self.company_data["default_journal_bank"].default_account_id
        entry = self.env["account.move"].create(
            {
                "move_type": "entry",
                "line_ids": [
                    (
                        0,
                        0,
                        {
                            "account_id": account.id,
                            "balance": balance,
                            "amount_currency": balance,
                            **values,
                        },
                    )
                    for account, balance in (
                        (line.account_id, -amount),
                        (bank, amount),
                    )
                ],
            }
        )
        entry.action_post()
        self.apply(entry, move)
        self.assertEqual(move.amount_residual, 0)

    def settled(self):
        """A settlement of 80.00 with its draft bill, and its row."""
        row = self.earn(80)
        settlement = self.settle()
        self.assertEqual(settlement.amount_total, 80)
        return settlement, row

    def owed(self, affiliate=None):
        """What posted bills and credit notes owe to the affiliate, without tax."""
        partner = (affiliate or self.drona).partner_id
        moves = self.env["account.move"].search(
            [("partner_id", "=", partner.id), ("state", "=", "posted")]
        )
        return round(
            sum(
                -move.amount_untaxed
                if move.move_type == "in_refund"
                else move.amount_untaxed
                for move in moves
            ),
            2,
        )

    @contextmanager
    def assert_refused(self, pattern):
        """And nothing of it stays."""
        with self.assertRaisesRegex(UserError, pattern), self.env.cr.savepoint():
            yield
        self.env.invalidate_all()

    def assert_freed(self, settlement, rows):
        self.env.invalidate_all()
        self.assertEqual(settlement.state, "cancelled")
        self.assertEqual(set(rows.mapped("state")), {"approved"})
        self.assertFalse(rows.settlement_id)

    def edit(self, move, **values):
        with Form(move) as form:
            for name, value in values.items():
                setattr(form, name, value)

    def edit_line(self, move, **values):
        with Form(move) as form, form.invoice_line_ids.edit(0) as line:
            for name, value in values.items():
                setattr(line, name, value)

    def two_ways(self, move):
        """The dialog that posting a bill which differs leads to."""
        with self.assertRaises(RedirectWarning) as refused:
            move.action_post()
        self.env.invalidate_all()
        _message, action, _button, context = refused.exception.args
        action = self.env["ir.actions.act_window"].browse(action)
        # As its form does, which has to know the bill.
        return Form(self.env[action.res_model].with_context(**context)).save()


@tagged("post_install", "-at_install")
class TestBillsUndone(BillCase):
    # --- reversed ----------------------------------------------------------------

    def test_reverse_and_create_bill_puts_another_in_its_place(self):
        settlement, row = self.settled()
        first = settlement.move_id
        first.action_post()
        second = self.replace(first)
        self.assertEqual(settlement.move_id, second)
        self.assertEqual(second.affiliate_origin_id, settlement)
        self.assertEqual((settlement.state, row.state), ("confirmed", "settled"))
        self.assertFalse(self.collect(), "the rows are on the new bill")
        second.action_post()
        self.assertEqual((settlement.state, row.state), ("billed", "settled"))
        self.assertEqual(self.owed(), 80)
        self.pay(second)
        self.assertEqual((settlement.state, row.state), ("paid", "paid"))

    def test_replacing_a_replacement_several_at_once_and_paid_ones(self):
        uma = self.make_affiliate(self.program, "Uma Iyer")
        self.earn(80)
        self.earn(70, uma)
        settlements = self.settle()
        for _time in range(2):
            settlements.move_id.action_post()
            self.pay(settlements.move_id[0])
            old = settlements.move_id
            self.replace(old)
            self.assertFalse(settlements.move_id & old)
            for settlement in settlements:
                move = settlement.move_id
                self.assertEqual(settlement.state, "confirmed")
                self.assertEqual(move.partner_id, settlement.partner_id)
                self.assertEqual(move.amount_untaxed, settlement.amount_total)
        settlements.move_id.action_post()
        self.assertEqual((self.owed(), self.owed(uma)), (80, 70))

    def test_replacing_a_vendor_credit_note(self):
        self.earn(-30)
        settlement = self.settle(allow_negative=True)
        settlement.move_id.action_post()
        second = self.replace(settlement.move_id)
        self.assertEqual(settlement.move_id, second)
        second.action_post()
        self.assertEqual((settlement.state, self.owed()), ("billed", -30))

    def test_a_replacement_needs_the_reversal_to_be_posted(self):
        settlement, _row = self.settled()
        bill = settlement.move_id
        bill.action_post()
        later = fields.Date.context_today(bill) + timedelta(days=3)
        with self.assert_refused("today"):
            self.reversal(bill, date=later).modify_moves()

    def test_a_replaced_bill_does_not_come_back(self):
        settlement, _row = self.settled()
        first = settlement.move_id
        first.action_post()
        second = self.replace(first)
        note = first.reversal_move_ids
        with self.assert_refused(settlement.name):
            note.button_draft()
        with self.assert_refused(settlement.name):
            note.button_cancel()
        with self.assert_refused(settlement.name):
            self.reverse(note)
        self.env.invalidate_all()
        second.action_post()
        self.assertEqual(self.owed(), 80)

    def test_a_reversed_bill_frees_its_rows_at_once(self):
        settlement, row = self.settled()
        settlement.move_id.action_post()
        note = self.reverse(settlement.move_id, post=False)
        self.assertEqual((settlement.state, row.state), ("billed", "settled"))
        note.action_post()
        self.assert_freed(settlement, row)
        again = self.settle()
        self.assertEqual(again.amount_total, 80)
        again.move_id.action_post()
        self.assertEqual(self.owed(), 80)

    def test_a_bill_reversed_after_it_was_paid(self):
        settlement, row = self.settled()
        bill = settlement.move_id
        bill.action_post()
        self.pay(bill)
        self.assertEqual(settlement.state, "paid")
        self.reverse(bill)
        self.assertEqual(bill.payment_state, "paid", "core leaves the payment alone")
        self.assert_freed(settlement, row)
        self.assertEqual(self.settle().amount_total, 80)

    def test_a_bill_reversed_after_it_was_paid_in_part(self):
        settlement, row = self.settled()
        settlement.move_id.action_post()
        self.pay(settlement.move_id, amount=20)
        self.reverse(settlement.move_id)
        self.assert_freed(settlement, row)

    def test_a_vendor_credit_note_that_is_reversed_is_cancelled(self):
        row = self.earn(-30)
        settlement = self.settle(allow_negative=True)
        settlement.move_id.action_post()
        self.reverse(settlement.move_id)
        self.assert_freed(settlement, row)
        self.earn(100)
        self.assertEqual(self.settle().amount_total, 70)

    def test_the_reversal_of_a_reversal(self):
        settlement, row = self.settled()
        bill = settlement.move_id
        bill.action_post()
        note = self.reverse(bill)
        self.assert_freed(settlement, row)
        with self.assert_refused(settlement.name):
            self.reverse(note)
        with self.assert_refused(settlement.name):
            note.button_draft()
        self.assertEqual(self.owed(), 0)

    def test_a_credit_note_made_by_hand_and_applied_in_full(self):
        settlement, row = self.settled()
        bill = settlement.move_id
        bill.action_post()
        note = self.credit_note(80, bill.invoice_line_ids.tax_ids)
        self.apply(note, bill)
        self.assertEqual(bill.payment_state, "reversed")
        self.assert_freed(settlement, row)
        with self.assert_refused(settlement.name):
            note.button_draft()

    def test_a_bill_netted_with_the_credit_note_of_another_settlement_is_paid(self):
        settlement, row = self.settled()
        settlement.move_id.action_post()
        self.earn(-80)
        other = self.settle(allow_negative=True)
        other.move_id.action_post()
        self.apply(other.move_id, settlement.move_id)
        self.assertEqual(settlement.move_id.payment_state, "reversed", "core's word")
        self.env.invalidate_all()
        self.assertEqual((settlement.state, other.state), ("paid", "paid"))
        self.assertEqual(row.state, "paid")

    def test_a_credit_note_applied_in_part_is_a_payment(self):
        settlement, row = self.settled()
        settlement.move_id.action_post()
        self.apply(self.credit_note(30), settlement.move_id)
        self.assertEqual((settlement.state, row.state), ("billed", "settled"))
        self.pay(settlement.move_id)
        self.assertEqual((settlement.state, row.state), ("paid", "paid"))

    def test_a_reversal_in_part_is_taken_over_or_refused(self):
        settlement, row = self.settled()
        bill = settlement.move_id
        bill.action_post()
        note = self.reverse(bill, post=False)
        self.edit_line(note, price_unit=30)
        wizard = self.two_ways(note)
        self.assertEqual(wizard.difference, -30)
        wizard.reason = "The sale was not ours"
        wizard.action_adjust()
        note.action_post()
        self.env.invalidate_all()
        self.assertEqual((settlement.state, settlement.amount_total), ("billed", 50))
        self.assertEqual((row.state, self.owed()), ("settled", 50))
        rest = self.reverse(bill, post=False)
        self.edit_line(rest, price_unit=50)
        rest.action_post()
        self.assert_freed(settlement, row)
        self.assertEqual(
            (self.collect("2099-12-31").amount_total, self.owed()), (50, 0)
        )

    # --- paid, whatever core calls it --------------------------------------------

    def assert_paid(self, settlement, rows, bill):
        self.env.invalidate_all()
        self.assertEqual(bill.payment_state, "reversed", "core's word")
        self.assertEqual(settlement.state, "paid")
        self.assertEqual(set(rows.mapped("state")), {"paid"})
        self.assertFalse(self.collect("2099-12-31", allow_negative=True))

    def test_a_small_credit_note_and_an_entry_for_the_rest_are_a_payment(self):
        settlement, row = self.settled()
        bill = settlement.move_id
        bill.action_post()
        self.apply(self.credit_note(30), bill)
        self.pay_by_entry(bill)
        self.assert_paid(settlement, row, bill)

    def test_the_rest_of_a_bill_reversed_in_part_is_paid_by_an_entry(self):
        settlement, row = self.settled()
        bill = settlement.move_id
        bill.action_post()
        note = self.reverse(bill, post=False)
        self.edit_line(note, price_unit=30)
        wizard = self.two_ways(note)
        wizard.reason = "The sale was not ours"
        wizard.action_adjust()
        note.action_post()
        self.pay_by_entry(bill)
        self.assert_paid(settlement, settlement.commission_ids | row, bill)

    def test_a_vendor_credit_note_that_was_repaid_by_an_entry(self):
        row = self.earn(-30)
        settlement = self.settle(allow_negative=True)
        note = settlement.move_id
        note.action_post()
        self.pay_by_entry(note)
        self.assert_paid(settlement, row, note)

    def test_a_credit_note_for_other_things_is_a_payment(self):
        """Its sum is that of the bill: with taxes, or even without."""
        for amount, taxes in ((92, ()), (80, self.tax_purchase_a)):
            with self.subTest(amount=amount):
                note = self.credit_note(amount, taxes)
                settlement, row = self.settled()
                bill = settlement.move_id
                bill.action_post()
                self.assertEqual((bill.amount_untaxed, bill.amount_total), (80, 92))
                self.apply(note, bill)
                self.assert_paid(settlement, row, bill)
                self.assertFalse(note.reversed_entry_id)

    def test_a_credit_note_dated_before_the_bill_is_a_payment(self):
        settlement, row = self.settled()
        bill = settlement.move_id
        bill.action_post()
        note = self.draft_credit_note(80, bill.invoice_line_ids.tax_ids)
        note.invoice_date = bill.invoice_date - timedelta(days=9)
        note.action_post()
        self.apply(note, bill)
        self.assert_paid(settlement, row, bill)

    def test_an_older_credit_note_for_the_commissions_undoes_the_bill(self):
        note = self.draft_credit_note(
            80, self.tax_purchase_a, product_id=self.program.product_id.id
        )
        settlement, row = self.settled()
        note.action_post()
        settlement.move_id.action_post()
        self.apply(note, settlement.move_id)
        self.assert_freed(settlement, row)

    # --- cancelled, deleted, duplicated ------------------------------------------

    def test_a_cancelled_bill_frees_its_rows_at_once(self):
        for posted in (False, True):
            with self.subTest(posted=posted):
                settlement, row = self.settled()
                bill = settlement.move_id
                if posted:
                    bill.action_post()
                bill.button_cancel()
                self.assert_freed(settlement, row)
                again = self.settle()
                self.assertEqual(again.amount_total, 80)
                bill.button_draft()
                with self.assert_refused(settlement.name):
                    bill.action_post()
                self.env.invalidate_all()
                again.move_id.action_post()
                self.reverse(again.move_id)
                row.sudo().void_reason = "Next part"
                self.assertEqual(self.owed(), 0)

    def test_a_bill_does_not_go_while_part_of_it_is_reversed(self):
        settlement, _row = self.settled()
        bill = settlement.move_id
        bill.action_post()
        note = self.reverse(bill, post=False)
        self.edit_line(note, price_unit=30)
        wizard = self.two_ways(note)
        wizard.reason = "Half of it"
        wizard.action_adjust()
        note.action_post()
        for button in (bill.button_cancel, bill.button_draft):
            with self.assert_refused(note.name):
                button()

    def test_a_credit_note_that_was_agreed_is_neither_deleted_nor_cancelled(self):
        settlement, _row = self.settled()
        bill = settlement.move_id
        bill.action_post()
        self.pay(bill)
        note = self.reverse(bill, post=False)
        self.edit_line(note, price_unit=30)
        wizard = self.two_ways(note)
        wizard.reason = "Half of it"
        wizard.action_adjust()
        for button in (note.unlink, note.button_cancel):
            with self.assert_refused("by hand"):
                button()
        note.action_post()
        with self.assert_refused("by hand"):
            note.button_draft()
        self.assertEqual((settlement.amount_total, self.owed()), (50, 50))

    def test_a_draft_credit_note_that_was_not_agreed_is_deleted(self):
        settlement, _row = self.settled()
        bill = settlement.move_id
        bill.action_post()
        for amount in (30, 80):
            note = self.reverse(bill, post=False)
            self.edit_line(note, price_unit=amount)
            note.unlink()
        self.assertEqual((settlement.state, self.owed()), ("billed", 80))

    def duplicate(self, move):
        """As the action of the bill does, with the date that core asks for."""
        action = move.action_duplicate()
        copy = self.env["account.move"].browse(action["res_id"])
        copy.invoice_date = move.invoice_date
        return copy

    def test_a_duplicate_is_not_posted(self):
        settlement, _row = self.settled()
        bill = settlement.move_id
        copy = self.duplicate(bill)
        self.assertEqual(settlement.move_id, bill)
        with self.assert_refused(settlement.name):
            copy.action_post()
        bill.action_post()
        for move in (copy, self.duplicate(bill), self.duplicate(copy)):
            with self.assert_refused(settlement.name):
                move.action_post()
            with self.assert_refused(settlement.name):
                move.action_validate_moves_with_confirmation()
        note = self.reverse(bill)
        for move in (bill, note):
            with self.assert_refused(settlement.name):
                self.duplicate(move).action_post()
        self.assertEqual(self.owed(), 0)

    def test_a_recurring_bill_is_not_posted_again(self):
        settlement, _row = self.settled()
        bill = settlement.move_id
        bill.auto_post = "monthly"
        bill.action_post()
        copies = self.env["account.move"].search(
            [("auto_post_origin_id", "=", bill.id)]
        )
        following = copies - bill
        self.assertTrue(following)
        following.write(
            {"date": bill.date, "invoice_date": bill.date, "auto_post": "no"}
        )
        with self.assert_refused(settlement.name):
            following.action_post()

    def test_a_copy_does_not_stand_in_for_a_deleted_bill(self):
        settlement, _row = self.settled()
        copy = self.duplicate(settlement.move_id)
        settlement.move_id.unlink()
        self.env.invalidate_all()
        self.assertIn("deleted", settlement.problem)
        with self.assert_refused(settlement.name):
            copy.action_post()
        self.env.invalidate_all()
        settlement.action_make_bill()
        self.assertFalse(settlement.problem)
        settlement.move_id.action_post()
        self.assertEqual(self.owed(), 80)

    # --- edited ------------------------------------------------------------------

    def test_a_bill_with_another_amount_restored(self):
        settlement, _row = self.settled()
        bill = settlement.move_id
        self.edit_line(bill, price_unit=70)
        self.two_ways(bill).action_restore()
        self.assertEqual(bill.amount_untaxed, 80)
        bill.action_post()
        self.assertEqual(settlement.state, "billed")

    def test_a_bill_with_another_amount_taken_over(self):
        for price, difference in ((70, -10), (95, 15)):
            with self.subTest(price=price):
                settlement, row = self.settled()
                bill = settlement.move_id
                self.edit_line(bill, price_unit=price)
                wizard = self.two_ways(bill)
                self.assertEqual(wizard.difference, difference)
                with self.assert_refused("reason"):
                    wizard.action_adjust()
                wizard.reason = "As agreed"
                wizard.action_adjust()
                adjustment = settlement.commission_ids - row
                self.assertRecordValues(
                    adjustment,
                    [
                        {
                            "kind": "adjustment",
                            "amount": difference,
                            "explanation": "As agreed",
                            "state": "settled",
                            "affiliate_id": self.drona.id,
                        }
                    ],
                )
                bill.action_post()
                self.assertEqual(settlement.amount_total, price)
                self.pay(bill)
                self.assertEqual((settlement | settlement).state, "paid")

    def test_a_line_added_to_a_bill(self):
        settlement, _row = self.settled()
        bill = settlement.move_id
        with Form(bill) as form, form.invoice_line_ids.new() as line:
            line.name = "Travel"
            line.price_unit = 15
            line.tax_ids.clear()
        self.assertEqual(self.two_ways(bill).difference, 15)
        self.assertIn("95.00", bill.affiliate_difference.replace("\xa0", " "))
        self.two_ways(bill).action_restore()
        self.assertEqual(len(bill.invoice_line_ids), 1)
        bill.action_post()
        self.assertEqual(self.owed(), 80)

    def test_the_day_of_an_adjustment_is_the_day_of_the_business(self):
        late = fields.Datetime.now().hour >= 10
        self.account.sudo()._set_timezone(
            "Pacific/Kiritimati" if late else "Etc/GMT+12"
        )
        settlement, row = self.settled()
        today = settlement._today()
        self.assertNotEqual(today, fields.Date.context_today(settlement))
        self.edit_line(settlement.move_id, price_unit=70)
        wizard = self.two_ways(settlement.move_id)
        wizard.reason = "As agreed"
        wizard.action_adjust()
        self.assertEqual((settlement.commission_ids - row).date, today)

    def add_line(self, move, amount, **values):
        with Form(move) as form, form.invoice_line_ids.new() as line:
            line.name = "Bonus"
            for name, value in values.items():
                setattr(line, name, value)
            line.price_unit = amount
            line.tax_ids.clear()

    def take_over(self, move, reason="As agreed"):
        wizard = self.two_ways(move)
        wizard.reason = reason
        wizard.action_adjust()

    def test_a_line_that_was_taken_over_counts_when_the_bill_is_written_again(self):
        for product in (self.env["product.product"], self.program.product_id):
            with self.subTest(product=product.name):
                invoice = self.sell(16000)
                settlement = self.settle()
                bill = settlement.move_id
                self.add_line(bill, 15, product_id=product)
                self.take_over(bill)
                self.refund(invoice, 4000)
                self.assertEqual(
                    (settlement.amount_total, bill.amount_untaxed), (75, 75)
                )
                self.assertEqual(bill.invoice_line_ids.mapped("price_unit"), [60, 15])
                bill.action_post()
                self.assertEqual(settlement.state, "billed")
                self.reverse(bill)
                for row in self.rows().filtered(lambda row: not row.void_reason):
                    row.sudo().void_reason = "Next part"

    def test_a_line_that_was_taken_over_and_is_all_that_is_left(self):
        invoice = self.sell(16000)
        settlement = self.settle()
        bill = settlement.move_id
        self.add_line(bill, 15)
        self.take_over(bill)
        self.refund(invoice)
        self.assertEqual((settlement.amount_total, bill.amount_untaxed), (15, 15))
        self.assertEqual(len(bill.invoice_line_ids), 1)
        bill.action_post()
        self.assertEqual(settlement.state, "billed")

    def test_a_line_of_a_vendor_credit_note_that_was_taken_over(self):
        invoice = self.sell(10000)
        self.settle().move_id.action_post()
        refund = self.refund(invoice, 6000)
        self.earn(-70)
        settlement = self.settle(allow_negative=True)
        bill = settlement.move_id
        self.add_line(bill, 15)
        self.take_over(bill)
        self.assertEqual(settlement.amount_total, -115)
        self.double.refund_status(refund["id"], "failed")
        self.deliver()
        self.assertEqual((settlement.amount_total, bill.amount_untaxed), (-85, 85))
        bill.action_post()
        self.assertEqual((settlement.state, self.owed()), ("billed", -35))

    def test_a_bill_in_another_currency_or_of_another_vendor(self):
        eur = self.env.ref("base.EUR")
        eur.active = True
        self.env["res.currency.rate"].create(
            {"currency_id": eur.id, "rate": 0.9, "name": "2020-01-01"}
        )
        other = self.env["res.partner"].create({"name": "Somebody else"})
        for name, value in (("currency_id", eur), ("partner_id", other)):
            with self.subTest(name):
                settlement, row = self.settled()
                bill = settlement.move_id
                self.edit(bill, **{name: value})
                wizard = self.two_ways(bill)
                self.assertFalse(wizard.can_adjust)
                wizard.reason = "No"
                with self.assertRaises(UserError):
                    wizard.action_adjust()
                wizard.action_restore()
                self.assertEqual(bill[name], settlement[name])
                self.assertEqual(bill.amount_untaxed, 80)
                bill.action_post()
                self.reverse(bill)
                row.sudo().void_reason = "Next part"

    def test_an_address_of_the_same_vendor_is_no_other_vendor(self):
        settlement, _row = self.settled()
        address = self.env["res.partner"].create(
            {
                "name": "Invoices",
                "type": "invoice",
                "parent_id": self.drona.partner_id.id,
            }
        )
        settlement.move_id.partner_id = address
        settlement.move_id.action_post()
        self.assertEqual(settlement.state, "billed")

    def test_a_bill_turned_into_a_credit_note(self):
        settlement, _row = self.settled()
        bill = settlement.move_id
        bill.action_switch_move_type()
        wizard = self.two_ways(bill)
        self.assertEqual(wizard.difference, -160)
        wizard.action_restore()
        settlement.move_id.action_post()
        self.assertEqual((settlement.state, self.owed()), ("billed", 80))

    def test_an_edited_bill_with_taxes_and_dates_stays_what_it_is(self):
        settlement, _row = self.settled()
        bill = settlement.move_id
        tax = self.tax_purchase_a
        self.edit_line(bill, tax_ids=tax, name="Commissions")
        self.edit(bill, ref="Their number 7")
        bill.action_post()
        self.assertEqual((settlement.state, self.owed()), ("billed", 80))

    def test_who_may_not_take_over_is_told_who_may(self):
        settlement, _row = self.settled()
        bill = settlement.move_id
        self.edit_line(bill, price_unit=70)
        clerk = new_test_user(
            self.env,
            "clerk",
            groups="account.group_account_invoice",
            company_id=self.env.company.id,
            company_ids=[(6, 0, self.env.company.ids)],
        )
        with self.assert_refused("ccountant"):
            bill.with_user(clerk).action_post()

    def test_bills_of_other_companies_are_not_told_of(self):
        settlement, _row = self.settled()
        bill = settlement.move_id
        self.edit_line(bill, price_unit=70)
        company = self.env["res.company"].sudo().create({"name": "Other"})
        stranger = new_test_user(
            self.env,
            "stranger",
            groups="affiliate_stripe.group_affiliate_accountant",
            company_id=company.id,
            company_ids=[(6, 0, company.ids)],
        )
        wizards = self.env["affiliate.bill.wizard"].with_user(stranger)
        fields_spec = {"message": {}, "difference": {}, "settlement_id": {}}
        self.env.flush_all()
        self.env.invalidate_all()
        with self.assertRaises(AccessError), self.env.cr.savepoint():
            wizards.create({"move_id": bill.id}).read(["difference"])
        with self.assertRaises(AccessError), self.env.cr.savepoint():
            wizards.create({"move_id": bill.id}).web_read({"move_id": {}})
        with self.assertRaises(AccessError):
            wizards.with_context(default_move_id=bill.id).onchange(
                {}, [], {"move_id": {}, **fields_spec}
            )

    def test_who_has_nothing_to_do_with_affiliates_reads_bills_and_contacts(self):
        settlement, _row = self.settled()
        clerk = new_test_user(
            self.env,
            "clerk",
            groups="account.group_account_invoice",
            company_id=self.env.company.id,
            company_ids=[(6, 0, self.env.company.ids)],
        )
        others = self.env["account.move"].create({"move_type": "entry"})
        self.env.flush_all()
        self.env.invalidate_all()
        for move in settlement.move_id, others:
            values = move.with_user(clerk).read()[0]
            self.assertEqual(values["id"], move.id)
            self.assertNotIn("affiliate_settlement_ids", values)
        self.assertIn("affiliate_settlement_ids", settlement.move_id.read()[0])
        partners = self.env["res.partner"].with_user(clerk)
        self.assertNotIn("affiliate_enrolment_ids", partners.fields_get())

    def test_copies_of_other_moves_are_left_alone(self):
        move = self.credit_note(30)
        written = []
        model = self.env.registry["account.move"]
        write = model.write

        def spy(moves, vals):
            written.append(vals)
            return write(moves, vals)

        with patch.object(model, "write", spy):
            move.copy()
        self.assertNotIn("affiliate_origin_id", set().union(*written))

    def test_automatic_posting_goes_on_past_a_bill_that_differs(self):
        """Core's scheduled action knows messages only, and tries one by one then."""
        settlement, _row = self.settled()
        bill = settlement.move_id
        self.edit_line(bill, price_unit=70)
        with self.assertRaises(UserError):
            bill._post()

    # --- the ledger goes on ------------------------------------------------------

    def test_a_dispute_while_the_bill_is_a_draft(self):
        invoice = self.sell(10000)
        self.sell(20000)
        settlement = self.settle()
        bill = settlement.move_id
        self.assertEqual(bill.amount_untaxed, 150)
        dispute = self.double.open_dispute(self.shop.charge_of(invoice))
        self.deliver()
        self.assertEqual((settlement.amount_total, bill.amount_untaxed), (100, 100))
        bill.action_post()
        self.double.close_dispute(dispute["id"], "won")
        self.deliver()
        self.assertEqual(self.settle().amount_total, 50)

    def test_a_refund_while_the_bill_is_a_draft(self):
        invoice = self.sell(10000)
        settlement = self.settle()
        bill = settlement.move_id
        refund = self.refund(invoice, 4000)
        self.assertEqual((settlement.amount_total, bill.amount_untaxed), (30, 30))
        self.double.refund_status(refund["id"], "failed")
        self.deliver()
        self.assertEqual((settlement.amount_total, bill.amount_untaxed), (50, 50))
        self.assertEqual(bill.state, "draft")
        self.assertEqual(set(self.rows().mapped("state")), {"settled"})
        bill.action_post()
        self.assertEqual(self.owed(), 50)

    def test_a_refund_while_the_settlement_is_a_draft(self):
        invoice = self.sell(10000)
        settlement = self.collect()
        self.refund(invoice, 4000)
        self.assertEqual(settlement.amount_total, 30)
        settlement.action_confirm()
        self.assertEqual(settlement.move_id.amount_untaxed, 30)

    def test_a_full_refund_while_the_bill_is_a_draft(self):
        invoice = self.sell(10000)
        settlement = self.settle()
        bill = settlement.move_id
        self.refund(invoice)
        self.assertEqual((settlement.state, bill.state), ("paid", "cancel"))
        self.assertEqual((settlement.amount_total, self.owed()), (0, 0))
        self.assertFalse(self.collect())

    def test_a_draft_bill_that_falls_below_the_minimum(self):
        self.program.minimum_payout = 40
        invoice = self.sell(10000)
        settlement = self.settle()
        bill = settlement.move_id
        self.refund(invoice, 4000)
        self.assertEqual(bill.state, "cancel")
        self.assert_freed(settlement, self.rows())
        self.sell(3000)
        self.assertEqual(self.settle().amount_total, 45)

    def test_a_draft_vendor_credit_note_follows_too(self):
        invoice = self.sell(10000)
        first = self.settle()
        first.move_id.action_post()
        refund = self.refund(invoice)
        second = self.settle(allow_negative=True)
        self.assertEqual(second.move_id.amount_untaxed, 50)
        self.earn(20)
        self.double.refund_status(refund["id"], "failed")
        self.deliver()
        self.assertEqual((second.state, second.amount_total), ("paid", 0))
        self.assertEqual(second.move_id.state, "cancel")
        self.assertEqual(self.collect().amount_total, 20)

    def test_other_lines_of_a_draft_bill_stay_when_it_is_written_again(self):
        invoice = self.sell(10000)
        settlement = self.settle()
        bill = settlement.move_id
        with Form(bill) as form, form.invoice_line_ids.new() as line:
            line.name = "Travel"
            line.price_unit = 15
            line.tax_ids.clear()
        self.refund(invoice, 4000)
        self.assertEqual(bill.amount_untaxed, 45)
        self.assertEqual(self.two_ways(bill).difference, 15)

    def test_a_bill_reset_to_draft_follows_what_happened_since(self):
        invoice, other = self.sell(10000), self.sell(20000)
        settlement = self.settle()
        bill = settlement.move_id
        bill.action_post()
        self.refund(invoice, 4000)
        self.double.open_dispute(self.shop.charge_of(other))
        self.deliver()
        self.assertEqual(settlement.amount_total, 150)
        bill.button_draft()
        self.env.invalidate_all()
        self.assertEqual((settlement.amount_total, bill.amount_untaxed), (30, 30))
        bill.action_post()
        self.assertEqual(self.owed(), 30)

    def test_a_row_held_by_hand_leaves_the_draft_bill(self):
        row, other = self.earn(50), self.earn(30)
        settlement = self.settle()
        row.action_hold()
        self.assertEqual((row.state, row.on_hold), ("approved", True))
        self.assertEqual(settlement.move_id.amount_untaxed, 30)
        settlement.move_id.action_post()
        with self.assert_refused("posted"):
            other.action_hold()

    def test_a_suspended_affiliates_drafts_are_given_back(self):
        row = self.earn(80)
        for confirm in (False, True):
            with self.subTest(confirm=confirm):
                settlement = self.collect()
                if confirm:
                    settlement.action_confirm()
                bill = settlement.move_id
                self.drona.action_suspend()
                self.env.invalidate_all()
                self.assertEqual(row.state, "approved")
                self.assertFalse(row.settlement_id)
                self.assertNotIn("draft", bill.mapped("state"))
                wizard = self.env["affiliate.settlement.wizard"].create(
                    {"date_to": "2026-01-31"}
                )
                self.assertNotIn("80", wizard.due_text)
                self.drona.action_reactivate()
        self.assertEqual(self.collect().amount_total, 80)

    def test_the_statement_of_the_bill_is_that_of_its_rows(self):
        invoice = self.sell(10000)
        settlement = self.settle()
        bill = settlement.move_id
        attachments = self.env["ir.attachment"].search(
            [("res_model", "=", "account.move"), ("res_id", "=", bill.id)]
        )
        self.assertEqual(len(attachments), 1)
        self.refund(invoice, 4000)
        self.assertFalse(attachments.exists(), "it says 50.00")
        bill.action_post()
        again = self.env["ir.attachment"].search(
            [("res_model", "=", "account.move"), ("res_id", "=", bill.id)]
        )
        self.assertEqual(len(again), 1)

    # --- what cannot be posted ---------------------------------------------------

    def activities(self, settlement):
        return settlement.sudo().activity_ids

    def test_an_archived_journal_is_told_with_the_way_out(self):
        journal = self.company_data["default_journal_purchase"].copy({"code": "AFFI"})
        journal.name = "Affiliates"
        self.program.journal_id = journal
        journal.active = False
        settlement, _row = self.settled()
        self.assertFalse(settlement.move_id)
        self.assertIn("Affiliates", settlement.problem)
        self.assertIn("archived", settlement.problem)
        self.assertIn("Affiliates", str(self.activities(settlement).note))
        journal.active = True
        self.env.invalidate_all()
        self.assertFalse(settlement.problem)
        self.assertFalse(self.activities(settlement))
        settlement.action_make_bill()
        with self.assert_refused("draft"):
            journal.active = False
        settlement.move_id.action_post()
        self.assertEqual((settlement.state, self.owed()), ("billed", 80))

    def test_an_archived_currency_is_told_with_the_way_out(self):
        settlement, _row = self.settled()
        self.company_data["company"].sudo().currency_id = self.env.ref("base.USD")
        eur = self.env.ref("base.EUR")
        eur.active = True
        self.env["res.currency.rate"].create(
            {"currency_id": eur.id, "rate": 0.9, "name": "2020-01-01"}
        )
        self.earn(70, currency_id=eur.id)
        other = self.settle()
        eur.active = False
        self.env.invalidate_all()
        self.assertIn("EUR", other.problem)
        self.assertIn("EUR", str(self.activities(other).note))
        self.assertFalse(settlement.problem)
        eur.active = True
        self.env.invalidate_all()
        self.assertFalse(other.problem)
        self.assertFalse(self.activities(other))
        other.move_id.action_post()
        self.assertEqual(other.state, "billed")

    # --- due now -----------------------------------------------------------------

    def due_now(self, **values):
        wizard = self.env["affiliate.settlement.wizard"].create(
            {"date_to": "2026-01-31", **values}
        )
        return wizard.due_text.replace("\xa0", " ").replace("\ufeff", "")

    def test_due_now_is_what_a_run_takes(self):
        self.program.minimum_payout = 50
        names = ("Uma Iyer", "Zoe Lang", "Max Roth", "Kai Abe")
        small, negative, suspended, held = (
            self.make_affiliate(self.program, name) for name in names
        )
        self.earn(80)
        self.earn(11, small)
        self.earn(-13, negative)
        self.earn(170, suspended)
        self.earn(190, held).action_hold()
        suspended.action_suspend()
        taken, carried = self.due_now().split("\n")
        self.assertRegex(taken, r"80\.00.*1\b")
        self.assertRegex(carried, r"-2\.00.*2\b")
        taken, carried = self.due_now(allow_negative=True).split("\n")
        self.assertRegex(taken, r"67\.00.*2\b")
        self.assertRegex(carried, r"11\.00.*1\b")
        self.assertEqual(sum(self.collect().mapped("amount_total")), 80)


@tagged("post_install", "-at_install")
class TestUpgrade(BillCase):
    """Bills were not tied to their settlements before, and nothing followed them."""

    def upgrade(self):
        path = "affiliate_stripe/migrations/19.0.1.0.2/end-bills.py"
        spec = importlib.util.spec_from_file_location("post_bills", file_path(path))
        script = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(script)
        self.env.flush_all()
        script.migrate(self.env.cr, None)
        self.env.invalidate_all()

    def as_before(self, settlement, bill, row):
        """What an earlier version has stored of a settlement with this bill."""
        self.env.flush_all()
        self.env.cr.execute(
            """UPDATE account_move SET affiliate_origin_id = NULL;
               UPDATE affiliate_settlement SET move_id = %s, step = 'confirmed'
                WHERE id = %s;
               UPDATE affiliate_commission SET settlement_id = %s WHERE id = %s""",
            [bill.id, settlement.id, settlement.id, row.id],
        )
        self.env.invalidate_all()
        for record in settlement, row:
            self.env.add_to_compute(record._fields["state"], record)

    def test_a_replaced_bill_is_not_paid_twice(self):
        for posted in (True, False):
            with self.subTest(posted=posted):
                settlement, row = self.settled()
                first = settlement.move_id
                first.action_post()
                second = self.replace(first)
                third = self.replace_posted(second)
                if posted:
                    third.action_post()
                self.as_before(settlement, first, row)
                self.upgrade()
                self.assertEqual(settlement.move_id, third)
                self.assertEqual(
                    (settlement.state, row.state),
                    ("billed" if posted else "confirmed", "settled"),
                )
                self.assertFalse(self.collect())
                if not posted:
                    third.action_post()
                self.assertEqual(self.owed(), 80)
                with self.assert_refused(settlement.name):
                    first.reversal_move_ids.button_draft()
                self.env.invalidate_all()
                self.reverse(third)
                self.assert_freed(settlement, row)
                row.sudo().void_reason = "Next part"

    def replace_posted(self, bill):
        bill.action_post()
        return self.replace(bill)

    def test_what_was_undone_is_due_again(self):
        settlement, row = self.settled()
        bill = settlement.move_id
        bill.action_post()
        self.reverse(bill)
        self.as_before(settlement, bill, row)
        self.assertEqual(row.state, "paid")
        self.upgrade()
        self.assert_freed(settlement, row)

    def test_bills_that_are_there_are_followed_from_now_on(self):
        settlement, row = self.settled()
        bill = settlement.move_id
        copy = bill.copy({"invoice_date": bill.invoice_date})
        self.as_before(settlement, bill, row)
        self.upgrade()
        self.assertEqual(settlement.move_id, bill)
        with self.assert_refused(settlement.name):
            copy.action_post()
        self.env.invalidate_all()
        bill.button_cancel()
        self.assert_freed(settlement, row)

    def test_bills_that_only_look_alike_are_not_tied(self):
        settlement, row = self.settled()
        bill = settlement.move_id
        longer = bill.copy()
        longer.invoice_line_ids.name = f"Commissions {settlement.name}1, Partners"
        others = bill.copy()
        others.partner_id = self.env["res.partner"].create({"name": "Somebody else"})
        self.as_before(settlement, bill, row)
        self.upgrade()
        self.assertEqual(bill.affiliate_origin_id, settlement)
        self.assertFalse((longer | others).affiliate_origin_id)

    def test_a_bill_in_part_reversed_keeps_its_place(self):
        settlement, row = self.settled()
        bill = settlement.move_id
        bill.action_post()
        note = self.reverse(bill, post=False)
        self.edit_line(note, price_unit=30)
        copy, beside = bill.copy(), bill.copy({"invoice_date": bill.invoice_date})
        self.env.flush_all()
        self.env.cr.execute("UPDATE account_move SET affiliate_origin_id = NULL")
        self.env.invalidate_all()
        beside.action_post()
        self.as_before(settlement, bill, row)
        self.upgrade()
        self.assertEqual(settlement.move_id, bill)
        self.assertEqual(copy.affiliate_origin_id, settlement)
        self.assertFalse(beside.affiliate_origin_id, "it is in the books")
        self.assertEqual(row.state, "settled")
