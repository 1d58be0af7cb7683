"""Payment intents, charges and balance transactions."""

from ..billing import authorizations
from ..billing import payments as engine
from ..errors import ApiError, card_declined
from ..render import includes
from ..routing import listing, retrieval, route
from ..shapes import list_object
from . import common, refunds


@route("POST", "/v1/payment_intents", "payment_intent")
def create_intent(call):
    """With ``confirm`` it is paid at once, declined, authorized (``capture_method:
    manual``) or asked for at the bank (``allowed_payment_method_types``)."""
    params, world = call.params, call.world
    params.ignore(
        "automatic_payment_methods",
        "off_session",
        "payment_method",
        "return_url",
        "setup_future_usage",
    )
    customer = params.get("customer")
    if customer:
        world.find("customer", customer, "customer")
    if params["amount"] < 1:
        raise ApiError(
            "This value must be greater than or equal to 1.",
            code="parameter_invalid_integer",
            param="amount",
        )
    intent = engine.new_intent(
        world,
        params["amount"],
        params["currency"].lower(),
        customer,
        description=params.get("description"),
        metadata=common.metadata(params.get("metadata")),
        receipt_email=params.get("receipt_email"),
        capture_method=params.get("capture_method", "automatic_async"),
        payment_method_types=params.get("allowed_payment_method_types") or ["card"],
    )
    if params.get("confirm"):
        confirm(world, intent)
    return intent


def confirm(world, intent):
    customer = intent["customer"] and world.peek("customer", intent["customer"])
    email = customer["email"] if customer else intent["receipt_email"]
    name = customer["name"] if customer else None
    if engine.declines(world, intent["customer"]):
        engine.refuse(world, intent, email, name)
        raise engine.decline_error(world, intent)
    act = engine.collect
    if engine.is_debit(intent):
        act = engine.start_debit
    elif intent["capture_method"] == "manual":
        act = authorizations.authorize
    act(world, intent, email, name)


@route("POST", "/v1/payment_intents/{intent}/confirm", "payment_intent")
def confirm_intent(call, intent):
    call.params.ignore("payment_method", "return_url", "off_session")
    obj = call.world.find("payment_intent", intent)
    if not obj["status"].startswith("requires_") or obj["status"] == "requires_capture":
        raise _unexpected(obj)
    confirm(call.world, obj)
    return obj


def _unexpected(intent):
    return ApiError(
        f"This PaymentIntent's status is {intent['status']}.",
        code="payment_intent_unexpected_state",
    )


@route("POST", "/v1/payment_intents/{intent}/capture", "payment_intent")
def capture_intent(call, intent):
    world, params = call.world, call.params
    obj = world.find("payment_intent", intent)
    params.ignore("statement_descriptor", "statement_descriptor_suffix")
    if not params.get("final_capture", True):
        raise ApiError("The double captures once.", status=501, type="api_error")
    if obj["status"] != "requires_capture":
        raise _unexpected(obj)
    common.merge_metadata(obj, params)
    charge = world.peek("charge", obj["latest_charge"])
    authorizations.capture(world, charge, params.get("amount_to_capture"))
    return obj


@route("POST", "/v1/payment_intents/{intent}/cancel", "payment_intent")
def cancel_intent(call, intent):
    world = call.world
    obj = world.find("payment_intent", intent)
    reason = call.params.get("cancellation_reason")
    if obj["status"] == "requires_capture":
        charge = world.peek("charge", obj["latest_charge"])
        authorizations.release(world, charge, reason)
        return obj
    if not obj["status"].startswith("requires_"):
        raise _unexpected(obj)
    with world.change(obj, "payment_intent.canceled"):
        obj.update(status="canceled", canceled_at=world.now())
        obj["cancellation_reason"] = reason
    return obj


retrieval("payment_intent", "/v1/payment_intents/{intent}", "payment_intent")
listing(
    "payment_intent",
    "/v1/payment_intents",
    "payment_intent",
    {"customer": "customer"},
)

retrieval("charge", "/v1/charges/{charge}", "charge")
listing(
    "charge",
    "/v1/charges",
    "charge",
    {"customer": "customer", "payment_intent": "payment_intent"},
)


@route("POST", "/v1/charges", "charge")
def create_charge(call):
    """As old integrations do: a charge without a payment intent."""
    params, world = call.params, call.world
    params.ignore("source", "statement_descriptor", "statement_descriptor_suffix")
    customer = params.get("customer")
    known = customer and world.find("customer", customer, "customer")
    if (params.get("amount") or 0) < 1:
        raise ApiError("Invalid positive integer", param="amount")
    of = {
        "amount": params["amount"],
        "currency": params["currency"].lower(),
        "customer": customer,
        "description": params.get("description"),
        "metadata": common.metadata(params.get("metadata")),
        "receipt_email": params.get("receipt_email"),
    }
    email = known["email"] if known else of["receipt_email"]
    if engine.declines(world, customer):
        charge = engine.new_charge(
            world, of, "failed", engine.billing_details(email, None)
        )
        charge["failure_code"] = "card_declined"
        world.add(charge, "charge.failed")
        raise card_declined(charge=charge["id"])
    if not params.get("capture", True):
        return authorizations.authorize(world, of, email)
    details = engine.billing_details(email, known and known["name"])
    charge = engine.new_charge(world, of, "succeeded", details)
    engine.book(world, charge)
    return world.add(charge, "charge.succeeded")


@route("POST", "/v1/charges/{charge}/capture", "charge")
def capture_charge(call, charge):
    obj = call.world.find("charge", charge)
    common.copy(obj, call.params, "receipt_email")
    return authorizations.capture(call.world, obj, call.params.get("amount"))


@route("POST", "/v1/charges/{charge}", "charge")
def update_charge(call, charge):
    obj = call.world.find("charge", charge)
    with call.world.change(obj, "charge.updated"):
        common.copy(obj, call.params, "description", "receipt_email")
        common.merge_metadata(obj, call.params)
    return obj


@includes("charge", "refunds")
def refunds_of(world, charge):
    found = refunds.refunds_of(world, charge)[::-1]
    url = f"/v1/charges/{charge['id']}/refunds"
    return list_object(found[:10], url, len(found) > 10)


retrieval("balance_transaction", "/v1/balance_transactions/{id}", "balance_transaction")
listing(
    "balance_transaction",
    "/v1/balance_transactions",
    "balance_transaction",
    {
        "currency": "currency",
        "source": "source",
        "type": "type",
        "payout": lambda world, obj, key: (
            obj["source"] == key or world.side[obj["id"]].get("payout") == key
        ),
    },
)
