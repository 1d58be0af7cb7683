"""Invoice lines, and the arithmetic of an invoice.

A line's ``amount`` is before discounts and without exclusive taxes; it is negative
for the credit of a proration. Item discounts come off first, then the invoice's, one
after the other, each on what the ones before left. Taxes are per line on the
discounted amount, of which billing credits have been taken. The invoice's numbers are
sums over its lines; shipping comes on top, untaxed.
"""

from ..shapes import list_object
from ..world import clone
from . import discounts as discounting
from . import grants
from .amounts import decimal_text, taxed

FIRST_LINES = 10

#: Why a customer pays no tax, by his ``tax_exempt``.
TAX_FREE = {"exempt": "customer_exempt", "reverse": "reverse_charge"}


def add_line(world, invoice, *, amount, description, period, parent, **options):
    """A new line at the end of a draft invoice. ``options``: price, quantity,
    discountable, discounts (ids), tax_rates (ids, ``None`` = the invoice's),
    metadata, pricing."""
    price = options.get("price")
    quantity = options.get("quantity", 1)
    pricing = options.get("pricing")
    if price:
        pricing = {
            "type": "price_details",
            "price_details": {"price": price["id"], "product": price["product"]},
            "unit_amount_decimal": price["unit_amount_decimal"],
        }
    line = world.build(
        "line_item",
        amount=amount,
        subtotal=amount,
        currency=invoice["currency"],
        description=description,
        discount_amounts=[],
        discountable=options.get("discountable", True),
        discounts=list(options.get("discounts", ())),
        invoice=invoice["id"],
        metadata=options.get("metadata") or {},
        parent=parent,
        period=period,
        pretax_credit_amounts=[],
        pricing=pricing,
        quantity=quantity,
        quantity_decimal=None if quantity is None else decimal_text(quantity),
        subscription=(parent.get("subscription_item_details") or {}).get(
            "subscription"
        ),
        taxes=[],
    )
    world.add(line, tax_rates=options.get("tax_rates"))
    world.side[invoice["id"]]["lines"].append(line["id"])
    return line


def lines_of(world, invoice):
    ids = world.side[invoice["id"]]["lines"]
    return [world.objects["line_item"][key] for key in ids]


def recalculate(world, invoice):
    """Discounts, taxes and totals of a draft from its lines."""
    lines = lines_of(world, invoice)
    item_discounts = _discount(world, invoice, lines)
    for line in lines:
        _tax(world, invoice, line)
    _total(world, invoice, lines, item_discounts)
    url = f"/v1/invoices/{invoice['id']}/lines"
    invoice["lines"] = list_object(lines[:FIRST_LINES], url, len(lines) > FIRST_LINES)


def _discount(world, invoice, lines):
    """Fill ``discount_amounts``; returns the part that came from item discounts."""
    left = {line["id"]: line["amount"] for line in lines}
    for line in lines:
        line["discount_amounts"] = []
        for key in line["discounts"]:
            _apply(world, world.peek("discount", key), [line], left)
    items = sum(_discounted(line) for line in lines)
    for key in invoice["discounts"]:
        _apply(world, world.peek("discount", key), lines, left)
    for line in lines:
        line["pretax_credit_amounts"] = [
            *({**entry, "type": "discount"} for entry in line["discount_amounts"]),
            *grants.entries(world, line),
        ]
    return items


def _discounted(line):
    return sum(entry["amount"] for entry in line["discount_amounts"])


def _apply(world, discount, lines, left):
    """One discount over the lines it may touch; ``left`` is what remains of each."""
    lines = [line for line in lines if line["discountable"]]
    entries = [(left[line["id"]], _product(line)) for line in lines]
    coupon = discounting.coupon_of(world, discount)
    parts = discounting.split(world, coupon, entries)
    for line, part in zip(lines, parts, strict=True):
        if part or coupon["percent_off"] is not None:
            left[line["id"]] -= part
            entry = {"amount": part, "discount": discount["id"]}
            line["discount_amounts"].append(entry)


def _product(line):
    details = (line["pricing"] or {}).get("price_details")
    return details and details["product"]


def _tax(world, invoice, line):
    """``taxes`` of one line: inclusive rates are inside the amount.

    Who is exempt, or owes the tax himself, pays the same without any tax inside.
    """
    keys = world.side[line["id"]]["tax_rates"]
    if keys is None:
        rates = invoice["default_tax_rates"]
    else:
        rates = [world.peek("tax_rate", key) for key in keys]
    amount = line["amount"] - _discounted(line) - grants.applied(world, line)
    if reason := TAX_FREE.get(invoice["customer_tax_exempt"]):
        line["taxes"] = [_tax_entry(rate, 0, amount, reason) for rate in rates]
        return
    taxes, net = taxed(amount, rates)
    line["taxes"] = [_tax_entry(rate, tax, net) for rate, tax in taxes]


def _tax_entry(rate, tax, net, reason="not_available"):
    return {
        "amount": tax,
        "tax_behavior": "inclusive" if rate["inclusive"] else "exclusive",
        "tax_rate_details": {"tax_rate": rate["id"]},
        "taxability_reason": reason,
        "taxable_amount": net,
        "type": "tax_rate_details",
    }


def _total(world, invoice, lines, item_discounts):
    gross = sum(line["amount"] for line in lines)
    off = sum(_discounted(line) for line in lines)
    taxes = [entry for line in lines for entry in line["taxes"]]
    exclusive = sum(t["amount"] for t in taxes if t["tax_behavior"] == "exclusive")
    inclusive = sum(t["amount"] for t in taxes if t["tax_behavior"] == "inclusive")
    granted = [entry for line in lines for entry in grants.entries(world, line)]
    shipping = invoice["amount_shipping"]
    credits = sum(entry["amount"] for entry in granted)
    total = gross - off - credits + shipping + exclusive
    invoice["subtotal"] = gross - item_discounts
    invoice["subtotal_excluding_tax"] = gross - item_discounts - inclusive
    invoice["total"] = total
    invoice["total_excluding_tax"] = total - exclusive - inclusive
    invoice["total_taxes"] = _sum_taxes(taxes)
    invoice["total_discount_amounts"] = _sum_discounts(lines)
    invoice["total_pretax_credit_amounts"] = [
        *({**entry, "type": "discount"} for entry in invoice["total_discount_amounts"]),
        *clone(granted),
    ]
    customer = world.peek("customer", invoice["customer"])
    if invoice["status"] == "draft":
        invoice["starting_balance"] = customer["balance"]
        due, _ending = after_balance(total, customer["balance"])
        invoice["amount_due"] = invoice["amount_remaining"] = due


def after_balance(total, balance):
    """(amount due, ending balance): a credit pays first, a debit is added."""
    if total <= 0 or total + balance <= 0:
        return 0, total + balance
    return total + balance, 0


def _sum_taxes(taxes):
    """One entry per tax rate and behaviour, summed over the lines."""
    totals = {}
    for entry in taxes:
        key = entry["tax_rate_details"]["tax_rate"]
        if key not in totals:
            totals[key] = clone(entry)
        else:
            totals[key]["amount"] += entry["amount"]
            totals[key]["taxable_amount"] += entry["taxable_amount"]
    return list(totals.values())


def _sum_discounts(lines):
    totals = {}
    for line in lines:
        for entry in line["discount_amounts"]:
            key = entry["discount"]
            totals[key] = totals.get(key, 0) + entry["amount"]
    return [{"amount": amount, "discount": key} for key, amount in totals.items()]
