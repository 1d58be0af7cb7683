"""Events that nobody processes: the account says so, and only then."""

from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.modules import module
from odoo.service import server
from odoo.tests import tagged

from ..models import affiliate_stripe_account_stalled as stalled
from .test_webhook import WebhookCase

LONG_AGO = timedelta(minutes=20)


@tagged("post_install", "-at_install")
class TestStalled(WebhookCase):
    def setUp(self):
        super().setUp()
        self.deliver()
        self.shop.product("Pro")
        self.receive()
        now = fields.Datetime.now()
        self.past, self.soon = now - LONG_AGO, now + LONG_AGO
        self.waiting = self.events.filtered(
            lambda event: event.state == "pending"
        ).sudo()
        self.waiting.received_at = self.past
        self.crons = self.env["affiliate.stripe.event"]._workers()
        self.crons.lastcall = self.past

    def receive(self):
        """What Stripe sends is stored, and nobody processes it."""
        for delivery in self.double.deliveries():
            self.assertEqual(self.post_delivery(delivery), 200)
            delivery.drop()

    def look(self):
        """Another delivery, more than a minute after the last look."""
        with patch.dict(stalled._looked, {self.env.cr.dbname: 0.0}):
            self.shop.product("Another")
            self.receive()
        self.env.invalidate_all()

    def activities(self):
        return self.account.activity_ids.filtered(
            lambda activity: "have been waiting" in activity.note
        )

    def is_stalled(self):
        self.env.flush_all()
        self.env.invalidate_all()
        return bool(self.account.stalled_since)

    def test_it_is_said_and_what_to_do(self):
        self.assertTrue(self.is_stalled())
        self.assertEqual(self.account.stalled_since, self.past)
        (text,) = self.account._warnings()
        self.assertIn("Restart Odoo", text)
        self.look()
        self.assertEqual(len(self.activities()), 1)
        self.look()
        self.assertEqual(len(self.activities()), 1)

    def test_it_is_over_when_they_are_processed(self):
        self.look()
        self.crons[0].method_direct_trigger()
        self.env.invalidate_all()
        self.assertFalse(self.is_stalled() or self.account.is_stalled)
        self.assertFalse(self.activities())

    def test_no_false_alarm(self):
        part = {"leased_until": self.soon}
        for name, record, values in (
            ("it has just come", self.waiting, {"received_at": fields.Datetime.now()}),
            ("it waits for another try", self.waiting, {"next_try": self.soon}),
            ("its next try is due since now", self.waiting, {"next_try": self.now()}),
            ("somebody works on it", self.waiting, {"leased_until": self.soon}),
            ("it is done", self.waiting, {"state": "done"}),
            ("the account pauses", self.account, {"backoff_until": self.soon}),
            ("the pause ends now", self.account, {"backoff_until": self.now()}),
            ("the key was revoked", self.account, {"state": "error"}),
            ("it is archived", self.account, {"active": False}),
            ("workers are there", self.crons[:1], {"lastcall": self.now()}),
            ("that is said otherwise", self.crons, {"active": False}),
            ("a long reading goes on", self.reading(), part),
        ):
            with self.subTest(name):
                before = {key: record[:1][key] for key in values}
                record.sudo().write(values)
                self.assertFalse(self.is_stalled())
                record.sudo().write(before)
                self.assertTrue(self.is_stalled(), f"after: {name}")

    def now(self):
        return fields.Datetime.now()

    def reading(self):
        """A part of a reading, which one worker after the other goes on with."""
        self.account.action_sync_now()
        parts = self.env["affiliate.stripe.run.part"].sudo().search([], limit=1)
        self.assertTrue(parts)
        return parts

    def test_a_worker_that_fails_is_no_worker(self):
        self.crons.write({"lastcall": self.now(), "failure_count": 3})
        self.assertTrue(self.is_stalled())

    def test_the_door_looks_once_a_minute(self):
        account = self.registry["affiliate.stripe.account"]
        note = account._note_stalled
        with (
            patch.dict(stalled._looked, {self.env.cr.dbname: 0.0}),
            patch.object(account, "_note_stalled", autospec=True) as noted,
        ):
            noted.side_effect = note
            for number in range(3):
                self.shop.product(f"P{number}")
            self.receive()
        self.assertEqual(noted.call_count, 1)


@tagged("post_install", "-at_install")
class TestRevival(WebhookCase):
    def revive(self, threads, running=None):
        """Whether threads are started, where these live."""
        running = running or object.__new__(server.ThreadedServer)
        with (
            patch.object(module, "current_test", False),
            patch.object(server, "server", running),
            patch.object(stalled.threading, "enumerate", lambda: threads),
            patch.object(server.ThreadedServer, "cron_spawn") as spawn,
        ):
            self.assertEqual(stalled.revive_workers(), spawn.called)
            return spawn.called

    def thread(self, kind):
        thread = stalled.threading.Thread()
        thread.type = kind
        return thread

    def test_threads_that_are_gone_are_started(self):
        self.assertTrue(self.revive([self.thread("http")]))

    def test_threads_that_are_there_are_left_alone(self):
        self.assertFalse(self.revive([self.thread("http"), self.thread("cron")]))

    def test_a_server_of_processes_is_left_alone(self):
        self.assertFalse(self.revive([], object.__new__(server.PreforkServer)))
