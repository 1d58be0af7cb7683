from odoo import fields, models

from ..tools.access import needs


class AffiliateRejectWizard(models.TransientModel):
    """Reject commissions, with the reason the affiliate will read."""

    _name = "affiliate.reject.wizard"
    _description = "Reject commissions"

    commission_ids = fields.Many2many("affiliate.commission", required=True)
    reason = fields.Char(required=True)

    @needs("write")
    def action_reject(self):
        self.ensure_one()
        self.commission_ids._reject(self.reason)
        return {"type": "ir.actions.act_window_close"}
