from odoo import fields, models

from ..tools.access import needs


class AffiliatePersonWizard(models.TransientModel):
    """Holds the download of what is known, and asks before it is erased."""

    _name = "affiliate.person.wizard"
    _description = "What is known of a person"

    referral_id = fields.Many2one("affiliate.referral", required=True, readonly=True)
    file = fields.Binary(attachment=False, readonly=True)

    @needs("write")
    def action_erase(self):
        self.ensure_one()
        self.referral_id._erase_person()
        return {"type": "ir.actions.act_window_close"}
