"""Connecting a Stripe account: its endpoint, its health, and the way back."""

from datetime import timedelta
from unittest.mock import patch

import stripe

from odoo import fields
from odoo.exceptions import UserError, ValidationError
from odoo.tests import tagged
from odoo.tools import file_open

from ..hooks import uninstall_hook
from ..lib import stripe_client
from ..lib.stripe_events import SUBSCRIBED
from .common import KEY, StripeCase


@tagged("post_install", "-at_install")
class TestConnection(StripeCase):
    def endpoints(self):
        return self.double.all("webhook_endpoint")

    def test_the_endpoint_is_pinned_and_explicit(self):
        made = self.endpoints()
        self.assertEqual(len(made), 1)
        self.assertEqual(made[0]["api_version"], stripe.api_version)
        self.assertEqual(made[0]["enabled_events"], list(SUBSCRIBED))
        self.assertNotIn("*", made[0]["enabled_events"])
        self.assertEqual(made[0]["url"], self.account.webhook_url)
        self.assertIn(self.account.webhook_token, made[0]["url"])
        endpoint = self.account.sudo().endpoint_ids
        self.assertEqual(endpoint.stripe_id, made[0]["id"])
        self.assertTrue(endpoint.secret.startswith("whsec_"))

    def test_connecting_again_makes_no_second_endpoint(self):
        self.account.action_connect()
        self.assertEqual(len(self.endpoints()), 1)

    def test_an_endpoint_of_a_failed_attempt_is_replaced(self):
        """Stripe made it, then our transaction was rolled back."""
        self.account.sudo().endpoint_ids.unlink()
        self.account.sudo().state = "draft"
        other = self.shop.endpoint("https://elsewhere.example/hook")
        self.account.action_connect()
        made = self.endpoints()
        self.assertEqual(
            sorted(endpoint["url"] for endpoint in made),
            sorted([other["url"], self.account.webhook_url]),
        )
        self.shop.product("One")
        self.deliver(
            [d for d in self.double.deliveries() if d.endpoint["id"] != other["id"]]
        )
        self.assertEqual(self.env["affiliate.stripe.product"].search([]).name, "One")

    def test_a_typed_secret_instead_of_our_endpoint(self):
        self.double.add_key("sk_test_other", account="acct_other")
        account = self.env["affiliate.stripe.account"].create(
            {"api_key": "sk_test_other"}
        )
        account.webhook_secret = " whsec_by_hand "
        account.action_connect()
        self.assertEqual(self.double.all("webhook_endpoint", account="acct_other"), [])
        self.assertEqual(account.sudo().endpoint_ids.secret, "whsec_by_hand")
        self.assertEqual(account.delivery, "webhook")
        with self.assertRaisesRegex(ValidationError, "starts with whsec_"):
            account.webhook_secret = "sk_test_wrong_field"

    def test_the_name_comes_from_stripe_where_nobody_gave_one(self):
        world = self.double.world("acct_other")
        self.double.add_key("sk_test_other", account="acct_other")
        self.shop.__class__(self.double, "sk_test_other").get("account")
        name = world.get("account", "acct_other")["settings"]
        account = self.env["affiliate.stripe.account"].create(
            {"api_key": "sk_test_other"}
        )
        account.action_connect()
        business = ((name or {}).get("dashboard") or {}).get("display_name")
        self.assertEqual(account.name, business or "Stripe")

    # --- health -----------------------------------------------------------------------

    def test_health(self):
        self.assertFalse(self.account.last_event)
        self.assertEqual(self.account.api_version, stripe.api_version)
        self.shop.product("One")
        self.shop.product("Two")
        for delivery in self.double.deliveries():
            self.post_delivery(delivery)
        self.env.invalidate_all()
        self.assertEqual(self.account.pending_events, 2)
        self.assertEqual(self.account.failed_events, 0)
        self.env["affiliate.stripe.event"].sudo().search([], limit=1).state = "failed"
        self.env.invalidate_all()
        self.assertEqual(
            (self.account.pending_events, self.account.failed_events), (1, 1)
        )
        now = fields.Datetime.now()
        self.assertLess(abs(self.account.last_event - now), timedelta(minutes=1))

    # --- the way back -----------------------------------------------------------------

    def test_disconnecting_deletes_the_endpoint_and_forgets_the_key(self):
        self.shop.product("Stays")
        self.deliver()
        self.account.action_disconnect()
        self.assertEqual(self.endpoints(), [])
        self.assertEqual(self.account.state, "draft")
        self.assertFalse(self.account.sudo().api_key_secret)
        self.assertFalse(self.account.api_key_hint)
        self.assertFalse(self.account.sudo().endpoint_ids)
        self.assertEqual(self.env["affiliate.stripe.product"].search([]).name, "Stays")
        with self.assertRaisesRegex(UserError, "Enter an API key"):
            self.account.action_check()

    def test_disconnecting_works_where_stripe_does_not_help(self):
        for prepare in (
            lambda: self.shop.delete(f"webhook_endpoints/{self.endpoints()[0]['id']}"),
            lambda: self.double.add_key(KEY, state="revoked"),
            self.double.stop,
        ):
            prepare()
            with patch.object(stripe_client, "NETWORK_RETRIES", 0):
                self.account.action_disconnect()
            self.assertEqual(self.account.state, "draft")
            self.assertFalse(self.account.sudo().api_key_secret)
            if prepare == self.double.stop:
                break
            self.double.add_key(KEY)
            self.account.api_key = KEY
            self.account.action_connect()
        self.assertTrue(
            self.account.problem, "it says that the endpoint is still there"
        )

    def test_codes_are_deactivated_on_request(self):
        program = self.make_program(discount=10)
        drona = self.make_affiliate(program)
        code = self.promotion(drona)
        self.account.action_deactivate_codes()
        self.assertFalse(self.double.get("promotion_code", code)["active"])
        self.assertEqual(drona.code_ids.state, "inactive")

    def test_uninstalling_deletes_the_endpoints(self):
        uninstall_hook(self.env)
        self.assertEqual(self.endpoints(), [])

    def test_uninstalling_works_without_stripe(self):
        self.double.stop()
        with patch.object(stripe_client, "NETWORK_RETRIES", 0):
            uninstall_hook(self.env)

    def test_an_account_in_use_is_not_deleted(self):
        self.make_program()
        with self.assertRaisesRegex(UserError, "A programme uses this Stripe account"):
            self.account.unlink()

    # --- copies of the database -------------------------------------------------------

    def test_a_neutralised_database_never_calls_stripe(self):
        path = self.account.webhook_url
        delivery_of = self.shop.product("One") and self.double.deliveries()[0]
        self.post_delivery(delivery_of)
        self.env.flush_all()
        with file_open("affiliate_stripe/data/neutralize.sql") as script:
            self.env.cr.execute(script.read())
        self.env["ir.config_parameter"].sudo().set_param(
            "database.is_neutralized", True
        )
        self.env.invalidate_all()
        self.double.requests.clear()
        self.assertEqual(self.account.state, "draft")
        self.assertFalse(self.account.sudo().api_key_secret)
        self.assertFalse(self.account.sudo().endpoint_ids)
        self.assertNotEqual(self.account.webhook_url, path)
        self.assertEqual(self.post_delivery(delivery_of), 404)
        self.env.flush_all()
        for name in ("process", "poll", "sync", "codes"):
            cron = self.env.ref(f"affiliate_stripe.ir_cron_{name}")
            cron.method_direct_trigger()
        self.account.api_key = KEY
        for call in (self.account.action_connect, self.account.action_check):
            with self.assertRaisesRegex(UserError, "neutralised copy"):
                call()
        self.account.action_disconnect()
        self.assertEqual(list(self.double.requests), [])
