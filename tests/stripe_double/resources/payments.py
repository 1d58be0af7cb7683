"""Payment intents, charges and balance transactions."""

from ..billing import payments as engine
from ..errors import ApiError
from ..render import includes
from ..routing import listing, retrieval, route
from ..shapes import list_object
from . import common


@route("POST", "/v1/payment_intents", "payment_intent")
def create_intent(call):
    """With ``confirm`` it is paid at once (or declined); else the bank decides."""
    params, world = call.params, call.world
    params.ignore(
        "automatic_payment_methods",
        "allowed_payment_method_types",
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
    engine.collect(world, intent, email, name)


@route("POST", "/v1/payment_intents/{intent}/confirm", "payment_intent")
def confirm_intent(call, intent):
    call.params.ignore("payment_method", "return_url", "off_session")
    obj = call.world.find("payment_intent", intent)
    if obj["status"] in ("succeeded", "canceled"):
        raise ApiError(
            f"This PaymentIntent's status is {obj['status']}.",
            code="payment_intent_unexpected_state",
        )
    confirm(call.world, obj)
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


@route("POST", "/v1/charges/{charge}", "charge")
def update_charge(call, charge):
    obj = call.world.find("charge", charge)
    with call.world.change(obj, "charge.updated"):
        common.copy(obj, call.params, "description", "receipt_email")
        common.merge_metadata(obj, call.params)
    return obj


@includes("charge", "refunds")
def refunds_of(world, charge):
    found = list(reversed(world.all("refund", charge=charge["id"])))
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
