from collections import defaultdict
from datetime import timedelta

from babel.dates import format_timedelta
from markupsafe import Markup

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import babel_locale_parse

from odoo.addons.iap.tools.iap_tools import mail_prepare_for_domain_search

from ..lib import attribution, quality
from ..lib.roles import MANAGER
from ..tools.access import needs
from ..tools.people import keep_warning
from .affiliate_commission import COMPUTED_KINDS

OPEN, ACCEPTED, REFUSED = "open", "accepted", "refused"


class AffiliateReferralFlag(models.Model):
    """Something about a referral that a person should look at.

    While it is open, what the referral earns its affiliate is on hold; nothing is
    dropped by itself.
    """

    _name = "affiliate.referral.flag"
    _description = "Doubt about a referral"
    _inherit = ["affiliate.protected"]
    _order = "create_date desc, id desc"
    _rec_name = "note"
    _check_company_auto = True

    referral_id = fields.Many2one(
        "affiliate.referral",
        required=True,
        readonly=True,
        index=True,
        ondelete="cascade",
        check_company=True,
    )
    # Of its time: the person may belong to another one later.
    affiliate_id = fields.Many2one(
        "affiliate.affiliate",
        required=True,
        readonly=True,
        index=True,
        ondelete="restrict",
        check_company=True,
    )
    company_id = fields.Many2one(
        related="affiliate_id.company_id", store=True, index=True
    )
    kind = fields.Selection(
        [
            (quality.SELF, "Bought by the affiliate"),
            (quality.COMPANY, "Bought by the affiliate's company"),
            (quality.DISPOSABLE, "Throw-away e-mail address"),
            (quality.SEARCH, "Search engine"),
            (quality.AD, "Paid advertising"),
            (quality.ADDRESS, "Many leads from one address"),
            (quality.SPEED, "Many leads in a short time"),
            (quality.NO_VISIT, "Lead without a visit"),
            (quality.UNVISITED, "Many leads without a visit"),
            (quality.BROWSER, "Many leads from one browser"),
        ],
        required=True,
        readonly=True,
    )
    note = fields.Char(string="Why", required=True, readonly=True)
    state = fields.Selection(
        [(OPEN, "To look at"), (ACCEPTED, "Accepted"), (REFUSED, "Refused")],
        default=OPEN,
        required=True,
        readonly=True,
        index=True,
    )
    decided_by = fields.Many2one("res.users", string="Decided by", readonly=True)
    decided_at = fields.Datetime(string="Decided", readonly=True)

    _kind_uniq = models.UniqueIndex("(referral_id, affiliate_id, kind)")

    # === ACTION METHODS === #

    @needs("write")
    def action_accept(self):
        """It is all right: release what was held for it."""
        flags = self._decide(ACCEPTED)
        self.env["affiliate.commission"].sudo()._sync_holds_of(flags.referral_id)
        return True

    @needs("write")
    def action_refuse(self):
        """The affiliate earns nothing by this person: reject what is pending, take
        back what is due or paid by new rows."""
        flags = self._decide(REFUSED)
        kinds = dict(self._fields["kind"]._description_selection(self.env))
        for flag in flags:
            rows = self.env["affiliate.commission"].search(
                [
                    ("referral_id", "=", flag.referral_id.id),
                    ("affiliate_id", "=", flag.affiliate_id.id),
                    ("kind", "in", COMPUTED_KINDS),
                ]
            )
            started = rows.filtered(lambda r: r.state not in ("pending", "void"))
            lines = set(started.mapped("line_ref"))
            pending = rows.filtered(
                lambda r, lines=lines: r.state == "pending" and r.line_ref not in lines
            )
            # Affiliates read the reason: what the note knows of the customer is not
            # for them.
            pending._reject(kinds[flag.kind])
        referrals = flags.referral_id.sudo()
        refused = {(flag.referral_id, flag.affiliate_id) for flag in flags.sudo()}
        referrals.filtered(lambda r: (r, r.affiliate_id) in refused).state = "rejected"
        referrals._refresh_people()
        return True

    def _decide(self, state):
        flags = self.filtered(lambda flag: flag.state == OPEN)
        if not flags:
            raise UserError(self.env._("This has been decided already."))
        flags.sudo().write(
            {
                "state": state,
                "decided_by": self.env.uid,
                "decided_at": fields.Datetime.now(),
            }
        )
        kinds = dict(self._fields["kind"]._description_selection(self.env))
        states = dict(self._fields["state"]._description_selection(self.env))
        for flag in flags.sudo():
            flag.referral_id.message_post(
                body=self.env._(
                    "%(kind)s: %(decision)s. %(why)s",
                    kind=kinds[flag.kind],
                    decision=states[state],
                    why=flag.note,
                )
            )
        flags._tell_managers()
        return flags

    @needs("read")
    def action_view_referral(self):
        """Open the person the doubt is about: who brought him, and why."""
        self.ensure_one()
        return self.referral_id.get_formview_action()

    # === BUSINESS METHODS === #

    @api.model
    def _raise(self, doubts):
        """Add the flags that are not there yet, whatever was decided about them.

        A doubt about a person is raised once, however often an affiliate claims him:
        the flag goes with the row that binds him.

        :param doubts: ``[(referral, affiliate, {kind: note})]``
        """
        doubts = [doubt for doubt in doubts if doubt[2]]
        if not doubts:
            return
        referrals = self.env["affiliate.referral"].union(*(r for r, _a, _k in doubts))
        emails = set(referrals.mapped("email_normalized")) - {False}
        known = {
            (_person(flag.referral_id), flag.affiliate_id, flag.kind)
            for flag in self.search(
                [
                    "|",
                    ("referral_id", "in", referrals.ids),
                    ("referral_id.email_normalized", "in", list(emails)),
                ]
            )
        }
        new = {
            (_person(referral), affiliate, kind): (referral, note)
            for referral, affiliate, notes in doubts
            for kind, note in notes.items()
        }
        flags = self.create(
            [
                {
                    "referral_id": referral.id,
                    "affiliate_id": affiliate.id,
                    "kind": kind,
                    "note": note,
                }
                for (person, affiliate, kind), (referral, note) in new.items()
                if (person, affiliate, kind) not in known
            ]
        )
        flags._tell_managers()

    def _tell_managers(self, affiliates=None):
        """Have one activity an affiliate while there is something to look at.

        :param affiliates: those of whom, if not those of these flags
        """
        affiliates = (affiliates or self.affiliate_id).sudo()
        kinds = dict(self._fields["kind"]._description_selection(self.env))
        told = defaultdict(list)
        for affiliate, kind, count, newest in self.sudo()._read_group(
            [("affiliate_id", "in", affiliates.ids), ("state", "=", OPEN)],
            ["affiliate_id", "kind"],
            ["__count", "id:max"],
        ):
            told[affiliate].append(f"{kinds[kind]}: {count}")
            if kind == quality.UNVISITED:
                # The newest has the figures of all of them.
                told[affiliate].append(self.sudo().browse(newest).note)
        summary = self.env._("Referrals to look at")
        for affiliate in affiliates:
            keep_warning(
                affiliate,
                summary,
                Markup("<br/>").join(told[affiliate]),
                affiliate.program_id.stripe_account_id._manager,
                self.env._("All was looked at."),
            )


class AffiliateReferral(models.Model):
    """Quality: what looks wrong about a lead or customer."""

    _inherit = "affiliate.referral"

    flag_ids = fields.One2many(
        "affiliate.referral.flag", "referral_id", string="Doubts"
    )
    open_flag_count = fields.Integer(
        compute="_compute_open_flag_count", string="To look at"
    )

    @api.depends("flag_ids.state")
    def _compute_open_flag_count(self):
        for referral in self:
            flags = referral.flag_ids.filtered(lambda flag: flag.state == OPEN)
            referral.open_flag_count = len(flags)

    @needs("read")
    def action_view_flags(self):
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "affiliate_stripe.action_affiliate_referral_flag"
        )
        action["domain"] = [("referral_id", "in", self.ids)]
        action["context"] = {}
        return action

    @api.model
    def _flag_people(self, cases):
        """Raise flags about people who were just bound, or brought."""
        self._withdraw_flags(cases)
        self._flag(
            [
                (
                    case.referral,
                    [*case.person.mapped("email"), case.referral.email],
                    case.decision.winner,
                )
                for case in cases
                # What a person decided needs nobody to look at it.
                if case.referral and not case.moves
                if case.decision.winner.source != attribution.MANUAL
            ]
        )

    @api.model
    def _withdraw_flags(self, cases):
        """Take back the doubt about a lead without a visit where it is over: a visit of
        this person has become known. What a manager decided stays."""
        rows, doubtful = self.browse(), set()
        for case in cases:
            rows |= case.person.referral_ids | self.browse(case.claim_ids)
            if case.decision and case.decision.winner.weak:
                doubtful.add((case.referral.id, case.decision.winner.affiliate))
        flags = self.env["affiliate.referral.flag"].search(
            [
                ("referral_id", "in", rows.ids),
                ("kind", "=", quality.NO_VISIT),
                ("state", "=", OPEN),
            ]
        )
        flags = flags.filtered(
            lambda flag: (flag.referral_id.id, flag.affiliate_id.id) not in doubtful
        )
        if flags:
            affiliates = flags.affiliate_id
            flags.unlink()
            self.env["affiliate.referral.flag"]._tell_managers(affiliates)

    @api.model
    def _flag(self, brought):
        """Raise flags about who somebody is and how he came.

        :param brought: ``[(referral, e-mails, Candidate that won)]``
        """
        doubts = []
        for referral, emails, winner in brought:
            affiliate = self.env["affiliate.affiliate"].browse(winner.affiliate)
            affiliate = affiliate.with_prefetch([w.affiliate for _r, _e, w in brought])
            partner = affiliate.partner_id
            found = quality.doubts(
                {email.lower() for email in emails if email},
                {
                    email
                    for email in (partner.email, *partner.user_ids.mapped("login"))
                    if email
                },
                _is_shared,
                trusted=affiliate.trusted,
                search=winner.search
                if winner.policy.search == attribution.HOLD
                else "",
                ad=winner.ad if winner.policy.ads == attribution.HOLD else "",
                # Before the first payment there is nothing to hold, and what becomes
                # known until then may be better.
                weak=winner.weak
                and winner.policy.weak == attribution.HOLD
                and referral.state == "customer",
            )
            doubts.append((referral, affiliate, self._flag_notes(affiliate, found)))
        self.env["affiliate.referral.flag"]._raise(doubts)

    @api.model
    def _flag_notes(self, affiliate, found):
        """Return ``{kind: sentence}``; without addresses, which may be erased."""
        texts = {
            quality.SELF: self.env._(
                "The customer's e-mail address is that of %(affiliate)s."
            ),
            quality.COMPANY: self.env._(
                "Customer and %(affiliate)s have e-mail addresses of the same company, "
                "%(detail)s."
            ),
            quality.DISPOSABLE: self.env._(
                "The customer uses a throw-away e-mail address, at %(detail)s."
            ),
            quality.SEARCH: self.env._(
                "The customer found the affiliate's link by a search engine: "
                "%(detail)s."
            ),
            quality.AD: self.env._(
                "The customer came by a paid advertisement, of %(detail)s."
            ),
            quality.NO_VISIT: self.env._(
                "The e-mail address came without a visit by a link of %(affiliate)s: "
                "anybody could have sent it."
            ),
            quality.ADDRESS: self.env._(
                "%(detail)s leads came from one internet address within a day."
            ),
            quality.SPEED: self.env._(
                "%(affiliate)s brought %(detail)s leads within an hour."
            ),
            quality.BROWSER: self.env._(
                "%(detail)s leads came from one browser within a day."
            ),
            quality.UNVISITED: "%(detail)s",
        }
        name = affiliate.partner_id.name
        return {
            kind: texts[kind] % {"affiliate": name, "detail": detail}
            for kind, detail in found.items()
        }

    def _flag_crowd(self):
        """Raise flags where a lead is one of too many, about all of them."""
        self.ensure_one()
        doubts = []
        for kind, limit, hours, same in self._crowds():
            if not limit:
                continue
            crowd = [*self._leads_within(hours), *same]
            [(people, first, last)] = self._read_group(
                crowd,
                aggregates=["email_normalized:count_distinct", "date:min", "date:max"],
            )
            if people <= limit:
                continue
            detail = people
            if kind == quality.UNVISITED:
                detail = self._unvisited_figures(crowd, hours, people, last - first)
            # Who is flagged already stays as he is: a crowd may be very large.
            new = self.search([*crowd, ("flag_ids", "not any", [("kind", "=", kind)])])
            notes = {
                affiliate: self._flag_notes(affiliate, {kind: detail})
                for affiliate in new.affiliate_id
            }
            doubts += [
                (lead, lead.affiliate_id, notes[lead.affiliate_id]) for lead in new
            ]
        self.env["affiliate.referral.flag"]._raise(doubts)

    def _crowds(self):
        """Return ``[(kind, how many are allowed, hours, what they have in common)]``
        of what this lead may be one of many."""
        program = self.program_id
        own = ("affiliate_id", "=", self.affiliate_id.id)
        return [
            (
                quality.ADDRESS,
                program.max_leads_per_address if self.ip_hash else 0,
                24,
                [("ip_hash", "=", self.ip_hash)],
            ),
            (quality.SPEED, program.max_leads_per_hour, 1, [own]),
            (
                quality.BROWSER,
                program.max_leads_per_browser if self.visitor else 0,
                24,
                [("visitor", "=", self.visitor)],
            ),
            (
                quality.UNVISITED,
                program.max_leads_without_visit if self.without_visit else 0,
                24,
                [own, ("without_visit", "=", True)],
            ),
        ]

    def _leads_within(self, hours):
        """Return the domain of all leads of the time before this one."""
        since = fields.Datetime.subtract(self.date, hours=hours)
        return [
            ("stripe_account_id", "=", self.stripe_account_id.id),
            ("source", "in", attribution.LEADS),
            ("date", ">", since),
            ("date", "<=", self.date),
        ]

    def _unvisited_figures(self, crowd, hours, people, duration):
        """Return the sentence that lets a manager judge an affiliate's leads.

        :param crowd: domain of his leads without a visit
        :param people: how many people these are
        :param duration: from the first of them to the last
        """
        aggregates = ["email_normalized:count_distinct"]
        own = ("affiliate_id", "=", self.affiliate_id.id)
        [(leads,)] = self._read_group(
            [*self._leads_within(hours), own], aggregates=aggregates
        )
        [(visited,)] = self._read_group(
            [
                ("stripe_account_id", "=", self.stripe_account_id.id),
                (
                    "email_normalized",
                    "in",
                    self._search(crowd).subselect("email_normalized"),
                ),
                ("source", "in", attribution.LEADS),
                ("without_visit", "=", False),
            ],
            aggregates=aggregates,
        )
        return self.env._(
            "Within %(time)s, %(count)s of %(leads)s leads of %(affiliate)s were left "
            "without a visit; %(never)s of these people never visited at all.",
            time=format_timedelta(
                max(duration, timedelta(seconds=1)),
                locale=babel_locale_parse(self.env.lang),
            ),
            count=people,
            leads=leads,
            affiliate=self.affiliate_id.partner_id.name,
            never=people - visited,
        )


class AffiliateAffiliate(models.Model):
    _inherit = "affiliate.affiliate"

    trusted = fields.Boolean(
        string="May buy for clients",
        write_group=MANAGER,
        tracking=True,
        groups="base.group_user",
        help="An agency that buys in the name of its clients, or an affiliate who may "
        "be a customer too. Purchases with the affiliate's own e-mail address or "
        "company are not held for review.",
    )
    flag_ids = fields.One2many(
        "affiliate.referral.flag", "affiliate_id", groups="base.group_user"
    )
    open_flag_count = fields.Integer(
        compute="_compute_open_flag_count",
        string="To look at",
        groups="base.group_user",
    )

    lead_figures = fields.Char(
        compute="_compute_lead_figures", groups="base.group_user"
    )

    def _compute_open_flag_count(self):
        counts = dict(
            self.env["affiliate.referral.flag"]._read_group(
                [("affiliate_id", "in", self.ids), ("state", "=", OPEN)],
                ["affiliate_id"],
                ["__count"],
            )
        )
        for affiliate in self:
            affiliate.open_flag_count = counts.get(affiliate, 0)

    def _compute_lead_figures(self):
        """The sentence of the newest doubt about leads without a visit."""
        flags = self.env["affiliate.referral.flag"]
        newest = flags._read_group(
            [
                ("affiliate_id", "in", self.ids),
                ("kind", "=", quality.UNVISITED),
                ("state", "=", OPEN),
            ],
            ["affiliate_id"],
            ["id:max"],
        )
        notes = {affiliate: flags.browse(flag).note for affiliate, flag in newest}
        for affiliate in self:
            affiliate.lead_figures = notes.get(affiliate)

    @needs("read")
    def action_view_flags(self):
        return self._action("action_affiliate_referral_flag")


class AffiliateProgram(models.Model):
    _inherit = "affiliate.program"

    max_leads_per_address = fields.Integer(
        string="Leads from one address",
        default=5,
        help="More of them within a day, from one internet address, are held for "
        "review. 0: no limit.",
    )
    max_leads_per_hour = fields.Integer(
        string="Leads of one affiliate an hour",
        default=50,
        help="More of them are held for review. 0: no limit.",
    )
    max_leads_per_browser = fields.Integer(
        string="Leads from one browser",
        default=5,
        help="More of them within a day, from one visitor's browser, are held for "
        "review. 0: no limit.",
    )
    max_leads_without_visit = fields.Integer(
        string="Leads of one affiliate without a visit",
        default=10,
        help="More of them within a day are held for review, and the affiliate is "
        "shown with figures. 0: no limit.",
    )


def _is_shared(domain):
    """Tell whether a domain is a mail provider's, by Odoo's own list."""
    return not mail_prepare_for_domain_search(f"somebody@{domain}").startswith("@")


def _person(referral):
    """Return what rows about one person have in common."""
    return referral.email_normalized or referral.id
