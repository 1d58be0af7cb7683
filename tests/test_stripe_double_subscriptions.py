"""The life of subscriptions under the double's clock."""

import stripe

from .stripe_double.testing import DAY, NEW_YEAR, DoubleCase


class Subscriptions(DoubleCase):
    def test_declined_first_payment(self):
        customer = self.shop.customer()
        self.double.card_declines(customer["id"])
        price = self.shop.price(1000)
        with self.assertRaises(stripe.CardError):
            self.shop.subscribe(customer, price, payment_behavior="error_if_incomplete")
        self.assertEqual(self.shop.get("subscriptions", status="all")["data"], [])
        subscription = self.shop.subscribe(customer, price)
        self.assertEqual(subscription["status"], "incomplete")
        self.double.advance(days=1)
        subscription = self.double.get("subscription", subscription["id"])
        self.assertEqual(subscription["status"], "incomplete_expired")
        invoice = self.double.get("invoice", subscription["latest_invoice"])
        self.assertEqual(invoice["status"], "void")

    def test_incomplete_then_paid(self):
        subscription = self.shop.subscribe(
            "a@example.com",
            self.shop.price(1000),
            payment_behavior="default_incomplete",
        )
        self.assertEqual(subscription["status"], "incomplete")
        self.double.pay_invoice(subscription["latest_invoice"])
        self.double.advance(months=1)
        found = list(self.shop.pages("invoices"))
        self.assertEqual([i["status"] for i in found], ["paid", "paid"])

    def test_cancel_at_period_end_and_now(self):
        price = self.shop.price(1000)
        one = self.shop.subscribe("a@example.com", price)
        two = self.shop.subscribe("b@example.com", price)
        self.shop.post(f"subscriptions/{one['id']}", cancel_at_period_end=True)
        self.shop.delete(f"subscriptions/{two['id']}")
        self.double.advance(months=2)
        for key in (one["id"], two["id"]):
            self.assertEqual(self.double.get("subscription", key)["status"], "canceled")
        self.assertEqual(len(list(self.shop.pages("invoices"))), 2)
        self.assertEqual(len(self.types("customer.subscription.deleted")), 2)

    def test_pause(self):
        subscription = self.shop.subscribe("a@example.com", self.shop.price(1000))
        path = f"subscriptions/{subscription['id']}"
        self.shop.post(path, pause_collection={"behavior": "void"})
        self.double.advance(months=1)
        self.shop.post(path, pause_collection="")
        self.double.advance(months=1)
        found = list(self.shop.pages("invoices"))
        self.assertEqual([i["status"] for i in found], ["paid", "void", "paid"])

    def test_asleep(self):
        """Paused for good: no invoice at all, and the rest of the month comes back."""
        subscription = self.shop.subscribe("a@example.com", self.shop.price(3100))
        path = f"subscriptions/{subscription['id']}"
        self.double.advance(days=10)
        paused = self.shop.post(f"{path}/pause")
        self.assertEqual(paused["status"], "paused")
        with self.assertRaises(stripe.InvalidRequestError):
            self.shop.post(f"{path}/pause")
        self.double.advance(months=3)
        self.assertEqual(len(list(self.shop.pages("invoices"))), 1)
        resumed = self.shop.post(f"{path}/resume")
        self.assertEqual(resumed["status"], "active")
        self.assertEqual(
            resumed["items"]["data"][0]["current_period_start"], self.double.now()
        )
        invoice = self.shop.get(f"invoices/{resumed['latest_invoice']}")
        self.assertEqual(sorted(self.amounts(invoice)[0]), [-2100, 3100])
        self.double.advance(months=1)
        self.assertEqual(len(list(self.shop.pages("invoices"))), 3)
        kinds = ("customer.subscription.paused", "customer.subscription.resumed")
        self.assertEqual(self.types(*kinds), list(kinds))

    def test_begun_in_the_past(self):
        """Two months and 10 of the 31 days of a third are charged on top."""
        begin = NEW_YEAR + 10 * DAY
        self.double.advance(to=begin, months=2, days=10)
        prices = self.shop.price(3100), self.shop.price(620)
        self.shop.subscribe("a@example.com", *prices, backdate_start_date=begin)
        (invoice,) = self.shop.pages("invoices")
        self.assertEqual(self.amounts(invoice)[0], [7200, 1440, 3100, 620])
        self.shop.subscribe(
            "b@example.com",
            *prices,
            backdate_start_date=begin,
            proration_behavior="none",
        )
        invoice = next(self.shop.pages("invoices"))
        self.assertEqual(invoice["total"], 3720)

    def test_phases(self):
        """A cheap month, half a month of three units, then alone at the full price."""
        cheap, full = self.shop.price(1000), self.shop.price(3100)
        middle = {"interval": "day", "interval_count": 14}
        schedule = self.shop.post(
            "subscription_schedules",
            customer=self.shop.customer()["id"],
            phases=[
                {"items": [{"price": cheap["id"]}], "duration": {"interval": "month"}},
                {
                    "items": [{"price": full["id"], "quantity": 3}],
                    "duration": middle,
                },
                {
                    "items": [{"price": full["id"]}],
                    "duration": {"interval": "day"},
                    "proration_behavior": "always_invoice",
                },
            ],
        )
        self.double.advance(months=3)
        found = self.shop.get(f"subscription_schedules/{schedule['id']}")
        self.assertEqual(found["status"], "released")
        totals = [i["total"] for i in self.shop.pages("invoices")]
        # February has 28 days: half of two units goes back.
        self.assertEqual(totals, [3100, 3100, -3100, 9300, 1000])
        self.assertEqual(len(self.types("subscription_schedule")), 5)

    def test_two_intervals(self):
        monthly, yearly = self.shop.price(1000), self.shop.price(9000, interval="year")
        self.shop.subscribe("a@example.com", monthly, yearly)
        self.double.advance(months=12)
        totals = [i["total"] for i in self.shop.pages("invoices")]
        self.assertEqual(totals, [10000] + [1000] * 11 + [10000])

    def test_due_in_order(self):
        """Renewals of several customers happen each at its own moment."""
        price = self.shop.price(1000)
        for number in range(3):
            self.shop.subscribe(f"c{number}@example.com", price)
            self.double.advance(days=5)
        self.double.advance(months=3)
        created = [i["created"] for i in self.double.all("invoice")]
        self.assertEqual(created, sorted(created))
        self.assertEqual(len(created), 12)

    def test_interval_change_starts_anew(self):
        subscription = self.shop.subscribe("a@example.com", self.shop.price(3000))
        middle = subscription["created"] + 31 * 86400 // 2
        self.double.advance(to=middle)
        yearly = self.shop.price(30000, interval="year")
        subscription = self.shop.switch(subscription, yearly)
        item = subscription["items"]["data"][0]
        self.assertEqual(item["current_period_start"], middle)
        invoice = self.shop.get(f"invoices/{subscription['latest_invoice']}")
        self.assertEqual(self.amounts(invoice)[0], [-1500, 30000])

    def test_more_than_ten_items(self):
        prices = [self.shop.price(100 + n) for n in range(12)]
        subscription = self.shop.subscribe("a@example.com", *prices)
        self.assertEqual(len(subscription["items"]["data"]), 10)
        self.assertTrue(subscription["items"]["has_more"])
        found = self.shop.get(
            "subscription_items", subscription=subscription["id"], limit=100
        )
        self.assertEqual(len(found["data"]), 12)
        invoice = self.shop.get(
            f"invoices/{subscription['latest_invoice']}",
            expand=["parent.subscription_details.subscription"],
        )
        inner = invoice["parent"]["subscription_details"]["subscription"]
        self.assertEqual(len(inner["items"]["data"]), 10)
        self.assertEqual(invoice["total"], sum(100 + n for n in range(12)))

    def test_drafts_advance_after_an_hour(self):
        customer = self.shop.customer()
        for advance in (True, False):
            self.shop.draft(customer, 500, auto_advance=advance)
        self.double.advance(seconds=3600)
        found = list(self.shop.pages("invoices"))
        self.assertEqual([i["status"] for i in found], ["draft", "paid"])

    def test_a_refusal_changes_nothing(self):
        price = self.shop.price(1000)
        subscription = self.shop.subscribe("a@example.com", price)
        path = f"subscriptions/{subscription['id']}"
        item = subscription["items"]["data"][0]["id"]
        dear, euro = self.shop.price(5000), self.shop.price(1000, currency="eur")
        before = self.shop.get(path)
        events = len(self.double.events())
        for params in (
            {"metadata": {"a": "b"}, "discounts": [{"coupon": "none"}]},
            {"items": [{"id": item, "price": dear["id"]}, {"price": "none"}]},
            {"items": [{"id": item, "price": dear["id"]}, {"price": euro["id"]}]},
        ):
            with self.assertRaises(stripe.InvalidRequestError):
                self.shop.post(path, proration_behavior="always_invoice", **params)
        self.assertEqual(self.shop.get(path), before)
        self.assertEqual(len(self.double.events()), events)
        self.assertEqual(self.shop.get("invoiceitems")["data"], [])
