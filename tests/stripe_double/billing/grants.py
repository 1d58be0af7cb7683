"""Billing credits: what a customer was granted pays metered lines before any tax.

They are applied when an invoice is finalized, after its discounts: the credit with the
lowest priority number first, then the one that expires first, then the oldest. Voiding
the invoice gives them back. Each movement is a CreditBalanceTransaction.
"""


def new_grant(world, customer, currency, value, scope, **values):
    grant = world.build(
        "billing.credit_grant",
        amount={"type": "monetary", "monetary": _money(currency, value)},
        applicability_config={"scope": scope},
        customer=customer["id"],
        updated=world.now(),
        **values,
    )
    world.add(grant, "billing.credit_grant.created", left=value)
    _record(world, grant, "credit", "credits_granted", value)
    return grant


def _money(currency, value):
    return {"currency": currency, "value": value}


def _record(world, grant, kind, why, amount, **about):
    currency = grant["amount"]["monetary"]["currency"]
    side = {
        "amount": {"type": "monetary", "monetary": _money(currency, amount)},
        "type": why,
        **about,
    }
    return world.add(
        world.build(
            "billing.credit_balance_transaction",
            credit_grant=grant["id"],
            effective_at=world.now(),
            type=kind,
            **{kind: side},
        )
    )


def left_of(world, grant):
    return world.side[grant["id"]]["left"]


def stop(world, grant, **values):
    """Voided or expired: nothing of it pays any more."""
    with world.change(grant, "billing.credit_grant.updated"):
        grant.update(values, updated=world.now())
    world.side[grant["id"]]["left"] = 0


def apply(world, invoice, lines):
    """Use the customer's credits up, as far as the lines need them."""
    for grant in _running(world, invoice):
        for line in lines:
            off = sum(entry["amount"] for entry in line["discount_amounts"])
            wanted = line["amount"] - off - applied(world, line)
            amount = min(wanted, left_of(world, grant))
            if amount > 0 and _covers(world, grant, line):
                _use(world, grant, invoice, line, amount)


def _running(world, invoice):
    now = world.now()
    found = [
        grant
        for grant in world.all("billing.credit_grant", customer=invoice["customer"])
        if grant["amount"]["monetary"]["currency"] == invoice["currency"]
        and (grant["effective_at"] or 0) <= now < (grant["expires_at"] or now + 1)
        and not grant["voided_at"]
    ]
    never = 2**62
    found.sort(key=lambda g: (g["priority"], g["expires_at"] or never, g["created"]))
    return found


def _covers(world, grant, line):
    key = ((line["pricing"] or {}).get("price_details") or {}).get("price")
    price = key and world.peek("price", key)
    if not price or not price["recurring"]:
        return False
    wanted = grant["applicability_config"]["scope"].get("prices")
    if wanted:
        return key in [entry["id"] for entry in wanted]
    return price["recurring"]["usage_type"] == "metered"


def _use(world, grant, invoice, line, amount):
    about = {"invoice": invoice["id"], "invoice_line_item": line["id"]}
    made = _record(
        world, grant, "debit", "credits_applied", amount, credits_applied=about
    )
    world.side[grant["id"]]["left"] -= amount
    used = (grant["id"], made["id"], amount)
    world.side[line["id"]].setdefault("credits", []).append(used)


def applied(world, line):
    """How much of a line was paid by credits."""
    return sum(amount for *_ids, amount in world.side[line["id"]].get("credits", ()))


def entries(world, line):
    """The credits in ``pretax_credit_amounts`` of a line."""
    return [
        {
            "amount": amount,
            "credit_balance_transaction": made,
            "type": "credit_balance_transaction",
        }
        for _grant, made, amount in world.side[line["id"]].get("credits", ())
    ]


def give_back(world, invoice, lines):
    """The invoice was voided."""
    for line in lines:
        for key, _made, amount in world.side[line["id"]].get("credits", ()):
            grant = world.peek("billing.credit_grant", key)
            about = {"invoice": invoice["id"], "invoice_line_item": line["id"]}
            why = "credits_application_invoice_voided"
            _record(world, grant, "credit", why, amount, **{why: about})
            world.side[key]["left"] += amount
