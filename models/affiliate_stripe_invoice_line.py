from odoo import fields, models


class AffiliateStripeInvoiceLine(models.Model):
    _name = "affiliate.stripe.invoice.line"
    _description = "Stripe invoice line"
    _inherit = "affiliate.stripe.mixin"
    _rec_name = "description"
    _stripe_links = {
        "invoice_id": "invoice_ref",
        "price_id": "price_ref",
        "product_id": "product_ref",
    }

    invoice_id = fields.Many2one(
        "affiliate.stripe.invoice",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )
    invoice_ref = fields.Char(readonly=True)
    price_id = fields.Many2one(
        "affiliate.stripe.price",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )
    price_ref = fields.Char(readonly=True)
    product_id = fields.Many2one(
        "affiliate.stripe.product",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )
    product_ref = fields.Char(readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    description = fields.Char(readonly=True)
    amount = fields.Monetary(readonly=True, help="Before discounts and exclusive tax.")
    amount_net = fields.Monetary(
        string="Net", readonly=True, help="After discounts, without any tax."
    )
    period_start = fields.Datetime(string="Period from", readonly=True)
    period_end = fields.Datetime(string="Period to", readonly=True)

    _price_idx = models.Index("(account_id, price_ref)")
    _product_idx = models.Index("(account_id, product_ref)")
    _invoice_idx = models.Index("(account_id, invoice_ref)")

    def _sources(self):
        """A line has no reading of its own."""
        return {("invoice", self.invoice_ref)}
