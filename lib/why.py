"""What led to a decision, told in the order of time: plain values that JSON can hold,
so that it stays readable when visits have been forgotten."""

PAYMENT, VISIT = "payment", "visit"
# Verdicts beside those of ``attribution.explain``.
WON, LED_BY = "won", "led_by"


def timeline(explained, decided_at=None):
    """Return the steps of a story as dicts with ``at kind text affiliate verdict``.

    A visit is one step, whatever carried its visitor's id; what carried it is another
    one.

    :param explained: what ``attribution.explain`` returns
    :param decided_at: the payment that decided, None: there is none yet
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
                {
                    "at": candidate.seen,
                    "kind": candidate.source,
                    "text": candidate.carrier,
                    "affiliate": None,
                    "verdict": LED_BY,
                },
            )
    told = sorted(steps.values(), key=_order)
    if decided_at is not None:
        paid = {"at": decided_at, "kind": PAYMENT, "text": "", "affiliate": None}
        after = next(
            (n for n, step in enumerate(told) if step["at"] > decided_at), len(told)
        )
        told.insert(after, {**paid, "verdict": None})
    return told


def _step(candidate, reason):
    kind = VISIT if candidate.visit else candidate.source
    text = candidate.evidence if candidate.visit else candidate.carrier
    key = (kind, candidate.visit or candidate.at, candidate.affiliate, text)
    return key, {
        "at": candidate.at,
        "kind": kind,
        "text": text or candidate.evidence,
        "affiliate": candidate.affiliate,
        "verdict": WON if reason is None else reason,
    }


def _order(step):
    return (step["at"], step["kind"] != VISIT, step["kind"], step["text"])
