from odoo import fields, models


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    affiliate_stripe_account_id = fields.Many2one(
        "affiliate.stripe.account",
        string="Stripe account",
        compute="_compute_affiliate_stripe_account_id",
    )
    affiliate_stripe_state = fields.Selection(
        related="affiliate_stripe_account_id.state"
    )
    affiliate_stripe_problem = fields.Char(
        related="affiliate_stripe_account_id.problem"
    )

    def _compute_affiliate_stripe_account_id(self):
        for settings in self:
            settings.affiliate_stripe_account_id = self.env[
                "affiliate.stripe.account"
            ].search([("company_id", "=", settings.company_id.id)], limit=1)

    def action_affiliate_stripe_account(self):
        """Open the company's Stripe account, or a new one."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Stripe account"),
            "res_model": "affiliate.stripe.account",
            "res_id": self.affiliate_stripe_account_id.id,
            "view_mode": "form",
        }
