"""What we mirror of Stripe: how to read each kind of object, and its columns.

``KINDS`` is the one list to extend for a new kind. A kind knows its path, what to
expand, and how one raw object (a dict at the pinned API version) becomes rows:

* ``Row(kind, stripe_id, values, data)``: ``values`` are columns of the mirror model,
  ``data`` is Stripe's object as it will be kept (jsonb). References to other objects
  are columns that end in ``_ref`` and hold the Stripe id, so rows may arrive in any
  order. Money columns are ``(minor, currency)`` and become Decimal in the mirror.
* one raw object may give several rows (an invoice gives its lines and payments).
* ``needs``: ids of other objects that must be mirrored too, ``lookups``: lists to ask
  when the object is seen for the first time. Together they make arrival order
  irrelevant: whatever object is seen first, the others are fetched. ``parts``: lists
  to ask each time, because no event tells of what they hold.

``Kind.filters`` makes a walk over a list leave nothing out.
"""

import json
import re

from . import sale_facts
from .money import to_major
from .stripe_balance import read_balance_transaction, read_payout
from .stripe_rows import (
    Kind,
    Reading,
    Row,
    moment,
    money,
    needed,
    new_row,
    ref,
    without,
)

# --- texts that PostgreSQL can hold ------------------------------------------------

# A NUL escaped by json.dumps, but not the six letters after a written backslash.
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
MAX_ID = 255


def storable(text):
    """Return ``text`` without NUL characters and lone surrogates."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def storable_json(value):
    """Return JSON that jsonb can hold: it has neither NUL nor lone surrogates.

    Amounts and times, for which JSON has no words, are written as PostgreSQL reads
    them.
    """
    text = json.dumps(value, ensure_ascii=False, default=str)
    if "\\u0000" in text:
        text = _NUL.sub(r"\1", text)
    return text.encode("utf-8", "replace").decode()


def is_stripe_id(value):
    """Tell whether ``value`` can be the id of an object or event."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= MAX_ID
        and value.isascii()
        and value.isprintable()
    )


# --- one reader a kind -----------------------------------------------------------


def _promotion_codes(discounts):
    """Return the needs of a list of discounts (ids, objects or None)."""
    return needed(
        *(
            ("promotion_code", ref(discount.get("promotion_code")))
            for discount in discounts or ()
            if isinstance(discount, dict)
        )
    )


def _product(raw):
    values = {"name": raw.get("name") or raw["id"], "active": bool(raw.get("active"))}
    return Reading([new_row("product", raw, values)])


def _price(raw):
    product = raw.get("product")
    recurring = raw.get("recurring") or {}
    values = {
        "product_ref": ref(product),
        "active": bool(raw.get("active")),
        "nickname": raw.get("nickname"),
        "currency": raw.get("currency"),
        "unit_amount": money(raw, "unit_amount"),
        "billing_interval": recurring.get("interval"),
        "interval_count": recurring.get("interval_count") or 0,
        "lookup_key": raw.get("lookup_key"),
    }
    reading = Reading([new_row("price", raw, values, {**raw, "product": ref(product)})])
    if isinstance(product, dict) and not product.get("deleted"):
        reading.rows += _product(product).rows
    return reading


def _coupon(raw):
    values = {
        "name": raw.get("name") or raw["id"],
        "active": bool(raw.get("valid")),
        "percent_off": raw.get("percent_off") or 0.0,
        "currency": raw.get("currency"),
        "amount_off": money(raw, "amount_off"),
        "duration": raw.get("duration"),
        "duration_in_months": raw.get("duration_in_months") or 0,
    }
    return Reading([new_row("coupon", raw, values)])


def _promotion_code(raw):
    coupon = (raw.get("promotion") or {}).get("coupon")
    values = {
        "code": raw["code"],
        "active": bool(raw.get("active")),
        "coupon_ref": ref(coupon),
        "times_redeemed": raw.get("times_redeemed") or 0,
    }
    return Reading([new_row("promotion_code", raw, values)])


def _customer(raw):
    values = {
        "name": raw.get("name"),
        "email": raw.get("email"),
        "active": not raw.get("deleted"),
    }
    return Reading(
        [new_row("customer", raw, values)],
        needs=_promotion_codes([raw.get("discount")]),
    )


def guest_id(payment_ref):
    """Return the id under which a sale without Stripe customer is mirrored.

    Stripe has no object for the guest of a checkout. The mirror keeps one customer a
    guest payment, so that every payment has a customer and nothing downstream needs
    to know about guests.
    """
    return f"guest_{payment_ref}"


def _guest(raw, payment_ref, details, weak=False):
    """Return the customer row of a guest; weak where only the charge tells of it."""
    values = {
        "name": details.get("name") or details.get("individual_name"),
        "email": details.get("email"),
        "active": True,
        "is_guest": True,
    }
    raw = {
        "id": guest_id(payment_ref),
        "created": raw.get("created"),
        "livemode": raw.get("livemode"),
    }
    row = new_row("customer", raw, values)
    row.weak = weak
    return row


def _subscription(raw):
    items = (raw.get("items") or {}).get("data") or []
    values = {
        "customer_ref": ref(raw.get("customer")),
        "status": raw.get("status"),
        "currency": raw.get("currency"),
        "canceled_at": moment(raw.get("canceled_at")),
        "trial_end": moment(raw.get("trial_end")),
    }
    discounts = list(raw.get("discounts") or ())
    for item in items:
        discounts += item.get("discounts") or ()
    return Reading(
        [new_row("subscription", raw, values)],
        needs=needed(
            ("customer", values["customer_ref"]),
            *(("price", ref(item.get("price"))) for item in items),
        )
        | _promotion_codes(discounts),
        # Where the customer came from is told by the session that made it.
        lookups=[("checkout_session", {"subscription": raw["id"]})],
    )


def _checkout_session(raw):
    intent = raw.get("payment_intent")
    intent_ref = ref(intent)
    customer_ref = ref(raw.get("customer"))
    details = raw.get("customer_details") or {}
    guest = not customer_ref and intent_ref and raw.get("mode") == "payment"
    values = {
        "mode": raw.get("mode"),
        "status": raw.get("status"),
        "payment_status": raw.get("payment_status"),
        "client_reference": raw.get("client_reference_id"),
        "customer_ref": guest_id(intent_ref) if guest else customer_ref,
        "email": details.get("email") or raw.get("customer_email"),
        "subscription_ref": ref(raw.get("subscription")),
        "invoice_ref": ref(raw.get("invoice")),
        "payment_intent": intent_ref,
        "currency": raw.get("currency"),
        "amount_total": money(raw, "amount_total"),
        "difference": _session_difference(raw),
    }
    data = {**raw, "payment_intent": intent_ref}
    reading = Reading([new_row("checkout_session", raw, values, data)])
    if guest:
        reading.rows.append(_guest(raw, intent_ref, details))
    reading.needs = needed(
        ("customer", customer_ref),
        ("subscription", values["subscription_ref"]),
        ("invoice", values["invoice_ref"]),
        *(
            ("promotion_code", ref(discount.get("promotion_code")))
            for discount in raw.get("discounts") or ()
        ),
    )
    charge = intent.get("latest_charge") if isinstance(intent, dict) else None
    if isinstance(charge, dict):
        reading.merge(_charge(charge))
    return reading


def _session_difference(raw):
    """Return what holds a sale without invoice; others are held by their invoice."""
    if raw.get("mode") != "payment" or raw.get("invoice") or not raw.get("currency"):
        return None
    return to_major(sale_facts.session_unexplained(raw), raw["currency"])


def _invoice(raw):
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
        # Stands in for a customer who is deleted in Stripe before we ever saw him.
        customer = {
            "id": values["customer_ref"],
            "created": raw.get("created"),
            "livemode": raw.get("livemode"),
        }
        about = {
            "name": raw.get("customer_name"),
            "email": raw.get("customer_email"),
            "active": True,
        }
        reading.rows.append(new_row("customer", customer, about))
        reading.rows[-1].weak = True
    for line in lines:
        reading.rows.append(_invoice_line(raw, line))
        price_ref = _line_pricing(line)[0]
        reading.needs |= needed(("price", price_ref))
        reading.needs |= _promotion_codes(line.get("discounts"))
    for payment in payments:
        reading.merge(_invoice_payment(payment))
    reading.needs |= needed(
        ("customer", values["customer_ref"]),
        ("subscription", values["subscription_ref"]),
    ) | _promotion_codes(raw.get("discounts"))
    if raw.get("pre_payment_credit_notes_amount") or raw.get(
        "post_payment_credit_notes_amount"
    ):
        reading.lookups.append(("credit_note", {"invoice": raw["id"]}))
    intents = {
        row.values["payment_intent"]: row.values["status"]
        for row in reading.rows
        if row.kind == "invoice_payment" and row.values["payment_intent"]
    }
    # What was taken back of a payment is told by its charge.
    reading.lookups += [
        ("charge", {"payment_intent": intent})
        for intent, status in intents.items()
        if status == "paid"
    ]
    if not values["subscription_ref"]:
        # A one-off sale with an invoice: its session knows where it came from.
        reading.lookups += [
            ("checkout_session", {"payment_intent": intent}) for intent in intents
        ]
    return reading


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


def _invoice_payment(raw):
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


def _charge(raw):
    customer_ref = ref(raw.get("customer"))
    payment_ref = ref(raw.get("payment_intent")) or raw["id"]
    billing = raw.get("billing_details") or {}
    email = billing.get("email") or raw.get("receipt_email")
    values = {
        "status": raw.get("status"),
        "customer_ref": customer_ref or guest_id(payment_ref),
        "email": email,
        "payment_intent": ref(raw.get("payment_intent")),
        "currency": raw.get("currency"),
        "amount": money(raw, "amount"),
        "amount_captured": money(raw, "amount_captured"),
        "amount_refunded": money(raw, "amount_refunded"),
        "disputed": bool(raw.get("disputed")),
    }
    reading = Reading([new_row("charge", raw, values)])
    reading.needs = needed(("customer", customer_ref))
    if not customer_ref:
        details = {**billing, "email": email}
        reading.rows.append(_guest(raw, payment_ref, details, weak=True))
    # What was taken back before the first look at it.
    if raw.get("amount_refunded"):
        reading.lookups.append(("refund", {"charge": raw["id"]}))
    if raw.get("disputed"):
        reading.lookups.append(("dispute", {"charge": raw["id"]}))
    if values["payment_intent"]:
        # A charge no longer names its invoice or session; both name its intent.
        intent = values["payment_intent"]
        reading.lookups += [
            (
                "invoice_payment",
                {"payment": {"type": "payment_intent", "payment_intent": intent}},
            ),
            ("checkout_session", {"payment_intent": intent}),
        ]
    return reading


def _credit_note(raw):
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


def _refund(raw):
    values = {
        "status": raw.get("status"),
        "customer_ref": ref(raw.get("customer")),
        "charge_ref": ref(raw.get("charge")),
        "payment_intent": ref(raw.get("payment_intent")),
        "reason": raw.get("reason"),
        "currency": raw.get("currency"),
        "amount": money(raw, "amount"),
    }
    return _money_back("refund", raw, values)


def _dispute(raw):
    values = {
        "status": raw.get("status"),
        "charge_ref": ref(raw.get("charge")),
        "payment_intent": ref(raw.get("payment_intent")),
        "reason": raw.get("reason"),
        "currency": raw.get("currency"),
        "amount": money(raw, "amount"),
    }
    return _money_back("dispute", raw, values)


def _money_back(kind, raw, values):
    charge = raw.get("charge")
    data = {**raw, "charge": ref(charge), "payment_intent": values["payment_intent"]}
    reading = Reading([new_row(kind, raw, values, data)])
    for booked in raw.get("balance_transactions") or ():
        reading.rows += read_balance_transaction(booked).rows
    if isinstance(charge, dict):
        reading.merge(_charge(charge))
    else:
        reading.needs = needed(("charge", values["charge_ref"]))
    return reading


_DEFINED = (
    Kind("product", "affiliate.stripe.product", "/v1/products", _product, "Products"),
    Kind(
        "price",
        "affiliate.stripe.price",
        "/v1/prices",
        _price,
        "Prices (Plans)",
        expand=("product",),
        # Without "active" the list leaves out those that were archived.
        filters=({"active": True}, {"active": False}),
    ),
    Kind("coupon", "affiliate.stripe.coupon", "/v1/coupons", _coupon, "Coupons"),
    Kind(
        "promotion_code",
        "affiliate.stripe.promotion.code",
        "/v1/promotion_codes",
        _promotion_code,
        "Promotion codes",
    ),
    Kind(
        "customer",
        "affiliate.stripe.customer",
        "/v1/customers",
        _customer,
        "Customers",
    ),
    Kind(
        "subscription",
        "affiliate.stripe.subscription",
        "/v1/subscriptions",
        _subscription,
        "Subscriptions",
        expand=("discounts", "items.data.discounts"),
        nested=("items",),
        # Without a status the list leaves out those that were cancelled.
        filters=({"status": "all"},),
    ),
    Kind(
        "checkout_session",
        "affiliate.stripe.checkout.session",
        "/v1/checkout/sessions",
        _checkout_session,
        "Checkout Sessions",
        expand=("line_items", "payment_intent.latest_charge"),
        nested=("line_items",),
    ),
    Kind(
        "invoice",
        "affiliate.stripe.invoice",
        "/v1/invoices",
        _invoice,
        "Invoices",
        expand=(
            "discounts",
            "lines.data.discounts",
            "payments",
            "amount_paid_off_stripe",
        ),
        nested=("lines", "payments"),
    ),
    Kind(
        "invoice_payment",
        "affiliate.stripe.invoice.payment",
        "/v1/invoice_payments",
        _invoice_payment,
        "Invoices",
        listed=False,
    ),
    Kind("charge", "affiliate.stripe.charge", "/v1/charges", _charge, "Charges"),
    Kind(
        "refund",
        "affiliate.stripe.refund",
        "/v1/refunds",
        _refund,
        "Charges",
        expand=("charge",),
    ),
    Kind(
        "credit_note",
        "affiliate.stripe.credit.note",
        "/v1/credit_notes",
        _credit_note,
        "Credit notes",
        nested=("lines",),
    ),
    Kind(
        "dispute",
        "affiliate.stripe.dispute",
        "/v1/disputes",
        _dispute,
        "Disputes",
        expand=("charge",),
    ),
    Kind(
        "payout",
        "affiliate.stripe.payout",
        "/v1/payouts",
        read_payout,
        "Payouts",
        page_size=10,
    ),
    Kind(
        "balance_transaction",
        "affiliate.stripe.balance.transaction",
        "/v1/balance_transactions",
        read_balance_transaction,
        "Balance transactions",
    ),
)
KINDS = {kind.name: kind for kind in _DEFINED}
# Mirrored only as a part of an invoice: has no path of its own.
PART_MODELS = {"invoice_line": "affiliate.stripe.invoice.line"}
MODELS = {**{kind.name: kind.model for kind in _DEFINED}, **PART_MODELS}
