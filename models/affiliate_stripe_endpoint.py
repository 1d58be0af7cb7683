from odoo import fields, models


class AffiliateStripeEndpoint(models.Model):
    """A webhook endpoint at Stripe and its secret.

    Several may be active at once: Stripe has no call to roll a secret, so rolling
    means a second endpoint, both accepted, then the first one deleted.
    """

    _name = "affiliate.stripe.endpoint"
    _description = "Stripe webhook endpoint"
    _order = "id desc"
    _rec_name = "stripe_id"

    account_id = fields.Many2one(
        "affiliate.stripe.account", required=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one(
        related="account_id.company_id", store=True, index=True
    )
    stripe_id = fields.Char(
        string="Stripe ID",
        readonly=True,
        help="Empty for an endpoint made by hand whose secret was typed in.",
    )
    url = fields.Char(readonly=True, string="Address")
    api_version = fields.Char(readonly=True, string="API version")
    active = fields.Boolean(default=True)
    secret = fields.Char(groups=fields.NO_ACCESS, copy=False)
