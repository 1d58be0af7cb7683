"""Credit grants (billing credits) and what moves on them."""

from ..billing import grants as engine
from ..errors import ApiError
from ..routing import listing, retrieval, route
from . import common

PATH = "/v1/billing/credit_grants"


@route("POST", PATH, "billing_credit_grant")
def create_grant(call):
    params, world = call.params, call.world
    customer = world.find("customer", params.get("customer"), "customer")
    amount = params["amount"].get("monetary") or {}
    if amount.get("value", 0) < 1:
        raise ApiError("The amount must be positive.", param="amount[monetary][value]")
    scope = params["applicability_config"]["scope"]
    for entry in scope.get("prices") or ():
        price = world.find("price", entry["id"], "applicability_config[scope][prices]")
        if (price["recurring"] or {}).get("usage_type") != "metered":
            raise ApiError(
                "Credit grants apply to metered prices only.",
                param="applicability_config[scope][prices]",
            )
    return engine.new_grant(
        world,
        customer,
        amount["currency"].lower(),
        amount["value"],
        scope,
        category=params.get("category", "paid"),
        effective_at=params.get("effective_at") or world.now(),
        expires_at=params.get("expires_at"),
        metadata=common.metadata(params.get("metadata")),
        name=params.get("name"),
        priority=params.get("priority", 50),
    )


retrieval("billing.credit_grant", PATH + "/{id}", "billing_credit_grant")
listing("billing.credit_grant", PATH, "billing_credit_grant", {"customer": "customer"})


@route("POST", PATH + "/{id}/void", "billing_credit_grant")
def void_grant(call, id):
    grant = call.world.find("billing.credit_grant", id)
    if engine.left_of(call.world, grant) != grant["amount"]["monetary"]["value"]:
        raise ApiError("You can only void a credit grant of which nothing was used.")
    engine.stop(call.world, grant, voided_at=call.world.now())
    return grant


@route("POST", PATH + "/{id}/expire", "billing_credit_grant")
def expire_grant(call, id):
    grant = call.world.find("billing.credit_grant", id)
    engine.stop(call.world, grant, expires_at=call.world.now())
    return grant


MOVED = "/v1/billing/credit_balance_transactions"
retrieval("billing.credit_balance_transaction", MOVED + "/{id}", "billing_credit_grant")
listing(
    "billing.credit_balance_transaction",
    MOVED,
    "billing_credit_grant",
    {
        "credit_grant": "credit_grant",
        "customer": lambda world, obj, key: (
            world.peek("billing.credit_grant", obj["credit_grant"])["customer"] == key
        ),
    },
)
