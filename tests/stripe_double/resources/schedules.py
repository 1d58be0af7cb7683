"""Subscription schedules: phases whose items follow each other by themselves.

Simplified: each phase names its prices and quantities and how long it lasts; after the
last one the subscription goes on alone (``release``).
"""

from ..billing import subscriptions as engine
from ..contract import nulls, resource_class
from ..dates import add_interval
from ..errors import ApiError
from ..routing import listing, retrieval, route
from . import common
from .subscription_build import build, launch, plan_of, read_price
from .subscription_change import bill_now, change_items

PATH = "/v1/subscription_schedules/{schedule}"
retrieval("subscription_schedule", PATH, "subscription")
listing(
    "subscription_schedule",
    "/v1/subscription_schedules",
    "subscription",
    {"customer": "customer"},
)


@route("POST", "/v1/subscription_schedules", "subscription")
def create_schedule(call):
    """A schedule that begins now, and the subscription of its first phase."""
    world, params = call.world, call.params
    customer = world.find("customer", params.get("customer"), "customer")
    if params.get("start_date", "now") != "now":
        raise ApiError("The double begins schedules now.", param="start_date")
    if params.get("end_behavior", "release") != "release":
        raise ApiError("The double only releases.", param="end_behavior")
    asked = params.get("phases") or []
    if not asked:
        raise ApiError("Missing required param: phases.", param="phases")
    subscription = build(world, customer, asked[0]["items"])
    phases = _phases(world, asked, subscription)
    cls = resource_class("subscription_schedule").DefaultSettings
    schedule = world.build(
        "subscription_schedule",
        billing_mode=subscription["billing_mode"],
        current_phase=_span(phases[0]),
        customer=customer["id"],
        default_settings=nulls(
            cls,
            billing_cycle_anchor="automatic",
            invoice_settings=subscription["invoice_settings"],
        ),
        end_behavior="release",
        metadata=common.metadata(params.get("metadata")),
        pause_schedules=[],
        phases=phases,
        status="active",
        subscription=subscription["id"],
    )
    subscription["schedule"] = schedule["id"]
    world.add(schedule)
    # Before the subscription plans its own: where a phase and a period end together,
    # the next period is one of the next phase.
    for phase in phases:
        world.schedule(phase["end_date"], "schedule", schedule["id"])
    launch(world, customer, subscription, asked[0]["items"], {})
    world.emit("subscription_schedule.created", schedule)
    return schedule


def _phases(world, asked, subscription):
    phases, start = [], world.now()
    cls = resource_class("subscription_schedule").Phase
    for index, data in enumerate(asked):
        length = data.get("duration")
        end = data.get("end_date") or add_interval(
            start, length["interval"], length.get("interval_count", 1)
        )
        items = []
        for item in data["items"]:
            price = read_price(world, item, f"phases[{index}][items]")
            values = {"price": price["id"], "plan": plan_of(price)["id"]}
            values["quantity"] = item.get("quantity", 1)
            items.append(nulls(cls.Item, discounts=[], **values))
        phases.append(
            nulls(
                cls,
                add_invoice_items=[],
                currency=subscription["currency"],
                discounts=[],
                end_date=end,
                items=items,
                proration_behavior=data.get("proration_behavior", "create_prorations"),
                start_date=start,
            )
        )
        start = end
    return phases


def _span(phase):
    return {name: phase[name] for name in ("start_date", "end_date")}


def tick(world, key):
    """The clock reached the end of a phase: the next one begins, or it is over."""
    schedule = world.get("subscription_schedule", key)
    subscription = world.peek("subscription", schedule["subscription"])
    if schedule["status"] != "active" or subscription["status"] == "canceled":
        return
    now = world.now()
    phase = next((p for p in schedule["phases"] if p["start_date"] == now), None)
    if phase is None:
        with world.change(schedule, "subscription_schedule.updated"):
            schedule.update(
                status="released",
                released_at=now,
                released_subscription=subscription["id"],
                subscription=None,
                current_phase=None,
            )
        world.emit("subscription_schedule.released", schedule)
        return
    with world.change(schedule, "subscription_schedule.updated"):
        schedule["current_phase"] = _span(phase)
    _begin(world, subscription, phase)


def _begin(world, subscription, phase):
    """The items become those of the phase, one for one."""
    now, behavior = world.now(), phase["proration_behavior"]
    items = engine.items_of(subscription)
    if all(item["current_period_end"] == now for item in items):
        behavior = "none"  # nothing is left to be given back
    entries = [
        {"id": item["id"], "price": new["price"], "quantity": new["quantity"]}
        for item, new in zip(items, phase["items"], strict=True)
    ]
    with world.change(subscription, "customer.subscription.updated"):
        change_items(world, subscription, entries, behavior, now)
    if behavior == "always_invoice":
        bill_now(world, subscription)
    engine.plan_next(world, subscription)
