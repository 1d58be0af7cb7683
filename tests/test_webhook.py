"""The inbox: what is taken, and what is refused."""

import hashlib
import hmac
import json
import logging
import time
from contextlib import contextmanager

from odoo.tests import tagged
from odoo.tools import mute_logger

from ..lib import stripe_client
from .common import StripeCase

EVENT = "odoo.addons.affiliate_stripe.models.affiliate_stripe_event"


class WebhookCase(StripeCase):
    @property
    def events(self):
        return self.env["affiliate.stripe.event"].search([], order="id")

    @property
    def secret(self):
        endpoint = self.account.sudo().endpoint_ids[:1].stripe_id
        return self.double.world().side[endpoint]["secret"]

    def post_body(self, body, secret=None, path=None, **headers):
        """Post any bytes with a valid signature; return the status."""
        if isinstance(body, str):
            body = body.encode()
        elif not isinstance(body, bytes):
            body = json.dumps(body).encode()
        now = str(int(time.time()))
        signature = hmac.new(
            (secret or self.secret).encode(), now.encode() + b"." + body, hashlib.sha256
        ).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "Stripe-Signature": f"t={now},v1={signature}",
            **headers,
        }
        path = path or f"/affiliate_stripe/webhook/{self.account.webhook_token}"
        answer = self.url_open(path, data=body, headers=headers, method="POST")
        return answer.status_code

    def event(self, **values):
        return {
            "id": "evt_test",
            "object": "event",
            "type": "customer.updated",
            "livemode": False,
            "created": 1767225600,
            "api_version": stripe_client.API_VERSION,
            "data": {"object": {"id": "cus_nobody", "object": "customer"}},
            **values,
        }

    @contextmanager
    def quiet(self):
        """Nothing in here may put a warning, an error or a body into the log."""
        handler = _Listener()
        logging.getLogger().addHandler(handler)
        try:
            yield handler
        finally:
            logging.getLogger().removeHandler(handler)
        bad = [r for r in handler.records if r.levelno >= logging.WARNING]
        self.assertFalse([r.getMessage() for r in bad])

    def customer_delivery(self):
        self.shop.customer()
        return self.double.deliveries()[-1]

    def names(self):
        return self.env["affiliate.stripe.product"].search([]).mapped("name")


class _Listener(logging.Handler):
    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)


@tagged("post_install", "-at_install")
class TestReceiving(WebhookCase):
    def test_a_good_delivery_is_kept_as_it_came(self):
        delivery = self.customer_delivery()
        self.assertEqual(self.post_delivery(delivery), 200)
        event = self.events
        self.assertEqual(event.stripe_id, delivery.event["id"])
        self.assertEqual((event.type, event.state), ("customer.created", "pending"))
        self.assertEqual(event.object_kind, "customer")
        self.assertEqual(event.object_ref, delivery.event["data"]["object"]["id"])
        self.assertEqual(event.payload, json.loads(delivery.body()))
        self.assertEqual(event.company_id, self.account.company_id)
        self.assertTrue(event.received_at)

    def test_nothing_is_fetched_or_booked_in_the_request(self):
        delivery = self.customer_delivery()
        before = len(self.double.requests)
        self.post_delivery(delivery)
        self.assertEqual(len(self.double.requests), before)

    def test_forgeries_are_refused_and_leave_nothing(self):
        delivery = self.customer_delivery()
        for how in ("wrong_secret", "altered_body", "no_signature", "only_v0"):
            with self.subTest(how), self.quiet():
                self.assertEqual(self.post_webhook(*delivery.forged(how)), 400)
                self.assertFalse(self.events)
        with mute_logger("odoo.addons.affiliate_stripe.lib.stripe_webhook"):
            late = delivery.forged("old_timestamp")
            self.assertEqual(self.post_webhook(*late), 400)
        self.assertFalse(self.events)
        for signature in (
            "",
            "t=1",
            "nonsense",
            "t=,v1=",
            "t=x,v1=é",
            "v1=" + "0" * 64,
        ):
            with self.subTest(signature), self.quiet():
                url, headers, body = delivery.request()
                headers["Stripe-Signature"] = signature.encode()
                self.assertEqual(self.post_webhook(url, headers, body), 400)
                self.assertFalse(self.events)

    def test_a_rolled_secret_is_taken(self):
        delivery = self.customer_delivery()
        self.assertEqual(self.post_webhook(*delivery.forged("rolled_secret")), 200)
        self.assertEqual(len(self.events), 1)

    def test_an_unknown_address_is_not_found(self):
        body = self.event()
        for token in ("nobody", "x" * 2000, "' OR 1=1 --", "%00", "ü"):
            with self.subTest(token), self.quiet():
                path = f"/affiliate_stripe/webhook/{token}"
                self.assertEqual(self.post_body(body, path=path), 404)
        self.assertFalse(self.events)

    def test_only_posts(self):
        path = f"/affiliate_stripe/webhook/{self.account.webhook_token}"
        self.assertEqual(self.url_open(path).status_code, 405)
        self.assertEqual(self.url_open(path, method="PUT").status_code, 405)

    def test_parameters_in_the_address_play_no_part(self):
        path = f"/affiliate_stripe/webhook/{self.account.webhook_token}?a=1&token=x"
        with self.quiet():
            self.assertEqual(self.post_body(self.event(), path=path), 200)

    def test_the_log_holds_no_body_and_no_secret(self):
        with self.quiet() as listener:
            self.post_body(self.event(email="private@example.com"))
            self.post_body(b"private@example.com")
            self.post_webhook(*self.customer_delivery().forged("wrong_secret"))
        text = "\n".join(record.getMessage() for record in listener.records)
        self.assertIn("/affiliate_stripe/webhook/", text)
        self.assertNotIn("private@example.com", text)
        self.assertNotIn("whsec_", text)

    def test_what_is_not_for_us_is_kept_as_ignored(self):
        for values in (
            {"livemode": True},
            {"account": "acct_of_somebody_else"},
            {
                "type": "topup.succeeded",
                "data": {"object": {"id": "tu", "object": "topup"}},
            },
            {"type": "new.thing", "data": {"object": {"id": "n", "object": "thing"}}},
        ):
            with self.subTest(values), self.quiet():
                event = self.event(id=f"evt_{len(self.events)}", **values)
                self.assertEqual(self.post_body(event), 200)
                self.assertEqual(self.events[-1:].state, "ignored")
        before = len(self.double.requests)
        self.process()
        self.assertEqual(len(self.double.requests), before)

    def test_our_own_account_id_is_not_foreign(self):
        self.post_body(self.event(account=self.account.stripe_account_id))
        self.assertEqual(self.events.state, "pending")

    def test_a_duplicate_is_one_row(self):
        delivery = self.customer_delivery()
        for _time in range(3):
            self.assertEqual(self.post_delivery(delivery), 200)
        self.assertEqual(len(self.events), 1)
        self.process()
        self.assertEqual(self.post_delivery(delivery), 200)
        self.assertEqual(self.events.state, "done")

    def test_without_a_secret_everything_is_refused(self):
        body = self.event()
        self.account.sudo().endpoint_ids.unlink()
        with self.quiet():
            for secret in ("whsec_x", " ", "whsec_"):
                self.assertIn(self.post_body(body, secret=secret), (400, 404))
        self.account.sudo().endpoint_ids.create(
            {"account_id": self.account.id, "secret": False}
        )
        self.env.flush_all()
        self.assertIn(self.post_body(body, secret="whsec_x"), (400, 404))
        self.assertFalse(self.events)

    def test_an_archived_account_takes_nothing(self):
        body, secret = self.event(), self.secret
        path = f"/affiliate_stripe/webhook/{self.account.webhook_token}"
        self.account.active = False
        self.env.flush_all()
        self.assertEqual(self.post_body(body, secret=secret, path=path), 404)
        self.assertFalse(self.events)

    def test_secrets_of_several_endpoints_are_valid_at_once(self):
        old = self.secret
        self.account.webhook_secret = "whsec_second"
        self.env.flush_all()
        self.assertEqual(self.post_body(self.event(id="evt_1"), secret=old), 200)
        self.assertEqual(
            self.post_body(self.event(id="evt_2"), secret="whsec_second"), 200
        )
        self.account.sudo().endpoint_ids.filtered(
            lambda endpoint: endpoint.secret == "whsec_second"
        ).active = False
        self.env.flush_all()
        self.assertEqual(
            self.post_body(self.event(id="evt_3"), secret="whsec_second"), 400
        )
        self.assertEqual(len(self.events), 2)

    def test_accounts_keep_their_events_apart(self):
        self.double.add_key("sk_test_other", account="acct_other")
        other = self.connect("sk_test_other", name="Other")
        event = self.event()
        path = f"/affiliate_stripe/webhook/{other.webhook_token}"
        # Our secret does not open the door of the other account.
        self.assertEqual(self.post_body(event, path=path), 400)
        endpoint = other.sudo().endpoint_ids
        self.env.flush_all()
        self.assertEqual(self.post_body(event, endpoint.secret, path), 200)
        self.assertEqual(self.post_body(event), 200)
        self.assertEqual(self.events.account_id, self.account | other)
        self.assertEqual(len(self.events), 2)
