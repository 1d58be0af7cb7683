from odoo import fields, models


class AffiliateStripePayout(models.Model):
    _name = "affiliate.stripe.payout"
    _description = "Stripe payout"
    _inherit = "affiliate.stripe.mixin"

    currency_id = fields.Many2one("res.currency", readonly=True)
    status = fields.Char(readonly=True)
    amount = fields.Monetary(readonly=True)
    arrival_date = fields.Date(
        readonly=True, help="When the money is expected at the bank."
    )
    automatic = fields.Boolean(
        readonly=True,
        help="Made by Stripe's schedule. Only then does Stripe tell what is in it.",
    )
    method = fields.Char(readonly=True)
    reconciliation_status = fields.Char(string="Reconciliation", readonly=True)
    failure_code = fields.Char(readonly=True)
    failure_message = fields.Char(string="Failure", readonly=True)
    balance_transaction_ids = fields.One2many(
        "affiliate.stripe.balance.transaction",
        "payout_id",
        string="Balance transactions",
    )
