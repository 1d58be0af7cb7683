"""Customers and their balance. A customer's discount is set through control."""

from ..billing import payments, subscriptions
from ..errors import ApiError
from ..render import includes
from ..routing import listing, paginate, retrieval, route
from ..shapes import list_object
from . import common

SIMPLE = ("description", "email", "name", "phone", "tax_exempt", "preferred_locales")
ADDRESS = ("city", "country", "line1", "line2", "postal_code", "state")


def _address(value):
    return {**dict.fromkeys(ADDRESS), **value} if value else None


def new_customer(world, **values):
    prefix = "".join(world.random.choices("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789", k=8))
    customer = world.build(
        "customer",
        **{
            "balance": 0,
            "delinquent": False,
            "invoice_prefix": prefix,
            "invoice_settings": dict.fromkeys(
                (
                    "custom_fields",
                    "default_payment_method",
                    "footer",
                    "rendering_options",
                )
            ),
            "metadata": {},
            "next_invoice_sequence": 1,
            "preferred_locales": [],
            "tax_exempt": "none",
            **values,
        },
    )
    return world.add(customer, "customer.created")


@route("POST", "/v1/customers", "customer")
def create_customer(call):
    params, world = call.params, call.world
    params.ignore("payment_method", "source", "invoice_settings", "tax", "shipping")
    values = params.take(*SIMPLE)
    values = {k: v for k, v in values.items() if v != ""}
    balance = params.get("balance", 0)
    customer = new_customer(
        world,
        **values,
        address=_address(params.get("address")),
        metadata=common.metadata(params.get("metadata")),
    )
    if balance:
        payments.move_balance(world, customer, balance, "initial")
    return customer


@route("GET", "/v1/customers/{customer}", "customer")
def retrieve_customer(call, customer):
    """A deleted customer is still answered, as a stub."""
    obj = call.world.peek("customer", customer)
    if obj is not None and customer in call.world.removed:
        return {"id": customer, "object": "customer", "deleted": True}
    return call.world.find("customer", customer)


listing("customer", "/v1/customers", "customer", {"email": "email"})


@route("POST", "/v1/customers/{customer}", "customer")
def update_customer(call, customer):
    world, params = call.world, call.params
    params.ignore("default_source", "source", "invoice_settings", "tax", "shipping")
    obj = world.find("customer", customer)
    with world.change(obj, "customer.updated"):
        common.copy(obj, params, *SIMPLE)
        if "address" in params:
            obj["address"] = _address(params["address"])
        common.merge_metadata(obj, params)
    if "balance" in params and params["balance"] != obj["balance"]:
        delta = params["balance"] - obj["balance"]
        payments.move_balance(world, obj, delta, "adjustment")
    return obj


@route("DELETE", "/v1/customers/{customer}", "customer")
def delete_customer(call, customer):
    """Subscriptions end at once; invoices and charges stay."""
    world = call.world
    obj = world.find("customer", customer)
    for subscription in world.all("subscription", customer=customer):
        if subscription["status"] not in ("canceled", "incomplete_expired"):
            subscriptions.cancel(world, subscription)
    return world.remove(obj, "customer.deleted")


@includes("customer", "subscriptions")
def customer_subscriptions(world, customer):
    alive = [
        s
        for s in reversed(world.all("subscription", customer=customer["id"]))
        if s["status"] not in ("canceled", "incomplete_expired")
    ]
    url = f"/v1/customers/{customer['id']}/subscriptions"
    return list_object(alive[:10], url, len(alive) > 10)


for _name in ("sources", "tax_ids"):

    @includes("customer", _name)
    def empty_list(world, customer, name=_name):
        return list_object([], f"/v1/customers/{customer['id']}/{name}")


@includes("customer", "invoice_credit_balance")
def invoice_credit_balance(world, customer):
    currency = customer["currency"]
    return {currency: customer["balance"]} if currency else {}


@route("DELETE", "/v1/customers/{customer}/discount", "customer")
def delete_customer_discount(call, customer):
    world = call.world
    obj = world.find("customer", customer)
    discount = obj["discount"]
    if not discount:
        raise ApiError("No active discount for customer", status=404)
    remove_discount(world, obj)
    return {"id": discount["id"], "object": "discount", "deleted": True}


def remove_discount(world, customer):
    stored = world.peek("discount", customer["discount"]["id"])
    with world.change(customer):
        customer["discount"] = None
    world.emit("customer.discount.deleted", stored)


# -- balance --------------------------------------------------------------------

BALANCE = "/v1/customers/{customer}/balance_transactions"


@route("POST", BALANCE, "customer")
def create_balance_transaction(call, customer):
    world, params = call.world, call.params
    obj = world.find("customer", customer)
    currency = params["currency"].lower()
    if obj["currency"] not in (None, currency):
        raise ApiError(
            f"The customer's currency is {obj['currency']}.", param="currency"
        )
    return payments.move_balance(
        world,
        obj,
        params["amount"],
        "adjustment",
        description=params.get("description"),
        currency=currency,
        metadata=common.metadata(params.get("metadata")),
    )


@route("GET", BALANCE, "customer")
def list_balance_transactions(call, customer):
    ids = call.world.candidates("customer_balance_transaction")
    tests = [lambda obj: obj["customer"] == customer]
    if "invoice" in call.params:
        tests.append(lambda obj: obj["invoice"] == call.params["invoice"])
    call.world.find("customer", customer)
    return paginate(call, "customer_balance_transaction", ids, tests)


retrieval("customer_balance_transaction", BALANCE + "/{transaction}", "customer")
