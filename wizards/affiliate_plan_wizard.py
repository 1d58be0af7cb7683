import re

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..lib.stripe_client import StripeProblem
from ..tools.access import needs

PLAN_FORMAT = re.compile(r"[A-Za-z0-9_.-]{1,255}")


class AffiliatePlanWizard(models.TransientModel):
    """Fetch one plan from Stripe by its Plan ID."""

    _name = "affiliate.plan.wizard"
    _description = "Fetch a plan"
    _check_company_auto = True

    company_id = fields.Many2one(related="account_id.company_id")
    account_id = fields.Many2one(
        "affiliate.stripe.account",
        required=True,
        domain=[("state", "=", "connected")],
        default=lambda self: self._default_account(),
        check_company=True,
    )
    plan_id = fields.Char(
        string="Plan ID", required=True, help="price_… or, for older plans, plan_…"
    )

    @api.model
    def _default_account(self):
        return self.env["affiliate.stripe.account"].search(
            [("company_id", "=", self.env.company.id), ("state", "=", "connected")],
            limit=1,
        )

    @needs("write")
    def action_fetch(self):
        """Read the plan with its product and open it."""
        self.ensure_one()
        # Stripe is asked with the key of this account.
        self.account_id.check_access("write")
        plan_id = self.plan_id.strip()
        if not PLAN_FORMAT.fullmatch(plan_id):
            raise UserError(self.env._("%s is not a Plan ID.", plan_id))
        try:
            self.env["affiliate.stripe.sync"]._sync_objects(
                self.account_id, {("price", plan_id)}
            )
        except StripeProblem as problem:
            raise UserError(self.account_id._problem_text(problem)) from problem
        self.env.invalidate_all()
        # In a transaction of its own: this one began before the plan was stored.
        with self.env["affiliate.stripe.sync"]._transaction() as sync:
            price_id = (
                sync.env["affiliate.stripe.price"]
                .search(
                    [
                        ("account_id", "=", self.account_id.id),
                        ("stripe_id", "=", plan_id),
                    ]
                )
                .id
            )
        if not price_id:
            raise UserError(
                self.env._(
                    "Stripe has no plan %(plan)s in %(account)s. Copy its ID from "
                    "Stripe's product catalogue; test and live plans have different "
                    "ones.",
                    plan=plan_id,
                    account=self.account_id.name,
                )
            )
        return {
            "type": "ir.actions.act_window",
            "res_model": "affiliate.stripe.price",
            "res_id": price_id,
            "view_mode": "form",
        }
