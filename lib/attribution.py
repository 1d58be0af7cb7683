"""Which affiliate brought this customer: a pure function of facts and their times.

Only the times at which things *happened* count, never when we heard of them, so late
and shuffled events lead to the same owner (ARCHITECTURE.md, "Attribution").
"""

from dataclasses import dataclass, field

MANUAL, CODE, REFERENCE, METADATA, FORM, SDK, IMPORT = (
    "manual",
    "code",
    "client_reference",
    "metadata",
    "form",
    "sdk",
    "import",
)
# Evidence found in Stripe belongs to a payment by itself; the others are claims of
# somebody who says he brought this person, and only bind customers without an earlier
# payment.
CLAIMS = (FORM, SDK, IMPORT)
_CODE_FIRST = (MANUAL, CODE, REFERENCE, METADATA, FORM, SDK, IMPORT)
_LINK_FIRST = (MANUAL, REFERENCE, METADATA, CODE, FORM, SDK, IMPORT)
EXPIRY_SECONDS = 365 * 86400


@dataclass(frozen=True)
class Candidate:
    """One piece of evidence. ``at`` is Unix seconds of what it tells about.

    ``claim`` is the id of the referral row it came from, if a person made it;
    ``history``: a manual mapping that asks for the earlier payments too; ``powerless``:
    kept to be shown, but no longer able to decide anything.
    """

    affiliate: int
    source: str
    at: int
    evidence: str
    code: int = None
    claim: int = None
    history: bool = False
    code_beats_link: bool = True
    last_wins: bool = (
        False  # among claims: the programme counts the last, not the first
    )
    powerless: bool = False


@dataclass(frozen=True)
class Decision:
    """``winner`` owns the sales in ``covered`` (refs); ``decided_at`` is None before
    the first payment, when the winner is only the best candidate so far."""

    winner: Candidate
    decided_at: int = None
    covered: frozenset = frozenset()
    losers: tuple = field(default_factory=tuple)


def _strength(candidate):
    order = _CODE_FIRST if candidate.code_beats_link else _LINK_FIRST
    return order.index(candidate.source)


def _rank(candidate):
    """A total order by time: the order in which evidence was read never matters."""
    last_wins = candidate.last_wins and candidate.source in CLAIMS
    return (
        -candidate.at if last_wins else candidate.at,
        candidate.affiliate,
        candidate.evidence,
        candidate.claim or 0,
        candidate.code or 0,
        not candidate.history,
        candidate.source,
        candidate.code_beats_link,
        candidate.last_wins,
    )


def _best(candidates):
    """The strongest evidence; among equals the earliest, or of claims the latest
    where the programme says so."""
    return min(candidates, key=lambda c: (_strength(c), *_rank(c)), default=None)


def decide(sales, candidates):
    """Return the Decision, or None where nobody has a valid claim.

    The first payment over which there is valid evidence decides, and lasts.

    :param sales: sales of one person; only those with money received count
    :param candidates: all evidence about the person, in any order
    """
    paid = sorted(
        (
            (sale.first_paid_at(), sale.created, sale.ref)
            for sale in sales
            if sale.first_paid_at() is not None
        ),
    )
    for position, (paid_at, created, _ref) in enumerate(paid):
        earlier = paid[0][0] if position else None
        valid = [
            candidate
            for candidate in candidates
            if _is_valid(candidate, max(paid_at, created), earlier)
        ]
        if winner := _best(valid):
            start = 0 if winner.history else position
            return Decision(
                winner,
                decided_at=paid_at,
                covered=frozenset(ref for _paid, _created, ref in paid[start:]),
                losers=_losers(candidates, winner),
            )
    # Claims that came after the first payment wait in vain; evidence in Stripe will be
    # decided at the payment that carries it.
    waiting = [
        candidate
        for candidate in candidates
        if not candidate.powerless and not (paid and candidate.source in CLAIMS)
    ]
    if winner := _best(waiting):
        return Decision(winner, losers=_losers(waiting, winner))
    return None


def _is_valid(candidate, paid_at, earlier_payment):
    if candidate.powerless:
        return False
    if candidate.history:
        return True
    if candidate.at > paid_at:
        return False
    if candidate.source in CLAIMS:
        if earlier_payment is not None and earlier_payment < candidate.at:
            return False
        return paid_at - candidate.at <= EXPIRY_SECONDS
    return True


def _losers(candidates, winner):
    return tuple(
        sorted(
            (c for c in candidates if c != winner and c.affiliate != winner.affiliate),
            key=_rank,
        )
    )
