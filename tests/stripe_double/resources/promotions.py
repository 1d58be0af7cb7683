"""Coupons and promotion codes."""

import re

from ..errors import ApiError
from ..render import includes
from ..routing import listing, retrieval, route
from . import common

CODE = re.compile(r"[A-Za-z0-9-]+$")


@route("POST", "/v1/coupons", "coupon")
def create_coupon(call):
    params, world = call.params, call.world
    key = params.get("id")
    if key and world.get("coupon", key):
        raise ApiError(
            "Coupon already exists.", code="resource_already_exists", param="id"
        )
    percent, amount = params.get("percent_off") or None, params.get("amount_off")
    _check_value(percent, amount or None, params.get("currency"))
    duration = params.get("duration", "once")
    months = params.get("duration_in_months")
    if (duration == "repeating") != (months is not None):
        raise ApiError(
            "You must pass duration_in_months if, and only if, duration is repeating.",
            param="duration_in_months",
        )
    products = (params.get("applies_to") or {}).get("products", [])
    for index, product in enumerate(products):
        world.find("product", product, f"applies_to[products][{index}]")
    world.removed.discard(key)
    coupon = world.build(
        "coupon",
        id=key or "".join(world.random.choices("abcdefghijkmnpqrstuvwxyz", k=8)),
        amount_off=amount or None,
        currency=params.get("currency", "").lower() or None,
        duration=duration,
        duration_in_months=months,
        max_redemptions=params.get("max_redemptions"),
        metadata=common.metadata(params.get("metadata")),
        name=params.get("name"),
        percent_off=percent,
        redeem_by=params.get("redeem_by"),
        times_redeemed=0,
        valid=True,
    )
    if coupon["redeem_by"]:
        world.schedule(coupon["redeem_by"], "expiry", coupon["id"])
    options = params.get("currency_options") or {}
    return world.add(coupon, "coupon.created", products=products, options=options)


def _check_value(percent, amount, currency):
    if (percent is None) == (amount is None):
        raise ApiError(
            "You must pass either percent_off or amount_off.",
            code="parameter_missing" if percent is None else "parameters_exclusive",
            param="percent_off",
        )
    if percent is not None and not 0 < percent <= 100:
        raise ApiError(
            f"Invalid decimal: {percent}. Percent off must be greater than 0 and at"
            " most 100.",
            param="percent_off",
        )
    if amount is not None and not currency:
        raise ApiError(
            "You must pass currency when passing amount_off.",
            code="parameter_missing",
            param="currency",
        )


retrieval("coupon", "/v1/coupons/{coupon}", "coupon")
listing("coupon", "/v1/coupons", "coupon")


@includes("coupon", "applies_to")
def applies_to(world, coupon):
    products = world.side[coupon["id"]]["products"]
    return {"products": products} if products else None


@includes("coupon", "currency_options")
def currency_options(world, coupon):
    options = dict(world.side[coupon["id"]]["options"])
    if coupon["currency"]:
        options[coupon["currency"]] = {"amount_off": coupon["amount_off"]}
    return options


@route("POST", "/v1/coupons/{coupon}", "coupon")
def update_coupon(call, coupon):
    obj = call.world.find("coupon", coupon)
    with call.world.change(obj, "coupon.updated"):
        common.copy(obj, call.params, "name")
        common.merge_metadata(obj, call.params)
    if "currency_options" in call.params:
        call.world.side[coupon]["options"].update(call.params["currency_options"])
    return obj


@route("DELETE", "/v1/coupons/{coupon}", "coupon")
def delete_coupon(call, coupon):
    """Discounts go on; promotion codes of the coupon cannot be used any more."""
    world = call.world
    obj = world.find("coupon", coupon)
    obj["valid"] = False
    answer = world.remove(obj, "coupon.deleted")
    for promo in world.all("promotion_code", active=True, promotion__coupon=coupon):
        with world.change(promo, "promotion_code.updated"):
            promo["active"] = False
    return answer


# -- promotion codes ------------------------------------------------------------


@route("POST", "/v1/promotion_codes", "promotion_code")
def create_promotion_code(call):
    params, world = call.params, call.world
    coupon_id = params["promotion"].get("coupon")
    if not coupon_id:
        raise ApiError(
            "Missing required param: promotion[coupon].",
            code="parameter_missing",
            param="promotion[coupon]",
        )
    coupon = world.find("coupon", coupon_id, "promotion[coupon]")
    customer = params.get("customer") or None
    if customer:
        world.find("customer", customer, "customer")
    code = params.get("code") or _random_code(world)
    active = params.get("active", True)
    if not CODE.match(code):
        raise ApiError(
            "Promotion codes can only contain the characters A-Z, a-z, 0-9 and -.",
            param="code",
        )
    if active:
        require_unique(world, code, customer)
    limits = params.get("restrictions") or {}
    promo = world.build(
        "promotion_code",
        active=active and coupon["valid"],
        code=code,
        customer=customer,
        expires_at=params.get("expires_at"),
        max_redemptions=params.get("max_redemptions"),
        metadata=common.metadata(params.get("metadata")),
        promotion={"type": "coupon", "coupon": coupon_id},
        restrictions=_restrictions(limits),
        times_redeemed=0,
    )
    if promo["expires_at"]:
        world.schedule(promo["expires_at"], "expiry", promo["id"])
    return world.add(promo, "promotion_code.created")


def _restrictions(limits):
    """``currency_options`` is left out, not ``null``, when there are none."""
    result = {
        "first_time_transaction": limits.get("first_time_transaction", False),
        "minimum_amount": limits.get("minimum_amount"),
        "minimum_amount_currency": limits.get("minimum_amount_currency"),
    }
    if limits.get("currency_options"):
        result["currency_options"] = limits["currency_options"]
    return result


def _random_code(world):
    return "".join(world.random.choices("ABCDEFGHJKLMNPQRSTUVWXYZ23456789", k=8))


def require_unique(world, code, customer, but=None):
    """Unique without case among the active codes of the same customer (or none)."""
    for key in world.codes(code):
        other = world.peek("promotion_code", key)
        if other["active"] and other["customer"] == customer and key != but:
            raise ApiError(
                f"An active promotion code with `code: {code}` already exists.",
                code="resource_already_exists",
                param="code",
            )


def require_redeemable(world, promo):
    """Stripe: a code is only switched on again while it is otherwise redeemable."""
    expires, most = promo["expires_at"], promo["max_redemptions"]
    if (expires and expires <= world.now()) or (
        most and promo["times_redeemed"] >= most
    ):
        raise ApiError(
            "This promotion code cannot be activated because it has expired or has been"
            " fully redeemed.",
            param="active",
        )


def _with_code(call):
    return call.world.codes(call.params["code"]) if "code" in call.params else None


retrieval("promotion_code", "/v1/promotion_codes/{promotion_code}", "promotion_code")
listing(
    "promotion_code",
    "/v1/promotion_codes",
    "promotion_code",
    {
        "active": "active",
        "code": lambda world, obj, code: obj["code"].lower() == code.lower(),
        "coupon": "promotion.coupon",
        "customer": "customer",
    },
    narrow=_with_code,
)


@route("POST", "/v1/promotion_codes/{promotion_code}", "promotion_code")
def update_promotion_code(call, promotion_code):
    world, params = call.world, call.params
    promo = world.find("promotion_code", promotion_code)
    if params.get("active") and not promo["active"]:
        coupon = world.get("coupon", promo["promotion"]["coupon"])
        if coupon is None or not coupon["valid"]:
            raise ApiError(
                "This promotion code cannot be activated because its coupon is no"
                " longer valid.",
                param="active",
            )
        require_redeemable(world, promo)
        require_unique(world, promo["code"], promo["customer"], promo["id"])
    with world.change(promo, "promotion_code.updated"):
        common.copy(promo, params, "active")
        common.merge_metadata(promo, params)
        options = (params.get("restrictions") or {}).get("currency_options")
        if options:
            merged = promo["restrictions"].get("currency_options", {}) | options
            promo["restrictions"] = {
                **promo["restrictions"],
                "currency_options": merged,
            }
    return promo
