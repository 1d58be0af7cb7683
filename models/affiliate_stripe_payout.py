from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL

from ..lib.stripe_balance import OF_PAYOUTS


class AffiliateStripePayout(models.Model):
    _name = "affiliate.stripe.payout"
    _description = "Stripe payout"
    _inherit = "affiliate.stripe.mixin"

    currency_id = fields.Many2one("res.currency", readonly=True)
    status = fields.Char(readonly=True)
    amount = fields.Monetary(readonly=True)
    arrival_date = fields.Date(
        string="Arrives on",
        readonly=True,
        help="When the money is expected at the bank.",
    )
    automatic = fields.Boolean(
        readonly=True,
        help="Made by Stripe's schedule. Only then does Stripe tell what is in it.",
    )
    method = fields.Char(readonly=True)
    reconciliation_status = fields.Char(string="Reconciliation", readonly=True)
    failure_code = fields.Char(string="Failure code", readonly=True)
    failure_message = fields.Char(string="Failure", readonly=True)
    balance_transaction_ids = fields.One2many(
        "affiliate.stripe.balance.transaction",
        "payout_id",
        string="Balance transactions",
    )
    difference = fields.Monetary(
        string="Unexplained",
        compute="_compute_difference",
        search="_search_difference",
        help="The payout less the net amounts of what it was made of.",
    )

    @api.depends("amount", "reconciliation_status", "balance_transaction_ids.net")
    def _compute_difference(self):
        found = {}
        if self.ids:
            found = dict(
                self.env.execute_query(
                    SQL(
                        "SELECT id, difference FROM (%s) payout WHERE id IN %s",
                        self._query_differences(),
                        tuple(self.ids),
                    )
                )
            )
        for payout in self:
            payout.difference = found.get(payout.id, 0)

    @api.model
    def _search_difference(self, operator, value):
        if operator != "in" or any(value):
            return NotImplemented
        differing = SQL(
            "(SELECT id FROM (%s) payout WHERE difference != 0)",
            self._query_differences(),
        )
        return Domain("id", "not in", differing)

    @api.model
    def _query_differences(self):
        """Return the SQL of ``(id, difference)``, for payouts of which Stripe has told
        what is in them."""
        return SQL(
            """SELECT payout.id, payout.amount - COALESCE(SUM(booked.net), 0) difference
                 FROM affiliate_stripe_payout payout
            LEFT JOIN affiliate_stripe_balance_transaction booked
                   ON booked.payout_id = payout.id AND booked.type NOT IN %s
                WHERE payout.automatic AND payout.reconciliation_status = 'completed'
             GROUP BY payout.id""",
            OF_PAYOUTS,
        )
