"""Credit notes: what was invoiced is taken back, before or after it was paid.

On an open invoice the credit first reduces what is still to be paid (``pre_payment``);
what goes beyond must name where it goes (``post_payment``): refunds, the customer's
balance, or money given back outside of Stripe. Assumed, as the documentation leaves it
open: a line's ``amount`` is gross and without exclusive tax, and its discounts and
taxes follow in proportion; a note made with ``amount`` alone has one custom line and
no tax breakdown.
"""

from fractions import Fraction

from ..errors import ApiError
from ..shapes import list_object
from ..world import clone
from . import invoices, payments
from .amounts import half_up, percentage


def build_lines(world, note, params):
    """The CreditNoteLineItems asked for by ``lines`` or ``amount``."""
    if params.get("lines"):
        makers = {"invoice_line_item": _of_line, "custom_line_item": _custom}
        return [
            makers[data["type"]](world, note, data, f"lines[{index}]")
            for index, data in enumerate(params["lines"])
        ]
    if params.get("shipping_cost") and not params.get("amount"):
        return []
    if not params.get("amount"):
        raise ApiError(
            "You must specify one of `amount`, `lines`, or `shipping_cost`.",
            code="parameter_missing",
            param="amount",
        )
    return [_make(world, note, "custom_line_item", params["amount"])]


def _make(world, note, kind, amount, **values):
    line = world.build(
        "credit_note_line_item",
        **{
            "amount": amount,
            "discount_amount": sum(
                entry["amount"] for entry in values.get("discount_amounts", ())
            ),
            "discount_amounts": [],
            "metadata": {},
            "pretax_credit_amounts": [],
            "tax_rates": [],
            "taxes": [],
            "type": kind,
            **values,
        },
    )
    line["pretax_credit_amounts"] = [
        {**entry, "type": "discount"} for entry in line["discount_amounts"]
    ]
    return world.add(line, note=note["id"])


def _of_line(world, note, data, param):
    """A share of an invoice line, by amount or by quantity."""
    key = data.get("invoice_line_item")
    line = world.find("line_item", key, f"{param}[invoice_line_item]")
    if line["invoice"] != note["invoice"]:
        raise ApiError("This line is not on the invoice.", param=param)
    if "amount" in data:
        amount = data["amount"]
    else:
        quantity = data.get("quantity", line["quantity"])
        amount = half_up(Fraction(line["amount"] * quantity, line["quantity"]))
    _require_left(world, note, line, amount, data.get("quantity"), param)
    share = Fraction(amount, line["amount"]) if line["amount"] else Fraction(0)
    return _make(
        world,
        note,
        "invoice_line_item",
        amount,
        description=line["description"],
        invoice_line_item=key,
        quantity=data.get("quantity"),
        discount_amounts=_portion(line["discount_amounts"], share),
        taxes=_portion(line["taxes"], share),
    )


def _require_left(world, note, line, amount, quantity, param):
    """No more than the line, over all notes that were not voided."""
    earlier = [
        made
        for made in world.all("credit_note_line_item", invoice_line_item=line["id"])
        if world.side[made["id"]]["note"] != note["id"]
        and not _is_void(world, world.side[made["id"]]["note"])
    ]
    left = abs(line["amount"]) - sum(abs(made["amount"]) for made in earlier)
    if amount * line["amount"] < 0 or abs(amount) > left:
        raise ApiError(
            f"The credit note line amount ({amount}) is more than what is left of the"
            f" invoice line item ({left}).",
            param=f"{param}[amount]",
        )
    units = sum(made["quantity"] or 0 for made in earlier)
    if quantity and units + quantity > line["quantity"]:
        raise ApiError(
            f"The quantity ({quantity}) is more than what is left of the invoice line"
            f" item ({line['quantity'] - units}).",
            param=f"{param}[quantity]",
        )


def _is_void(world, key):
    note = world.peek("credit_note", key)
    return note is None or note["status"] == "void"


def _portion(entries, share):
    found = clone(entries)
    for entry in found:
        entry["amount"] = half_up(entry["amount"] * share)
        if "taxable_amount" in entry:
            entry["taxable_amount"] = half_up(entry["taxable_amount"] * share)
    return found


def _custom(world, note, data, param):
    quantity, unit = data.get("quantity", 1), data.get("unit_amount", 0)
    amount = quantity * unit
    rates = [
        clone(world.find("tax_rate", key, f"{param}[tax_rates]"))
        for key in data.get("tax_rates") or []
    ]
    return _make(
        world,
        note,
        "custom_line_item",
        amount,
        description=data.get("description"),
        quantity=quantity,
        unit_amount=unit,
        unit_amount_decimal=str(unit),
        tax_rates=rates,
        taxes=[
            {
                "amount": percentage(amount, rate["percentage"]),
                "tax_behavior": "exclusive",
                "tax_rate_details": {"tax_rate": rate["id"]},
                "taxability_reason": "not_available",
                "taxable_amount": amount,
                "type": "tax_rate_details",
            }
            for rate in rates
        ],
    )


def total(note, lines):
    """The note's amounts are sums over its lines."""
    gross = sum(line["amount"] for line in lines)
    off = sum(line["discount_amount"] for line in lines)
    taxes = [tax for line in lines for tax in line["taxes"]]
    outside = sum(t["amount"] for t in taxes if t["tax_behavior"] == "exclusive")
    inside = sum(t["amount"] for t in taxes if t["tax_behavior"] == "inclusive")
    discounts = [d for line in lines for d in line["discount_amounts"]]
    shipping = note["amount_shipping"]
    note.update(
        amount=gross - off + outside + shipping,
        discount_amount=off,
        discount_amounts=_summed(discounts, "discount"),
        pretax_credit_amounts=[
            {**entry, "type": "discount"} for entry in _summed(discounts, "discount")
        ],
        subtotal=gross,
        subtotal_excluding_tax=gross - inside,
        total=gross - off + outside + shipping,
        total_excluding_tax=gross - off - inside + shipping,
        total_taxes=_summed(taxes, "tax_rate_details"),
        lines=list_object(
            lines[:10], f"/v1/credit_notes/{note['id']}/lines", len(lines) > 10
        ),
    )


def _summed(entries, by):
    totals = {}
    for entry in entries:
        known = totals.setdefault(str(entry[by]), {**clone(entry), "amount": 0})
        known["amount"] += entry["amount"]
    return list(totals.values())


def split(note, invoice, spent):
    """How much of the note precedes the payment, and whether the rest is placed."""
    left = invoice["amount_remaining"] if invoice["status"] == "open" else 0
    before = min(note["amount"], left)
    after = note["amount"] - before
    room = invoice["amount_paid"] - invoice["post_payment_credit_notes_amount"]
    if after > room:
        raise ApiError(
            f"The total of the credit note ({note['amount']}) is more than the"
            f" invoice's remaining amount ({before + room}).",
            param="amount",
        )
    if spent != after:
        raise ApiError(
            "The sum of credit amount, refund amount and out of band amount"
            f" ({spent}) must equal the post payment amount ({after})."
        )
    note["pre_payment_amount"], note["post_payment_amount"] = before, after
    note["type"] = "post_payment" if not before else "mixed" if after else "pre_payment"


def apply(world, note, invoice):
    """An open invoice asks for less; nothing left to ask for means paid."""
    before, after = note["pre_payment_amount"], note["post_payment_amount"]
    with world.change(invoice, "invoice.updated"):
        invoice["pre_payment_credit_notes_amount"] += before
        invoice["post_payment_credit_notes_amount"] += after
        invoice["amount_due"] -= before
        invoice["amount_remaining"] -= before
    if not before:
        return
    payment = invoices.default_payment(world, invoice)
    if invoice["amount_remaining"]:
        payments.resize(world, payment, invoice["amount_remaining"])
    else:
        payments.cancel_payment(world, payment, "abandoned")
        invoices.mark_paid(world, invoice)


def void(world, note):
    """Only a note before the payment, while the invoice is still open."""
    invoice = world.peek("invoice", note["invoice"])
    if note["status"] == "void":
        raise ApiError("This credit note has already been voided.")
    if note["type"] != "pre_payment" or invoice["status"] != "open":
        raise ApiError("You can only void a credit note of an open invoice.")
    amount = note["pre_payment_amount"]
    with world.change(note):
        note["status"] = "void"
        note["voided_at"] = world.now()
    with world.change(invoice, "invoice.updated"):
        invoice["pre_payment_credit_notes_amount"] -= amount
        invoice["amount_due"] += amount
        invoice["amount_remaining"] += amount
    payments.resize(
        world, invoices.default_payment(world, invoice), invoice["amount_remaining"]
    )
    world.emit("credit_note.voided", note)
    return note
