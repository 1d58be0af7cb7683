"""Payment records: what was paid, and given back, outside of Stripe."""

from ..billing import records as engine
from ..errors import ApiError
from ..routing import retrieval, route
from . import common

PATH = "/v1/payment_records"


@route("POST", f"{PATH}/report_payment", "payment_records")
def report_payment(call):
    """A payment that has arrived (``outcome=guaranteed``); others are not simulated."""
    params, world = call.params, call.world
    params.ignore("customer_presence", "initiated_at", "payment_method_details")
    params.ignore("guaranteed", "processor_details")
    if params.get("outcome", "guaranteed") != "guaranteed":
        raise ApiError("The double knows no failed payment records.", status=501)
    wanted = params["amount_requested"]
    key = (params.get("customer_details") or {}).get("customer")
    return engine.report(
        world,
        wanted["value"],
        wanted["currency"].lower(),
        key and world.find("customer", key, "customer_details[customer]"),
        description=params.get("description"),
        metadata=common.metadata(params.get("metadata")),
    )


retrieval("payment_record", PATH + "/{id}", "payment_records")


@route("POST", PATH + "/{id}/report_refund", "payment_records")
def report_refund(call, id):
    """Money given back outside of Stripe; credit notes name it by its reference."""
    params, world = call.params, call.world
    params.ignore("initiated_at", "outcome", "refunded", "metadata")
    record = world.find("payment_record", id)
    left = record["amount_guaranteed"]["value"] - record["amount_refunded"]["value"]
    amount = (params.get("amount") or {}).get("value", left)
    if not 0 < amount <= left:
        raise ApiError(
            f"The refund ({amount}) must be between 1 and what is left of the payment"
            f" ({left}).",
            param="amount",
        )
    reference = (params["processor_details"].get("custom") or {})["refund_reference"]
    with world.change(record):
        back = record["amount_refunded"]["value"] + amount
        record["amount_refunded"] = {**record["amount_refunded"], "value": back}
    side = world.side[id]["refunds"]
    side[reference] = side.get(reference, 0) + amount
    return record
