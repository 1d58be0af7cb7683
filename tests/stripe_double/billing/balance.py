"""The merchant's balance: one BalanceTransaction for every movement of money.

Stripe sends no events for them; whoever wants them has to ask.
"""

from ..dates import DAY

CATEGORY = {
    "charge": "charge",
    "payment": "charge",
    "payment_failure": "charge_failure",
    "refund": "refund",
    "refund_failure": "refund_failure",
    "dispute": "dispute",
    "dispute_reversal": "dispute_reversal",
}

#: The ``type`` of a category, where the two differ.
TYPE = {
    "payment_failure": "payment_failure_refund",
    "dispute": "adjustment",
    "dispute_reversal": "adjustment",
}


def record(world, category, source, amount, fee=0, days=2):
    """Book ``amount`` (negative = money leaves) with Stripe's fee."""
    details = []
    if fee:
        details.append(
            {
                "amount": fee,
                "application": None,
                "currency": source["currency"],
                "description": "Stripe processing fees",
                "type": "stripe_fee",
            }
        )
    transaction = world.build(
        "balance_transaction",
        amount=amount,
        available_on=world.now() + days * DAY,
        balance_type="payments",
        currency=source["currency"],
        fee=fee,
        fee_details=details,
        net=amount - fee,
        reporting_category=CATEGORY[category],
        source=source["id"],
        status="pending",
        type=TYPE.get(category, category),
    )
    return world.add(transaction)
