from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import format_date

from odoo.addons.base.models.ir_model import MODULE_UNINSTALL_FLAG

from ..lib import codes
from ..lib.roles import OFFICER
from ..tools.access import needs
from ..tools.mails import send_soon

# A suspended affiliate keeps his customers; what they earn him waits.
WORKING_STATES = ("active", "suspended")
SUSPENDED = "suspended"  # why a code is off: its affiliate is
APPLICATION = "mail.mail_activity_data_todo"  # what a manager has to decide on
# What names an affiliate, and must not be lost with it.
HISTORY = (
    ("affiliate.commission", "affiliate_id"),
    ("affiliate.settlement", "affiliate_id"),
    ("affiliate.referral", "affiliate_id"),
    ("affiliate.referral.flag", "affiliate_id"),
    ("affiliate.referral.move", "affiliate_id"),
    ("affiliate.click", "affiliate_id"),
    ("affiliate.affiliate", "parent_id"),
)


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
    active = fields.Boolean(
        default=True,
        copy=False,
        help="Archived affiliates are hidden from lists; their history stays.",
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
        ondelete="restrict",
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
        help="When the affiliate last applied, or was added by hand.",
    )
    rejected_at = fields.Datetime(
        string="Rejected",
        readonly=True,
        copy=False,
        help="When the last application was rejected.",
    )
    rejection_reason = fields.Text(
        string="Why rejected", readonly=True, copy=False, groups=OFFICER
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
    main_code_id = fields.Many2one(
        "affiliate.code",
        string="Chosen main code",
        readonly=True,
        copy=False,
        check_company=True,
        help="The code that a manager chose to represent the affiliate.",
    )
    code = fields.Char(
        string="Tracking code",
        compute="_compute_code",
        help="The main code: the one a manager chose if it works, otherwise the "
        "first that works.",
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

    # An archived one is history: after contacts were merged, one of them may have two.
    _partner_program_uniq = models.UniqueIndex(
        "(partner_id, program_id) WHERE active",
        "This contact is already an affiliate of the program.",
    )

    # === COMPUTE METHODS === #

    @api.depends("partner_id.name", "code_ids.code", "code_ids.state", "main_code_id")
    def _compute_display_name(self):
        for affiliate in self:
            name = affiliate.partner_id.name or ""
            code = affiliate.code
            affiliate.display_name = f"{name} ({code})" if code else name

    @api.depends(
        "code_ids.code", "code_ids.state", "main_code_id", "program_id.signup_url"
    )
    def _compute_code(self):
        for affiliate in self:
            code = affiliate._main_code()
            affiliate.code = code.code
            affiliate.link = code.link

    def _main_code(self):
        """Return the code that stands for the affiliate, in names, mails, links and
        statements: one that works, of these the chosen one, else the first. A code that
        is being made, or has a problem, is better than none."""
        self.ensure_one()
        return self._codes_in_order().filtered(lambda c: c.state != "inactive")[:1]

    def _codes_in_order(self):
        """Return all codes, the main one first."""
        ranks = {"synced": 0, "inactive": 2}
        return self.code_ids.sorted(
            lambda code: (
                ranks.get(code.state, 1),
                code._origin != self.main_code_id._origin,
                # Those that are just being typed come last.
                code._origin.id or float("inf"),
            )
        )

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

    @api.onchange("wished_code")
    def _onchange_wished_code(self):
        typed = (self.wished_code or "").strip()
        self.wished_code = codes.normalise(typed) or typed
        return self.env["affiliate.code"]._typed_warning(typed, self.wished_code)

    def _get_wish_note(self):
        """Return what became of a wished code that could not be one as it was typed,
        or False."""
        self.ensure_one()
        typed = (self.wished_code or "").strip()
        code = codes.normalise(typed)
        if typed.upper() == code or code not in self.code_ids.mapped("code"):
            return False
        return self.env._(
            "You asked for “%(typed)s”. Codes can only contain letters, digits and "
            "hyphens, so yours is %(code)s.",
            typed=typed,
            code=code,
        )

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
        if not vals.get("active", True):
            self._check_may_be_archived(vals.get("state"))
        if vals.get("active"):
            self._check_is_the_only_one()
        result = super().write(vals)
        changed = self.filtered(lambda a: (a.state in WORKING_STATES) != (a in before))
        if changed:
            # Whether their claims count has changed with it.
            changed.referral_ids.sudo()._refresh_people()
        return result

    def _check_may_be_archived(self, state=None):
        if any((state or a.state) not in ("suspended", "rejected") for a in self):
            raise UserError(
                self.env._(
                    "Only affiliates who are suspended or rejected can be archived. "
                    "Others would disappear from the lists while their codes keep "
                    "working."
                )
            )

    def _check_is_the_only_one(self):
        """Refuse a second enrolment of a contact, which a merge of contacts may leave
        archived."""
        for affiliate in self.filtered(lambda a: not a.active):
            if self.search_count(
                [
                    ("partner_id", "=", affiliate.partner_id.id),
                    ("program_id", "=", affiliate.program_id.id),
                ],
                limit=1,
            ):
                raise UserError(
                    self.env._(
                        "%(contact)s is already an affiliate of “%(program)s”. "
                        "Archive that affiliate before you unarchive this one.",
                        contact=affiliate.partner_id.name,
                        program=affiliate.program_id.name,
                    )
                )

    def unlink(self):
        """Delete affiliates of whom nothing would be lost.

        Their codes are switched off in Stripe first: nobody could do that later.

        :raise UserError: where there is a history, or Stripe cannot be reached; nothing
            is deleted then
        """
        self.check_access("unlink")
        if not self.env.context.get(MODULE_UNINSTALL_FLAG):
            self._refuse_with_history()
            self.code_ids.sudo()._withdraw()
        return super().unlink()

    def _refuse_with_history(self):
        history = {
            (model, name): dict(
                self.env[model]
                .sudo()
                .with_context(active_test=False)
                ._read_group([(name, "in", self.ids)], [name], ["__count"])
            )
            for model, name in HISTORY
        }
        for affiliate in self:
            counts = [found.get(affiliate, 0) for found in history.values()]
            told = [
                text
                for text, count in zip(
                    affiliate._history_texts(*counts), counts, strict=True
                )
                if count
            ]
            if told:
                raise UserError(
                    self.env._(
                        "%(affiliate)s can't be deleted because these records would "
                        "be lost: %(history)s. Archive the affiliate instead: its "
                        "codes are switched off, and all records are kept.",
                        affiliate=affiliate.display_name,
                        history=", ".join(told),
                    )
                )

    def _history_texts(
        self, commissions, settlements, referrals, flags, moves, clicks, recruited
    ):
        """Return how many there are, in the order of ``HISTORY``."""
        return (
            self.env._("1 commission")
            if commissions == 1
            else self.env._("%s commissions", commissions),
            self.env._("1 settlement")
            if settlements == 1
            else self.env._("%s settlements", settlements),
            self.env._("1 customer or lead")
            if referrals == 1
            else self.env._("%s customers and leads", referrals),
            self.env._("1 doubt about a referral")
            if flags == 1
            else self.env._("%s doubts about referrals", flags),
            self.env._("1 moved customer")
            if moves == 1
            else self.env._("%s moved customers", moves),
            self.env._("1 visit") if clicks == 1 else self.env._("%s visits", clicks),
            self.env._("1 recruited affiliate")
            if recruited == 1
            else self.env._("%s recruited affiliates", recruited),
        )

    # === ACTION METHODS === #

    @needs("write")
    def action_archive(self):
        """Hide affiliates; whoever is active is suspended first."""
        self.action_suspend()
        return super().action_archive()

    @needs("write", sudo=True)
    def action_approve(self):
        """Accept: portal access and a tracking code, in Stripe too."""
        self.program_id.stripe_account_id._refuse_elsewhere()
        for affiliate in self.filtered(lambda a: a.state in ("pending", "rejected")):
            affiliate.write({"state": "active", "active": True})
            affiliate._grant_portal()
            if not affiliate.code_ids:
                affiliate._make_code()
            affiliate._send("mail_template_affiliate_approved")
            affiliate._close_application()
        self.code_ids._schedule_push()
        return True

    @needs("write", sudo=True)
    def action_reject(self, reason="", tell=True):
        """Refuse applications.

        :param str reason: is kept, and stands in the mail; may be empty
        :param bool tell: send the mail
        """
        rejected = self.filtered(lambda a: a.state == "pending")
        rejected.write(
            {
                "state": "rejected",
                "rejected_at": fields.Datetime.now(),
                "rejection_reason": (reason or "").strip() or False,
            }
        )
        rejected._close_application()
        if tell:
            for affiliate in rejected:
                affiliate._send(
                    "mail_template_affiliate_rejected", until=affiliate._refused_until()
                )
        return True

    @needs("write", sudo=True)
    def action_suspend(self):
        """Stop: codes are deactivated, commissions earned wait; nothing is deleted."""
        self.program_id.stripe_account_id._refuse_elsewhere()
        active = self.filtered(lambda a: a.state == "active")
        active.write({"state": "suspended"})
        active.code_ids._deactivate(SUSPENDED)
        return True

    @needs("write", sudo=True)
    def action_reactivate(self):
        self.program_id.stripe_account_id._refuse_elsewhere()
        suspended = self.filtered(lambda a: a.state == "suspended")
        suspended.write({"state": "active", "active": True})
        off = self.env["affiliate.code"].union(
            *(a._codes_to_revive() for a in suspended)
        )
        off._note("draft")
        off._schedule_push()
        return True

    def _codes_to_revive(self):
        """Return the codes that went off with the affiliate: what somebody had switched
        off before stays off."""
        off = self.code_ids.filtered(lambda c: c.state == "inactive")
        # Of suspensions of old it is not known.
        return off.filtered(lambda c: c.off_reason == SUSPENDED) or off

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
        self.write({**values, "state": "pending", "active": True})
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

    def _send(self, template, **context):
        """Send one of our mails to the affiliate, as soon as this is stored.

        Whoever has applied gets it at the address that he has confirmed: the e-mail of
        his contact may be anybody's.
        """
        applied = self.sudo().application_ids[:1]
        recipient = {"recipient_ids": [], "email_to": applied.email} if applied else {}
        template = self.env.ref(f"affiliate_stripe.{template}").sudo()
        mail_id = template.with_context(**context).send_mail(
            self.id, email_values=recipient
        )
        send_soon(self.env["mail.mail"].sudo().browse(mail_id))
