from odoo import fields, models


class AffiliateStripeCoupon(models.Model):
    _name = "affiliate.stripe.coupon"
    _description = "Stripe coupon"
    _inherit = "affiliate.stripe.mixin"
    _rec_name = "name"

    name = fields.Char(readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    percent_off = fields.Float(readonly=True)
    amount_off = fields.Monetary(readonly=True)
    duration = fields.Char(readonly=True)
    duration_in_months = fields.Integer(readonly=True)
