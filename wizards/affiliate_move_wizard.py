from odoo import api, fields, models
from odoo.exceptions import UserError

from ..tools.access import needs


class AffiliateMoveWizard(models.TransientModel):
    """Give a customer's payments to another affiliate, or his earlier ones too."""

    _name = "affiliate.move.wizard"
    _description = "Move a customer to another affiliate"
    _check_company_auto = True

    company_id = fields.Many2one(related="referral_id.company_id")
    referral_id = fields.Many2one(
        "affiliate.referral", required=True, readonly=True, check_company=True
    )
    stripe_account_id = fields.Many2one(related="referral_id.stripe_account_id")
    present_id = fields.Many2one(
        related="referral_id.affiliate_id", string="Belongs to"
    )
    affiliate_id = fields.Many2one(
        "affiliate.affiliate",
        required=True,
        string="Move to",
        domain="[('program_id.stripe_account_id', '=', stripe_account_id),"
        " ('state', 'in', ('active', 'suspended'))]",
        check_company=True,
    )
    scope = fields.Selection(
        [
            ("all", "All payments, the earlier ones too"),
            ("since", "Payments from a date on"),
        ],
        default="since",
        required=True,
        string="What",
    )
    since = fields.Datetime(string="From", default=fields.Datetime.now)
    reason = fields.Char()
    preview = fields.Text(compute="_compute_preview", string="What it changes")

    @api.depends("affiliate_id", "scope", "since")
    def _compute_preview(self):
        for wizard in self:
            wizard.preview = ""
            if wizard.referral_id and wizard.affiliate_id:
                wizard.preview = wizard._rehearse()

    def _rehearse(self):
        """Return what the move would book, a line an affiliate and currency."""
        referral, values = self.referral_id._origin, self._move_values("-")
        referral.check_access("write")
        try:
            told = self.env["affiliate.commission"]._rehearse(
                referral.stripe_account_id,
                lambda env: referral.with_env(env)._move(values),
            )
        except UserError as refused:
            return str(refused)
        return "\n".join(
            self.env._(
                "%(affiliate)s: %(amount)s in %(count)s rows",
                affiliate=name,
                amount=amount,
                count=count,
            )
            for name, count, amount in told
        ) or self.env._("Nothing of what is booked changes.")

    def _move_values(self, reason):
        return {
            "affiliate_id": self.affiliate_id.id,
            "since": self.scope == "since" and self.since,
            "reason": reason,
        }

    @needs("write")
    def action_move(self):
        """Move, and correct the ledger by new rows."""
        self.ensure_one()
        if not (self.reason or "").strip():
            raise UserError(self.env._("Say why: it stays with the customer."))
        self.referral_id._move(self._move_values(self.reason.strip()))
        return {"type": "ir.actions.act_window_close"}
