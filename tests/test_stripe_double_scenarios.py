"""Acts of customers and banks: checkout, links, codes, refunds, disputes, time."""

import subprocess
import sys
from pathlib import Path

import stripe

from .stripe_double import ControlError, DoubleClient, Shop
from .stripe_double import __file__ as package_file
from .stripe_double.testing import DoubleCase


class Checkout(DoubleCase):
    def test_subscription_with_typed_code(self):
        self.shop.code("DRONA29", 20)
        session = self.shop.buy(
            self.shop.price(5000),
            "Jane@Example.com",
            code="drona29",
            client_reference_id="click-1",
            metadata={"a": "session"},
            subscription_data={"metadata": {"b": "subscription"}},
        )
        self.assertEqual(
            (session["status"], session["payment_status"], session["amount_total"]),
            ("complete", "paid", 4000),
        )
        self.assertEqual(session["total_details"]["amount_discount"], 1000)
        self.assertEqual(session["client_reference_id"], "click-1")
        self.assertEqual(session["customer_details"]["email"], "Jane@Example.com")
        subscription = self.shop.get(f"subscriptions/{session['subscription']}")
        self.assertEqual(subscription["metadata"], {"b": "subscription"})
        invoice = self.shop.get(f"invoices/{session['invoice']}")
        details = invoice["parent"]["subscription_details"]
        self.assertEqual(details["metadata"], {"b": "subscription"})
        self.assertEqual(invoice["amount_paid"], 4000)
        self.assertIn("checkout.session.completed", self.types())

    def test_payment_mode_as_a_guest(self):
        price = self.shop.price(9900, interval=None)
        session = self.shop.buy(
            price, "guest@example.com", payment_intent_data={"metadata": {"ref": "x"}}
        )
        self.assertIsNone(session["customer"])
        self.assertIsNone(session["invoice"])
        self.assertEqual(session["customer_details"]["email"], "guest@example.com")
        intent = self.shop.get(f"payment_intents/{session['payment_intent']}")
        self.assertEqual(intent["metadata"], {"ref": "x"})
        charge = self.shop.get(f"charges/{intent['latest_charge']}")
        self.assertEqual(charge["billing_details"]["email"], "guest@example.com")
        self.assertEqual(self.shop.get("customers")["data"], [])
        self.assertEqual(self.shop.get("invoice_payments")["data"], [])
        found = self.shop.get("checkout/sessions", payment_intent=intent["id"])
        self.assertEqual([s["id"] for s in found["data"]], [session["id"]])

    def test_payment_mode_with_customer_or_invoice(self):
        price = self.shop.price(9900, interval=None)
        session = self.shop.buy(price, "a@example.com", customer_creation="always")
        self.assertEqual(
            self.shop.get(f"customers/{session['customer']}")["email"], "a@example.com"
        )
        self.shop.code("TEN", 10)
        session = self.shop.buy(
            price, "b@example.com", code="TEN", invoice_creation={"enabled": True}
        )
        invoice = self.shop.get(f"invoices/{session['invoice']}", expand=["payments"])
        self.assertEqual((invoice["total"], invoice["status"]), (8910, "paid"))
        payment = invoice["payments"]["data"][0]["payment"]
        self.assertEqual(payment["payment_intent"], session["payment_intent"])

    def test_guest_with_code(self):
        self.shop.code("GUEST", 25)
        price = self.shop.price(20000, interval=None)
        session = self.shop.buy(price, "g@example.com", code="GUEST")
        self.assertEqual(session["amount_total"], 15000)
        items = self.shop.get(
            f"checkout/sessions/{session['id']}/line_items",
            expand=["data.discounts.discount.promotion_code"],
        )["data"]
        self.assertEqual(items[0]["amount_discount"], 5000)

    def test_trial_and_free(self):
        session = self.shop.buy(
            self.shop.price(1000),
            "t@example.com",
            subscription_data={"trial_period_days": 7},
        )
        self.assertEqual(session["payment_status"], "no_payment_required")

    def test_decline_leaves_it_open(self):
        session = self.shop.checkout(self.shop.price(1000))
        with self.assertRaises(Exception) as caught:
            self.double.complete_session(
                session["id"], email="x@example.com", decline=True
            )
        self.assertEqual(caught.exception.code, "card_declined")
        self.assertEqual(
            self.double.get("checkout.session", session["id"])["status"], "open"
        )
        self.double.complete_session(session["id"], email="x@example.com")

    def test_delayed_payment(self):
        price = self.shop.price(1000, interval=None)
        for succeed, status in ((True, "paid"), (False, "unpaid")):
            session = self.shop.checkout(price)
            done = self.double.complete_session(
                session["id"], email="d@example.com", delayed=True
            )
            self.assertEqual(done["payment_status"], "unpaid")
            self.double.advance(days=3)
            done = self.double.settle_session(session["id"], succeed)
            self.assertEqual(done["payment_status"], status)
        self.assertEqual(
            self.types("checkout.session.async"),
            [
                "checkout.session.async_payment_succeeded",
                "checkout.session.async_payment_failed",
            ],
        )

    def test_refused(self):
        price = self.shop.price(1000)
        for params in (
            {"mode": "payment"},
            {"discounts": [{"coupon": "x"}], "allow_promotion_codes": True},
            {"client_reference_id": "x" * 201},
            {"customer_creation": "always"},
        ):
            with self.assertRaises(stripe.InvalidRequestError):
                self.shop.checkout(price, **params)

    def test_payment_link(self):
        link = self.shop.link(self.shop.price(1000), metadata={"m": "1"})
        self.shop.code("LINK", 50)
        session = self.double.open_payment_link(
            link["id"], client_reference_id="aff_1-x", promotion_code="link"
        )
        self.assertEqual(session["payment_link"], link["id"])
        self.assertEqual(session["client_reference_id"], "aff_1-x")
        self.assertEqual(session["amount_total"], 500)
        done = self.double.complete_session(session["id"], email="l@example.com")
        self.assertEqual(done["metadata"], {"m": "1"})
        session = self.double.open_payment_link(
            link["id"], client_reference_id="not allowed!"
        )
        self.assertIsNone(session["client_reference_id"])
        found = self.shop.get("checkout/sessions", payment_link=link["id"])["data"]
        self.assertEqual(len(found), 2)


class Codes(DoubleCase):
    def test_first_time_only(self):
        code = self.shop.code("FIRST", restrictions={"first_time_transaction": True})
        customer = self.shop.customer()
        price = self.shop.price(1000)
        discounts = [{"promotion_code": code["id"]}]
        self.shop.subscribe(customer, price, discounts=discounts)
        with self.assertRaises(stripe.InvalidRequestError) as caught:
            self.shop.subscribe(customer, price, discounts=discounts)
        self.assertIn("prior transactions", caught.exception.user_message)

    def test_limits(self):
        code = self.shop.code("TWO", max_redemptions=2)
        price = self.shop.price(1000)
        for _n in range(2):
            self.shop.subscribe(
                "a@example.com", price, discounts=[{"promotion_code": code["id"]}]
            )
        code = self.shop.get(f"promotion_codes/{code['id']}")
        self.assertEqual((code["times_redeemed"], code["active"]), (2, False))
        minimum = self.shop.code(
            "BIG",
            restrictions={"minimum_amount": 5000, "minimum_amount_currency": "usd"},
        )
        with self.assertRaises(stripe.InvalidRequestError):
            self.shop.subscribe(
                "a@example.com", price, discounts=[{"promotion_code": minimum["id"]}]
            )

    def test_expiry_of_code(self):
        expires = self.double.now() + 100
        code = self.shop.code("SOON", expires_at=expires)
        self.double.advance(seconds=200)
        with self.assertRaises(stripe.InvalidRequestError):
            self.shop.subscribe(
                "a@example.com",
                self.shop.price(1000),
                discounts=[{"promotion_code": code["id"]}],
            )

    def test_customer_discount(self):
        code = self.shop.code("CUSTOMER", 10)
        customer = self.shop.customer()
        self.shop.subscribe(customer, self.shop.price(1000))
        self.double.set_customer_discount(customer["id"], promotion_code=code["id"])
        self.assertIn("customer.discount.created", self.types())
        self.double.advance(months=1)
        renewal = self.shop.get("invoices", limit=1)["data"][0]
        self.assertEqual(renewal["total"], 900)
        found = self.shop.get(
            f"customers/{customer['id']}", expand=["discount.promotion_code"]
        )
        self.assertEqual(found["discount"]["promotion_code"]["code"], "CUSTOMER")
        self.shop.delete(f"customers/{customer['id']}/discount")
        self.double.advance(months=1)
        self.assertEqual(self.shop.get("invoices", limit=1)["data"][0]["total"], 1000)

    def test_code_added_to_a_running_subscription(self):
        code = self.shop.code("LATER", 10)
        subscription = self.shop.subscribe("a@example.com", self.shop.price(1000))
        self.shop.post(
            f"subscriptions/{subscription['id']}",
            discounts=[{"promotion_code": code["id"]}],
        )
        self.double.advance(months=1)
        found = list(self.shop.pages("invoices"))
        self.assertEqual([i["total"] for i in found], [900, 1000])


class Banks(DoubleCase):
    def setUp(self):
        super().setUp()
        self.invoice = self.shop.invoice(self.shop.customer(), 8000)
        self.charge = self.shop.charge_of(self.invoice)

    def test_refund_that_fails(self):
        refund = self.shop.refund(self.charge, 3000)
        self.double.refund_status(refund["id"], "failed")
        self.assertEqual(self.shop.get(f"refunds/{refund['id']}")["status"], "failed")
        charge = self.shop.get(f"charges/{self.charge}")
        self.assertEqual(charge["amount_refunded"], 0)
        self.assertIn("refund.failed", self.types())
        self.shop.refund(self.charge, 8000)

    def test_pending_refund(self):
        self.double.configure(refund_status_at_creation="pending")
        refund = self.shop.refund(self.charge)
        self.assertEqual(refund["status"], "pending")
        self.double.refund_status(refund["id"], "succeeded")
        self.assertEqual(self.types("refund."), ["refund.created", "refund.updated"])

    def test_lost_and_won(self):
        dispute = self.double.open_dispute(self.charge)
        self.assertEqual(
            (dispute["status"], dispute["amount"]), ("needs_response", 8000)
        )
        self.assertTrue(self.shop.get(f"charges/{self.charge}")["disputed"])
        with self.assertRaises(stripe.InvalidRequestError) as caught:
            self.shop.refund(self.charge)
        self.assertEqual(caught.exception.code, "charge_disputed")
        won = self.double.close_dispute(dispute["id"], "won")
        self.assertEqual(
            [b["amount"] for b in won["balance_transactions"]], [-8000, 8000]
        )
        second = self.double.open_dispute(self.charge, amount=5000)
        lost = self.double.close_dispute(second["id"], "lost")
        self.assertEqual(len(lost["balance_transactions"]), 1)
        self.assertEqual(
            self.types("charge.dispute"),
            [
                "charge.dispute.created",
                "charge.dispute.funds_withdrawn",
                "charge.dispute.funds_reinstated",
                "charge.dispute.updated",
                "charge.dispute.closed",
                "charge.dispute.created",
                "charge.dispute.funds_withdrawn",
                "charge.dispute.updated",
                "charge.dispute.closed",
            ],
        )

    def test_inquiry(self):
        dispute = self.double.open_dispute(self.charge, inquiry=True)
        self.assertEqual(dispute["status"], "warning_needs_response")
        self.assertEqual(dispute["balance_transactions"], [])
        closed = self.double.close_dispute(dispute["id"], "warning_closed")
        self.assertEqual(closed["balance_transactions"], [])
        other = self.double.open_dispute(self.charge, inquiry=True)
        escalated = self.double.escalate_dispute(other["id"])
        self.assertEqual(escalated["status"], "needs_response")

    def test_prevented(self):
        dispute = self.double.open_dispute(self.charge, inquiry=True)
        self.double.close_dispute(dispute["id"], "prevented")
        self.assertTrue(self.shop.get(f"charges/{self.charge}")["refunded"])
        self.assertEqual(len(self.shop.get("refunds")["data"]), 1)

    def test_balance_transactions(self):
        self.shop.refund(self.charge, 1000)
        found = self.shop.get("balance_transactions")["data"]
        self.assertEqual([b["amount"] for b in found], [-1000, 8000])
        self.assertEqual(found[1]["net"], 8000 - found[1]["fee"])

    def test_void_and_uncollectible(self):
        one = self.shop.invoice(self.invoice["customer"], 100, pay=False)
        voided = self.shop.post(f"invoices/{one['id']}/void")
        self.assertEqual(voided["status"], "void")
        two = self.shop.invoice(self.invoice["customer"], 100, pay=False)
        lost = self.shop.post(f"invoices/{two['id']}/mark_uncollectible")
        self.assertEqual(lost["status"], "uncollectible")
        paid = self.double.pay_invoice(two["id"])
        self.assertEqual(paid["status"], "paid")
        for path in (one["id"], two["id"]):
            with self.assertRaises(stripe.InvalidRequestError):
                self.shop.post(f"invoices/{path}/void")


class OwnProcess(DoubleCase):
    def test_control_over_http(self):
        process = subprocess.Popen(
            [sys.executable, Path(package_file).parent, "--port", "0"],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        url = process.stdout.readline().split()[-1]
        remote = DoubleClient(url)
        shop = Shop(remote)
        session = shop.checkout(shop.price(1000))
        done = remote.complete_session(session["id"], email="r@example.com")
        self.assertEqual(done["payment_status"], "paid")
        before = remote.now()
        self.assertGreater(remote.advance(months=1), before)
        self.assertEqual(len(list(shop.pages("invoices"))), 2)
        self.assertEqual(remote.deliveries(), [])
        with self.assertRaises(ControlError):
            remote.complete_session("cs_none")
        remote.reset()
        self.assertEqual(shop.get("invoices")["data"], [])
