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

from . import sale_facts
from .money import to_major
from .stripe_balance import read_balance_transaction, read_payout
from .stripe_invoices import read_credit_note, read_invoice, read_invoice_payment
from .stripe_rows import (
    Kind,
    Reading,
    moment,
    money,
    needed,
    new_row,
    promotion_codes,
    ref,
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
    return Reading(
        [new_row("promotion_code", raw, values)],
        # It works no longer than its coupon does.
        needs=needed(("coupon", values["coupon_ref"])),
    )


def _customer(raw):
    values = {
        "name": raw.get("name"),
        "email": raw.get("email"),
        "active": not raw.get("deleted"),
    }
    return Reading(
        [new_row("customer", raw, values)],
        needs=promotion_codes([raw.get("discount")]),
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
        | promotion_codes(discounts),
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


def _charge(raw):
    customer_ref = ref(raw.get("customer"))
    payment_ref = ref(raw.get("payment_intent")) or raw["id"]
    booked = raw.get("balance_transaction")
    billing = raw.get("billing_details") or {}
    email = billing.get("email") or raw.get("receipt_email")
    values = {
        "status": raw.get("status"),
        "customer_ref": customer_ref or guest_id(payment_ref),
        "email": email,
        "payment_intent": ref(raw.get("payment_intent")),
        "currency": raw.get("currency"),
        "amount": money(raw, "amount"),
        "captured": bool(raw.get("captured")),
        "amount_captured": money(raw, "amount_captured"),
        "amount_refunded": money(raw, "amount_refunded"),
        "disputed": bool(raw.get("disputed")),
    }
    data = {**raw, "balance_transaction": _kept_of_booking(booked)}
    reading = Reading([new_row("charge", raw, values, data)])
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


def _kept_of_booking(booked):
    """Return what a charge keeps of its balance transaction: it says what was taken and
    when. Stripe tells of neither by an event that lasts."""
    if not isinstance(booked, dict):
        return booked
    return {name: booked.get(name) for name in sale_facts.OF_BOOKING}


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
    elif values["charge_ref"]:
        reading.needs = needed(("charge", values["charge_ref"]))
    elif intent := values["payment_intent"]:
        # A refund may name nothing but the payment it is of.
        reading.lookups.append(("charge", {"payment_intent": intent}))
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
    Kind(
        "coupon",
        "affiliate.stripe.coupon",
        "/v1/coupons",
        _coupon,
        "Coupons",
        # All that another coupon needs in order to give the same discount.
        expand=("applies_to", "currency_options"),
    ),
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
        expand=("line_items", "payment_intent.latest_charge.balance_transaction"),
        nested=("line_items",),
    ),
    Kind(
        "invoice",
        "affiliate.stripe.invoice",
        "/v1/invoices",
        read_invoice,
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
        read_invoice_payment,
        "Invoices",
        listed=False,
    ),
    Kind(
        "charge",
        "affiliate.stripe.charge",
        "/v1/charges",
        _charge,
        "Charges",
        expand=("balance_transaction",),
    ),
    Kind(
        "refund",
        "affiliate.stripe.refund",
        "/v1/refunds",
        _refund,
        "Charges",
        expand=("charge.balance_transaction",),
    ),
    Kind(
        "credit_note",
        "affiliate.stripe.credit.note",
        "/v1/credit_notes",
        read_credit_note,
        "Credit notes",
        nested=("lines",),
    ),
    Kind(
        "dispute",
        "affiliate.stripe.dispute",
        "/v1/disputes",
        _dispute,
        "Disputes",
        expand=("charge.balance_transaction",),
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
