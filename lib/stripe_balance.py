"""Readers of what moves on the merchant's Stripe balance.

Stripe tells of no balance transaction by event. They come with the dispute that made
them, with the payout that took them to the bank, and by walking their list. To read
each with its payment would be one more request a payment.
"""

from .stripe_rows import Reading, moment, money, needed, new_row, ref

# Their source is the payout itself.
OF_PAYOUTS = ("payout", "payout_cancel", "payout_failure")


def read_balance_transaction(raw):
    source = ref(raw.get("source"))
    values = {
        "type": raw.get("type"),
        "reporting_category": raw.get("reporting_category"),
        "status": raw.get("status"),
        "source_ref": source,
        "description": raw.get("description"),
        "available_on": moment(raw.get("available_on")),
        "currency": raw.get("currency"),
        "amount": money(raw, "amount"),
        "fee": money(raw, "fee"),
        "net": money(raw, "net"),
        "exchange_rate": raw.get("exchange_rate"),
    }
    # Only the list of a payout tells which payout it is: else leave what is known.
    payout = source if raw.get("type") in OF_PAYOUTS else ref(raw.get("payout"))
    if payout:
        values["payout_ref"] = payout
    data = {**raw, "source": source}
    return Reading([new_row("balance_transaction", raw, values, data)])


def read_payout(raw):
    arrival = moment(raw.get("arrival_date"))
    values = {
        "status": raw.get("status"),
        "currency": raw.get("currency"),
        "amount": money(raw, "amount"),
        "arrival_date": arrival and arrival.date(),
        "automatic": bool(raw.get("automatic")),
        "method": raw.get("method"),
        "reconciliation_status": raw.get("reconciliation_status"),
        "failure_code": raw.get("failure_code"),
        "failure_message": raw.get("failure_message"),
    }
    reading = Reading([new_row("payout", raw, values)])
    if raw.get("automatic") and raw.get("reconciliation_status") == "completed":
        reading.parts = [("balance_transaction", {"payout": raw["id"]})]
    else:
        own = ref(raw.get("balance_transaction"))
        reading.needs = needed(("balance_transaction", own))
    return reading
