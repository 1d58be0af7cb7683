"""Which events we ask Stripe for, and which object each of them is about."""

from .paid_moments import COLUMNS, earliest_event, latest_event
from .stripe_objects import KINDS
from .stripe_paths import api_path
from .stripe_rows import moment, ref
from .stripe_text import is_stripe_id

# The types our webhook endpoints ask for. The kind is the object to read again.
EVENT_TYPES = {
    "product": ("created", "updated", "deleted"),
    "price": ("created", "updated", "deleted"),
    "coupon": ("created", "updated", "deleted"),
    "promotion_code": ("created", "updated"),
    "customer": (
        "created",
        "updated",
        "deleted",
        "discount.created",
        "discount.updated",
        "discount.deleted",
    ),
    "customer.subscription": (
        "created",
        "updated",
        "deleted",
        "paused",
        "resumed",
        "pending_update_applied",
        "pending_update_expired",
    ),
    "checkout.session": (
        "completed",
        "expired",
        "async_payment_succeeded",
        "async_payment_failed",
    ),
    "invoice": (
        "finalized",
        "updated",
        "paid",
        "payment_failed",
        "voided",
        "marked_uncollectible",
        "overpaid",
        "deleted",
        "finalization_failed",
    ),
    "invoice_payment": ("paid",),
    "charge": (
        "pending",
        "succeeded",
        "captured",
        "expired",
        "updated",
        "refunded",
        "failed",
        "refund.updated",
    ),
    # Of an amount that is only set aside on a card: about the charge that did it.
    "payment_intent": ("amount_capturable_updated", "canceled"),
    "charge.dispute": (
        "created",
        "updated",
        "closed",
        "funds_withdrawn",
        "funds_reinstated",
    ),
    "credit_note": ("created", "updated", "voided"),
    "refund": ("created", "updated", "failed"),
    "payout": (
        "created",
        "updated",
        "paid",
        "failed",
        "canceled",
        "reconciliation_completed",
    ),
}
SUBSCRIBED = tuple(
    f"{family}.{change}"
    for family, changes in EVENT_TYPES.items()
    for change in changes
)
# {kind: what Stripe calls it}
OBJECT_NAMES = {
    **{name: name for name in KINDS},
    "checkout_session": "checkout.session",
}
# The events of ``paid_moments`` come with up to so many others of their types.
PAGES_OF_MOMENTS = 3
_OBJECT_KINDS = {name: kind for kind, name in OBJECT_NAMES.items()}


def event_target(event):
    """Return ``(kind, stripe id)`` an event tells about, or ``(None, None)``.

    Only names and ids are taken from the payload, never facts: the payload may be
    old, in another API version, or incomplete. A thin event names its object in
    ``related_object``.

    :param dict event: the parsed body of a delivery or an element of ``/v1/events``
    """
    related = event.get("related_object")
    if isinstance(related, dict):
        kind = str(event.get("type")).removeprefix("v1.").rpartition(".")[0]
        kind = {"customer.subscription": "subscription"}.get(kind, kind)
        kind = {"charge.dispute": "dispute"}.get(kind, kind)
        kind, target = _OBJECT_KINDS.get(kind), related.get("id")
    else:
        kind, target = _payload_target(event.get("data"))
    return (kind, target) if kind and is_stripe_id(target) else (None, None)


def _payload_target(data):
    raw = data.get("object") if isinstance(data, dict) else None
    if not isinstance(raw, dict):
        return None, None
    if raw.get("object") == "discount":
        return _discount_owner(raw)
    if raw.get("object") == "payment_intent":
        return "charge", ref(raw.get("latest_charge"))
    return _OBJECT_KINDS.get(str(raw.get("object"))), raw.get("id")


def _discount_owner(raw):
    """A discount cannot be read by its id: read what carries it."""
    if subscription := ref(raw.get("subscription")):
        return "subscription", subscription
    return "customer", ref(raw.get("customer"))


def read_moments(stripe_api, charges):
    """Return ``[(charge, type of event, moment)]`` of what Stripe's events still say
    about when charges were paid.

    What happened long ago among very much else is not looked for to its end: then the
    balance transaction tells (``paid_moments``).

    :param dict charges: ``{Stripe id: charge as the mirror keeps it}``
    :raise StripeProblem: where the events cannot be read
    """
    found, missing = [], set(charges)
    made = {
        "gte": min(map(earliest_event, charges.values())),
        "lte": max(map(latest_event, charges.values())),
    }
    pages = stripe_api.pages(api_path("events"), types=list(COLUMNS), created=made)
    for _number, page in zip(range(PAGES_OF_MOMENTS), pages, strict=False):
        for event in page:
            _kind, charge = event_target(event)
            if charge in charges:
                found.append((charge, event["type"], moment(event["created"])))
                missing.discard(charge)
        if not missing:
            break
    return found
