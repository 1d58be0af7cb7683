from odoo import api, fields, models


class AffiliateStripeCreditNote(models.Model):
    _name = "affiliate.stripe.credit.note"
    _description = "Stripe credit note"
    _inherit = "affiliate.stripe.mixin"
    _stripe_links = {"customer_id": "customer_ref", "invoice_id": "invoice_ref"}

    customer_id = fields.Many2one(
        "affiliate.stripe.customer",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )
    customer_ref = fields.Char(readonly=True)
    invoice_id = fields.Many2one(
        "affiliate.stripe.invoice",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )
    invoice_ref = fields.Char(readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    number = fields.Char(readonly=True)
    type = fields.Char(
        readonly=True, help="Written before the payment, after it, or both (mixed)."
    )
    status = fields.Char(readonly=True)
    reason = fields.Char(readonly=True)
    memo = fields.Char(readonly=True)
    amount = fields.Monetary(string="Total", readonly=True)
    amount_before = fields.Monetary(
        string="Before payment",
        readonly=True,
        help="Taken off what was still to be paid.",
    )
    amount_after = fields.Monetary(
        string="After payment",
        readonly=True,
        help="Refunded, given back outside of Stripe, or added to the customer's "
        "balance.",
    )
    amount_back = fields.Monetary(
        string="Given back",
        readonly=True,
        help="Refunded or given back outside of Stripe. Only this takes commission "
        "back; what stays on the customer's balance does not.",
    )
    voided_at = fields.Datetime(string="Voided", readonly=True)

    _invoice_idx = models.Index("(account_id, invoice_ref)")
    _customer_idx = models.Index("(account_id, customer_ref)")

    @api.depends("number")
    def _compute_display_name(self):
        result = super()._compute_display_name()
        for note in self.filtered("number"):
            note.display_name = note.number
        return result
