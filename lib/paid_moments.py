"""When the money of a charge came in.

Stripe's charge says when it was made, which for a bank debit or an amount that was only
set aside on a card is days before it was paid. Stripe's events say when it was paid,
for 30 days. After that its balance transaction says something close to it.

Works on plain dicts as the mirror keeps them; times are Unix seconds, UTC.
"""

from dataclasses import dataclass

# The events that say when a charge was paid, and the mirror's column that keeps it.
# Money that was only set aside "succeeds", too, so that a capture counts before it.
CAPTURED, SUCCEEDED = "charge.captured", "charge.succeeded"
COLUMNS = {CAPTURED: "captured_at", SUCCEEDED: "succeeded_at"}
# What tells a moment where no event does: when the money was booked on the balance,
# when it became available there, or only when the charge was made.
BOOKED, AVAILABLE, CREATED = "booked", "available", "created"
# Payment methods at which a bank answers days after the charge was made. Of a bank
# transfer it is made when the money is there.
DELAYED = frozenset(
    (
        *("acss_debit", "ach_debit", "au_becs_debit", "bacs_debit", "boleto"),
        *("konbini", "multibanco", "nz_bank_account", "oxxo", "sepa_debit", "sofort"),
        "us_bank_account",
    )
)
# What is paid at once is booked, and its event made, within the hour. A card payment
# that is booked later was captured later.
PROMPT = 3600


@dataclass(frozen=True)
class Moment:
    """When a charge was paid; ``instead``: what tells it instead of an event."""

    at: int
    instead: str = None


def paid_moment(charge, told=None, booked_at=None):
    """Return the ``Moment`` at which a charge was paid.

    :param dict charge: as kept by the mirror
    :param dict told: ``{column: Unix seconds}`` of the events known
    :param int booked_at: the moment with which it was booked, which it keeps
    """
    known = _known_moment(charge, told or {})
    return known if booked_at in (None, known.at) else Moment(booked_at)


def _known_moment(charge, told):
    booked = _booking(charge)
    captured, succeeded = (told.get(COLUMNS[kind]) for kind in (CAPTURED, SUCCEEDED))
    if is_captured_later(charge):
        if captured:
            return Moment(captured)
        return Moment(booked["created"], BOOKED) if booked else _created(charge)
    at = captured or succeeded
    if not is_delayed(charge):
        # Paid when it was made, whether or not its event has come. Stripe may add ways
        # to pay that take longer: then the event tells more.
        is_slow = at and at > charge["created"] + PROMPT
        return Moment(at if is_slow else charge["created"])
    if at:
        return Moment(at)
    if booked.get("available_on"):
        return Moment(booked["available_on"], AVAILABLE)
    return _created(charge)


def _created(charge):
    return Moment(charge["created"], CREATED)


def _booking(charge):
    """Return the balance transaction of a charge, or an empty dict."""
    booked = charge.get("balance_transaction")
    return booked if isinstance(booked, dict) else {}


def is_captured_later(charge):
    """Tell whether the money was set aside first and taken later."""
    if not charge.get("captured") or charge.get("status") != "succeeded":
        return False
    if (charge.get("amount_captured") or 0) < charge["amount"]:
        return True
    details = charge.get("payment_method_details") or {}
    if (details.get(details.get("type")) or {}).get("capture_before"):
        return True
    if is_delayed(charge):
        return False  # booked when it is sent to the bank, or when the bank answers
    booked_at = _booking(charge).get("created")
    return booked_at is not None and booked_at > charge["created"] + PROMPT


def is_delayed(charge):
    """Tell whether a bank decides days later whether the money comes."""
    method = (charge.get("payment_method_details") or {}).get("type")
    if method:
        return method in DELAYED
    return _booking(charge).get("type") == "payment"


def earliest_event(charge):
    """Return the earliest moment of the event that says when a charge was paid."""
    if is_captured_later(charge):
        return max(charge["created"], _booking(charge).get("created", 0) - PROMPT)
    return charge["created"]


def latest_event(charge):
    """Return when it was made at the latest; banks answer within a month."""
    if is_captured_later(charge) and _booking(charge):
        return _booking(charge)["created"] + PROMPT
    return charge["created"] + 30 * 24 * PROMPT


def is_told_by_events(charge):
    """Tell whether only an event says exactly when a charge was paid."""
    return charge.get("status") == "succeeded" and (
        is_captured_later(charge) or is_delayed(charge)
    )
