from odoo import api, fields, models
from odoo.exceptions import UserError

from ..tools.access import needs


class AffiliateRuleWizard(models.TransientModel):
    """Put a commission on a plan or product, from the plan itself."""

    _name = "affiliate.rule.wizard"
    _description = "Assign a commission"
    _check_company_auto = True

    company_id = fields.Many2one(related="account_id.company_id")
    price_ids = fields.Many2many(
        "affiliate.stripe.price", string="Plans", check_company=True
    )
    product_ids = fields.Many2many(
        "affiliate.stripe.product", string="Products", check_company=True
    )
    account_id = fields.Many2one(
        "affiliate.stripe.account", compute="_compute_account_id"
    )
    program_id = fields.Many2one(
        "affiliate.program",
        domain="[('stripe_account_id', '=', account_id)]",
        compute="_compute_program_id",
        store=True,
        readonly=False,
        check_company=True,
    )
    rate_type = fields.Selection(
        [("percent", "Percentage"), ("fixed", "Fixed amount")],
        default="percent",
        required=True,
    )
    rate = fields.Float(string="Rate (%)", default=30.0)
    currency_id = fields.Many2one(
        "res.currency",
        compute="_compute_program_id",
        store=True,
        readonly=False,
    )
    amount = fields.Monetary()
    per_unit = fields.Boolean(
        string="Multiply by quantity",
        help="Multiply the fixed amount by the units sold.",
    )
    prorations = fields.Boolean(
        string="Also for changes within a period",
        help="When a plan or the number of seats changes, Stripe bills the rest of "
        "the period (a proration). That does not earn the fixed amount again, "
        "unless you check this box.",
    )
    applies_to = fields.Selection(
        [
            ("all", "Every payment"),
            ("first", "The customer's first payment"),
            ("renewal", "All payments after the first"),
        ],
        default="all",
        required=True,
    )
    duration_months = fields.Integer(string="For months")

    @api.depends("price_ids", "product_ids")
    def _compute_account_id(self):
        for wizard in self:
            plans = wizard.price_ids or wizard.product_ids
            wizard.account_id = plans.account_id[:1]

    @api.depends("account_id")
    def _compute_program_id(self):
        for wizard in self:
            wizard.program_id = self.env["affiliate.program"].search(
                [("stripe_account_id", "=", wizard.account_id.id)], limit=1
            )
            wizard.currency_id = (
                wizard.price_ids.currency_id[:1] or wizard.program_id.currency_id
            )

    @needs("write")
    def action_assign(self):
        """Add the rule before the programme's general ones and show the programme."""
        self.ensure_one()
        if not self.program_id:
            raise UserError(
                self.env._(
                    "Make a programme for this Stripe account first: it says when and "
                    "to whom the commission is paid."
                )
            )
        first = min(self.program_id.rule_ids.mapped("sequence"), default=10)
        self.env["affiliate.commission.rule"].create(
            {
                "program_id": self.program_id.id,
                "sequence": first - 1,
                "scope": "price" if self.price_ids else "product",
                "price_ids": [(6, 0, self.price_ids.ids)],
                "product_ids": [(6, 0, self.product_ids.ids)],
                "rate_type": self.rate_type,
                "rate": self.rate,
                "amount": self.amount,
                "currency_id": self.currency_id.id,
                "per_unit": self.per_unit,
                "prorations": self.prorations,
                "applies_to": self.applies_to,
                "duration_months": self.duration_months,
            }
        )
        return {
            "type": "ir.actions.act_window",
            "res_model": "affiliate.program",
            "res_id": self.program_id.id,
            "view_mode": "form",
        }
