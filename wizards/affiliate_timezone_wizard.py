from odoo import api, fields, models
from odoo.exceptions import UserError

from odoo.addons.base.models.res_partner import _tz_get

from ..tools.access import needs


class AffiliateTimezoneWizard(models.TransientModel):
    """A person says in which time zone a Stripe account counts its days, where the key
    may not read it."""

    _name = "affiliate.timezone.wizard"
    _description = "Time zone of a Stripe account"
    _check_company_auto = True

    company_id = fields.Many2one(related="account_id.company_id")
    account_id = fields.Many2one(
        "affiliate.stripe.account", required=True, readonly=True, check_company=True
    )
    timezone = fields.Selection(
        _tz_get,
        string="Time zone",
        required=True,
        compute="_compute_timezone",
        precompute=True,
        store=True,
        readonly=False,
    )

    @api.depends("account_id")
    def _compute_timezone(self):
        for wizard in self:
            wizard.timezone = wizard.account_id.timezone or self.env.user.tz or "UTC"

    @needs("write")
    def action_confirm(self):
        """Count the days of the account by this time zone."""
        self.ensure_one()
        self.account_id.check_access("write")
        account = self.account_id.sudo()
        if account.is_timezone_told:
            raise UserError(
                self.env._(
                    "The time zone comes from your Stripe account. Change it there, "
                    "in Settings > Business > Account details; it is read once a day."
                )
            )
        account._set_timezone(self.timezone)
        return account._notify(
            self.env._("Dates now use the time zone %s.", self.timezone), "success"
        )
