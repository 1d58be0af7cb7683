"""Changes of a running subscription: prices, quantities, discounts, periods."""

from ..billing import discounts as discounting
from ..billing import drafts, prorations
from ..billing import subscriptions as engine
from . import common
from .subscription_build import add_item, plan_of, read_price


def simple_changes(world, subscription, params):
    common.copy(subscription, params, "description", "collection_method", "cancel_at")
    common.copy(subscription, params, "days_until_due")
    common.merge_metadata(subscription, params)
    if "default_tax_rates" in params:
        subscription["default_tax_rates"] = common.tax_rates(
            world, params["default_tax_rates"] or [], "default_tax_rates"
        )
    if "cancel_at_period_end" in params:
        flag = params["cancel_at_period_end"]
        ends = [i["current_period_end"] for i in engine.items_of(subscription)]
        subscription["cancel_at_period_end"] = flag
        subscription["cancel_at"] = max(ends) if flag else None
        subscription["canceled_at"] = world.now() if flag else None
    if "pause_collection" in params:
        pause = params["pause_collection"] or None
        subscription["pause_collection"] = pause and {"resumes_at": None, **pause}
    end = params.get("trial_end")
    if isinstance(end, int):
        subscription["trial_end"] = subscription["billing_cycle_anchor"] = end
        subscription["trial_start"] = subscription["trial_start"] or world.now()
        subscription["status"] = "trialing"
        for item in engine.items_of(subscription):
            item["current_period_end"] = end


def replace_discounts(world, holder, entries):
    """The new list replaces the old; kept discounts are named by their id."""
    customer = world.peek("customer", holder["customer"])
    old = holder["discounts"]
    holder["discounts"] = discounting.adopt(
        world,
        entries or [],
        customer,
        currency=holder["currency"],
        subscription=holder["id"],
    )
    for key in old:
        if key not in holder["discounts"]:
            world.emit("customer.discount.deleted", world.peek("discount", key))


def change_items(world, subscription, entries, behavior, moment):
    """Apply ``items``; ``"reset"`` when the interval changed, else if anything did."""
    changed = False
    charged = subscription["status"] not in ("trialing", "incomplete")
    prorate = behavior != "none" and charged
    for index, data in enumerate(entries):
        param = f"items[{index}]"
        if "id" not in data:
            item = add_item(world, subscription, data, param, moment)
            _align(subscription, item)
            if prorate:
                prorations.remaining(world, subscription, item, moment)
            changed = changed or True
            continue
        item = world.find("subscription_item", data["id"], f"{param}[id]")
        outcome = change_item(world, subscription, item, data, param, prorate, moment)
        changed = "reset" if "reset" in (changed, outcome) else changed or outcome
    return changed


def _align(subscription, item):
    """A new item ends with the others of its interval."""
    for other in engine.items_of(subscription):
        same = other["price"]["recurring"] == item["price"]["recurring"]
        if other is not item and same:
            item["current_period_start"] = other["current_period_start"]
            item["current_period_end"] = other["current_period_end"]


def change_item(world, subscription, item, data, param, prorate, moment):
    """One item: other price, quantity, discounts, or deleted."""
    if data.get("discounts") is not None:
        customer = world.peek("customer", subscription["customer"])
        item["discounts"] = discounting.adopt(
            world, data["discounts"] or [], customer, subscription_item=item["id"]
        )
    if "metadata" in data:
        common.merge_metadata(item, data)
    if "tax_rates" in data:
        item["tax_rates"] = common.tax_rates(world, data["tax_rates"] or [], param)
    if data.get("deleted"):
        if prorate:
            prorations.unused(world, subscription, item, moment)
        engine.items_of(subscription).remove(item)
        world.removed.add(item["id"])
        return True
    wants_price = {"price", "plan", "price_data"} & data.keys()
    price = read_price(world, data, param) if wants_price else item["price"]
    quantity = data.get("quantity", item["quantity"])
    if price["id"] == item["price"]["id"] and quantity == item["quantity"]:
        return False
    reset = price["recurring"] != item["price"]["recurring"]
    if prorate:
        prorations.unused(world, subscription, item, moment)
    item.update(price=price, plan=plan_of(price), quantity=quantity)
    if reset:
        return "reset"
    if prorate:
        prorations.remaining(world, subscription, item, moment)
    return True


def bill_now(world, subscription):
    """``always_invoice``: the pending prorations become an invoice."""
    invoice = engine.draft(world, subscription, "subscription_update")
    drafts.add_pending(world, invoice, subscription)
    engine.issue(world, subscription, invoice)


def restart(world, subscription, behavior, end_trial):
    """A new period from now: changed interval, reset anchor or ended trial."""
    now = world.now()
    with world.change(subscription, "customer.subscription.updated"):
        subscription["billing_cycle_anchor"] = now
        if end_trial:
            subscription["trial_end"] = now
            subscription["status"] = "active"
        for item in engine.items_of(subscription):
            item["current_period_start"] = now
            item["current_period_end"] = engine.next_end(subscription, item, now)
    reason = "subscription_cycle" if end_trial else "subscription_update"
    invoice = engine.draft(world, subscription, reason)
    drafts.add_pending(world, invoice, subscription)
    for item in engine.items_of(subscription):
        engine.add_service(world, invoice, subscription, item)
    engine.issue(world, subscription, invoice)
