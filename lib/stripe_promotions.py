"""Promotion codes of Stripe: what one gives, and whether the checkout takes it."""

from dataclasses import dataclass

from .stripe_rows import ref

# Why not, the first that applies. A promotion code of a coupon that is deleted or no
# longer valid cannot be switched on again; nor can one that is expired or used up.
COUPON, EXPIRED, USED_UP, SWITCHED_OFF = "coupon", "expired", "used_up", "switched_off"


@dataclass(frozen=True)
class Terms:
    """What a promotion code gives, and to whom.

    Stripe changes none of it: other terms are another promotion code. Limits (until
    when, how often) are no terms: they end a promotion code, and the one that takes its
    place begins anew.
    """

    coupon: str  # Stripe id
    first_time: bool = False  # for the first payment of a customer only
    minimum_amount: int | None = None  # in minor units
    minimum_currency: str | None = None
    customer: str | None = None  # Stripe id, where it is for one customer only

    @classmethod
    def of(cls, promotion):
        """Return the terms of Stripe's promotion code (a dict)."""
        limits = promotion.get("restrictions") or {}
        return cls(
            coupon=coupon_of(promotion),
            first_time=bool(limits.get("first_time_transaction")),
            minimum_amount=limits.get("minimum_amount") or None,
            minimum_currency=limits.get("minimum_amount_currency") or None,
            customer=ref(promotion.get("customer")),
        )

    def params(self):
        """Return the parameters that make a promotion code with these terms."""
        limits = {"first_time_transaction": True} if self.first_time else {}
        if self.minimum_amount:
            limits["minimum_amount"] = self.minimum_amount
            limits["minimum_amount_currency"] = self.minimum_currency
        params = {"promotion": {"type": "coupon", "coupon": self.coupon}}
        if limits:
            params["restrictions"] = limits
        if self.customer:
            params["customer"] = self.customer
        return params


def coupon_of(promotion):
    """Return the Stripe id of the coupon of a promotion code (a dict)."""
    return ref((promotion.get("promotion") or {}).get("coupon"))


def same_discount(coupon):
    """Return the parameters of a coupon that gives what ``coupon`` (a dict) gives.

    Without its limits: it is made because the other one has come to its end.
    """
    names = ("name", "percent_off", "amount_off", "currency", "duration")
    params = {name: coupon[name] for name in names if coupon.get(name)}
    if coupon.get("duration") == "repeating":
        params["duration_in_months"] = coupon["duration_in_months"]
    if products := (coupon.get("applies_to") or {}).get("products"):
        params["applies_to"] = {"products": products}
    others = {
        currency: {"amount_off": option["amount_off"]}
        for currency, option in (coupon.get("currency_options") or {}).items()
        if currency != coupon.get("currency") and option.get("amount_off")
    }
    if others:
        params["currency_options"] = others
    return params


def why_off(promotion, coupon, now):
    """Return why a promotion code gives no discount at a moment, or None where it does.

    Stripe's ``active`` says it as of the moment the object was read. No event tells
    that a date has passed, and a deleted coupon need not change its promotion codes:
    so dates and coupon are looked at as well.

    :param dict promotion: Stripe's promotion code
    :param coupon: its coupon, None where it is not known
    :param int now: Unix time
    :return: ``COUPON``, ``EXPIRED``, ``USED_UP``, ``SWITCHED_OFF`` or None
    """
    coupon = coupon or {"valid": True}
    if (
        not coupon.get("valid")
        or _is_over(coupon.get("redeem_by"), now)
        or _is_used_up(coupon)
    ):
        return COUPON
    if _is_over(promotion.get("expires_at"), now):
        return EXPIRED
    if _is_used_up(promotion):
        return USED_UP
    return None if promotion.get("active") else SWITCHED_OFF


def is_counted(promotion, coupon):
    """Tell whether a promotion code ends after so many uses, its own or its coupon's.

    :param dict promotion: Stripe's promotion code
    :param coupon: its coupon, None where it is not known
    """
    return bool(
        promotion.get("max_redemptions") or (coupon or {}).get("max_redemptions")
    )


def ends_at(promotion, coupon):
    """Return the Unix time at which a promotion code ends by itself, or None."""
    ends = (promotion.get("expires_at"), (coupon or {}).get("redeem_by"))
    return min(filter(None, ends), default=None)


def _is_over(moment, now):
    return bool(moment) and moment <= now


def _is_used_up(promotion_or_coupon):
    most = promotion_or_coupon.get("max_redemptions")
    return bool(most) and (promotion_or_coupon.get("times_redeemed") or 0) >= most
