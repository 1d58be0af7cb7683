from odoo import api, fields, models
from odoo.exceptions import UserError

from ..lib import attribution
from ..lib.roles import MANAGER
from ..tools.access import needs
from .affiliate_referral_candidates import unix


class AffiliateReferralMove(models.Model):
    """A manager's decision to give payments of a customer to another affiliate.

    A fact like any other: the ledger is computed from it, however often and in
    whatever order things are heard of.
    """

    _name = "affiliate.referral.move"
    _description = "Move of a customer to another affiliate"
    _inherit = ["affiliate.protected"]
    _order = "id desc"
    _rec_name = "reason"
    _check_company_auto = True

    referral_id = fields.Many2one(
        "affiliate.referral",
        required=True,
        readonly=True,
        index=True,
        ondelete="cascade",
        check_company=True,
    )
    company_id = fields.Many2one(related="referral_id.company_id", store=True)
    affiliate_id = fields.Many2one(
        "affiliate.affiliate",
        required=True,
        readonly=True,
        index=True,
        ondelete="restrict",
        check_company=True,
    )
    since = fields.Datetime(
        readonly=True, help="Payments from then on; empty: all of them."
    )
    reason = fields.Char(required=True, readonly=True)

    def _to_move(self):
        self.ensure_one()
        which = self.env._("all payments")
        if self.since:
            which = self.env._("payments from %s on", fields.Date.to_string(self.since))
        return attribution.Move(
            id=self.id,
            affiliate=self.affiliate_id.id,
            at=unix(self.create_date),
            since=unix(self.since),
            reason=f"{self.reason} ({self.create_uid.name}: {which})",
        )


class AffiliateReferral(models.Model):
    """A customer's affiliate, changed by hand and with a reason."""

    _inherit = "affiliate.referral"

    move_ids = fields.One2many("affiliate.referral.move", "referral_id")

    @needs("write", MANAGER)
    def action_move(self):
        """Ask to whom, what and why, and show what it changes."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Move to another affiliate"),
            "res_model": "affiliate.move.wizard",
            "view_mode": "form",
            "target": "new",
            "context": {"default_referral_id": self.id},
        }

    @needs("write", MANAGER)
    def action_add_history(self):
        """The same, for the earlier payments of a customer who was mapped by hand."""
        self.ensure_one()
        action = self.action_move()
        action["name"] = self.env._("Earlier payments too")
        action["context"] |= {
            "default_affiliate_id": self.affiliate_id.id,
            "default_scope": "all",
        }
        return action

    def _move(self, values):
        """Move this customer, or give his affiliate the earlier payments too.

        :param dict values: ``affiliate_id since reason`` of the move
        """
        self.ensure_one()
        self.check_access("write")
        affiliate = self.env["affiliate.affiliate"].browse(values["affiliate_id"])
        if affiliate.program_id.stripe_account_id != self.stripe_account_id:
            raise UserError(
                self.env._("This affiliate works with another Stripe account.")
            )
        if self.state == "customer":
            self.env["affiliate.referral.move"].sudo().create(
                {"referral_id": self.id, **values}
            )
            told = self.env._(
                "Moved from %(affiliate)s: %(reason)s",
                affiliate=self.affiliate_id.display_name,
                reason=values["reason"],
            )
        elif (
            self.source == attribution.MANUAL
            and affiliate == self.affiliate_id
            and not values["since"]
        ):
            # Nothing is bound that could be moved: the claim itself asks for more.
            self.sudo().include_history = True
            told = self.env._("Earlier payments too: %s", values["reason"])
        else:
            raise UserError(
                self.env._("This person has not paid yet: change the referral itself.")
            )
        self.message_post(body=told)
        self._decide_people()

    @api.model
    def _succeed(self, former, referral):
        """Let the row that binds a person now have what belongs to the person."""
        former.move_ids.write({"referral_id": referral.id})
        former.commission_ids.write({"referral_id": referral.id})
        known = {(flag.affiliate_id, flag.kind) for flag in referral.flag_ids}
        former.flag_ids.filtered(
            lambda flag: (flag.affiliate_id, flag.kind) not in known
        ).write({"referral_id": referral.id})
