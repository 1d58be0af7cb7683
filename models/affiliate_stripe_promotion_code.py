from odoo import fields, models


class AffiliateStripePromotionCode(models.Model):
    _name = "affiliate.stripe.promotion.code"
    _description = "Stripe promotion code"
    _inherit = "affiliate.stripe.mixin"
    _rec_name = "code"
    _stripe_links = {"coupon_id": "coupon_ref"}

    code = fields.Char(readonly=True, index=True)
    coupon_id = fields.Many2one(
        "affiliate.stripe.coupon",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )
    coupon_ref = fields.Char(readonly=True)
    times_redeemed = fields.Integer(string="Used", readonly=True)
