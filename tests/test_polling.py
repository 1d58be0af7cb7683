"""Asking Stripe for its events: where it cannot call, and what a lost call costs."""

from datetime import timedelta

from odoo import fields
from odoo.tests import tagged

from .common import KEY, NEW_YEAR, StripeCase, moment
from .test_keys import READS


@tagged("post_install", "-at_install")
class TestPolling(StripeCase):
    def test_polling_where_stripe_cannot_call(self):
        self.account.action_disconnect()
        self.account.write({"api_key": KEY, "public_url": "http://odoo.intranet:8069"})
        self.account.action_connect()
        self.assertEqual(self.account.delivery, "polling")
        self.assertEqual(self.double.all("webhook_endpoint"), [])
        self.assertIn("cannot reach", self.account.message_ids[0].preview)
        self.double.advance(to=int(fields.Datetime.now().timestamp()))
        self.shop.product("One")
        self.env.flush_all()
        self.env.ref("affiliate_stripe.ir_cron_poll").method_direct_trigger()
        self.process()
        self.assertEqual(self.env["affiliate.stripe.product"].search([]).name, "One")
        self.assertTrue(self.account.polled_until)

    def test_which_addresses_stripe_can_call(self):
        parameters = self.env["ir.config_parameter"].sudo()
        for address, double, yes in (
            ("https://shop.example", False, True),
            ("http://shop.example", False, False),
            ("https://localhost", False, False),
            ("http://127.0.0.1:8069", False, False),
            ("http://127.0.0.1:8069", True, True),
            ("http://shop.example", True, False),
        ):
            base = self.double.url if double else False
            parameters.set_param("affiliate_stripe.api_base", base)
            self.account.public_url = address
            self.assertEqual(self.account._can_be_called(), yes, (address, double))

    def test_polling_where_the_key_may_not_make_endpoints(self):
        reads = [f"{name}_read" for name in READS]
        self.double.add_key("rk_test_reader", "acct_other", permissions=reads)
        account = self.connect("rk_test_reader")
        self.assertEqual((account.state, account.delivery), ("connected", "polling"))
        self.assertIn(
            "may not create webhook endpoints", account.message_ids[0].preview
        )

    def test_polling_reads_each_event_once_and_misses_none(self):
        self.account.delivery = "polling"
        self.double.advance(to=int(fields.Datetime.now().timestamp()))
        for number in range(5):
            self.shop.product(f"P{number}")
        self.double.hostility(page_size=2)
        poll = self.env["affiliate.stripe.sync"]._poll_events
        self.assertEqual(poll(self.account), 5)
        self.assertEqual(poll(self.account), 0)
        # Stripe lists an event a little late: the last minutes are read again.
        self.shop.product("Late")
        self.double.world().all("event")[-1]["created"] -= 120
        self.assertEqual(poll(self.account), 1)
        self.process()
        self.assertEqual(self.env["affiliate.stripe.product"].search_count([]), 6)

    def test_a_failed_poll_goes_on_from_where_it_was(self):
        self.account.delivery = "polling"
        before = self.account.polled_until
        self.shop.product("One")
        self.double.disturb("status", "GET /v1/events", times=9, status=429)
        self.env.flush_all()
        cron = self.env.ref("affiliate_stripe.ir_cron_poll")
        cron.method_direct_trigger()
        self.env.invalidate_all()
        self.assertEqual(self.account.polled_until, before)
        self.assertTrue(self.account.backoff_until)
        self.double.calm()
        self.account.sudo().backoff_until = False
        cron.method_direct_trigger()
        self.process()
        self.assertEqual(self.env["affiliate.stripe.product"].search([]).name, "One")

    def test_a_lost_webhook_heals_within_a_day(self):
        self.shop.product("Lost")
        for delivery in self.double.deliveries():
            delivery.drop()
        cron = self.env.ref("affiliate_stripe.ir_cron_poll")
        self.account.sudo().polled_until = fields.Datetime.now() - timedelta(hours=23)
        self.env.flush_all()
        cron.method_direct_trigger()
        self.assertFalse(self.env["affiliate.stripe.event"].search([]), "asked today")
        self.account.sudo().polled_until = moment(NEW_YEAR) - timedelta(days=2)
        self.env.flush_all()
        cron.method_direct_trigger()
        self.process()
        self.assertEqual(self.env["affiliate.stripe.product"].search([]).name, "Lost")
