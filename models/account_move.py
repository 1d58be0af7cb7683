from odoo import api, fields, models
from odoo.exceptions import RedirectWarning, UserError

from ..lib.roles import ACCOUNTANT, OFFICER
from ..tools.access import needs


class AccountMove(models.Model):
    _name = "account.move"
    _inherit = ["account.move", "affiliate.protected"]

    # Of interest to those only who may read settlements: others read bills without it.
    affiliate_settlement_ids = fields.One2many(
        "affiliate.settlement",
        "move_id",
        string="Affiliate settlements",
        groups=f"{OFFICER},{ACCOUNTANT}",
    )
    affiliate_settlement_count = fields.Integer(
        compute="_compute_affiliate_settlement_count"
    )
    # What it was made for, also after another bill has taken its place; of a copy, what
    # the first one was made for.
    affiliate_origin_id = fields.Many2one(
        "affiliate.settlement",
        string="Made for settlement",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
        check_company=True,
    )
    affiliate_difference = fields.Char(
        compute="_compute_affiliate_difference",
        compute_sudo=True,
        string="Difference from the settlement",
    )

    # === COMPUTE METHODS === #

    @api.depends("affiliate_settlement_ids")
    def _compute_affiliate_settlement_count(self):
        counts = dict(
            self.env["affiliate.settlement"]
            .sudo()
            ._read_group([("move_id", "in", self.ids)], ["move_id"], ["__count"])
        )
        for move in self:
            move.affiliate_settlement_count = counts.get(move, 0)

    @api.depends(
        "amount_untaxed",
        "company_id",
        "currency_id",
        "move_type",
        "partner_id",
        "state",
        "affiliate_settlement_ids.amount_total",
    )
    def _compute_affiliate_difference(self):
        for move in self:
            move.affiliate_difference = move._affiliate_difference()[1]

    # === CRUD METHODS === #

    def write(self, vals):
        """Let settlements follow their bills, and refuse what would pay twice."""
        if "state" not in vals:
            return super().write(vals)
        settlements = self._affiliate_settlements()._lock()
        result = super().write(vals)
        settlements._follow_bill()
        settlements._check_bills(self)
        if vals["state"] == "posted":
            settlements._complete_statement()
        return result

    def copy(self, default=None):
        """Let copies know for what they were made: that is billed already.

        A reversal is no copy in this sense.
        """
        copies = super().copy(default)
        if not (default or {}).get("reversed_entry_id"):
            for move, copy in zip(self.sudo(), copies.sudo(), strict=True):
                if origin := (
                    move.affiliate_origin_id
                    or move.reversed_entry_id.affiliate_origin_id
                ):
                    copy.affiliate_origin_id = origin
        return copies

    @api.ondelete(at_uninstall=False)
    def _unlink_affiliate_bills(self):
        """Tell settlements that their bill is gone."""
        for move in self.sudo():
            settlements = move._affiliate_settlements()
            if settlements and move._affiliate_net():
                raise UserError(
                    self.env._(
                        "%s belongs to the bill of a settlement, so it can't be "
                        "deleted. Cancel it instead.",
                        move.display_name,
                    )
                )
            if move.reversed_entry_id:
                settlements._check_agreed(move)
            for settlement in move.affiliate_settlement_ids:
                if settlement.step == "confirmed":
                    settlement._set_problem(
                        self.env._(
                            "The bill was deleted. Make it again, or cancel this "
                            "settlement."
                        )
                    )

    # === ACTION METHODS === #

    def action_post(self):
        """Show the ways out where a bill differs from its settlement.

        The refusal itself is in ``write``, for all other ways to post.
        """
        if self.env.user.has_group(ACCOUNTANT):
            for move in self.sudo():
                settlement, why, _more = move._affiliate_difference()
                if why:
                    raise RedirectWarning(
                        self.env._(
                            "The bill would not match settlement %(name)s. %(why)s",
                            name=settlement.name,
                            why=why,
                        ),
                        self.env.ref(
                            "affiliate_stripe.action_affiliate_bill_wizard"
                        ).id,
                        self.env._("Choose what to do"),
                        {"default_move_id": move.id},
                    )
        return super().action_post()

    @needs("read")
    def action_view_affiliate_difference(self):
        """Open what can be done where a bill differs from its settlement."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "affiliate_stripe.action_affiliate_bill_wizard"
        )
        action["context"] = {"default_move_id": self.id}
        return action

    @needs("read")
    def action_view_affiliate_settlement(self):
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "affiliate_stripe.action_affiliate_settlement"
        )
        settlements = self.affiliate_settlement_ids
        action["domain"] = [("id", "in", settlements.ids)]
        if len(settlements) == 1:
            action.update(
                {
                    "views": [(False, "form")],
                    "view_mode": "form",
                    "res_id": settlements.id,
                }
            )
        return action

    # === BILLS OF SETTLEMENTS === #

    def _affiliate_settlements(self):
        """Return the settlements for which these were made, or what these reverse."""
        moves = self.sudo()
        settlements = moves.affiliate_origin_id
        while moves := moves.reversed_entry_id:
            settlements |= moves.affiliate_origin_id
        return settlements

    def _affiliate_reversals(self):
        """Return this bill and what is posted to reverse it, and so on."""
        found = level = self
        while level := level.reversal_move_ids - found:
            found |= level
        return found.filtered(lambda move: move == self or move.state == "posted")

    def _affiliate_net(self, posting=None):
        """Return what this bill and its reversals come to in the books, without tax.

        :param posting: counts as if it were posted
        :return: positive where it is owed; None where there are several currencies
        """
        self.ensure_one()
        moves = self._affiliate_reversals() | (posting or self.browse())
        posted = moves.filtered(lambda move: move.state == "posted") | (
            posting or self.browse()
        )
        if len(posted.currency_id) > 1:
            return None
        net = sum(
            -move.amount_untaxed if "refund" in move.move_type else move.amount_untaxed
            for move in posted
        )
        return posted.currency_id.round(net) if posted else 0

    def _is_affiliate_bill_reversed(self):
        """Tell whether nothing is left of a posted bill, whoever was paid for it.

        Core calls much reversed that is paid: what was netted with credit notes for
        other things or of another settlement, and credit notes repaid by an entry.
        """
        self.ensure_one()
        net = self._affiliate_net()
        if self.reversal_move_ids and net == 0:
            return True
        if self.move_type != "in_invoice" or self.payment_state != "reversed":
            return False
        notes = self._affiliate_counterparts()
        loose = notes.filtered(self._is_undone_by)
        if (
            notes.affiliate_origin_id
            or net is None
            or not self.currency_id.is_zero(net - sum(loose.mapped("amount_untaxed")))
        ):
            return False
        # What was made by hand is tied to the bill, like core's own reversals, so that
        # it does not go again unnoticed.
        loose.reversed_entry_id = self
        return bool(loose)

    def _is_undone_by(self, note):
        """Tell whether a credit note made by hand can be meant for this bill: one that
        is older is not, unless it is for commissions."""
        product = self.affiliate_origin_id.program_id.product_id
        is_older = note.id < self.id or note.invoice_date < self.invoice_date
        return (
            not note.reversed_entry_id
            and note.currency_id == self.currency_id
            and (not is_older or product in note.invoice_line_ids.product_id)
        )

    def _affiliate_counterparts(self):
        """Return the vendor credit notes that were applied to this bill."""
        payable = self.line_ids.filtered(
            lambda line: line.account_type == "liability_payable"
        )
        moves = payable.matched_debit_ids.debit_move_id.move_id
        return moves.filtered(lambda move: move.move_type == "in_refund")

    def _affiliate_difference(self):
        """Return how a draft would differ from its settlement once it is posted.

        :return: the settlement, what differs (empty where nothing does or this is no
            present bill of a settlement) and by how much, see ``_bill_difference``
        """
        self.ensure_one()
        settlement = self._affiliate_settlements()[:1]
        bill = settlement.move_id
        if (
            self.state != "draft"
            or settlement.step != "confirmed"
            or not (bill == self or (bill and self.reversed_entry_id))
            or (bill != self and bill._affiliate_net(self) == 0)
        ):
            return settlement, "", 0
        return settlement, *settlement._bill_difference(self)
