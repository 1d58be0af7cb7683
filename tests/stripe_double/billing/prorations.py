"""Changes in the middle of a period.

A change of price or quantity makes two invoice items: the credit for the unused time
of the old, and the charge for the same time of the new, by seconds. They are invoiced
at once (``always_invoice``), with the next invoice (``create_prorations``, Stripe's
default) or not made at all (``none``). By default (``proration_discounts: included``)
the amounts are net of the subscription's percentage discounts and not discountable;
with ``itemized`` they are gross and the discount stands beside them.
"""

from fractions import Fraction

from ..billing import discounts as discounting
from ..dates import add_interval
from .amounts import half_up, prorated
from .subscriptions import item_amount


def unused(world, subscription, item, moment):
    """Invoice item giving back the time from ``moment`` to the period's end."""
    amount = -prorated(
        _net(world, subscription, item),
        item["current_period_start"],
        item["current_period_end"],
        moment,
    )
    text = f"Unused time on {_name(world, item)}"
    return make(world, subscription, item, amount, text, moment, credit=True)


def remaining(world, subscription, item, moment):
    """Invoice item charging that time at the item's (new) price."""
    amount = prorated(
        _net(world, subscription, item),
        item["current_period_start"],
        item["current_period_end"],
        moment,
    )
    text = f"Remaining time on {_name(world, item)}"
    return make(world, subscription, item, amount, text, moment)


def backdated(world, subscription, item):
    """Invoice item charging the time from a start in the past until now."""
    begin, now = subscription["start_date"], world.now()
    net, recurring = _net(world, subscription, item), item["price"]["recurring"]
    amount, start = 0, begin
    while start < now:
        end = add_interval(start, recurring["interval"], recurring["interval_count"])
        left = prorated(net, start, end, now) if end > now else 0
        amount, start = amount + net - left, end
    period = {"start": begin, "end": now}
    text = f"Time on {_name(world, item)} before"
    return make(world, subscription, item, amount, text, period=period)


def _name(world, item):
    product = world.peek("product", item["price"]["product"])
    quantity = item["quantity"] or 1
    return product["name"] if quantity == 1 else f"{quantity} × {product['name']}"


def itemized(subscription):
    flexible = subscription["billing_mode"]["flexible"] or {}
    return flexible.get("proration_discounts") == "itemized"


def _net(world, subscription, item):
    """The item's amount, net of percentage discounts unless they are itemized."""
    amount = Fraction(item_amount(world, item))
    if itemized(subscription):
        return half_up(amount)
    keys = [*item["discounts"], *subscription["discounts"]]
    for discount in discounting.running(world, keys, world.now()):
        percent = discounting.coupon_of(world, discount)["percent_off"]
        if percent is not None:
            amount *= 1 - Fraction(str(percent)) / 100
    return half_up(amount)


def make(
    world, subscription, item, amount, text, moment=None, credit=False, period=None
):
    """The InvoiceItem of one half of a proration."""
    price = item["price"]
    rates = item["tax_rates"]
    entry = world.build(
        "invoiceitem",
        amount=amount,
        currency=subscription["currency"],
        customer=subscription["customer"],
        date=world.now(),
        description=text,
        discountable=itemized(subscription),
        discounts=list(item["discounts"]) if itemized(subscription) else [],
        metadata=dict(subscription["metadata"]),
        parent={
            "type": "subscription_details",
            "subscription_details": {
                "subscription": subscription["id"],
                "subscription_item": item["id"],
            },
        },
        period=period or {"start": moment, "end": item["current_period_end"]},
        pricing={
            "type": "price_details",
            "price_details": {"price": price["id"], "product": price["product"]},
            "unit_amount_decimal": price["unit_amount_decimal"],
        },
        proration=True,
        quantity=item["quantity"] or 1,
        quantity_decimal=str(item["quantity"] or 1),
        tax_rates=[],
    )
    world.add(
        entry,
        "invoiceitem.created",
        tax_rates=[rate["id"] for rate in rates] if rates else None,
        credited=_credited(world, subscription, item) if credit else None,
    )
    return entry


def _credited(world, subscription, item):
    """The invoice line whose time is given back, if it is the latest invoice's."""
    key = subscription["latest_invoice"]
    if key is None:
        return None
    for line_id in world.side[key]["lines"]:
        line = world.peek("line_item", line_id)
        details = line["parent"]["subscription_item_details"]
        if details and details["subscription_item"] == item["id"]:
            return {"invoice": key, "invoice_line_items": [line_id]}
    return None
