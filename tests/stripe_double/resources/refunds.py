"""Refunds and disputes. The bank's side of a dispute is a control route."""

from ..billing import authorizations
from ..billing.balance import record
from ..contract import nulls, resource_class
from ..dates import DAY
from ..errors import ApiError
from ..routing import listing, retrieval, route
from . import common

DISPUTE_FEE = 1500

# -- refunds --------------------------------------------------------------------


@route("POST", "/v1/refunds", "charge")
def create_refund(call):
    """Of a charge, or of the latest charge of a payment intent."""
    params, world = call.params, call.world
    params.ignore("refund_application_fee", "reverse_transfer", "instructions_email")
    charge = _charge(world, params)
    amount = params.get("amount", left_of(world, charge))
    require_refundable(world, charge, amount)
    return make(
        world,
        charge,
        amount,
        reason=params.get("reason"),
        metadata=common.metadata(params.get("metadata")),
    )


def whole_of(world, charge):
    """What can be refunded of a charge in all: what was captured. What was let go
    counts where a Refund tells it; an authorization can only be let go as a whole."""
    if authorizations.waits(world, charge):
        return charge["amount"]
    return charge["amount_captured"] + world.side[charge["id"]].get("released", 0)


def left_of(world, charge):
    return whole_of(world, charge) - charge["amount_refunded"]


def refunds_of(world, charge):
    """The refunds of a charge, oldest first, also those that do not name it."""
    found = world.all("refund", payment_intent=charge["payment_intent"])
    return [refund for refund in found if charge_of(world, refund) == charge["id"]]


def charge_of(world, refund):
    """The id of the charge a refund is of, also where it does not say so."""
    return refund["charge"] or world.side[refund["id"]]["charge"]


def require_refundable(world, charge, amount):
    """Stripe's reasons to refuse: not paid, refunded already, too much, disputed."""
    left = left_of(world, charge)
    if charge["status"] != "succeeded":
        raise ApiError(
            f"Charge {charge['id']} has not succeeded and cannot be refunded.",
            code="charge_not_refundable",
        )
    if left <= 0:
        raise ApiError(
            f"Charge {charge['id']} has already been refunded.",
            code="charge_already_refunded",
        )
    if amount > left:
        raise ApiError(
            f"Refund amount ({_money(amount, charge)}) is greater than unrefunded"
            f" amount on charge ({_money(left, charge)})",
            param="amount",
        )
    if amount < 1:
        raise ApiError(
            "Invalid positive integer",
            code="parameter_invalid_integer",
            param="amount",
        )
    if authorizations.waits(world, charge):
        _require_letting_go(world, charge, amount)
    if amount > left - disputed(world, charge):
        raise ApiError(
            f"Charge {charge['id']} has been charged back; cannot issue a refund.",
            code="charge_disputed",
        )


def _require_letting_go(world, charge, amount):
    """A refund cancels an authorization only where no payment intent has it."""
    if charge["payment_intent"]:
        raise ApiError(
            f"This PaymentIntent ({charge['payment_intent']}) does not have a"
            " successful charge to refund."
        )
    if amount != charge["amount"]:
        raise ApiError(
            f"Charge {charge['id']} has not been captured: only its whole amount can"
            " be let go.",
            param="amount",
        )


def _money(amount, charge):
    return f"{amount} {charge['currency']}"


def _charge(world, params):
    if params.get("charge"):
        params.ignore("payment_intent")
        return world.find("charge", params["charge"], "charge")
    if not params.get("payment_intent"):
        raise ApiError(
            "One of the following params should be provided for this request:"
            " payment_intent or charge.",
            code="parameter_missing",
            param="charge",
        )
    key = params["payment_intent"]
    intent = world.find("payment_intent", key, "payment_intent")
    if not intent["latest_charge"]:
        raise ApiError(
            f"This PaymentIntent ({intent['id']}) does not have a successful charge"
            " to refund."
        )
    return world.peek("charge", intent["latest_charge"])


def make(world, charge, amount, reason=None, metadata=None, status=None):
    """The Refund, its events, and the charge's new totals."""
    status = status or world.double.refund_status_at_creation
    named = not (world.double.refunds_without_charge and charge["payment_intent"])
    refund = world.build(
        "refund",
        amount=amount,
        charge=charge["id"] if named else None,
        currency=charge["currency"],
        customer=charge["customer"],
        metadata=metadata or {},
        payment_intent=charge["payment_intent"],
        reason=reason,
        status=status,
        pending_reason="processing" if status == "pending" else None,
    )
    if charge["balance_transaction"]:  # what was never captured moves no money
        booked = record(world, "refund", refund, -amount)
        refund["balance_transaction"] = booked["id"]
    else:
        side = world.side[charge["id"]]
        side.update(released=amount, gone=True)
    world.add(refund, "refund.created", charge=charge["id"])
    _count(world, charge, amount, "charge.refunded")
    return refund


def _count(world, charge, amount, *events):
    """``refunded`` is true only for the whole amount."""
    with world.change(charge, *events):
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == whole_of(world, charge)


def set_status(world, refund, status):
    """The bank's news: ``failed`` and ``canceled`` give the money back to us."""
    was, gone = refund["status"], ("failed", "canceled")
    charge = world.peek("charge", charge_of(world, refund))
    event = "refund.failed" if status == "failed" else "refund.updated"
    with world.change(refund):
        refund["status"] = status
        refund["pending_reason"] = "processing" if status == "pending" else None
        if status == "failed":
            refund["failure_reason"] = "lost_or_stolen_card"
        if status in gone and was not in gone:
            back = record(world, "refund_failure", refund, refund["amount"])
            refund["failure_balance_transaction"] = back["id"]
    if status in gone and was not in gone:
        _count(world, charge, -refund["amount"], "charge.updated")
    elif was in gone and status not in gone:
        _count(world, charge, refund["amount"], "charge.updated")
    world.emit("refund.updated", refund, {"status": was})
    if status == "failed":
        world.emit(event, refund)
    world.emit("charge.refund.updated", refund, {"status": was})
    return refund


retrieval("refund", "/v1/refunds/{refund}", "charge")
listing(
    "refund",
    "/v1/refunds",
    "charge",
    {"charge": "charge", "payment_intent": "payment_intent"},
)


@route("POST", "/v1/refunds/{refund}", "charge")
def update_refund(call, refund):
    obj = call.world.find("refund", refund)
    with call.world.change(obj, "refund.updated", "charge.refund.updated"):
        common.merge_metadata(obj, call.params)
    return obj


@route("POST", "/v1/refunds/{refund}/cancel", "charge")
def cancel_refund(call, refund):
    obj = call.world.find("refund", refund)
    if obj["status"] != "requires_action":
        raise ApiError("Only refunds that require action can be canceled.")
    return set_status(call.world, obj, "canceled")


# -- disputes -------------------------------------------------------------------

#: Statuses in which the bank has the money (an inquiry takes nothing).
TAKEN = (
    "needs_response",
    "under_review",
    "appeal_needs_response",
    "appeal_under_review",
    "lost",
)


def disputed(world, charge):
    """How much of a charge the bank has taken back."""
    found = world.all("dispute", charge=charge["id"])
    return sum(d["amount"] for d in found if d["status"] in TAKEN)


def open_dispute(world, charge, amount=None, inquiry=False, reason="fraudulent"):
    """The cardholder's bank takes the money back; an inquiry only asks. A refund made
    before does not stop a bank: then the whole charge is disputed all the same."""
    cls = resource_class("dispute")
    room = charge["amount_captured"] - disputed(world, charge)
    left = min(room, left_of(world, charge)) or room
    if charge["status"] != "succeeded" or not 0 < (amount or left) <= room:
        raise ApiError(f"Nothing of charge {charge['id']} is left to dispute.")
    dispute = world.build(
        "dispute",
        amount=left if amount is None else amount,
        balance_transactions=[],
        charge=charge["id"],
        currency=charge["currency"],
        enhanced_eligibility_types=[],
        evidence=nulls(cls.Evidence, enhanced_evidence={}),
        evidence_details={
            "due_by": world.now() + 7 * DAY,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        is_charge_refundable=inquiry,
        metadata={},
        payment_intent=charge["payment_intent"],
        reason=reason,
        status="warning_needs_response" if inquiry else "needs_response",
    )
    world.add(dispute, "charge.dispute.created")
    if not inquiry:
        withdraw(world, dispute)
    return dispute


def withdraw(world, dispute):
    """The money and the dispute fee leave our balance."""
    booked = record(world, "dispute", dispute, -dispute["amount"], DISPUTE_FEE)
    with world.change(dispute):
        dispute["balance_transactions"] = [*dispute["balance_transactions"], booked]
    world.emit("charge.dispute.funds_withdrawn", dispute)
    charge = world.peek("charge", dispute["charge"])
    with world.change(charge, "charge.updated"):
        charge["disputed"] = True


def close_dispute(world, dispute, status):
    """``won``, ``lost``, ``warning_closed`` (inquiries) or ``prevented``."""
    was = dispute["status"]
    with world.change(dispute):
        dispute["status"] = status
        dispute["is_charge_refundable"] = status == "warning_closed"
    if status == "won":
        booked = record(world, "dispute_reversal", dispute, dispute["amount"])
        with world.change(dispute):
            dispute["balance_transactions"] = [*dispute["balance_transactions"], booked]
        world.emit("charge.dispute.funds_reinstated", dispute)
    world.emit("charge.dispute.updated", dispute, {"status": was})
    world.emit("charge.dispute.closed", dispute, {"status": was})
    return dispute


retrieval("dispute", "/v1/disputes/{dispute}", "dispute")
listing(
    "dispute",
    "/v1/disputes",
    "dispute",
    {"charge": "charge", "payment_intent": "payment_intent"},
)


@route("POST", "/v1/disputes/{dispute}", "dispute")
def update_dispute(call, dispute):
    """Evidence submitted: the bank looks at it."""
    obj = call.world.find("dispute", dispute)
    evidence, submit = call.params.get("evidence"), call.params.get("submit", True)
    with call.world.change(obj, "charge.dispute.updated"):
        common.merge_metadata(obj, call.params)
        if evidence:
            obj["evidence"] = {**obj["evidence"], **evidence}
            details = {**obj["evidence_details"], "has_evidence": True}
            if submit:
                details["submission_count"] += 1
                details["submission_method"] = "manual"
                warned = obj["status"].startswith("warning")
                obj["status"] = "warning_under_review" if warned else "under_review"
            obj["evidence_details"] = details
    return obj


@route("POST", "/v1/disputes/{dispute}/close", "dispute")
def accept_dispute(call, dispute):
    """The merchant gives in: lost."""
    return close_dispute(call.world, call.world.find("dispute", dispute), "lost")
