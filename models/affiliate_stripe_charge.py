from odoo import api, fields, models
from odoo.fields import Domain


class AffiliateStripeCharge(models.Model):
    _name = "affiliate.stripe.charge"
    _description = "Stripe charge"
    _inherit = "affiliate.stripe.mixin"
    _stripe_links = {"customer_id": "customer_ref"}

    customer_id = fields.Many2one(
        "affiliate.stripe.customer",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )
    customer_ref = fields.Char(readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    status = fields.Char(readonly=True)
    email = fields.Char(readonly=True)
    payment_intent = fields.Char(string="Payment intent", readonly=True)
    amount = fields.Monetary(readonly=True)
    amount_captured = fields.Monetary(string="Captured", readonly=True)
    amount_refunded = fields.Monetary(string="Refunded", readonly=True)
    disputed = fields.Boolean(readonly=True)
    refund_ids = fields.One2many(
        "affiliate.stripe.refund", "charge_id", string="Refunds"
    )
    dispute_ids = fields.One2many(
        "affiliate.stripe.dispute", "charge_id", string="Disputes"
    )
    is_invoiced = fields.Boolean(
        string="Pays an invoice",
        compute="_compute_is_invoiced",
        search="_search_is_invoiced",
    )

    _customer_idx = models.Index("(account_id, customer_ref)")

    _intent_idx = models.Index("(account_id, payment_intent)")

    @api.depends("payment_intent")
    def _compute_is_invoiced(self):
        invoiced = self.search([("id", "in", self.ids), ("is_invoiced", "=", True)])
        for charge in self:
            charge.is_invoiced = charge in invoiced

    @api.model
    def _search_is_invoiced(self, operator, value):
        if operator != "in":
            return NotImplemented
        payments = self.env["affiliate.stripe.invoice.payment"].sudo()
        intents = payments._search([("payment_intent", "!=", False)])
        charges = payments._search([("charge_ref", "!=", False)])
        invoiced = Domain(
            "payment_intent", "in", intents.subselect("payment_intent")
        ) | Domain("stripe_id", "in", charges.subselect("charge_ref"))
        return invoiced if True in value else ~invoiced
