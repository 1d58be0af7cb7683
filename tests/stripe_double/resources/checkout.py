"""Checkout Sessions. Completing one is the customer's act: a control route."""

import re

from ..billing import discounts as discounting
from ..billing.amounts import percentage, price_amount
from ..contract import nulls, resource_class
from ..dates import DAY
from ..errors import ApiError
from ..render import includes
from ..routing import listing, paginate_items, retrieval, route
from ..shapes import list_object
from . import common
from .subscription_build import read_price

REFERENCE = re.compile(r"[A-Za-z0-9_-]{1,200}$")

IGNORED = (
    "after_expiration automatic_tax billing_address_collection branding_settings"
    " consent_collection custom_fields custom_text customer_update"
    " excluded_payment_method_types locale name_collection optional_items"
    " origin_context payment_method_collection payment_method_configuration"
    " payment_method_data payment_method_options permissions"
    " phone_number_collection redirect_on_completion saved_payment_method_options"
    " submit_type tax_id_collection wallet_options adaptive_pricing"
    " allowed_payment_method_types"
).split()


def read_items(world, entries, param="line_items"):
    """``line_items`` parameters -> [(price, quantity, tax rate ids)]."""
    return [
        (
            read_price(world, data, f"{param}[{index}]"),
            data.get("quantity", 1),
            data.get("tax_rates") or [],
        )
        for index, data in enumerate(entries or [])
    ]


def check_mode(mode, items):
    if mode == "setup":
        if items:
            raise ApiError(
                "`line_items` cannot be used in `setup` mode.", param="line_items"
            )
        return
    recurring = [price for price, _quantity, _rates in items if price["recurring"]]
    if mode == "subscription" and not recurring:
        raise ApiError(
            "You must provide at least one recurring price in `subscription` mode.",
            param="line_items",
        )
    if mode == "payment" and recurring:
        raise ApiError(
            "You specified `payment` mode but passed a recurring price. Either switch"
            " to `subscription` mode or use only one-time prices.",
            param="line_items",
        )


def new_session(world, mode, items, **values):
    """An open session; ``side`` holds what is needed when it is completed."""
    check_mode(mode, items)
    side = {"data": values.pop("data", {}), "discounts": values.pop("applied", [])}
    cls = resource_class("checkout.session")
    key = world.new_id("checkout.session")
    session = world.build(
        "checkout.session",
        **{
            "id": key,
            "automatic_tax": nulls(cls.AutomaticTax, enabled=False),
            "currency": items[0][0]["currency"] if items else None,
            "custom_fields": [],
            "custom_text": nulls(cls.CustomText),
            "discounts": [],
            "expires_at": world.now() + DAY,
            "metadata": {},
            "mode": mode,
            "payment_method_types": ["card"],
            "payment_status": "unpaid",
            "shipping_options": [],
            "status": "open",
            "ui_mode": "hosted_page",
            "url": f"{world.double.url}/c/pay/{key}",
            **values,
        },
    )
    if mode != "subscription" and not session["customer_creation"]:
        session["customer_creation"] = "if_required"
    elif mode == "subscription":
        session["customer_creation"] = None if session["customer"] else "always"
    lines = [
        new_line(world, price, quantity, rates) for price, quantity, rates in items
    ]
    side["items"] = lines
    world.side[key] = side
    if mode == "setup":
        session["payment_status"] = "no_payment_required"
    else:
        reprice(world, session)
    world.add(session, **side)
    return session


def new_line(world, price, quantity, rates):
    amount = price_amount(price, quantity, world.side[price["id"]].get("tiers"))
    product = world.peek("product", price["product"])
    item = world.build(
        "item",
        amount_discount=0,
        amount_subtotal=amount,
        amount_tax=0,
        amount_total=amount,
        currency=price["currency"],
        description=product["name"],
        metadata={},
        price=price,
        quantity=quantity,
    )
    world.add(item, tax_rates=rates, taxes=[], discounts=[])
    return item


def reprice(world, session):
    """Totals from items, the applied discounts and the exclusive tax rates."""
    side = world.side[session["id"]]
    items = side["items"]
    left = [item["amount_subtotal"] for item in items]
    for coupon, _promo in side["discounts"]:
        entries = [
            (amount, item["price"]["product"])
            for amount, item in zip(left, items, strict=True)
        ]
        parts = discounting.split(world, coupon, entries)
        left = [amount - part for amount, part in zip(left, parts, strict=True)]
    default = side["data"].get("default_tax_rates") or []
    for amount, item in zip(left, items, strict=True):
        item["amount_discount"] = item["amount_subtotal"] - amount
        keys = world.side[item["id"]]["tax_rates"] or default
        rates = [world.find("tax_rate", key, "tax_rates") for key in keys]
        tax = sum(
            percentage(amount, r["percentage"]) for r in rates if not r["inclusive"]
        )
        item["amount_tax"] = tax
        item["amount_total"] = amount + tax
    session["amount_subtotal"] = sum(item["amount_subtotal"] for item in items)
    session["amount_total"] = sum(item["amount_total"] for item in items)
    session["total_details"] = {
        "amount_discount": sum(item["amount_discount"] for item in items),
        "amount_shipping": 0,
        "amount_tax": sum(item["amount_tax"] for item in items),
    }
    session["discounts"] = [
        {
            "coupon": None if promo else coupon["id"],
            "promotion_code": promo and promo["id"],
        }
        for coupon, promo in side["discounts"]
    ]


def apply_code(world, session, code, customer=None):
    """A code typed by the customer, or prefilled by the link."""
    promo = discounting.by_code(world, code)
    coupon = discounting.promo_coupon(world, promo)
    discounting.verify(
        world, coupon, promo, customer, session["amount_subtotal"], session["currency"]
    )
    world.side[session["id"]]["discounts"] = [(coupon, promo)]
    reprice(world, session)


@route("POST", "/v1/checkout/sessions", "checkout_session")
def create_session(call):
    params, world = call.params, call.world
    params.ignore(*IGNORED)
    if "discounts" in params and "allow_promotion_codes" in params:
        raise ApiError(
            "You may only specify one of these parameters: allow_promotion_codes,"
            " discounts.",
            code="parameters_exclusive",
        )
    mode = params.get("mode", "payment")
    items = read_items(world, params.get("line_items"))
    if not items and mode != "setup":
        raise ApiError(
            "Missing required param: line_items.",
            code="parameter_missing",
            param="line_items",
        )
    customer = params.get("customer")
    if customer:
        customer = world.find("customer", customer, "customer")
    values = params.take(
        "allow_promotion_codes",
        "cancel_url",
        "client_reference_id",
        "customer_creation",
        "customer_email",
        "return_url",
        "success_url",
        "ui_mode",
    )
    if params.get("expires_at"):
        values["expires_at"] = params["expires_at"]
    _check_values(values, customer, mode)
    params.ignore("currency")
    return new_session(
        world,
        mode,
        items,
        **values,
        customer=customer and customer["id"],
        metadata=common.metadata(params.get("metadata")),
        invoice_creation=invoice_creation(params.get("invoice_creation")),
        applied=_applied(world, params, customer, items),
        data=_data(mode, params),
    )


def _check_values(values, customer, mode):
    if customer and values.get("customer_email"):
        raise ApiError(
            "You may only specify one of these parameters: customer, customer_email.",
            code="parameters_exclusive",
        )
    if len(values.get("client_reference_id") or "") > 200:
        raise ApiError(
            "Invalid string: client_reference_id must be at most 200 characters.",
            param="client_reference_id",
        )
    if mode == "subscription" and "customer_creation" in values:
        raise ApiError(
            "`customer_creation` can only be used in `payment` and `setup` mode.",
            param="customer_creation",
        )


def _applied(world, params, customer, items):
    found = discounting.read(world, params.get("discounts"))
    amount = sum(price_amount(p, q) for p, q, _r in items if not p["tiers_mode"])
    for coupon, promo, _discount in found:
        currency = items[0][0]["currency"]
        discounting.verify(world, coupon, promo, customer, amount, currency)
    return [(coupon, promo) for coupon, promo, _discount in found]


def _data(mode, params):
    """``subscription_data`` or ``payment_intent_data``, kept for the completion."""
    if mode == "subscription":
        params.ignore("payment_intent_data")
        return dict(params.get("subscription_data") or {})
    params.ignore("subscription_data")
    return dict(params.get("payment_intent_data") or {})


def invoice_creation(given):
    if not given:
        return None
    cls = resource_class("checkout.session").InvoiceCreation
    data = nulls(cls.InvoiceData, **(given.get("invoice_data") or {}))
    data["metadata"] = data["metadata"] or {}
    return {"enabled": given["enabled"], "invoice_data": data}


def _by_email(world, session, details):
    given = (session["customer_details"] or {}).get("email") or session[
        "customer_email"
    ]
    return (given or "").lower() == details["email"].lower()


PATH = "/v1/checkout/sessions/{session}"
retrieval("checkout.session", PATH, "checkout_session")
listing(
    "checkout.session",
    "/v1/checkout/sessions",
    "checkout_session",
    {
        "customer": "customer",
        "customer_details": _by_email,
        "payment_intent": "payment_intent",
        "payment_link": "payment_link",
        "status": "status",
        "subscription": "subscription",
    },
)


@route("POST", PATH, "checkout_session")
def update_session(call, session):
    obj = call.world.find("checkout.session", session)
    with call.world.change(obj):
        common.merge_metadata(obj, call.params)
    return obj


@route("POST", PATH + "/expire", "checkout_session")
def expire_session(call, session):
    obj = call.world.find("checkout.session", session)
    if obj["status"] != "open":
        raise ApiError(
            'Only Checkout Sessions with a status in ["open"] can be expired. This'
            f" Checkout Session has a status of `{obj['status']}`."
        )
    with call.world.change(obj):
        obj["status"] = "expired"
        obj["url"] = None
    call.world.emit("checkout.session.expired", obj)
    return obj


@route("GET", PATH + "/line_items", "checkout_session")
def list_line_items(call, session):
    call.world.find("checkout.session", session)
    return paginate_items(call, "item", call.world.side[session]["items"])


@includes("checkout.session", "line_items")
def line_items(world, session):
    items = world.side[session["id"]]["items"]
    url = f"/v1/checkout/sessions/{session['id']}/line_items"
    return list_object(items[:100], url, len(items) > 100)


@includes("item", "discounts")
def item_discounts(world, item):
    return world.side[item["id"]]["discounts"]


@includes("item", "taxes")
def item_taxes(world, item):
    return world.side[item["id"]]["taxes"]
