"""How the inbox is worked off: what an event leads to, and what may go wrong."""

from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..lib import stripe_client
from ..lib.stripe_objects import KINDS
from .common import KEY
from .test_webhook import EVENT, WebhookCase


@tagged("post_install", "-at_install")
class TestProcessing(WebhookCase):
    def test_the_cron_is_woken_at_most_once_a_second(self):
        triggers = self.env["ir.cron.trigger"].search([])
        cron = self.env.ref("affiliate_stripe.ir_cron_process")
        triggers.unlink()
        for number in range(5):
            self.post_body(self.event(id=f"evt_{number}"))
        woken = self.env["ir.cron.trigger"].search([("cron_id", "=", cron.id)])
        self.assertTrue(woken)
        self.assertLess(len(woken), 5)

    def test_what_is_ignored_wakes_nobody(self):
        self.env["ir.cron.trigger"].search([]).unlink()
        self.post_body(self.event(livemode=True))
        self.assertFalse(self.env["ir.cron.trigger"].search([]))

    def test_the_cron_works_off_the_inbox(self):
        self.shop.product("One")
        for delivery in self.double.deliveries():
            self.post_delivery(delivery)
        self.env.ref("affiliate_stripe.ir_cron_process").method_direct_trigger()
        self.env.invalidate_all()
        self.assertEqual(self.names(), ["One"])
        self.assertEqual(set(self.events.mapped("state")), {"done"})

    def test_events_of_one_object_cost_one_request(self):
        product = self.shop.product("One")
        for name in ("Two", "Three"):
            self.shop.post(f"products/{product['id']}", name=name)
        before = len(self.double.requests)
        self.deliver()
        self.assertEqual(len(self.double.requests) - before, 1)
        self.assertEqual(self.names(), ["Three"])
        self.assertEqual(len(self.events), 3)

    def test_the_payload_is_never_the_truth(self):
        """Stale payloads, the newest first: what the API says counts."""
        product = self.shop.product("Old")
        self.shop.post(f"products/{product['id']}", name="New")
        self.double.hostility(stale_events=True)
        for delivery in reversed(self.double.deliveries()):
            self.deliver([delivery])
            self.assertEqual(self.names(), ["New"])

    def test_an_older_answer_never_overwrites_a_newer_one(self):
        self.shop.product("New")
        self.deliver()
        product = self.env["affiliate.stripe.product"].search([])
        sync = self.env["affiliate.stripe.sync"]
        reading = KINDS["product"].read({**product.data, "name": "Old"})
        before = product.synced_at - timedelta(seconds=1)
        sync._store(self.account, [reading], before)
        self.assertEqual(self.names(), ["New"])
        sync._store(self.account, [reading], product.synced_at + timedelta(seconds=1))
        self.assertEqual(self.names(), ["Old"])

    def test_an_old_api_version_is_used_by_its_id_only(self):
        self.double.configure(api_version="2019-05-16")
        self.account.action_disconnect()
        self.account.api_key = KEY
        made = self.shop.endpoint(self.account.webhook_url)
        self.account.webhook_secret = made["secret"]
        self.account.action_connect()
        customer = self.shop.customer()
        self.shop.invoice(customer, 10000)
        self.deliver()
        self.assertEqual(set(self.events.mapped("api_version")), {"2019-05-16"})
        self.assertEqual(
            self.env["affiliate.stripe.invoice"].search([]).amount_total, 100.00
        )
        self.assert_pending_empty()

    def test_a_thin_event_is_an_id_too(self):
        customer = self.shop.customer("thin@example.com")
        status = self.post_body(
            {
                "id": "evt_thin",
                "object": "v2.core.event",
                "type": "v1.customer.created",
                "created": "2026-01-01T00:00:00.000Z",
                "livemode": False,
                "related_object": {
                    "id": customer["id"],
                    "type": "customer",
                    "url": f"/v1/customers/{customer['id']}",
                },
            }
        )
        self.assertEqual(status, 200)
        self.process()
        mirrored = self.env["affiliate.stripe.customer"].search([])
        self.assertEqual(mirrored.email, "thin@example.com")

    def test_a_deleted_object_is_archived(self):
        product = self.shop.product("Gone")
        customer = self.shop.customer()
        self.deliver()
        self.shop.delete(f"products/{product['id']}")
        self.shop.delete(f"customers/{customer['id']}")
        self.deliver()
        for model in ("product", "customer"):
            archived = self.env[f"affiliate.stripe.{model}"].with_context(
                active_test=False
            )
            self.assertEqual(archived.search([]).mapped("active"), [False], model)
            self.assertEqual(archived.search([]).display_name != "", True)
        self.assert_pending_empty()

    def test_an_event_of_an_object_that_never_was_is_done(self):
        self.post_body(self.event())
        self.process()
        self.assertEqual(self.events.state, "done")

    def test_one_bad_object_does_not_hold_up_the_others(self):
        """Its answer makes no sense, or cannot be stored."""
        bad = [self.shop.product("Bad"), self.shop.price(1000)]
        invoice = self.shop.invoice(self.shop.customer(), 100)
        self.shop.product("Good")
        world = self.double.world()
        world.get("invoice", invoice["id"])["total"] = None
        world.get("product", bad[0]["id"])["created"] = 10**30
        world.get("price", bad[1]["id"])["recurring"]["interval_count"] = 2**40
        with mute_logger(EVENT, "odoo.sql_db"):
            self.deliver()
        self.assertIn("Good", self.names())
        self.assertTrue(self.env["affiliate.stripe.customer"].search([]))
        waiting = self.events.filtered(lambda event: event.state == "pending")
        self.assertEqual(
            set(waiting.mapped("object_ref")) - set(self._refs_of_payments()),
            {invoice["id"], bad[0]["id"], bad[1]["id"]},
        )
        for event in waiting:
            self.assertEqual(event.tries, 1)
            self.assertTrue(event.error)
            self.assertGreater(event.next_try, fields.Datetime.now())
        self.assertFalse(self.account.backoff_until)
        self.assertEqual(self.account.state, "connected")

    def _refs_of_payments(self):
        """Objects that lead to the broken invoice wait with it."""
        return [
            event.object_ref
            for event in self.events
            if event.object_kind in ("charge", "invoice_payment")
        ]

    def test_a_bad_object_is_tried_less_and_less_often_and_then_fails(self):
        product = self.shop.product("Bad")
        good = self.double.world().get("product", product["id"])["created"]
        self.double.world().get("product", product["id"])["created"] = 10**30
        with mute_logger(EVENT, "odoo.sql_db"):
            self.deliver()
            waits = []
            while self.events.state == "pending":
                event = self.events
                waits.append(event.next_try - fields.Datetime.now())
                event.sudo().next_try = fields.Datetime.now() - timedelta(seconds=1)
                self.process()
                self.assertLess(len(waits), 20)
        self.assertEqual(self.events.state, "failed")
        self.assertEqual(waits, sorted(waits))
        self.assertGreater(waits[-1], 30 * waits[0])
        self.assertEqual(self.account.failed_events, 1)
        # A person mends it and presses the button.
        self.double.world().get("product", product["id"])["created"] = good
        self.events.action_retry()
        self.process()
        self.assertEqual(self.events.state, "done")
        self.assertEqual(self.names(), ["Bad"])

    def test_nul_characters_are_left_out_of_the_mirror(self):
        product = self.shop.product("Name")
        self.double.world().get("product", product["id"])["name"] = "A\0B \\u0000"
        self.deliver()
        self.assertEqual(self.names(), ["AB \\u0000"])
        self.assertEqual(
            self.env["affiliate.stripe.product"].search([]).data["name"], "AB \\u0000"
        )

    def test_a_weak_moment_of_stripe_costs_no_try(self):
        for action, arguments in (
            ("status", {"status": 429}),
            ("status", {"status": 500}),
            ("status", {"status": 503}),
            ("drop", {}),
            ("truncate", {}),
            ("timeout", {"seconds": 0.2}),
        ):
            with self.subTest(action, **arguments):
                self.shop.product(f"P {len(self.names())}")
                self.double.disturb(action, "GET /v1/products/", times=20, **arguments)
                with patch.object(stripe_client, "NETWORK_RETRIES", 0):
                    self.deliver()
                event = self.events[-1:]
                self.assertEqual((event.state, event.tries), ("pending", 0))
                self.assertFalse(event.leased_until)
                self.assertEqual(self.account.state, "connected")
                self.assertGreater(self.account.backoff_until, fields.Datetime.now())
                count = len(self.double.requests)
                self.process()
                self.assertEqual(len(self.double.requests), count, "it backs off")
                self.double.calm()
                self.account.sudo().backoff_until = fields.Datetime.now()
                self.process()
                self.assertEqual(self.events[-1:].state, "done")

    def test_a_short_hiccup_is_retried_at_once(self):
        self.shop.product("One")
        self.double.disturb("status", "GET /v1/products/", times=1, status=500)
        self.deliver()
        self.assertEqual(self.names(), ["One"])

    def test_a_revoked_key_stops_the_account_and_burns_no_event(self):
        self.shop.product("One")
        self.double.add_key(KEY, state="revoked")
        self.deliver()
        self.assertEqual(self.account.state, "error")
        self.assertIn("does not accept the API key", self.account.problem)
        self.assertEqual(
            (self.events.state, self.events.tries), ("pending", 0), "not its fault"
        )
        manager = self.env.ref("affiliate_stripe.group_affiliate_manager").all_user_ids
        activity = self.account.activity_ids
        self.assertEqual(len(activity), 1)
        self.assertIn(activity.user_id, manager)
        self.assertIn("does not accept", str(activity.note))
        # More events come in and wait; nobody is told twice.
        with_key = self.shop
        self.shop = type(self.shop)(self.double, "sk_test_fresh")
        self.shop.product("Two")
        count = len(self.double.requests)
        self.deliver()
        self.assertEqual(len(self.double.requests), count)
        self.assertEqual(len(self.account.activity_ids), 1)
        self.account.api_key = "sk_test_fresh"
        self.account.action_check()
        self.assertEqual(self.account.state, "connected")
        self.process()
        self.assertEqual(sorted(self.names()), ["One", "Two"])
        self.assert_pending_empty()
        self.shop = with_key

    def test_a_permission_taken_away_is_named(self):
        everything = {"account", "product", "plan", "coupon", "promotion_code"}
        self.shop.product("One")
        self.double.add_key(
            KEY, permissions=[f"{name}_read" for name in everything - {"product"}]
        )
        self.deliver()
        self.assertEqual(self.account.state, "error")
        self.assertIn("product", self.account.problem)
        self.assertEqual(self.events.state, "pending")

    def test_a_running_lease_is_respected_and_an_expired_one_taken_over(self):
        self.shop.product("One")
        self.post_delivery(self.double.deliveries()[0])
        now = fields.Datetime.now()
        self.events.sudo().leased_until = now + timedelta(minutes=5)
        self.process()
        self.assertEqual(self.events.state, "pending")
        self.events.sudo().leased_until = now - timedelta(seconds=1)
        self.process()
        self.assertEqual(self.events.state, "done")
        self.assertFalse(self.events.leased_until)

    def test_a_crash_while_writing_leaves_the_events_pending(self):
        """Store and events are one commit: there is no half."""
        self.shop.product("One")
        sync = type(self.env["affiliate.stripe.sync"])
        with (
            patch.object(sync, "_after_store", side_effect=RuntimeError("power cut")),
            mute_logger(EVENT),
        ):
            self.deliver()
        self.assertFalse(self.names())
        self.assertEqual(self.events.state, "pending")
        self.events.sudo().next_try = False
        self.process()
        self.assertEqual(self.names(), ["One"])

    def test_old_events_are_forgotten_but_never_waiting_ones(self):
        for number in range(3):
            self.post_body(self.event(id=f"evt_{number}"))
        done, waiting, failed = self.events
        old = fields.Datetime.now() - timedelta(days=100)
        self.events.sudo().write({"received_at": old})
        done.sudo().state, failed.sudo().state = "done", "failed"
        self.env["affiliate.stripe.event"].sudo()._gc_events()
        self.assertEqual(self.events, waiting | failed)
