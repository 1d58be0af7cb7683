"""Credit notes; the arithmetic is in ``billing/credit_notes.py``."""

from ..billing import credit_notes as engine
from ..billing import payments
from ..errors import ApiError, missing
from ..routing import listing, paginate_items, retrieval, route
from . import common, refunds

PATH = "/v1/credit_notes/{id}"


@route("POST", "/v1/credit_notes", "credit_note")
def create_credit_note(call):
    params, world = call.params, call.world
    params.ignore("email_type")
    invoice = world.find("invoice", params["invoice"], "invoice")
    if invoice["status"] not in ("open", "paid"):
        raise ApiError(
            "You can only create a credit note for an open or paid invoice.",
            param="invoice",
        )
    number = len(world.all("credit_note", invoice=invoice["id"])) + 1
    note = world.build(
        "credit_note",
        amount_shipping=0,
        currency=invoice["currency"],
        customer=invoice["customer"],
        effective_at=params.get("effective_at") or world.now(),
        invoice=invoice["id"],
        memo=params.get("memo"),
        metadata=common.metadata(params.get("metadata")),
        number=f"{invoice['number']}-CN-{number:02d}",
        out_of_band_amount=params.get("out_of_band_amount"),
        reason=params.get("reason"),
        refunds=[],
        status="issued",
    )
    if params.get("shipping_cost"):
        _take_shipping(world, note, invoice)
    note["pdf"] = f"{world.double.url}/cn/{note['id']}/pdf"
    engine.total(note, engine.build_lines(world, note, params))
    given = [
        _existing(world, invoice, entry, f"refunds[{index}]")
        for index, entry in enumerate(params.get("refunds") or [])
    ]
    refund, credit = params.get("refund_amount", 0), params.get("credit_amount", 0)
    known = sum(entry["amount_refunded"] for entry in given)
    spent = known + refund + credit + (note["out_of_band_amount"] or 0)
    engine.split(note, invoice, spent)
    if refund:
        charge = _charge(world, invoice)
        refunds.require_refundable(world, charge, refund)
        made = refunds.make(world, charge, refund)
        given.append(_entry(made, refund))
    note["refunds"] = given
    if credit:
        note["customer_balance_transaction"] = _credit(world, note, credit)
    world.add(note, "credit_note.created")
    engine.apply(world, note, invoice)
    return note


def _entry(refund, amount):
    return {
        "amount_refunded": amount,
        "payment_record_refund": None,
        "refund": refund["id"],
        "type": "refund",
    }


def _take_shipping(world, note, invoice):
    """The shipping of the invoice goes back as a whole, once."""
    others = world.all("credit_note", invoice=invoice["id"])
    taken = any(o["amount_shipping"] for o in others if o["status"] != "void")
    if not invoice["amount_shipping"] or taken:
        raise ApiError(
            "This invoice has no shipping left to credit.", param="shipping_cost"
        )
    note["shipping_cost"] = dict(invoice["shipping_cost"])
    note["amount_shipping"] = invoice["amount_shipping"]


def _existing(world, invoice, entry, param):
    """A refund made before, now explained by this note."""
    if entry.get("type") == "payment_record_refund":
        return _of_record(world, entry, param)
    obj = world.find("refund", entry.get("refund"), f"{param}[refund]")
    paid = [
        p["payment"].get("payment_intent") for p in payments.payments_of(world, invoice)
    ]
    charge = refunds.charge_of(world, obj)
    if obj["payment_intent"] not in paid and charge not in _old_charges(world, invoice):
        raise ApiError(
            f"The refund {obj['id']} is not of a payment of this invoice.",
            param=f"{param}[refund]",
        )
    explained = sum(
        known["amount_refunded"]
        for note in world.all("credit_note")
        if note["status"] != "void"
        for known in note["refunds"]
        if known.get("refund") == obj["id"]
    )
    amount = entry.get("amount_refunded", obj["amount"])
    if amount > obj["amount"] - explained:
        raise ApiError(
            f"The refund {obj['id']} has only {obj['amount'] - explained} that no"
            " credit note explains yet.",
            param=f"{param}[amount_refunded]",
        )
    return _entry(obj, amount)


def _old_charges(world, invoice):
    """Charges without a payment intent that paid the invoice."""
    found = payments.payments_of(world, invoice)
    return [payment["payment"].get("charge") for payment in found]


def _of_record(world, entry, param):
    """Money that was given back outside of Stripe, as its payment record tells."""
    named = entry["payment_record_refund"]
    world.find("payment_record", named["payment_record"], param)
    known = world.side[named["payment_record"]]["refunds"]
    if named["refund_group"] not in known:
        raise missing("refund_group", named["refund_group"], param)
    whole = known[named["refund_group"]]
    amount = entry.get("amount_refunded", whole)
    if amount > whole:
        raise ApiError(f"Only {whole} was given back.", param=param)
    return {
        "amount_refunded": amount,
        "payment_record_refund": dict(named),
        "type": "payment_record_refund",
    }


def _charge(world, invoice):
    for payment in payments.payments_of(world, invoice):
        if payment["status"] == "paid" and payments.has_intent(payment):
            intent = payments.intent_of(world, payment)
            return world.peek("charge", intent["latest_charge"])
    raise ApiError("This invoice has no charge to refund.", param="refund_amount")


def _credit(world, note, amount):
    customer = world.peek("customer", note["customer"])
    invoice = world.peek("invoice", note["invoice"])
    moved = payments.move_balance(
        world, customer, -amount, "credit_note", invoice, credit_note=note["id"]
    )
    return moved["id"]


retrieval("credit_note", PATH, "credit_note")
listing(
    "credit_note",
    "/v1/credit_notes",
    "credit_note",
    {"customer": "customer", "invoice": "invoice"},
)


@route("GET", "/v1/credit_notes/{credit_note}/lines", "credit_note")
def list_lines(call, credit_note):
    world = call.world
    world.find("credit_note", credit_note)
    lines = [
        line
        for line in world.all("credit_note_line_item")
        if world.side[line["id"]]["note"] == credit_note
    ]
    return paginate_items(call, "credit_note_line_item", lines)


@route("POST", PATH, "credit_note")
def update_credit_note(call, id):
    note = call.world.find("credit_note", id)
    with call.world.change(note, "credit_note.updated"):
        common.copy(note, call.params, "memo")
        common.merge_metadata(note, call.params)
    return note


@route("POST", PATH + "/void", "credit_note")
def void_credit_note(call, id):
    return engine.void(call.world, call.world.find("credit_note", id))
