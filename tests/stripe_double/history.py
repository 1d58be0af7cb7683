"""What happened before: a past of the shop, made at once and without any event.

Acts have their own moments and are done in their order, with all that the clock does in
between (renewals, dunning). Afterwards the clock is where it was, and lists are in the
order of creation again.
"""

from .billing import subscriptions
from .dates import Clock
from .errors import ApiError
from .resources import checkout, completion, refunds
from .world import INDEXED


def play(double, world, acts):
    """Do ``acts``: ``[moment, name, values]`` each, see below; returns how many objects
    of each kind there are now. What Stripe would refuse is left out."""
    clock, quiet, strict = double.clock, double.quiet, double.strict
    acts = sorted(acts, key=lambda act: act[:2])
    double.clock = Clock(acts[0][0])
    double.quiet, double.strict = True, False
    try:
        for moment, name, values in acts:
            double.advance(to=moment)
            try:
                ACTS[name](double, world, **values)
            except ApiError:
                continue
        double.advance(to=clock.now())
    finally:
        double.clock, double.quiet, double.strict = clock, quiet, strict
    _sort(world)
    return {kind: len(keys) for kind, keys in world.order.items()}


def _sort(world):
    """Lists and indexes in order of creation, as paging expects them."""
    for kind, keys in world.order.items():
        store = world.objects[kind]
        stamp = "date" if kind == "invoiceitem" else "created"
        keys.sort(key=lambda key, s=store, n=stamp: s[key].get(n) or 0)
        for place, key in enumerate(keys):
            world.sequence[kind, key] = place
    for (kind, field, _value), keys in world.index.items():
        if kind in INDEXED or field == "code":
            keys.sort(key=lambda key, k=kind: world.sequence[k, key])


def _checkout(double, world, price, email, name, code=None, reference=None, tax=None):
    """Somebody buys: a subscription, or once."""
    price = world.find("price", price)
    mode = "subscription" if price["recurring"] else "payment"
    session = checkout.new_session(
        world,
        mode,
        [(price, 1, [])],
        allow_promotion_codes=True,
        client_reference_id=reference,
        data={"default_tax_rates": [tax]} if tax and mode == "subscription" else {},
    )
    completion.complete(world, session, email, name, code)


def _charges(world, email):
    customers = [c["id"] for c in world.all("customer", email=email)]
    return [
        charge
        for key in customers
        for charge in world.all("charge", customer=key)
        if charge["status"] == "succeeded"
    ]


def _refund(double, world, email, percent=100):
    """The last payment of a customer goes back, or a part of it."""
    for charge in _charges(world, email)[-1:]:
        amount = charge["amount"] * percent // 100
        refunds.require_refundable(world, charge, amount)
        refunds.make(world, charge, amount, "requested_by_customer")


def _dispute(double, world, email, status=None):
    """The bank wants the last payment back, and decides if a status is given."""
    for charge in _charges(world, email)[-1:]:
        dispute = refunds.open_dispute(world, charge)
        if status:
            refunds.close_dispute(world, dispute, status)


def _cancel(double, world, email):
    for customer in world.all("customer", email=email):
        for subscription in world.all("subscription", customer=customer["id"]):
            if subscription["status"] != "canceled":
                subscriptions.cancel(world, subscription)


def _declines(double, world, email):
    """The card stops working: the next renewal is tried, and then given up."""
    for customer in world.all("customer", email=email):
        world.side[customer["id"]]["declines"] = True


ACTS = {
    "cancel": _cancel,
    "checkout": _checkout,
    "declines": _declines,
    "dispute": _dispute,
    "refund": _refund,
}
