from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import format_date

from ..tools.access import needs

# A suspended affiliate keeps his customers; what they earn him waits.
WORKING_STATES = ("active", "suspended")
APPLICATION = "mail.mail_activity_data_todo"  # what a manager has to decide on


class AffiliateAffiliate(models.Model):
    """A partner's enrolment in one programme."""

    _name = "affiliate.affiliate"
    _description = "Affiliate"
    _inherit = [
        "affiliate.protected",
        "mail.thread",
        "mail.activity.mixin",
        "portal.mixin",
        "affiliate.address.mixin",
    ]
    _check_company_auto = True
    _order = "id desc"

    partner_id = fields.Many2one(
        "res.partner",
        required=True,
        index=True,
        ondelete="restrict",
        tracking=True,
        check_company=True,
    )
    name = fields.Char(related="partner_id.name")
    email = fields.Char(related="partner_id.email", readonly=False)
    program_id = fields.Many2one(
        "affiliate.program",
        required=True,
        index=True,
        ondelete="restrict",
        check_company=True,
        default=lambda self: self.env["affiliate.program"].search([], limit=1),
        string="Programme",
    )
    company_id = fields.Many2one(
        related="program_id.company_id", store=True, index=True
    )
    state = fields.Selection(
        [
            ("pending", "To approve"),
            ("active", "Active"),
            ("suspended", "Suspended"),
            ("rejected", "Rejected"),
        ],
        default="pending",
        required=True,
        readonly=True,
        copy=False,
        tracking=True,
    )
    parent_id = fields.Many2one(
        "affiliate.affiliate",
        string="Recruited by",
        index="btree_not_null",
        check_company=True,
        groups="base.group_user",
    )
    wished_code = fields.Char(
        help="The tracking code the affiliate would like; used when it is free.",
        string="Wished code",
    )
    motivation = fields.Text(
        string="Application", help="What the affiliate wrote when applying."
    )
    website = fields.Char()
    applied_at = fields.Datetime(
        string="Applied",
        compute="_compute_applied_at",
        help="When the affiliate applied last, or was entered.",
    )
    rejected_at = fields.Datetime(
        string="Rejected",
        readonly=True,
        copy=False,
        help="When the last application was rejected.",
    )
    application_ids = fields.One2many(
        "affiliate.application",
        "affiliate_id",
        string="Applications",
        domain=[("confirmed_at", "!=", False)],
        groups="affiliate_stripe.group_affiliate_officer",
    )
    code_ids = fields.One2many(
        "affiliate.code", "affiliate_id", string="Tracking codes"
    )
    # Whoever knows it may read the page without a login.
    access_token = fields.Char(readonly=True)
    code = fields.Char(
        string="Tracking code",
        compute="_compute_code",
        help="The current tracking code.",
    )
    link = fields.Char(compute="_compute_code", string="Tracking link")
    referral_ids = fields.One2many("affiliate.referral", "affiliate_id")
    commission_ids = fields.One2many("affiliate.commission", "affiliate_id")
    settlement_ids = fields.One2many("affiliate.settlement", "affiliate_id")

    referral_count = fields.Integer(compute="_compute_counts")
    customer_count = fields.Integer(compute="_compute_counts")
    visit_count = fields.Integer(compute="_compute_visit_count")
    commission_count = fields.Integer(compute="_compute_counts")
    settlement_count = fields.Integer(compute="_compute_counts")
    currency_id = fields.Many2one(related="program_id.currency_id")
    # Balances in the programme's currency.
    balance_pending = fields.Monetary(compute="_compute_balances", string="On hold")
    balance_due = fields.Monetary(compute="_compute_balances", string="Due")
    balance_settled = fields.Monetary(compute="_compute_balances", string="Settled")
    balance_paid = fields.Monetary(compute="_compute_balances", string="Paid")
    balance_total = fields.Monetary(compute="_compute_balances", string="Earned")
    balance_other = fields.Text(
        compute="_compute_balances",
        string="Other currencies",
        help="Commissions are in the currency of the payment; nothing is converted.",
    )

    _partner_program_uniq = models.UniqueIndex(
        "(partner_id, program_id)",
        "This partner is already an affiliate of the programme.",
    )

    # === COMPUTE METHODS === #

    @api.depends("partner_id.name", "code_ids.code", "code_ids.state")
    def _compute_display_name(self):
        for affiliate in self:
            name = affiliate.partner_id.name or ""
            code = affiliate.code
            affiliate.display_name = f"{name} ({code})" if code else name

    @api.depends("code_ids.code", "code_ids.state", "program_id.signup_url")
    def _compute_code(self):
        for affiliate in self:
            code = affiliate.code_ids.filtered(lambda c: c.state != "inactive")[:1]
            affiliate.code = code.code
            affiliate.link = code.link

    def _compute_counts(self):
        referrals = {
            (affiliate, state): count
            for affiliate, state, count in self.env["affiliate.referral"]._read_group(
                [("affiliate_id", "in", self.ids)],
                ["affiliate_id", "state"],
                ["__count"],
            )
        }
        counts = {
            model: dict(
                self.env[model]._read_group(
                    [("affiliate_id", "in", self.ids)], ["affiliate_id"], ["__count"]
                )
            )
            for model in ("affiliate.commission", "affiliate.settlement")
        }
        for affiliate in self:
            affiliate.customer_count = referrals.get((affiliate, "customer"), 0)
            affiliate.referral_count = affiliate.customer_count + referrals.get(
                (affiliate, "lead"), 0
            )
            affiliate.commission_count = counts["affiliate.commission"].get(
                affiliate, 0
            )
            affiliate.settlement_count = counts["affiliate.settlement"].get(
                affiliate, 0
            )

    def _compute_applied_at(self):
        last = dict(
            self.env["affiliate.application"]
            .sudo()
            ._read_group(
                [("affiliate_id", "in", self.ids), ("confirmed_at", "!=", False)],
                ["affiliate_id"],
                ["confirmed_at:max"],
            )
        )
        for affiliate in self:
            affiliate.applied_at = last.get(affiliate.sudo(), affiliate.create_date)

    def _compute_visit_count(self):
        counts = dict(
            self.env["affiliate.click"]._read_group(
                [("affiliate_id", "in", self.ids)], ["affiliate_id"], ["__count"]
            )
        )
        for affiliate in self:
            affiliate.visit_count = counts.get(affiliate, 0)

    def _compute_balances(self):
        balances = self._get_balances()
        for affiliate in self:
            states = balances.get((affiliate.id, affiliate.currency_id.id), {})
            affiliate.balance_pending = states.get("pending", 0)
            affiliate.balance_due = states.get("approved", 0)
            affiliate.balance_settled = states.get("settled", 0)
            affiliate.balance_paid = states.get("paid", 0)
            affiliate.balance_total = sum(states.values())
            affiliate.balance_other = affiliate._say_other(balances)

    def _say_other(self, balances):
        """Return a line for each currency that is not the programme's."""
        currencies = self.env["res.currency"].browse(
            currency_id
            for affiliate_id, currency_id in balances
            if affiliate_id == self.id and currency_id != self.currency_id.id
        )
        return "\n".join(
            self.env._(
                "%(earned)s earned, %(due)s due",
                earned=currency.format(sum(states.values())),
                due=currency.format(states.get("approved", 0)),
            )
            for currency in currencies.sorted("name")
            for states in [balances[self.id, currency.id]]
        )

    def _get_balances(self):
        """Return ``{(affiliate id, currency id): {state: sum}}``, without void rows."""
        groups = self.env["affiliate.commission"]._read_group(
            [("affiliate_id", "in", self.ids), ("state", "!=", "void")],
            ["affiliate_id", "currency_id", "state"],
            ["amount:sum"],
        )
        balances = {}
        for affiliate, currency, state, amount in groups:
            balances.setdefault((affiliate.id, currency.id), {})[state] = amount
        return balances

    def _compute_access_url(self):
        result = super()._compute_access_url()
        for affiliate in self:
            affiliate.access_url = f"/my/affiliate/{affiliate.id}"
        return result

    # === CRUD METHODS === #

    def write(self, vals):
        """Who enrolled in what is fixed once customers may be bound by it."""
        for name in ("partner_id", "program_id"):
            if name in vals and any(
                affiliate[name].id != vals[name]
                and (affiliate.code_ids or affiliate.referral_ids)
                for affiliate in self
            ):
                raise UserError(
                    self.env._(
                        "The affiliate has a code or customers already. Enrol the "
                        "partner anew instead."
                    )
                )
        before = self.filtered(lambda a: a.state in WORKING_STATES)
        result = super().write(vals)
        changed = self.filtered(lambda a: (a.state in WORKING_STATES) != (a in before))
        if changed:
            # Whether their claims count has changed with it.
            changed.referral_ids.sudo()._refresh_people()
        return result

    # === ACTION METHODS === #

    @needs("write", sudo=True)
    def action_approve(self):
        """Accept: portal access and a tracking code, in Stripe too."""
        self.program_id.stripe_account_id._refuse_elsewhere()
        for affiliate in self.filtered(lambda a: a.state in ("pending", "rejected")):
            affiliate.state = "active"
            affiliate._grant_portal()
            if not affiliate.code_ids:
                affiliate._make_code()
            affiliate._send("mail_template_affiliate_approved")
            affiliate._close_application()
        self.code_ids._schedule_push()
        return True

    @needs("write", sudo=True)
    def action_reject(self):
        rejected = self.filtered(lambda a: a.state == "pending")
        rejected.write({"state": "rejected", "rejected_at": fields.Datetime.now()})
        rejected._close_application()
        return True

    @needs("write", sudo=True)
    def action_suspend(self):
        """Stop: codes are deactivated, commissions earned wait; nothing is deleted."""
        self.program_id.stripe_account_id._refuse_elsewhere()
        active = self.filtered(lambda a: a.state == "active")
        active.write({"state": "suspended"})
        active.code_ids._deactivate()
        return True

    @needs("write", sudo=True)
    def action_reactivate(self):
        self.program_id.stripe_account_id._refuse_elsewhere()
        suspended = self.filtered(lambda a: a.state == "suspended")
        suspended.write({"state": "active"})
        codes = suspended.code_ids.filtered(lambda c: c.state == "inactive")
        codes.write({"state": "draft"})
        codes._schedule_push()
        return True

    @needs("read")
    def action_view_visits(self):
        return self._action("action_affiliate_click")

    @needs("read")
    def action_view_referrals(self):
        return self._action("action_affiliate_referral")

    @needs("read")
    def action_view_commissions(self):
        return self._action("action_affiliate_commission")

    @needs("read")
    def action_view_settlements(self):
        return self._action("action_affiliate_settlement")

    def _action(self, name):
        action = self.env["ir.actions.act_window"]._for_xml_id(
            f"affiliate_stripe.{name}"
        )
        action["domain"] = [("affiliate_id", "in", self.ids)]
        action["context"] = {"default_affiliate_id": self[:1].id}
        return action

    # === BUSINESS METHODS === #

    def _address_account(self):
        return self.program_id.stripe_account_id

    def _handle_application(self):
        """Accept at once where the program accepts everybody, else ask a manager."""
        self.ensure_one()
        if not (self.program_id.auto_approve_affiliates and self._try_approve()):
            self._ask_manager(self.env._("New affiliate application"))

    def _apply_again(self, values):
        """Open the application of a rejected affiliate again. A person has said no, so
        a person decides, whatever the program accepts.

        :param dict values: what was typed this time
        """
        self.ensure_one()
        rejected = format_date(self.env, self.rejected_at)
        self.write({**values, "state": "pending"})
        self.message_post(
            body=self.env._("Applied again, after the rejection of %s.", rejected)
        )
        self._ask_manager(
            self.env._("Applied again, after the rejection of %s", rejected)
        )

    def _ask_manager(self, summary):
        """Confirm that the application has come, and have a manager decide on it."""
        self._send("mail_template_affiliate_applied")
        manager = self.program_id.stripe_account_id._manager()
        self.activity_schedule(APPLICATION, summary=summary, user_id=manager.id)

    def _refused_until(self):
        """Return until when the program takes no new application of this rejected
        affiliate, or False."""
        months = self.program_id.reapply_months
        if not (months and self.state == "rejected" and self.rejected_at):
            return False
        until = fields.Datetime.add(self.rejected_at, months=months)
        return until > fields.Datetime.now() and until

    def _close_application(self):
        """It is decided: nobody has to look at it any more."""
        self.activity_unlink([APPLICATION], only_automated=True)

    def _try_approve(self):
        """Approve unless something is in the way, e.g. a login of the same name.

        The applicant must not see which: it would tell who is known already.
        """
        self.ensure_one()
        try:
            with self.env.cr.savepoint():
                return self.action_approve()
        except UserError as error:
            self.env.invalidate_all()
            self.message_post(body=str(error))
            return False

    def _grant_portal(self):
        """Give the partner a login, invited by mail, unless there is one."""
        self.ensure_one()
        partner = self.partner_id
        users = partner.with_context(active_test=False).user_ids
        if users:
            if not any(users.mapped("active")):
                raise UserError(
                    self.env._(
                        "The login of %s is archived. Unarchive it, then approve.",
                        partner.name,
                    )
                )
            return
        if not partner.email:
            raise UserError(
                self.env._(
                    "%s needs an e-mail address to get access to the portal.",
                    partner.name,
                )
            )
        wizard = (
            self.env["portal.wizard"]
            .sudo()
            .with_company(self.company_id)
            .with_context(active_ids=partner.ids)
            .create({"partner_ids": [(6, 0, partner.ids)]})
        )
        wizard.user_ids.filtered(
            lambda u: u.partner_id == partner
        ).action_grant_access()

    def _make_code(self):
        self.ensure_one()
        return self.env["affiliate.code"]._create_for(self)

    def _send(self, template):
        """Queue one of our mails to the affiliate.

        Whoever has applied gets it at the address that he has confirmed: the e-mail of
        his contact may be anybody's.
        """
        applied = self.sudo().application_ids[:1]
        recipient = {"recipient_ids": [], "email_to": applied.email} if applied else {}
        self.env.ref(f"affiliate_stripe.{template}").sudo().send_mail(
            self.id, email_values=recipient
        )
