"""Credit notes before and after the payment; other ways to settle an invoice."""

import stripe

from .stripe_double.testing import DoubleCase


class CreditNotes(DoubleCase):
    def setUp(self):
        super().setUp()
        self.rate = self.shop.tax_rate(20)
        self.customer = self.shop.customer()

    def invoice(self, *amounts, pay=True, **params):
        return self.shop.invoice(
            self.customer,
            *amounts,
            pay=pay,
            default_tax_rates=[self.rate["id"]],
            **params,
        )

    def note(self, invoice, **params):
        return self.shop.post("credit_notes", invoice=invoice["id"], **params)

    def again(self, invoice):
        return self.shop.get(f"invoices/{invoice['id']}")

    def test_line_before_payment(self):
        coupon = self.shop.coupon(10)
        discounts = [{"coupon": coupon["id"]}]
        invoice = self.invoice(10000, 5000, pay=False, discounts=discounts)
        self.assertEqual(invoice["total"], 16200)
        line = invoice["lines"]["data"][0]["id"]
        note = self.note(
            invoice,
            lines=[
                {"type": "invoice_line_item", "invoice_line_item": line, "amount": 5000}
            ],
        )
        self.assertEqual((note["type"], note["amount"]), ("pre_payment", 5400))
        self.assertEqual(note["total_excluding_tax"], 4500)
        self.assertEqual((note["subtotal"], note["discount_amount"]), (5000, 500))
        entry = note["lines"]["data"][0]
        self.assertEqual(entry["invoice_line_item"], line)
        self.assertEqual(entry["taxes"][0]["amount"], 900)
        invoice = self.again(invoice)
        self.assertEqual(invoice["amount_remaining"], 10800)
        self.assertEqual(invoice["pre_payment_credit_notes_amount"], 5400)
        self.assertEqual(invoice["total"], 16200)
        paid = self.shop.post(f"invoices/{invoice['id']}/pay")
        self.assertEqual((paid["status"], paid["amount_paid"]), ("paid", 10800))

    def test_whole_invoice_before_payment(self):
        invoice = self.invoice(1000, pay=False)
        self.note(invoice, amount=1200)
        invoice = self.again(invoice)
        self.assertEqual((invoice["status"], invoice["amount_paid"]), ("paid", 0))

    def test_voided(self):
        invoice = self.invoice(1000, pay=False)
        note = self.note(invoice, amount=200)
        self.shop.post(f"credit_notes/{note['id']}/void")
        self.assertEqual(self.again(invoice)["amount_remaining"], 1200)
        self.assertEqual(
            self.types("credit_note."), ["credit_note.created", "credit_note.voided"]
        )
        paid = self.invoice(1000)
        note = self.note(paid, amount=100, out_of_band_amount=100)
        with self.assertRaises(stripe.InvalidRequestError):
            self.shop.post(f"credit_notes/{note['id']}/void")

    def test_refund_balance_and_out_of_band(self):
        invoice = self.invoice(10000)
        note = self.note(
            invoice,
            amount=6000,
            refund_amount=3000,
            credit_amount=2000,
            out_of_band_amount=1000,
            reason="order_change",
        )
        self.assertEqual(
            (note["type"], note["post_payment_amount"]), ("post_payment", 6000)
        )
        refund = self.shop.get(f"refunds/{note['refunds'][0]['refund']}")
        self.assertEqual(refund["amount"], 3000)
        customer = self.shop.get(f"customers/{self.customer['id']}")
        self.assertEqual(customer["balance"], -2000)
        found = self.shop.get(
            "credit_notes",
            invoice=invoice["id"],
            expand=["data.customer_balance_transaction"],
        )["data"]
        self.assertEqual(
            found[0]["customer_balance_transaction"]["type"], "credit_note"
        )
        invoice = self.again(invoice)
        self.assertEqual(invoice["post_payment_credit_notes_amount"], 6000)
        self.assertEqual(invoice["status"], "paid")

    def test_explains_an_existing_refund(self):
        invoice = self.invoice(10000)
        refund = self.shop.refund(invoice, 4000)
        note = self.note(invoice, amount=4000, refunds=[{"refund": refund["id"]}])
        self.assertEqual(note["refunds"][0]["amount_refunded"], 4000)
        self.assertEqual(len(self.shop.get("refunds")["data"]), 1)

    def test_refused(self):
        invoice = self.invoice(1000)
        for params in (
            {"amount": 600},
            {"amount": 600, "refund_amount": 500},
            {"amount": 1300, "refund_amount": 1300},
            {},
        ):
            with self.assertRaises(stripe.InvalidRequestError):
                self.note(invoice, **params)
        self.assertEqual(self.shop.get("refunds")["data"], [])

    def test_lines_are_paged(self):
        invoice = self.invoice(*[100] * 12, pay=False)
        lines = [
            {
                "type": "invoice_line_item",
                "invoice_line_item": line["id"],
                "quantity": 1,
            }
            for line in self.shop.pages(f"invoices/{invoice['id']}/lines")
        ]
        note = self.note(invoice, lines=lines)
        self.assertEqual(len(note["lines"]["data"]), 10)
        path = f"credit_notes/{note['id']}/lines"
        self.assertEqual(len(list(self.shop.pages(path, limit=5))), 12)
        self.assertEqual(note["amount"], 1440)


class Settling(DoubleCase):
    def setUp(self):
        super().setUp()
        self.customer = self.shop.customer()

    def open_invoice(self, amount):
        return self.shop.invoice(self.customer, amount, pay=False)

    def test_one_intent_for_two_invoices(self):
        one, two = self.open_invoice(1000), self.open_invoice(2000)
        intent = self.shop.post(
            "payment_intents",
            amount=2500,
            currency="usd",
            customer=self.customer["id"],
            confirm=True,
        )
        for invoice, status, paid in ((one, "paid", 1000), (two, "open", 1500)):
            path = f"invoices/{invoice['id']}"
            done = self.shop.post(f"{path}/attach_payment", payment_intent=intent["id"])
            self.assertEqual((done["status"], done["amount_paid"]), (status, paid))
        payments = self.shop.payments(two)
        self.assertEqual(
            sorted((p["status"], p["amount_requested"]) for p in payments),
            [("open", 500), ("paid", 1500)],
        )
        with self.assertRaises(stripe.InvalidRequestError):
            self.shop.post(f"{path}/attach_payment", payment_intent=intent["id"])

    def test_a_revision_takes_the_place_of_its_original(self):
        original = self.open_invoice(1000)
        draft = self.shop.post(
            "invoices", from_invoice={"action": "revision", "invoice": original["id"]}
        )
        self.assertEqual((draft["status"], draft["total"]), ("draft", 1000))
        self.assertEqual(draft["from_invoice"]["invoice"], original["id"])
        self.shop.post(f"invoices/{draft['id']}/finalize")
        original = self.shop.get(f"invoices/{original['id']}")
        self.assertEqual(
            (original["status"], original["latest_revision"]), ("void", draft["id"])
        )
        with self.assertRaises(stripe.InvalidRequestError):
            self.shop.post(
                "invoices",
                from_invoice={"action": "revision", "invoice": original["id"]},
            )
