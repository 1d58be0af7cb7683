"""Hostility on demand."""

import time

import stripe

from .stripe_double.testing import DoubleCase


class Chaos(DoubleCase):
    def test_statuses(self):
        for status, error in (
            (429, stripe.RateLimitError),
            (409, stripe.APIError),
            (500, stripe.APIError),
            (503, stripe.APIError),
        ):
            self.double.disturb("status", "GET /v1/customers", status=status)
            with self.assertRaises(error) as caught:
                self.shop.get("customers")
            self.assertEqual(caught.exception.http_status, status)
            self.shop.get("customers")
        self.double.disturb("status", status=429, reason="endpoint-rate")
        with self.assertRaises(stripe.RateLimitError) as caught:
            self.shop.get("customers")
        self.assertEqual(
            caught.exception.headers["Stripe-Rate-Limited-Reason"], "endpoint-rate"
        )

    def test_connection_faults(self):
        for action in ("drop", "truncate", "lost"):
            self.double.disturb(action, "GET /v1/customers")
            with self.assertRaises((stripe.APIConnectionError, stripe.APIError)):
                self.shop.get("customers")
        self.double.disturb("timeout", seconds=1)
        client = self.double.client(http_client=stripe.RequestsClient(timeout=0.1))
        with self.assertRaises(stripe.APIConnectionError):
            client.v1.customers.list()

    def test_latency(self):
        self.double.disturb("latency", seconds=0.2)
        start = time.monotonic()
        self.shop.get("customers")
        self.assertGreater(time.monotonic() - start, 0.2)

    def test_retries_of_the_package_get_through(self):
        self.double.disturb("status", times=2, status=500)
        client = self.double.client(max_network_retries=2)
        client.v1.customers.create({"email": "a@example.com"})
        self.assertEqual(len(self.shop.get("customers")["data"]), 1)

    def test_probability_is_repeatable(self):
        def outcomes():
            result = []
            for _n in range(20):
                try:
                    self.shop.get("customers")
                    result.append(1)
                except stripe.APIError:
                    result.append(0)
            return result

        self.double.disturb("status", probability=0.5, status=500)
        first = outcomes()
        self.assertTrue(0 < sum(first) < 20)
        self.double.calm()
        self.assertEqual(sum(outcomes()), 20)

    def test_absent_nulls(self):
        customer = self.shop.customer()
        self.double.hostility(absent_nulls=True)
        self.double.configure(check_answers=False)
        bare = self.shop.get(f"customers/{customer['id']}")
        self.assertNotIn("discount", bare)
        self.assertTrue(all(value is not None for value in bare.values()))

    def test_rate_limit(self):
        self.double.hostility(rate_limit=5)
        with self.assertRaises(stripe.RateLimitError):
            for _n in range(20):
                self.shop.get("customers")

    def test_outage(self):
        """Off the network, then back with the same address and state."""
        self.shop.customer()
        self.double.stop()
        with self.assertRaises(stripe.APIConnectionError):
            self.shop.get("customers")
        self.double.start()
        self.assertEqual(len(self.shop.get("customers")["data"]), 1)

    def test_request_log(self):
        self.shop.customer("log@example.com", metadata={"a": "b"})
        entry = self.double.request_log("POST", "/v1/customers")[-1]
        self.assertEqual(
            entry["params"], {"email": "log@example.com", "metadata": {"a": "b"}}
        )
        self.assertEqual(entry["stripe_version"], stripe.api_version)
        self.assertEqual(entry["status"], 200)
        self.assertTrue(entry["idempotency_key"])
