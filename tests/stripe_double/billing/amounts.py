"""Pure arithmetic. Rounding is half away from zero, so a credit mirrors its debit."""

from fractions import Fraction


def half_up(value):
    """Round a Fraction to an integer, halves away from zero."""
    value = Fraction(value)
    sign = -1 if value < 0 else 1
    return sign * int(abs(value) + Fraction(1, 2))


def percentage(amount, percent):
    return half_up(amount * Fraction(str(percent)) / 100)


def taxed(amount, rates):
    """``amount`` with manual tax rates: ([(rate, its tax)], the amount without any).
    Inclusive rates are inside of it."""
    inside = sum(Fraction(str(r["percentage"])) for r in rates if r["inclusive"])
    taxes, included = [], 0
    for rate in (r for r in rates if r["inclusive"]):
        share = Fraction(str(rate["percentage"])) / (100 + inside)
        included += half_up(amount * share)
        taxes.append((rate, half_up(amount * share)))
    net = amount - included
    for rate in (r for r in rates if not r["inclusive"]):
        taxes.append((rate, percentage(net, rate["percentage"])))
    return taxes, net


def spread(total, weights):
    """Split ``total`` in proportion, to the unit, by largest remainder."""
    whole = sum(weights)
    if not whole:
        return [0 for _weight in weights]
    exact = [Fraction(total * weight, whole) for weight in weights]
    parts = [int(share // 1) for share in exact]
    order = sorted(range(len(exact)), key=lambda i: (parts[i] - exact[i], i))
    for index in order[: total - sum(parts)]:
        parts[index] += 1
    return parts


def price_amount(price, quantity, tiers=()):
    """What ``quantity`` of a price costs before discounts and exclusive taxes."""
    if price["billing_scheme"] == "tiered":
        return _tiered(price["tiers_mode"], quantity, tiers)
    transform = price["transform_quantity"]
    if transform:
        quotient = Fraction(quantity, transform["divide_by"])
        down = quotient.numerator // quotient.denominator
        quantity = down if transform["round"] == "down" else -(-quotient // 1)
    return half_up(Fraction(price["unit_amount_decimal"] or 0) * quantity)


def _tiered(mode, quantity, tiers):
    total, below = Fraction(0), 0
    for tier in tiers:
        limit = tier["up_to"]
        if mode == "volume":
            if limit is None or quantity <= limit:
                return half_up(_flat(tier) + _unit(tier) * quantity)
            continue
        upper = quantity if limit is None else min(quantity, limit)
        if upper > below:
            total += _flat(tier) + _unit(tier) * (upper - below)
            below = upper
    return half_up(total)


def graduated(price, quantity, tiers):
    """How a graduated price is billed: [(quantity, amount, unit amount)], one entry for
    each tier that is reached; a tier's flat amount is in its entry. Else one entry."""
    if price["tiers_mode"] != "graduated":
        unit = price["unit_amount_decimal"]
        return [(quantity, price_amount(price, quantity, tiers), unit)]
    parts, below = [], 0
    for tier in tiers:
        limit = tier["up_to"]
        upper = quantity if limit is None else min(quantity, limit)
        if upper > below or not parts:
            amount = half_up(_flat(tier) + _unit(tier) * (upper - below))
            parts.append((upper - below, amount, tier["unit_amount_decimal"]))
            below = upper
    return parts


def _flat(tier):
    return Fraction(tier["flat_amount_decimal"] or 0)


def _unit(tier):
    return Fraction(tier["unit_amount_decimal"] or 0)


def prorated(amount, start, end, moment):
    """The share of ``amount`` for the time from ``moment`` to ``end``, by seconds."""
    return half_up(Fraction(amount * (end - moment), end - start))


def decimal_text(value):
    """``1050`` -> ``"1050"``, ``Fraction(1, 2)`` -> ``"0.5"``."""
    value = Fraction(str(value)) if isinstance(value, float) else Fraction(value)
    if value.denominator == 1:
        return str(value.numerator)
    text = f"{float(value):.12f}".rstrip("0")
    return text


def minimum_charge(currency):
    """Stripe's minimum, in the few currencies scenarios use."""
    return {"usd": 50, "eur": 50, "gbp": 30, "jpy": 50}.get(currency, 0)
