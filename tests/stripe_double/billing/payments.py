"""Money coming in: payment intents, charges, invoice payments, customer balance.

Since 2025-03-31 an invoice has *payments* (InvoicePayment objects) and a charge no
longer names its invoice; the payment intent is the link between them.
"""

from fractions import Fraction

from ..dates import DAY
from ..errors import card_declined
from .amounts import half_up
from .balance import record

FEE_PERCENT = 29  # per mille
FEE_FIXED = 30

#: Payment methods that are asked for at a bank, and how long it takes to answer.
BANK_DEBITS = frozenset(
    ("acss_debit", "au_becs_debit", "bacs_debit", "sepa_debit", "us_bank_account")
)
DEBIT_DAYS = 7
#: When it is sent to the bank, seconds after it was made.
SENT = 8 * 3600


def declines(world, customer_id):
    return bool(customer_id and world.side[customer_id].get("declines"))


def new_intent(world, amount, currency, customer=None, **values):
    """A PaymentIntent that waits for a payment method."""
    intent = world.build(
        "payment_intent",
        **{
            "amount": amount,
            "amount_capturable": 0,
            "amount_received": 0,
            "capture_method": "automatic_async",
            "confirmation_method": "automatic",
            "currency": currency,
            "customer": customer,
            "metadata": {},
            "payment_method_types": ["card"],
            "status": "requires_payment_method",
            **values,
        },
    )
    intent["client_secret"] = f"{intent['id']}_secret_{world.account[-8:]}"
    return world.add(intent, "payment_intent.created")


def billing_details(email=None, name=None, phone=None):
    address = dict.fromkeys(
        ("city", "country", "line1", "line2", "postal_code", "state")
    )
    return {
        "address": address,
        "email": email,
        "name": name,
        "phone": phone,
        "tax_id": None,
    }


def new_charge(world, of, status, details, captured=None):
    """A Charge for the whole amount of an intent (or of a request that has none). A
    bank debit under way counts as paid long before anybody knows whether it comes."""
    taken = status != "failed"
    captured = taken if captured is None else captured
    return world.build(
        "charge",
        amount=of["amount"],
        amount_captured=of["amount"] if captured else 0,
        amount_refunded=0,
        billing_details=details,
        captured=captured,
        currency=of["currency"],
        customer=of["customer"],
        description=of["description"],
        disputed=False,
        fraud_details={},
        metadata=dict(of["metadata"]),
        paid=taken,
        payment_intent=of.get("id"),
        payment_method=world.new_id(None, "pm"),
        receipt_email=of["receipt_email"],
        refunded=False,
        status=status,
    )


def book(world, charge, amount=None, days=2, kind="charge"):
    """The money and its fee on the merchant's balance, available some days later."""
    amount = charge["amount"] if amount is None else amount
    fee = half_up(Fraction(amount * FEE_PERCENT, 1000)) + FEE_FIXED
    booked = record(world, kind, charge, amount, min(fee, amount), days=days)
    charge["balance_transaction"] = booked["id"]


def is_debit(intent):
    """Is the payment asked for at a bank, which takes days to answer?"""
    return not BANK_DEBITS.isdisjoint(intent["payment_method_types"])


def start_debit(world, intent, email=None, name=None):
    """The bank is asked and answers in days: the charge is pending meanwhile. What it
    brings is on the balance when ``debits_booked`` says so, and available when an
    answer is expected."""
    charge = new_charge(world, intent, "pending", billing_details(email, name))
    if world.double.debits_booked == "made":
        _book_debit(world, charge)
    world.add(charge, "charge.pending")
    if world.double.debits_booked == "sent":
        world.schedule(world.now() + SENT, "debit", charge["id"])
    with world.change(intent, "payment_intent.processing"):
        intent["status"] = "processing"
        intent["latest_charge"] = charge["id"]
    return charge


def _book_debit(world, charge):
    days = max(0, DEBIT_DAYS - (world.now() - charge["created"]) // DAY)
    book(world, charge, days=days, kind="payment")


def send_debit(world, key):
    """The bank is asked (the clock is there)."""
    charge = world.peek("charge", key)
    if charge["status"] == "pending" and not charge["balance_transaction"]:
        with world.change(charge, "charge.updated"):
            _book_debit(world, charge)


def _debit(world, intent):
    """The charge of a bank debit under way, or None."""
    charge = world.peek("charge", intent["latest_charge"])
    return charge if charge and charge["status"] == "pending" else None


def collect(world, intent, email=None, name=None):
    """The bank says yes: the intent succeeds with a charge."""
    charge = _debit(world, intent)
    if charge:
        with world.change(charge):
            charge["status"] = "succeeded"
            if not charge["balance_transaction"]:
                _book_debit(world, charge)
        booked = world.peek("balance_transaction", charge["balance_transaction"])
        with world.change(booked):
            booked["available_on"] = max(booked["available_on"], world.now())
        world.emit("charge.succeeded", charge)
    else:
        details = billing_details(email, name)
        charge = new_charge(world, intent, "succeeded", details)
        book(world, charge)
        world.add(charge, "charge.succeeded")
    with world.change(intent):
        intent["status"] = "succeeded"
        intent["amount_received"] = intent["amount"]
        intent["latest_charge"] = charge["id"]
        intent["payment_method"] = charge["payment_method"]
    world.emit("payment_intent.succeeded", intent)
    return charge


def refuse(world, intent, email=None, name=None):
    """The bank says no: a failed charge; the intent waits for another card."""
    charge = _debit(world, intent)
    if charge:
        with world.change(charge):
            charge.update(status="failed", paid=False, captured=False)
            charge.update(amount_captured=0, failure_code="insufficient_funds")
            if charge["balance_transaction"]:
                _unbook(world, charge)
        world.emit("charge.failed", charge)
    else:
        details = billing_details(email, name)
        charge = new_charge(world, intent, "failed", details)
        charge["failure_code"] = "card_declined"
        charge["failure_message"] = "Your card was declined."
        world.add(charge, "charge.failed")
    with world.change(intent):
        intent["latest_charge"] = charge["id"]
        intent["status"] = "requires_payment_method"
    world.emit("payment_intent.payment_failed", intent)
    return charge


def _unbook(world, charge):
    """What never came leaves the balance again, and its fee with it."""
    booked = world.peek("balance_transaction", charge["balance_transaction"])
    back = record(world, "payment_failure", charge, -booked["amount"], -booked["fee"])
    charge["failure_balance_transaction"] = back["id"]


def payments_of(world, invoice):
    return world.all("invoice_payment", invoice=invoice["id"])


def open_payment(world, invoice, amount, default=True):
    """An InvoicePayment with its PaymentIntent, still to be paid."""
    intent = new_intent(
        world,
        amount,
        invoice["currency"],
        invoice["customer"],
        description=invoice["description"] or _description(invoice),
        receipt_email=None,
    )
    payment = world.build(
        "invoice_payment",
        invoice=invoice["id"],
        amount_requested=amount,
        currency=invoice["currency"],
        is_default=default,
        payment={"type": "payment_intent", "payment_intent": intent["id"]},
        status="open",
        status_transitions={"canceled_at": None, "paid_at": None},
    )
    return world.add(payment)


def attach(world, invoice, kind, paid_by, amount):
    """An InvoicePayment that was paid by something made for something else.

    :param kind: ``payment_intent`` or ``payment_record``, which ``paid_by`` is
    """
    payment = world.build(
        "invoice_payment",
        invoice=invoice["id"],
        amount_paid=amount,
        amount_requested=amount,
        currency=invoice["currency"],
        is_default=False,
        payment={"type": kind, kind: paid_by["id"]},
        status="paid",
        status_transitions={"canceled_at": None, "paid_at": world.now()},
    )
    return world.add(payment, "invoice_payment.paid")


def _description(invoice):
    if invoice["billing_reason"] == "subscription_create":
        return "Subscription creation"
    if invoice["billing_reason"] in ("subscription_cycle", "subscription_update"):
        return "Subscription update"
    return None


def has_intent(payment):
    """Other payments come from a charge of old or from a payment record."""
    return bool(payment["payment"].get("payment_intent"))


def intent_of(world, payment):
    return world.peek("payment_intent", payment["payment"]["payment_intent"])


def settle(world, invoice, payment):
    """Collect an open InvoicePayment in full; returns the charge."""
    charge = collect(
        world,
        intent_of(world, payment),
        invoice["customer_email"],
        invoice["customer_name"],
    )
    with world.change(payment):
        payment["status"] = "paid"
        payment["amount_paid"] = payment["amount_requested"]
        payment["status_transitions"] = {"canceled_at": None, "paid_at": world.now()}
    world.emit("invoice_payment.paid", payment)
    return charge


def cancel_payment(world, payment, reason="void_invoice"):
    """Nobody will pay this one: the InvoicePayment and its intent are cancelled."""
    intent = intent_of(world, payment)
    if intent["status"] != "succeeded":
        with world.change(intent, "payment_intent.canceled"):
            intent["status"] = "canceled"
            intent["canceled_at"] = world.now()
            intent["cancellation_reason"] = reason
    with world.change(payment):
        payment["status"] = "canceled"
        payment["status_transitions"] = {"canceled_at": world.now(), "paid_at": None}


def resize(world, payment, amount):
    """The open default payment asks for what is left after a partial payment."""
    intent = intent_of(world, payment)
    with world.change(intent):
        intent["amount"] = amount
    with world.change(payment):
        payment["amount_requested"] = amount


def move_balance(world, customer, amount, kind, invoice=None, description=None, **more):
    """Change a customer's balance; there is no event for the transaction itself."""
    with world.change(customer, "customer.updated"):
        customer["balance"] += amount
        if customer["currency"] is None:
            customer["currency"] = more.get("currency") or (
                invoice["currency"] if invoice else "usd"
            )
    transaction = world.build(
        "customer_balance_transaction",
        amount=amount,
        currency=customer["currency"],
        customer=customer["id"],
        description=description,
        ending_balance=customer["balance"],
        invoice=invoice and invoice["id"],
        credit_note=more.get("credit_note"),
        metadata=more.get("metadata") or {},
        type=kind,
    )
    return world.add(transaction)


def decline_error(world, intent):
    return card_declined(payment_intent=intent, charge=intent["latest_charge"])
