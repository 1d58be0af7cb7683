"""The base of the tests that play Stripe: a double, a connected account, a programme.

Nothing between our code and the wire is replaced: webhooks are signed and posted to
the running server, calls go through the real ``stripe`` package to the double.
"""

from datetime import datetime, timezone
from urllib.parse import urlsplit

from odoo.tests import HttpCase, tagged
from odoo.tools import SQL

from odoo.addons.account.tests.common import AccountTestInvoicingCommon

from .stripe_double import Shop, StripeDouble

KEY = "sk_test_double"
#: 2026-01-01 00:00:00 UTC: the clock of the double in every test.
NEW_YEAR = 1767225600


@tagged("post_install", "-at_install")
class StripeCase(AccountTestInvoicingCommon, HttpCase):
    """A company with books, a Stripe double, an account connected to it."""

    double_options: dict = {}

    @classmethod
    def get_default_groups(cls):
        return (
            super().get_default_groups()
            | cls.quick_ref("affiliate_stripe.group_affiliate_manager")
            | cls.quick_ref("affiliate_stripe.group_affiliate_accountant")
        )

    def setUp(self):
        super().setUp()
        self.double = StripeDouble(now=NEW_YEAR, **self.double_options).start()
        self.addCleanup(self.double.stop)
        self.shop = Shop(self.double, KEY)
        parameters = self.env["ir.config_parameter"].sudo()
        parameters.set_param("affiliate_stripe.api_base", self.double.url)
        parameters.set_param("web.base.url", self.base_url())
        # Pacing asks the database from threads, which a test's one cursor forbids.
        self.env["ir.default"].set("affiliate.stripe.account", "rate_limit", 0)
        self.account = self.connect()

    def tearDown(self):
        self.assertEqual(self.double.faults, [], "the double failed")
        super().tearDown()

    def connect(self, key=KEY, **values):
        account = self.env["affiliate.stripe.account"].create(
            {"name": "Acme", "api_key": key, **values}
        )
        account.action_connect()
        # The double lives in another time: what happened "since then" is all of it.
        account.sudo().polled_until = False
        return account

    def new_visitor(self):
        """An id as our server issues them."""
        return self.env["affiliate.click"]._new_visitor()

    # --- the programme --------------------------------------------------------------

    def make_program(self, rate=30.0, discount=0.0, rules=None, **values):
        """A programme with one rule for everything, or with ``rules``."""
        if discount:
            values |= {"discount_type": "percent", "discount_value": discount}
        rules = rules or [{"rate": rate}]
        return self.env["affiliate.program"].create(
            {
                "name": "Partners",
                "stripe_account_id": self.account.id,
                "signup_url": "https://acme.example/pricing",
                "currency_id": self.env.ref("base.USD").id,
                "rule_ids": [(0, 0, rule) for rule in rules],
                "code_number_start": 29,
                **values,
            }
        )

    def make_affiliate(self, program, name="Drona Rao", **values):
        """An approved affiliate whose code is in Stripe."""
        partner = self.env["res.partner"].create(
            {"name": name, "email": f"{name.split()[0].lower()}@partners.example"}
        )
        affiliate = self.env["affiliate.affiliate"].create(
            {"partner_id": partner.id, "program_id": program.id, **values}
        )
        affiliate.action_approve()
        affiliate.code_ids._push()
        return affiliate

    def promotion(self, affiliate):
        """The Stripe id of the affiliate's active promotion code."""
        return affiliate.code_ids.promotion_code_ids.filtered("active").stripe_id

    # --- Stripe's side ---------------------------------------------------------------

    def post_delivery(self, delivery, **request):
        """Post one delivery as Stripe would; return the status."""
        return self.post_webhook(*delivery.request(**request))

    def post_webhook(self, url, headers, body):
        path = urlsplit(url).path
        return self.url_open(path, data=body, headers=headers).status_code

    def deliver(self, deliveries=None):
        """Deliver what is pending, in order unless told otherwise, and process it."""
        if deliveries is None:
            deliveries = self.double.deliveries()
        for delivery in deliveries:
            self.assertEqual(self.post_delivery(delivery), 200)
            delivery.drop()
        self.process()

    def process(self):
        """What the cron does, without its waiting for more."""
        self.env.flush_all()
        self.env["affiliate.stripe.event"]._process_pending()
        self.env.invalidate_all()

    def reconcile(self):
        """Heal what was lost: the events of the last 30 days, then "Sync now"."""
        sync = self.env["affiliate.stripe.sync"]
        self.env.flush_all()
        sync._poll_events(self.account)
        self.process()
        self.account.action_sync_now()
        self.env.flush_all()
        self.env["affiliate.stripe.run"]._walk_all()
        self.env.invalidate_all()

    def forget(self):
        """Bring the database back to before the first event: what is left are the
        affiliates, their codes, claims and visits."""
        self.env.flush_all()
        kept = ("account", "endpoint", "promotion.code", "coupon")
        mirror = [
            model._table
            for name, model in self.env.registry.items()
            if name.startswith("affiliate.stripe.") and not model._abstract
            if name not in [f"affiliate.stripe.{kind}" for kind in kept]
        ]
        self.env.cr.execute("DELETE FROM affiliate_commission")
        self.env.cr.execute("DELETE FROM affiliate_referral_customer_rel")
        self.env.cr.execute(
            "DELETE FROM affiliate_referral WHERE source NOT IN ('form', 'manual')"
        )
        self.env.cr.execute(
            "UPDATE affiliate_referral"
            "   SET state = 'lead', decided_at = NULL, evidence = NULL,"
            "       without_visit = (source = 'form')"
        )
        self.env.cr.execute("UPDATE affiliate_stripe_account SET polled_until = NULL")
        for table in mirror:
            self.env.cr.execute(SQL("DELETE FROM %s", SQL.identifier(table)))
        self.env.invalidate_all()

    # --- the ledger -------------------------------------------------------------------

    def rows(self, **domain):
        """Ledger rows, oldest first."""
        return self.env["affiliate.commission"].search(
            [(name, "=", value) for name, value in domain.items()], order="id"
        )

    def amounts(self, **domain):
        return self.rows(**domain).mapped("amount")

    def total(self, **domain):
        return round(sum(self.amounts(**domain)), 3)

    def ledger(self):
        """Sums per line, affiliate, currency and cause: how two ledgers are compared.

        Mirror ids differ between runs of the double, so tests that compare runs use
        the same run; nought sums are left out.
        """
        sums = {}
        for row in self.rows():
            key = (
                row.line_ref,
                row.affiliate_id.id,
                row.currency_id.name,
                row.cause_id,
            )
            sums[key] = round(sums.get(key, 0) + row.amount, 3)
        return {key: amount for key, amount in sums.items() if amount}

    def assert_pending_empty(self):
        events = self.env["affiliate.stripe.event"].search(
            [("state", "in", ("pending", "failed"))]
        )
        self.assertFalse(events, events.mapped("error"))


def moment(timestamp):
    """A naive UTC datetime, as Odoo keeps them."""
    return datetime.fromtimestamp(timestamp, timezone.utc).replace(tzinfo=None)
