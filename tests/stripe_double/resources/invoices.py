"""Invoices, invoice lines, invoice items and invoice payments."""

from ..billing import discounts as discounting
from ..billing import drafts, payments
from ..billing import invoices as engine
from ..billing.amounts import decimal_text, price_amount
from ..billing.lines import lines_of, recalculate
from ..dates import DAY
from ..errors import ApiError
from ..render import includes
from ..routing import listing, paginate_items, retrieval, route
from ..shapes import list_object
from . import catalog, common, shipping

IGNORED = (
    "account_tax_ids automatic_tax automatically_finalizes_at custom_fields"
    " default_payment_method default_source issuer payment_settings rendering"
    " statement_descriptor"
).split()

# -- invoices -------------------------------------------------------------------


@route("POST", "/v1/invoices", "invoice")
def create_invoice(call):
    """A manual draft; without ``discounts`` it inherits the customer's discount."""
    params, world = call.params, call.world
    params.ignore(*IGNORED)
    customer_key = params.get("customer")
    if params.get("from_invoice"):
        key = params["from_invoice"]["invoice"]
        customer_key = world.find("invoice", key, "from_invoice[invoice]")["customer"]
    customer = world.find("customer", customer_key, "customer")
    subscription = None
    if params.get("subscription"):
        subscription = world.find(
            "subscription", params["subscription"], "subscription"
        )
    original = _original(world, params.get("from_invoice"))
    currency = params.get("currency") or customer["currency"] or "usd"
    if original:
        currency = original["currency"]
    days = params.get("days_until_due")
    invoice = drafts.new_draft(
        world,
        customer,
        currency,
        "manual",
        subscription=subscription,
        auto_advance=params.get("auto_advance", False),
        collection_method=params.get("collection_method", "charge_automatically"),
        description=params.get("description"),
        due=params.get("due_date") or (days and world.now() + days * DAY),
        footer=params.get("footer"),
        metadata=common.metadata(params.get("metadata")),
        tax_rates=common.tax_rates(
            world, params.get("default_tax_rates"), "default_tax_rates"
        ),
    )
    invoice["effective_at"] = params.get("effective_at")
    invoice["discounts"] = _discounts(world, invoice, customer, params)
    shipping.put_on(world, invoice, params.get("shipping_cost"))
    if params.get("pending_invoice_items_behavior") == "include":
        drafts.add_pending(world, invoice, subscription)
    if original:
        drafts.revise(world, invoice, original)
    recalculate(world, invoice)
    world.emit("invoice.created", invoice)
    world.schedule(world.now() + 3600, "draft", invoice["id"])
    return invoice


def _original(world, revised):
    """The invoice of which the new one is a revision."""
    if not revised:
        return None
    invoice = world.find("invoice", revised["invoice"], "from_invoice[invoice]")
    if revised["action"] != "revision" or invoice["status"] != "open":
        raise ApiError("Only open invoices can be revised.", param="from_invoice")
    return invoice


def _discounts(world, invoice, customer, params):
    if "discounts" in params:
        return discounting.adopt(
            world,
            params["discounts"] or [],
            customer,
            currency=invoice["currency"],
            invoice=invoice["id"],
        )
    if customer["discount"]:
        own = [customer["discount"]["id"]]
        return [d["id"] for d in discounting.running(world, own, world.now())]
    return []


retrieval("invoice", "/v1/invoices/{invoice}", "invoice")


listing(
    "invoice",
    "/v1/invoices",
    "invoice",
    {
        "customer": "customer",
        "status": "status",
        "collection_method": "collection_method",
        "subscription": "parent.subscription_details.subscription",
    },
)


@route("POST", "/v1/invoices/{invoice}", "invoice")
def update_invoice(call, invoice):
    world, params = call.world, call.params
    params.ignore(*IGNORED)
    obj = world.find("invoice", invoice)
    if set(params) - {"metadata", "expand", "auto_advance", "footer"}:
        drafts.require_draft(obj)
    with world.change(obj, "invoice.updated"):
        names = "auto_advance collection_method description due_date footer number"
        common.copy(obj, params, *names.split())
        common.merge_metadata(obj, params)
        if "default_tax_rates" in params:
            keys = params["default_tax_rates"] or []
            obj["default_tax_rates"] = common.tax_rates(
                world, keys, "default_tax_rates"
            )
        if "discounts" in params:
            customer = drafts.customer_of(world, obj)
            obj["discounts"] = _discounts(world, obj, customer, params)
        if "shipping_cost" in params:
            shipping.put_on(world, obj, params["shipping_cost"])
        if obj["status"] == "draft":
            recalculate(world, obj)
    return obj


@route("DELETE", "/v1/invoices/{invoice}", "invoice")
def delete_invoice(call, invoice):
    """Drafts only; everything else is voided."""
    obj = call.world.find("invoice", invoice)
    if obj["status"] != "draft" or obj["parent"]:
        raise ApiError("You can only delete draft invoices that you created yourself.")
    return call.world.remove(obj, "invoice.deleted")


@route("POST", "/v1/invoices/{invoice}/finalize", "invoice")
def finalize_invoice(call, invoice):
    obj = call.world.find("invoice", invoice)
    with call.world.change(obj):
        common.copy(obj, call.params, "auto_advance")
    return engine.finalize(call.world, obj)


@route("POST", "/v1/invoices/{invoice}/pay", "invoice")
def pay_invoice(call, invoice):
    """A draft is finalized first. A declined card is a 402."""
    world, params = call.world, call.params
    params.ignore("forgive", "mandate", "off_session", "payment_method", "source")
    obj = world.find("invoice", invoice)
    if obj["status"] == "draft":
        engine.finalize(world, obj)
        if obj["status"] == "paid":
            return obj
    if params.get("paid_out_of_band"):
        return engine.pay_out_of_band(world, obj)
    engine.require_payable(obj)
    if not engine.attempt(world, obj):
        payment = engine.default_payment(world, obj)
        raise payments.decline_error(world, payments.intent_of(world, payment))
    return obj


@route("POST", "/v1/invoices/{invoice}/attach_payment", "invoice")
def attach_payment(call, invoice):
    """What a payment intent has collected, or a payment record tells, pays this."""
    world = call.world
    obj = world.find("invoice", invoice)
    key = call.params.get("payment_record")
    if key:
        return engine.attach_record(world, obj, world.find("payment_record", key, "id"))
    intent = world.find("payment_intent", call.params["payment_intent"], "intent")
    return engine.attach(world, obj, intent)


@route("POST", "/v1/invoices/{invoice}/void", "invoice")
def void_invoice(call, invoice):
    return engine.void(call.world, call.world.find("invoice", invoice))


@route("POST", "/v1/invoices/{invoice}/mark_uncollectible", "invoice")
def mark_uncollectible(call, invoice):
    return engine.mark_uncollectible(call.world, call.world.find("invoice", invoice))


@route("POST", "/v1/invoices/{invoice}/send", "invoice")
def send_invoice(call, invoice):
    obj = call.world.find("invoice", invoice)
    if obj["status"] == "draft":
        engine.finalize(call.world, obj)
    call.world.emit("invoice.sent", obj)
    return obj


@route("GET", "/v1/invoices/{invoice}/lines", "invoice")
def list_lines(call, invoice):
    obj = call.world.find("invoice", invoice)
    return paginate_items(call, "line_item", lines_of(call.world, obj))


@includes("invoice", "payments")
def payments_of(world, invoice):
    found = payments.payments_of(world, invoice)
    url = f"/v1/invoice_payments?invoice={invoice['id']}"
    return list_object(found[:10], url, len(found) > 10)


@includes("invoice", "amount_paid_off_stripe")
def amount_paid_off_stripe(world, invoice):
    return world.side[invoice["id"]].get("off_stripe", 0)


# -- invoice payments -----------------------------------------------------------

retrieval("invoice_payment", "/v1/invoice_payments/{invoice_payment}", "invoice")


@route("GET", "/v1/invoice_payments", "invoice")
def list_invoice_payments(call):
    """By invoice, status and payment; there is no filter by charge."""
    from ..routing import paginate
    from ..world import dotted

    world, params = call.world, call.params
    where = params.take("invoice", "status")
    payment = params.get("payment") or {}
    if payment:
        kind = payment["type"]
        where["payment.type"] = kind
        where[f"payment.{kind}"] = payment.get(kind)
    tests = [lambda obj, k=k, v=v: dotted(obj, k) == v for k, v in where.items()]
    ids = world.candidates("invoice_payment", where)
    return paginate(call, "invoice_payment", ids, tests)


# -- invoice items --------------------------------------------------------------


def new_item(world, customer, data, subscription=None):
    """An InvoiceItem from request parameters (amount, price or price_data)."""
    price, quantity = None, data.get("quantity", 1)
    key = data.get("price") or (data.get("pricing") or {}).get("price")
    if data.get("price_data"):
        price = catalog.inline_price(world, data["price_data"], "price_data")
    elif key:
        price = world.find("price", key, "price")
    if price:
        tiers = world.side[price["id"]].get("tiers")
        amount = price_amount(price, quantity, tiers)
    elif "amount" in data:
        amount = data["amount"]
    else:
        raise ApiError(
            "Missing required param: amount.", code="parameter_missing", param="amount"
        )
    rates = common.tax_rates(world, data.get("tax_rates"), "tax_rates")
    now = world.now()
    item = world.build(
        "invoiceitem",
        amount=amount,
        currency=price["currency"] if price else data["currency"],
        customer=customer["id"],
        date=now,
        description=data.get("description") or _describe(world, price),
        discountable=data.get("discountable", amount >= 0),
        discounts=[],
        metadata=common.metadata(data.get("metadata")),
        parent=subscription and _subscription_parent(subscription),
        period=data.get("period") or {"start": now, "end": now},
        pricing=price and _pricing(price),
        proration=False,
        quantity=quantity,
        quantity_decimal=decimal_text(quantity),
        tax_rates=rates,
    )
    keys = data.get("tax_rates")
    world.add(item, "invoiceitem.created", tax_rates=keys or None)
    item["discounts"] = discounting.adopt(
        world,
        data.get("discounts") or [],
        customer,
        currency=item["currency"],
        invoice_item=item["id"],
    )
    return item


def _describe(world, price):
    return price and world.peek("product", price["product"])["name"]


def _pricing(price):
    return {
        "type": "price_details",
        "price_details": {"price": price["id"], "product": price["product"]},
        "unit_amount_decimal": price["unit_amount_decimal"],
    }


def _subscription_parent(subscription):
    return {
        "type": "subscription_details",
        "subscription_details": {
            "subscription": subscription["id"],
            "subscription_item": None,
        },
    }


def _same_currency(world, invoice, data):
    key = (data.get("pricing") or {}).get("price")
    price = (
        world.find("price", key, "pricing[price]") if key else data.get("price_data")
    )
    currency = (price or data)["currency"].lower()
    if currency != invoice["currency"]:
        raise ApiError(
            f"The currency of the invoice item ({currency}) is not that of the"
            f" invoice ({invoice['currency']}).",
            param="currency",
        )


@route("POST", "/v1/invoiceitems", "invoice")
def create_invoiceitem(call):
    """On a draft at once (``invoice``), or pending for the next invoice."""
    params, world = call.params, call.world
    params.ignore("tax_behavior", "tax_code")
    customer = world.find("customer", params.get("customer"), "customer")
    names = (
        "amount currency description discountable discounts metadata period price_data"
        " pricing quantity tax_rates"
    ).split()
    data = params.take(*names)
    data.setdefault("currency", customer["currency"] or "usd")
    invoice = params.get("invoice")
    subscription = params.get("subscription")
    if subscription:
        subscription = world.find("subscription", subscription, "subscription")
    if invoice:
        invoice = world.find("invoice", invoice, "invoice")
        drafts.require_draft(invoice)
        _same_currency(world, invoice, data)
    item = new_item(world, customer, data, subscription)
    if invoice:
        with world.change(invoice, "invoice.updated"):
            drafts.add_item(world, invoice, item)
            recalculate(world, invoice)
    return item


retrieval("invoiceitem", "/v1/invoiceitems/{invoiceitem}", "invoice")
listing(
    "invoiceitem",
    "/v1/invoiceitems",
    "invoice",
    {
        "customer": "customer",
        "invoice": "invoice",
        "pending": lambda world, item, want: (item["invoice"] is None) == want,
    },
)


@route("DELETE", "/v1/invoiceitems/{invoiceitem}", "invoice")
def delete_invoiceitem(call, invoiceitem):
    world = call.world
    item = world.find("invoiceitem", invoiceitem)
    if item["invoice"]:
        invoice = world.find("invoice", item["invoice"])
        drafts.require_draft(invoice)
        side = world.side[invoice["id"]]
        side["lines"] = [
            line["id"]
            for line in lines_of(world, invoice)
            if (line["parent"]["invoice_item_details"] or {}).get("invoice_item")
            != invoiceitem
        ]
        with world.change(invoice, "invoice.updated"):
            recalculate(world, invoice)
    return world.remove(item, "invoiceitem.deleted")
