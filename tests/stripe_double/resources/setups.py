"""Checkout Sessions in setup mode: a card is kept for later, and nothing is paid."""

from ..contract import nulls, resource_class
from ..dates import DAY
from ..errors import ApiError, required
from ..routing import listing, retrieval
from . import common


def new_session(world, params):
    """An open session; whoever completes it becomes a customer only where the session
    has one, or makes one always."""
    for name in ("line_items", "discounts", "subscription_data", "payment_intent_data"):
        if params.get(name):
            raise ApiError(f"You cannot use `{name}` in `setup` mode.", param=name)
    currency = params.get("currency")
    if not currency and not params.get("payment_method_types"):
        raise required("currency")
    customer = params.get("customer")
    if customer:
        world.find("customer", customer, "customer")
        if params.get("customer_email"):
            raise ApiError(
                "You may only specify one of these parameters: customer,"
                " customer_email.",
                code="parameters_exclusive",
            )
    names = "cancel_url client_reference_id customer_email return_url success_url"
    values = params.take(*names.split())
    data = dict(params.get("setup_intent_data") or {})
    cls, key = resource_class("checkout.session"), world.new_id("checkout.session")
    session = world.build(
        "checkout.session",
        id=key,
        automatic_tax=nulls(cls.AutomaticTax, enabled=False),
        currency=currency and currency.lower(),
        custom_fields=[],
        custom_text=nulls(cls.CustomText),
        customer=customer,
        customer_creation=(
            None if customer else params.get("customer_creation", "if_required")
        ),
        expires_at=params.get("expires_at") or world.now() + DAY,
        metadata=common.metadata(params.get("metadata")),
        mode="setup",
        payment_method_types=["card"],
        payment_status="no_payment_required",
        setup_intent=_intent(world, customer, data)["id"],
        shipping_options=[],
        status="open",
        ui_mode=params.get("ui_mode", "hosted_page"),
        url=f"{world.double.url}/c/pay/{key}",
        **values,
    )
    return world.add(session, items=[], discounts=[], data=data)


def _intent(world, customer, data):
    intent = world.build(
        "setup_intent",
        customer=customer,
        description=data.get("description"),
        metadata=common.metadata(data.get("metadata")),
        payment_method_types=["card"],
        status="requires_payment_method",
        usage="off_session",
    )
    intent["client_secret"] = f"{intent['id']}_secret_{world.account[-8:]}"
    return world.add(intent, "setup_intent.created")


def complete(world, session):
    """The card is kept."""
    intent = world.peek("setup_intent", session["setup_intent"])
    with world.change(intent, "setup_intent.succeeded"):
        intent["status"] = "succeeded"
        intent["customer"] = session["customer"]
        intent["payment_method"] = world.new_id(None, "pm")


retrieval("setup_intent", "/v1/setup_intents/{intent}", "setup_intent")
listing("setup_intent", "/v1/setup_intents", "setup_intent", {"customer": "customer"})
