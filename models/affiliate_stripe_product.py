from odoo import fields, models


class AffiliateStripeProduct(models.Model):
    _name = "affiliate.stripe.product"
    _description = "Stripe product"
    _inherit = "affiliate.stripe.mixin"
    _rec_name = "name"

    name = fields.Char(readonly=True)
    price_ids = fields.One2many("affiliate.stripe.price", "product_id", string="Prices")
