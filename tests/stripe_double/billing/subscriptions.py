"""The life of a subscription, driven by the clock.

Periods live on the items (flexible billing mode): at each moment the items whose
period has ended are renewed on one invoice. Simplified against Stripe: a renewal
invoice is finalized and charged at once, not an hour later, and every customer has a
card that works unless the double was told otherwise.
"""

from ..dates import DAY, add_interval
from ..errors import ApiError
from . import discounts as discounting
from . import drafts, invoices
from .amounts import graduated, price_amount
from .lines import add_line

INCOMPLETE_HOURS = 23


def items_of(subscription):
    return subscription["items"]["data"]


def tiers_of(world, price):
    return world.side[price["id"]].get("tiers") or ()


def item_amount(world, item):
    quantity = 1 if item["quantity"] is None else item["quantity"]
    return price_amount(item["price"], quantity, tiers_of(world, item["price"]))


def next_end(subscription, item, start):
    """The end of the period that starts at ``start``; keeps the anchor's day."""
    recurring = item["price"]["recurring"]
    return add_interval(
        start,
        recurring["interval"],
        recurring["interval_count"],
        subscription["billing_cycle_anchor"],
    )


def service_parent(subscription, item, proration=False, invoice_item=None):
    return {
        "type": "subscription_item_details",
        "invoice_item_details": None,
        "subscription_item_details": {
            "invoice_item": invoice_item,
            "proration": proration,
            "proration_details": {"credited_items": None},
            "subscription": subscription["id"],
            "subscription_item": item["id"],
        },
    }


# -- invoicing ------------------------------------------------------------------


def draft(world, subscription, reason, period=None):
    """A draft for a subscription with its (or its customer's) discounts."""
    customer = world.peek("customer", subscription["customer"])
    now = world.now()
    discounting.finish(world, subscription, "customer.subscription.updated", now)
    keys = [d["id"] for d in discounting.running(world, subscription["discounts"], now)]
    if not keys and customer["discount"]:
        own = discounting.running(world, [customer["discount"]["id"]], now)
        keys = [d["id"] for d in own]
    due = subscription["days_until_due"]
    return drafts.new_draft(
        world,
        customer,
        subscription["currency"],
        reason,
        subscription=subscription,
        discounts=keys,
        tax_rates=subscription["default_tax_rates"],
        collection_method=subscription["collection_method"],
        due=None if due is None else now + due * DAY,
        period=period,
    )


def add_service(world, invoice, subscription, item, trial=False):
    """The lines for an item's current period (free during a trial): one, or of a
    graduated price one a tier."""
    price = item["price"]
    name = world.peek("product", price["product"])["name"]
    quantity = 1 if item["quantity"] is None else item["quantity"]
    keys = [d["id"] for d in discounting.running(world, item["discounts"], world.now())]
    rates = item["tax_rates"]
    parts = graduated(price, quantity, tiers_of(world, price))
    if trial:
        parts = [(quantity, 0, price["unit_amount_decimal"])]
    for number, (count, amount, unit) in enumerate(parts, 1):
        text = f"Trial period for {name}" if trial else f"{count} × {name}"
        if len(parts) > 1:
            text += f" (Tier {number})"
        line = add_line(
            world,
            invoice,
            amount=amount,
            description=text,
            period={
                "start": item["current_period_start"],
                "end": item["current_period_end"],
            },
            parent=service_parent(subscription, item),
            price=price,
            quantity=count,
            discounts=() if trial else keys,
            tax_rates=[rate["id"] for rate in rates] if rates else None,
            metadata=subscription["metadata"],
        )
        line["pricing"]["unit_amount_decimal"] = unit


def issue(world, subscription, invoice, *, behavior="allow_incomplete"):
    """Finalize a subscription's invoice and collect it."""
    invoices.recalculate(world, invoice)
    world.emit("invoice.created", invoice)
    with world.change(subscription, "customer.subscription.updated"):
        subscription["latest_invoice"] = invoice["id"]
    if _held_back(world, subscription, invoice):
        return invoice
    invoices.finalize(world, invoice)
    automatic = subscription["collection_method"] == "charge_automatically"
    if invoice["status"] != "open" or not automatic:
        return invoice
    if behavior == "default_incomplete":
        return invoice
    invoices.attempt(world, invoice)
    return invoice


def _held_back(world, subscription, invoice):
    """``pause_collection``: the invoice exists, but nobody is charged."""
    pause = subscription["pause_collection"]
    if not pause:
        return False
    if pause["behavior"] == "keep_as_draft":
        return True
    invoices.finalize(world, invoice)
    if invoice["status"] == "open":
        act = (
            invoices.void
            if pause["behavior"] == "void"
            else (invoices.mark_uncollectible)
        )
        act(world, invoice)
    return True


# -- starting -------------------------------------------------------------------


def start(world, subscription, behavior, extra_items=()):
    """First invoice of a new subscription: the first period, or the free trial."""
    trial = subscription["trial_end"] is not None
    world.emit("customer.subscription.created", subscription)
    period = (world.now(), world.now())
    invoice = draft(world, subscription, "subscription_create", period)
    drafts.add_pending(world, invoice, subscription, besides=extra_items)
    for item in items_of(subscription):
        add_service(world, invoice, subscription, item, trial)
    for item in extra_items:
        drafts.add_item(world, invoice, item)
    issue(world, subscription, invoice, behavior=behavior)
    if subscription["status"] == "incomplete":
        _start_status(world, subscription, invoice)
    plan_next(world, subscription)
    return subscription


def _start_status(world, subscription, invoice):
    automatic = subscription["collection_method"] == "charge_automatically"
    if automatic and invoice["status"] == "open":
        end = subscription["created"] + INCOMPLETE_HOURS * 3600
        world.schedule(end, "subscription", subscription["id"])
        return
    set_status(world, subscription, "active")


def set_status(world, subscription, status):
    with world.change(subscription, "customer.subscription.updated"):
        subscription["status"] = status


def on_paid(world, subscription, invoice):
    """A paid invoice brings the subscription (back) to life."""
    if subscription["status"] == "incomplete":
        set_status(world, subscription, "active")
        plan_next(world, subscription)
    elif subscription["status"] in ("past_due", "unpaid"):
        if invoice["id"] == subscription["latest_invoice"]:
            set_status(world, subscription, "active")


def on_payment_failed(world, subscription, invoice):
    """Dunning: past due, and after the last attempt what the settings say."""
    if subscription["status"] == "active":
        if invoice["billing_reason"] != "subscription_create":
            set_status(world, subscription, "past_due")
    if subscription["status"] == "past_due" and not invoice["next_payment_attempt"]:
        end = world.double.dunning_end
        if end == "cancel":
            cancel(world, subscription, "payment_failed")
        elif end == "unpaid":
            set_status(world, subscription, "unpaid")


# -- the clock ------------------------------------------------------------------


def plan_next(world, subscription):
    """Put the next moment something happens into the schedule."""
    moments = [item["current_period_end"] for item in items_of(subscription)]
    if subscription["cancel_at"]:
        moments.append(subscription["cancel_at"])
    pause = subscription["pause_collection"]
    if pause and pause["resumes_at"]:
        moments.append(pause["resumes_at"])
    world.schedule(min(moments), "subscription", subscription["id"])


def tick(world, key):
    """The clock reached a planned moment; do whatever is due now."""
    subscription = world.get("subscription", key)
    asleep = ("canceled", "incomplete_expired", "paused")
    if not subscription or subscription["status"] in asleep:
        return
    now = world.now()
    if subscription["status"] == "incomplete":
        if now >= subscription["created"] + INCOMPLETE_HOURS * 3600:
            _expire(world, subscription)
        return
    if subscription["cancel_at"] and subscription["cancel_at"] <= now:
        cancel(world, subscription, None)
        return
    pause = subscription["pause_collection"]
    if pause and pause["resumes_at"] and pause["resumes_at"] <= now:
        with world.change(subscription, "customer.subscription.updated"):
            subscription["pause_collection"] = None
    ended = [i for i in items_of(subscription) if i["current_period_end"] <= now]
    if not ended:
        return
    if subscription["cancel_at_period_end"]:
        cancel(world, subscription, None)
        return
    renew(world, subscription, ended)


def renew(world, subscription, ended):
    """A new period for the items whose period ended, and its invoice."""
    now = world.now()
    before = min(item["current_period_start"] for item in ended)
    with world.change(subscription, "customer.subscription.updated"):
        if subscription["status"] == "trialing":
            subscription["status"] = "active"
            subscription["billing_cycle_anchor"] = now
        for item in ended:
            item["current_period_start"] = item["current_period_end"]
            item["current_period_end"] = next_end(
                subscription, item, item["current_period_start"]
            )
    invoice = draft(world, subscription, "subscription_cycle", (before, now))
    drafts.add_pending(world, invoice, subscription)
    for item in ended:
        discounting.finish(world, item, None, now)
        add_service(world, invoice, subscription, item)
    issue(world, subscription, invoice)
    if subscription["status"] != "canceled":
        plan_next(world, subscription)


def _expire(world, subscription):
    """Nobody paid the first invoice within 23 hours."""
    invoice = world.peek("invoice", subscription["latest_invoice"])
    with world.change(subscription, "customer.subscription.updated"):
        subscription["status"] = "incomplete_expired"
        subscription["ended_at"] = world.now()
    if invoice["status"] == "open":
        invoices.void(world, invoice)


def cancel(world, subscription, reason="cancellation_requested", details=None):
    """Ended for good."""
    now = world.now()
    subscription["status"] = "canceled"
    subscription["ended_at"] = now
    subscription["canceled_at"] = subscription["canceled_at"] or now
    subscription["cancellation_details"] = {
        **(subscription["cancellation_details"] or {}),
        **(details or {}),
    }
    if reason:
        subscription["cancellation_details"]["reason"] = reason
    world.validate(subscription)
    world.emit("customer.subscription.deleted", subscription)
    _stop_collecting(world, subscription)
    return subscription


def _stop_collecting(world, subscription):
    """Open invoices of a cancelled subscription stay open, but nobody tries again."""
    key = subscription["id"]
    for invoice in world.all(
        "invoice", parent__subscription_details__subscription=key, status="open"
    ):
        with world.change(invoice, "invoice.updated"):
            invoice["auto_advance"] = False
            invoice["next_payment_attempt"] = None


def require_alive(subscription):
    if subscription["status"] in ("canceled", "incomplete_expired"):
        raise ApiError(
            "A canceled subscription can only update its cancellation_details and"
            " metadata.",
            code="invalid_canceled_subscription_fields",
        )
