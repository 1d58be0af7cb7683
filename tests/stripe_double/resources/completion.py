"""What happens when a customer pays on a Checkout page.

Subscription mode makes a customer, a subscription and its invoice. Payment mode
charges a payment intent, and has an invoice only with ``invoice_creation``; without
``customer_creation=always`` the buyer stays a guest (``session.customer`` is null).
Setup mode only keeps a means of payment (its setup intent is no object of the double).
"""

from ..billing import discounts as discounting
from ..billing import drafts, invoices, payments
from ..contract import nulls, resource_class
from ..errors import ApiError, card_declined
from . import checkout, common, customers
from . import subscription_build as subscriptions
from .invoices import new_item


def complete(world, session, email=None, name=None, promotion_code=None, **how):
    """The whole act. ``how``: phone, decline (the bank refuses; nothing happens),
    delayed (a bank debit: paid or failed days later)."""
    if session["status"] != "open":
        raise ApiError(f"This Checkout Session is {session['status']}.")
    if session["expires_at"] <= world.now():
        raise ApiError("This Checkout Session has expired.")
    customer = session["customer"] and world.find("customer", session["customer"])
    email = email or session["customer_email"] or (customer and customer["email"])
    if not email:
        raise ApiError("Checkout asks for an e-mail address.", param="email")
    if promotion_code:
        if not session["allow_promotion_codes"]:
            raise ApiError("This session does not allow promotion codes.")
        checkout.apply_code(world, session, promotion_code, customer)
    if how.get("decline") or payments.declines(world, session["customer"]):
        raise card_declined()
    for coupon, promo in world.side[session["id"]]["discounts"]:
        discounting.verify(
            world,
            coupon,
            promo,
            customer,
            session["amount_subtotal"],
            session["currency"],
        )
    if customer is None and _wants_customer(session):
        customer = customers.new_customer(
            world, email=email, name=name, phone=how.get("phone")
        )
    session["customer_details"] = _details(email, name, how.get("phone"))
    session["customer"] = customer and customer["id"]
    if session["mode"] == "subscription":
        _subscribe(world, session, customer)
    elif session["mode"] == "setup":
        session["setup_intent"] = world.new_id("setup_intent", "seti")
    elif session["invoice_creation"] and session["invoice_creation"]["enabled"]:
        _invoice(world, session, customer)
    else:
        _charge(world, session, how.get("delayed"))
    session["status"] = "complete"
    session["url"] = None
    for field in ("payment_intent", "subscription"):
        world.reindex(session, field)
    world.validate(session)
    world.emit("checkout.session.completed", session)
    return session


def _details(email, name, phone):
    cls = resource_class("checkout.session").CustomerDetails
    return nulls(
        cls,
        address=nulls(cls.Address),
        email=email,
        individual_name=name,
        name=name,
        phone=phone,
        tax_exempt="none",
        tax_ids=[],
    )


def _wants_customer(session):
    if session["mode"] == "subscription" or session["customer_creation"] == "always":
        return True
    creation = session["invoice_creation"]
    return bool(creation and creation["enabled"])


def _discount_params(world, session):
    return [
        {"promotion_code": promo["id"]} if promo else {"coupon": coupon["id"]}
        for coupon, promo in world.side[session["id"]]["discounts"]
    ]


def _subscribe(world, session, customer):
    side = world.side[session["id"]]
    data = dict(side["data"])
    recurring, extras = [], []
    for item in side["items"]:
        entry = {"price": item["price"]["id"], "quantity": item["quantity"]}
        rates = world.side[item["id"]]["tax_rates"]
        if rates:
            entry["tax_rates"] = rates
        (recurring if item["price"]["recurring"] else extras).append(entry)
    subscription = subscriptions.build(
        world,
        customer,
        recurring,
        metadata=dict(data.get("metadata") or {}),
        description=data.get("description"),
        trial_end=subscriptions.trial_end(world, data),
        default_tax_rates=common.tax_rates(
            world, data.get("default_tax_rates"), "default_tax_rates"
        ),
    )
    subscriptions.launch(
        world,
        customer,
        subscription,
        recurring,
        {
            "discounts": _discount_params(world, session),
            "extras": extras,
            "checkout_session": session["id"],
        },
    )
    session["subscription"] = subscription["id"]
    session["invoice"] = subscription["latest_invoice"]
    invoice = world.peek("invoice", session["invoice"])
    free = invoice["amount_due"] == 0
    session["payment_status"] = "no_payment_required" if free else "paid"


def _invoice(world, session, customer):
    """Payment mode with ``invoice_creation``: an invoice paid at once."""
    side = world.side[session["id"]]
    data = session["invoice_creation"]["invoice_data"]
    keys = discounting.adopt(
        world,
        _discount_params(world, session),
        customer,
        checkout_session=session["id"],
    )
    invoice = drafts.new_draft(
        world,
        customer,
        session["currency"],
        "manual",
        discounts=keys,
        description=data["description"],
        footer=data["footer"],
        metadata=data["metadata"],
    )
    for item in side["items"]:
        entry = {"price": item["price"]["id"], "quantity": item["quantity"]}
        entry["tax_rates"] = world.side[item["id"]]["tax_rates"]
        made = new_item(world, customer, entry)
        drafts.add_item(world, invoice, made)
    invoices.recalculate(world, invoice)
    world.emit("invoice.created", invoice)
    invoices.finalize(world, invoice)
    if invoice["status"] == "open":
        invoices.pay(world, invoice)
    session["invoice"] = invoice["id"]
    paid = [p for p in payments.payments_of(world, invoice) if p["status"] == "paid"]
    if paid:
        session["payment_intent"] = paid[0]["payment"]["payment_intent"]
    session["payment_status"] = "paid" if paid else "no_payment_required"


def _charge(world, session, delayed):
    """A sale without an invoice."""
    side = world.side[session["id"]]
    for coupon, promo in side["discounts"]:
        discount = discounting.redeem(
            world,
            coupon,
            promo,
            customer=session["customer"],
            checkout_session=session["id"],
        )
        for item in side["items"]:
            world.side[item["id"]]["discounts"] = [
                {"amount": item["amount_discount"], "discount": discount}
            ]
    if not session["amount_total"]:
        session["payment_status"] = "no_payment_required"
        return
    data = side["data"]
    intent = payments.new_intent(
        world,
        session["amount_total"],
        session["currency"],
        session["customer"],
        description=data.get("description"),
        metadata=dict(data.get("metadata") or {}),
        receipt_email=data.get("receipt_email"),
    )
    session["payment_intent"] = intent["id"]
    if delayed:
        with world.change(intent, "payment_intent.processing"):
            intent["status"] = "processing"
        return
    collect(world, session, intent)


def collect(world, session, intent):
    details = session["customer_details"]
    payments.collect(world, intent, details["email"], details["name"])
    session["payment_status"] = "paid"


def settle_delayed(world, session, succeed):
    """Days later the bank debit of a completed session succeeds or fails."""
    intent = world.peek("payment_intent", session["payment_intent"])
    if succeed:
        collect(world, session, intent)
        world.emit("checkout.session.async_payment_succeeded", session)
    else:
        details = session["customer_details"]
        payments.refuse(world, intent, details["email"], details["name"])
        world.emit("checkout.session.async_payment_failed", session)
    return session
