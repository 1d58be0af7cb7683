from collections import defaultdict

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..tools.access import needs
from ..tools.people import say_problems


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

    @api.depends("date_to", "affiliate_ids", "company_id", "allow_negative")
    def _compute_due_text(self):
        for wizard in self:
            taken, carried = wizard._get_due()
            lines = [
                self.env._(
                    "%(amount)s (affiliates: %(count)s)",
                    amount=currency.format(sum(amounts)),
                    count=len(amounts),
                )
                for currency, amounts in taken.items()
            ] or [self.env._("Nothing to settle up to this date.")]
            lines += [
                self.env._(
                    "Carried over: %(amount)s (affiliates: %(count)s)",
                    amount=currency.format(sum(amounts)),
                    count=len(amounts),
                )
                for currency, amounts in carried.items()
            ]
            wizard.due_text = "\n".join(lines)

    def _get_due(self):
        """Return what a run would take, and what it would carry over.

        :return: twice ``{currency: [sum of an affiliate, ...]}``
        """
        settlements = self.env["affiliate.settlement"]
        groups = self.env["affiliate.commission"]._read_group(
            settlements._due_domain(
                self.date_to, self.affiliate_ids or None, self.company_id
            ),
            ["affiliate_id", "currency_id"],
            ["amount:sum"],
        )
        settled_with = self.env["affiliate.affiliate"]._settled_with()
        sums = defaultdict(float)
        for affiliate, currency, amount in groups:
            sums[settled_with.get(affiliate, affiliate), currency] += amount
        taken, carried = defaultdict(list), defaultdict(list)
        for (affiliate, currency), amount in sums.items():
            enough = settlements._reaches_minimum(
                affiliate.program_id,
                currency,
                currency.round(amount),
                self.allow_negative,
            )
            (taken if enough else carried)[currency].append(amount)
        return taken, carried

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
            if why := settlement._try(self.env.registry[settlement._name]._bill):
                problems.append(f"{settlement.affiliate_id.display_name}: {why}")
        action = self._show(settlements)
        if not problems:
            return action
        # All of them are on the settlements or, as activities, on the affiliates.
        return say_problems(
            self.env,
            self.env._("Some affiliates could not be settled"),
            problems,
            action,
        )

    def _show(self, settlements):
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "affiliate_stripe.action_affiliate_settlement"
        )
        action["domain"] = [("id", "in", settlements.ids)]
        return action
