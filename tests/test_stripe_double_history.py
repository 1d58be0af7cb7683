"""The double: a past made at once, without events."""

from .stripe_double.testing import DAY, NEW_YEAR, DoubleCase


class TestHistory(DoubleCase):
    def test_a_past(self):
        price = self.shop.price(3000)["id"]
        deal = self.shop.price(9900, interval=None)["id"]
        self.shop.code("DRONA29", 50)
        present = self.shop.invoice(self.shop.customer("now@example.com"), 100)
        events = len(self.double.all("event"))

        def act(days, what, email, **values):
            return [NEW_YEAR - days * DAY, what, {"email": email, **values}]

        counts = self.double.history(
            [
                act(10, "refund", "ben@example.com", percent=50),
                act(90, "checkout", "ada@example.com", price=price, name="Ada Berg"),
                act(
                    100,
                    "checkout",
                    "ben@example.com",
                    price=price,
                    name="Ben Dahl",
                    code="drona29",
                ),
                act(
                    50,
                    "checkout",
                    "eva@example.com",
                    price=deal,
                    name="Eva Park",
                    reference="DRONA29",
                ),
                act(30, "dispute", "ada@example.com", status="lost"),
                act(20, "cancel", "ada@example.com"),
                act(5, "declines", "ben@example.com"),
                act(4, "refund", "nobody@example.com"),
            ]
        )
        self.assertEqual(self.double.now(), NEW_YEAR)
        self.assertEqual(len(self.double.all("event")), events)
        self.assertEqual(counts["customer"], 3)
        listed = list(self.shop.pages("invoices", limit=3))
        self.assertEqual(len(listed), counts["invoice"])
        moments = [invoice["created"] for invoice in listed]
        self.assertEqual(moments, sorted(moments, reverse=True))
        self.assertEqual(listed[0]["id"], present["id"])
        old = self.shop.get("invoices", created={"lt": NEW_YEAR - 80 * DAY})["data"]
        self.assertEqual(
            {i["customer_email"] for i in old}, {"ada@example.com", "ben@example.com"}
        )
        ben = self.double.all("customer", email="ben@example.com")[0]["id"]
        ours = self.double.all("invoice", customer=ben)
        self.assertEqual([i["amount_paid"] for i in ours[:3]], [1500, 1500, 1500])
        [refund] = self.double.all("refund")
        self.assertEqual(refund["created"], NEW_YEAR - 10 * DAY)
        self.assertEqual(self.double.all("dispute")[0]["status"], "lost")
        [sale] = self.double.all("checkout.session", client_reference_id="DRONA29")
        self.assertIsNone(sale["customer"])
        self.assertEqual(
            {s["status"] for s in self.double.all("subscription")},
            {"active", "canceled"},
        )
        self.double.advance(months=1)
        self.assertEqual(self.double.all("invoice", customer=ben)[-1]["status"], "open")
