from collections import defaultdict

from odoo import api, fields, models

from ..lib.stripe_text import short_id
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
    paid_in_all = fields.Char(
        string="Paid in total",
        compute="_compute_paid_in_all",
        help="Payments by card, bank and the like, including tax, less refunds, in "
        "each currency.",
    )

    @api.depends("name", "email", "stripe_id")
    def _compute_display_name(self):
        for customer in self:
            customer.display_name = (
                customer.name or customer.email or short_id(customer.stripe_id or "")
            )

    @api.depends("charge_ids.amount_captured", "charge_ids.amount_refunded")
    def _compute_paid_in_all(self):
        paid = self._paid_by_currency()
        for customer in self:
            customer.paid_in_all = self._say_paid(paid.get(customer.id, {}))

    def _paid_by_currency(self):
        """Return ``{customer id: {currency: amount}}``, by one query."""
        if not self.ids:
            return {}
        paid = defaultdict(dict)
        for customer, currency, captured, refunded in self.env[
            "affiliate.stripe.charge"
        ]._read_group(
            [("customer_id", "in", self.ids), ("status", "=", "succeeded")],
            ["customer_id", "currency_id"],
            ["amount_captured:sum", "amount_refunded:sum"],
        ):
            paid[customer.id][currency] = captured - refunded
        return paid

    @api.model
    def _say_paid(self, amounts):
        """Return e.g. ``$ 100.00, 20.00 €``, of ``{currency: amount}``."""
        ordered = sorted(amounts.items(), key=lambda item: item[0].name or "")
        return ", ".join(currency.format(amount) for currency, amount in ordered)

    @api.model
    def _row_values(self, row):
        email = email_key(row.values["email"]) or None
        return {**super()._row_values(row), "email_normalized": email}

    def _sources(self):
        """A guest is no object of Stripe's."""
        return set() if self.is_guest else super()._sources()
