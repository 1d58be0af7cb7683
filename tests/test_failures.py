"""What fails: it is put aside, shown, told once, and goes on as soon as it can."""

import logging
from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..lib import stripe_client
from ..models.affiliate_stripe_event import MAX_TRIES
from .common import KEY
from .test_webhook import EVENT, WebhookCase

HEALTH = "odoo.addons.affiliate_stripe.models.affiliate_stripe_account_health"


@tagged("post_install", "-at_install")
class TestDeadLetters(WebhookCase):
    def make_failed(self, *names):
        """Events whose objects make no sense, tried in vain often enough."""
        products = [self.shop.product(name) for name in names]
        for product in products:
            self.raw(product)["created"] = 10**30
        with mute_logger(EVENT, "odoo.sql_db"):
            self.deliver()
            self.events.sudo().write({"tries": MAX_TRIES - 1, "next_try": False})
            self.process()
        self.assertEqual(set(self.events.mapped("state")), {"failed"})
        return products

    def raw(self, product):
        return self.double.world().get("product", product["id"])

    def mend(self, *products):
        for product in products:
            self.raw(product)["created"] = 1767225600

    def test_the_manager_is_told_once_and_not_of_each(self):
        self.make_failed("One", "Two", "Three")
        activity = self.account.activity_ids
        self.assertEqual(len(activity), 1)
        self.assertIn("not be processed: 3.", str(activity.note))
        manager = self.env.ref("affiliate_stripe.group_affiliate_manager").all_user_ids
        self.assertIn(activity.user_id, manager)
        self.assertIn(self.env.company, activity.user_id.company_ids)
        self.make_failed("Four")
        self.assertEqual(self.account.activity_ids, activity)
        self.assertIn("not be processed: 4.", str(activity.note))
        self.assertEqual(self.account.state, "connected", "the rest goes on")

    def test_the_list_of_failed_events_and_their_retry(self):
        products = self.make_failed("One", "Two")
        self.env.invalidate_all()
        self.assertEqual(self.account.failed_events, 2)
        action = self.account.action_view_failed_events()
        self.assertEqual(action["context"], {"search_default_failed": 1})
        found = self.env["affiliate.stripe.event"].search(action["domain"])
        self.assertEqual(found, self.events)
        # One alone first: the activity stays for the other.
        self.mend(*products)
        self.events[0].action_retry()
        self.process()
        self.assertEqual(self.events.mapped("state"), ["done", "failed"])
        self.assertIn("not be processed: 1.", str(self.account.activity_ids.note))
        self.events.action_retry()
        self.process()
        self.assertEqual(sorted(self.names()), ["One", "Two"])
        self.assertFalse(self.account.activity_ids, "closed by itself")
        self.assert_pending_empty()

    def test_what_is_still_broken_is_told_again(self):
        self.make_failed("One")
        self.account.activity_ids.action_feedback()
        self.env.ref("affiliate_stripe.ir_cron_webhooks").method_direct_trigger()
        self.env.invalidate_all()
        self.assertEqual(len(self.account.activity_ids), 1, "a day later")

    def test_activities_of_people_are_left_alone(self):
        own = self.account.activity_schedule(
            "mail.mail_activity_data_warning", summary="Ask Ann", automated=False
        )
        (product,) = self.make_failed("One")
        self.assertEqual(len(self.account.activity_ids), 2)
        self.mend(product)
        self.events.action_retry()
        self.assertEqual(self.account.activity_ids, own)

    def test_one_activity_says_all_that_is_wrong(self):
        self.make_failed("One")
        self.double.add_key(KEY, state="revoked")
        self.events.action_retry()
        self.process()
        self.assertEqual(self.account.state, "error")
        self.events.sudo().state = "failed"
        self.account._update_warning()
        (activity,) = self.account.activity_ids
        self.assertIn("does not accept the API key", str(activity.note))
        self.assertIn("not be processed: 1.", str(activity.note))

    def test_what_stripe_says_is_no_html(self):
        problem = stripe_client.StripeProblem("permission", "<b onclick='x'>no</b>")
        self.account.sudo()._handle_problem(problem)
        self.assertIn("&lt;b", str(self.account.activity_ids.note))


@tagged("post_install", "-at_install")
class TestClocks(WebhookCase):
    def test_a_clock_that_is_ahead_polls_nothing_away(self):
        account, sync = self.account, self.env["affiliate.stripe.sync"]
        ahead = fields.Datetime.add(sync._database_now(), hours=1)
        self.double.advance(to=int(fields.Datetime.now().timestamp()))
        self.env.flush_all()
        with patch.object(type(sync), "_database_now", lambda _self: ahead):
            sync._poll_events(account)
        self.env.invalidate_all()
        self.assertLessEqual(account.polled_until, fields.Datetime.now())
        self.shop.product("One")
        sync._poll_events(account)
        self.assertIn("product.created", self.events.mapped("type"))

    def test_a_manager_hears_of_refused_deliveries_until_they_end(self):
        self.shop.product("One")
        (delivery,) = self.double.deliveries()
        url, headers, body = delivery.request()
        for _time in range(2):
            self.assertEqual(self.post_webhook(url, headers, body + b" "), 400)
        self.env.invalidate_all()
        self.assertTrue(self.account.refused_at)
        (activity,) = self.account.activity_ids
        self.assertIn("signature or its time was wrong", str(activity.note))
        first = self.account.refused_at
        cron = self.env.ref("affiliate_stripe.ir_cron_webhooks")
        cron.method_direct_trigger()
        self.assertEqual(self.account.refused_at, first, "for a day")
        self.account.sudo().refused_at = fields.Datetime.subtract(first, days=2)
        cron.method_direct_trigger()
        self.assertFalse(self.account.refused_at)
        self.assertFalse(self.account.activity_ids)


@tagged("post_install", "-at_install")
class TestPauses(WebhookCase):
    def refused(self, status=429, **arguments):
        """One run while Stripe refuses everything; return the pause."""
        self.double.disturb(
            "status", "GET /v1/products/", times=99, status=status, **arguments
        )
        self.account.sudo().backoff_until = False
        with patch.object(stripe_client, "NETWORK_RETRIES", 0):
            self.process()
        self.double.calm()
        return self.account.backoff_until - fields.Datetime.now()

    def test_pauses_grow_until_stripe_answers(self):
        for number in range(3):
            self.shop.product(f"P{number}")
        for delivery in self.double.deliveries():
            self.post_delivery(delivery)
        seconds = [self.refused().total_seconds() for _time in range(9)]
        for pause, expected in zip(
            seconds, (30, 60, 120, 240, 480, 960, 1920, 1920, 1920), strict=True
        ):
            self.assertAlmostEqual(pause, expected, delta=3)
        self.assertEqual(set(self.events.mapped("tries")), {0})
        (activity,) = self.account.activity_ids
        self.assertIn("slow down", str(activity.note), "after so long a person knows")
        self.account.sudo().backoff_until = fields.Datetime.now()
        self.process()
        self.assertEqual(len(self.names()), 3)
        self.assertEqual(self.account.backoff_count, 0)
        self.assertFalse(self.account.backoff_until)
        self.assertFalse(self.account.backoff_reason)
        self.assertFalse(self.account.activity_ids)

    def test_which_limit_it_was_is_said(self):
        self.shop.product("One")
        self.post_delivery(self.double.deliveries()[0])
        with self.assertLogs(HEALTH, logging.INFO) as logs:
            self.refused(reason="endpoint-concurrency")
        self.assertIn("(endpoint-concurrency)", self.account.backoff_reason)
        self.assertIn("(endpoint-concurrency)", logs.output[0])
        self.assertNotIn(KEY, logs.output[0])
        self.account.sudo().backoff_count = 0
        self.refused(status=503)
        self.assertIn("cannot be reached", self.account.backoff_reason)

    def test_nothing_is_polled_during_a_pause(self):
        self.account.delivery = "polling"
        self.account.sudo().backoff_until = fields.Datetime.now() + timedelta(minutes=5)
        cron = self.env.ref("affiliate_stripe.ir_cron_poll")
        self.double.requests.clear()
        cron.method_direct_trigger()
        self.assertFalse(self.double.requests)
        self.account.sudo().write(
            {"backoff_until": fields.Datetime.now(), "backoff_count": 3}
        )
        cron.method_direct_trigger()
        self.env.invalidate_all()
        self.assertTrue(self.double.requests)
        self.assertEqual(self.account.backoff_count, 0)

    def test_trying_by_hand_ends_a_pause(self):
        self.account.sudo().write(
            {
                "backoff_until": fields.Datetime.now() + timedelta(hours=1),
                "backoff_count": 7,
                "backoff_reason": "why",
            }
        )
        self.account.action_check()
        self.assertFalse(self.account.backoff_until or self.account.backoff_count)

    def test_scheduled_actions_that_are_switched_off_are_named(self):
        self.account.action_sync_now()
        self.assertFalse(self.account.inactive_crons)
        cron = self.env.ref("affiliate_stripe.ir_cron_sync").sudo()
        cron.active = False
        self.env.invalidate_all()
        self.assertTrue(self.account.is_syncing)
        self.assertEqual(self.account.inactive_crons, f"“{cron.name}”")
