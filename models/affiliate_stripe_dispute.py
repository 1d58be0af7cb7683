from odoo import fields, models


class AffiliateStripeDispute(models.Model):
    _name = "affiliate.stripe.dispute"
    _description = "Stripe dispute"
    _inherit = "affiliate.stripe.mixin"
    _stripe_links = {"charge_id": "charge_ref"}

    charge_id = fields.Many2one(
        "affiliate.stripe.charge",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )
    charge_ref = fields.Char(readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    status = fields.Char(readonly=True)
    payment_intent = fields.Char(string="Payment intent", readonly=True)
    reason = fields.Char(readonly=True)
    amount = fields.Monetary(readonly=True)

    _charge_idx = models.Index("(account_id, charge_ref)")
