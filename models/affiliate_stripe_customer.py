from odoo import api, fields, models

from ..tools.addresses import email_key


class AffiliateStripeCustomer(models.Model):
    _name = "affiliate.stripe.customer"
    _description = "Stripe customer"
    _inherit = "affiliate.stripe.mixin"

    name = fields.Char(readonly=True)
    email = fields.Char(readonly=True)
    email_normalized = fields.Char(readonly=True, index="btree_not_null")
    is_guest = fields.Boolean(
        string="Guest",
        readonly=True,
        help="Paid in a checkout that made no Stripe customer.",
    )
    subscription_ids = fields.One2many(
        "affiliate.stripe.subscription", "customer_id", string="Subscriptions"
    )
    invoice_ids = fields.One2many(
        "affiliate.stripe.invoice", "customer_id", string="Invoices"
    )
    charge_ids = fields.One2many(
        "affiliate.stripe.charge", "customer_id", string="Payments"
    )

    @api.depends("name", "email", "stripe_id")
    def _compute_display_name(self):
        for customer in self:
            customer.display_name = (
                customer.name or customer.email or customer.stripe_id
            )

    @api.model
    def _row_values(self, row):
        email = email_key(row.values["email"]) or None
        return {**super()._row_values(row), "email_normalized": email}

    def _sources(self):
        """A guest is no object of Stripe's."""
        return set() if self.is_guest else super()._sources()
