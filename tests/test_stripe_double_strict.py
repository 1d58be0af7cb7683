"""The double refuses what Stripe refuses, and leaves out what Stripe leaves out."""

import stripe

from .stripe_double import contract
from .stripe_double.testing import DoubleCase


class TestRefusals(DoubleCase):
    def paid(self, *amounts, **params):
        return self.shop.invoice(self.shop.customer(), *amounts, **params)

    def note(self, invoice, **params):
        return self.shop.post("credit_notes", invoice=invoice["id"], **params)

    def of_line(self, line, amount=None, **more):
        entry = {"type": "invoice_line_item", "invoice_line_item": line["id"], **more}
        return entry if amount is None else {**entry, "amount": amount}

    def refused(self, *args, **params):
        return self.assertRaises(stripe.InvalidRequestError, *args, **params)

    def test_a_note_refunds_no_more_than_its_charge(self):
        invoice = self.paid(10000)
        charge = self.shop.charge_of(invoice)
        self.shop.refund(charge, 8000)
        with self.refused():
            self.note(invoice, amount=3000, refund_amount=3000)
        self.assertEqual(self.double.all("credit_note"), [])
        self.note(invoice, amount=2000, refund_amount=2000)
        with self.refused():
            self.note(invoice, amount=1, refund_amount=1)

    def test_a_note_refunds_nothing_the_bank_took(self):
        invoice = self.paid(10000)
        self.double.open_dispute(self.shop.charge_of(invoice), 7000)
        with self.refused():
            self.note(invoice, amount=5000, refund_amount=5000)

    def test_no_more_than_its_line(self):
        invoice = self.paid(10000, 5000)
        small = invoice["lines"]["data"][1]
        with self.refused():
            lines = [self.of_line(small, 5001)]
            self.note(invoice, lines=lines, refund_amount=5001)
        with self.refused():
            lines = [self.of_line(small, -100)]
            self.note(invoice, lines=lines)
        self.note(invoice, lines=[self.of_line(small, 3000)], credit_amount=3000)
        with self.refused():
            lines = [self.of_line(small, 2001)]
            self.note(invoice, lines=lines, credit_amount=2001)
        self.note(invoice, lines=[self.of_line(small, 2000)], credit_amount=2000)

    def test_a_void_note_leaves_room_for_another(self):
        customer = self.shop.customer()
        invoice = self.shop.invoice(customer, 10000, 5000, pay=False)
        small = invoice["lines"]["data"][1]
        note = self.note(invoice, lines=[self.of_line(small, 5000)])
        with self.refused():
            self.note(invoice, lines=[self.of_line(small, 1)])
        self.shop.post(f"credit_notes/{note['id']}/void")
        self.note(invoice, lines=[self.of_line(small, 5000)])

    def test_no_more_units_than_were_sold(self):
        price = self.shop.price(1000, interval=None)
        item = {"pricing": {"price": price["id"]}, "quantity": 3}
        invoice = self.paid(item)
        [line] = invoice["lines"]["data"]
        lines = [self.of_line(line, quantity=2)]
        self.note(invoice, lines=lines, refund_amount=2000)
        with self.refused():
            self.note(invoice, lines=lines, refund_amount=2000)

    def test_no_more_than_the_invoice(self):
        invoice = self.paid(10000)
        with self.refused():
            self.note(invoice, amount=10001, out_of_band_amount=10001)
        self.note(invoice, amount=6000, out_of_band_amount=6000)
        with self.refused():
            self.note(invoice, amount=4001, out_of_band_amount=4001)

    def test_a_refund_is_explained_once_and_by_its_own_invoice(self):
        invoice, other = self.paid(10000), self.paid(10000)
        refund = self.shop.refund(invoice, 3000)
        entry = {"refund": refund["id"], "amount_refunded": 3000}
        with self.refused():
            self.note(other, amount=3000, refunds=[entry])
        self.note(invoice, amount=3000, refunds=[entry])
        with self.refused():
            self.note(invoice, amount=3000, refunds=[entry])

    def test_a_refund_takes_no_more_than_its_charge(self):
        charge = self.shop.charge_of(self.paid(10000))
        with self.refused():
            self.shop.refund(charge, 10001)
        self.shop.refund(charge, 6000)
        with self.refused():
            self.shop.refund(charge, 4001)
        debit = self.double.pay_by_debit(5000)
        pending = self.double.all("charge", payment_intent=debit["id"])[0]
        with self.refused():
            self.shop.refund(pending["id"], 100)


class TestSetup(DoubleCase):
    def setup_session(self, **params):
        params.setdefault("currency", "usd")
        return self.shop.post("checkout/sessions", mode="setup", **params)

    def test_nothing_is_paid_and_nobody_becomes_a_customer(self):
        session = self.setup_session(client_reference_id="DRONA29")
        self.assertEqual((session["amount_total"], session["customer"]), (None, None))
        self.assertEqual(session["payment_status"], "no_payment_required")
        done = self.double.complete_session(session["id"], email="jane@example.com")
        self.assertEqual((done["status"], done["customer"]), ("complete", None))
        self.assertEqual(done["customer_details"]["email"], "jane@example.com")
        self.assertEqual(done["client_reference_id"], "DRONA29")
        intent = self.shop.get(f"setup_intents/{done['setup_intent']}")
        self.assertEqual(intent["status"], "succeeded")
        self.assertEqual(
            self.types(),
            [
                "setup_intent.created",
                "setup_intent.succeeded",
                "checkout.session.completed",
            ],
        )

    def test_with_a_customer(self):
        customer = self.shop.customer()["id"]
        session = self.setup_session(customer=customer)
        done = self.double.complete_session(session["id"])
        self.assertEqual(done["customer"], customer)
        always = self.setup_session(customer_creation="always")
        done = self.double.complete_session(always["id"], email="new@example.com")
        self.assertTrue(done["customer"])

    def test_refused(self):
        price = self.shop.price(1000, interval=None)["id"]
        for params in (
            {"line_items": [{"price": price, "quantity": 1}]},
            {"currency": ""},
            {"customer": "cus_unknown"},
        ):
            with self.assertRaises(stripe.InvalidRequestError):
                self.setup_session(**params)


class TestLeftOut(DoubleCase):
    """Some fields are not there where there is nothing to say; others are ``null``."""

    def test_the_table_knows_the_package(self):
        for kind, names in contract.LEFT_OUT.items():
            fields = contract.fields(contract.resource_class(kind))
            for name in names:
                with self.subTest(field=f"{kind}.{name}"):
                    self.assertTrue(contract.nullable(fields[name]))

    def test_answers_events_lists_and_expansions(self):
        invoice = self.shop.invoice(self.shop.customer(), 10000)
        refund = self.shop.refund(invoice, 100)
        seen = [
            self.shop.get(f"refunds/{refund['id']}"),
            self.shop.get("refunds")["data"][0],
            self.shop.get(f"charges/{refund['charge']}", expand=["refunds"])["refunds"][
                "data"
            ][0],
            self.double.all("event", type="refund.created")[0]["data"]["object"],
        ]
        for answer in seen:
            self.assertNotIn("failure_reason", answer)
            self.assertNotIn("pending_reason", answer)
            self.assertIsNone(answer["receipt_number"])
        charge = self.shop.get(f"refunds/{refund['id']}", expand=["charge"])["charge"]
        self.assertNotIn("presentment_details", charge)
        self.assertIsNone(charge["failure_code"])
        self.double.refund_status(refund["id"], "failed")
        failed = self.shop.get(f"refunds/{refund['id']}")
        self.assertEqual(failed["failure_reason"], "lost_or_stolen_card")
        [payment] = self.shop.payments(invoice)
        self.assertNotIn("payment_record", payment["payment"])
        self.assertNotIn("threshold_reason", invoice)
