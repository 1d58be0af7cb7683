"""Coupons and promotion codes: may they be redeemed, and what do they become.

A redeemed coupon is a Discount object (``di_…``). A subscription's discount reappears
with the same id on its invoices; ``once`` is used up by the first invoice with an
amount, ``repeating`` ends calendar months after its start.
"""

from ..dates import add_months
from ..errors import ApiError
from .amounts import percentage, spread


def read(world, entries, param="discounts"):
    """``discounts`` parameters -> list of (coupon, promotion code, discount)."""
    found = []
    for index, entry in enumerate(entries or []):
        here = f"{param}[{index}]"
        if entry.get("discount"):
            discount = world.find("discount", entry["discount"], f"{here}[discount]")
            found.append((coupon_of(world, discount), None, discount))
        elif entry.get("promotion_code"):
            code = entry["promotion_code"]
            promo = world.find("promotion_code", code, f"{here}[promotion_code]")
            found.append((promo_coupon(world, promo), promo, None))
        elif entry.get("coupon"):
            coupon = world.find("coupon", entry["coupon"], f"{here}[coupon]")
            found.append((coupon, None, None))
        else:
            raise ApiError(
                "You must pass either a coupon, a promotion code or a discount.",
                code="parameter_missing",
                param=here,
            )
    return found


def coupon_of(world, discount):
    return world.peek("coupon", discount["source"]["coupon"])


def promo_coupon(world, promo):
    return world.peek("coupon", promo["promotion"]["coupon"])


def by_code(world, code):
    """The active promotion code a customer typed; codes ignore case."""
    for key in world.codes(code):
        promo = world.peek("promotion_code", key)
        if promo["active"]:
            return promo
    raise ApiError("This code is invalid.", param="promotion_code")


def verify(world, coupon, promo, customer=None, amount=None, currency=None):
    """Refuse as Stripe does when a coupon or code cannot be redeemed (now)."""
    if coupon["id"] in world.removed or not coupon["valid"]:
        raise ApiError(
            f"Coupon expired: {coupon['id']}", code="coupon_expired", param="coupon"
        )
    if coupon["currency"] and currency and coupon["currency"] != currency:
        raise ApiError(
            f"The coupon {coupon['id']} is in {coupon['currency']}, but the purchase"
            f" is in {currency}.",
            param="coupon",
        )
    if promo:
        _verify_promo(world, promo, customer, amount, currency)


def _verify_promo(world, promo, customer, amount, currency):
    def refuse(why):
        raise ApiError(
            f"This promotion code cannot be redeemed because {why}.",
            param="promotion_code",
        )

    limits = promo["restrictions"]
    if not promo["active"]:
        refuse("it is not active")
    if promo["customer"] and promo["customer"] != (customer and customer["id"]):
        refuse("it belongs to another customer")
    if limits["first_time_transaction"] and customer and has_paid(world, customer):
        refuse("the associated customer has prior transactions")
    if limits["minimum_amount"] and amount is not None:
        if currency != limits["minimum_amount_currency"]:
            refuse("its minimum amount is in another currency")
        if amount < limits["minimum_amount"]:
            refuse("the minimum amount has not been reached")


def has_paid(world, customer):
    """Successful payments or paid invoices before now (``first_time_transaction``)."""
    charges = world.all("charge", customer=customer["id"], status="succeeded")
    if charges:
        return True
    paid = world.all("invoice", customer=customer["id"], status="paid")
    return any(invoice["total"] > 0 for invoice in paid)


def redeem(world, coupon, promo, start=None, **owner):
    """A new Discount object; counts the redemption on coupon and code."""
    start = world.now() if start is None else start
    end = None
    if coupon["duration"] == "repeating":
        end = add_months(start, coupon["duration_in_months"])
    discount = world.build(
        "discount",
        source={"type": "coupon", "coupon": coupon["id"]},
        promotion_code=promo and promo["id"],
        start=start,
        end=end,
        **owner,
    )
    world.add(discount)
    with world.change(coupon, "coupon.updated"):
        coupon["times_redeemed"] += 1
        _expire(coupon, world)
    if promo:
        with world.change(promo, "promotion_code.updated"):
            promo["times_redeemed"] += 1
            limit = promo["max_redemptions"]
            if limit and promo["times_redeemed"] >= limit:
                promo["active"] = False
    return discount


def _expire(coupon, world):
    limit, by = coupon["max_redemptions"], coupon["redeem_by"]
    if (limit and coupon["times_redeemed"] >= limit) or (by and by <= world.now()):
        coupon["valid"] = False


def adopt(world, entries, customer, *, amount=None, currency=None, **owner):
    """Parameters -> ids of new Discount objects, after all checks."""
    found = check(world, entries, customer, amount, currency)
    ids = []
    for coupon, promo, discount in found:
        if discount is None:
            discount = redeem(
                world, coupon, promo, customer=customer and customer["id"], **owner
            )
            if owner.get("subscription") or owner.get("subscription_item"):
                world.emit("customer.discount.created", discount)
        ids.append(discount["id"])
    return ids


def check(world, entries, customer, amount=None, currency=None):
    """Read and verify all of them before anything is made of the first."""
    found = read(world, entries)
    for coupon, promo, discount in found:
        if discount is None:
            verify(world, coupon, promo, customer, amount, currency)
    return found


def split(world, coupon, entries):
    """What a coupon takes off each of ``entries`` [(amount left, product id)].

    A percentage is rounded per entry; an amount is spread by largest remainder over
    what is positive. A coupon may be limited to products (``applies_to``).
    """
    products = world.side[coupon["id"]].get("products")
    touched = [not products or product in products for _left, product in entries]
    if coupon["percent_off"] is not None:
        return [
            percentage(left, coupon["percent_off"]) if touch else 0
            for (left, _product), touch in zip(entries, touched, strict=True)
        ]
    weights = [
        max(0, left) if touch else 0
        for (left, _product), touch in zip(entries, touched, strict=True)
    ]
    return spread(min(coupon["amount_off"], sum(weights)), weights)


def running(world, ids, moment):
    """The discounts of ``ids`` that still apply at ``moment``."""
    found = []
    for key in ids:
        discount = world.peek("discount", key)
        used = world.side[key].get("used")
        if not used and (discount["end"] is None or moment < discount["end"]):
            found.append(discount)
    return found


def expire(world, key):
    """The clock reached ``redeem_by`` of a coupon or ``expires_at`` of a code."""
    coupon, promo = world.peek("coupon", key), world.peek("promotion_code", key)
    if coupon:
        coupon["valid"] = False
        for code in world.all("promotion_code", promotion__coupon=key):
            code["active"] = False
    elif promo:
        promo["active"] = False


def finish(world, holder, event, moment):
    """Take ended discounts off a subscription or item, with their events."""
    keep = {d["id"] for d in running(world, holder["discounts"], moment)}
    gone = [key for key in holder["discounts"] if key not in keep]
    if gone:
        with world.change(holder, *([event] if event else [])):
            holder["discounts"] = [k for k in holder["discounts"] if k in keep]
        for key in gone:
            world.emit("customer.discount.deleted", world.peek("discount", key))


def use_up(world, invoice):
    """A ``once`` discount ends with the first invoice it took something off."""
    for entry in invoice["total_discount_amounts"]:
        discount = world.peek("discount", entry["discount"])
        if entry["amount"] > 0 and coupon_of(world, discount)["duration"] == "once":
            world.side[discount["id"]]["used"] = invoice["id"]
