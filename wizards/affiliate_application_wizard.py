from odoo import api, fields, models
from odoo.tools import format_date

from ..tools.access import needs


class AffiliateApplicationWizard(models.TransientModel):
    """Asks why an application is rejected, and whether the applicant is told."""

    _name = "affiliate.application.wizard"
    _description = "Reject an application"
    _check_company_auto = True

    company_id = fields.Many2one(related="affiliate_id.company_id")
    affiliate_id = fields.Many2one(
        "affiliate.affiliate", required=True, readonly=True, check_company=True
    )
    reason = fields.Text(
        help="Included in the e-mail exactly as written, and saved with the "
        "application."
    )
    tell = fields.Boolean(string="Tell the applicant by e-mail", default=True)
    note = fields.Char(compute="_compute_note")

    @api.depends("affiliate_id")
    def _compute_note(self):
        for wizard in self:
            months = wizard.affiliate_id.program_id.reapply_months
            today = fields.Date.context_today(wizard)
            until = fields.Date.add(today, months=months)
            wizard.note = (
                self.env._(
                    "The applicant can apply again starting %s.",
                    format_date(self.env, until),
                )
                if months
                else self.env._("The applicant can apply again at any time.")
            )

    @needs("write")
    def action_reject(self):
        self.ensure_one()
        self.affiliate_id.action_reject(self.reason, self.tell)
        return {"type": "ir.actions.act_window_close"}
