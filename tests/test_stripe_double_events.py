"""The event log: shape, catch-up, retention, filters."""

import stripe

from .stripe_double.testing import DoubleCase


class Events(DoubleCase):
    def test_catch_up_from_old_to_new(self):
        start = self.shop.customer()
        seen = self.shop.get("events", limit=1)["data"][0]["id"]
        for _n in range(3):
            self.shop.post(f"customers/{start['id']}", name=f"N{_n}")
            self.double.advance(seconds=1)
        events = self.v1.events.list({"ending_before": seen, "limit": 2})
        names = [e.data.object["name"] for e in events.auto_paging_iter()]
        self.assertEqual(names, ["N0", "N1", "N2"])

    def test_shape(self):
        customer = self.shop.customer(metadata={"a": "1", "b": "2"})
        self.v1.customers.update(
            customer["id"],
            {"metadata": {"a": "3", "b": ""}, "email": "new@example.com"},
            {"idempotency_key": "mine"},
        )
        event = self.shop.get("events", type="customer.updated")["data"][0]
        self.assertEqual(event["data"]["object"]["metadata"], {"a": "3"})
        self.assertEqual(
            event["data"]["previous_attributes"],
            {"email": "jane@example.com", "metadata": {"a": "1", "b": "2"}},
        )
        self.assertEqual(event["request"]["idempotency_key"], "mine")
        self.assertEqual(event["api_version"], stripe.api_version)

    def test_thirty_days(self):
        self.shop.customer()
        event = self.shop.get("events")["data"][0]
        self.double.advance(days=30)
        self.assertEqual(len(self.shop.get("events")["data"]), 1)
        self.double.advance(seconds=1)
        self.assertEqual(self.shop.get("events")["data"], [])
        with self.assertRaises(stripe.InvalidRequestError):
            self.shop.get(f"events/{event['id']}")

    def test_filters(self):
        self.shop.invoice(self.shop.customer(), 100)
        some = self.shop.get("events", types=["invoice.paid", "charge.succeeded"])
        self.assertEqual(
            [e["type"] for e in some["data"]], ["invoice.paid", "charge.succeeded"]
        )
        self.assertTrue(
            all(
                e["type"].startswith("invoice.")
                for e in self.shop.get("events", type="invoice.*")["data"]
            )
        )
        now = self.double.now()
        self.double.advance(days=2)
        self.assertEqual(self.shop.get("events", created={"gt": now})["data"], [])

    def test_payloads_never_hold_includable_fields(self):
        self.shop.buy(self.shop.price(1000), "jane@example.com")
        for event in self.double.events():
            obj = event["data"]["object"]
            self.assertNotIn("payments", obj)
            if obj["object"] == "charge":
                self.assertNotIn("refunds", obj)
