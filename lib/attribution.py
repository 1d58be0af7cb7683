"""Which affiliate brought this customer: a pure function of facts and their times.

Only the times at which things *happened* count, never when we heard of them, so late
and shuffled events lead to the same owner (ARCHITECTURE.md, "Binding").
"""

from dataclasses import asdict, dataclass, field, fields, replace

from .days import day_of
from .stripe_rows import moment

MANUAL, CODE, REFERENCE, METADATA, FORM, SERVER, SDK, IMPORT = (
    "manual",
    "code",
    "client_reference",
    "metadata",
    "form",
    "server",
    "sdk",
    "import",
)
# Evidence found in Stripe belongs to a payment by itself; the others are claims of
# somebody who says he brought this person.
CLAIMS = (FORM, SERVER, SDK, IMPORT)
# Claims that anybody on the internet can make. Without a visit that our server has
# recorded they are weak (``Candidate.weak``).
LEADS = (FORM, SDK)
# What a programme puts in order, the strongest first. What a person decided comes
# before all of it; of claims, those of the form are the strongest.
KINDS = (CODE, REFERENCE, METADATA, FORM)
_LINKS = (REFERENCE, METADATA)
# What a person decided, and what a customer typed at the payment, stands for itself;
# links and claims have a window, and do not bind everybody.
_DIRECT = (MANUAL, CODE)
DAY = 86400

# Which customers a link or claim may bind.
UNPAID, CREATED_AFTER, ANY = "unpaid", "created_after", "any"
# What a visit from paid advertising, or a lead without a visit, is good for.
ALLOW, HOLD, BLOCK = "allow", "hold", "block"

# Why a candidate decided nothing.
(
    REFUSED,
    UNDATED,
    SEARCHED,
    ADVERTISED,
    AFTER_PAYMENT,
    EXPIRED,
    OUTSIDE_WINDOW,
    KNOWN_BEFORE,
    UNVISITED,
    CREATED_BEFORE,
    WEAK,
    WEAKER,
    SEEN_LATER,
    NOT_FIRST,
    NOT_LAST,
) = (
    "refused",
    "undated",
    "searched",
    "advertised",
    "after_payment",
    "expired",
    "outside_window",
    "known_before",
    "unvisited",
    "created_before",
    "weak",
    "weaker",
    "seen_later",
    "not_first",
    "not_last",
)


@dataclass(frozen=True, order=True)
class Policy:
    """How a programme weighs evidence; times are seconds."""

    order: str = ",".join(KINDS)  # of evidence, the strongest first
    last_wins: bool = False  # the last contact by link or lead, not the first
    window: int = 60 * DAY  # from a visit to what it led to
    expiry: int = 365 * DAY  # from a claim to the first payment
    existing: str = UNPAID
    search: str = ALLOW  # visits by way of a search engine
    ads: str = HOLD
    weak: str = HOLD  # leads without a visit
    zone: str = ""  # time zone in whose days ``expiry`` counts; empty: exact seconds


@dataclass(frozen=True)
class Candidate:
    """One piece of evidence.

    ``at`` is Unix seconds of what it tells about, e.g. a visit. ``seen`` is when it
    became known whose it was, e.g. by the checkout that carried the visitor's id, and
    ``until`` the first time it was: there a visit's window ends. Both are ``at`` unless
    told otherwise.

    ``claim`` is the id of the referral row it came from, if a person made it;
    ``history``: a manual mapping that asks for the earlier payments too; ``ad``: whose
    advertisement led to the visit; ``refused``: why it is only kept to be shown;
    ``carrier``: what told of it, e.g. ``checkout session cs_1``.

    ``weak``: a lead without a visit, so anybody may have made it up. It comes after
    everything else and never takes a customer who was in Stripe before it.
    """

    affiliate: int
    source: str
    at: int
    evidence: str
    code: int = None
    claim: int = None
    history: bool = False
    policy: Policy = Policy()
    seen: int = None
    until: int = None
    visitor: str = ""
    visit: int = None
    search: str = ""  # engine that led to the visit, where no advertisement did
    ad: str = ""
    refused: str = ""
    carrier: str = ""
    weak: bool = False

    def __post_init__(self):
        for name in ("seen", "until"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, self.at)

    def to_json(self):
        """Return a dict that JSON can hold; see ``from_json``."""
        return asdict(self)

    @classmethod
    def from_json(cls, values):
        """Return the candidate of a dict, which may lack or hold what others know."""
        names = {each.name for each in fields(cls)}
        known = {name: value for name, value in values.items() if name in names}
        return cls(**{**known, "policy": policy_from_json(values.get("policy"))})


@dataclass(frozen=True)
class Visit:
    """A visit by an affiliate's link."""

    id: int
    affiliate: int
    code: int
    at: int
    evidence: str
    policy: Policy = Policy()
    search: str = ""
    ad: str = ""


@dataclass(frozen=True)
class Move:
    """A person's decision to give payments to another affiliate.

    ``since``: of payments from then on; None: of all there are.
    """

    id: int
    affiliate: int
    at: int
    since: int = None
    reason: str = ""

    def to_candidate(self):
        """What it says where no other evidence is left."""
        return Candidate(
            self.affiliate,
            MANUAL,
            self.at if self.since is None else self.since,
            self.reason,
            history=self.since is None,
        )


@dataclass(frozen=True)
class Decision:
    """``winner`` owns the sales in ``covered`` (refs); ``decided_at`` is None before
    the first payment, when the winner is only the best candidate so far.

    ``losers`` brought the same person for other affiliates.
    """

    winner: Candidate
    decided_at: int = None
    covered: frozenset = frozenset()
    losers: tuple = field(default_factory=tuple)


def policy_from_json(values):
    """Return the Policy of a dict, which may lack or hold what others know."""
    values = dict(values or {})
    if not values.get("code_beats_link", True):  # how it was told once
        values.setdefault("order", link_first(Policy.order))
    if values:  # kept when leads without a visit were like all others
        values.setdefault("weak", ALLOW)
    names = {each.name for each in fields(Policy)}
    return Policy(**{k: v for k, v in values.items() if k in names})


def code_first(order):
    """Return an order of evidence with codes before links and metadata, if need be."""
    kinds = order.split(",")
    if kinds.index(CODE) > kinds.index(REFERENCE):
        kinds.remove(CODE)
        kinds.insert(min(map(kinds.index, _LINKS)), CODE)
    return ",".join(kinds)


def link_first(order):
    """Return an order of evidence with links and metadata before codes, if need be."""
    kinds = order.split(",")
    if kinds.index(CODE) < kinds.index(REFERENCE):
        kinds.remove(CODE)
        kinds.insert(1 + max(map(kinds.index, _LINKS)), CODE)
    return ",".join(kinds)


# --- visits --------------------------------------------------------------------------


def led_by_visits(candidates, visits):
    """Return the candidates, visits in the place of evidence that names a visitor.

    His visits before it count; where none was recorded, the evidence stands for itself.
    With a visit, a lead is weak no more.

    :param candidates: all evidence about one person; ``affiliate`` is None where it
        names a visitor only
    :param visits: ``{visitor: [Visit]}``
    """
    moments = {}
    for candidate in candidates:
        moments.setdefault(candidate.visitor, []).append(candidate.at)
    found = []
    for candidate in candidates:
        before = [
            visit
            for visit in visits.get(candidate.visitor, ())
            if visit.at <= candidate.at
        ]
        if not before and candidate.affiliate:
            found.append(candidate)
        found += [
            replace(
                candidate,
                affiliate=visit.affiliate,
                code=visit.code,
                at=visit.at,
                seen=candidate.at,
                until=min(m for m in moments[candidate.visitor] if m >= visit.at),
                evidence=visit.evidence,
                policy=visit.policy,
                visit=visit.id,
                search=visit.search,
                ad=visit.ad,
                weak=False,
            )
            for visit in before
        ]
    return found


def keep(kept, candidates):
    """Return the candidates with those on which an earlier decision stands.

    They stand in for the same evidence without the visits that have been forgotten,
    and give way where its visits have become known.
    """
    visited = {c.visitor for c in candidates if c.visit}
    kept = [c for c in kept if c.visit or not c.visitor or c.visitor not in visited]
    claims = {c.claim for c in kept if c.claim}
    return [*kept, *(c for c in candidates if c.visit or c.claim not in claims)]


# --- the decision --------------------------------------------------------------------


def decide(sales, candidates, since=None):
    """Return the Decision, or None where nobody has a valid claim.

    The first payment over which there is valid evidence decides, and lasts.

    :param sales: sales of one person; only those with money received count
    :param candidates: all evidence about the person, in any order
    :param since: when the person became a customer in Stripe, None where not known
    """
    paid = paid_sales(sales)
    first = paid[0][0] if paid else None
    for position, (paid_at, counts_at, _ref) in enumerate(paid):
        valid = [
            candidate
            for candidate in candidates
            if not _objection(candidate, counts_at, first, since)
        ]
        if winner := min(valid, key=_preference(counts_at), default=None):
            start = 0 if winner.history else position
            return Decision(
                winner,
                decided_at=paid_at,
                covered=frozenset(ref for _paid, _counts, ref in paid[start:]),
                losers=_losers(candidates, winner),
            )
    # Evidence for payments that are still to come.
    waiting = [
        candidate
        for candidate in candidates
        if not _objection(candidate, None, first, since)
        and not (candidate.source in CLAIMS and paid and candidate.at <= paid[-1][1])
    ]
    if winner := min(waiting, key=_preference(), default=None):
        return Decision(winner, losers=_losers(waiting, winner))
    return None


def owners(sales, decision, moves=()):
    """Return ``{affiliate: frozenset of the sales' refs}``: whose each payment is.

    What the decision covers, then what persons moved, one after the other.
    """
    owner = dict.fromkeys(decision.covered, decision.winner.affiliate)
    for move in sorted(moves, key=_move_order):
        for paid_at, _counts_at, ref in paid_sales(sales):
            if move.since is None or paid_at >= move.since:
                owner[ref] = move.affiliate
    return {
        affiliate: frozenset(ref for ref in owner if owner[ref] == affiliate)
        for affiliate in set(owner.values())
    }


def last_owner(decision, moves=()):
    """Return the affiliate to whom the payments to come belong."""
    last = max(moves, key=_move_order, default=None)
    return last.affiliate if last else decision.winner.affiliate


def paid_sales(sales):
    """Return ``[(paid at, time to compare evidence with, ref)]`` in order."""
    paid = (
        (sale.first_paid_at(), sale.created, sale.ref)
        for sale in sales
        if sale.first_paid_at() is not None
    )
    return [
        (paid_at, max(paid_at, created), ref) for paid_at, created, ref in sorted(paid)
    ]


def explain(sales, candidates, decision, since=None):
    """Return ``[(candidate, why it decided nothing)]`` in time order.

    The reason is None for the winner.
    """
    paid = paid_sales(sales)
    first = paid[0][0] if paid else None
    decided_at = decision.decided_at if decision else None
    counts = {paid_at: counts_at for paid_at, counts_at, _ref in reversed(paid)}
    explained = []
    for candidate in sorted(set(candidates), key=_rank_by_time):
        if decision and candidate == decision.winner:
            explained.append((candidate, None))
            continue
        payment = counts.get(decided_at)
        if not decision:
            # It came to nothing: what stood against it at the payment after it.
            payment = next((c for _at, c, _r in paid if c >= candidate.at), None)
        reason = _objection(candidate, payment, first, since)
        if not reason and decision:
            reason = _why_weaker(candidate, decision.winner, payment)
        explained.append((candidate, reason or AFTER_PAYMENT))
    return explained


def _objection(candidate, paid_at, first, since):
    """Return why a candidate cannot decide a payment, or None.

    :param paid_at: None: a payment that is still to come
    :param first: when the person paid for the first time, None: not yet
    """
    policy, source = candidate.policy, candidate.source
    if candidate.refused:
        return candidate.refused
    if candidate.history:
        return None
    if paid_at is not None and candidate.at > paid_at:
        return AFTER_PAYMENT
    if source in _DIRECT:
        return None
    if candidate.search and policy.search == BLOCK:
        return SEARCHED
    if candidate.ad and policy.ads == BLOCK:
        return ADVERTISED
    if candidate.weak and policy.weak == BLOCK:
        return UNVISITED
    if source in CLAIMS and paid_at is not None:
        if _waited(candidate.seen, paid_at, policy.zone) > policy.expiry:
            return EXPIRED
    end = candidate.until if paid_at is None else min(candidate.until, paid_at)
    if end - candidate.at > policy.window:
        return OUTSIDE_WINDOW
    known = {UNPAID: first, CREATED_AFTER: since}.get(policy.existing)
    if known is not None and known < candidate.at:
        return KNOWN_BEFORE
    if candidate.weak and since is not None and since < candidate.at:
        return CREATED_BEFORE
    return None


def _waited(seen, paid_at, zone):
    """Return how long a claim had waited, in seconds: whole days of a time zone."""
    if not zone:
        return paid_at - seen
    first, last = (day_of(moment(at), [(None, zone)]) for at in (seen, paid_at))
    return (last - first).days * DAY


def _preference(paid_at=None):
    """Return the key by which the best of valid candidates is the smallest.

    A lead without a visit comes last, whatever the program's settings say. What was
    known at the payment comes before what was seen later, so that a decision lasts;
    then the strongest evidence; among equals the first or last contact.
    """

    def key(candidate):
        late = 0
        if paid_at is not None and not candidate.history:
            late = max(candidate.seen, paid_at)
        return (candidate.weak, late, _strength(candidate), *_rank(candidate))

    return key


def _why_weaker(candidate, winner, paid_at):
    weak, late, strength, *_rest = _preference(paid_at)(candidate)
    best_weak, best_late, best_strength, *_rest = _preference(paid_at)(winner)
    if weak != best_weak:
        return WEAK
    if late != best_late:
        return SEEN_LATER
    if strength != best_strength:
        return WEAKER
    return NOT_LAST if _last_wins(candidate) else NOT_FIRST


def _strength(candidate):
    """The smaller the stronger."""
    if candidate.source == MANUAL:
        return (0, 0)
    if candidate.source in CLAIMS:
        place, among = FORM, CLAIMS.index(candidate.source)
    else:
        place, among = candidate.source, 0
    return (1 + candidate.policy.order.split(",").index(place), among)


def _last_wins(candidate):
    return candidate.policy.last_wins and candidate.source not in _DIRECT


def _rank(candidate):
    """A total order by time: the order in which evidence was read never matters."""
    return (
        -candidate.at if _last_wins(candidate) else candidate.at,
        candidate.affiliate,
        candidate.evidence,
        candidate.claim or 0,
        candidate.code or 0,
        not candidate.history,
        candidate.source,
        candidate.policy,
        candidate.seen,
        candidate.until,
        candidate.visitor,
        candidate.visit or 0,
        candidate.search,
        candidate.ad,
        candidate.refused,
        candidate.carrier,
        candidate.weak,
    )


def _rank_by_time(candidate):
    return (candidate.at, *_rank(candidate))


def _move_order(move):
    return (move.at, move.id)


def _losers(candidates, winner):
    others = {c for c in candidates if c.affiliate != winner.affiliate}
    return tuple(sorted(others, key=_rank_by_time))
