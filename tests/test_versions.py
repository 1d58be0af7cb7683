"""Events in shapes of other times: only their ids are used, so nothing changes."""

import hashlib
import hmac
import json
import time

from odoo.tests import tagged

from ..lib.stripe_client import API_VERSION
from .common import KEY
from .test_webhook import WebhookCase

SIGNING = "odoo.addons.affiliate_stripe.lib.stripe_webhook"
#: Newest first, one for each shape that Stripe has had since 2020.
VERSIONS = (
    "2025-09-30.clover",
    "2025-03-31.basil",
    "2024-10-28.acacia",
    "2022-11-15",
    "2020-08-27",
)


class StoryCase(WebhookCase):
    def setUp(self):
        super().setUp()
        self.program = self.make_program(rate=30, discount=20)
        self.drona = self.make_affiliate(self.program)
        self.deliver()

    def play(self, email="jane@x.example"):
        """A subscription by code, half refunded; a one-off sale, then disputed."""
        code = self.drona.code
        session = self.shop.buy(self.shop.price(10000), email, code=code)
        invoice = self.shop.get(f"checkout/sessions/{session['id']}")["invoice"]
        self.shop.refund(invoice, 4000)
        sale = self.shop.buy(
            self.shop.price(5000, interval=None), f"other.{email}", code=code
        )
        intent = self.shop.get(f"payment_intents/{sale['payment_intent']}")
        return self.double.open_dispute(intent["latest_charge"])

    def assert_earned(self, *expected):
        self.assert_pending_empty()
        self.assertEqual(sorted(self.amounts()), sorted(expected))


@tagged("post_install", "-at_install")
class TestVersions(StoryCase):
    def connect_by_hand(self, version):
        """An endpoint without a version of its own: it has the account's."""
        self.double.configure(api_version=version)
        self.forget_endpoints()
        self.account.api_key = KEY
        made = self.shop.endpoint(self.account.webhook_url)
        self.account.webhook_secret = made["secret"]
        self.account.action_connect()

    def forget_endpoints(self):
        self.account.action_disconnect()
        for endpoint in self.double.all("webhook_endpoint"):
            self.shop.delete(f"webhook_endpoints/{endpoint['id']}")

    def test_events_of_every_version_say_the_same(self):
        expected = []
        for number, version in enumerate(VERSIONS):
            with self.subTest(version):
                self.connect_by_hand(version)
                self.play(f"p{number}@x.example")
                self.deliver()
                self.assertEqual(self.events[-1].api_version, version)
                expected += [24.0, -12.0, 12.0]
                self.assert_earned(*expected)
                self.assertIn(version, self.account.foreign_versions)

    def test_a_warning_while_they_keep_arriving(self):
        self.connect_by_hand("2024-06-20")
        self.shop.product("A single one is an accident")
        self.deliver()
        self.assertFalse(self.account.foreign_versions)
        self.play()
        self.deliver()
        self.assertEqual(self.account.foreign_versions, "2024-06-20")
        # Polled events have the version of their time: nothing to be done about it.
        self.account.delivery = "polling"
        self.assertFalse(self.account.foreign_versions)
        self.forget_endpoints()
        self.double.configure(api_version=API_VERSION)
        self.account.write({"delivery": "webhook", "api_key": KEY})
        self.account.action_connect()
        self.play("next@x.example")
        self.deliver()
        self.env.invalidate_all()
        self.assertFalse(self.account.foreign_versions)

    def test_months_of_our_own_version_are_no_other_version(self):
        foreign = self.account._is_foreign_version
        major = API_VERSION.rpartition(".")[2]
        self.assertFalse(foreign(f"2026-12-01.{major}"))
        self.assertFalse(foreign(None), "thin events have none")
        for version in VERSIONS:
            self.assertTrue(foreign(version))

    def test_thin_events_tell_the_whole_story(self):
        self.play()
        for delivery in self.double.deliveries():
            self.assertEqual(self.post_webhook(*delivery.thin()), 200)
            delivery.drop()
        self.process()
        self.assert_earned(24.0, -12.0, 12.0)
        self.assertFalse(self.account.foreign_versions)


@tagged("post_install", "-at_install")
class TestShapes(StoryCase):
    def test_absent_fields_are_null(self):
        self.play()
        self.double.hostility(absent_nulls=True)
        self.deliver()
        self.assert_earned(24.0, -12.0, 12.0)

    def test_statuses_of_the_future(self):
        """Unknown means: not paid, not refunded, the dispute not over."""
        dispute = self.play()
        self.deliver()
        self.double.configure(strict=False)
        self.assertEqual(self.rows(hold_reason="dispute").mapped("amount"), [12.0])
        refund = self.double.all("refund")[0]
        invoice = self.double.all("invoice")[0]
        subscription = self.double.all("subscription")[0]
        for kind, thing, event in (
            ("dispute", dispute, "charge.dispute.updated"),
            ("subscription", subscription, "customer.subscription.updated"),
            ("refund", refund, "refund.updated"),
            ("invoice", invoice, "invoice.updated"),
        ):
            with self.subTest(kind), self.quiet():
                self.double.alter(kind, thing["id"], [event], status="of_the_future")
                self.deliver()
                mirrored = self.env[f"affiliate.stripe.{kind}"].search(
                    [("stripe_id", "=", thing["id"])]
                )
                self.assertEqual(mirrored.status, "of_the_future")
                self.assert_pending_empty()
        self.assertEqual(self.rows(hold_reason="dispute").mapped("amount"), [12.0])
        self.assertEqual(self.total(), 12.0)
        for kind, thing, status in (
            ("refund", refund, "succeeded"),
            ("invoice", invoice, "paid"),
        ):
            event = f"{kind}.updated"
            self.double.alter(kind, thing["id"], [event], status=status)
        self.deliver()
        self.assertEqual(self.total(), 24.0)

    def test_types_of_the_future_and_objects_without_an_id(self):
        invoice = self.shop.invoice(self.shop.customer(), 10000)
        for delivery in self.double.deliveries():
            delivery.drop()
        for name, thing, state in (
            ("invoice.teleported", {"id": invoice["id"], "object": "invoice"}, "done"),
            ("invoice.upcoming", {"object": "invoice", "total": 100}, "ignored"),
            ("invoice.upcoming", {"object": "invoice", "id": None}, "ignored"),
            ("alien.landed", {"id": "al_1", "object": "alien"}, "ignored"),
            ("invoice.paid", {"id": "in_never", "object": "invoice"}, "done"),
        ):
            with self.subTest(name, thing=thing), self.quiet():
                self.double.fake_event(name, thing)
                self.deliver()
                self.assertEqual(self.events[-1].type, name)
                self.assertEqual(self.events[-1].state, state)
        self.assertEqual(
            self.env["affiliate.stripe.invoice"].search([]).stripe_id, invoice["id"]
        )

    def test_a_deleted_customer_keeps_what_was_earned(self):
        self.play()
        self.deliver()
        for customer in self.double.all("customer"):
            self.shop.delete(f"customers/{customer['id']}")
        self.deliver()
        self.assert_earned(24.0, -12.0, 12.0)


@tagged("post_install", "-at_install")
class TestSignatures(WebhookCase):
    def sign(self, body, age=0, secret=None):
        stamp = str(int(time.time()) - age)
        signed = hmac.new(
            (secret or self.secret).encode(), f"{stamp}.{body}".encode(), hashlib.sha256
        )
        return f"t={stamp},v1={signed.hexdigest()}"

    def post_signed(self, body, signature):
        return self.post_body(body, **{"Stripe-Signature": signature})

    def test_clocks_that_differ(self):
        for number, age in enumerate((290, -200, -3600)):
            with self.subTest(age=age), self.quiet():
                body = json.dumps(self.event(id=f"evt_{number}"))
                self.assertEqual(self.post_signed(body, self.sign(body, age)), 200)
        for age in (310, 86400):
            with self.subTest(age=age), self.assertLogs(SIGNING, "WARNING") as logs:
                body = json.dumps(self.event(id="evt_late"))
                self.assertEqual(self.post_signed(body, self.sign(body, age)), 400)
            (message,) = logs.output
            self.assertIn("the clock of this server is wrong", message)
            self.assertNotIn("evt_late", message)
        self.assertEqual(len(self.events), 3)
        # A forgery is no matter of clocks.
        with self.quiet():
            forged = self.sign(body, 310, secret="whsec_other")
            self.assertEqual(self.post_signed(body, forged), 400)

    def test_several_signatures(self):
        body = json.dumps(self.event())
        good, bad = self.sign(body), self.sign(body, secret="whsec_other")
        stamp = good.partition(",")[0]
        for number, (signature, status) in enumerate(
            (
                (f"{good},{good}", 200),
                (f"{good},{bad.partition(',')[2]}", 200),
                (f"{bad},{bad}", 400),
                (f"{stamp},{stamp}", 400),
                (f"{good},{'v1=0,' * 500}", 200),
                (f"t={'9' * 5000},{good.partition(',')[2]}", 400),
                ("," * 5000, 400),
            )
        ):
            with self.subTest(number), self.quiet():
                self.assertEqual(self.post_signed(body, signature), status)
        self.assertEqual(len(self.events), 1)

    def test_a_good_signature_over_another_body(self):
        signature = self.sign(json.dumps(self.event()))
        with self.quiet():
            other = json.dumps(self.event(livemode=True))
            self.assertEqual(self.post_signed(other, signature), 400)
        self.assertFalse(self.events)
