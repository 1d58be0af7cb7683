"""Subscriptions and their items."""

from ..billing import discounts as discounting
from ..billing import prorations
from ..billing import subscriptions as engine
from ..errors import ApiError
from ..routing import listing, paginate_items, retrieval, route
from . import common
from .invoices import new_item
from .subscription_build import build, check_items, launch, trial_end
from .subscription_change import (
    bill_now,
    change_items,
    replace_discounts,
    restart,
    simple_changes,
)

IGNORED = (
    "automatic_tax default_payment_method default_source invoice_settings off_session"
    " payment_settings trial_settings trial_from_plan pending_invoice_item_interval"
    " application_fee_percent"
).split()


@route("POST", "/v1/subscriptions", "subscription")
def create_subscription(call):
    params, world = call.params, call.world
    params.ignore(*IGNORED, "currency")
    customer = world.find("customer", params.get("customer"), "customer")
    items = params.get("items") or []
    if not items:
        raise ApiError(
            "Missing required param: items.", code="parameter_missing", param="items"
        )
    values = params.take(
        "cancel_at", "cancel_at_period_end", "collection_method", "days_until_due"
    )
    values["metadata"] = common.metadata(params.get("metadata"))
    values["description"] = params.get("description")
    values["trial_end"] = trial_end(world, params)
    values["default_tax_rates"] = common.tax_rates(
        world, params.get("default_tax_rates"), "default_tax_rates"
    )
    values["start_date"] = params.get("backdate_start_date") or world.now()
    mode = params.get("billing_mode")
    if mode:
        flexible = {"proration_discounts": "included", **(mode.get("flexible") or {})}
        values["billing_mode"] = {
            "type": mode["type"],
            "flexible": flexible if mode["type"] == "flexible" else None,
            "updated_at": None,
        }
    subscription = build(world, customer, items, **values)
    options = {
        "behavior": params.get("payment_behavior", "allow_incomplete"),
        "prorate": params.get("proration_behavior") != "none",
        "discounts": params.get("discounts"),
        "extras": params.get("add_invoice_items"),
    }
    return launch(world, customer, subscription, items, options)


def _status(world, subscription, wanted):
    if wanted == "all":
        return True
    if wanted == "ended":
        return subscription["status"] in ("canceled", "incomplete_expired")
    return subscription["status"] == wanted


def _without_canceled(call):
    """Without ``status`` the list leaves out cancelled subscriptions."""
    if "status" not in call.params:
        call.params["status"] = "!canceled"


def _by_status(world, subscription, wanted):
    if wanted == "!canceled":
        return subscription["status"] not in ("canceled", "incomplete_expired")
    return _status(world, subscription, wanted)


def _by_price(world, subscription, price):
    return any(i["price"]["id"] == price for i in engine.items_of(subscription))


PATH = "/v1/subscriptions/{subscription_exposed_id}"
retrieval("subscription", PATH, "subscription")
listing(
    "subscription",
    "/v1/subscriptions",
    "subscription",
    {
        "customer": "customer",
        "collection_method": "collection_method",
        "status": _by_status,
        "price": _by_price,
        "plan": _by_price,
    },
    narrow=_without_canceled,
)


# -- changing -------------------------------------------------------------------


@route("POST", PATH, "subscription")
def update_subscription(call, subscription_exposed_id):
    world, params = call.world, call.params
    params.ignore(*IGNORED, "payment_behavior")
    subscription = world.find("subscription", subscription_exposed_id)
    details = params.get("cancellation_details")
    if set(params) - {"metadata", "cancellation_details", "expand"}:
        engine.require_alive(subscription)
    customer = world.peek("customer", subscription["customer"])
    entries = params.get("items") or ()
    check_items(world, customer, entries, subscription["currency"])
    if params.get("discounts"):
        discounting.check(world, params["discounts"], customer)
    moment = params.get("proration_date") or world.now()
    behavior = params.get("proration_behavior", "create_prorations")
    with world.change(subscription, "customer.subscription.updated"):
        simple_changes(world, subscription, params)
        if details:
            subscription["cancellation_details"] = {
                **subscription["cancellation_details"],
                **details,
            }
        if "discounts" in params:
            replace_discounts(world, subscription, params["discounts"])
        items = change_items(world, subscription, entries, behavior, moment)
        end_trial = params.get("trial_end") == "now"
        reset = params.get("billing_cycle_anchor") == "now" or items == "reset"
    for data in params.get("add_invoice_items") or ():
        item = {"currency": subscription["currency"], **data}
        new_item(world, customer, item, subscription)
    if end_trial or reset:
        restart(world, subscription, behavior, end_trial)
    elif items and behavior == "always_invoice":
        bill_now(world, subscription)
    engine.plan_next(world, subscription)
    return subscription


@route("DELETE", PATH, "subscription")
def cancel_subscription(call, subscription_exposed_id):
    world, params = call.world, call.params
    subscription = world.find("subscription", subscription_exposed_id)
    if subscription["status"] in ("canceled", "incomplete_expired"):
        raise ApiError(
            f"No such subscription: '{subscription_exposed_id}'",
            status=404,
            code="resource_missing",
            param="id",
        )
    if params.get("prorate"):
        for item in engine.items_of(subscription):
            prorations.unused(world, subscription, item, world.now())
    details = params.get("cancellation_details")
    engine.cancel(world, subscription, details=details)
    if params.get("invoice_now"):
        bill_now(world, subscription)
    return subscription


@route("POST", "/v1/subscriptions/{subscription}/pause", "subscription")
def pause_subscription(call, subscription):
    """Nothing is billed until it is resumed; what is left of the periods is given back
    with the next invoice, unless asked otherwise."""
    world, params = call.world, call.params
    params.ignore("type")
    found = world.find("subscription", subscription)
    if found["status"] not in ("active", "past_due"):
        raise ApiError(f"You cannot pause a subscription that is {found['status']}.")
    unused = (params.get("bill_for") or {}).get("unused_time_from") or {"type": "now"}
    for item in engine.items_of(found) if unused["type"] != "none" else ():
        whole = unused["type"] == "item_current_period_start"
        moment = item["current_period_start"] if whole else world.now()
        prorations.unused(world, found, item, moment)
    with world.change(found, "customer.subscription.updated"):
        found["status"] = "paused"
    world.emit("customer.subscription.paused", found)
    if params.get("invoicing_behavior") == "invoice":
        bill_now(world, found)
    return found


@route("POST", "/v1/subscriptions/{subscription}/resume", "subscription")
def resume_subscription(call, subscription):
    """A new period from now, and its invoice."""
    world, params = call.world, call.params
    params.ignore("payment_behavior")
    found = world.find("subscription", subscription)
    if found["status"] != "paused":
        raise ApiError("Only paused subscriptions can be resumed.")
    with world.change(found, "customer.subscription.updated"):
        found["status"] = "active"
    restart(world, found, None, False)
    engine.plan_next(world, found)
    world.emit("customer.subscription.resumed", found)
    return found


# -- items ----------------------------------------------------------------------


@route("GET", "/v1/subscription_items", "subscription")
def list_items(call):
    subscription = call.world.find(
        "subscription", call.params["subscription"], "subscription"
    )
    items = engine.items_of(subscription)
    return paginate_items(call, "subscription_item", items)


retrieval("subscription_item", "/v1/subscription_items/{item}", "subscription")
