"""Money that is set aside on a card first and taken, or let go, later.

Until 2025-03-31 Stripe told by a Refund what was let go: for a part that was never
captured the charge's balance transaction had the whole amount, a second one the refund.
Since then the balance transaction has what was captured, and there is no refund. Which
of the two depends on the version of the request that captures or cancels.

Assumed, as the documentation leaves it open: a charge that was let go stays
``succeeded`` and is never ``captured``; what is given back of a captured part is whole
(``refunded``) when the captured amount came back.
"""

from ..dates import DAY
from ..errors import ApiError
from ..legacy import BASIL
from .payments import billing_details, book, new_charge

#: How long the bank sets money aside.
DAYS = 7


def version_of(world, version=None):
    """The API version of what is being done."""
    request = world.request
    return version or (request and request.stripe_version) or world.double.api_version


def waits(world, charge):
    """Is the charge authorized, neither captured nor let go?"""
    return (
        charge["status"] == "succeeded"
        and not charge["captured"]
        and not world.side[charge["id"]].get("gone")
    )


def authorize(world, of, email=None, name=None):
    """The bank sets the money aside; ``of`` as in :func:`.payments.new_charge`."""
    details = billing_details(email, name)
    charge = new_charge(world, of, "succeeded", details, captured=False)
    world.add(charge, "charge.succeeded")
    world.schedule(world.now() + DAYS * DAY, "authorization", charge["id"])
    if of.get("object") == "payment_intent":
        with world.change(of):
            of["status"] = "requires_capture"
            of["amount_capturable"] = of["amount"]
            of["latest_charge"] = charge["id"]
            of["payment_method"] = charge["payment_method"]
        world.emit("payment_intent.amount_capturable_updated", of)
    return charge


def _intent(world, charge):
    key = charge["payment_intent"]
    return key and world.peek("payment_intent", key)


def capture(world, charge, amount=None, version=None):
    """Take the money, or a part of it: the rest is let go."""
    if charge["captured"]:
        raise ApiError(
            f"Charge {charge['id']} has already been captured.",
            code="charge_already_captured",
        )
    if not waits(world, charge):
        raise ApiError(
            f"Charge {charge['id']} is no longer authorized and cannot be captured.",
            code="charge_expired_for_capture",
        )
    amount = charge["amount"] if amount is None else amount
    if not 0 < amount <= charge["amount"]:
        raise ApiError(
            f"The amount to capture ({amount}) must be between 1 and the amount of the"
            f" charge ({charge['amount']}).",
            code="amount_too_large" if amount > 0 else "parameter_invalid_integer",
            param="amount",
        )
    rest = charge["amount"] - amount
    told = rest and version_of(world, version) < BASIL
    with world.change(charge, "charge.captured"):
        charge.update(captured=True, amount_captured=amount)
        book(world, charge, charge["amount"] if told else amount)
    if told:
        _refund(world, charge, rest)
    intent = _intent(world, charge)
    if intent:
        with world.change(intent):
            intent.update(status="succeeded", amount_capturable=0)
            intent["amount_received"] = amount
        world.emit("payment_intent.succeeded", intent)
    return charge


def release(world, charge, reason, version=None):
    """Nothing is taken: the whole amount is let go."""
    world.side[charge["id"]]["gone"] = True
    if version_of(world, version) < BASIL:
        old = "expired_uncaptured_charge" if reason == "expired" else None
        _refund(world, charge, charge["amount"], old)
        reason = "automatic" if reason == "expired" else reason
    intent = _intent(world, charge)
    if intent:
        with world.change(intent, "payment_intent.canceled"):
            intent.update(status="canceled", amount_capturable=0)
            intent["canceled_at"] = world.now()
            intent["cancellation_reason"] = reason


def _refund(world, charge, amount, reason=None):
    """The Refund that tells what was let go."""
    from ..resources import refunds

    side = world.side[charge["id"]]
    side["released"] = amount
    return refunds.make(world, charge, amount, reason, status="succeeded")


def expire(world, key):
    """The bank sets nothing aside any more (the clock is there)."""
    charge = world.peek("charge", key)
    if waits(world, charge):
        world.emit("charge.expired", charge)
        release(world, charge, "expired")
