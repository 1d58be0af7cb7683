"""A new subscription: its items, discounts and first invoice."""

from ..billing import discounts as discounting
from ..billing import payments, prorations
from ..billing import subscriptions as engine
from ..contract import nulls, resource_class
from ..dates import DAY
from ..errors import ApiError, card_declined
from ..shapes import list_object
from . import catalog, common
from .invoices import new_item


def plan_of(price):
    """The legacy view of a recurring price."""
    recurring = price["recurring"]
    return {
        "id": price["id"],
        "object": "plan",
        "active": price["active"],
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "billing_scheme": price["billing_scheme"],
        "created": price["created"],
        "currency": price["currency"],
        "interval": recurring["interval"],
        "interval_count": recurring["interval_count"],
        "livemode": price["livemode"],
        "metadata": price["metadata"],
        "meter": recurring["meter"],
        "nickname": price["nickname"],
        "product": price["product"],
        "tiers_mode": price["tiers_mode"],
        "transform_usage": price["transform_quantity"],
        "trial_period_days": None,
        "usage_type": recurring["usage_type"],
    }


def read_price(world, data, param):
    """``price`` or ``price_data`` of an item; only prices in use may be bought."""
    if "price_data" in data:
        return catalog.inline_price(world, data["price_data"], f"{param}[price_data]")
    key = data.get("price") or data.get("plan")
    if not key:
        raise ApiError(
            f"Missing required param: {param}[price].",
            code="parameter_missing",
            param=f"{param}[price]",
        )
    price = world.find("price", key, f"{param}[price]")
    if not price["active"]:
        raise ApiError(
            "The price specified is inactive. This field only accepts active prices.",
            param=f"{param}[price]",
        )
    return price


def require_fitting(price, currency, param):
    """A subscription has recurring prices of one currency."""
    if price["recurring"] is None:
        raise ApiError(
            "The price specified is set to `type=one_time` but this field only accepts"
            " prices with `type=recurring`.",
            param=f"{param}[price]",
        )
    if price["currency"] != currency:
        raise ApiError(
            "All prices of a subscription must have the same currency.", param=param
        )


def add_item(world, subscription, data, param, start):
    """A new SubscriptionItem at the end of the subscription."""
    price = read_price(world, data, param)
    require_fitting(price, subscription["currency"], param)
    metered = price["recurring"]["usage_type"] == "metered"
    rates = common.tax_rates(world, data.get("tax_rates"), f"{param}[tax_rates]")
    item = world.build(
        "subscription_item",
        current_period_start=start,
        current_period_end=start,
        discounts=[],
        metadata=common.metadata(data.get("metadata")),
        plan=plan_of(price),
        price=price,
        quantity=None if metered else data.get("quantity", 1),
        subscription=subscription["id"],
        tax_rates=rates,
    )
    if subscription["trial_end"] and subscription["trial_end"] > start:
        item["current_period_end"] = subscription["trial_end"]
    else:
        item["current_period_end"] = engine.next_end(subscription, item, start)
    world.add(item)
    if data.get("discounts"):
        customer = world.peek("customer", subscription["customer"])
        item["discounts"] = discounting.adopt(
            world,
            data["discounts"],
            customer,
            currency=price["currency"],
            subscription_item=item["id"],
        )
    engine.items_of(subscription).append(item)
    return item


def build(world, customer, items, *, currency=None, **values):
    """A subscription without items yet; :func:`launch` starts it."""
    key = world.new_id("subscription")
    now = world.now()
    if currency is None:
        inline = items[0].get("price_data")
        currency = (inline or read_price(world, items[0], "items[0]"))["currency"]
    cls = resource_class("subscription")
    issuer = {"account": None, "type": "self"}
    return world.build(
        "subscription",
        **{
            "id": key,
            "automatic_tax": nulls(cls.AutomaticTax, enabled=False),
            "billing_cycle_anchor": values.get("trial_end") or now,
            "billing_mode": {
                "type": "flexible",
                "flexible": {"proration_discounts": "included"},
                "updated_at": None,
            },
            "billing_schedules": [],
            "cancel_at_period_end": False,
            "cancellation_details": nulls(cls.CancellationDetails),
            "collection_method": "charge_automatically",
            "currency": currency.lower(),
            "customer": customer["id"],
            "default_tax_rates": [],
            "discounts": [],
            "invoice_settings": nulls(cls.InvoiceSettings, issuer=issuer),
            "items": list_object([], f"/v1/subscription_items?subscription={key}"),
            "metadata": {},
            "start_date": now,
            "status": "incomplete",
            **values,
        },
    )


def check_items(world, customer, items, currency):
    """Refuse bad prices and discounts before anything is made or changed."""
    for index, data in enumerate(items):
        param = f"items[{index}]"
        if data.get("id"):
            world.find("subscription_item", data["id"], f"{param}[id]")
        if data.get("price") or data.get("plan"):
            require_fitting(read_price(world, data, param), currency, param)
        if data.get("discounts"):
            discounting.check(world, data["discounts"], customer, currency=currency)


def launch(world, customer, subscription, items, options):
    """Items, discounts, first invoice. ``options``: discounts, behavior, extras,
    checkout_session (id), prorate (a start in the past is charged)."""
    check_items(world, customer, items, subscription["currency"])
    discounting.check(
        world, options.get("discounts"), customer, None, subscription["currency"]
    )
    if subscription["trial_end"]:
        subscription["status"] = "trialing"
        subscription["trial_start"] = world.now()
    for index, data in enumerate(items):
        add_item(world, subscription, data, f"items[{index}]", world.now())
    amount = sum(engine.item_amount(world, i) for i in engine.items_of(subscription))
    behavior = options.get("behavior", "allow_incomplete")
    charged = amount and not subscription["trial_end"]
    if charged and behavior == "error_if_incomplete":
        if payments.declines(world, customer["id"]):
            raise card_declined()  # nothing is made, so ask before making it
    subscription["discounts"] = discounting.adopt(
        world,
        options.get("discounts"),
        customer,
        amount=amount,
        currency=subscription["currency"],
        subscription=subscription["id"],
        checkout_session=options.get("checkout_session"),
    )
    world.add(subscription)
    if options.get("prorate") and not subscription["trial_end"]:
        for item in engine.items_of(subscription):
            if subscription["start_date"] < world.now():
                prorations.backdated(world, subscription, item)
    extras = [
        new_item(world, customer, {"currency": subscription["currency"], **data})
        for data in options.get("extras") or ()
    ]
    return engine.start(world, subscription, behavior, extras)


def trial_end(world, params):
    """``trial_end`` or ``trial_period_days`` -> a moment or ``None``."""
    if params.get("trial_period_days"):
        return world.now() + params["trial_period_days"] * DAY
    end = params.get("trial_end")
    return None if end in (None, "", "now") or end <= world.now() else end
