"""Subscriptions that stop, start and change (``stripe_cases.py``)."""

from odoo.tests import tagged

from .common import NEW_YEAR
from .money_common import DAY, TrickyCase


@tagged("post_install", "-at_install")
class TestTrickySubscriptions(TrickyCase):
    def test_a_paused_subscription_earns_nothing(self):
        subscription = self.shop.subscribe("jane@example.com", self.shop.price(10000))
        path = f"subscriptions/{subscription['id']}"
        for behavior in ("void", "mark_uncollectible", "keep_as_draft"):
            self.shop.post(path, pause_collection={"behavior": behavior})
            self.double.advance(months=1)
        self.deliver()
        self.assertEqual(self.mirrored("subscription").status, "active")
        self.assertEqual(
            sorted(self.mirrored("invoice").mapped("status")),
            ["paid", "uncollectible", "void"],
            "no event tells of a draft",
        )
        self.assertEqual(self.amounts(), [30.00])
        self.shop.post(path, pause_collection="")
        self.double.advance(months=1)
        self.deliver()
        self.assertEqual(self.amounts(), [30.00, 30.00])

    def test_a_subscription_asleep_earns_nothing(self):
        """Status "paused" makes no invoices; what is given back comes off the first
        one after it."""
        subscription = self.shop.subscribe("jane@example.com", self.shop.price(3100))
        path = f"subscriptions/{subscription['id']}"
        self.double.advance(days=10)
        self.shop.post(f"{path}/pause")
        self.deliver()
        mirrored = self.mirrored("subscription")
        self.assertEqual(mirrored.status, "paused")
        self.double.advance(months=3)
        self.deliver()
        self.reconcile()
        self.assertEqual(len(self.mirrored("invoice")), 1)
        self.assertEqual(self.amounts(), [9.30])
        self.shop.post(f"{path}/resume")
        self.deliver()
        self.assertEqual(mirrored.status, "active")
        self.assertEqual(sorted(self.amounts()), [-6.30, 9.30, 9.30])

    def test_a_first_payment_that_never_came(self):
        customer = self.shop.customer()
        self.double.card_declines(customer["id"])
        self.shop.subscribe(customer, self.shop.price(10000))
        self.deliver()
        self.assertEqual(self.mirrored("subscription").status, "incomplete")
        self.double.advance(days=1)
        self.deliver()
        self.assertEqual(self.mirrored("subscription").status, "incomplete_expired")
        self.assertEqual(self.mirrored("invoice").status, "void")
        self.assertFalse(self.rows())
        self.assertEqual(self.drona.referral_ids.state, "lead")

    def test_more_units_and_an_end_in_the_middle(self):
        """One becomes three in the middle of the month, and all end at its quarter."""
        subscription = self.shop.subscribe("jane@example.com", self.shop.price(3000))
        path = f"subscriptions/{subscription['id']}"
        self.double.advance(seconds=31 * DAY // 2)
        item = {"id": subscription["items"]["data"][0]["id"], "quantity": 3}
        self.shop.post(path, items=[item], proration_behavior="always_invoice")
        self.deliver()
        self.assertEqual(sorted(self.amounts()), [-4.50, 9.00, 13.50])
        self.double.advance(seconds=31 * DAY // 4)
        self.shop.delete(path, prorate=True, invoice_now=True)
        self.double.advance(months=2)
        self.deliver()
        self.assertEqual(self.mirrored("subscription").status, "canceled")
        self.assertEqual(min(self.mirrored("invoice").mapped("amount_total")), -22.50)
        self.assertEqual(self.total(), 18.00)

    def test_a_start_in_the_past_earns_what_it_is_charged(self):
        """Two months and a part of a third are charged with the first month: one sale,
        whose customer came before it was made."""
        begin = NEW_YEAR - 5 * DAY
        self.double.advance(to=NEW_YEAR + 20 * DAY)
        self.shop.subscribe(
            "jane@example.com", self.shop.price(3100), backdate_start_date=begin
        )
        self.deliver()
        self.assertEqual(self.mirrored("invoice").amount_total, 56.00)
        self.assertEqual(sorted(self.amounts()), [7.50, 9.30])
        self.double.advance(months=1)
        self.deliver()
        self.assertEqual(sorted(self.amounts()), [7.50, 9.30, 9.30])

    def test_phases_of_a_schedule_earn_by_their_invoices(self):
        """A cheap month, then half a month of three units, then one unit for good."""
        cheap, full = self.shop.price(1000), self.shop.price(2800)
        phases = [
            {"items": [{"price": cheap["id"]}], "duration": {"interval": "month"}},
            {
                "items": [{"price": full["id"], "quantity": 3}],
                "duration": {"interval": "day", "interval_count": 14},
            },
            {
                "items": [{"price": full["id"]}],
                "duration": {"interval": "day"},
                "proration_behavior": "always_invoice",
            },
        ]
        self.shop.post(
            "subscription_schedules",
            customer=self.shop.customer()["id"],
            phases=phases,
        )
        self.double.advance(months=2)
        self.deliver()
        self.assertEqual(
            sorted(self.mirrored("invoice").mapped("amount_total")),
            [-28.00, 10.00, 28.00, 84.00],
        )
        # What is given back goes to the customer's balance, which pays the last one.
        self.assertEqual(self.total(), 28.20)
        self.assert_pending_empty()

    def test_a_month_and_a_year_in_one_subscription(self):
        self.program.rule_ids.unlink()
        self.program.rule_ids = [
            (0, 0, {"billing_interval": "year", "rate": 10}),
            (0, 0, {"billing_interval": "month", "rate": 30}),
        ]
        prices = self.shop.price(1000), self.shop.price(9000, interval="year")
        self.shop.subscribe("jane@example.com", *prices)
        self.double.advance(months=2)
        self.deliver()
        self.assertEqual(sorted(self.amounts()), [3.00, 3.00, 3.00, 9.00])
