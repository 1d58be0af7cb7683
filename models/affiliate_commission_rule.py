from fractions import Fraction

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools import formatLang

from ..lib import commission, money
from ..lib.roles import MANAGER
from ..tools.access import needs


class AffiliateCommissionRule(models.Model):
    """What one kind of sale earns. The first rule that matches a line decides.

    A rule that has earned something is never changed in place: the old version is kept
    with its end date, so that a late refund of an old sale is computed with the terms
    of that time: changing a rule changes the future only.
    """

    _name = "affiliate.commission.rule"
    _description = "Commission rule"
    _inherit = ["affiliate.protected"]
    _order = "program_id, sequence, id"
    _check_company_auto = True

    program_id = fields.Many2one(
        "affiliate.program",
        required=True,
        set_once=True,
        index=True,
        ondelete="cascade",
        string="Programme",
        check_company=True,
    )
    company_id = fields.Many2one(
        related="program_id.company_id", store=True, index=True
    )
    stripe_account_id = fields.Many2one(
        related="program_id.stripe_account_id", string="Stripe account"
    )
    active = fields.Boolean(default=True)
    sequence = fields.Integer(default=10)
    scope = fields.Selection(
        [
            ("all", "Everything"),
            ("product", "These products"),
            ("price", "These plans (prices)"),
        ],
        default="all",
        required=True,
    )
    product_ids = fields.Many2many(
        "affiliate.stripe.product", string="Products", check_company=True
    )
    price_ids = fields.Many2many(
        "affiliate.stripe.price", string="Plans", check_company=True
    )
    billing_interval = fields.Selection(
        [
            ("month", "Monthly"),
            ("year", "Yearly"),
            ("week", "Weekly"),
            ("day", "Daily"),
            ("one_time", "One-off"),
        ],
        string="Only when billed",
        help="Empty: whatever the interval.",
    )
    rate_type = fields.Selection(
        [("percent", "Percentage"), ("fixed", "Fixed amount")],
        default="percent",
        required=True,
        string="Rate type",
    )
    rate = fields.Float(string="Rate (%)", digits=(16, 4), default=30.0)
    amount = fields.Monetary()
    currency_id = fields.Many2one(
        "res.currency",
        compute="_compute_currency_id",
        store=True,
        readonly=False,
        help="A fixed amount earns on payments in this currency only.",
    )
    per_unit = fields.Boolean(
        string="Multiply by quantity",
        help="Multiply the fixed amount by the number of units sold, across all "
        "items of the sale that the rule covers.",
    )
    over_base = fields.Boolean(
        string="May exceed the sale",
        help="Otherwise a fixed amount is never more than what was paid for the "
        "items that the rule covers.",
    )
    prorations = fields.Boolean(
        string="Also for changes within a period",
        help="When a plan or the number of seats changes, Stripe bills the rest of "
        "the period (a proration). Such an item neither earns the fixed "
        "amount again nor counts as units, unless you check this box.",
    )
    applies_to = fields.Selection(
        [
            ("all", "Every payment"),
            ("first", "The customer's first payment"),
            ("renewal", "All payments after the first"),
        ],
        default="all",
        required=True,
        string="Applies to",
    )
    duration_months = fields.Integer(
        string="For months",
        help="Calendar months from the customer's first payment; 0 for as long as the "
        "customer pays.",
    )
    max_count = fields.Integer(
        string="For payments", help="At most so many payments a customer; 0 for all."
    )
    date_from = fields.Datetime(
        string="Valid from", help="For sales from this moment on; empty: always."
    )
    date_to = fields.Datetime(string="Valid until", readonly=True)
    replaced_by_id = fields.Many2one(
        "affiliate.commission.rule",
        string="Replaced by",
        readonly=True,
        index="btree_not_null",
        check_company=True,
    )
    commission_ids = fields.One2many("affiliate.commission", "rule_id")
    summary = fields.Char(compute="_compute_summary")

    _rate_range = models.Constraint(
        "CHECK (rate >= 0 AND rate <= 100)", "A rate is between 0 and 100 %."
    )
    _amounts_positive = models.Constraint(
        "CHECK (COALESCE(amount, 0) >= 0 AND COALESCE(duration_months, 0) >= 0"
        " AND COALESCE(max_count, 0) >= 0)",
        "Amounts, months and counts of a rule cannot be negative.",
    )

    # What a sale earns depends on these; changing one makes a new version.
    _terms_fields = (
        "active",
        "sequence",
        "scope",
        "product_ids",
        "price_ids",
        "billing_interval",
        "rate_type",
        "rate",
        "amount",
        "currency_id",
        "per_unit",
        "over_base",
        "prorations",
        "applies_to",
        "duration_months",
        "max_count",
    )

    # === COMPUTE METHODS === #

    @api.depends("program_id.currency_id")
    def _compute_currency_id(self):
        for rule in self:
            rule.currency_id = rule.currency_id or rule.program_id.currency_id

    @api.depends(*_terms_fields, "product_ids.name", "price_ids.display_name")
    def _compute_display_name(self):
        for rule in self:
            rule.display_name = rule.summary

    @api.depends(*_terms_fields, "product_ids.name", "price_ids.display_name")
    def _compute_summary(self):
        """E.g. "30 % of Pro – $ 25.00 / month, every payment, for 12 months"."""
        applies = dict(self._fields["applies_to"]._description_selection(self.env))
        for rule in self:
            what = {
                "all": self.env._("everything"),
                "product": ", ".join(rule.product_ids.mapped("name")),
                "price": ", ".join(rule.price_ids.mapped("display_name")),
            }[rule.scope]
            if rule.rate_type == "percent":
                earns = self.env._(
                    "%(rate)s %% of %(what)s", rate=f"{rule.rate:g}", what=what
                )
            else:
                amount = formatLang(
                    self.env, rule.amount, currency_obj=rule.currency_id
                )
                earns = self.env._("%(amount)s on %(what)s", amount=amount, what=what)
            parts = [earns, *rule._get_fixed_terms()]
            if rule.applies_to != "all":
                parts.append(applies[rule.applies_to].lower())
            if rule.duration_months:
                parts.append(self.env._("for %s months", rule.duration_months))
            if rule.max_count:
                parts.append(self.env._("at most %s payments", rule.max_count))
            rule.summary = ", ".join(parts)

    def _get_fixed_terms(self):
        """Return in words what is special about a fixed amount."""
        if self.rate_type != "fixed":
            return []
        terms = []
        if self.per_unit:
            terms.append(self.env._("per unit"))
        if self.prorations:
            terms.append(self.env._("also for changes within a period"))
        return terms

    # === CONSTRAINT METHODS === #

    @api.constrains("scope", "product_ids", "price_ids", "rate_type", "amount")
    def _check_complete(self):
        for rule in self:
            if rule.scope == "product" and not rule.product_ids:
                raise ValidationError(self.env._("Choose the products of the rule."))
            if rule.scope == "price" and not rule.price_ids:
                raise ValidationError(self.env._("Choose the plans of the rule."))

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        """A rule added to a running programme is for sales from now on."""
        now = fields.Datetime.now()
        programs = self.env["affiliate.program"].browse(
            {vals["program_id"] for vals in vals_list if vals.get("program_id")}
        )
        running = {program.id for program in programs if program.commission_count}
        for vals in vals_list:
            fresh = not vals.get("date_from") and not vals.get("date_to")
            if fresh and vals.get("program_id") in running:
                vals["date_from"] = now
        return super().create(vals_list)

    def write(self, vals):
        if any(name in vals for name in self._terms_fields):
            self._keep_old_versions()
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_unless_running(self):
        if self._of_running_programs():
            raise ValidationError(
                self.env._(
                    "The programme has earned commissions: its rules are archived, "
                    "not deleted. Refunds of old sales still need them."
                )
            )

    def _of_running_programs(self):
        """Return the rules whose programme has earned something: any of them, used or
        not, has a say in what old sales earn."""
        running = {
            program
            for (program,) in self.env["affiliate.commission"]
            .sudo()
            ._read_group([("program_id", "in", self.program_id.ids)], ["program_id"])
        }
        return self.filtered(lambda rule: rule.program_id.sudo() in running)

    def _keep_old_versions(self):
        """Close these rules where they may have had a say in a sale already: a copy
        keeps the old terms for the past."""
        now = fields.Datetime.now()
        for rule in self._of_running_programs():
            if rule.date_to:
                continue
            # The past is written by nobody but us.
            rule.sudo().copy(
                {
                    "active": False,
                    "date_from": rule.date_from,
                    "date_to": now,
                    "replaced_by_id": rule.id,
                    "program_id": rule.program_id.id,
                }
            )
            # Not a term of the sale but its version: makes no further copy.
            rule.date_from = now

    # === BUSINESS METHODS === #

    def _get_terms(self, program):
        """Return the ``lib.commission.Terms`` of a programme, old versions included."""
        rules = (
            self.env["affiliate.commission.rule"]
            .sudo()
            .with_context(active_test=False)
            .search(
                [
                    ("program_id", "=", program.id),
                    "|",
                    ("active", "=", True),
                    ("date_to", "!=", False),
                ]
            )
        )
        # An archived currency is rounded as it always was.
        currencies = self.env["res.currency"].with_context(active_test=False)
        steps = {
            code: money.ledger_step(code, currency.rounding)
            for currency in currencies.search([])
            for code in [currency.name.lower()]
        }
        return commission.Terms(
            rules=tuple(rule._to_rule() for rule in rules.sorted(_turn)),
            count_off_stripe=program.count_out_of_band,
            # A currency Odoo does not know has Stripe's own unit.
            step=lambda code: steps.get(code, 1),
        )

    def _to_rule(self):
        self.ensure_one()
        currency = (self.currency_id or self.program_id.currency_id).name
        return commission.Rule(
            id=self.id,
            scope=self.scope,
            products=frozenset(self.product_ids.mapped("stripe_id")),
            prices=frozenset(self.price_ids.mapped("stripe_id")),
            interval=self.billing_interval or None,
            rate_type=self.rate_type,
            rate=Fraction(f"{self.rate:.4f}") / 100,
            amount=money.nearest_minor(self.amount or 0, currency),
            currency=currency.lower(),
            per_unit=self.per_unit,
            over_base=self.over_base,
            prorations=self.prorations,
            applies_to=self.applies_to,
            duration_months=self.duration_months,
            max_count=self.max_count,
            valid_from=self._unix(self.date_from),
            valid_to=self._unix(self.date_to),
        )

    @api.model
    def _action_assign(self, **plans):
        """Return the wizard that puts a commission on these plans or products."""
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Assign a commission"),
            "res_model": "affiliate.rule.wizard",
            "view_mode": "form",
            "target": "new",
            "context": {f"default_{name}": ids for name, ids in plans.items()},
        }

    @api.model
    def _unix(self, moment):
        # Naive datetimes of Odoo are UTC.
        return int((moment - _EPOCH).total_seconds()) if moment else None


_EPOCH = fields.Datetime.to_datetime("1970-01-01 00:00:00")


def _turn(rule):
    """Among rules of one sequence an old version has the turn of the rule it was: its
    own id is younger than that of rules which came after it."""
    return rule.sequence, (rule.replaced_by_id or rule).id


class AffiliateStripePrice(models.Model):
    """The business' view of a mirrored plan; the mirror itself knows nothing."""

    _inherit = "affiliate.stripe.price"

    commission_rule_ids = fields.Many2many(
        "affiliate.commission.rule", string="Commission rules", readonly=True
    )

    @needs("read", MANAGER)
    def action_assign_commission(self):
        return self.env["affiliate.commission.rule"]._action_assign(price_ids=self.ids)


class AffiliateStripeProduct(models.Model):
    _inherit = "affiliate.stripe.product"

    commission_rule_ids = fields.Many2many(
        "affiliate.commission.rule", string="Commission rules", readonly=True
    )

    @needs("read", MANAGER)
    def action_assign_commission(self):
        return self.env["affiliate.commission.rule"]._action_assign(
            product_ids=self.ids
        )
