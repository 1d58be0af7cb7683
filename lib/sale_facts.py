"""From Stripe's objects to the facts of a sale: what was sold, paid and given back.

Works on plain dicts in minor units, so that the mirror can check an invoice with the
very function the commission is based on.
"""

from dataclasses import replace
from fractions import Fraction

from .commission import CreditNote, Line, Payment, Reversal, Sale
from .money import to_major
from .paid_moments import paid_moment

# A refund that a bank may still turn down counts; one that never left does not.
REFUND_COUNTS = ("pending", "succeeded")
# The bank has decided against us. An appeal does not bring the money back.
DISPUTE_LOST = ("lost", "appeal_needs_response", "appeal_under_review")
DISPUTE_OVER = ("won", "warning_closed", "prevented")
# Of an invoice in these states the money that came in counts, be it all of it or not.
RECEIVED = ("paid", "uncollectible")
SKIP_KEY, SKIP_VALUE = "affiliate", "skip"
# What a charge keeps of its balance transaction.
OF_BOOKING = (
    "id",
    "type",
    "amount",
    "currency",
    "exchange_rate",
    "created",
    "available_on",
)


def is_skipped(*raws):
    """Tell whether the business marked one of these objects as earning nothing."""
    return any(
        ((raw or {}).get("metadata") or {}).get(SKIP_KEY) == SKIP_VALUE for raw in raws
    )


def line_net(line):
    """Return the net of an invoice line: without discounts, tax and credit grants.

    ``amount`` is before discounts and contains only inclusive taxes.
    """
    discounts = sum(part["amount"] for part in line.get("discount_amounts") or ())
    taxes = sum(
        tax["amount"]
        for tax in line.get("taxes") or ()
        if tax.get("tax_behavior") == "inclusive"
    )
    credits = sum(
        part["amount"]
        for part in line.get("pretax_credit_amounts") or ()
        if part.get("type") == "credit_balance_transaction"
    )
    return line["amount"] - discounts - taxes - credits


def _total_without_tax(invoice):
    taxes = sum(tax["amount"] for tax in invoice.get("total_taxes") or ())
    return invoice["total"] - taxes


def _shipping_net(raw):
    """Return the shipping of an invoice or session, without any tax."""
    cost = raw.get("shipping_cost") or {}
    return (cost.get("amount_total") or 0) - (cost.get("amount_tax") or 0)


def invoice_difference(invoice, lines):
    """Return what the invoice's lines and shipping leave unexplained, minor units.

    Nought for a sound invoice. Up to one minor unit a line is tax rounding; more
    means an amount we do not understand.
    """
    shipping = _shipping_net(invoice)
    return (
        _total_without_tax(invoice) - shipping - sum(line_net(line) for line in lines)
    )


def unexplained(invoice, lines):
    """Return the difference that holds the invoice: more than rounding can explain."""
    return _held(invoice_difference(invoice, lines), lines)


def _held(difference, lines):
    return difference if abs(difference) > len(lines) else 0


def _spread_rounding(lines, difference):
    """Give a difference of rounded taxes to the largest line."""
    if not difference or not lines or _held(difference, lines):
        return lines
    largest = max(lines, key=lambda line: (abs(line.net), line.ref))
    return [
        line.replace(net=line.net + difference) if line is largest else line
        for line in lines
    ]


def _invoice_line(raw):
    details = (raw.get("pricing") or {}).get("price_details") or {}
    price, product = details.get("price"), details.get("product")
    return Line(
        ref=raw["id"],
        net=line_net(raw),
        price=price.get("id") if isinstance(price, dict) else price,
        product=product.get("id") if isinstance(product, dict) else product,
        quantity=_quantity(raw),
        proration=_is_proration(raw),
    )


def _is_proration(line):
    """Tell whether a line is for a change within a period, e.g. of plan or seats."""
    parent = line.get("parent") or {}
    return any(
        (parent.get(kind) or {}).get("proration")
        for kind in ("subscription_item_details", "invoice_item_details")
    )


def _quantity(line):
    """Return how many were sold; ``quantity`` itself has no decimals."""
    exact, quantity = line.get("quantity_decimal"), line.get("quantity")
    if exact is not None and str(exact) != str(quantity):
        return Fraction(str(exact))
    return 1 if quantity is None else quantity


def _payment(raw, paid_at):
    payment = raw.get("payment") or {}
    bucket = payment.get("payment_intent") or payment.get("charge") or raw["id"]
    bucket = bucket.get("id") if isinstance(bucket, dict) else bucket
    return Payment(
        cause=raw["id"],
        amount=raw.get("amount_paid") or 0,
        at=(raw.get("status_transitions") or {}).get("paid_at") or paid_at,
        bucket=bucket,
        off_stripe=payment.get("type") == "payment_record",
    )


def is_returned(charges):
    """Tell whether the bank has taken back what a payment had collected.

    A debit may fail days after it succeeded, and its invoice stays paid. Attempts that
    never succeeded moved no money.

    :param list charges: all attempts of one payment
    """
    return any(
        charge.get("status") == "failed" and charge.get("failure_balance_transaction")
        for charge in charges
    ) and all(charge.get("status") == "failed" for charge in charges)


def invoice_sale(
    invoice,
    lines,
    payments,
    reversals=(),
    credit_notes=(),
    dispute=None,
    skipped=False,
):
    """Return the Sale of an invoice.

    :param dict invoice: as kept by the mirror (no lines, no payments)
    :param list lines: its invoice lines
    :param list payments: its invoice payments, of any status
    :param reversals: ``Reversal`` of the charges behind the payments
    :param credit_notes: its ``CreditNote``
    :param str dispute: id of a dispute under way
    """
    paid_at = (invoice.get("status_transitions") or {}).get("paid_at")
    received = [
        _payment(payment, paid_at or invoice["created"])
        for payment in payments
        if payment.get("status") == "paid"
    ]
    off_stripe = invoice.get("amount_paid_off_stripe") or 0
    recorded = sum(payment.amount for payment in received if payment.off_stripe)
    if off_stripe > recorded:
        # Marked as paid by hand: Stripe knows the amount but no payment object.
        received.append(
            Payment(
                cause=invoice["id"],
                amount=off_stripe - recorded,
                at=paid_at or invoice["created"],
                bucket=invoice["id"],
                off_stripe=True,
            )
        )
    difference = invoice_difference(invoice, lines)
    sold = _spread_rounding([_invoice_line(line) for line in lines], difference)
    sold, total = _before_payment(sold, invoice["total"], credit_notes)
    debt, from_balance = _old_debt(invoice), _from_balance(invoice)
    due = max(0, total + debt - from_balance)
    return Sale(
        ref=invoice["id"],
        number=invoice.get("number") or invoice["id"],
        created=invoice["created"],
        currency=invoice["currency"],
        total=total,
        lines=sold,
        payments=_with_excess(received, due, invoice.get("amount_overpaid") or 0),
        reversals=list(reversals),
        credit_notes=list(credit_notes),
        paid=invoice.get("status") in RECEIVED,
        dispute=dispute,
        difference=_held(difference, lines),
        skipped=skipped or is_skipped(invoice) or _subscription_skipped(invoice),
        debt=debt,
        from_balance=from_balance,
    )


def _with_excess(payments, due, overpaid):
    """Return the payments with what was paid too much, which goes back first.

    Whether it is in the amounts of the payments is not documented; where it is not, it
    belongs to the last of them.
    """
    missing = overpaid - max(0, sum(payment.amount for payment in payments) - due)
    if not payments or missing <= 0:
        return payments
    last = max(payments, key=lambda payment: (payment.at, payment.cause))
    return [
        replace(payment, amount=payment.amount + missing)
        if payment is last
        else payment
        for payment in payments
    ]


def _old_debt(invoice):
    """Return what the customer owed before, and paid with this invoice."""
    start, end = invoice.get("starting_balance"), invoice.get("ending_balance")
    return max(0, (start or 0) - max(0, end or 0))


def _from_balance(invoice):
    """Return what the customer's balance paid of an invoice that was overpaid.

    The excess is what is more than the rest. Where nothing is too much, what came in
    is all there is to know.
    """
    if not invoice.get("amount_overpaid"):
        return 0
    return max(0, -(invoice.get("starting_balance") or 0))


def _subscription_skipped(invoice):
    return is_skipped((invoice.get("parent") or {}).get("subscription_details"))


def _before_payment(lines, total, credit_notes):
    """Return lines and total of what was left to pay after the credit notes.

    A credit that names no line takes its share of all that is left.
    """
    earlier = (note for note in credit_notes if note.before)
    for note in sorted(earlier, key=lambda note: (note.at, note.cause)):
        part = Fraction(note.before, note.amount)
        unnamed = part * note.unnamed
        left = total - note.before + unnamed
        kept = 1 - unnamed / left if left > 0 else 0
        lines = [
            line.replace(net=(line.net - part * note.lines.get(line.ref, 0)) * kept)
            for line in lines
        ]
        total -= note.before
    return lines, total


def credit_note(note, refunds):
    """Return the CreditNote of a credit note as Stripe has it, or None if it is void.

    :param dict refunds: the refunds it may name, by their id
    """
    amount = note["pre_payment_amount"] + note["post_payment_amount"]
    if note.get("status") == "void" or amount <= 0:
        return None
    raw_lines = (note.get("lines") or {}).get("data") or ()
    lines, named = {}, 0
    if not unexplained(note, raw_lines):
        for line in raw_lines:
            if of := line.get("invoice_line_item"):
                net = line_net(line)
                lines[of] = lines.get(of, 0) + net
                named += net + sum(tax["amount"] for tax in line.get("taxes") or ())
    shipping = (note.get("shipping_cost") or {}).get("amount_total") or 0
    return CreditNote(
        cause=note["id"],
        at=note["created"],
        amount=amount,
        lines=lines,
        unnamed=max(0, amount - named - shipping),
        before=note["pre_payment_amount"],
        back=tuple(
            (bucket, money) for bucket, _refund, money in _given_back(note, refunds)
        ),
    )


def _given_back(note, refunds):
    """Yield (bucket of a payment or None, refund id or None, amount) of the money that
    left the business with a note: not what went to the customer's balance."""
    for entry in note.get("refunds") or ():
        refund = refunds.get(entry.get("refund")) or {}
        if refund.get("status", "succeeded") in REFUND_COUNTS:
            bucket = refund.get("payment_intent") or refund.get("charge")
            yield bucket, entry.get("refund"), entry["amount_refunded"]
    if note.get("out_of_band_amount"):
        yield None, None, note["out_of_band_amount"]


def credited_back(note):
    """Return what a note says left the business, whatever became of it."""
    if note.get("status") == "void":
        return 0
    return sum(amount for _bucket, _refund, amount in _given_back(note, {}))


def explained_refunds(notes, refunds):
    """Return ``{refund id: amount}`` of what credit notes take back instead of it."""
    explained = {}
    for note in notes:
        if note.get("status") != "void":
            for _bucket, refund, amount in _given_back(note, refunds):
                explained[refund] = explained.get(refund, 0) + amount
    explained.pop(None, None)
    return explained


def charge_sale(
    charge, session=None, reversals=(), dispute=None, skipped=False, paid=None
):
    """Return the Sale of a charge without invoice (Payment Link, lifetime deal).

    Its lines come from the checkout session; a charge made through the bare API is
    one line without product.

    :param paid: the ``paid_moments.Moment`` at which it was paid; else it was made then
    """
    paid = paid or paid_moment(charge)
    bucket = charge.get("payment_intent") or charge["id"]
    amount = charge.get("amount_captured") or 0
    lines, total, difference = _session_lines(session) if session else ((), 0, 0)
    held = _held(difference, lines)
    lines = _spread_rounding(list(lines), difference)
    if lines and total and session.get("currency") != charge["currency"]:
        # Adaptive pricing: the currency charged counts. The lines tell how it divides.
        factor = Fraction(charge["amount"], total)
        lines = [line.replace(net=line.net * factor) for line in lines]
        total = charge["amount"]
    if not lines:
        total = amount
        lines = [Line(ref=charge["id"], net=amount)]
    return Sale(
        ref=(session or charge)["id"],
        number=charge["id"],
        created=paid.at,
        currency=charge["currency"],
        total=total,
        lines=lines,
        payments=[Payment(charge["id"], amount, paid.at, bucket)],
        reversals=list(reversals),
        paid=charge.get("status") == "succeeded" and bool(charge.get("paid")),
        dispute=dispute,
        difference=held,
        skipped=skipped or is_skipped(charge, session),
        charge=charge["id"],
        dated_by=paid.instead,
    )


def _session_lines(session):
    """Return (lines, total, unexplained difference) of a checkout session."""
    lines = []
    for raw in (session.get("line_items") or {}).get("data") or ():
        price = raw.get("price") or {}
        product = price.get("product")
        lines.append(
            Line(
                ref=raw["id"],
                net=raw["amount_total"] - (raw.get("amount_tax") or 0),
                price=price.get("id"),
                product=product.get("id") if isinstance(product, dict) else product,
                quantity=_quantity(raw),
            )
        )
    total = session.get("amount_total") or 0
    tax = (session.get("total_details") or {}).get("amount_tax") or 0
    shipping = _shipping_net(session)
    return lines, total, total - tax - shipping - sum(line.net for line in lines)


def session_unexplained(session):
    """Return the difference that holds a sale without invoice."""
    lines, _total, difference = _session_lines(session)
    return _held(difference, lines)


def refund_reversal(refund, charge, explained=0, noted=0):
    """Return the Reversal of a refund, or None while it takes nothing back.

    :param int explained: the part of it that credit notes take back
    :param int noted: what credit notes take back of the whole charge
    """
    if refund.get("status") not in REFUND_COUNTS or refund["amount"] <= explained:
        return None
    return _reversal(refund, charge, "refund", explained, noted)


def released(charge, refunds):
    """Return the ids of the refunds of a charge that give back what was never taken.

    Before API version 2025-03-31 Stripe kept a Refund of what had been set aside on a
    card and was let go. Then the balance transaction of the charge covers its whole
    amount instead of what was captured, and the oldest refund of just the rest is
    that. From Stripe's changelog ("Partially capturing or canceling payments no longer
    creates a Refund").

    :param dict refunds: all refunds of this charge, by their id
    """
    captured = charge.get("amount_captured") or 0
    if not captured:
        return set() if charge.get("captured") else set(refunds)
    rest = charge["amount"] - captured
    if not rest or not _covers_more_than_captured(charge):
        return set()
    fitting = [
        (refund["created"], ref)
        for ref, refund in refunds.items()
        if refund["amount"] == rest
        and refund.get("currency") == charge["currency"]
        and refund.get("status") in REFUND_COUNTS
    ]
    return {min(fitting)[1]} if fitting else set()


def _covers_more_than_captured(charge):
    """Tell whether what was booked for a charge is its whole amount.

    The balance may be in another currency than the charge.
    """
    booked = charge.get("balance_transaction")
    if not isinstance(booked, dict) or not booked.get("amount"):
        return False
    rate = Fraction(str(booked.get("exchange_rate") or 1))
    amount = Fraction(to_major(booked["amount"], booked["currency"])) / rate
    whole, captured = (
        Fraction(to_major(charge[name], charge["currency"]))
        for name in ("amount", "amount_captured")
    )
    return abs(amount - whole) < abs(amount - captured)


def dispute_reversal(dispute, charge, noted=0):
    """Return the Reversal of a lost dispute, or None."""
    if dispute.get("status") not in DISPUTE_LOST:
        return None
    return _reversal(dispute, charge, "dispute", noted=noted)


def is_dispute_open(dispute):
    """Tell whether the outcome is open; unknown statuses count as open."""
    return dispute.get("status") not in DISPUTE_LOST + DISPUTE_OVER


def _reversal(raw, charge, kind, explained=0, noted=0):
    # What was authorised and not captured never came in, so it cannot go back.
    whole = (charge.get("amount_captured") or charge.get("amount") or 0) - noted
    same_currency = raw.get("currency") == charge.get("currency")
    # A bank may dispute in its own currency: then only "the whole charge" is certain.
    share = (
        Fraction(raw["amount"] - explained, whole)
        if whole > 0 and same_currency
        else Fraction(1)
    )
    return Reversal(
        cause=raw["id"],
        kind=kind,
        at=raw["created"],
        bucket=charge.get("payment_intent") or charge["id"],
        share=min(Fraction(1), share),
    )
