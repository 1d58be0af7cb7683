from odoo import fields, models


class AffiliateStripeInvoicePayment(models.Model):
    _name = "affiliate.stripe.invoice.payment"
    _description = "Stripe invoice payment"
    _inherit = "affiliate.stripe.mixin"
    _stripe_links = {"invoice_id": "invoice_ref", "charge_id": "charge_ref"}

    invoice_id = fields.Many2one(
        "affiliate.stripe.invoice",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )
    invoice_ref = fields.Char(readonly=True)
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
    amount = fields.Monetary(readonly=True)
    paid_at = fields.Datetime(string="Paid on", readonly=True)

    _invoice_idx = models.Index("(account_id, invoice_ref)")

    _intent_idx = models.Index("(account_id, payment_intent)")

    _charge_idx = models.Index("(account_id, charge_ref)")
