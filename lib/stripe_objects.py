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
  irrelevant: whatever object is seen first, the others are fetched.
"""

import json
import re
from dataclasses import dataclass, field
from datetime import datetime, timezone

from . import sale_facts
from .money import to_major


@dataclass
class Row:
    kind: str
    stripe_id: str
    values: dict
    data: dict
    weak: bool = False  # a second-hand account: never overwrites a row


@dataclass
class Reading:
    """What one raw object tells: rows, and what else must be read."""

    rows: list = field(default_factory=list)
    needs: set = field(default_factory=set)  # {(kind, stripe id)}
    lookups: list = field(default_factory=list)  # [(kind, params)]


@dataclass(frozen=True)
class Kind:
    """One kind of Stripe object. ``permission`` is its name at restricted keys."""

    name: str
    model: str
    path: str
    read: callable
    permission: str
    expand: tuple = ()
    nested: tuple = ()  # lists inside the object that Stripe cuts after ten entries
    listed: bool = True  # has a list of its own that a sync can walk

    def request(self, stripe_id):
        """Return (path, params) that read one object completely."""
        return f"{self.path}/{stripe_id}", self._params()

    def list_params(self):
        """Return the params that make a list of complete objects."""
        return self._params(prefix="data.")

    def _params(self, prefix=""):
        return (
            {"expand": [prefix + path for path in self.expand]} if self.expand else {}
        )


# --- texts that PostgreSQL can hold ------------------------------------------------

# A NUL escaped by json.dumps, but not the six letters after a written backslash.
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
MAX_ID = 255


def storable(text):
    """Return ``text`` without NUL characters and lone surrogates."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def storable_json(value):
    """Return JSON that jsonb can hold: it has neither NUL nor lone surrogates."""
    text = json.dumps(value, ensure_ascii=False)
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


# --- small readers -------------------------------------------------------------


def ref(value):
    """Return the id behind an expandable field (str, dict or None)."""
    return value.get("id") if isinstance(value, dict) else value or None


def moment(timestamp):
    """Return Stripe's Unix seconds as a naive UTC datetime, or None."""
    if not timestamp:
        return None
    return datetime.fromtimestamp(timestamp, timezone.utc).replace(tzinfo=None)


def money(raw, name, currency=None):
    """Return the Decimal of a minor-unit field, or None where Stripe has none."""
    amount = raw.get(name)
    code = currency or raw.get("currency")
    return None if amount is None or not code else to_major(amount, code)


def without(raw, *names):
    return {name: value for name, value in raw.items() if name not in names}


def _row(kind, raw, values, data=None):
    base = {
        "livemode": bool(raw.get("livemode")),
        "created": moment(raw.get("created")),
    }
    return Row(kind, raw["id"], {**base, **values}, raw if data is None else data)


def _needs(*pairs):
    return {(kind, stripe_id) for kind, stripe_id in pairs if stripe_id}


def _promotion_codes(discounts):
    """Return the needs of a list of discounts (ids, objects or None)."""
    return _needs(
        *(
            ("promotion_code", ref(discount.get("promotion_code")))
            for discount in discounts or ()
            if isinstance(discount, dict)
        )
    )


# --- one reader a kind -----------------------------------------------------------


def _product(raw):
    values = {"name": raw.get("name") or raw["id"], "active": bool(raw.get("active"))}
    return Reading([_row("product", raw, values)])


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
    reading = Reading([_row("price", raw, values, {**raw, "product": ref(product)})])
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
    return Reading([_row("coupon", raw, values)])


def _promotion_code(raw):
    coupon = (raw.get("promotion") or {}).get("coupon")
    values = {
        "code": raw["code"],
        "active": bool(raw.get("active")),
        "coupon_ref": ref(coupon),
        "times_redeemed": raw.get("times_redeemed") or 0,
    }
    return Reading([_row("promotion_code", raw, values)])


def _customer(raw):
    values = {
        "name": raw.get("name"),
        "email": raw.get("email"),
        "active": not raw.get("deleted"),
    }
    return Reading(
        [_row("customer", raw, values)],
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
    row = _row("customer", raw, values)
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
        [_row("subscription", raw, values)],
        needs=_needs(
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
    }
    data = {**raw, "payment_intent": intent_ref}
    reading = Reading([_row("checkout_session", raw, values, data)])
    if guest:
        reading.rows.append(_guest(raw, intent_ref, details))
    reading.needs = _needs(
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
        _merge(reading, _charge(charge))
    return reading


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
        "difference": sale_facts.invoice_difference(raw, lines),
    }
    reading = Reading([_row("invoice", raw, values, without(raw, "lines", "payments"))])
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
        reading.rows.append(_row("customer", customer, about))
        reading.rows[-1].weak = True
    for line in lines:
        reading.rows.append(_invoice_line(raw, line))
        price_ref = _line_pricing(line)[0]
        reading.needs |= _needs(("price", price_ref))
        reading.needs |= _promotion_codes(line.get("discounts"))
    for payment in payments:
        _merge(reading, _invoice_payment(payment))
    reading.needs |= _needs(
        ("customer", values["customer_ref"]),
        ("subscription", values["subscription_ref"]),
    ) | _promotion_codes(raw.get("discounts"))
    if not values["subscription_ref"]:
        # A one-off sale with an invoice: its session knows where it came from.
        reading.lookups += [
            ("checkout_session", {"payment_intent": intent})
            for intent in filter(
                None,
                (
                    p.values.get("payment_intent")
                    for p in reading.rows
                    if p.kind == "invoice_payment"
                ),
            )
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
        [_row("invoice_payment", raw, values)],
        needs=_needs(("invoice", values["invoice_ref"])),
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
    reading = Reading([_row("charge", raw, values)])
    reading.needs = _needs(("customer", customer_ref))
    if not customer_ref:
        details = {**billing, "email": email}
        reading.rows.append(_guest(raw, payment_ref, details, weak=True))
    if values["payment_intent"]:
        # A charge no longer names its invoice or session; both name its intent.
        intent = values["payment_intent"]
        reading.lookups = [
            (
                "invoice_payment",
                {"payment": {"type": "payment_intent", "payment_intent": intent}},
            ),
            ("checkout_session", {"payment_intent": intent}),
        ]
    return reading


def _refund(raw):
    values = {
        "status": raw.get("status"),
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
    reading = Reading([_row(kind, raw, values, data)])
    if isinstance(charge, dict):
        _merge(reading, _charge(charge))
    else:
        reading.needs = _needs(("charge", values["charge_ref"]))
    return reading


def _merge(reading, other):
    reading.rows += other.rows
    reading.needs |= other.needs
    reading.lookups += other.lookups


_DEFINED = (
    Kind("product", "affiliate.stripe.product", "/v1/products", _product, "Products"),
    Kind(
        "price",
        "affiliate.stripe.price",
        "/v1/prices",
        _price,
        "Prices (Plans)",
        expand=("product",),
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
        "dispute",
        "affiliate.stripe.dispute",
        "/v1/disputes",
        _dispute,
        "Disputes",
        expand=("charge",),
    ),
)
KINDS = {kind.name: kind for kind in _DEFINED}
# Mirrored only as a part of an invoice: has no path of its own.
PART_MODELS = {"invoice_line": "affiliate.stripe.invoice.line"}
MODELS = {**{kind.name: kind.model for kind in _DEFINED}, **PART_MODELS}
