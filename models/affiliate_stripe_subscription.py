from collections import defaultdict

from odoo import api, fields, models

from ..lib.stripe_rows import ref
from ..lib.stripe_text import short_id


class AffiliateStripeSubscription(models.Model):
    _name = "affiliate.stripe.subscription"
    _description = "Stripe subscription"
    _inherit = "affiliate.stripe.mixin"
    _stripe_links = {"customer_id": "customer_ref"}

    customer_id = fields.Many2one(
        "affiliate.stripe.customer",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )
    customer_ref = fields.Char(readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    status = fields.Char(readonly=True)
    canceled_at = fields.Datetime(string="Cancelled", readonly=True)
    trial_end = fields.Datetime(string="Trial ends", readonly=True)
    invoice_ids = fields.One2many(
        "affiliate.stripe.invoice", "subscription_id", string="Invoices"
    )

    plan = fields.Char(compute="_compute_plan", help="What the customer subscribes to.")
    amount = fields.Char(
        compute="_compute_plan",
        string="Price",
        help="The list price per period, before discounts and tax. Empty if the "
        "price depends on the quantity used.",
    )

    _customer_idx = models.Index("(account_id, customer_ref)")

    @api.depends("data")
    def _compute_plan(self):
        """Say what the items are, in the words of the mirrored prices."""
        items = {subscription: subscription._items() for subscription in self}
        prices = self.env["affiliate.stripe.price"]._by_stripe_id(
            self.account_id, {ref for found in items.values() for ref, _number in found}
        )
        for subscription, found in items.items():
            account = subscription.account_id
            known = [
                (prices[account.id, ref], number)
                for ref, number in found
                if (account.id, ref) in prices
            ]
            subscription.plan = ", ".join(
                f"{number} × {price._plan_name()}" if number > 1 else price._plan_name()
                for price, number in known
            )
            subscription.amount = self._say_amounts(known)

    def _items(self):
        """Return ``[(Stripe id of the price, quantity)]``."""
        items = ((self.data or {}).get("items") or {}).get("data") or []
        return [
            (ref(item.get("price")), item.get("quantity") or 1)
            for item in items
            if item.get("price")
        ]

    @api.model
    def _say_amounts(self, items):
        """Return e.g. ``$ 25.00 / month``; empty where a price has no single amount.

        :param items: ``[(price, quantity)]``
        """
        if not all(price.unit_amount for price, _number in items):
            return ""
        sums = defaultdict(float)
        for price, number in items:
            sums[price.currency_id, price._period()] += price.unit_amount * number
        return ", ".join(
            f"{currency.format(amount)} {period}".strip()
            for (currency, period), amount in sums.items()
        )

    @api.depends("customer_id", "stripe_id")
    def _compute_display_name(self):
        for subscription in self:
            subscription.display_name = (
                subscription.customer_id.display_name
                or short_id(subscription.stripe_id or "")
            )
