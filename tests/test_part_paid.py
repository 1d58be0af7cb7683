"""Money that came in part, or paid for more than the sale it is about."""

from odoo.tests import tagged

from .money_common import MoneyCase


@tagged("post_install", "-at_install")
class TestUncollectible(MoneyCase):
    def partly_paid(self, *amounts, email="jane@example.com", paid=6000, **params):
        customer = self.shop.customer(email)
        invoice = self.shop.invoice(customer, *amounts, pay=False, **params)
        self.double.pay_invoice(invoice["id"], paid)
        return invoice

    def give_up(self, invoice):
        self.double.advance(days=5)
        self.shop.post(f"invoices/{invoice['id']}/mark_uncollectible")
        self.deliver()

    def test_what_was_paid_before_it_was_given_up_earns(self):
        invoice = self.partly_paid(10000)
        self.deliver()
        self.assertFalse(self.rows(), "open: nothing is earned yet")
        self.give_up(invoice)
        self.assertEqual(self.amounts(), [18.00])
        self.assertEqual(str(self.rows().date), "2026-01-01", "when it was paid")
        self.double.advance(days=90)
        self.double.pay_invoice(invoice["id"])
        self.deliver()
        self.assertEqual(self.amounts(), [18.00, 12.00])
        self.assert_any_order()

    def test_more_is_paid_and_some_goes_back(self):
        invoice = self.partly_paid(5000, 5000)
        self.give_up(invoice)
        self.double.pay_invoice(invoice["id"], 2000)
        self.deliver()
        self.assertEqual(self.total(), 24.00)
        first = self.double.all("charge")[0]
        self.shop.refund(first["id"], 3000)
        self.deliver()
        self.assertEqual(self.total(), 15.00)
        dispute = self.double.open_dispute(first["id"], 3000)
        self.double.close_dispute(dispute["id"], "lost")
        self.deliver()
        self.assertEqual(self.total(), 6.00)
        self.assert_any_order()

    def test_given_up_without_a_payment_uses_up_nothing(self):
        self.program.rule_ids.write({"applies_to": "first"})
        customer = self.shop.customer()
        empty = self.shop.invoice(customer, 10000, pay=False)
        self.give_up(empty)
        self.sell(5000, customer=customer)
        self.assertEqual(self.amounts(), [15.00])

    def test_part_of_it_is_the_first_payment(self):
        """Money was received: whoever pays later is no new customer."""
        self.program.rule_ids.write({"applies_to": "first"})
        customer = self.shop.customer()
        invoice = self.shop.invoice(customer, 10000, pay=False)
        self.double.pay_invoice(invoice["id"], 6000)
        self.give_up(invoice)
        self.sell(5000, customer=customer)
        self.assertEqual(self.amounts(), [18.00])
        self.assert_any_order()

    def test_void_after_all_earns_nothing(self):
        invoice = self.partly_paid(10000)
        self.give_up(invoice)
        self.shop.post(f"invoices/{invoice['id']}/void")
        self.deliver()
        self.assertEqual(self.amounts(), [18.00, -18.00])
        self.assertIn("voided", self.rows()[-1].explanation)
        self.assert_any_order()

    def test_void_after_a_part_payment_earns_nothing(self):
        invoice = self.partly_paid(10000)
        self.shop.post(f"invoices/{invoice['id']}/void")
        self.deliver()
        self.assertFalse(self.rows())

    def part_in_cash(self):
        """Recorded as paid outside of Stripe, and the rest given up."""
        customer = self.shop.customer()
        invoice = self.shop.invoice(customer, 10000, pay=False)
        record = self.shop.post(
            "payment_records/report_payment",
            amount_requested={"value": 6000, "currency": "usd"},
            customer_details={"customer": customer["id"]},
            initiated_at=self.double.now(),
            outcome="guaranteed",
            guaranteed={"guaranteed_at": self.double.now()},
            payment_method_details={
                "type": "custom",
                "custom": {"display_name": "Check"},
            },
        )
        path = f"invoices/{invoice['id']}/attach_payment"
        self.shop.post(path, payment_record=record["id"])
        self.give_up(invoice)

    def test_a_part_in_cash(self):
        self.part_in_cash()
        self.assertEqual(self.amounts(), [18.00])

    def test_a_part_in_cash_where_cash_does_not_count(self):
        self.program.count_out_of_band = False
        self.part_in_cash()
        self.assertFalse(self.rows())

    def test_a_credit_note_for_what_is_not_paid(self):
        """Half is credited instead: what was paid is all there was to pay."""
        invoice = self.partly_paid(10000)
        self.shop.post("credit_notes", invoice=invoice["id"], amount=4000)
        self.deliver()
        self.assertEqual(self.amounts(), [18.00])
        self.assert_any_order()

    def test_with_tax(self):
        rate = self.shop.tax_rate(20)["id"]
        invoice = self.partly_paid(10000, default_tax_rates=[rate])
        self.give_up(invoice)
        self.assertEqual(self.amounts(), [15.00])


@tagged("post_install", "-at_install")
class TestOldDebt(MoneyCase):
    def owing(self, *amounts, debt=5000, **params):
        """A paid invoice of somebody who owed something before."""
        return self.sell(*amounts, customer=self.shop.customer(balance=debt), **params)

    def test_refunds_go_back_to_both_in_proportion(self):
        invoice = self.owing(10000)
        self.assertEqual((invoice["total"], invoice["amount_paid"]), (10000, 15000))
        self.assertEqual(self.total(), 30.00)
        for left in (20.00, 10.00, 0.00):
            self.double.advance(days=1)
            self.shop.refund(invoice, 5000)
            self.deliver()
            self.assertEqual(self.total(), left)
        self.assertEqual(self.amounts(), [30.00, -10.00, -10.00, -10.00])
        self.assert_any_order()

    def test_with_tax_and_several_lines(self):
        rate = self.shop.tax_rate(20)["id"]
        invoice = self.owing(6000, 4000, debt=6000, default_tax_rates=[rate])
        self.assertEqual((invoice["total"], invoice["amount_paid"]), (12000, 18000))
        self.assertEqual(sorted(self.amounts()), [12.00, 18.00])
        self.shop.refund(invoice, 9000)
        self.deliver()
        self.assertEqual(sorted(self.amounts()), [-9.00, -6.00, 12.00, 18.00])

    def test_a_lost_dispute_of_a_part(self):
        invoice = self.owing(10000)
        dispute = self.double.open_dispute(self.shop.charge_of(invoice), 7500)
        self.double.close_dispute(dispute["id"], "lost")
        self.deliver()
        self.assertEqual(self.total(), 15.00)
        self.assert_any_order()

    def test_a_credit_note_is_about_the_invoice_and_not_the_debt(self):
        for named in (True, False):
            with self.subTest(named=named):
                invoice = self.owing(10000)
                line = invoice["lines"]["data"][0]["id"]
                entry = {
                    "type": "invoice_line_item",
                    "invoice_line_item": line,
                    "amount": 3000,
                }
                what = {"lines": [entry]} if named else {"amount": 3000}
                self.shop.post(
                    "credit_notes", invoice=invoice["id"], refund_amount=3000, **what
                )
                self.deliver()
                self.assertEqual(self.total(sale_ref=invoice["id"]), 21.00)
                self.double.advance(days=1)
                # The rest of the charge: 120.00, of which 70.00 are the invoice's.
                self.shop.refund(invoice, 6000)
                self.deliver()
                self.assertEqual(self.total(sale_ref=invoice["id"]), 10.50)
                self.shop.refund(invoice)
                self.deliver()
                self.assertEqual(self.total(sale_ref=invoice["id"]), 0.00)
        self.assert_any_order()

    def test_a_credit_note_before_the_payment(self):
        customer = self.shop.customer(balance=5000)
        invoice = self.shop.invoice(customer, 10000, pay=False)
        self.shop.post("credit_notes", invoice=invoice["id"], amount=4000)
        self.double.pay_invoice(invoice["id"])
        self.deliver()
        self.assertEqual(self.amounts(), [18.00])
        self.shop.refund(invoice, 5500)
        self.deliver()
        self.assertEqual(self.total(), 9.00)

    def test_paid_in_parts(self):
        customer = self.shop.customer(balance=5000)
        invoice = self.shop.invoice(customer, 10000, pay=False)
        for _half in range(2):
            self.double.pay_invoice(invoice["id"], 7500)
            self.double.advance(days=1)
        self.deliver()
        self.assertEqual(self.amounts(), [15.00, 15.00])
        self.shop.refund(self.double.all("charge")[-1]["id"])
        self.deliver()
        self.assertEqual(self.total(), 15.00)
        self.assert_any_order()

    def test_a_debt_that_was_not_paid_with_it(self):
        """Too little to be charged stays owed: nothing was received."""
        self.double.configure(minimum_charges=True)
        customer = self.shop.customer()
        self.sell(20, customer=customer)
        self.sell(20, customer=customer)
        self.assertFalse(self.rows())
        self.sell(1000, customer=customer)
        self.assertEqual(self.amounts(), [3.00])


@tagged("post_install", "-at_install")
class TestOverpaid(MoneyCase):
    def test_the_excess_goes_back_first(self):
        invoice = self.overpaid(10000, excess=2000)
        self.assertEqual(self.amounts(), [30.00])
        for amount, left in ((2000, 30.00), (5000, 15.00), (5000, 0.00)):
            self.shop.refund(invoice, amount)
            self.deliver()
            self.assertEqual(self.total(), left)
        self.assert_any_order()

    def test_where_the_payment_does_not_tell_the_excess(self):
        invoice = self.overpaid(10000, excess=2000)
        payment = self.double.all("invoice_payment", invoice=invoice["id"])[0]
        self.double.alter("invoice_payment", payment["id"], amount_paid=10000)
        self.double.alter("invoice", invoice["id"], ["invoice.updated"])
        self.deliver()
        for amount, left in ((2000, 30.00), (5000, 15.00), (5000, 0.00)):
            self.shop.refund(invoice, amount)
            self.deliver()
            self.assertEqual(self.total(), left)

    def test_after_an_old_debt(self):
        """20.00 too much, then 150.00 for 100.00 and a debt of 50.00."""
        customer = self.shop.customer(balance=5000)
        invoice = self.overpaid(10000, excess=2000, customer=customer)
        for amount, left in ((2000, 30.00), (7500, 15.00), (7500, 0.00)):
            self.shop.refund(invoice, amount)
            self.deliver()
            self.assertEqual(self.total(), left)
        self.assert_any_order()

    def test_what_the_balance_paid_is_not_received_by_paying_too_much(self):
        customer = self.shop.customer(balance=-4000)
        invoice = self.overpaid(10000, excess=3000, customer=customer)
        self.assertEqual(invoice["starting_balance"], -4000)
        self.assertEqual(self.amounts(), [18.00])
        for amount, left in ((3000, 18.00), (3000, 9.00), (3000, 0.00)):
            self.shop.refund(invoice, amount)
            self.deliver()
            self.assertEqual(self.total(), left)
        self.assert_any_order()
