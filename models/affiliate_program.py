import secrets

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from ..lib import codes, money
from ..lib.stripe_client import StripeProblem
from ..lib.stripe_paths import api_path
from ..tools.access import needs


class AffiliateProgram(models.Model):
    """The terms on which affiliates work for the business."""

    _name = "affiliate.program"
    _description = "Affiliate programme"
    _inherit = [
        "affiliate.protected",
        "mail.thread",
        "mail.activity.mixin",
        "website.published.mixin",
        "affiliate.address.mixin",
    ]
    _check_company_auto = True

    name = fields.Char(required=True, translate=True)
    active = fields.Boolean(default=True)
    company_id = fields.Many2one(
        "res.company",
        required=True,
        set_once=True,
        index=True,
        default=lambda self: self.env.company,
    )
    stripe_account_id = fields.Many2one(
        "affiliate.stripe.account",
        required=True,
        index=True,
        check_company=True,
        ondelete="restrict",
        default=lambda self: self._default_stripe_account(),
        tracking=True,
        string="Stripe account",
    )
    stripe_state = fields.Selection(
        related="stripe_account_id.state", string="State of the Stripe account"
    )
    currency_id = fields.Many2one(
        "res.currency",
        required=True,
        default=lambda self: self.env.company.currency_id,
        help="Currency of the minimum payout and of fixed amounts.",
    )
    description = fields.Html(
        translate=True,
        help="Shown on the public page: why to join, what you expect.",
    )

    # --- commission ---
    rule_ids = fields.One2many("affiliate.commission.rule", "program_id", copy=True)
    hold_days = fields.Integer(
        default=30,
        help="Days after the payment before a commission can be paid, so that refunds "
        "come first.",
        string="Hold",
    )
    auto_approve_commissions = fields.Boolean(
        default=True,
        string="Approve after the hold",
        help="Approve commissions by themselves when the hold is over. Otherwise a "
        "person approves them.",
    )
    minimum_payout = fields.Monetary(
        help="Smaller sums are carried over to the next settlement.",
        string="Minimum payout",
    )
    count_out_of_band = fields.Boolean(
        default=True,
        string="Count payments outside Stripe",
        help="Invoices marked as paid outside Stripe earn a commission too.",
    )

    # --- tracking code and customer discount ---
    code_pattern = fields.Char(
        default="{name}{number}",
        required=True,
        help="{name} is the affiliate's first name, {number} a number that makes the "
        "code unique. Example: {name}{number} gives DRONA29.",
        string="Code pattern",
    )
    code_number_start = fields.Integer(default=1, string="First number")
    discount_type = fields.Selection(
        [
            ("none", "No discount: codes work in links only"),
            ("percent", "Percentage"),
            ("amount", "Fixed amount"),
        ],
        default="none",
        required=True,
        string="Customer discount",
        help="What a customer saves with the code. Stripe's promotion codes need a "
        "discount; without one the code works in links only.",
    )
    discount_value = fields.Float(string="Discount", digits=(16, 3))
    discount_duration = fields.Selection(
        [
            ("once", "First payment"),
            ("repeating", "Some months"),
            ("forever", "Always"),
        ],
        default="once",
        required=True,
    )
    discount_months = fields.Integer(default=3)
    first_time_only = fields.Boolean(
        default=True,
        string="New customers only",
        help="Stripe accepts the code for the first payment of a customer only.",
    )
    coupon_id = fields.Many2one(
        "affiliate.stripe.coupon",
        string="Stripe coupon",
        readonly=True,
        copy=False,
        help="Stripe's coupons cannot be changed: another discount makes another one.",
        check_company=True,
    )
    coupon_key = fields.Char(readonly=True, copy=False)
    # In the ids of its coupons: see affiliate_code_promotion.py.
    stripe_mark = fields.Char(
        default=lambda self: secrets.token_hex(8), readonly=True, copy=False
    )

    auto_approve_affiliates = fields.Boolean(string="Accept every application")
    reapply_months = fields.Integer(
        string="Refuse new applications for",
        help="Months after a rejection in which nobody can apply again. 0: everybody "
        "may apply again at once, and a manager decides. Who is refused is told so by "
        "mail only.",
    )

    # --- books ---
    product_id = fields.Many2one(
        "product.product",
        check_company=True,
        default=lambda self: self.env.ref(
            "affiliate_stripe.product_commission", raise_if_not_found=False
        ),
        help="Product on the vendor bills: it decides expense account and tax.",
    )
    journal_id = fields.Many2one(
        "account.journal",
        check_company=True,
        domain=[("type", "=", "purchase")],
        help="Purchase journal of the vendor bills; a self-billing journal numbers "
        "them per affiliate.",
    )

    affiliate_ids = fields.One2many(
        "affiliate.affiliate", "program_id", context={"active_test": False}
    )
    affiliate_count = fields.Integer(compute="_compute_counts")
    pending_count = fields.Integer(compute="_compute_counts")
    commission_count = fields.Integer(compute="_compute_counts")
    rule_summary = fields.Char(compute="_compute_rule_summary")

    _hold_positive = models.Constraint(
        "CHECK (hold_days >= 0)", "The hold cannot be negative."
    )
    _reapply_positive = models.Constraint(
        "CHECK (reapply_months >= 0)", "The months cannot be negative."
    )
    _minimum_positive = models.Constraint(
        "CHECK (minimum_payout >= 0)", "The minimum payout cannot be negative."
    )

    # === DEFAULTS === #

    @api.model
    def _default_stripe_account(self):
        return self.env["affiliate.stripe.account"].search(
            [("company_id", "=", self.env.company.id)], limit=1
        )

    # === COMPUTE METHODS === #

    def _compute_website_url(self):
        for program in self:
            slug = self.env["ir.http"]._slug(program) if program.id else ""
            program.website_url = f"/affiliates/{slug}"

    def _compute_counts(self):
        groups = self.env["affiliate.affiliate"]._read_group(
            [("program_id", "in", self.ids)], ["program_id", "state"], ["__count"]
        )
        commissions = dict(
            self.env["affiliate.commission"]._read_group(
                [("program_id", "in", self.ids)], ["program_id"], ["__count"]
            )
        )
        for program in self:
            states = {state: n for p, state, n in groups if p == program}
            program.affiliate_count = sum(states.values())
            program.pending_count = states.get("pending", 0)
            program.commission_count = commissions.get(program, 0)

    @api.depends("rule_ids.summary")
    def _compute_rule_summary(self):
        for program in self:
            program.rule_summary = " · ".join(program.rule_ids.mapped("summary"))

    # === CONSTRAINT METHODS === #

    @api.constrains("discount_type", "discount_value", "discount_duration")
    def _check_discount(self):
        for program in self:
            if program.discount_type == "none":
                continue
            top = 100 if program.discount_type == "percent" else float("inf")
            if not 0 < program.discount_value <= top:
                raise ValidationError(
                    self.env._(
                        "The customer discount must be more than 0 and, as a "
                        "percentage, at most 100."
                    )
                )
            if program.discount_duration == "repeating" and program.discount_months < 1:
                raise ValidationError(
                    self.env._("Say for how many months the customer discount lasts.")
                )

    @api.constrains("code_pattern")
    def _check_code_pattern(self):
        for program in self:
            if not codes.is_pattern(program.code_pattern):
                raise ValidationError(
                    self.env._(
                        "The pattern gives no usable code. Use {name}, {number}, "
                        "letters A-Z, digits and hyphens."
                    )
                )

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        default = self.default_get(["stripe_account_id"])
        if not all({**default, **vals}.get("stripe_account_id") for vals in vals_list):
            raise UserError(
                self.env._(
                    "A program needs a Stripe account. First connect yours under "
                    "Affiliates > Configuration > Stripe accounts, then create the "
                    "program."
                )
            )
        return super().create(vals_list)

    def write(self, vals):
        moved = vals.get("stripe_account_id")
        if moved and any(
            program.affiliate_ids and program.stripe_account_id.id != moved
            for program in self
        ):
            raise UserError(
                self.env._(
                    "The programme has affiliates whose codes are in its Stripe "
                    "account. Make a new programme for another account."
                )
            )
        if "count_out_of_band" in vals and any(
            program.count_out_of_band != vals["count_out_of_band"]
            and program.commission_count
            for program in self
        ):
            raise UserError(
                self.env._(
                    "Commissions were earned under the present setting for payments "
                    "outside Stripe. Make a new programme for the other one."
                )
            )
        result = super().write(vals)
        discount = {
            "discount_type",
            "discount_value",
            "discount_duration",
            "discount_months",
            "first_time_only",
            "currency_id",
        }
        if discount & vals.keys():
            self._renew_codes()
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_only_unused(self):
        if self.affiliate_ids:
            raise UserError(
                self.env._("A programme with affiliates is archived, not deleted.")
            )

    # === ACTION METHODS === #

    @needs("read")
    def action_view_affiliates(self):
        return self._action("action_affiliate_affiliate")

    @needs("read")
    def action_view_commissions(self):
        return self._action("action_affiliate_commission")

    def _action(self, name):
        action = self.env["ir.actions.act_window"]._for_xml_id(
            f"affiliate_stripe.{name}"
        )
        action["domain"] = [("program_id", "in", self.ids)]
        action["context"] = {"default_program_id": self[:1].id}
        return action

    # === BUSINESS METHODS === #

    def _coupon_terms(self):
        """Return the parameters of this programme's coupon in Stripe.

        They make up ``coupon_key``: other terms are another coupon, because a coupon
        cannot be changed.
        """
        self.ensure_one()
        terms = {"duration": self.discount_duration}
        if self.discount_duration == "repeating":
            terms["duration_in_months"] = self.discount_months
        if self.discount_type == "percent":
            terms["percent_off"] = f"{self.discount_value:g}"
        else:
            currency = self.currency_id.name
            terms["currency"] = currency.lower()
            terms["amount_off"] = money.nearest_minor(self.discount_value, currency)
        return terms

    def _coupon_identity(self):
        """Return a text that is the same for the same discount."""
        return "-".join(str(value) for value in self._coupon_terms().values())

    def _ensure_coupon(self):
        """Return the id of this programme's coupon in Stripe, made if need be.

        Its id is derived from the program's mark and the terms, so a repeated call can
        find it and never makes a second one.
        """
        self.ensure_one()
        identity = self._coupon_identity()
        known = self.coupon_id if self.coupon_key == identity else None
        if known and known.active:
            return known.stripe_id
        account = self.stripe_account_id
        coupon_id = f"odoo-{self.stripe_mark}-{identity}".replace(".", "_")
        key = coupon_id
        if known:
            # Deleted in Stripe: its old answer must not be repeated.
            key += f"-{known.synced_at:%Y%m%d%H%M%S}"
        raw = self._find_or_make_coupon(
            account._api(),
            coupon_id,
            {"name": self.name[:40], **self._coupon_terms()},
            idempotency_key=key,
        )
        self.env["affiliate.code"]._mirror(account, "coupon", raw)
        self.sudo().write(
            {
                "coupon_id": self.env["affiliate.stripe.coupon"]
                .search(
                    [("account_id", "=", account.id), ("stripe_id", "=", raw["id"])]
                )
                .id,
                "coupon_key": identity,
            }
        )
        return raw["id"]

    def _find_or_make_coupon(self, stripe_api, coupon_id, terms, idempotency_key):
        """Return the coupon of an id (a dict), made with these terms if need be."""
        try:
            return stripe_api.get(api_path("coupons", coupon_id))
        except StripeProblem as problem:
            if problem.code != "missing":
                raise
        return stripe_api.post(
            api_path("coupons"),
            {
                "id": coupon_id,
                "metadata": {"odoo_program": str(self.id)},
                **terms,
            },
            idempotency_key=idempotency_key,
        )

    def _renew_codes(self):
        """After a changed discount: new promotion codes, the old ones keep counting.

        Codes that were taken over with a discount of their own keep that one.
        """
        codes_ = (
            self.env["affiliate.code"]
            .sudo()
            .search(
                [
                    ("affiliate_id.program_id", "in", self.ids),
                    ("affiliate_id.state", "=", "active"),
                    ("state", "in", ("synced", "error")),
                    ("adopted_id", "=", False),
                ]
            )
        )
        codes_.write({"state": "draft"})
        codes_._schedule_push()

    def _get_terms(self):
        """Return the ``lib.commission.Terms`` of this programme."""
        self.ensure_one()
        return self.rule_ids._get_terms(self)


class AffiliateStripeAccount(models.Model):
    _inherit = "affiliate.stripe.account"

    @api.ondelete(at_uninstall=False)
    def _unlink_only_unused(self):
        programs = self.env["affiliate.program"].with_context(active_test=False)
        if programs.search_count([("stripe_account_id", "in", self.ids)], limit=1):
            raise UserError(
                self.env._(
                    "A programme uses this Stripe account, so its history must stay. "
                    "Disconnect it instead."
                )
            )
        if self.sudo().endpoint_ids:
            raise UserError(
                self.env._(
                    "Disconnect this Stripe account before you delete it. Otherwise "
                    "its webhook in Stripe would keep calling this database."
                )
            )
