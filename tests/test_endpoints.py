"""The webhook endpoint at Stripe: what breaks there is noticed and repaired."""

from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import new_test_user, tagged

from ..lib import stripe_client
from ..lib.stripe_events import SUBSCRIBED
from .common import KEY
from .test_webhook import WebhookCase

PATH = "webhook_endpoints"


class EndpointCase(WebhookCase):
    def at_stripe(self):
        return self.double.all("webhook_endpoint")

    def check(self):
        """What happens once a day, and what it makes the poll do."""
        self.env.flush_all()
        for name in ("webhooks", "poll"):
            self.env.ref(f"affiliate_stripe.ir_cron_{name}").method_direct_trigger()
        self.env.invalidate_all()

    def polled_now(self):
        """Nothing is polled that happened before, unless somebody asks for it."""
        self.double.advance(to=int(fields.Datetime.now().timestamp()))
        self.account.sudo().polled_until = fields.Datetime.now()

    def restrict(self, *permissions):
        reads = ("account", "event", "product", "webhook")
        self.double.add_key(
            KEY, permissions=[*(f"{name}_read" for name in reads), *permissions]
        )

    def last_note(self):
        return self.account.message_ids.filtered("body")[:1].preview

    def assert_healthy(self):
        (made,) = self.at_stripe()
        self.assertEqual(made["status"], "enabled")
        self.assertEqual(made["enabled_events"], list(SUBSCRIBED))
        self.assertEqual(made["api_version"], stripe_client.API_VERSION)
        self.assertEqual(made["url"], self.account.webhook_url)
        (own,) = self.account._own_endpoints()
        self.assertEqual((own.stripe_id, own.url), (made["id"], made["url"]))
        self.assertFalse(self.account.webhook_problem)


@tagged("post_install", "-at_install")
class TestHealth(EndpointCase):
    def setUp(self):
        super().setUp()
        self.polled_now()

    def product_lost(self):
        """Something happens at Stripe while nothing is delivered."""
        self.shop.product("Lost")
        for delivery in self.double.deliveries():
            delivery.drop()

    def assert_nothing_lost(self):
        self.process()
        self.assertEqual(self.names(), ["Lost"])

    def without_marks(self):
        return [{**raw, "metadata": None} for raw in self.at_stripe()]

    def test_what_is_well_is_left_alone(self):
        before, notes = self.without_marks(), self.account.message_ids
        self.check()
        self.assertEqual(self.without_marks(), before)
        self.assertEqual(self.account.message_ids, notes)
        self.assertFalse(self.account.activity_ids)
        answer = self.account.action_check_webhook()
        self.assertEqual(answer["params"]["message"], "The webhook works.")

    def test_a_missing_endpoint_is_made_again(self):
        self.shop.delete(f"{PATH}/{self.at_stripe()[0]['id']}")
        self.product_lost()
        self.check()
        self.assert_healthy()
        self.assertIn("was missing in Stripe", self.last_note())
        self.assert_nothing_lost()
        self.shop.product("Next")
        self.deliver()
        self.assertEqual(sorted(self.names()), ["Lost", "Next"])

    def test_a_disabled_endpoint_is_enabled_and_the_gap_read(self):
        made = self.at_stripe()[0]
        self.shop.post(f"{PATH}/{made['id']}", disabled=True)
        self.product_lost()
        self.check()
        self.assert_healthy()
        self.assertEqual(self.at_stripe()[0]["id"], made["id"])
        self.assertIn("was disabled", self.last_note())
        self.assert_nothing_lost()

    def test_the_list_of_events_is_put_right(self):
        made = self.at_stripe()[0]
        for wrong in (["invoice.paid"], ["*"], [*SUBSCRIBED, "topup.succeeded"]):
            self.shop.post(f"{PATH}/{made['id']}", enabled_events=wrong)
            self.check()
            self.assert_healthy()
            self.assertIn("list of the webhook's events", self.last_note())

    def test_a_new_address_of_odoo_is_told_to_stripe(self):
        self.account.public_url = "https://moved.example/"
        self.check()
        self.assert_healthy()
        self.assertTrue(self.at_stripe()[0]["url"].startswith("https://moved.example/"))

    def test_several_faults_are_mended_by_one_call(self):
        made = self.at_stripe()[0]
        self.shop.post(
            f"{PATH}/{made['id']}", disabled=True, enabled_events=["invoice.paid"]
        )
        before = len(self.double.request_log("POST"))
        self.check()
        self.assert_healthy()
        self.assertEqual(len(self.double.request_log("POST")) - before, 1)

    def test_another_api_version_is_replaced_without_a_gap(self):
        with patch(
            "odoo.addons.affiliate_stripe.models."
            "affiliate_stripe_account_endpoints.API_VERSION",
            "2026-09-30.endive",
        ):
            self.shop.delete(f"{PATH}/{self.at_stripe()[0]['id']}")
            self.account.sudo().endpoint_ids.unlink()
            self.account._ensure_endpoint()
        (old,) = self.at_stripe()
        self.assertEqual(old["api_version"], "2026-09-30.endive")
        old_secret = self.account._own_endpoints().secret
        self.shop.product("Lost")
        on_the_way = self.double.deliveries()[-1].request()
        self.check()
        self.assert_healthy()
        self.assertNotEqual(self.at_stripe()[0]["id"], old["id"])
        self.assertIn("another API version", self.last_note())
        # What Stripe is still repeating has the old secret.
        self.assertEqual(self.post_webhook(*on_the_way), 200)
        self.assertEqual(self.post_body(self.event(), secret=old_secret), 200)
        self.assert_nothing_lost()

    def test_an_account_that_was_polled_gets_its_endpoint(self):
        self.account.action_disconnect()
        self.account.write({"api_key": KEY, "delivery": "polling"})
        self.account.action_connect()
        self.assertEqual(self.at_stripe(), [])
        cron = self.env.ref("affiliate_stripe.ir_cron_webhooks")
        self.env["ir.cron.trigger"].search([]).unlink()
        self.account.delivery = "webhook"
        self.assertIn(cron, self.env["ir.cron.trigger"].search([]).cron_id)
        self.check()
        self.assert_healthy()

    def make_by_hand(self, **params):
        """Replace our endpoint by one that a person made and told the secret of."""
        self.account._delete_endpoints()
        self.account.endpoint_ids.unlink()
        made = self.shop.post(
            PATH,
            **{
                "url": self.account.webhook_url,
                "enabled_events": ["*"],
                "api_version": stripe_client.API_VERSION,
                **params,
            },
        )
        self.account.webhook_secret = made["secret"]
        return made

    def test_an_endpoint_made_by_hand_is_looked_at(self):
        made = self.make_by_hand()
        self.check()
        self.assertFalse(self.account.webhook_problem)
        self.product_lost()
        self.shop.post(f"{PATH}/{made['id']}", disabled=True)
        self.check()
        self.assertIn("No enabled webhook endpoint", self.account.webhook_problem)
        self.assertTrue(self.account.activity_ids)
        self.assert_nothing_lost()
        self.shop.post(
            f"{PATH}/{made['id']}", disabled=False, enabled_events=["charge.succeeded"]
        )
        self.check()
        self.assertIn("does not send", self.account.webhook_problem)
        self.assertIn("invoice.paid", self.account.webhook_problem)
        self.shop.post(f"{PATH}/{made['id']}", enabled_events=list(SUBSCRIBED))
        self.check()
        self.assertFalse(self.account.webhook_problem or self.account.activity_ids)

    def test_a_key_that_may_not_look_is_no_problem_of_a_hand_made_one(self):
        self.make_by_hand()
        self.double.add_key(
            KEY,
            permissions=[f"{name}_read" for name in ("account", "event", "product")],
        )
        self.check()
        self.assertFalse(self.account.webhook_problem)

    def test_an_endpoint_made_by_hand_is_left_to_its_maker(self):
        self.account.action_disconnect()
        self.account.api_key = KEY
        made = self.shop.endpoint(self.account.webhook_url)
        self.account.webhook_secret = made["secret"]
        self.account.action_connect()
        before = self.at_stripe()
        self.check()
        self.assertEqual(self.at_stripe(), before)
        with self.assertRaisesRegex(UserError, "made by hand"):
            self.account.action_roll_secret()
        # The next typed secret takes its place, a day later altogether.
        old = self.account.sudo().endpoint_ids
        self.account.webhook_secret = "whsec_next"
        self.env.flush_all()
        for number, secret in enumerate((made["secret"], "whsec_next")):
            event = self.event(id=f"evt_{number}")
            self.assertEqual(self.post_body(event, secret=secret), 200)
        self.assertTrue(old.valid_until)

    # --- what cannot be repaired ------------------------------------------------------

    def test_without_permission_it_is_said_and_polled_until_it_works(self):
        self.shop.delete(f"{PATH}/{self.at_stripe()[0]['id']}")
        shop = type(self.shop)(self.double, "sk_test_merchant")
        self.restrict()
        self.check()
        self.assertIn("write permission for Webhook", self.account.webhook_problem)
        self.assertEqual(self.account.state, "connected", "the rest goes on")
        activity = self.account.activity_ids
        self.assertIn("write permission for Webhook", str(activity.note))
        self.check()
        self.assertEqual(self.account.activity_ids, activity, "told once")
        answer = self.account.action_check_webhook()
        self.assertEqual(answer["params"]["type"], "danger")
        # It is asked each minute meanwhile.
        shop.product("Lost")
        self.env.ref("affiliate_stripe.ir_cron_poll").method_direct_trigger()
        self.assert_nothing_lost()
        self.restrict("webhook_write")
        self.check()
        self.assert_healthy()
        self.assertFalse(self.account.activity_ids)

    def test_a_full_list_of_endpoints_is_said(self):
        self.shop.delete(f"{PATH}/{self.at_stripe()[0]['id']}")
        for number in range(16):
            self.shop.endpoint(f"https://elsewhere.example/{number}")
        self.check()
        self.assertIn("could not be repaired", self.account.webhook_problem)
        self.assertIn("maximum of 16", self.account.webhook_problem)

    def test_an_address_stripe_cannot_call_is_said(self):
        self.account.public_url = "http://odoo.intranet:8069"
        before = self.at_stripe()
        self.check()
        self.assertIn("cannot reach http://odoo.intranet", self.account.webhook_problem)
        self.assertEqual(self.at_stripe(), before)
        self.account.delivery = "polling"
        self.check()
        self.assertFalse(self.account.webhook_problem)
        self.assertFalse(self.account.activity_ids)

    def test_a_weak_moment_and_a_revoked_key_are_no_fault_of_the_webhook(self):
        self.double.disturb("status", "/v1/webhook_endpoints", times=9, status=429)
        self.assertIn(
            "slow down", self.account.action_check_webhook()["params"]["message"]
        )
        self.assertTrue(self.account.backoff_until)
        self.double.calm()
        self.account._note_success()
        self.double.add_key(KEY, state="revoked")
        self.check()
        self.assertEqual(self.account.state, "error")
        self.assertFalse(self.account.webhook_problem)


@tagged("post_install", "-at_install")
class TestRolling(EndpointCase):
    def test_no_event_is_lost_while_a_secret_is_rolled(self):
        old = self.account._own_endpoints()
        old_secret = old.secret
        before, late = (self.shop.product(name) for name in ("Before", "Late"))
        deliveries = {
            delivery.event["data"]["object"]["id"]: delivery.request()
            for delivery in self.double.deliveries()
        }
        self.assertEqual(self.post_webhook(*deliveries[before["id"]]), 200)
        self.account.action_roll_secret()
        self.env.flush_all()
        # What was on the way has the old signature.
        self.assertEqual(self.post_webhook(*deliveries[late["id"]]), 200)
        self.shop.product("After")
        self.deliver()
        self.assertEqual(sorted(self.names()), ["After", "Before", "Late"])
        self.assert_healthy()
        new = self.account._own_endpoints()
        self.assertNotEqual(new.secret, old_secret)
        self.assertNotEqual(self.at_stripe()[0]["id"], old.stripe_id)
        self.assertIn("new secret", self.last_note())
        # A day later the old one is worth nothing, and then forgotten.
        self.assertGreater(old.valid_until, fields.Datetime.now() + timedelta(hours=23))
        old.valid_until = fields.Datetime.now() - timedelta(seconds=1)
        self.env.flush_all()
        self.assertEqual(self.post_body(self.event(), secret=old_secret), 400)
        self.assertEqual(self.post_body(self.event(), secret=new.secret), 200)
        self.env["affiliate.stripe.endpoint"].sudo()._gc_replaced()
        self.assertEqual(self.account.sudo().endpoint_ids, new)

    def test_both_are_accepted_where_the_old_one_cannot_be_deleted(self):
        old_secret = self.account._own_endpoints().secret
        self.double.disturb("status", f"DELETE /v1/{PATH}", times=9, status=500)
        with (
            patch.object(stripe_client, "NETWORK_RETRIES", 0),
            self.assertRaisesRegex(UserError, "cannot be reached"),
        ):
            self.account.action_roll_secret()
        self.assertEqual(len(self.at_stripe()), 2)
        secrets = self.account._own_endpoints().mapped("secret")
        self.assertEqual((len(secrets), secrets[1]), (2, old_secret))
        for number, secret in enumerate(secrets):
            event = self.event(id=f"evt_{number}")
            self.assertEqual(self.post_body(event, secret=secret), 200)
        # The next check tidies up: the new one stays.
        self.double.calm()
        self.check()
        self.assert_healthy()
        self.assertEqual(self.account._own_endpoints().secret, secrets[0])

    def test_nothing_changes_where_no_second_one_can_be_made(self):
        secret = self.account._own_endpoints().secret
        self.restrict()
        with self.assertRaisesRegex(UserError, "lacks a permission"):
            self.account.action_roll_secret()
        self.assert_healthy()
        self.assertEqual(self.account._own_endpoints().secret, secret)

    def test_officers_change_nothing_at_stripe(self):
        officer = new_test_user(
            self.env,
            "officer",
            "affiliate_stripe.group_affiliate_officer",
            company_id=self.env.company.id,
        )
        before = self.at_stripe()
        for name in ("check_webhook", "roll_secret", "disconnect"):
            with self.subTest(name), self.assertRaises(AccessError):
                getattr(self.account.with_user(officer), f"action_{name}")()
        self.assertEqual(self.at_stripe(), before)

    def test_disconnecting_forgets_old_secrets_too(self):
        self.account.action_roll_secret()
        self.account.action_disconnect()
        self.account.api_key = KEY
        for action in (
            self.account.action_roll_secret,
            self.account.action_check_webhook,
        ):
            with self.assertRaisesRegex(UserError, "Connect the account first"):
                action()
        self.assertEqual(self.at_stripe(), [])
        self.assertFalse(self.account.sudo().endpoint_ids)
