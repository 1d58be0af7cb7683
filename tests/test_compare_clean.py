"""A healthy account compares clean, whatever happened in it."""

from contextlib import suppress

from odoo.tests import tagged

from .stripe_double.errors import ApiError
from .test_any_order import STEPS, History, RandomHistories


@tagged("post_install", "-at_install")
class TestCompareClean(RandomHistories):
    def compare(self, at_least=STEPS):
        """Compare; return ``{(kind, Stripe id): (what, details)}``."""
        run = self.env["affiliate.stripe.run"].create(
            {"account_id": self.account.id, "purpose": "compare"}
        )
        run.action_start()
        self.walk()
        self.assertEqual(run.state, "done", run.problem)
        self.assertGreater(sum(run.part_ids.mapped("stripe_count")), at_least)
        return {
            (found.kind, found.stripe_id): (found.what, found.details)
            for found in run.part_ids.difference_ids
        }

    def walk(self):
        self.env.flush_all()
        self.env["affiliate.stripe.run"]._walk_all()
        self.env.invalidate_all()

    def live(self, seed):
        """A random history, heard as it happens, with all that people do to it."""
        history = History(self, seed)
        while history.steps < 2 * STEPS:
            history.step()
            self.rarely(history)
            self.deliver()
        # A renewal that is kept as a draft, of which no subscribed event tells either.
        paused = self.shop.subscribe("draft@example.com", self.shop.price(900))
        self.shop.post(
            f"subscriptions/{paused['id']}",
            pause_collection={"behavior": "keep_as_draft"},
        )
        self.double.advance(months=1)
        self.deliver()
        drafts = self.double.all("invoice", status="draft")
        self.assertTrue([d for d in drafts if d["billing_reason"] != "manual"])
        return history

    def rarely(self, history):
        """What random histories leave out, because it earns nobody anything."""
        if history.steps % 6 == 1:
            self.shop.draft(self.shop.customer("draft@example.com"), 1000)
        if history.steps % 6 == 2:
            session = self.shop.checkout(history.deal)
            if history.steps % 12 == 2:
                self.shop.post(f"checkout/sessions/{session['id']}/expire")
        if history.steps % 6 == 3:
            with suppress(ApiError):  # nothing to pay out
                self.double.pay_out("usd")
        if history.steps % 6 == 4:
            self.shop.code(f"FEW{history.steps}", max_redemptions=1)
            price = self.shop.price(1500, interval=None)
            self.shop.buy(price, "few@example.com", code=f"FEW{history.steps}")
        if history.steps % 6 == 5:
            now = self.double.now()
            self.shop.coupon(percent=5, redeem_by=now + 86400)

    def test_after_events_alone(self):
        self.account.action_sync_now()
        self.walk()
        for seed in range(2):
            self.live(seed)
        self.assertFalse(self.compare())

    def test_after_a_complete_reading(self):
        self.live(3)
        self.reconcile()
        self.assertFalse(self.compare())
        self.double.advance(days=1)
        self.deliver()
        self.assertFalse(self.compare())

    def test_what_events_tell_is_still_a_difference(self):
        self.walk()
        price = self.shop.price(1500, interval=None)
        lost = self.shop.buy(price, "lost@example.com")
        known = self.shop.buy(price, "known@example.com")
        for delivery in self.double.deliveries():
            if lost["id"] in str(delivery.event) or "completed" not in str(
                delivery.event["type"]
            ):
                delivery.drop()
        self.deliver()
        self.compare(at_least=0)
        booked = self.env["affiliate.stripe.balance.transaction"].search([])
        self.env.cr.execute("UPDATE affiliate_stripe_balance_transaction SET fee = 77")
        found = self.compare(at_least=0)
        self.assertEqual(
            found["checkout_session", lost["id"]], ("missing_here", ""), found
        )
        self.assertNotIn(("checkout_session", known["id"]), found)
        for row in booked:
            what, details = found["balance_transaction", row.stripe_id]
            self.assertEqual(what, "other")
            self.assertIn("Fee: 77", details)
