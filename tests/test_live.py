"""A short walk through a real Stripe account in test mode: ``bin/test --live``.

Runs only with the key of such an account in ``STRIPE_TEST_KEY``. It makes a product, a
price, a coupon and a promotion code, and archives or deletes them again; it reads
nothing but what it made, the account and its newest events.

``STRIPE_TEST_BASE`` (a loopback address) sends it to the test double instead, to try
the test itself.
"""

import os
import secrets
from urllib.parse import urlsplit

from requests import Session

from odoo import fields
from odoo.exceptions import UserError
from odoo.tests import HttpCase, tagged

from ..lib.stripe_client import API_VERSION, StripeApi

STRIPE_HOST = "api.stripe.com"
# Before Odoo's tests replace it, in order to cut themselves off from the network.
send = Session.send


@tagged("-standard", "external", "post_install", "-at_install")
class TestLive(HttpCase):
    @classmethod
    def _request_handler(cls, s, r, /, **kw):
        if urlsplit(r.url).hostname == STRIPE_HOST:
            return send(s, r, **kw)
        return super()._request_handler(s, r, **kw)

    def setUp(self):
        super().setUp()
        key = os.environ.get("STRIPE_TEST_KEY", "")
        if not key.startswith(("sk_test_", "rk_test_")):
            self.skipTest("STRIPE_TEST_KEY is no key of Stripe's test mode.")
        base = os.environ.get("STRIPE_TEST_BASE")
        self.env["ir.config_parameter"].set_param("affiliate_stripe.api_base", base)
        self.api = StripeApi(key, base_url=base)
        self.account = self.env["affiliate.stripe.account"].create(
            {"name": "Live", "api_key": key, "delivery": "polling"}
        )
        try:
            self.account.action_connect()
        except UserError as problem:
            # Not the whole chain of errors: pytest would print the key with it.
            raise self.failureException(str(problem)) from None
        self.env.flush_all()  # what follows reads in transactions of its own

    def make_plan(self):
        """A price of 1.00 USD a month, archived after the test with its product."""
        product = self.api.post("/v1/products", {"name": "affiliate_stripe smoke test"})
        self.addCleanup(
            self.api.post, f"/v1/products/{product['id']}", {"active": False}
        )
        price = self.api.post(
            "/v1/prices",
            {
                "product": product["id"],
                "currency": "usd",
                "unit_amount": 100,
                "recurring": {"interval": "month"},
            },
        )
        self.addCleanup(self.api.post, f"/v1/prices/{price['id']}", {"active": False})
        return price["id"]

    def make_code(self):
        """An approved affiliate whose code is in Stripe; the code and its coupon."""
        program = self.env["affiliate.program"].create(
            {
                "name": "affiliate_stripe smoke test",
                "stripe_account_id": self.account.id,
                "discount_type": "percent",
                "discount_value": 10,
                "rule_ids": [(0, 0, {"rate": 30})],
            }
        )
        partner = self.env["res.partner"].create(
            {"name": "Smoke Test", "email": "smoke@partners.example"}
        )
        affiliate = self.env["affiliate.affiliate"].create(
            {
                "partner_id": partner.id,
                "program_id": program.id,
                "wished_code": f"SMOKE-{secrets.token_hex(6)}",
            }
        )
        affiliate.action_approve()
        self.addCleanup(self.remove_code, program, affiliate.code_ids)
        affiliate.code_ids._push()
        return affiliate.code_ids, program.coupon_id

    def remove_code(self, program, code):
        """Promotion codes cannot be deleted in Stripe: deactivate ours."""
        for page in self.api.pages("/v1/promotion_codes", code=code.code, active=True):
            for raw in page:
                self.api.post(f"/v1/promotion_codes/{raw['id']}", {"active": False})
        if program.coupon_id:
            self.api.delete(f"/v1/coupons/{program.coupon_id.stripe_id}")

    def test_connection(self):
        self.assertEqual(self.account.state, "connected")
        self.assertFalse(self.account.livemode)
        self.assertTrue(self.account.api_key_hint)

    def test_plan_by_its_id(self):
        plan_id = self.make_plan()
        wizard = self.env["affiliate.plan.wizard"].create(
            {"account_id": self.account.id, "plan_id": plan_id}
        )
        price = self.env["affiliate.stripe.price"].browse(
            wizard.action_fetch()["res_id"]
        )
        self.assertEqual((price.stripe_id, price.unit_amount), (plan_id, 1.00))
        self.assertEqual(price.product_id.name, "affiliate_stripe smoke test")

    def test_code_is_made_once_and_switched_off(self):
        code, coupon = self.make_code()
        self.assertEqual((code.state, code.sync_error), ("synced", False))
        promotion = code.promotion_code_ids
        raw = self.api.get(f"/v1/promotion_codes/{promotion.stripe_id}")
        self.assertEqual(raw["code"], code.code)
        self.assertEqual(raw["promotion"]["coupon"], coupon.stripe_id)
        percent = self.api.get(f"/v1/coupons/{coupon.stripe_id}")["percent_off"]
        self.assertEqual(percent, 10)
        code.state = "draft"
        code._push()
        self.assertEqual(code.promotion_code_ids, promotion, "a second one was made")
        code.action_deactivate()
        raw = self.api.get(f"/v1/promotion_codes/{promotion.stripe_id}")
        self.assertFalse(raw["active"])

    def test_events_are_read(self):
        # Those of the last minutes only: an account may have thousands.
        self.account.sudo().polled_until = fields.Datetime.now()
        self.make_plan()
        self.env["affiliate.stripe.sync"]._poll_events(self.account)
        events = self.env["affiliate.stripe.event"].search(
            [("account_id", "=", self.account.id)]
        )
        for event in events:
            self.assertTrue(event.stripe_id.startswith("evt_"))
        self.assertEqual(self.account.api_version, API_VERSION)
