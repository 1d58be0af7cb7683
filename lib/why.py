"""What led to a decision, told in the order of time: plain values that JSON can hold,
so that it stays readable when visits have been forgotten."""

from . import attribution

MOVE, PAYMENT, VISIT = "move", "payment", "visit"
MAX_LOST = 50  # of what lost, the last ones; a robot may make any number of visits
# Verdicts beside those of ``attribution.explain``.
WON, LED_BY, MOVED, AGREES = "won", "led_by", "moved", "agrees"
# What says of evidence only that other evidence came before it.
_BEATEN = {
    attribution.AFTER_PAYMENT,
    attribution.WEAK,
    attribution.WEAKER,
    attribution.SEEN_LATER,
    attribution.NOT_FIRST,
    attribution.NOT_LAST,
}


def timeline(explained, decided_at=None, moves=()):
    """Return the steps of a story as dicts with ``at kind text affiliate verdict``,
    and ``weak`` for a lead without a visit.

    A visit is one step, whatever carried its visitor's id; what carried it is another
    one.

    :param explained: what ``attribution.explain`` returns
    :param decided_at: the payment that decided, None: there is none yet
    :param moves: ``attribution.Move``, what persons changed later
    """
    steps = {}
    for candidate, reason in explained:
        key, step = _step(candidate, reason)
        if key not in steps or reason is None:
            steps[key] = step
        if candidate.visit:
            carried = (candidate.source, candidate.seen, candidate.carrier)
            steps.setdefault(
                carried,
                _event(
                    candidate.seen, candidate.source, candidate.carrier, None, LED_BY
                ),
            )
    told = [step for step in steps.values() if step["verdict"] in (WON, LED_BY)]
    lost = [step for step in steps.values() if step["verdict"] not in (WON, LED_BY)]
    told += sorted(lost, key=_order)[-MAX_LOST:]
    if decided_at is not None:
        told.append(_event(decided_at, PAYMENT))
    told += [
        _event(move.at, MOVE, move.reason, move.affiliate, MOVED) for move in moves
    ]
    return sorted(told, key=_order)


def told(story):
    """Return the steps of a story as they are told: what was beaten by evidence for the
    same affiliate has not lost, it agrees.

    Not kept with the story, so that old ones are told this way, too.
    """
    winners = {step["affiliate"] for step in story if step["verdict"] == WON}
    return [
        {**step, "verdict": AGREES}
        if step["verdict"] in _BEATEN and step["affiliate"] in winners
        else step
        for step in story
    ]


def _event(at, kind, text="", affiliate=None, verdict=None):
    return {
        "at": at,
        "kind": kind,
        "text": text,
        "affiliate": affiliate,
        "verdict": verdict,
    }


def _step(candidate, reason):
    kind = VISIT if candidate.visit else candidate.source
    text = candidate.evidence if candidate.visit else candidate.carrier
    key = (kind, candidate.visit or candidate.at, candidate.affiliate, text)
    verdict = WON if reason is None else reason
    text = text or candidate.evidence
    step = _event(candidate.at, kind, text, candidate.affiliate, verdict)
    return key, step | ({"weak": True} if candidate.weak else {})


def _order(step):
    """By time; what led to a payment before the payment of the same second."""
    turn = {VISIT: 0, PAYMENT: 2, MOVE: 3}.get(step["kind"], 1)
    return (step["at"], turn, step["kind"], step["text"], step["affiliate"] or 0)
