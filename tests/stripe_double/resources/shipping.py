"""Shipping rates, and what shipping costs on a session or an invoice. No tax on it."""

from ..errors import required
from ..routing import listing, retrieval, route
from . import common

PATH = "/v1/shipping_rates"


def new_rate(world, data, param=""):
    """A ShippingRate from the parameters of the call or of ``shipping_rate_data``."""
    fixed = data.get("fixed_amount")
    if not fixed:
        raise required(f"{param}[fixed_amount]" if param else "fixed_amount")
    rate = world.build(
        "shipping_rate",
        active=True,
        display_name=data["display_name"],
        fixed_amount={
            "amount": fixed["amount"],
            "currency": fixed["currency"].lower(),
        },
        metadata=common.metadata(data.get("metadata")),
        tax_behavior=data.get("tax_behavior", "unspecified"),
        type="fixed_amount",
    )
    return world.add(rate)


def read(world, entry, param):
    """``shipping_rate`` or ``shipping_rate_data`` -> a ShippingRate."""
    if entry.get("shipping_rate_data"):
        name = f"{param}[shipping_rate_data]"
        return new_rate(world, entry["shipping_rate_data"], name)
    key = entry.get("shipping_rate")
    if not key:
        raise required(f"{param}[shipping_rate]")
    return world.find("shipping_rate", key, f"{param}[shipping_rate]")


def cost(rate):
    """The ``shipping_cost`` of an invoice, a credit note or a session."""
    amount = rate["fixed_amount"]["amount"]
    return {
        "amount_subtotal": amount,
        "amount_tax": 0,
        "amount_total": amount,
        "shipping_rate": rate["id"],
    }


def put_on(world, invoice, entry):
    """Let an invoice ask for shipping; an empty value takes it away."""
    rate = read(world, entry, "shipping_cost") if entry else None
    invoice["shipping_cost"] = rate and cost(rate)
    invoice["amount_shipping"] = rate["fixed_amount"]["amount"] if rate else 0


@route("POST", PATH, "shipping_rate")
def create_rate(call):
    call.params.ignore("type", "delivery_estimate", "tax_code")
    names = ("fixed_amount", "display_name", "metadata", "tax_behavior")
    return new_rate(call.world, call.params.take(*names))


retrieval("shipping_rate", PATH + "/{shipping_rate_token}", "shipping_rate")
listing("shipping_rate", PATH, "shipping_rate", {"active": "active"})
