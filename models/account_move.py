from odoo import api, fields, models
from odoo.exceptions import UserError

from ..tools.access import needs


class AccountMove(models.Model):
    _name = "account.move"
    _inherit = ["account.move", "affiliate.protected"]

    affiliate_settlement_ids = fields.One2many(
        "affiliate.settlement", "move_id", string="Affiliate settlements"
    )
    affiliate_settlement_count = fields.Integer(
        compute="_compute_affiliate_settlement_count"
    )
    # What it was made for, also after another bill has taken its place.
    affiliate_origin_id = fields.Many2one(
        "affiliate.settlement",
        string="Made for settlement",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
        check_company=True,
    )

    @api.depends("affiliate_settlement_ids")
    def _compute_affiliate_settlement_count(self):
        counts = dict(
            self.env["affiliate.settlement"]
            .sudo()
            ._read_group([("move_id", "in", self.ids)], ["move_id"], ["__count"])
        )
        for move in self:
            move.affiliate_settlement_count = counts.get(move, 0)

    def _post(self, soft=True):
        """Refuse a bill whose commissions are on another one or due again: they would
        be paid twice."""
        for move in self.sudo():
            settlement = move.affiliate_origin_id
            if not settlement:
                continue
            if settlement.step == "cancelled":
                raise UserError(
                    self.env._(
                        "The settlement %s of this bill is cancelled and its "
                        "commissions go to another one. Post the bill of that "
                        "settlement instead.",
                        settlement.name,
                    )
                )
            if settlement.move_id != move:
                raise UserError(
                    self.env._(
                        "The settlement %s has another bill by now. Post that one "
                        "instead.",
                        settlement.name,
                    )
                )
        return super()._post(soft=soft)

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
