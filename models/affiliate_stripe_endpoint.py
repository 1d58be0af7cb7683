from odoo import api, fields, models


class AffiliateStripeEndpoint(models.Model):
    """A webhook endpoint at Stripe and its secret.

    Several may be active at once: Stripe has no call to roll a secret, so rolling
    means a second endpoint, both accepted, then the first one deleted.
    """

    _name = "affiliate.stripe.endpoint"
    _description = "Stripe webhook endpoint"
    _inherit = ["affiliate.protected"]
    _check_company_auto = True
    _order = "id desc"
    _rec_name = "stripe_id"

    account_id = fields.Many2one(
        "affiliate.stripe.account",
        required=True,
        readonly=True,
        index=True,
        ondelete="cascade",
        check_company=True,
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
    active = fields.Boolean(default=True, readonly=True)
    valid_until = fields.Datetime(
        string="Accepted until",
        readonly=True,
        help="Of an endpoint that was replaced: Stripe may still repeat deliveries "
        "with its secret.",
    )
    secret = fields.Char(groups=fields.NO_ACCESS, copy=False)

    @api.autovacuum
    def _gc_replaced(self):
        """Forget secrets that are not accepted any more."""
        self.search([("valid_until", "<", fields.Datetime.now())]).unlink()
