from odoo import fields, models


class AffiliateStripeCheckoutSession(models.Model):
    _name = "affiliate.stripe.checkout.session"
    _description = "Stripe checkout session"
    _inherit = "affiliate.stripe.mixin"
    _stripe_links = {
        "customer_id": "customer_ref",
        "subscription_id": "subscription_ref",
        "invoice_id": "invoice_ref",
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
    invoice_id = fields.Many2one(
        "affiliate.stripe.invoice",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )
    invoice_ref = fields.Char(readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    mode = fields.Char(readonly=True)
    status = fields.Char(readonly=True)
    payment_status = fields.Char(readonly=True)
    client_reference = fields.Char(readonly=True)
    email = fields.Char(readonly=True)
    payment_intent = fields.Char(string="Payment intent", readonly=True)
    amount_total = fields.Monetary(readonly=True)
    difference = fields.Monetary(
        string="Unexplained",
        readonly=True,
        help="What the lines leave unexplained of the total without tax, beyond "
        "rounding. The sale is held for review: no commission is guessed.",
    )

    _customer_idx = models.Index("(account_id, customer_ref)")

    _intent_idx = models.Index("(account_id, payment_intent)")

    _subscription_idx = models.Index("(account_id, subscription_ref)")
    _invoice_idx = models.Index("(account_id, invoice_ref)")
