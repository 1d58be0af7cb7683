"""Credit notes: before the payment, after it, and together with refunds."""

from odoo.tests import tagged

from .money_common import DAY, MoneyCase


@tagged("post_install", "-at_install")
class TestCreditNotes(MoneyCase):
    def open_invoice(self, *amounts, tax=0, **params):
        if tax:
            params["default_tax_rates"] = [self.shop.tax_rate(tax)["id"]]
        customer = self.shop.customer(balance=params.pop("balance", 0))
        return self.shop.invoice(customer, *amounts, pay=False, **params)

    def pay(self, invoice):
        self.shop.post(f"invoices/{invoice['id']}/pay")
        self.deliver()

    def note(self, invoice, *lines, **params):
        """A credit note about ``lines``: (number of the invoice line, amount)."""
        keys = [line["id"] for line in invoice["lines"]["data"]]
        if lines:
            params["lines"] = [
                {
                    "type": "invoice_line_item",
                    "invoice_line_item": keys[number],
                    "amount": amount,
                }
                for number, amount in lines
            ]
        return self.shop.post("credit_notes", invoice=invoice["id"], **params)

    def by_line(self, invoice):
        """Sums of the ledger, in the order of the invoice's lines."""
        keys = [line["id"] for line in invoice["lines"]["data"]]
        return [self.total(line_ref=key) for key in keys]

    # --- before the payment ---------------------------------------------------------

    def test_before_payment_reduces_its_line_and_the_total(self):
        invoice = self.open_invoice(10000, 5000, tax=20)
        note = self.note(invoice, (0, 4000))
        self.assertEqual((note["type"], note["amount"]), ("pre_payment", 4800))
        self.pay(invoice)
        self.assertEqual(self.by_line(invoice), [18.00, 15.00])
        self.assertEqual(set(self.rows().mapped("kind")), {"earned"})

    def test_before_payment_of_no_line_is_a_share_of_all(self):
        invoice = self.open_invoice(10000, 5000, tax=20)
        self.note(invoice, amount=9000)
        self.pay(invoice)
        self.assertEqual(self.by_line(invoice), [15.00, 7.50])

    def test_before_payment_with_a_discount(self):
        coupon = self.shop.coupon(10)
        invoice = self.open_invoice(10000, 5000, discounts=[{"coupon": coupon["id"]}])
        self.note(invoice, (1, 5000))
        self.pay(invoice)
        self.assertEqual(self.by_line(invoice), [27.00, 0.00])

    def test_all_before_payment_earns_nothing(self):
        invoice = self.open_invoice(10000)
        self.note(invoice, amount=10000)
        self.deliver()
        mirrored = self.env["affiliate.stripe.invoice"].search([])
        self.assertEqual(mirrored.status, "paid")
        self.assertFalse(self.rows())

    def test_void_takes_nothing(self):
        invoice = self.open_invoice(10000)
        note = self.note(invoice, (0, 4000))
        self.deliver()
        self.shop.post(f"credit_notes/{note['id']}/void")
        self.pay(invoice)
        self.assertEqual(self.amounts(), [30.00])
        mirrored = self.env["affiliate.stripe.credit.note"].search([])
        self.assertEqual((mirrored.status, mirrored.amount_back), ("void", 0.0))

    # --- after the payment ----------------------------------------------------------

    def test_after_payment_takes_back_on_its_line(self):
        invoice = self.sell(10000, 5000, tax=20)
        self.assertEqual(self.by_line(invoice), [30.00, 15.00])
        note = self.note(invoice, (1, 4000), refund_amount=4800)
        self.deliver()
        self.assertEqual(self.by_line(invoice), [30.00, 3.00])
        row = self.rows(kind="credit_note")
        self.assertEqual((row.cause_id, row.amount), (note["id"], -12.00))
        self.assertEqual(row.origin_id.amount, 15.00)
        self.assertEqual(row.hold_until, row.origin_id.hold_until)
        self.assertIn("Credit note about an item", row.explanation)
        self.assertIn("30 % of -40.00 USD given back = -12.00 USD", row.explanation)
        mirrored = self.env["affiliate.stripe.credit.note"].search([])
        self.assertEqual(mirrored.invoice_id.stripe_id, invoice["id"])
        self.assertEqual((mirrored.amount, mirrored.amount_back), (48.00, 48.00))

    def test_what_goes_to_the_balance_takes_back_nothing(self):
        invoice = self.sell(10000, 5000)
        self.note(
            invoice,
            (0, 6000),
            refund_amount=2000,
            credit_amount=3000,
            out_of_band_amount=1000,
        )
        self.deliver()
        # 30.00 of the 60.00 left the business.
        self.assertEqual(self.by_line(invoice), [21.00, 15.00])
        customer = invoice["customer"]
        later = self.shop.invoice(customer, 3000)
        self.deliver()
        self.assertFalse(self.rows(sale_ref=later["id"]), "paid from the balance")
        next_one = self.shop.invoice(customer, 3000)
        self.deliver()
        self.assertEqual(self.total(sale_ref=next_one["id"]), 9.00)

    def test_partly_to_the_balance(self):
        invoice = self.sell(10000, 5000)
        self.note(invoice, (1, 4000), refund_amount=1000, credit_amount=3000)
        self.deliver()
        self.assertEqual(self.by_line(invoice), [30.00, 12.00])

    def test_only_to_the_balance(self):
        invoice = self.sell(10000)
        self.note(invoice, amount=4000, credit_amount=4000)
        self.deliver()
        self.assertEqual(self.amounts(), [30.00])

    def test_a_note_and_its_refund_count_once_in_any_order(self):
        invoice = self.sell(10000, 5000)
        refund = self.shop.refund(invoice, 3000)
        self.deliver()
        self.assertEqual(self.by_line(invoice), [24.00, 12.00])
        note = self.note(invoice, (0, 3000), refunds=[{"refund": refund["id"]}])
        self.deliver()
        self.assertEqual(self.by_line(invoice), [21.00, 15.00])
        self.assertEqual(self.total(cause_id=refund["id"]), 0.0)
        self.assertEqual(self.total(cause_id=note["id"]), -9.00)
        gone = self.rows(cause_id=refund["id"])[-1]
        self.assertIn("a credit note now covers it", gone.explanation)

    def test_the_note_first_and_all_again(self):
        invoice = self.sell(10000, 5000)
        self.note(invoice, (0, 3000), refund_amount=3000)
        deliveries = self.double.deliveries()
        notes = [d for d in deliveries if d.event["type"].startswith("credit_note")]
        self.deliver(notes)
        self.assertEqual(self.by_line(invoice), [21.00, 15.00])
        self.deliver([d for d in deliveries if d not in notes])
        self.deliver(deliveries)
        self.assertEqual(sorted(self.amounts()), [-9.00, 15.00, 30.00])

    def test_a_refund_larger_than_its_note(self):
        invoice = self.sell(10000, 5000)
        refund = self.shop.refund(invoice, 6000)
        self.note(
            invoice,
            (0, 3000),
            refunds=[{"refund": refund["id"], "amount_refunded": 3000}],
        )
        self.deliver()
        # 30.00 on the first line by the note; 30.00 on both in proportion.
        self.assertEqual(self.total(), 27.00)
        self.assertEqual(self.total(kind="credit_note"), -9.00)
        self.assertEqual(self.total(kind="refund"), -9.00)
        self.shop.refund(invoice)
        self.deliver()
        self.assertEqual(self.by_line(invoice), [0.00, 0.00])

    def test_a_failed_refund_brings_it_back(self):
        invoice = self.sell(10000)
        note = self.note(invoice, (0, 4000), refund_amount=4000)
        self.deliver()
        self.assertEqual(self.total(), 18.00)
        self.double.refund_status(note["refunds"][0]["refund"], "failed")
        self.deliver()
        self.assertEqual(self.amounts(), [30.00, -12.00, 12.00])

    def test_a_note_and_a_lost_dispute_never_take_more_than_all(self):
        invoice = self.sell(10000, 5000)
        self.note(invoice, (0, 3000), refund_amount=3000)
        dispute = self.double.open_dispute(self.shop.charge_of(invoice))
        self.double.close_dispute(dispute["id"], "lost")
        self.deliver()
        self.assertEqual(self.by_line(invoice), [0.00, 0.00])

    def test_rates_of_the_named_line_count(self):
        self.program.rule_ids.unlink()
        products = [self.shop.product(name) for name in ("A", "B")]
        prices = [
            self.shop.price(amount, interval=None, product=product["id"])
            for amount, product in zip((8000, 4000), products, strict=True)
        ]
        self.deliver()
        ids = {
            product.name: product.ids
            for product in self.env["affiliate.stripe.product"].search([])
        }
        self.program.rule_ids = [
            (0, 0, {"scope": "product", "product_ids": ids[name], "rate": rate})
            for name, rate in (("A", 20), ("B", 0))
        ]
        invoice = self.sell(*prices)
        self.assertEqual(self.amounts(), [16.00])
        self.note(invoice, (1, 4000), refund_amount=4000)
        self.deliver()
        self.assertEqual(self.amounts(), [16.00], "that line had earned nothing")
        self.note(invoice, (0, 2000), refund_amount=2000)
        self.deliver()
        self.assertEqual(self.amounts(), [16.00, -4.00])

    def test_a_fixed_commission_goes_back_in_part(self):
        self.program.rule_ids.unlink()
        usd = self.env.ref("base.USD")
        self.program.rule_ids = [
            (0, 0, {"rate_type": "fixed", "amount": 10, "currency_id": usd.id})
        ]
        invoice = self.sell(10000, 5000)
        self.note(invoice, (0, 5000), refund_amount=5000)
        self.deliver()
        # 10.00 once: two thirds of it lie on the line of which half is credited.
        self.assertEqual(sorted(self.amounts()), [-3.33, 3.33, 6.67])
        self.assertIn("its share of the fixed", self.rows()[-1].explanation)

    def test_more_than_ten_lines(self):
        invoice = self.sell(*[1000] * 12)
        lines = list(self.shop.pages(f"invoices/{invoice['id']}/lines"))
        whole = {**invoice, "lines": {"data": lines}}
        self.note(whole, *((number, 500) for number in range(12)), refund_amount=6000)
        self.deliver()
        self.assertEqual(self.by_line(whole), [1.50] * 12)
        mirrored = self.env["affiliate.stripe.credit.note"].search([])
        self.assertEqual(len(mirrored.data["lines"]["data"]), 12)

    def test_a_note_whose_lines_do_not_add_up_is_a_share_of_all(self):
        invoice = self.sell(10000, 5000)
        note = self.note(invoice, (0, 3000), refund_amount=3000)
        line = note["lines"]["data"][0]["id"]
        self.double.alter("credit_note_line_item", line, amount=2000)
        self.deliver()
        self.assertEqual(self.by_line(invoice), [24.00, 12.00])

    def test_seen_with_its_invoice_when_its_event_was_lost(self):
        invoice = self.sell(10000, 5000)
        self.note(invoice, (0, 3000), refund_amount=3000)
        for delivery in self.double.deliveries():
            delivery.drop()
        self.double.advance(seconds=DAY)
        self.reconcile()
        self.assertEqual(self.by_line(invoice), [21.00, 15.00])
        self.assert_pending_empty()
