from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from ..lib import codes, visits
from ..tools.access import needs


class AffiliateCode(models.Model):
    """A tracking code, e.g. DRONA29: a link parameter and a Stripe promotion code."""

    _name = "affiliate.code"
    _description = "Tracking code"
    _inherit = ["affiliate.protected", "affiliate.address.mixin"]
    _rec_name = "code"
    _order = "id desc"
    _check_company_auto = True

    code = fields.Char(required=True, copy=False)
    affiliate_id = fields.Many2one(
        "affiliate.affiliate",
        required=True,
        index=True,
        ondelete="restrict",
        check_company=True,
    )
    program_id = fields.Many2one(
        related="affiliate_id.program_id", store=True, string="Programme"
    )
    company_id = fields.Many2one(
        related="affiliate_id.company_id", store=True, index=True
    )
    stripe_account_id = fields.Many2one(
        related="affiliate_id.program_id.stripe_account_id",
        store=True,
        index=True,
        string="Stripe account",
    )
    state = fields.Selection(
        [
            ("draft", "Being made"),
            ("synced", "Active"),
            ("error", "Problem"),
            ("inactive", "Inactive"),
        ],
        default="draft",
        required=True,
        readonly=True,
        copy=False,
        help="Active: works in links and, where the programme has a customer "
        "discount, at Stripe's checkout.",
    )
    promotion_code_ids = fields.Many2many(
        "affiliate.stripe.promotion.code",
        "affiliate_code_promotion_code_rel",
        "code_id",
        "promotion_code_id",
        string="Promotion codes",
        readonly=True,
        copy=False,
        context={"active_test": False},
        help="Every promotion code it ever was in Stripe. Payments with an old one "
        "still count.",
        check_company=True,
    )
    link_only = fields.Boolean(
        string="For links only",
        compute="_compute_link_only",
        help="The programme has no customer discount, so there is nothing to type at "
        "Stripe's checkout: the code works in links.",
    )
    discount = fields.Char(
        string="Customers save",
        compute="_compute_discount",
        compute_sudo=True,
        help="What a customer saves by entering the code at Stripe's checkout.",
    )
    link = fields.Char(compute="_compute_link")
    is_main = fields.Boolean(
        string="Main code",
        compute="_compute_is_main",
        compute_sudo=True,
        help="It represents the affiliate in names, e-mails, links and statements.",
    )
    sync_error = fields.Char(readonly=True, copy=False)
    foreign_promotion_id = fields.Char(
        readonly=True,
        copy=False,
        help="The promotion code of somebody else that has the same text.",
    )

    # Without case, as Stripe compares them.
    _code_uniq = models.UniqueIndex(
        "(stripe_account_id, upper(code))",
        "This tracking code is already taken. Choose another one.",
    )

    # === COMPUTE METHODS === #

    @api.depends("program_id.discount_type", "adopted_id")
    def _compute_link_only(self):
        for code in self:
            code.link_only = (
                code.program_id.discount_type == "none" and not code.adopted_id
            )

    @api.depends(
        "adopted_id",
        "program_id.discount_type",
        "program_id.discount_value",
        "program_id.discount_duration",
        "program_id.discount_months",
    )
    @api.depends_context("lang")
    def _compute_discount(self):
        for code in self:
            coupon = code.adopted_id.coupon_id
            code.discount = (
                coupon._get_discount_text()
                if coupon
                else code.program_id and code.program_id._get_discount_text()
            )

    @api.depends("code", "program_id.signup_url", "program_id.link_parameters")
    def _compute_link(self):
        for code in self:
            url = code.program_id.signup_url
            code.link = url and visits.with_parameters(
                url, {code.program_id._link_parameters()[0]: code.code}
            )

    @api.depends("state", "affiliate_id.main_code_id", "affiliate_id.code_ids.state")
    def _compute_is_main(self):
        for code in self:
            code.is_main = code.affiliate_id and code == code.affiliate_id._main_code()

    @api.onchange("code")
    def _onchange_code(self):
        """Say what becomes of a text that cannot be a code as it was typed."""
        typed = (self.code or "").strip()
        self.code = codes.normalise(typed) or typed
        return self._typed_warning(typed, self.code)

    @api.model
    def _typed_warning(self, typed, code):
        """Return the notification that a code was not typed as it is, or None.

        Small letters are the same to everybody, and need no word.
        """
        if not typed or typed.upper() == code:
            return None
        return {
            "warning": {
                "title": self.env._("The code is %s", code),
                "message": self.env._(
                    "“%(typed)s” became “%(code)s”: codes can only contain letters "
                    "A-Z, digits and hyphens.",
                    typed=typed,
                    code=code,
                ),
                "type": "notification",
            }
        }

    # === CONSTRAINT METHODS === #

    @api.constrains("code")
    def _check_code(self):
        for code in self:
            if not codes.is_valid(code.code):
                raise ValidationError(
                    self.env._(
                        "%s cannot be a tracking code: use 3 to 40 letters A-Z, "
                        "digits and hyphens.",
                        code.code,
                    )
                )

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            vals["code"] = codes.normalise(vals.get("code"))
        created = super().create(vals_list)
        if any(code.affiliate_id.state == "active" for code in created):
            # At once, as at approval.
            created._schedule_push()
        return created

    def write(self, vals):
        owner = vals.get("affiliate_id")
        if owner and any(code.affiliate_id.id != owner for code in self):
            raise UserError(
                self.env._(
                    "A code stays with its affiliate: customers are bound by it. Give "
                    "the other affiliate a code of his own."
                )
            )
        if "code" in vals:
            vals = {**vals, "code": codes.normalise(vals["code"])}
            if any(code.promotion_code_ids for code in self):
                raise UserError(
                    self.env._(
                        "This code is in use. Give the affiliate another code beside "
                        "it; both will count."
                    )
                )
            changed = self.filtered(lambda code: code.code != vals["code"])
            result = super().write(vals)
            # Another text is another chance.
            again = changed.sudo().filtered(lambda c: c.state in ("draft", "error"))
            if again:
                again._note("draft")
                again._schedule_push()
            return result
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_only_unused(self):
        if any(code.promotion_code_ids for code in self):
            raise UserError(
                self.env._(
                    "The code exists in Stripe and customers may have used it. "
                    "Deactivate it instead."
                )
            )
        if self._used():
            raise UserError(
                self.env._(
                    "The code has brought visitors or customers. Deactivate it instead."
                )
            )

    def _used(self):
        """Return the codes that have brought somebody here."""
        used = self.browse()
        for model in ("affiliate.click", "affiliate.referral", "affiliate.commission"):
            groups = (
                self.env[model]
                .sudo()
                ._read_group([("code_id", "in", self.ids)], ["code_id"])
            )
            used |= self.browse([code.id for (code,) in groups])
        return used

    # === ACTION METHODS === #

    @needs("write", sudo=True)
    def action_push(self):
        """Try again to make the code in Stripe, now."""
        self.stripe_account_id._refuse_elsewhere()
        self._refuse_unless_active()
        self.filtered(lambda code: code.state == "error").state = "draft"
        self._push()
        return True

    @needs("write", sudo=True)
    def action_propose_other(self):
        """Give the affiliate the next free code instead."""
        self.stripe_account_id._refuse_elsewhere()
        for code in self.filtered(lambda code: code.state == "error"):
            affiliate = code.affiliate_id
            if not (code.promotion_code_ids or code._used()):
                code.unlink()
            affiliate.wished_code = False
            self._create_for(affiliate)
        # Not in this transaction: after a rollback Stripe would have a code of which
        # nobody here knows whose it is.
        self._schedule_push()
        return True

    @needs("write", sudo=True)
    def action_deactivate(self):
        self.stripe_account_id._refuse_elsewhere()
        self._deactivate()
        return True

    @needs("write", sudo=True)
    def action_activate(self):
        self.stripe_account_id._refuse_elsewhere()
        self._refuse_unless_active()
        self.write({"state": "draft"})
        self._push()
        return True

    @needs("write", sudo=True)
    def action_make_main(self):
        """Have the code stand for its affiliate, as long as it works."""
        self.ensure_one()
        if self.state == "inactive":
            raise UserError(
                self.env._("Activate this code before making it the main code.")
            )
        self.affiliate_id.main_code_id = self
        return True

    def _refuse_unless_active(self):
        """Codes of those who do not take part work nowhere.

        :raise UserError: with what to do first
        """
        if others := self.affiliate_id.filtered(lambda a: a.state != "active"):
            raise UserError(
                self.env._(
                    "Not active in the program: %s. Approve or reactivate the "
                    "affiliate first; codes are then created or reactivated "
                    "automatically.",
                    ", ".join(others.mapped("display_name")),
                )
            )

    # === CREATION === #

    @api.model
    def _create_for(self, affiliate):
        """Create a free code for an affiliate: the wish, or the next by the pattern."""
        program = affiliate.program_id
        wish = codes.normalise(affiliate.wished_code)
        taken = self._taken_codes(program)
        number = program.code_number_start + len(program.affiliate_ids) - 1
        code = wish if codes.is_valid(wish) and wish not in taken else None
        while not code:
            proposal = codes.propose(
                program.code_pattern, affiliate.partner_id.name, max(number, 1)
            )
            code = proposal if proposal not in taken else None
            number += 1
        return self.create({"code": code, "affiliate_id": affiliate.id})

    @api.model
    def _taken_codes(self, program):
        """Return the codes that are ours, or that somebody made in Stripe by hand."""
        ours = self.sudo().search(
            [("stripe_account_id", "=", program.stripe_account_id.id)]
        )
        theirs = self.env["affiliate.stripe.promotion.code"].search(
            [
                ("account_id", "=", program.stripe_account_id.id),
                ("active", "=", True),
            ]
        )
        return {code.upper() for code in ours.mapped("code") + theirs.mapped("code")}
