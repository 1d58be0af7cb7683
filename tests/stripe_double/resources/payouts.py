"""Payouts: what the merchant's bank gets. They happen on their own (control)."""

from ..dates import DAY
from ..errors import ApiError
from ..routing import listing, retrieval

retrieval("payout", "/v1/payouts/{payout}", "payout")
listing("payout", "/v1/payouts", "payout", {"status": "status"})


def pay_out(world, currency):
    """One automatic payout; afterwards its balance transactions can be listed."""
    waiting = [
        booked
        for booked in world.all("balance_transaction", currency=currency)
        if booked["type"] != "payout" and not world.side[booked["id"]].get("payout")
    ]
    amount = sum(booked["net"] for booked in waiting)
    if amount <= 0:
        raise ApiError("There is nothing to pay out.")
    payout = world.build(
        "payout",
        amount=amount,
        arrival_date=world.now() + 2 * DAY,
        automatic=True,
        currency=currency,
        metadata={},
        method="standard",
        reconciliation_status="in_progress",
        source_type="card",
        status="in_transit",
        type="bank_account",
    )
    booked = world.build(
        "balance_transaction",
        amount=-amount,
        available_on=world.now() + 2 * DAY,
        balance_type="payments",
        currency=currency,
        fee=0,
        fee_details=[],
        net=-amount,
        reporting_category="payout",
        source=payout["id"],
        status="available",
        type="payout",
    )
    payout["balance_transaction"] = world.add(booked)["id"]
    for entry in waiting:
        world.side[entry["id"]]["payout"] = payout["id"]
        entry["status"] = "available"
    world.add(payout, "payout.created")
    with world.change(payout):
        payout["status"] = "paid"
        payout["reconciliation_status"] = "completed"
    world.emit("payout.paid", payout)
    world.emit("payout.reconciliation_completed", payout)
    return payout
