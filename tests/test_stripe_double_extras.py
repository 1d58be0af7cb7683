"""Old and thin payloads, payouts, and what no act leads to."""

import json

import stripe

from .stripe_double.testing import DoubleCase


class Payers(DoubleCase):
    def test_customers_without_tax(self):
        rates = [self.shop.tax_rate(20)["id"]]
        for status, total in (("none", 1200), ("exempt", 1000), ("reverse", 1000)):
            customer = self.shop.customer(tax_exempt=status)
            invoice = self.shop.invoice(customer, 1000, default_tax_rates=rates)
            self.assertEqual(invoice["total"], total)
            self.assertEqual(invoice["customer_tax_exempt"], status)
            (tax,) = invoice["total_taxes"]
            self.assertEqual(tax["taxable_amount"], 1000)

    def test_a_debit_takes_days(self):
        for comes in (True, False):
            invoice = self.shop.invoice(self.shop.customer(), 1000, pay=False)
            self.double.debit_invoice(invoice["id"])
            charge = self.double.all("charge")[-1]
            self.assertEqual(charge["status"], "pending")
            self.assertTrue(charge["balance_transaction"])
            self.assertEqual(
                self.double.get("invoice", invoice["id"])["status"], "open"
            )
            if comes:
                self.double.pay_invoice(invoice["id"])
            else:
                self.double.fail_invoice_payment(invoice["id"])
            (charge,) = self.double.all(
                "charge", payment_intent=charge["payment_intent"]
            )
            self.assertEqual(charge["paid"], comes)
            self.assertEqual(charge["failure_balance_transaction"] is None, comes)
            status = self.double.get("invoice", invoice["id"])["status"]
            self.assertEqual(status, "paid" if comes else "open")
        self.assertEqual(
            self.types("charge."),
            ["charge.pending", "charge.succeeded", "charge.pending", "charge.failed"],
        )


class Payloads(DoubleCase):
    def body(self, event_type):
        found = [d for d in self.double.deliveries() if d.event["type"] == event_type]
        return json.loads(found[-1].body())

    def test_old_version(self):
        self.shop.endpoint("http://127.0.0.1:9/x", api_version="2020-08-27")
        session = self.shop.buy(self.shop.price(1000), "old@example.com")
        event = self.body("invoice.paid")
        self.assertEqual(event["api_version"], "2020-08-27")
        invoice = event["data"]["object"]
        self.assertEqual(invoice["subscription"], session["subscription"])
        self.assertNotIn("parent", invoice)
        charge = self.body("charge.succeeded")["data"]["object"]
        self.assertEqual(charge["invoice"], invoice["id"])
        current = self.shop.get("events", type="invoice.paid")["data"][0]
        self.assertIn("parent", current["data"]["object"])

    def test_old_account_default(self):
        self.double.configure(api_version="2025-04-30.basil")
        self.shop.code("OLD")
        event = self.shop.get("events", type="promotion_code.created")["data"][0]
        self.assertEqual(event["api_version"], "2025-04-30.basil")
        self.assertIn("coupon", event["data"]["object"])
        self.assertNotIn("promotion", event["data"]["object"])

    def test_thin(self):
        endpoint = self.shop.endpoint("http://127.0.0.1:9/x")
        customer = self.shop.customer()
        _url, headers, body = self.double.deliveries()[-1].thin()
        note = self.shop.client.parse_event_notification(
            body, headers["Stripe-Signature"], endpoint["secret"]
        )
        self.assertEqual(note.type, "v1.customer.created")
        self.assertEqual(note.related_object.id, customer["id"])

    def test_fake(self):
        self.shop.endpoint("http://127.0.0.1:9/x", ["customer.created"])
        self.double.fake_event("invoice.upcoming", {"object": "invoice"})
        self.double.fake_event("alien.landed", {"id": "x"}, livemode=False, extra=1)
        bodies = [json.loads(d.body()) for d in self.double.deliveries()]
        self.assertEqual(
            [b["type"] for b in bodies], ["invoice.upcoming", "alien.landed"]
        )
        self.assertEqual(bodies[1]["extra"], 1)
        self.assertEqual(self.shop.get("events", type="alien.*")["data"], [])


class Money(DoubleCase):
    def setUp(self):
        super().setUp()
        self.invoice = self.shop.invoice(self.shop.customer(), 10000)
        self.charge = self.shop.charge_of(self.invoice)

    def test_payout(self):
        self.shop.refund(self.charge, 1000)
        payout = self.double.pay_out()
        parts = self.shop.get("balance_transactions", payout=payout["id"])["data"]
        self.assertEqual(
            sum(b["net"] for b in parts if b["type"] != "payout"), payout["amount"]
        )
        self.assertEqual(sum(b["net"] for b in parts), 0)
        self.assertEqual(self.shop.get("payouts")["data"][0]["id"], payout["id"])
        self.assertEqual(
            self.types("payout."),
            ["payout.created", "payout.paid", "payout.reconciliation_completed"],
        )

    def test_lost_money_cannot_be_refunded(self):
        dispute = self.double.open_dispute(self.charge, amount=6000)
        self.double.close_dispute(dispute["id"], "lost")
        with self.assertRaises(stripe.InvalidRequestError) as caught:
            self.shop.refund(self.charge)
        self.assertEqual(caught.exception.code, "charge_disputed")
        self.shop.refund(self.charge, 4000)
        refund = self.double.force_refund(self.charge, 6000)
        self.assertEqual(refund["amount"], 6000)

    def test_refunded_money_may_be_disputed(self):
        self.shop.refund(self.charge)
        dispute = self.double.open_dispute(self.charge)
        self.assertEqual(dispute["amount"], 10000)
        with self.assertRaises(Exception):  # noqa: B017
            self.double.open_dispute(self.charge)

    def test_evidence_and_appeal(self):
        dispute = self.double.open_dispute(self.charge)
        path = f"disputes/{dispute['id']}"
        changed = self.shop.post(path, evidence={"uncategorized_text": "x"})
        self.assertEqual(changed["status"], "under_review")
        self.double.close_dispute(dispute["id"], "lost")
        self.double.alter(
            "dispute",
            dispute["id"],
            ["charge.dispute.updated"],
            status="appeal_under_review",
        )
        self.assertEqual(self.shop.get(path)["status"], "appeal_under_review")
        self.assertEqual(self.types()[-1], "charge.dispute.updated")

    def test_minimum_charge(self):
        self.double.configure(minimum_charges=True)
        customer = self.shop.customer("small@example.com")
        invoice = self.shop.invoice(customer, 30)
        self.assertEqual(
            (invoice["status"], invoice["total"], invoice["amount_paid"]),
            ("paid", 30, 0),
        )
        path = f"customers/{customer['id']}"
        self.assertEqual(self.shop.get(path)["balance"], 30)
        invoice = self.shop.invoice(customer, 1000)
        self.assertEqual((invoice["total"], invoice["amount_paid"]), (1000, 1030))
        moved = self.shop.get(f"{path}/balance_transactions")["data"]
        self.assertEqual(
            [m["type"] for m in moved], ["applied_to_invoice", "invoice_too_small"]
        )

    def test_prorations_follow_the_discount(self):
        for mode, expected in (
            ("included", ([-1350, 4050], [0, 0], 2700)),
            ("itemized", ([-1500, 4500], [-150, 450], 2700)),
        ):
            code = self.shop.code(f"PRO-{mode}", 10)
            subscription = self.shop.subscribe(
                "p@example.com",
                self.shop.price(3000),
                discounts=[{"promotion_code": code["id"]}],
                billing_mode={
                    "type": "flexible",
                    "flexible": {"proration_discounts": mode},
                },
            )
            item = subscription["items"]["data"][0]
            half = (item["current_period_end"] - item["current_period_start"]) // 2
            subscription = self.shop.switch(
                subscription,
                self.shop.price(9000),
                proration_date=item["current_period_start"] + half,
            )
            invoice = self.shop.get(f"invoices/{subscription['latest_invoice']}")
            amounts, off, _taxes = self.amounts(invoice)
            self.assertEqual((amounts, off, invoice["total"]), expected)

    def test_shares_of_one_promotion_over_many(self):
        """Two promotion codes on one subscription, both named on the invoice."""
        codes = [self.shop.code(f"MANY{n}", 10)["id"] for n in range(2)]
        subscription = self.shop.subscribe(
            "m@example.com",
            self.shop.price(10000),
            discounts=[{"promotion_code": key} for key in codes],
        )
        invoice = self.shop.get(
            f"invoices/{subscription['latest_invoice']}", expand=["discounts"]
        )
        self.assertEqual([d["promotion_code"] for d in invoice["discounts"]], codes)
        self.assertEqual(
            [d["amount"] for d in invoice["total_discount_amounts"]], [1000, 900]
        )

    def test_quiet_loading(self):
        self.double.configure(quiet=True)
        before = len(self.double.events())
        self.shop.subscribe("q@example.com", self.shop.price(1000))
        self.double.advance(months=2)
        self.assertEqual(len(self.double.events()), before)

    def test_account_needs_its_permission(self):
        self.double.add_key("rk_test_none", permissions=["invoice_read"])
        with self.assertRaises(stripe.PermissionError):
            self.double.client("rk_test_none").v1.accounts.retrieve_current()
