"""Readers of invoices, their lines and payments, and of the credit notes on them."""

from . import sale_facts
from .money import to_major
from .stripe_rows import (
    Reading,
    Row,
    moment,
    money,
    needed,
    new_row,
    promotion_codes,
    ref,
    without,
)


def read_invoice(raw):
    parent = (raw.get("parent") or {}).get("subscription_details") or {}
    lines = (raw.get("lines") or {}).get("data") or []
    payments = (raw.get("payments") or {}).get("data") or []
    transitions = raw.get("status_transitions") or {}
    taxes = sum(tax["amount"] for tax in raw.get("total_taxes") or ())
    values = {
        "number": raw.get("number"),
        "status": raw.get("status"),
        "customer_ref": ref(raw.get("customer")),
        "customer_email": raw.get("customer_email"),
        "subscription_ref": ref(parent.get("subscription")),
        "billing_reason": raw.get("billing_reason"),
        "finalized_at": moment(transitions.get("finalized_at")),
        "paid_at": moment(transitions.get("paid_at")),
        "currency": raw.get("currency"),
        "amount_untaxed": to_major(raw["total"] - taxes, raw["currency"]),
        "amount_tax": to_major(taxes, raw["currency"]),
        "amount_total": money(raw, "total"),
        "amount_paid": money(raw, "amount_paid"),
        "hosted_url": raw.get("hosted_invoice_url"),
        "difference": to_major(sale_facts.unexplained(raw, lines), raw["currency"]),
    }
    data = without(raw, "lines", "payments")
    reading = Reading([new_row("invoice", raw, values, data)])
    if values["customer_ref"]:
        reading.rows.append(_stand_in(raw, values["customer_ref"]))
    for line in lines:
        reading.rows.append(_invoice_line(raw, line))
        price_ref, _product_ref = _line_pricing(line)
        reading.needs |= needed(("price", price_ref))
        reading.needs |= promotion_codes(line.get("discounts"))
    for payment in payments:
        reading.merge(read_invoice_payment(payment))
    reading.needs |= needed(
        ("customer", values["customer_ref"]),
        ("subscription", values["subscription_ref"]),
    ) | promotion_codes(raw.get("discounts"))
    reading.lookups += _lookups(raw, values["subscription_ref"], reading.rows)
    return reading


def _stand_in(invoice, customer_ref):
    """Return what an invoice tells of its customer, who may be deleted in Stripe before
    we ever saw him: a weak row."""
    raw = {
        "id": customer_ref,
        "created": invoice.get("created"),
        "livemode": invoice.get("livemode"),
    }
    values = {
        "name": invoice.get("customer_name"),
        "email": invoice.get("customer_email"),
        "active": True,
    }
    row = new_row("customer", raw, values)
    row.weak = True
    return row


def _lookups(invoice, subscription_ref, rows):
    """Return the lists to ask when an invoice of these rows is new."""
    lookups = []
    if invoice.get("pre_payment_credit_notes_amount") or invoice.get(
        "post_payment_credit_notes_amount"
    ):
        lookups.append(("credit_note", {"invoice": invoice["id"]}))
    intents = {
        row.values["payment_intent"]: row.values["status"]
        for row in rows
        if row.kind == "invoice_payment" and row.values["payment_intent"]
    }
    # What was taken back of a payment is told by its charge.
    lookups += [
        ("charge", {"payment_intent": intent})
        for intent, status in intents.items()
        if status == "paid"
    ]
    if not subscription_ref:
        # A one-off sale with an invoice: its session knows where it came from.
        lookups += [
            ("checkout_session", {"payment_intent": intent}) for intent in intents
        ]
    return lookups


def _line_pricing(line):
    details = (line.get("pricing") or {}).get("price_details") or {}
    return ref(details.get("price")), ref(details.get("product"))


def _invoice_line(invoice, line):
    price_ref, product_ref = _line_pricing(line)
    currency = line.get("currency") or invoice["currency"]
    period = line.get("period") or {}
    values = {
        "created": moment(invoice.get("created")),
        "livemode": bool(invoice.get("livemode")),
        "invoice_ref": invoice["id"],
        "price_ref": price_ref,
        "product_ref": product_ref,
        "description": line.get("description"),
        "currency": currency,
        "amount": money(line, "amount", currency),
        "amount_net": to_major(sale_facts.line_net(line), currency),
        "period_start": moment(period.get("start")),
        "period_end": moment(period.get("end")),
    }
    return Row("invoice_line", line["id"], values, line)


def read_invoice_payment(raw):
    payment = raw.get("payment") or {}
    values = {
        "invoice_ref": ref(raw.get("invoice")),
        "status": raw.get("status"),
        "payment_intent": ref(payment.get("payment_intent")),
        "charge_ref": ref(payment.get("charge")),
        "currency": raw.get("currency"),
        "amount": money(raw, "amount_paid"),
        "paid_at": moment((raw.get("status_transitions") or {}).get("paid_at")),
    }
    return Reading(
        [new_row("invoice_payment", raw, values)],
        needs=needed(("invoice", values["invoice_ref"])),
    )


def read_credit_note(raw):
    values = {
        "number": raw.get("number"),
        "type": raw.get("type"),
        "status": raw.get("status"),
        "reason": raw.get("reason"),
        "memo": raw.get("memo"),
        "customer_ref": ref(raw.get("customer")),
        "invoice_ref": ref(raw.get("invoice")),
        "currency": raw.get("currency"),
        "amount": money(raw, "total"),
        "amount_before": money(raw, "pre_payment_amount"),
        "amount_after": money(raw, "post_payment_amount"),
        "amount_back": to_major(sale_facts.credited_back(raw), raw["currency"]),
        "voided_at": moment(raw.get("voided_at")),
    }
    refunds = [
        {**entry, "refund": ref(entry.get("refund"))}
        for entry in raw.get("refunds") or ()
    ]
    return Reading(
        [new_row("credit_note", raw, values, {**raw, "refunds": refunds})],
        needs=needed(
            ("customer", values["customer_ref"]),
            ("invoice", values["invoice_ref"]),
            *(("refund", entry["refund"]) for entry in refunds),
        ),
    )
