from odoo import fields, models

from ..tools.access import needs


class AffiliatePersonWizard(models.TransientModel):
    """Holds the download of what is known, and asks before it is erased."""

    _name = "affiliate.person.wizard"
    _description = "What is known of a person"
    _check_company_auto = True

    company_id = fields.Many2one(related="referral_id.company_id")
    referral_id = fields.Many2one(
        "affiliate.referral", required=True, readonly=True, check_company=True
    )
    file = fields.Binary(attachment=False, readonly=True)

    @needs("write")
    def action_erase(self):
        self.ensure_one()
        self.referral_id._erase_person()
        return {"type": "ir.actions.act_window_close"}
