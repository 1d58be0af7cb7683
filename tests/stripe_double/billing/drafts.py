"""Drafts: a new invoice, and how lines get onto it."""

from ..contract import nulls, resource_class
from ..errors import ApiError
from ..shapes import list_object
from ..world import clone
from .lines import add_line, lines_of

ZEROS = (
    "amount_due amount_overpaid amount_paid amount_remaining amount_shipping"
    " attempt_count post_payment_credit_notes_amount pre_payment_credit_notes_amount"
    " subtotal total"
).split()
EMPTY = ("total_taxes", "total_discount_amounts", "total_pretax_credit_amounts")


def new_draft(world, customer, currency, reason, **options):
    """An empty draft. ``options``: subscription, discounts (ids), tax_rates (full
    objects), collection_method, due, metadata, description, period."""
    subscription = options.get("subscription")
    start, end = options.get("period") or (world.now(), world.now())
    key, cls = world.new_id("invoice"), resource_class("invoice")
    invoice = world.build(
        "invoice",
        id=key,
        **_customer_fields(customer),
        **dict.fromkeys(ZEROS, 0),
        **{name: [] for name in EMPTY},
        account_country="US",
        account_name="Stripe double",
        attempted=False,
        auto_advance=options.get("auto_advance", subscription is not None),
        automatic_tax=nulls(cls.AutomaticTax, enabled=False),
        billing_reason=reason,
        collection_method=options.get("collection_method", "charge_automatically"),
        currency=currency,
        default_tax_rates=list(options.get("tax_rates", ())),
        description=options.get("description"),
        discounts=list(options.get("discounts", ())),
        due_date=options.get("due"),
        footer=options.get("footer"),
        issuer={"type": "self"},
        lines=list_object([], f"/v1/invoices/{key}/lines"),
        metadata=dict(options.get("metadata") or {}),
        parent=subscription and _parent(subscription),
        payment_settings=nulls(cls.PaymentSettings),
        period_end=end,
        period_start=start,
        starting_balance=customer["balance"],
        status="draft",
        status_transitions=nulls(cls.StatusTransitions),
    )
    return world.add(invoice, lines=[], subscription=subscription)


def _parent(subscription):
    return {
        "type": "subscription_details",
        "quote_details": None,
        "subscription_details": {
            "metadata": dict(subscription["metadata"]),
            "subscription": subscription["id"],
        },
    }


def _customer_fields(customer):
    """Frozen on the invoice; later changes of the customer do not reach it."""
    return {
        "customer": customer["id"],
        "customer_address": customer["address"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "customer_phone": customer["phone"],
        "customer_tax_exempt": customer["tax_exempt"],
        "customer_tax_ids": [],
    }


def customer_of(world, invoice):
    return world.peek("customer", invoice["customer"])


def add_item(world, invoice, item):
    """Put an invoice item on a draft as a line."""
    side = world.side[item["id"]]
    parent = {
        "type": "invoice_item_details",
        "subscription_item_details": None,
        "invoice_item_details": {
            "invoice_item": item["id"],
            "proration": item["proration"],
            "proration_details": {"credited_items": None},
            "subscription": None,
        },
    }
    link = (item["parent"] or {}).get("subscription_details")
    if link:
        parent = {
            "type": "subscription_item_details",
            "invoice_item_details": None,
            "subscription_item_details": {
                "invoice_item": item["id"],
                "proration": item["proration"],
                "proration_details": {"credited_items": side.get("credited")},
                "subscription": link["subscription"],
                "subscription_item": link["subscription_item"],
            },
        }
    line = add_line(
        world,
        invoice,
        amount=item["amount"],
        description=item["description"],
        period=dict(item["period"]),
        parent=parent,
        pricing=item["pricing"],
        quantity=item["quantity"],
        discountable=item["discountable"],
        discounts=item["discounts"] or (),
        tax_rates=side.get("tax_rates"),
        metadata=item["metadata"],
    )
    with world.change(item):
        item["invoice"] = invoice["id"]
    return line


def add_pending(world, invoice, subscription=None, besides=()):
    """Invoice items that wait for the customer's next invoice, ``besides`` some."""
    for item in world.all("invoiceitem", customer=invoice["customer"], invoice=None):
        link = (item["parent"] or {}).get("subscription_details")
        if item in besides:
            continue
        owner = link and link["subscription"]
        if owner in (None, subscription and subscription["id"]):
            if item["currency"] == invoice["currency"]:
                add_item(world, invoice, item)


def revise(world, invoice, original):
    """Make a draft the revision of an open invoice: a copy that takes its place."""
    invoice["from_invoice"] = {"action": "revision", "invoice": original["id"]}
    invoice["discounts"] = list(original["discounts"])
    invoice["default_tax_rates"] = clone(original["default_tax_rates"])
    for line in lines_of(world, original):
        add_line(
            world,
            invoice,
            amount=line["amount"],
            description=line["description"],
            period=dict(line["period"]),
            parent=clone(line["parent"]),
            pricing=clone(line["pricing"]),
            quantity=line["quantity"],
            discountable=line["discountable"],
            discounts=line["discounts"],
            tax_rates=world.side[line["id"]]["tax_rates"],
            metadata=dict(line["metadata"]),
        )


def require_draft(invoice):
    if invoice["status"] != "draft":
        raise ApiError(
            "This invoice is no longer editable", code="invoice_not_editable"
        )
