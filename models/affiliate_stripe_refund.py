from odoo import fields, models


class AffiliateStripeRefund(models.Model):
    _name = "affiliate.stripe.refund"
    _description = "Stripe refund"
    _inherit = "affiliate.stripe.mixin"
    _stripe_links = {"charge_id": "charge_ref"}

    charge_id = fields.Many2one(
        "affiliate.stripe.charge",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )
    charge_ref = fields.Char(readonly=True)
    # A refund may have no charge (money on a customer's cash balance).
    customer_ref = fields.Char(readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    status = fields.Char(readonly=True)
    payment_intent = fields.Char(string="Payment intent", readonly=True)
    reason = fields.Char(readonly=True)
    amount = fields.Monetary(readonly=True)

    _charge_idx = models.Index("(account_id, charge_ref)")
    # Of those that name no charge.
    _intent_idx = models.Index("(account_id, payment_intent) WHERE charge_ref IS NULL")
