from odoo import api, fields, models
from odoo.exceptions import UserError

from ..lib.roles import ACCOUNTANT
from ..tools.access import needs


class AffiliateBillWizard(models.TransientModel):
    """What to do with a bill that differs from its settlement."""

    _name = "affiliate.bill.wizard"
    _description = "Bill differs from its settlement"
    _check_company_auto = True

    company_id = fields.Many2one(related="move_id.company_id")
    move_id = fields.Many2one(
        "account.move", string="Bill", required=True, readonly=True, check_company=True
    )
    settlement_id = fields.Many2one(
        "affiliate.settlement", compute="_compute_difference", compute_sudo=True
    )
    currency_id = fields.Many2one(related="settlement_id.currency_id")
    message = fields.Text(compute="_compute_difference", compute_sudo=True)
    difference = fields.Monetary(
        compute="_compute_difference",
        compute_sudo=True,
        help="By how much the bill is higher than the settlement, without tax.",
    )
    can_adjust = fields.Boolean(compute="_compute_difference", compute_sudo=True)
    can_restore = fields.Boolean(compute="_compute_difference", compute_sudo=True)
    reason = fields.Char(help="The affiliate sees this on the statement.")

    @api.constrains("move_id")
    def _check_move(self):
        """Who may not read a bill learns nothing of it here, where sudo computes."""
        self.move_id._origin.with_user(self.env.user).check_access("read")

    @api.depends("move_id")
    def _compute_difference(self):
        self._check_move()
        for wizard in self:
            move = wizard.move_id
            settlement, why, more = (
                move._affiliate_difference()
                if move
                else (self.env["affiliate.settlement"], "", 0)
            )
            wizard.settlement_id = settlement
            wizard.message = why or self.env._("The bill matches its settlement.")
            wizard.difference = more or 0
            wizard.can_adjust = bool(more)
            wizard.can_restore = bool(why) and settlement.move_id == move

    @needs("write", group=ACCOUNTANT)
    def action_adjust(self):
        """Add a commission that makes up for the difference."""
        self.ensure_one()
        if not self.can_adjust:
            raise UserError(
                self.env._(
                    "An adjustment can't fix this. %s Restore the bill instead.",
                    self.message,
                )
            )
        if not (self.reason or "").strip():
            raise UserError(
                self.env._("Enter a reason. The affiliate sees it on the statement.")
            )
        self.settlement_id._adjust(self.difference, self.reason.strip())
        return self._done()

    @needs("write", group=ACCOUNTANT)
    def action_restore(self):
        """Write the bill again as the settlement says."""
        self.ensure_one()
        if not self.can_restore:
            raise UserError(self.env._("There is nothing to restore: %s", self.message))
        self.settlement_id._restore_bill()
        return self._done()

    def _done(self):
        self.invalidate_recordset()
        return {"type": "ir.actions.client", "tag": "soft_reload"}
