"""Payloads as an endpoint with an old API version gets them.

Only what changed in 2025 and matters here: the links between invoice, subscription,
charge and discount moved, so code that trusts an old payload loses them (see the
versions 2025-03-31.basil and 2025-09-30.clover in Stripe's changelog). Answers of the
API are always of the current version.
"""

BASIL, CLOVER = "2025-03-31", "2025-09-30"


def rendered(world, obj, version):
    """A snapshot as ``version`` shows it; the current one is left alone."""
    if not version or version >= CLOVER:
        return obj
    maker = OLD.get(obj.get("object"))
    if maker is None:
        return obj
    return maker(world, dict(obj), version < BASIL)


def _invoice(world, obj, before_basil):
    if not before_basil:
        return obj
    parent = (obj.pop("parent") or {}).get("subscription_details")
    taxes = obj.pop("total_taxes") or []
    obj.update(
        subscription=parent and parent["subscription"],
        subscription_details={"metadata": parent["metadata"]} if parent else None,
        paid=obj["status"] == "paid",
        paid_out_of_band=False,
        tax=sum(tax["amount"] for tax in taxes) or None,
        total_tax_amounts=[_tax(tax) for tax in taxes],
        discount=None,
        quote=None,
    )
    intents = [
        payment["payment"]["payment_intent"]
        for payment in world.all("invoice_payment", invoice=obj["id"])
        if payment["payment"].get("payment_intent")
    ]
    obj["payment_intent"] = intents[0] if intents else None
    intent = intents and world.peek("payment_intent", intents[0])
    obj["charge"] = intent["latest_charge"] if intent else None
    lines = [_line(dict(line)) for line in obj["lines"]["data"]]
    obj["lines"] = {**obj["lines"], "data": lines, "total_count": len(lines)}
    return obj


def _tax(tax):
    return {
        "amount": tax["amount"],
        "inclusive": tax["tax_behavior"] == "inclusive",
        "tax_rate": tax["tax_rate_details"]["tax_rate"],
        "taxability_reason": tax["taxability_reason"],
        "taxable_amount": tax["taxable_amount"],
    }


def _line(line):
    parent = line.pop("parent") or {}
    details = parent.get("subscription_item_details") or {}
    price = ((line.pop("pricing") or {}).get("price_details") or {}).get("price")
    line.update(
        price=price and {"id": price, "object": "price"},
        proration=bool(details.get("proration")),
        subscription_item=details.get("subscription_item"),
        tax_amounts=[_tax(tax) for tax in line.pop("taxes")],
        type="subscription" if details else "invoiceitem",
    )
    return line


def _charge(world, obj, before_basil):
    if before_basil:
        found = world.all(
            "invoice_payment", payment__payment_intent=obj["payment_intent"]
        )
        obj["invoice"] = found[0]["invoice"] if found else None
    return obj


def _subscription(world, obj, before_basil):
    if before_basil:
        first = obj["items"]["data"][0]
        obj["current_period_start"] = first["current_period_start"]
        obj["current_period_end"] = first["current_period_end"]
        obj["discount"] = None
    return obj


def _promotion_code(world, obj, before_basil):
    obj["coupon"] = {"id": obj.pop("promotion")["coupon"], "object": "coupon"}
    return obj


def _discount(world, obj, before_basil):
    obj["coupon"] = {"id": obj.pop("source")["coupon"], "object": "coupon"}
    return obj


OLD = {
    "charge": _charge,
    "discount": _discount,
    "invoice": _invoice,
    "promotion_code": _promotion_code,
    "subscription": _subscription,
}
