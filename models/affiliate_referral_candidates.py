from collections import defaultdict
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from types import SimpleNamespace

from odoo import api, fields, models

from ..lib import attribution, visits, why
from ..lib.evidence import evidence_of
from .affiliate_affiliate import WORKING_STATES
from .affiliate_referral import CLAIM_SOURCES

_EPOCH = fields.Datetime.to_datetime("1970-01-01 00:00:00")


@dataclass
class Case:
    """One person: what is known, and what follows from it (``lib.attribution``)."""

    person: models.BaseModel  # customers
    sales: list
    candidates: list
    policies: dict = field(default_factory=dict)  # by id of the programme
    moves: list = field(default_factory=list)
    referral: models.BaseModel = None  # which binds the person, set by _bind

    @cached_property
    def since(self):
        """When the person became a customer, as far as Stripe knows."""
        return min(map(unix, filter(None, self.person.mapped("created"))), default=None)

    @cached_property
    def decision(self):
        return attribution.decide(
            self.sales, self.candidates, self.since
        ) or attribution.decide(self.sales, [m.to_candidate() for m in self.moves])

    @cached_property
    def owners(self):
        """``{affiliate id: refs of sales}``."""
        if not self.decision or not self.decision.decided_at:
            return {}
        return attribution.owners(self.sales, self.decision, self.moves)

    @property
    def owner(self):
        """The affiliate's id to whom payments to come belong."""
        return attribution.last_owner(self.decision, self.moves)

    @property
    def claim_ids(self):
        """The rows in which somebody claimed this person."""
        return {c.claim for c in self.candidates if c.claim}

    @cached_property
    def evidence(self):
        """What is stored to say why."""
        decision = self.decision
        losers = decision.losers if decision else ()
        explained = attribution.explain(
            self.sales, self.candidates, decision, self.since
        )
        return {
            "winner": decision.winner.evidence if decision else "",
            "losers": [c.evidence for c in losers[-why.MAX_LOST :]],
            "timeline": why.timeline(
                explained, decision and decision.decided_at, self.moves
            ),
        }

    @property
    def kept(self):
        """What a decision stands on from now on: when its evidence is forgotten, e.g.
        an old visit, or the programme weighs evidence in another way."""
        if not self.decision.decided_at:
            return {}
        return {
            "kept": self.decision.winner.to_json(),
            "policies": {str(k): asdict(v) for k, v in self.policies.items()},
        }


class AffiliateReferral(models.Model):
    """Evidence: from claims, Stripe's objects and visits to candidates."""

    _inherit = "affiliate.referral"

    @api.model
    def _cases(self, account, people, facts):
        """Return a ``Case`` for each person, with a constant number of queries."""
        # Read once: Odoo copies JSON whenever it is asked for it.
        stored = {
            referral: referral.evidence or {}
            for person in people
            for referral in person.referral_ids
            if referral.state == "customer"
        }
        emails = self._emails_of(people)
        claims = self._claims_of(account, people, emails)
        kept, loose = self._kept_of(people, stored), self._sessions_of(account, emails)
        moves = self._moves_of(people)
        earners, refused = self._earners(people), self._refused(people, claims)
        read = {
            person: [
                (source, at, _parse(source, value), where)
                for customer in person
                for source, at, value, where in facts.evidence[customer.stripe_id]
            ]
            + _read_sessions(loose[person], free=False)
            for person in people
        }
        free = {person: _read_sessions(loose[person], free=True) for person in people}
        known = self._known_codes(account, [*read.values(), *free.values()])
        policies = {person: self._policies_of(person, stored) for person in people}
        found = {
            person: [
                *(claim._to_candidate(policies[person]) for claim in claims[person]),
                *_stripe_candidates(read[person], known, policies[person]),
                *(
                    replace(candidate, weak=True)
                    for candidate in _stripe_candidates(
                        free[person], known, policies[person]
                    )
                ),
            ]
            for person in people
        }
        candidates = self._with_visits(account, found, kept, policies)
        self._add_sales(
            facts, [p for p in people if not candidates[p] and not moves[p]], people
        )
        return [
            Case(
                person,
                [sale for c in person for sale in facts.sales[c.stripe_id]],
                _marked(candidates[person], earners[person], refused[person]),
                policies[person].used,
                [move._to_move() for move in moves[person]],
            )
            for person in people
        ]

    @api.model
    def _with_visits(self, account, found, kept, policies):
        """Return ``{person: candidates}``: what was found, the visits it names, and
        what decided before."""
        visitors = {
            person: {c.visitor for c in candidates if c.visitor}
            for person, candidates in found.items()
        }
        clicks = self._clicks_of(account, set().union(*visitors.values()))
        return {
            person: attribution.keep(
                kept[person],
                attribution.led_by_visits(
                    candidates,
                    {
                        visitor: [
                            c._to_visit(policies[person]) for c in clicks[visitor]
                        ]
                        for visitor in visitors[person] & clicks.keys()
                    },
                ),
            )
            for person, candidates in found.items()
        }

    @api.model
    def _add_sales(self, facts, unclaimed, people):
        """Let the facts tell what people bought, but of those for whom nobody is known
        and who never earned anybody anything: it would lead to nothing."""
        customers = self.env["affiliate.stripe.customer"]
        with_rows = self.env["affiliate.commission"]._customers_with_rows(
            customers.browse(c.id for person in unclaimed for c in person)
        )
        idle = {
            person
            for person in unclaimed
            if not person.referral_ids and not with_rows.intersection(person.ids)
        }
        facts.add_sales(
            c.stripe_id for person in people if person not in idle for c in person
        )

    @api.model
    def _emails_of(self, people):
        """Return ``{address: person}``: by which claims and sessions without customer
        speak of each person."""
        emails = {}
        for person in people:
            # Who is bound keeps the address he was bound by: a claim for one he takes
            # later is somebody else's.
            bound = person.referral_ids.filtered(lambda r: r.state == "customer")
            for email in (bound or person).mapped("email_normalized"):
                if email:
                    emails[email] = person
        return emails

    @api.model
    def _sessions_of(self, account, emails):
        """Return ``{person: objects}``: the checkout sessions that made no customer, in
        which a person gave his address.

        :param emails: ``{address: person}``
        """
        sessions = self.env["affiliate.stripe.checkout.session"]
        found = defaultdict(list)
        for session in sessions._without_customer(account, emails):
            found[emails[session.email_normalized]].append(session.data)
        return found

    @api.model
    def _claims_of(self, account, people, emails):
        """Return ``{person: referrals}``: the claims that speak of each person.

        :param emails: ``{address: person}``
        """
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
        found = defaultdict(self.browse)
        for claim in claims:
            if person := bound.get(claim.id) or emails.get(claim.email_normalized):
                # Read together what is asked of any of them.
                found[person] = (found[person] | claim).with_prefetch(claims._ids)
        return found

    @api.model
    def _kept_of(self, people, stored):
        """Return ``{person: [Candidate]}``: what decided stays evidence, also after
        somebody removed it in Stripe, or its visit was forgotten.

        :param stored: ``{referral that binds: its evidence}``
        """
        kept = {
            person: [
                attribution.Candidate.from_json(stored[referral]["kept"])
                for referral in person.referral_ids
                if "kept" in stored.get(referral, ())
            ]
            for person in people
        }
        affiliates = self.env["affiliate.affiliate"].with_context(active_test=False)
        affiliates = affiliates.search(
            [
                ("id", "in", list({c.affiliate for cs in kept.values() for c in cs})),
                ("state", "in", WORKING_STATES),
            ]
        )
        working = set(affiliates.ids)
        return {
            person: [c for c in found if c.affiliate in working]
            for person, found in kept.items()
        }

    @api.model
    def _earners(self, people):
        """Return ``{person: {ids of affiliates who have earned by him}}``."""
        referrals = [r.id for person in people for r in person.referral_ids]
        earners = defaultdict(set)
        for referral, affiliate in self.env["affiliate.commission"]._read_group(
            [("referral_id", "in", referrals)], ["referral_id", "affiliate_id"]
        ):
            earners[referral.id].add(affiliate.id)
        return {
            person: set().union(*(earners[r.id] for r in person.referral_ids))
            for person in people
        }

    @api.model
    def _moves_of(self, people):
        """Return ``{person: moves}``."""
        referrals = self.browse().union(*(person.referral_ids for person in people))
        moves = self.env["affiliate.referral.move"].search(
            [("referral_id", "in", referrals.ids)]
        )
        return {
            person: moves.filtered(lambda m, p=person: m.referral_id in p.referral_ids)
            for person in people
        }

    @api.model
    def _refused(self, people, claims):
        """Return ``{person: {ids of affiliates whom a manager refused him}}``."""
        speaking = {person: person.referral_ids | claims[person] for person in people}
        refused = defaultdict(set)
        for flag in self.env["affiliate.referral.flag"].search(
            [
                ("referral_id", "in", self.browse().union(*speaking.values()).ids),
                ("state", "=", "refused"),
            ]
        ):
            refused[flag.referral_id].add(flag.affiliate_id.id)
        return {
            person: set().union(*(refused[r] for r in referrals))
            for person, referrals in speaking.items()
        }

    @api.model
    def _policies_of(self, person, stored):
        """Return the ``Policies`` for a person: who is bound stays with what counted
        when he was.

        :param stored: ``{referral that binds: its evidence}``
        """
        policies = {}
        for referral in person.referral_ids:
            policies |= stored.get(referral, {}).get("policies") or {}
        return Policies(policies)

    @api.model
    def _known_codes(self, account, read):
        """Return our codes that were found, by text and by Stripe id.

        :param read: ``[[(source, at, value, where)]]``, values parsed
        """
        values = [value for found in read for _s, _at, value, _w in found]
        known = self.env["affiliate.code"].search(
            [
                ("stripe_account_id", "=", account.id),
                ("affiliate_id.state", "in", WORKING_STATES),
                "|",
                ("code", "in", list({v.code for v in values if v.code})),
                (
                    "promotion_code_ids.stripe_id",
                    "in",
                    list({v.promotion for v in values if v.promotion}),
                ),
            ]
        )
        return SimpleNamespace(
            by_text={code.code: code for code in known},
            by_promotion={
                promotion.stripe_id: code
                for code in known
                for promotion in code.with_context(active_test=False).promotion_code_ids
            },
        )

    @api.model
    def _clicks_of(self, account, visitors):
        """Return ``{visitor: visits}`` by links of affiliates who work."""
        clicks = self.env["affiliate.click"].search(
            [
                ("visitor", "in", list(visitors)),
                ("program_id.stripe_account_id", "=", account.id),
                ("affiliate_id.state", "in", WORKING_STATES),
            ]
        )
        return clicks.grouped("visitor")

    def _to_candidate(self, policies):
        self.ensure_one()
        how = dict(self._fields["source"]._description_selection(self.env))
        return attribution.Candidate(
            affiliate=self.affiliate_id.id,
            source=self.source,
            at=unix(self.date),
            evidence=self.env._(
                "%(how)s: %(email)s for %(affiliate)s on %(date)s",
                how=how[self.source],
                email=self.email,
                affiliate=self.affiliate_id.partner_id.name,
                date=fields.Datetime.to_string(self.date),
            ),
            code=self.code_id.id or None,
            claim=self.id,
            history=self.source == "manual" and self.include_history,
            policy=policies.of(self.affiliate_id.program_id),
            visitor=self.visitor or "",
            carrier=self.email or "",
            weak=self.without_visit,
        )


class AffiliateClick(models.Model):
    _inherit = "affiliate.click"

    def _to_visit(self, policies):
        self.ensure_one()
        told = [
            self.landing_url,
            self.referrer and self.env._("from %s", self.referrer),
            self.utm_campaign and self.env._("campaign %s", self.utm_campaign),
            self.sub_id and self.env._("sub-id %s", self.sub_id),
            self.search_engine and self.env._("found by %s", self.search_engine),
            self.ad_network and self.env._("advertisement of %s", self.ad_network),
        ]
        return attribution.Visit(
            id=self.id,
            affiliate=self.affiliate_id.id,
            code=self.code_id.id,
            at=unix(self.date),
            evidence=": ".join([self.code_id.code, ", ".join(filter(None, told))]),
            policy=policies.of(self.program_id),
            search=self.search_engine or "",
            ad=self.ad_network or "",
        )


class Policies:
    """What counts for one person, by programme; remembers what was asked."""

    def __init__(self, stored=()):
        self.stored, self.used = dict(stored), {}

    def of(self, program):
        if program.id not in self.used:
            stored = self.stored.get(str(program.id))
            self.used[program.id] = (
                attribution.policy_from_json(stored)
                if stored
                else program._get_policy()
            )
        return self.used[program.id]


def _parse(source, value):
    """Return what evidence names: ``promotion``, or ``code`` and ``visitor``."""
    if source == attribution.CODE:
        return SimpleNamespace(promotion=value, code="", visitor="")
    try:
        reference = visits.parse_reference(value)
    except ValueError:
        reference = visits.Reference("")
    return SimpleNamespace(promotion="", code=reference.code, visitor=reference.visitor)


def _read_sessions(sessions, free):
    """Return the evidence of checkout sessions that made no customer, values parsed.

    Setting up a means of payment takes one. A checkout of 0.00 takes nothing but an
    address, which may be anybody's: like a lead, it is weak without a visit.

    :param list sessions: as Stripe has them
    :param bool free: those of 0.00, else those in setup mode
    """
    return [
        (source, at, _parse(source, value), where)
        for session in sessions
        if (session.get("mode") != "setup") == free
        for source, at, value, where in evidence_of("checkout_session", session)
    ]


def _stripe_candidates(read, known, policies):
    """Yield a Candidate for whatever Stripe's objects say of one person.

    :param read: ``[(source, at, value, where)]`` of ``lib.evidence.evidence_of``,
        values parsed
    """
    for source, at, value, where in read:
        if source == attribution.CODE:
            code = known.by_promotion.get(value.promotion)
        else:
            code = known.by_text.get(value.code)
        if code or value.visitor:
            yield attribution.Candidate(
                affiliate=code.affiliate_id.id if code else None,
                source=source,
                at=at,
                evidence=f"{code.code} ({source}, {where})" if code else where,
                code=code.id if code else None,
                policy=policies.of(code.program_id) if code else attribution.Policy(),
                visitor=value.visitor,
                carrier=where,
            )


def _marked(candidates, earners, refused):
    """Return the candidates, those marked that can decide no more.

    Metadata can be written at any time and bears no date of its own: it never takes a
    customer who has earned for another.

    :param earners: ids of the affiliates who have earned by this person
    :param refused: ids of those of whom a manager decided that they never will
    """
    marked = []
    for candidate in candidates:
        if candidate.affiliate in refused:
            candidate = replace(candidate, refused=attribution.REFUSED)
        elif candidate.source == attribution.METADATA:
            if earners and candidate.affiliate not in earners:
                candidate = replace(candidate, refused=attribution.UNDATED)
        marked.append(candidate)
    return marked


def unix(moment_):
    return int((moment_ - _EPOCH).total_seconds()) if moment_ else None


def moment(timestamp):
    if timestamp is None:
        return False
    return fields.Datetime.add(_EPOCH, seconds=timestamp)
