from odoo import fields, models


class AffiliateStripeCharge(models.Model):
    _name = "affiliate.stripe.charge"
    _description = "Stripe charge"
    _inherit = "affiliate.stripe.mixin"
    _stripe_links = {"customer_id": "customer_ref"}

    customer_id = fields.Many2one("affiliate.stripe.customer", string="Customer", readonly=True, index="btree_not_null", ondelete="set null")
    customer_ref = fields.Char(readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    status = fields.Char(readonly=True)
    email = fields.Char(readonly=True)
    payment_intent = fields.Char(readonly=True)
    amount = fields.Monetary(readonly=True)
    amount_captured = fields.Monetary(readonly=True)
    amount_refunded = fields.Monetary(readonly=True)
    disputed = fields.Boolean(readonly=True)
    refund_ids = fields.One2many("affiliate.stripe.refund", "charge_id", string="Refunds")
    dispute_ids = fields.One2many(
        "affiliate.stripe.dispute", "charge_id", string="Disputes"
    )

    _customer_idx = models.Index("(account_id, customer_ref)")

    _intent_idx = models.Index("(account_id, payment_intent)")
