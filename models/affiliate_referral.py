import dataclasses
import logging
import secrets
from collections import defaultdict
from functools import partial

from odoo import Command, api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tools import SQL, email_normalize

from ..lib import attribution, codes
from .affiliate_affiliate import WORKING_STATES

_logger = logging.getLogger(__name__)

# Referral rows somebody made, as opposed to those read from Stripe's objects.
CLAIM_SOURCES = ("manual", "form", "sdk", "import")
# What a claim says; the binding of a customer is changed by new facts only.
DECIDED_FIELDS = {"customer_ids", "decided_at", "evidence", "state", "token"}
CLAIM_FIELDS = {"email", "affiliate_id", "code_id", "date", "include_history"}


class AffiliateReferral(models.Model):
    """The mapping of one person to one affiliate, and why.

    A row made by a person (form, script, by hand) is a claim until the first payment
    decides; the row that wins owns the person's Stripe customers from then on. Rows
    read from Stripe's objects (codes, references) are made by :meth:`_refresh`.
    """

    _name = "affiliate.referral"
    _description = "Referral"
    _inherit = ["mail.thread"]
    _order = "date desc, id desc"
    _check_company_auto = True

    email = fields.Char(help="E-mail of the person; empty where only Stripe knows it.")
    email_normalized = fields.Char(
        compute="_compute_email_normalized", store=True, index="btree_not_null"
    )
    affiliate_id = fields.Many2one(
        "affiliate.affiliate",
        required=True,
        index=True,
        ondelete="restrict",
        tracking=True,
    )
    program_id = fields.Many2one(
        related="affiliate_id.program_id", store=True, index=True, string="Programme"
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
    code_id = fields.Many2one("affiliate.code", index="btree_not_null")
    source = fields.Selection(
        [
            ("manual", "By hand"),
            ("code", "Promotion code"),
            ("client_reference", "Link (client_reference_id)"),
            ("metadata", "Metadata"),
            ("form", "E-mail form"),
            ("sdk", "Script"),
            ("import", "Import"),
        ],
        default="manual",
        required=True,
        readonly=True,
    )
    state = fields.Selection(
        [
            ("lead", "Lead"),
            ("customer", "Customer"),
            ("rejected", "Not counted"),
            ("expired", "Expired"),
        ],
        default="lead",
        required=True,
        readonly=True,
        copy=False,
        tracking=True,
    )
    visitor = fields.Char(
        readonly=True,
        copy=False,
        index="btree_not_null",
        help="Of the browser in which the person left the e-mail; leads to the visits.",
    )
    token = fields.Char(
        default=lambda self: secrets.token_urlsafe(16), readonly=True, copy=False
    )
    date = fields.Datetime(
        required=True,
        default=fields.Datetime.now,
        help="When the affiliate brought this person: payments from then on count.",
    )
    include_history = fields.Boolean(
        string="Earlier payments too",
        help="Earn on payments made before the date as well.",
    )
    decided_at = fields.Datetime(
        string="Decided", readonly=True, help="The payment that decided."
    )
    customer_ids = fields.Many2many(
        "affiliate.stripe.customer",
        "affiliate_referral_customer_rel",
        "referral_id",
        "customer_id",
        string="Stripe customers",
        readonly=True,
        copy=False,
    )
    evidence = fields.Json(
        readonly=True,
        copy=False,
        help="The evidence that won, and the candidates that lost.",
    )
    evidence_text = fields.Text(compute="_compute_evidence_text", string="Why")
    commission_ids = fields.One2many("affiliate.commission", "referral_id")

    _token_uniq = models.UniqueIndex("(token)")

    def init(self):
        # One binding a customer, for any number of workers.
        self.env.cr.execute(
            """CREATE UNIQUE INDEX IF NOT EXISTS
                   affiliate_referral_customer_rel_customer_uniq
                   ON affiliate_referral_customer_rel (customer_id)"""
        )

    # === COMPUTE METHODS === #

    @api.depends("email")
    def _compute_email_normalized(self):
        for referral in self:
            referral.email_normalized = email_normalize(referral.email or "") or False

    @api.depends("email", "customer_ids")
    def _compute_display_name(self):
        for referral in self:
            customer = referral.customer_ids[:1]
            referral.display_name = (
                referral.email or customer.display_name or self.env._("Somebody")
            )

    @api.depends("evidence")
    def _compute_evidence_text(self):
        for referral in self:
            evidence = referral.evidence or {}
            lines = [evidence["winner"]] if evidence.get("winner") else []
            lines += [
                self.env._("Not counted: %s", loser)
                for loser in evidence.get("losers", ())
            ]
            referral.evidence_text = "\n".join(lines)

    # === CONSTRAINT METHODS === #

    @api.constrains("email", "source")
    def _check_email(self):
        for referral in self:
            if referral.source in CLAIM_SOURCES and not referral.email_normalized:
                raise ValidationError(
                    self.env._("%s is not an e-mail address.", referral.email or "")
                )

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        referrals = super().create(vals_list)
        claims = referrals.filtered(lambda r: r.source in CLAIM_SOURCES)
        claims._check_not_bound()
        claims._refresh_people()
        return referrals

    @api.model
    def _refuse(self, names):
        """Refuse what only a decision writes, whatever interface somebody uses."""
        if names := DECIDED_FIELDS & set(names):
            raise AccessError(
                self.env._(
                    "This is decided by payments, not by hand: %s.",
                    ", ".join(sorted(names)),
                )
            )

    def write(self, vals):
        """A person may correct a lead; a customer's binding is not edited."""
        if not self.env.su:
            self._refuse(vals.keys())
        edited = not self.env.su and CLAIM_FIELDS & vals.keys()
        if edited and any(referral.state == "customer" for referral in self):
            raise UserError(
                self.env._(
                    "This customer has paid and belongs to the affiliate for good."
                )
            )
        released = self.browse()
        if edited and "email" in vals:
            # Whoever had the mistaken address is somebody else's again.
            released = self.customer_ids
            self.sudo().write({"customer_ids": [Command.clear()]})
        result = super().write(vals)
        if edited:
            claims = self.filtered(lambda r: r.source in CLAIM_SOURCES)
            claims._check_not_bound()
            claims._refresh_people(released)
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_only_leads(self):
        if any(referral.commission_ids for referral in self):
            raise UserError(
                self.env._("A referral that has earned a commission cannot be deleted.")
            )

    def _check_not_bound(self):
        """A claim never takes over a customer who belongs to somebody already."""
        for claim in self:
            bound = self._bound_to(claim.stripe_account_id, claim.email_normalized)
            others = bound.filtered(
                lambda r, claim=claim: (
                    r.state == "customer" and r.affiliate_id != claim.affiliate_id
                )
            )
            if others and claim.source == "manual":
                raise UserError(
                    self.env._(
                        "%(email)s has paid already and belongs to %(affiliate)s since "
                        "%(date)s.",
                        email=claim.email,
                        affiliate=others[0].affiliate_id.display_name,
                        date=fields.Date.to_string(others[0].decided_at),
                    )
                )

    @api.model
    def _bound_to(self, account, email):
        return self.search(
            [
                ("stripe_account_id", "=", account.id),
                ("customer_ids.email_normalized", "=", email),
            ]
        )

    # === ATTRIBUTION === #

    def _refresh_people(self, others=()):
        """Decide again about the people these referrals speak of, and ``others``.

        Once now, for whoever looks at the answer. Once more after the commit: a
        payment stored at the same moment is not visible to this transaction, nor this
        claim to the one that stored it.
        """
        self._decide_people(others)
        self.env.cr.postcommit.add(partial(self._decide_people_anew, self.ids))

    @api.model
    def _decide_people_anew(self, ids):
        with self.env["affiliate.stripe.sync"]._transaction() as own:
            own.env[self._name].browse(ids).exists()._decide_people()

    def _decide_people(self, others=()):
        for account, claims in self.grouped("stripe_account_id").items():
            self.env["affiliate.stripe.sync"]._lock(account)
            customers = self.env["affiliate.stripe.customer"].sudo()
            customers = customers.with_context(active_test=False).search(
                [
                    ("account_id", "=", account.id),
                    "|",
                    ("email_normalized", "in", claims.mapped("email_normalized")),
                    ("id", "in", [*claims.customer_ids.ids, *(c.id for c in others)]),
                ]
            )
            if customers:
                self.sudo()._refresh(account, customers)

    @api.model
    def _refresh(self, account, customers):
        """Bind ``customers`` by all evidence there is, and correct their ledger.

        A pure recomputation: called for whatever changed, in any order, any number of
        times, it ends in the same bindings and the same ledger.

        :param customers: ``affiliate.stripe.customer`` of one account
        """
        people = self._people(account, customers)
        if not people:
            return
        facts = self.env["affiliate.commission"]._gather_facts(
            account, [c for person in people for c in person]
        )
        candidates = self._gather_candidates(account, people, facts)
        sales = {
            person: [sale for c in person for sale in facts.sales[c.stripe_id]]
            for person in people
        }
        decisions = {
            person: attribution.decide(sales[person], candidates[person])
            for person in people
        }
        referrals = self._bind(decisions)
        ledgers = [
            (person, referrals.get(person), decisions[person], sales[person])
            for person in people
        ]
        self.env["affiliate.commission"]._book(ledgers, self._programs(account), facts)

    @api.model
    def _refresh_users_of(self, account, promotion_id):
        """Decide again about customers who used a promotion code before it was ours."""
        carriers = ("invoice", "invoice_line", "subscription", "checkout_session")
        pattern = f"%{promotion_id}%"
        used = SQL(" UNION ").join(
            SQL(
                "SELECT %s FROM %s WHERE account_id = %s AND data::text LIKE %s",
                SQL.identifier(
                    "invoice_ref" if kind == "invoice_line" else "customer_ref"
                ),
                SQL.identifier(f"affiliate_stripe_{kind}"),
                account.id,
                pattern,
            )
            for kind in carriers
        )
        refs = {ref for (ref,) in self.env.execute_query(used) if ref}
        invoices = self.env["affiliate.stripe.invoice"].search(
            [("account_id", "=", account.id), ("stripe_id", "in", list(refs))]
        )
        refs.update(invoices.mapped("customer_ref"))
        self.env["affiliate.stripe.sync"]._lock(account)
        customers = self.env["affiliate.stripe.customer"].sudo()
        self.sudo()._refresh(
            account,
            customers.with_context(active_test=False).search(
                [("account_id", "=", account.id), ("stripe_id", "in", list(refs))]
            ),
        )

    @api.model
    def _programs(self, account):
        return (
            self.env["affiliate.program"]
            .with_context(active_test=False)
            .search([("stripe_account_id", "=", account.id)])
        )

    @api.model
    def _people(self, account, customers):
        """Return the persons behind ``customers``: recordsets of customers that belong
        together by e-mail or by an earlier binding.

        A customer who is bound elsewhere already never joins by e-mail: who changes
        his address keeps his affiliate.
        """
        model = self.env["affiliate.stripe.customer"].with_context(active_test=False)
        emails = [email for email in customers.mapped("email_normalized") if email]
        same = model.search(
            [("account_id", "=", account.id), ("email_normalized", "in", emails)]
        )
        # A claim keeps its person, also after he changed his address.
        claims = self.with_context(active_test=False).search(
            [
                ("stripe_account_id", "=", account.id),
                ("source", "in", CLAIM_SOURCES),
                ("email_normalized", "in", emails),
                ("customer_ids", "!=", False),
            ],
            order="id",
        )
        everyone = customers | same | claims.customer_ids
        everyone |= everyone.referral_ids.customer_ids
        groups = defaultdict(model.browse)
        by_email = {}
        for claim in claims:
            by_email.setdefault(claim.email_normalized, ("referral", claim.id))
        for customer in everyone.sorted("id"):
            if customer.referral_ids:
                key = ("referral", customer.referral_ids[0].id)
                by_email.setdefault(customer.email_normalized, key)
                groups[key] |= customer
        for customer in everyone.sorted("id"):
            if not customer.referral_ids:
                email = customer.email_normalized
                key = by_email.get(email) if email else ("customer", customer.id)
                groups[key or ("email", email)] |= customer
        # Read together what is asked of any of them.
        return [person.with_prefetch(everyone._ids) for person in groups.values()]

    @api.model
    def _gather_candidates(self, account, people, facts):
        """Return ``{person: [Candidate]}`` from claims and Stripe's objects."""
        by_text, by_promotion = self._known_codes(account, facts)
        earners = self._earners(people)
        emails = {}
        for person in people:
            # Who is bound keeps the address he was bound by: a claim for one he takes
            # later is somebody else's.
            bound = person.referral_ids.filtered(lambda r: r.state == "customer")
            for email in (bound or person).mapped("email_normalized"):
                if email:
                    emails[email] = person
        candidates = {person: [] for person in people}
        claims = self.with_context(active_test=False).search(
            [
                ("stripe_account_id", "=", account.id),
                ("source", "in", CLAIM_SOURCES),
                ("affiliate_id.state", "in", WORKING_STATES),
                "|",
                ("email_normalized", "in", list(emails)),
                ("customer_ids", "in", [c.id for person in people for c in person]),
            ]
        )
        bound = {claim.id: person for person in people for claim in person.referral_ids}
        for claim in claims:
            person = bound.get(claim.id) or emails.get(claim.email_normalized)
            if person:
                candidates[person].append(claim._to_candidate())
        for person in people:
            owners = set().union(*(earners[r.id] for r in person.referral_ids))
            for customer in person:
                for raw_evidence in facts.evidence[customer.stripe_id]:
                    candidate = _stripe_candidate(raw_evidence, by_text, by_promotion)
                    if not candidate:
                        continue
                    if candidate.source == attribution.METADATA and owners:
                        # Metadata can be written at any time and bears no date of its
                        # own: it never takes a customer who has earned for another.
                        candidate = dataclasses.replace(
                            candidate, powerless=candidate.affiliate not in owners
                        )
                    candidates[person].append(candidate)
            for bound_ in person.referral_ids:
                if (
                    bound_.state == "customer"
                    and bound_.source not in CLAIM_SOURCES
                    and bound_.affiliate_id.state in WORKING_STATES
                ):
                    candidates[person].append(bound_._to_kept_candidate())
        return candidates

    def _to_kept_candidate(self):
        """What decided stays evidence, also after somebody removed it in Stripe."""
        return attribution.Candidate(
            affiliate=self.affiliate_id.id,
            source=self.source,
            at=_unix(self.date),
            evidence=(self.evidence or {}).get("winner") or "",
            code=self.code_id.id or None,
            code_beats_link=self.program_id.code_beats_link,
        )

    @api.model
    def _earners(self, people):
        """Return ``{referral id: {ids of affiliates who have earned by it}}``."""
        referrals = [r.id for person in people for r in person.referral_ids]
        earners = defaultdict(set)
        for referral, affiliate in self.env["affiliate.commission"]._read_group(
            [("referral_id", "in", referrals)], ["referral_id", "affiliate_id"]
        ):
            earners[referral.id].add(affiliate.id)
        return earners

    @api.model
    def _known_codes(self, account, facts):
        """Return our codes that ``facts`` speak of, by text and by Stripe id."""
        values = {
            value for found in facts.evidence.values() for _s, _at, value, _w in found
        }
        known = self.env["affiliate.code"].search(
            [
                ("stripe_account_id", "=", account.id),
                ("affiliate_id.state", "in", WORKING_STATES),
                "|",
                ("code", "in", [codes.normalise(value) for value in values]),
                ("promotion_code_ids.stripe_id", "in", list(values)),
            ]
        )
        by_text = {code.code: code for code in known}
        by_promotion = {
            promotion.stripe_id: code
            for code in known
            for promotion in code.with_context(active_test=False).promotion_code_ids
        }
        return by_text, by_promotion

    def _to_candidate(self):
        self.ensure_one()
        return attribution.Candidate(
            affiliate=self.affiliate_id.id,
            source=self.source,
            at=_unix(self.date),
            evidence=self.env._(
                "%(how)s: %(email)s for %(affiliate)s on %(date)s",
                how=dict(self._fields["source"]._description_selection(self.env))[
                    self.source
                ],
                email=self.email,
                affiliate=self.affiliate_id.partner_id.name,
                date=fields.Datetime.to_string(self.date),
            ),
            code=self.code_id.id or None,
            claim=self.id,
            history=self.source == "manual" and self.include_history,
            code_beats_link=self.program_id.code_beats_link,
            last_wins=self.program_id.attribution_model == "last",
        )

    @api.model
    def _bind(self, decisions):
        """Make the decisions the bindings of people.

        :param decisions: ``{person: Decision or None}``
        :return: ``{person: referral}`` of those with a decision
        """
        held, freed, lost = {}, self.browse(), self.browse()
        for person, decision in decisions.items():
            if not decision:
                continue
            current = person.referral_ids[:1]
            held[person] = referral = (
                self.browse(decision.winner.claim)
                if decision.winner.claim
                else current.filtered(lambda r: r.source not in CLAIM_SOURCES)
            )
            freed |= person.referral_ids - referral
            if decision.decided_at:
                lost |= self.browse([c.claim for c in decision.losers if c.claim])
        if freed:
            freed.write({"customer_ids": [Command.clear()], "state": "rejected"})
            # The unique index sees each statement: these customers are free now.
            self.env.flush_all()
        known = self.union(*held.values())
        new = [person for person, referral in held.items() if not referral]
        created = self.create(
            [
                {
                    **self._binding(person, decisions[person]),
                    "email": next(filter(None, person.mapped("email")), False),
                }
                for person in new
            ]
        )
        for person, referral in held.items():
            held[person] = referral = referral.with_prefetch(known._ids)
            if referral:
                values = self._binding(person, decisions[person])
                referral.write(referral._changed(values))
        lost.filtered(lambda r: r.state == "lead").state = "rejected"
        held.update(zip(new, created, strict=True))
        return held

    @api.model
    def _binding(self, person, decision):
        """Return the values of the referral that binds ``person``."""
        winner = decision.winner
        values = {
            "affiliate_id": winner.affiliate,
            "code_id": winner.code,
            "state": "customer" if decision.decided_at else "lead",
            "decided_at": _moment(decision.decided_at),
            "evidence": {
                "winner": winner.evidence,
                "losers": [candidate.evidence for candidate in decision.losers],
            },
            "customer_ids": [Command.set(person.ids)],
        }
        if not winner.claim:
            values.update(source=winner.source, date=_moment(winner.at))
        return values

    def _changed(self, values):
        """Return the values that differ, so that nothing is tracked for nothing."""
        self.ensure_one()
        changed = {}
        for name, value in values.items():
            present = self[name]
            if isinstance(present, models.BaseModel):
                if name == "customer_ids":
                    present, wanted = set(present.ids), set(value[0][2])
                else:
                    present, wanted = present.id or None, value or None
            else:
                present, wanted = present or None, value or None
            if present != wanted:
                changed[name] = value
        return changed

    # === ACTION METHODS === #

    def action_view_commissions(self):
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "affiliate_stripe.action_affiliate_commission"
        )
        action["domain"] = [("referral_id", "in", self.ids)]
        return action


class AffiliateStripeCustomer(models.Model):
    """The business' view of a mirrored customer; the mirror itself knows nothing."""

    _inherit = "affiliate.stripe.customer"

    referral_ids = fields.Many2many(
        "affiliate.referral",
        "affiliate_referral_customer_rel",
        "customer_id",
        "referral_id",
        readonly=True,
        copy=False,
    )
    affiliate_id = fields.Many2one(related="referral_ids.affiliate_id")


class AffiliateStripeInvoice(models.Model):
    _inherit = "affiliate.stripe.invoice"

    affiliate_id = fields.Many2one(related="customer_id.affiliate_id")


class AffiliateStripeCharge(models.Model):
    _inherit = "affiliate.stripe.charge"

    affiliate_id = fields.Many2one(related="customer_id.affiliate_id")


class AffiliateStripeSync(models.AbstractModel):
    _inherit = "affiliate.stripe.sync"

    @api.model
    def _after_store(self, account, customer_refs):
        result = super()._after_store(account, customer_refs)
        customers = self.env["affiliate.stripe.customer"].search(
            [("account_id", "=", account.id), ("stripe_id", "in", list(customer_refs))]
        )
        self.env["affiliate.referral"]._refresh(account, customers)
        return result


def _stripe_candidate(raw_evidence, by_text, by_promotion):
    """Return the Candidate of one piece of evidence, or None if it names no code.

    :param raw_evidence: ``(source, at, values, where)`` of
        ``lib.evidence.evidence_of``; values are promotion code ids or texts
    """
    source, at, value, where = raw_evidence
    if source == attribution.CODE:
        code = by_promotion.get(value)
    else:
        code = by_text.get(codes.normalise(value))
    if not code:
        return None
    return attribution.Candidate(
        affiliate=code.affiliate_id.id,
        source=source,
        at=at,
        evidence=f"{code.code} ({source}, {where})",
        code=code.id,
        code_beats_link=code.program_id.code_beats_link,
    )


def _unix(moment):
    return int((moment - _EPOCH).total_seconds()) if moment else None


def _moment(timestamp):
    if timestamp is None:
        return False
    return fields.Datetime.add(_EPOCH, seconds=timestamp)


_EPOCH = fields.Datetime.to_datetime("1970-01-01 00:00:00")
