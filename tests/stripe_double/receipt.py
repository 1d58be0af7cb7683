"""The page of an order that is paid, and what the customer can still do about it.

For each payment: a refund, whole or in part; a dispute; and, in place of the bank, how
the dispute ends. The same acts as over the API and the control, with their events.
"""

from html import escape

from .billing import payments
from .errors import ApiError
from .layout import day, minor_units, money, number, page, problem, redirect
from .resources import refunds

#: In which words a refund or a dispute is told, by its status.
REFUND = {
    "succeeded": "refunded",
    "pending": "refunded, on its way",
    "requires_action": "refunded, waiting for the customer's bank details",
    "failed": "could not be refunded: the bank sent it back",
    "canceled": "not refunded: canceled",
}
DISPUTE = {
    "lost": "disputed; the bank decided for the customer",
    "won": "disputed; the bank decided for the shop",
    "prevented": "disputed, and refunded before the bank decided",
    "warning_needs_response": "questioned by the bank",
    "warning_under_review": "questioned by the bank",
    "warning_closed": "questioned by the bank, with no consequence",
}
UNDECIDED = tuple(status for status in refunds.TAKEN if status != "lost")
DECISIONS = {"customer": "lost", "shop": "won"}

REFUND_FORM = """<form method="post" action="/c/refund/{session}">
<input type="hidden" name="payment" value="{charge}"><div class="row">
<label>Amount in {currency}<input name="amount" value="{left}" inputmode="decimal"
autocomplete="off" required></label>
<button class="other">Ask for a refund</button></div></form>"""

DISPUTE_FORM = """<form method="post" action="/c/dispute/{session}">
<input type="hidden" name="payment" value="{charge}">
<button class="bad">Dispute the payment</button></form>"""

DECISION_FORM = """<form method="post" action="/c/decide/{session}">
<input type="hidden" name="dispute" value="{dispute}">
<p class="quiet">The bank holds {amount}. How does it decide?</p><div class="row">
<button class="other" name="decision" value="customer">For the customer</button>
<button class="other" name="decision" value="shop">For the shop</button></div></form>"""


def order(world, session):
    """What is bought, as rows with its total."""
    if session["mode"] == "setup":
        return "<p>A card is kept for later. Nothing is paid now.</p>"
    currency = session["currency"]
    rows = [
        (f"{item['description'] or ''}{_times(item)}", item["amount_subtotal"])
        for item in world.side[session["id"]]["items"]
    ]
    less, ship, tax = (
        session["total_details"][f"amount_{name}"]
        for name in ("discount", "shipping", "tax")
    )
    more = session["amount_total"] - session["amount_subtotal"] + less - ship
    extra = (("Discount", -less), ("Shipping", ship), ("Tax", more))
    rows += [row for row in extra if row[1]]
    lines = [
        f"<tr><td>{escape(text)}</td><td>{money(amount, currency)}</td></tr>"
        for text, amount in rows
    ]
    total = money(session["amount_total"], currency)
    lines.append(f'<tr class="total"><td>Total</td><td>{total}</td></tr>')
    if tax > more:
        inside = money(tax - more, currency)
        lines.append(f"<tr><td><small>Tax included</small></td><td>{inside}</td></tr>")
    return f"<table>{''.join(lines)}</table>"


def _times(item):
    quantity, recurring = item["quantity"], item["price"]["recurring"]
    text = f" × {quantity}" if quantity != 1 else ""
    if recurring:
        count, unit = recurring["interval_count"], recurring["interval"]
        text += f", each {unit}" if count == 1 else f", every {count} {unit}s"
    return text


def show(world, session, error=None):
    """The receipt as it is now, with the reason why something was refused."""
    told = problem(error.message) if error else ""
    status = error.status if error else 200
    if session["status"] != "complete":
        back = f'<p><a href="/c/pay/{session["id"]}">To the checkout</a></p>'
        return page(status, "Sorry", told + (back if session["url"] else ""))
    charges = paid_charges(world, session)
    if charges:
        sections = "".join(_payment(world, session, charge) for charge in charges)
    elif session["payment_status"] == "unpaid":
        sections = "<p>The bank has not confirmed the payment yet.</p>"
    else:
        sections = "<p>Nothing had to be paid so far.</p>"
    email = (session["customer_details"] or {}).get("email")
    whose = f'<p class="quiet">Ordered by {escape(email)}.</p>' if email else ""
    quiet = all(_badge(world, charge)[0] == "Paid" for charge in charges)
    title = "Thank you" if quiet and not error else "Your order"
    note = '<section class="quiet">Test mode: no money moves.</section>'
    return page(status, title, told + whose + order(world, session) + sections + note)


def paid_charges(world, session):
    """Successful charges of an order, newest first: of a subscription also renewals."""
    keys = [session["payment_intent"]] if session["payment_intent"] else []
    if session["subscription"]:
        where = {"parent__subscription_details__subscription": session["subscription"]}
        for invoice in world.all("invoice", **where):
            for payment in payments.payments_of(world, invoice):
                if payment["status"] == "paid" and payments.has_intent(payment):
                    keys.append(payment["payment"]["payment_intent"])
    found = [
        charge
        for key in dict.fromkeys(keys)
        for charge in world.all("charge", payment_intent=key)
        if charge["status"] == "succeeded"
    ]
    return found[::-1]


def _refundable(world, charge):
    left = refunds.left_of(world, charge)
    return max(left - refunds.disputed(world, charge), 0)


def _disputable(world, charge):
    """Once, as long as not everything came back."""
    disputes = world.all("dispute", charge=charge["id"])
    return not disputes and refunds.left_of(world, charge) > 0


def _badge(world, charge):
    statuses = {d["status"] for d in world.all("dispute", charge=charge["id"])}
    if statuses & set(UNDECIDED):
        return "Disputed", "bad"
    if "lost" in statuses:
        return "Dispute lost by the shop", "bad"
    if charge["refunded"]:
        return "Refunded", "changed"
    if charge["amount_refunded"]:
        return "Refunded in part", "changed"
    if "won" in statuses:
        return "Dispute won by the shop", ""
    return "Paid", ""


def _payment(world, session, charge):
    """A payment: what happened to it, and forms for what may still happen."""
    currency = charge["currency"]
    text, kind = _badge(world, charge)
    parts = [
        f"<h2>{money(charge['amount'], currency)}"
        f'<span class="badge {kind}">{text}</span></h2>',
        f'<p class="quiet">Paid on {day(charge["created"])}</p>',
    ]
    if charge["amount_refunded"]:
        back = money(charge["amount_refunded"], currency)
        whole = money(charge["amount"], currency)
        parts.append(f"<p>Refunded {back} of {whole}.</p>")
    disputes = world.all("dispute", charge=charge["id"])
    happened = [(refund, REFUND) for refund in refunds.refunds_of(world, charge)] + [
        (dispute, DISPUTE) for dispute in disputes
    ]
    if happened:
        happened.sort(key=lambda pair: pair[0]["created"])
        parts.append(f"<ul>{''.join(_told(*pair) for pair in happened)}</ul>")
    for dispute in disputes:
        if dispute["status"] in UNDECIDED:
            amount = money(dispute["amount"], currency)
            parts.append(
                DECISION_FORM.format(
                    session=session["id"], dispute=dispute["id"], amount=amount
                )
            )
    names = {"session": session["id"], "charge": charge["id"]}
    left = _refundable(world, charge)
    if left:
        values = {"left": number(left, currency), "currency": currency.upper()}
        parts.append(REFUND_FORM.format(**names, **values))
    if _disputable(world, charge):
        parts.append(DISPUTE_FORM.format(**names))
    return f"<section>{''.join(parts)}</section>"


def _told(obj, words):
    text = words.get(obj["status"], "disputed; the bank has not decided")
    amount = money(obj["amount"], obj["currency"])
    return f"<li>{day(obj['created'])}: {amount} {text}</li>"


# -- what the customer, and then the bank, does


def act(double, name, key, given):
    """Do what was asked for, then lead to the receipt; or say why it cannot be."""
    with double.lock:
        world, session = double.find("checkout.session", key)
        if given is not None:
            try:
                ACTS[name](double, world, session, given)
            except ApiError as error:
                return show(world, session, error)
    return redirect(f"/c/pay/{key}")


def _chosen(world, session, given):
    """The charge that is meant: the one named, else the newest."""
    charges = paid_charges(world, session)
    if not charges:
        raise ApiError("This order is not paid.")
    key = given.get("payment") or charges[0]["id"]
    for charge in charges:
        if charge["id"] == key:
            return charge
    raise ApiError(f"This order has no payment {key}.", status=404)


def _refund(double, world, session, given):
    charge = _chosen(world, session, given)
    currency, left = charge["currency"], _refundable(world, charge)
    if not left:
        returned = charge["refunded"]
        raise ApiError(
            "This payment has already been refunded."
            if returned
            else "The bank has taken this payment back: there is nothing to refund."
        )
    amount = left
    if given.get("amount"):
        amount = minor_units(given["amount"], currency)
    if not 0 < amount <= left:
        raise ApiError(
            f"A refund can be of any amount up to {money(left, currency)},"
            f" not of {money(amount, currency)}.",
            param="amount",
        )
    refunds.require_refundable(world, charge, amount)
    refunds.make(world, charge, amount, reason="requested_by_customer")


def _dispute(double, world, session, given):
    charge = _chosen(world, session, given)
    if charge["refunded"]:
        raise ApiError("This payment has been refunded: there is nothing to dispute.")
    if not _disputable(world, charge):
        raise ApiError("This payment has already been disputed.")
    double.open_dispute(charge["id"])


def _decide(double, world, session, given):
    status = DECISIONS.get(given.get("decision"))
    if not status:
        raise ApiError("The bank decides for the customer or for the shop.")
    for charge in paid_charges(world, session):
        for dispute in world.all("dispute", charge=charge["id"]):
            if dispute["status"] in UNDECIDED:
                if given.get("dispute") in (None, dispute["id"]):
                    double.close_dispute(dispute["id"], status)
                    return
    raise ApiError("There is no dispute to decide about.")


ACTS = {"refund": _refund, "dispute": _dispute, "decide": _decide}
