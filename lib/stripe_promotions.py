"""Whether Stripe's checkout takes a promotion code, and why not."""

# Why not, the first that applies. A promotion code of a coupon that is deleted or no
# longer valid cannot be switched on again; nor can one that is expired or used up.
COUPON, EXPIRED, USED_UP, SWITCHED_OFF = "coupon", "expired", "used_up", "switched_off"


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
    if not coupon.get("valid") or _is_over(coupon.get("redeem_by"), now):
        return COUPON
    if _is_over(promotion.get("expires_at"), now):
        return EXPIRED
    most = promotion.get("max_redemptions")
    if most and (promotion.get("times_redeemed") or 0) >= most:
        return USED_UP
    return None if promotion.get("active") else SWITCHED_OFF


def _is_over(moment, now):
    return bool(moment) and moment <= now
