from odoo import api, fields, models


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

    _customer_idx = models.Index("(account_id, customer_ref)")

    @api.depends("customer_id", "stripe_id")
    def _compute_display_name(self):
        for subscription in self:
            subscription.display_name = (
                subscription.customer_id.display_name or subscription.stripe_id
            )
