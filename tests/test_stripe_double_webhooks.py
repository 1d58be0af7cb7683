"""Deliveries: signatures, order, repetition, loss, and the automatic mode."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import stripe

from .stripe_double.testing import DoubleCase


class Receiver:
    """A tiny site that keeps what it is sent and answers what it is told."""

    def __init__(self):
        self.got = []
        self.answers = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((self.headers["Stripe-Signature"], body))
                status = receiver.answers.pop(0) if receiver.answers else 200
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"
        threading.Thread(
            target=self.server.serve_forever, args=(0.02,), daemon=True
        ).start()

    def types(self):
        return [json.loads(body)["type"] for _signature, body in self.got]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Manual(DoubleCase):
    def setUp(self):
        super().setUp()
        self.receiver = Receiver()
        self.addCleanup(self.receiver.close)
        self.endpoint = self.shop.endpoint(self.receiver.url)

    def test_signature_is_accepted(self):
        self.shop.customer()
        url, headers, body = self.double.deliveries()[0].request()
        self.assertEqual(url, self.receiver.url)
        secret = self.endpoint["secret"]
        event = stripe.Webhook.construct_event(
            body, headers["Stripe-Signature"], secret
        )
        self.assertEqual(event.type, "customer.created")
        self.assertEqual(event.api_version, stripe.api_version)

    def test_forgeries(self):
        self.shop.customer()
        delivery = self.double.deliveries()[0]
        secret = self.endpoint["secret"]
        for how in (
            "wrong_secret",
            "old_timestamp",
            "altered_body",
            "only_v0",
            "no_signature",
        ):
            _url, headers, body = delivery.forged(how)
            with self.assertRaises(stripe.SignatureVerificationError, msg=how):
                stripe.Webhook.construct_event(
                    body, headers.get("Stripe-Signature"), secret
                )
        _url, headers, body = delivery.forged("rolled_secret")
        stripe.Webhook.construct_event(body, headers["Stripe-Signature"], secret)

    def test_order_duplicates_and_loss(self):
        for number in range(4):
            self.shop.customer(f"c{number}@example.com")
        keys = [d.event["id"] for d in self.double.deliveries()]
        self.double.deliver(order=[keys[2], keys[0]])
        sent = [json.loads(body)["id"] for _s, body in self.receiver.got]
        self.assertEqual(sent, [keys[2], keys[0]])
        self.double.deliver(shuffle=1, duplicate=1, drop=[keys[1]])
        sent = [json.loads(body)["id"] for _s, body in self.receiver.got]
        self.assertEqual(sent[2:], [keys[3], keys[3]])
        self.assertEqual(self.double.deliveries(), [])

    def test_a_failure_stays_pending(self):
        self.receiver.answers = [500, 302, 200]
        self.shop.customer()
        for expected in (500, 302, 200):
            pending = self.double.deliveries()
            self.assertEqual(len(pending), 1)
            event = self.shop.get(f"events/{pending[0].event['id']}")
            self.assertEqual(event["pending_webhooks"], 1)
            self.assertEqual(self.double.deliver()[0][1], expected)
        self.assertEqual(
            self.shop.get("events", delivery_success=True)["data"][0]["id"], event["id"]
        )
        signatures = [signature for signature, _body in self.receiver.got]
        self.assertEqual(len(signatures), 3)

    def test_endpoint_filters_and_life(self):
        path = f"webhook_endpoints/{self.endpoint['id']}"
        self.assertNotIn("secret", self.shop.get(path))
        self.shop.post(path, enabled_events=["customer.updated"])
        customer = self.shop.customer()
        self.assertEqual(self.double.deliveries(), [])
        self.shop.post(f"customers/{customer['id']}", name="New")
        self.assertEqual(len(self.double.deliveries()), 1)
        self.shop.post(path, disabled=True)
        self.assertEqual(self.double.deliveries(), [])
        self.shop.delete(path)
        with self.assertRaises(stripe.InvalidRequestError):
            self.shop.get(path)

    def test_limits(self):
        for _n in range(15):
            self.shop.endpoint(self.receiver.url)
        with self.assertRaises(stripe.InvalidRequestError):
            self.shop.endpoint(self.receiver.url)
        with self.assertRaises(stripe.InvalidRequestError):
            self.shop.post(
                f"webhook_endpoints/{self.endpoint['id']}", enabled_events=["no.such"]
            )

    def test_two_endpoints_two_secrets(self):
        other = self.shop.endpoint(self.receiver.url, api_version="2026-10-28.endive")
        self.shop.customer()
        first, second = self.double.deliveries()
        self.assertNotEqual(first.secret, second.secret)
        self.assertEqual(second.secret, other["secret"])
        self.double.deliver()
        event = first.event["id"]
        self.assertEqual(self.shop.get(f"events/{event}")["pending_webhooks"], 0)

    def test_stale_payloads(self):
        customer = self.shop.customer()
        self.shop.post(f"customers/{customer['id']}", name="New")
        self.double.hostility(stale_events=True)
        last = json.loads(self.double.deliveries()[-1].body())
        self.assertEqual(last["type"], "customer.updated")
        self.assertIsNone(last["data"]["object"]["name"])

    def test_only_loopback_is_ever_called(self):
        self.shop.endpoint("http://example.com/hook")
        self.shop.customer()
        statuses = {d.endpoint["url"]: d.send() for d in self.double.deliveries()}
        self.assertEqual(statuses["http://example.com/hook"], 0)
        self.double.rewrite_webhooks(**{"http://example.com": self.receiver.url[:-5]})
        self.assertEqual(self.double.deliver()[0][1], 200)


class Automatic(DoubleCase):
    options = {"deliver": "auto"}

    def test_sent_at_once_and_repeated(self):
        receiver = Receiver()
        self.addCleanup(receiver.close)
        receiver.answers = [500]
        self.shop.endpoint(receiver.url, ["customer.created", "coupon.created"])
        self.shop.customer()
        self.shop.coupon(5)
        self.shop.product()
        self.assertTrue(self.double.wait_delivered(5))
        self.assertEqual(
            sorted(receiver.types()),
            ["coupon.created", "customer.created", "customer.created"],
        )
