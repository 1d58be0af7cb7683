from odoo import fields, models


class AffiliateStripeBalanceTransaction(models.Model):
    _name = "affiliate.stripe.balance.transaction"
    _description = "Stripe balance transaction"
    _inherit = "affiliate.stripe.mixin"
    _stripe_links = {"charge_id": "source_ref", "payout_id": "payout_ref"}

    source_ref = fields.Char(
        string="Source",
        readonly=True,
        help="The payment, refund, dispute or payout that moved the money.",
    )
    charge_id = fields.Many2one(
        "affiliate.stripe.charge",
        string="Payment",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )
    payout_id = fields.Many2one(
        "affiliate.stripe.payout",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )
    payout_ref = fields.Char(readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    type = fields.Char(readonly=True)
    reporting_category = fields.Char(string="Category", readonly=True)
    status = fields.Char(readonly=True)
    description = fields.Char(readonly=True)
    available_on = fields.Datetime(string="Available on", readonly=True)
    amount = fields.Monetary(
        string="Gross", readonly=True, help="In the currency of the Stripe balance."
    )
    fee = fields.Monetary(readonly=True)
    net = fields.Monetary(readonly=True, help="Gross less fee.")
    exchange_rate = fields.Float(
        string="Exchange rate",
        digits=(16, 8),
        readonly=True,
        help="Where the money came in another currency: its amount times this rate is "
        "the gross amount.",
    )

    _source_idx = models.Index("(account_id, source_ref)")
    _payout_idx = models.Index("(account_id, payout_ref)")
