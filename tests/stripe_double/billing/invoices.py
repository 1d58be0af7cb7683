"""The life of an invoice: draft -> open -> paid | void | uncollectible (-> paid)."""

from ..dates import DAY
from ..errors import ApiError
from . import discounts as discounting
from . import grants, payments, records
from .amounts import minimum_charge
from .drafts import customer_of, require_draft
from .lines import after_balance, lines_of, recalculate

RETRY_DAYS = (3, 5, 7)


def finalize(world, invoice):
    """Number it, apply the customer's balance, ask for the rest."""
    require_draft(invoice)
    recalculate(world, invoice)
    grants.apply(world, invoice, lines_of(world, invoice))
    recalculate(world, invoice)
    customer = customer_of(world, invoice)
    start, now = customer["balance"], world.now()
    due, end = after_balance(invoice["total"], start)
    with world.change(invoice, "invoice.updated"):
        invoice["status"] = "open"
        invoice["number"] = _next_number(world, customer)
        invoice["status_transitions"]["finalized_at"] = now
        invoice["effective_at"] = invoice["effective_at"] or now
        invoice["starting_balance"] = start
        invoice["ending_balance"] = end
        invoice["amount_due"] = invoice["amount_remaining"] = due
        invoice["hosted_invoice_url"] = f"{world.double.url}/i/{invoice['id']}"
        invoice["invoice_pdf"] = f"{world.double.url}/i/{invoice['id']}/pdf"
    if end != start:
        payments.move_balance(
            world, customer, end - start, "applied_to_invoice", invoice
        )
    discounting.use_up(world, invoice)
    world.emit("invoice.finalized", invoice)
    _replace_original(world, invoice)
    if due == 0 or _too_small(world, invoice, customer):
        mark_paid(world, invoice)
    else:
        payments.open_payment(world, invoice, due)
    return invoice


def _replace_original(world, invoice):
    """A finalized revision voids the invoice it was made from."""
    if not invoice["from_invoice"]:
        return
    original = world.peek("invoice", invoice["from_invoice"]["invoice"])
    with world.change(original):
        original["latest_revision"] = invoice["id"]
    void(world, original)


def _too_small(world, invoice, customer):
    """Below the minimum charge nothing is charged; the customer owes it."""
    due = invoice["amount_due"]
    if not world.double.minimum_charges or due >= minimum_charge(invoice["currency"]):
        return False
    with world.change(invoice, "invoice.updated"):
        invoice["amount_due"] = invoice["amount_remaining"] = 0
        invoice["ending_balance"] += due
    payments.move_balance(world, customer, due, "invoice_too_small", invoice)
    return True


def _next_number(world, customer):
    number = customer["next_invoice_sequence"]
    with world.change(customer):
        customer["next_invoice_sequence"] = number + 1
    return f"{customer['invoice_prefix']}-{number:04d}"


def mark_paid(world, invoice):
    with world.change(invoice, "invoice.updated"):
        invoice["status"] = "paid"
        invoice["attempted"] = True
        invoice["auto_advance"] = False
        invoice["next_payment_attempt"] = None
        invoice["status_transitions"]["paid_at"] = world.now()
    world.emit("invoice.paid", invoice)
    world.emit("invoice.payment_succeeded", invoice)
    _tell_subscription(world, invoice, "on_paid")


def _tell_subscription(world, invoice, what):
    subscription = world.side[invoice["id"]]["subscription"]
    if subscription:
        from . import subscriptions

        getattr(subscriptions, what)(world, subscription, invoice)


def require_payable(invoice):
    if invoice["status"] == "paid":
        raise ApiError("Invoice is already paid")
    if invoice["status"] not in ("open", "uncollectible"):
        raise ApiError(
            f"This invoice cannot be paid because it is {invoice['status']}."
        )


def default_payment(world, invoice):
    for payment in payments.payments_of(world, invoice):
        if payment["is_default"] and payment["status"] == "open":
            return payment
    return None


def pay(world, invoice, amount=None):
    """Money arrives; less than what remains leaves the invoice open, and what is more
    goes to the customer's balance."""
    require_payable(invoice)
    remaining = invoice["amount_remaining"]
    amount = remaining if amount is None else amount
    if amount < 1:
        raise ApiError(f"Cannot pay {amount} of {remaining}", param="amount")
    payment = default_payment(world, invoice)
    if amount > remaining:
        payments.resize(world, payment, amount)
    elif amount < remaining:
        if payment:
            payments.resize(world, payment, remaining - amount)
        payment = payments.open_payment(world, invoice, amount, default=False)
    payments.settle(world, invoice, payment)
    return _count_payment(world, invoice, amount)


def _count_payment(world, invoice, amount):
    with world.change(invoice, "invoice.updated"):
        excess = max(amount - invoice["amount_remaining"], 0)
        invoice["amount_paid"] += amount
        invoice["amount_remaining"] -= amount - excess
        invoice["amount_overpaid"] += excess
        invoice["attempted"] = True
        invoice["attempt_count"] += 1
    if not invoice["amount_remaining"]:
        mark_paid(world, invoice)
    if excess:
        records.credit_excess(world, invoice, excess)
    return invoice


def attach(world, invoice, intent):
    """Let an intent that has collected money pay (a part of) an invoice: what no other
    invoice has of it."""
    require_payable(invoice)
    used = sum(
        payment["amount_paid"] or 0
        for payment in world.all(
            "invoice_payment", payment__payment_intent=intent["id"], status="paid"
        )
    )
    amount = min(intent["amount_received"] - used, invoice["amount_remaining"])
    if intent["currency"] != invoice["currency"] or amount <= 0:
        raise ApiError("This payment has nothing for the invoice.", param="intent")
    _ask_for_less(world, invoice, amount)
    payments.attach(world, invoice, "payment_intent", intent, amount)
    return _count_payment(world, invoice, amount)


def _ask_for_less(world, invoice, amount):
    """The open payment of an invoice, when ``amount`` was paid in another way."""
    payment = default_payment(world, invoice)
    if payment and amount < invoice["amount_remaining"]:
        payments.resize(world, payment, invoice["amount_remaining"] - amount)
    elif payment:
        payments.cancel_payment(world, payment, "abandoned")


def attach_record(world, invoice, record):
    """Let what was paid outside of Stripe pay (a part of) an invoice."""
    require_payable(invoice)
    left = record["amount_guaranteed"]["value"] - records.used(world, record)
    amount = min(left, invoice["amount_remaining"])
    if record["amount"]["currency"] != invoice["currency"] or amount <= 0:
        raise ApiError("This payment has nothing for the invoice.", param="record")
    _ask_for_less(world, invoice, amount)
    payments.attach(world, invoice, "payment_record", record, amount)
    side = world.side[invoice["id"]]
    side["off_stripe"] = side.get("off_stripe", 0) + amount
    return _count_payment(world, invoice, amount)


def pay_out_of_band(world, invoice):
    """Paid by other means: no charge; the open payment is cancelled. Newer accounts
    keep a record of it (``payment_records``)."""
    require_payable(invoice)
    if world.double.payment_records:
        return attach_record(
            world,
            invoice,
            records.report(
                world,
                invoice["amount_remaining"],
                invoice["currency"],
                customer_of(world, invoice),
            ),
        )
    payment = default_payment(world, invoice)
    if payment:
        payments.cancel_payment(world, payment, "abandoned")
    side = world.side[invoice["id"]]
    side["off_stripe"] = side.get("off_stripe", 0) + invoice["amount_remaining"]
    with world.change(invoice, "invoice.updated"):
        invoice["amount_paid"] += invoice["amount_remaining"]
        invoice["amount_remaining"] = 0
    mark_paid(world, invoice)
    return invoice


def start_debit(world, invoice):
    """A bank debit (SEPA, ACH) is under way: for days the invoice stays open."""
    require_payable(invoice)
    intent = payments.intent_of(world, default_payment(world, invoice))
    payments.start_debit(
        world, intent, invoice["customer_email"], invoice["customer_name"]
    )
    with world.change(invoice, "invoice.updated"):
        invoice["attempted"] = True


def fail_payment(world, invoice):
    """A declined attempt: the invoice stays open and is tried again later."""
    require_payable(invoice)
    payment = default_payment(world, invoice)
    intent = payments.intent_of(world, payment)
    payments.refuse(world, intent, invoice["customer_email"], invoice["customer_name"])
    tries = invoice["attempt_count"]
    with world.change(invoice, "invoice.updated"):
        invoice["attempted"] = True
        invoice["attempt_count"] = tries + 1
        invoice["next_payment_attempt"] = None
        if invoice["auto_advance"] and tries < len(RETRY_DAYS):
            invoice["next_payment_attempt"] = world.now() + RETRY_DAYS[tries] * DAY
    world.emit("invoice.payment_failed", invoice)
    if invoice["next_payment_attempt"]:
        world.schedule(invoice["next_payment_attempt"], "invoice", invoice["id"])
    _tell_subscription(world, invoice, "on_payment_failed")
    return intent


def attempt(world, invoice):
    """Charge the customer's card as Stripe would; False when it is declined."""
    if payments.declines(world, invoice["customer"]):
        fail_payment(world, invoice)
        return False
    pay(world, invoice)
    return True


def advance(world, invoice):
    """Finalize a draft and, if it is charged automatically, pay it."""
    finalize(world, invoice)
    automatic = invoice["collection_method"] == "charge_automatically"
    if invoice["status"] == "open" and automatic:
        attempt(world, invoice)
    return invoice


def finish_draft(world, key):
    """An hour later a draft with ``auto_advance`` goes its way."""
    invoice = world.get("invoice", key)
    if invoice and invoice["status"] == "draft" and invoice["auto_advance"]:
        advance(world, invoice)


def retry(world, key):
    """The clock reached ``next_payment_attempt``."""
    invoice = world.get("invoice", key)
    if invoice and invoice["status"] == "open":
        if invoice["next_payment_attempt"] == world.now():
            attempt(world, invoice)


def void(world, invoice):
    if invoice["status"] not in ("open", "uncollectible"):
        raise ApiError(
            "You can only void an open or uncollectible invoice; this one is"
            f" {invoice['status']}."
        )
    _close(world, invoice, "void", "voided_at")
    grants.give_back(world, invoice, lines_of(world, invoice))
    world.emit("invoice.voided", invoice)
    return invoice


def mark_uncollectible(world, invoice):
    if invoice["status"] not in ("open", "draft"):
        raise ApiError(
            "You can only mark an open invoice as uncollectible; this one is"
            f" {invoice['status']}."
        )
    with world.change(invoice, "invoice.updated"):
        invoice["status"] = "uncollectible"
        invoice["auto_advance"] = False
        invoice["next_payment_attempt"] = None
        invoice["status_details"] = {"uncollectible": {"reason": "user_forgiven"}}
        invoice["status_transitions"]["marked_uncollectible_at"] = world.now()
    world.emit("invoice.marked_uncollectible", invoice)
    return invoice


def _close(world, invoice, status, stamp):
    for payment in payments.payments_of(world, invoice):
        if payment["status"] == "open":
            payments.cancel_payment(world, payment)
    with world.change(invoice, "invoice.updated"):
        invoice["status"] = status
        invoice["auto_advance"] = False
        invoice["next_payment_attempt"] = None
        invoice["amount_remaining"] = (
            0 if status == "void" else (invoice["amount_remaining"])
        )
        invoice["status_transitions"][stamp] = world.now()
