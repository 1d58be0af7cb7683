"""The same delivery several times at the same moment, on connections of their own.

The database is the real one here: what is made is committed, and taken away again.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from threading import Barrier

import stripe

from odoo import SUPERUSER_ID, api
from odoo.tests import HttpCase, tagged

SECRET, SENDERS, EVENTS = "whsec_together", 8, 15


@tagged("post_install", "-at_install")
class TestTogether(HttpCase):
    registry_test_mode = False  # or all connections would be one

    def setUp(self):
        super().setUp()
        with self.committed() as env:
            account = env["affiliate.stripe.account"].create({"name": "Together"})
            env["affiliate.stripe.endpoint"].create(
                {"account_id": account.id, "secret": SECRET}
            )
            env["ir.cron.trigger"].search([]).unlink()
            self.account_id, self.token = account.id, account.webhook_token
        self.addCleanup(self.take_away)

    @contextmanager
    def committed(self):
        """Yield an environment whose work is committed at the end."""
        with self.registry.cursor() as cr:
            yield api.Environment(cr, SUPERUSER_ID, {})

    def take_away(self):
        with self.committed() as env:
            account = env["affiliate.stripe.account"].browse(self.account_id)
            account.endpoint_ids.unlink()
            account.unlink()
            env["ir.cron.trigger"].search([]).unlink()

    def send(self, body):
        """Post one delivery from many threads that wait for each other; the answers."""
        signature = stripe.WebhookSignature.generate_signature_header(body, SECRET)
        headers = {"Content-Type": "application/json", "Stripe-Signature": signature}
        path, barrier = f"/affiliate_stripe/webhook/{self.token}", Barrier(SENDERS)

        def post(_number):
            connection = HTTPConnection("127.0.0.1", self.http_port(), timeout=30)
            connection.connect()
            barrier.wait()
            connection.request("POST", path, body, headers)
            status = connection.getresponse().status
            connection.close()
            return status

        with ThreadPoolExecutor(SENDERS) as pool:
            return list(pool.map(post, range(SENDERS)))

    def test_one_row_however_many_come_at_once(self):
        event = {
            "object": "event",
            "type": "customer.updated",
            "data": {"object": {"id": "cus_1", "object": "customer"}},
        }
        for number in range(EVENTS):
            body = json.dumps({**event, "id": f"evt_{number}"})
            self.assertEqual(self.send(body), [200] * SENDERS)
        with self.committed() as env:
            events = env["affiliate.stripe.event"].search(
                [("account_id", "=", self.account_id)]
            )
            self.assertEqual(len(events), EVENTS)
            self.assertEqual(set(events.mapped("state")), {"pending"})
            cron = env.ref("affiliate_stripe.ir_cron_process")
            self.assertTrue(
                env["ir.cron.trigger"].search([("cron_id", "=", cron.id)]),
                "somebody was woken",
            )
