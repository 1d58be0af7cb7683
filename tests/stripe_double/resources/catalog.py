"""Products, prices and tax rates."""

from decimal import Decimal, InvalidOperation

from ..billing.amounts import decimal_text
from ..errors import ApiError
from ..render import includes
from ..routing import listing, retrieval, route
from . import common

# -- products -------------------------------------------------------------------


@route("POST", "/v1/products", "product")
def create_product(call):
    params, world = call.params, call.world
    params.ignore("tax_code", "shippable", "package_dimensions", "images", "url")
    params.ignore("statement_descriptor", "marketing_features", "tax_details", "type")
    if params.get("id") and world.peek("product", params["id"]):
        raise ApiError("Product already exists.", code="resource_already_exists")
    product = world.build(
        "product",
        id=params.get("id"),
        active=params.get("active", True),
        description=params.get("description"),
        images=[],
        marketing_features=[],
        metadata=common.metadata(params.get("metadata")),
        name=params["name"],
        type="service",
        unit_label=params.get("unit_label"),
        updated=world.now(),
    )
    world.add(product, "product.created")
    if "default_price_data" in params:
        data = dict(params["default_price_data"])
        price = new_price(world, {**data, "product": product["id"]})
        product["default_price"] = price["id"]
    return product


retrieval("product", "/v1/products/{id}", "product")
listing(
    "product",
    "/v1/products",
    "product",
    {"active": "active", "ids": lambda world, obj, ids: obj["id"] in ids},
)


@route("POST", "/v1/products/{id}", "product")
def update_product(call, id):
    product = call.world.find("product", id)
    with call.world.change(product, "product.updated"):
        common.copy(product, call.params, "active", "description", "name", "unit_label")
        common.copy(product, call.params, "default_price")
        common.merge_metadata(product, call.params)
        product["updated"] = call.world.now()
    return product


@route("DELETE", "/v1/products/{id}", "product")
def delete_product(call, id):
    world = call.world
    product = world.find("product", id)
    if world.all("price", product=id):
        raise ApiError(
            "This product cannot be deleted because it has one or more user-created"
            " prices."
        )
    return world.remove(product, "product.deleted")


# -- prices ---------------------------------------------------------------------


def new_price(world, data):
    """A price from ``price_data``-like parameters; sub-cent prices have only a
    ``unit_amount_decimal``."""
    recurring = data.get("recurring")
    amount, text = _unit(data)
    tiers = [_tier(tier) for tier in data.get("tiers") or ()]
    price = world.build(
        "price",
        id=data.get("id"),
        active=data.get("active", True),
        billing_scheme=data.get("billing_scheme", "per_unit"),
        currency=data["currency"].lower(),
        lookup_key=data.get("lookup_key"),
        metadata=common.metadata(data.get("metadata")),
        nickname=data.get("nickname"),
        product=data["product"],
        recurring=recurring and _recurring(recurring),
        tax_behavior=data.get("tax_behavior", "unspecified"),
        tiers_mode=data.get("tiers_mode"),
        transform_quantity=data.get("transform_quantity"),
        type="recurring" if recurring else "one_time",
        unit_amount=amount,
        unit_amount_decimal=text,
    )
    return world.add(price, "price.created", tiers=tiers)


def _unit(data):
    if data.get("tiers"):
        return None, None
    if "unit_amount" in data:
        return data["unit_amount"], decimal_text(data["unit_amount"])
    if "unit_amount_decimal" not in data:
        raise ApiError(
            "Missing required param: unit_amount.",
            code="parameter_missing",
            param="unit_amount",
        )
    try:
        value = Decimal(data["unit_amount_decimal"])
    except InvalidOperation:
        raise ApiError("Invalid decimal", param="unit_amount_decimal") from None
    whole = int(value) if value == int(value) else None
    return whole, decimal_text(value)


def _tier(tier):
    limit = tier["up_to"]
    flat, unit = tier.get("flat_amount"), tier.get("unit_amount")
    return {
        "flat_amount": flat,
        "flat_amount_decimal": None if flat is None else str(flat),
        "unit_amount": unit,
        "unit_amount_decimal": tier.get("unit_amount_decimal")
        or (None if unit is None else str(unit)),
        "up_to": None if limit == "inf" else int(limit),
    }


def _recurring(data):
    return {
        "interval": data["interval"],
        "interval_count": data.get("interval_count", 1),
        "meter": data.get("meter"),
        "trial_period_days": None,
        "usage_type": data.get("usage_type", "licensed"),
    }


def inline_price(world, data, param):
    """``price_data`` of an item: a price (and perhaps a product) made in passing."""
    data = dict(data)
    if "product_data" in data:
        product = dict(data.pop("product_data"))
        made = world.build(
            "product",
            active=False,
            images=[],
            marketing_features=[],
            metadata=common.metadata(product.get("metadata")),
            name=product["name"],
            description=product.get("description"),
            type="service",
            updated=world.now(),
        )
        data["product"] = world.add(made, "product.created")["id"]
    world.find("product", data["product"], f"{param}[product]")
    return new_price(world, {**data, "active": False})


@route("POST", "/v1/prices", "plan")
def create_price(call):
    params, world = call.params, call.world
    params.ignore("currency_options", "custom_unit_amount")
    names = (
        "active billing_scheme currency lookup_key metadata nickname product recurring"
        " tax_behavior tiers tiers_mode transform_quantity unit_amount"
        " unit_amount_decimal"
    ).split()
    data = params.take(*names)
    if "product_data" in params:
        return inline_price(world, {**data, "product_data": params["product_data"]}, "")
    if "product" not in data:
        raise ApiError(
            "You must pass either `product` or `product_data`.", param="product"
        )
    world.find("product", data["product"], "product")
    key = data.get("lookup_key")
    holders = world.all("price", lookup_key=key) if key else []
    if holders and not params.get("transfer_lookup_key"):
        raise ApiError(
            f"A price (`{holders[0]['id']}`) already uses that lookup key.",
            param="lookup_key",
        )
    for holder in holders:
        with world.change(holder, "price.updated"):
            holder["lookup_key"] = None
    return new_price(world, data)


def _active_unless_asked(call):
    """Without ``active`` the list leaves out what was archived or priced inline."""
    if "active" not in call.params:
        call.params["active"] = True


retrieval("price", "/v1/prices/{price}", "plan")
listing(
    "price",
    "/v1/prices",
    "plan",
    {
        "active": "active",
        "currency": "currency",
        "product": "product",
        "type": "type",
        "lookup_keys": lambda world, obj, keys: obj["lookup_key"] in keys,
        "recurring": lambda world, obj, want: all(
            (obj["recurring"] or {}).get(k) == v for k, v in want.items()
        ),
    },
    narrow=_active_unless_asked,
)
includes("price", "tiers")(
    lambda world, price: world.side[price["id"]]["tiers"] or None
)
includes("price", "currency_options")(lambda world, price: {})


@route("POST", "/v1/prices/{price}", "plan")
def update_price(call, price):
    obj = call.world.find("price", price)
    call.params.ignore("transfer_lookup_key")
    with call.world.change(obj, "price.updated"):
        names = "active lookup_key nickname tax_behavior".split()
        common.copy(obj, call.params, *names)
        common.merge_metadata(obj, call.params)
    return obj


# -- tax rates ------------------------------------------------------------------


@route("POST", "/v1/tax_rates", "tax_rate")
def create_tax_rate(call):
    params, world = call.params, call.world
    rate = world.build(
        "tax_rate",
        active=params.get("active", True),
        display_name=params["display_name"],
        inclusive=params["inclusive"],
        metadata=common.metadata(params.get("metadata")),
        percentage=params["percentage"],
        effective_percentage=params["percentage"],
        rate_type="percentage",
        **params.take("country", "description", "jurisdiction", "state", "tax_type"),
    )
    return world.add(rate, "tax_rate.created")


retrieval("tax_rate", "/v1/tax_rates/{tax_rate}", "tax_rate")
listing(
    "tax_rate",
    "/v1/tax_rates",
    "tax_rate",
    {"active": "active", "inclusive": "inclusive"},
)


@route("POST", "/v1/tax_rates/{tax_rate}", "tax_rate")
def update_tax_rate(call, tax_rate):
    rate = call.world.find("tax_rate", tax_rate)
    with call.world.change(rate, "tax_rate.updated"):
        names = "active country description display_name jurisdiction state".split()
        common.copy(rate, call.params, *names)
        common.merge_metadata(rate, call.params)
    return rate
