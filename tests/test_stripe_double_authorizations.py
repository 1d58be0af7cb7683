"""The double: money set aside and captured later, bank debits, refunds of no charge."""

import stripe

from odoo.tests import tagged

from .stripe_double.testing import DAY, NEW_YEAR, DoubleCase

OLD = "2024-06-20"


@tagged("-at_install", "post_install", "stripe_double")
class TestAuthorizations(DoubleCase):
    def authorized(self, amount=10000, **params):
        intent = self.shop.post(
            "payment_intents",
            amount=amount,
            currency="usd",
            capture_method="manual",
            confirm=True,
            **params,
        )
        return intent, self.charge(intent["latest_charge"])

    def charge(self, key):
        return self.shop.get(f"charges/{key}", expand=["refunds"])

    def moved(self, source):
        found = self.double.all("balance_transaction", source=source)
        return [transaction["amount"] for transaction in found]

    def test_captured_later(self):
        intent, charge = self.authorized()
        self.assertEqual(intent["status"], "requires_capture")
        self.assertEqual(
            (intent["amount_capturable"], intent["amount_received"]), (10000, 0)
        )
        self.assertEqual((charge["status"], charge["captured"]), ("succeeded", False))
        self.assertEqual(
            (charge["amount_captured"], charge["balance_transaction"]), (0, None)
        )
        self.double.advance(days=5)
        intent = self.shop.post(f"payment_intents/{intent['id']}/capture")
        self.assertEqual(
            (intent["status"], intent["amount_received"]), ("succeeded", 10000)
        )
        charge = self.charge(charge["id"])
        self.assertEqual((charge["captured"], charge["amount_captured"]), (True, 10000))
        self.assertEqual(self.moved(charge["id"]), [10000])
        self.assertEqual(
            self.types("charge", "payment_intent"),
            [
                "payment_intent.created",
                "charge.succeeded",
                "payment_intent.amount_capturable_updated",
                "charge.captured",
                "payment_intent.succeeded",
            ],
        )
        captured = self.double.all("event", type="charge.captured")[0]
        self.assertEqual(captured["created"], NEW_YEAR + 5 * DAY)
        self.assertEqual(charge["created"], NEW_YEAR)

    def test_a_part_is_captured(self):
        """No refund tells of the rest, and only what was captured can be refunded."""
        intent, charge = self.authorized()
        path = f"payment_intents/{intent['id']}/capture"
        self.shop.post(path, amount_to_capture=4000)
        charge = self.charge(charge["id"])
        self.assertEqual((charge["amount"], charge["amount_captured"]), (10000, 4000))
        self.assertEqual((charge["amount_refunded"], charge["refunded"]), (0, False))
        self.assertEqual(charge["refunds"]["data"], [])
        self.assertEqual(self.moved(charge["id"]), [4000])
        with self.assertRaises(stripe.InvalidRequestError):
            self.shop.refund(charge["id"], 4001)
        self.shop.refund(charge["id"], 1000)
        self.shop.refund(charge["id"])
        charge = self.charge(charge["id"])
        self.assertEqual((charge["amount_refunded"], charge["refunded"]), (4000, True))

    def test_before_basil_a_refund_tells_what_was_let_go(self):
        intent, charge = self.authorized()
        self.shop.client.raw_request(
            "post",
            f"/v1/payment_intents/{intent['id']}/capture",
            amount_to_capture=4000,
            stripe_version=OLD,
        )
        charge = self.charge(charge["id"])
        self.assertEqual(
            (charge["amount_captured"], charge["amount_refunded"]), (4000, 6000)
        )
        [refund] = charge["refunds"]["data"]
        self.assertEqual((refund["amount"], refund["status"]), (6000, "succeeded"))
        self.assertEqual(self.moved(charge["id"]), [10000])
        self.assertEqual(self.moved(refund["id"]), [-6000])
        self.assertIn("charge.refunded", self.types())
        self.shop.refund(charge["id"], 1000)
        with self.assertRaises(stripe.InvalidRequestError):
            self.shop.refund(charge["id"], 3001)
        self.shop.refund(charge["id"])
        self.assertTrue(self.charge(charge["id"])["refunded"])

    def test_let_go(self):
        """Canceled: no refund; before basil a refund of all, and no money moves."""
        intent, charge = self.authorized()
        intent = self.shop.post(f"payment_intents/{intent['id']}/cancel")
        self.assertEqual(intent["status"], "canceled")
        charge = self.charge(charge["id"])
        self.assertEqual((charge["captured"], charge["refunded"]), (False, False))
        self.assertEqual(charge["refunds"]["data"], [])
        with self.assertRaises(stripe.InvalidRequestError):
            self.shop.post(f"charges/{charge['id']}/capture")
        _intent, charge = self.authorized()
        self.double.release(charge["id"], api_version=OLD)
        charge = self.charge(charge["id"])
        self.assertEqual((charge["captured"], charge["refunded"]), (False, True))
        [refund] = charge["refunds"]["data"]
        self.assertEqual(
            (refund["amount"], refund["balance_transaction"]), (10000, None)
        )
        self.assertEqual(self.double.all("balance_transaction"), [])

    def test_an_authorization_expires(self):
        intent, charge = self.authorized()
        captured, _charge = self.authorized()
        self.double.advance(days=6)
        self.shop.post(f"payment_intents/{captured['id']}/capture")
        self.double.advance(days=1)
        intent = self.shop.get(f"payment_intents/{intent['id']}")
        self.assertEqual(
            (intent["status"], intent["cancellation_reason"]), ("canceled", "expired")
        )
        self.assertEqual(self.types("charge.expired"), ["charge.expired"])
        self.assertFalse(self.charge(charge["id"])["captured"])

    def test_no_more_than_authorized(self):
        intent, charge = self.authorized()
        with self.assertRaises(stripe.InvalidRequestError):
            self.double.client().v1.payment_intents.capture(
                intent["id"], {"amount_to_capture": 10001}
            )
        with self.assertRaises(stripe.InvalidRequestError):
            self.shop.refund(charge["id"])  # nothing was taken yet
        with self.assertRaises(stripe.InvalidRequestError):
            self.shop.post(f"payment_intents/{intent['id']}/confirm")
        self.shop.post(f"payment_intents/{intent['id']}/capture")
        with self.assertRaises(stripe.InvalidRequestError):
            self.shop.post(f"payment_intents/{intent['id']}/capture")

    def test_charges_of_old_integrations(self):
        """Without a payment intent: captured at once, in part, or refunded."""
        customer = self.shop.customer()["id"]
        params = {"amount": 5000, "currency": "usd", "customer": customer}
        params["source"] = "tok_visa"
        self.assertTrue(self.shop.post("charges", **params)["captured"])
        charge = self.shop.post("charges", capture=False, **params)
        charge = self.shop.post(f"charges/{charge['id']}/capture", amount=2000)
        self.assertEqual(
            (charge["amount_captured"], charge["payment_intent"]), (2000, None)
        )
        charge = self.shop.post("charges", capture=False, **params)
        with self.assertRaises(stripe.InvalidRequestError):
            self.shop.refund(charge["id"], 100)
        refund = self.shop.refund(charge["id"])
        self.assertIsNone(refund["balance_transaction"])
        charge = self.charge(charge["id"])
        self.assertEqual((charge["captured"], charge["refunded"]), (False, True))
        with self.assertRaises(stripe.InvalidRequestError):
            self.shop.post(f"charges/{charge['id']}/capture")


@tagged("-at_install", "post_install", "stripe_double")
class TestDebits(DoubleCase):
    def test_the_bank_answers_in_days(self):
        for succeed in (True, False):
            with self.subTest(succeed=succeed):
                intent = self.shop.post(
                    "payment_intents",
                    amount=5000,
                    currency="usd",
                    allowed_payment_method_types=["us_bank_account"],
                    confirm=True,
                )
                started = self.double.now()
                self.assertEqual(intent["status"], "processing")
                charge = self.shop.get(f"charges/{intent['latest_charge']}")
                self.assertEqual(charge["status"], "pending")
                self.double.advance(days=9)
                self.double.settle_payment(intent["id"], succeed)
                charge = self.shop.get(
                    f"charges/{charge['id']}", expand=["balance_transaction"]
                )
                self.assertEqual(charge["created"], started)
                self.assertEqual(charge["status"], "succeeded" if succeed else "failed")
                booked = charge["balance_transaction"]
                self.assertEqual(booked["created"], started)
                days = (booked["available_on"] - started) // DAY
                self.assertEqual(days, 9 if succeed else 7)
                kind = "charge.succeeded" if succeed else "charge.failed"
                [event] = self.double.all("event", type=kind)
                self.assertEqual(event["created"], started + 9 * DAY)
        back = charge["failure_balance_transaction"]
        undone = self.shop.get(f"balance_transactions/{back}")
        self.assertEqual(undone["net"], -booked["net"])

    def test_when_a_debit_is_booked(self):
        for booked, hours in (("sent", 8), ("paid", 72)):
            for succeed in (True, False):
                self.double.configure(debits_booked=booked)
                intent = self.double.pay_by_debit(5000)
                started = self.double.now()
                path = f"charges/{intent['latest_charge']}"
                self.assertIsNone(self.shop.get(path)["balance_transaction"])
                self.double.advance(days=3)
                self.double.settle_payment(intent["id"], succeed)
                charge = self.shop.get(path, expand=["balance_transaction"])
                if booked == "paid" and not succeed:
                    self.assertIsNone(charge["balance_transaction"])
                    self.assertIsNone(charge["failure_balance_transaction"])
                    continue
                at = charge["balance_transaction"]["created"]
                self.assertEqual(at, started + hours * 3600)
                self.assertGreater(
                    charge["balance_transaction"]["available_on"], started + 6 * DAY
                )

    def test_a_refund_of_no_charge(self):
        """It names its payment intent only, and still is one of the charge."""
        self.double.configure(refunds_without_charge=True)
        intent = self.shop.post(
            "payment_intents", amount=5000, currency="usd", confirm=True
        )
        refund = self.shop.refund(intent["latest_charge"], 2000)
        self.assertIsNone(refund["charge"])
        self.assertEqual(refund["payment_intent"], intent["id"])
        listed = self.shop.get("refunds", payment_intent=intent["id"])["data"]
        self.assertEqual([one["id"] for one in listed], [refund["id"]])
        charge = self.shop.get(f"charges/{intent['latest_charge']}")
        self.assertEqual(charge["amount_refunded"], 2000)
        self.double.refund_status(refund["id"], "failed")
        charge = self.shop.get(f"charges/{intent['latest_charge']}")
        self.assertEqual(charge["amount_refunded"], 0)
