"""The double: paid too much, in part, from the balance, or outside of Stripe."""

import stripe

from .stripe_double.testing import DoubleCase


class TestTooMuch(DoubleCase):
    def open(self, amount=10000, **params):
        customer = self.shop.customer(**params)
        return customer, self.shop.invoice(customer, amount, pay=False)

    def seen(self, invoice, *expand):
        return self.shop.get(f"invoices/{invoice['id']}", expand=list(expand))

    def test_what_is_too_much_goes_to_the_balance(self):
        customer, invoice = self.open()
        self.double.pay_invoice(invoice["id"], 12000)
        invoice = self.seen(invoice, "payments")
        self.assertEqual(invoice["status"], "paid")
        self.assertEqual(
            (invoice["amount_paid"], invoice["amount_overpaid"]), (12000, 2000)
        )
        self.assertEqual(invoice["amount_remaining"], 0)
        [payment] = invoice["payments"]["data"]
        self.assertEqual(payment["amount_paid"], 12000)
        charge = self.shop.get(f"charges/{self.shop.charge_of(invoice)}")
        self.assertEqual(charge["amount"], 12000)
        self.assertEqual(self.shop.get(f"customers/{customer['id']}")["balance"], -2000)
        self.assertEqual(self.types("invoice.overpaid"), ["invoice.overpaid"])
        moved = self.shop.get(f"customers/{customer['id']}/balance_transactions")[
            "data"
        ]
        self.assertEqual(
            [(m["type"], m["amount"]) for m in moved], [("invoice_overpaid", -2000)]
        )
        later = self.shop.invoice(customer, 5000)
        self.assertEqual(
            (later["starting_balance"], later["amount_paid"]), (-2000, 3000)
        )

    def test_too_much_in_parts(self):
        _customer, invoice = self.open()
        self.double.pay_invoice(invoice["id"], 6000)
        self.assertEqual(self.seen(invoice)["amount_remaining"], 4000)
        self.double.pay_invoice(invoice["id"], 5000)
        invoice = self.seen(invoice)
        self.assertEqual(
            (invoice["amount_paid"], invoice["amount_overpaid"]), (11000, 1000)
        )

    def test_an_older_debt_is_paid_with_it(self):
        customer, invoice = self.open(balance=5000)
        self.assertEqual((invoice["total"], invoice["amount_due"]), (10000, 15000))
        self.assertEqual(
            (invoice["starting_balance"], invoice["ending_balance"]), (5000, 0)
        )
        self.double.pay_invoice(invoice["id"])
        self.assertEqual(self.seen(invoice)["amount_paid"], 15000)

    def test_written_off_after_a_part_and_paid_after_all(self):
        _customer, invoice = self.open()
        self.double.pay_invoice(invoice["id"], 6000)
        self.shop.post(f"invoices/{invoice['id']}/mark_uncollectible")
        invoice = self.seen(invoice)
        self.assertEqual(
            (invoice["status"], invoice["amount_paid"]), ("uncollectible", 6000)
        )
        self.assertEqual(invoice["amount_remaining"], 4000)
        self.double.pay_invoice(invoice["id"])
        invoice = self.seen(invoice)
        self.assertEqual((invoice["status"], invoice["amount_paid"]), ("paid", 10000))


class TestRecords(DoubleCase):
    def record(self, amount, customer, **params):
        return self.shop.post(
            "payment_records/report_payment",
            amount_requested={"value": amount, "currency": "usd"},
            customer_details={"customer": customer["id"]},
            initiated_at=self.double.now(),
            outcome="guaranteed",
            guaranteed={"guaranteed_at": self.double.now()},
            payment_method_details={
                "type": "custom",
                "custom": {"display_name": "Check"},
            },
            **params,
        )

    def attach(self, invoice, record):
        path = f"invoices/{invoice['id']}/attach_payment"
        return self.shop.post(path, payment_record=record["id"])

    def test_a_record_pays_a_part_of_an_invoice(self):
        customer = self.shop.customer()
        invoice = self.shop.invoice(customer, 10000, pay=False)
        record = self.record(4000, customer)
        self.assertEqual(record["reported_by"], "self")
        self.assertEqual(self.attach(invoice, record)["amount_remaining"], 6000)
        with self.assertRaises(stripe.InvalidRequestError):
            self.attach(invoice, record)  # nothing of it is left
        self.double.pay_invoice(invoice["id"])
        invoice = self.shop.get(
            f"invoices/{invoice['id']}", expand=["payments", "amount_paid_off_stripe"]
        )
        self.assertEqual((invoice["status"], invoice["amount_paid"]), ("paid", 10000))
        self.assertEqual(invoice["amount_paid_off_stripe"], 4000)
        kinds = {
            p["payment"]["type"]: p["amount_paid"] for p in invoice["payments"]["data"]
        }
        self.assertEqual(kinds, {"payment_record": 4000, "payment_intent": 6000})
        found = self.shop.get(
            "invoice_payments",
            payment={"type": "payment_record", "payment_record": record["id"]},
        )["data"]
        self.assertEqual([p["invoice"] for p in found], [invoice["id"]])

    def test_paid_out_of_band_may_leave_a_record(self):
        self.double.configure(payment_records=True)
        invoice = self.shop.invoice(self.shop.customer(), 10000, pay=False)
        self.shop.post(f"invoices/{invoice['id']}/pay", paid_out_of_band=True)
        invoice = self.shop.get(
            f"invoices/{invoice['id']}", expand=["payments", "amount_paid_off_stripe"]
        )
        self.assertEqual(
            (invoice["status"], invoice["amount_paid_off_stripe"]), ("paid", 10000)
        )
        statuses = {
            p["payment"]["type"]: p["status"] for p in invoice["payments"]["data"]
        }
        self.assertEqual(
            statuses, {"payment_intent": "canceled", "payment_record": "paid"}
        )
        self.assertEqual(self.double.all("charge"), [])
        self.assertIn("invoice_payment.paid", self.types())

    def test_given_back_outside(self):
        """A credit note explains it by the record and the reference of the refund."""
        customer = self.shop.customer()
        invoice = self.shop.invoice(customer, 10000, pay=False)
        record = self.record(10000, customer)
        self.attach(invoice, record)
        refund = {
            "outcome": "refunded",
            "amount": {"value": 3000, "currency": "usd"},
            "processor_details": {
                "type": "custom",
                "custom": {"refund_reference": "check-7"},
            },
        }
        path = f"payment_records/{record['id']}/report_refund"
        record = self.shop.post(path, **refund)
        self.assertEqual(record["amount_refunded"]["value"], 3000)
        named = {"payment_record": record["id"], "refund_group": "check-7"}
        entry = {"type": "payment_record_refund", "payment_record_refund": named}
        note = self.shop.post(
            "credit_notes", invoice=invoice["id"], amount=3000, refunds=[entry]
        )
        self.assertEqual(note["refunds"][0]["amount_refunded"], 3000)
        self.assertEqual(note["refunds"][0]["payment_record_refund"], named)
        refund["amount"]["value"] = 7001
        with self.assertRaises(stripe.InvalidRequestError):
            self.shop.post(path, **refund)
