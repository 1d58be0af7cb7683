from odoo import api, fields, models
from odoo.tools import SQL

from ..tools.addresses import email_key


class AffiliateStripeCheckoutSession(models.Model):
    _name = "affiliate.stripe.checkout.session"
    _description = "Stripe checkout session"
    _inherit = "affiliate.stripe.mixin"
    _stripe_links = {
        "customer_id": "customer_ref",
        "subscription_id": "subscription_ref",
        "invoice_id": "invoice_ref",
    }

    customer_id = fields.Many2one(
        "affiliate.stripe.customer",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )
    customer_ref = fields.Char(readonly=True)
    subscription_id = fields.Many2one(
        "affiliate.stripe.subscription",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )
    subscription_ref = fields.Char(readonly=True)
    invoice_id = fields.Many2one(
        "affiliate.stripe.invoice",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )
    invoice_ref = fields.Char(readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    mode = fields.Char(readonly=True)
    status = fields.Char(readonly=True)
    payment_status = fields.Char(readonly=True)
    client_reference = fields.Char(readonly=True)
    email = fields.Char(readonly=True)
    # Of sessions without a customer only: whoever becomes one under this address later
    # came by them.
    email_normalized = fields.Char(readonly=True)
    erased_at = fields.Datetime(
        string="Erased",
        readonly=True,
        copy=False,
        help="When the personal data was erased. Whatever Stripe still sends is "
        "not stored.",
    )
    payment_intent = fields.Char(string="Payment intent", readonly=True)
    amount_total = fields.Monetary(readonly=True)
    difference = fields.Monetary(
        string="Unexplained",
        readonly=True,
        help="What the lines leave unexplained of the total without tax, beyond "
        "rounding. The sale is held for review: no commission is guessed.",
    )

    _customer_idx = models.Index("(account_id, customer_ref)")

    _intent_idx = models.Index("(account_id, payment_intent)")

    _subscription_idx = models.Index("(account_id, subscription_ref)")
    _invoice_idx = models.Index("(account_id, invoice_ref)")
    _email_idx = models.Index(
        "(account_id, email_normalized) WHERE email_normalized IS NOT NULL"
    )

    @api.model
    def _row_values(self, row):
        loose = not row.values["customer_ref"]
        email = email_key(row.values["email"]) if loose else ""
        return {**super()._row_values(row), "email_normalized": email or None}

    @api.model
    def _on_conflict(self, columns):
        """A completed session changes no more: what was erased of it stays so."""
        table = SQL.identifier(self._table)
        return SQL("%s AND %s.erased_at IS NULL", super()._on_conflict(columns), table)

    @api.model
    def _without_customer(self, account, emails):
        """Return the completed sessions that made no customer in Stripe, in which
        somebody gave one of these addresses: in ``setup`` mode, or where nothing was
        to be paid.

        One that is open or expired is none: nobody has finished it, so anybody may
        have opened it with an address that is not his.

        :param emails: as ``email_key`` returns them
        """
        return self.with_context(active_test=False).search(
            [
                ("account_id", "=", account.id),
                ("email_normalized", "in", list(emails)),
                ("status", "=", "complete"),
            ],
            order="stripe_id",
        )
