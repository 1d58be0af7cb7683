from odoo import api, fields, models


class AffiliateStripeInvoice(models.Model):
    _name = "affiliate.stripe.invoice"
    _description = "Stripe invoice"
    _inherit = "affiliate.stripe.mixin"
    _stripe_links = {
        "customer_id": "customer_ref",
        "subscription_id": "subscription_ref",
    }

    customer_id = fields.Many2one(
        "affiliate.stripe.customer",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )
    customer_ref = fields.Char(readonly=True)
    subscription_id = fields.Many2one(
        "affiliate.stripe.subscription",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )
    subscription_ref = fields.Char(readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    number = fields.Char(readonly=True)
    status = fields.Char(readonly=True)
    customer_email = fields.Char(readonly=True)
    billing_reason = fields.Char(readonly=True)
    finalized_at = fields.Datetime(readonly=True)
    paid_at = fields.Datetime(string="Paid on", readonly=True)
    amount_untaxed = fields.Monetary(string="Without tax", readonly=True)
    amount_tax = fields.Monetary(string="Tax", readonly=True)
    amount_total = fields.Monetary(string="Total", readonly=True)
    amount_paid = fields.Monetary(string="Paid", readonly=True)
    hosted_url = fields.Char(string="Invoice page", readonly=True)
    difference = fields.Monetary(
        string="Unexplained",
        readonly=True,
        help="What lines and shipping leave unexplained of the total without tax, "
        "beyond rounding. The invoice is held for review: no commission is guessed.",
    )
    line_ids = fields.One2many(
        "affiliate.stripe.invoice.line", "invoice_id", string="Lines"
    )
    payment_ids = fields.One2many(
        "affiliate.stripe.invoice.payment", "invoice_id", string="Payments"
    )
    credit_note_ids = fields.One2many(
        "affiliate.stripe.credit.note", "invoice_id", string="Credit notes"
    )

    _subscription_idx = models.Index("(account_id, subscription_ref)")
    _customer_idx = models.Index("(account_id, customer_ref)")

    @api.depends("number")
    def _compute_display_name(self):
        result = super()._compute_display_name()
        for invoice in self.filtered("number"):
            invoice.display_name = invoice.number
        return result
