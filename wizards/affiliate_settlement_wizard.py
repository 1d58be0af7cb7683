from odoo import api, fields, models
from odoo.exceptions import UserError

from ..tools.access import needs

SHOWN = 5  # problems in a message


class AffiliateSettlementWizard(models.TransientModel):
    """Settle what is due up to a date."""

    _name = "affiliate.settlement.wizard"
    _description = "Settle commissions"
    _check_company_auto = True

    company_id = fields.Many2one(
        "res.company", required=True, default=lambda self: self.env.company
    )
    date_to = fields.Date(
        string="Up to",
        required=True,
        compute="_compute_date_to",
        precompute=True,
        store=True,
        readonly=False,
    )
    affiliate_ids = fields.Many2many(
        "affiliate.affiliate",
        help="Empty: all affiliates.",
        check_company=True,
    )
    allow_negative = fields.Boolean(
        string="Credit notes for negative sums",
        help="Otherwise a negative sum is carried over to the next settlement.",
    )
    due_text = fields.Text(compute="_compute_due_text", string="Due now")

    @api.depends("company_id")
    def _compute_date_to(self):
        accounts = self.env["affiliate.stripe.account"]
        for wizard in self:
            wizard.date_to = accounts._of_company(wizard.company_id)._today()

    @api.depends("date_to", "affiliate_ids", "company_id")
    def _compute_due_text(self):
        for wizard in self:
            domain = [
                ("state", "=", "approved"),
                ("on_hold", "=", False),
                ("settlement_id", "=", False),
                ("date", "<=", wizard.date_to),
                ("company_id", "=", wizard.company_id.id),
            ]
            if wizard.affiliate_ids:
                domain.append(("affiliate_id", "in", wizard.affiliate_ids.ids))
            groups = self.env["affiliate.commission"]._read_group(
                domain, ["currency_id"], ["amount:sum", "affiliate_id:count_distinct"]
            )
            wizard.due_text = "\n".join(
                self.env._(
                    "%(amount)s (affiliates: %(count)s)",
                    amount=currency.format(amount),
                    count=count,
                )
                for currency, amount, count in groups
            ) or self.env._("Nothing is due up to this date.")

    @needs("write")
    def action_settle(self):
        """Make the settlements and their draft bills, and show them."""
        self.ensure_one()
        settlements, failed = self.env["affiliate.settlement"]._collect_each(
            self.date_to,
            self.affiliate_ids or None,
            self.company_id,
            allow_negative=self.allow_negative,
        )
        if not settlements and not failed:
            raise UserError(
                self.env._(
                    "Nothing to settle: no due commission up to this date reaches its "
                    "programme's minimum. Sums below it are carried over."
                )
            )
        problems = [f"{who.display_name}: {why}" for who, why in failed.items()]
        for settlement in settlements:
            if why := settlement._try_confirm():
                problems.append(f"{settlement.affiliate_id.display_name}: {why}")
        action = self._show(settlements)
        return self._say(problems, action) if problems else action

    def _show(self, settlements):
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "affiliate_stripe.action_affiliate_settlement"
        )
        action["domain"] = [("id", "in", settlements.ids)]
        return action

    def _say(self, problems, action):
        """Return the action after a message that stays until somebody closes it.

        All of them are on the settlements and, as activities, on the affiliates.
        """
        shown = "; ".join(problems[:SHOWN])
        if len(problems) > SHOWN:
            shown = self.env._(
                "%(problems)s; and %(count)s more",
                problems=shown,
                count=len(problems) - SHOWN,
            )
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "title": self.env._("Not everybody could be settled"),
                "message": shown,
                "type": "danger",
                "sticky": True,
                "next": action,
            },
        }
