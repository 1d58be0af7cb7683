"""The base of the tests of pages: a published programme, affiliates, no Stripe."""

import re
from datetime import timedelta

from odoo import fields
from odoo.tests import HttpCase, TransactionCase, new_test_user, tagged

PASSWORD = "a long password"


class AffiliateData(TransactionCase):
    """A programme of the website's company and helpers to fill it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env = cls.env(context={**cls.env.context, "tracking_disable": True})
        cls.company = cls.env["website"].get_current_website().company_id
        cls.usd = cls.env.ref("base.USD")
        cls.eur = cls.env.ref("base.EUR")
        (cls.usd | cls.eur).active = True
        cls.account = cls.env["affiliate.stripe.account"].create(
            {"name": "Acme", "company_id": cls.company.id}
        )
        cls.program = cls.make_program()

    def new_visitor(self):
        """An id as our server issues them."""
        return self.env["affiliate.click"]._new_visitor()

    @classmethod
    def make_program(cls, **values):
        return cls.env["affiliate.program"].create(
            {
                "name": "Acme Partners",
                "company_id": cls.company.id,
                "stripe_account_id": cls.account.id,
                "currency_id": cls.usd.id,
                "signup_url": "https://acme.example/pricing",
                "is_published": True,
                "rule_ids": [(0, 0, {"rate": 30, "duration_months": 12})],
                **values,
            }
        )

    @classmethod
    def make_affiliate(cls, login, state="active", program=None):
        """An affiliate with a login; his code is not in Stripe yet."""
        user = new_test_user(
            cls.env,
            login,
            groups="base.group_portal",
            password=PASSWORD,
            email=f"{login}@partners.example",
            name=login.capitalize(),
        )
        affiliate = cls.env["affiliate.affiliate"].create(
            {
                "partner_id": user.partner_id.id,
                "program_id": (program or cls.program).id,
            }
        )
        if state in ("active", "suspended"):
            affiliate.state = "active"
            affiliate._make_code()
        affiliate.state = state
        return affiliate

    @classmethod
    def accept(cls, affiliate):
        """Have an affiliate's code as if Stripe had it, and took it at its checkout."""
        code = affiliate.code_ids
        promotion = cls.env["affiliate.stripe.promotion.code"].create(
            {
                "account_id": code.stripe_account_id.id,
                "stripe_id": f"promo_{code.code}",
                "code": code.code,
                "active": True,
            }
        )
        code.write({"state": "synced", "promotion_code_ids": [(4, promotion.id)]})

    @classmethod
    def make_referral(cls, affiliate, email, state="customer"):
        referral = cls.env["affiliate.referral"].create(
            {"email": email, "affiliate_id": affiliate.id, "source": "manual"}
        )
        referral.state = state
        return referral

    @classmethod
    def make_commission(cls, affiliate, amount=7.5, **values):
        today = fields.Date.context_today(affiliate)
        return cls.env["affiliate.commission"].create(
            {
                "affiliate_id": affiliate.id,
                "program_id": affiliate.program_id.id,
                "company_id": affiliate.company_id.id,
                "currency_id": cls.usd.id,
                "amount": amount,
                "date": today,
                "hold_until": today + timedelta(days=30),
                "explanation": f"30 % of a payment = {amount}.",
                **values,
            }
        )


@tagged("post_install", "-at_install")
class PageCase(AffiliateData, HttpCase):
    """Pages as a browser without JavaScript gets them."""

    def get(self, path, status=200, **options):
        response = self.url_open(path, **options)
        self.assertEqual(response.status_code, status, response.text[:500])
        return response

    def csrf_token(self, html):
        return re.search(r'name="csrf_token" value="([^"]+)"', html)[1]
