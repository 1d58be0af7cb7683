"""Which event tells of a change of what we read (``test_events_of_fields.py``).

``FIELDS`` says it for each kind and each of its fields: all these events are needed,
as each tells of another way in which the field changes; ``a|b`` means that either of
the two tells as much. Stripe's words about its events: the package's documentation.
"""

_PRICE = ("price.created", "price.updated")
_PRODUCT = ("product.created", "product.updated")
_COUPON = ("coupon.created", "coupon.updated")
_CODE = ("promotion_code.created", "promotion_code.updated")
_CUSTOMER = ("customer.created", "customer.updated")
_SUBSCRIPTION = ("customer.subscription.created", "customer.subscription.updated")
# What a customer enters, and who he is, is fixed when he has paid.
_SESSION = ("checkout.session.completed",)
# A draft moves nothing: what is on an invoice counts when it is finalized.
_INVOICE = ("invoice.finalized", "invoice.updated")
_PAID = ("invoice.paid", "invoice_payment.paid", "invoice.overpaid")
# A charge is made by an attempt that works, fails, or waits for a bank.
_CHARGE = ("charge.succeeded", "charge.failed", "charge.pending")
_DESCRIBED = (*_CHARGE, "charge.updated")
_REFUND = ("refund.created",)
_DISPUTE = ("charge.dispute.created", "charge.dispute.updated")
_NOTE = ("credit_note.created",)
_PAYOUT = ("payout.created", "payout.updated")


def _all(fields, *events):
    return dict.fromkeys(fields.split(), events)


FIELDS = {
    "product": {
        **_all("name metadata", *_PRODUCT),
        "active": (*_PRODUCT, "product.deleted"),
    },
    "price": {
        **_all("product currency unit_amount recurring", "price.created"),
        **_all("nickname lookup_key metadata", *_PRICE),
        "active": (*_PRICE, "price.deleted"),
    },
    "coupon": {
        **_all(
            "percent_off currency amount_off duration duration_in_months",
            "coupon.created",
        ),
        **_all("name metadata", *_COUPON),
        "valid": (*_COUPON, "coupon.deleted"),
    },
    "promotion_code": {
        **_all("code promotion", "promotion_code.created"),
        **_all("active metadata times_redeemed", *_CODE),
    },
    "customer": {
        **_all("name email metadata", *_CUSTOMER),
        "deleted": ("customer.deleted",),
        "discount": (
            "customer.discount.created",
            "customer.discount.updated",
            "customer.discount.deleted",
        ),
    },
    "subscription": {
        **_all("currency customer", "customer.subscription.created"),
        **_all("items discounts metadata trial_end", *_SUBSCRIPTION),
        "canceled_at": (*_SUBSCRIPTION, "customer.subscription.deleted"),
        "status": (
            *_SUBSCRIPTION,
            "customer.subscription.deleted",
            "customer.subscription.paused",
            "customer.subscription.resumed",
        ),
    },
    "checkout_session": {
        **_all(
            "mode currency amount_total shipping_cost total_details line_items"
            " customer customer_details customer_email client_reference_id discounts"
            " invoice metadata payment_intent subscription",
            *_SESSION,
        ),
        "status": (*_SESSION, "checkout.session.expired"),
        "payment_status": (
            *_SESSION,
            "checkout.session.async_payment_succeeded",
            "checkout.session.async_payment_failed",
        ),
    },
    "invoice": {
        **_all(
            "billing_reason currency customer parent lines shipping_cost discounts"
            " customer_email customer_name number hosted_invoice_url total"
            " total_taxes metadata starting_balance ending_balance",
            *_INVOICE,
        ),
        **_all("amount_paid amount_paid_off_stripe amount_overpaid payments", *_PAID),
        "status_transitions": (
            *_PAID,
            "invoice.finalized",
            "invoice.voided",
            "invoice.marked_uncollectible",
        ),
        "status": (
            "invoice.finalized",
            "invoice.paid",
            "invoice.voided",
            "invoice.marked_uncollectible",
            "invoice.deleted",
        ),
        **_all(
            "pre_payment_credit_notes_amount post_payment_credit_notes_amount",
            "credit_note.created",
            "credit_note.voided",
        ),
    },
    "invoice_payment": _all(
        "invoice currency amount_paid payment status status_transitions",
        "invoice_payment.paid",
    ),
    "charge": {
        **_all("currency payment_intent payment_method_details", *_CHARGE),
        **_all("billing_details receipt_email customer metadata", *_DESCRIBED),
        # More may be set aside on the card while it waits.
        "amount": (*_CHARGE, "payment_intent.amount_capturable_updated"),
        "status": _CHARGE,
        "paid": _CHARGE,
        "captured": (
            *_CHARGE,
            "charge.captured",
            "charge.expired",
            "payment_intent.canceled",
        ),
        "amount_captured": (*_CHARGE, "charge.captured", "charge.updated"),
        "amount_refunded": ("charge.refunded|refund.created", "refund.failed"),
        # It is there a little after the charge, where that was captured meanwhile.
        "balance_transaction": (*_CHARGE, "charge.captured", "charge.updated"),
        "failure_balance_transaction": ("charge.failed",),
        "disputed": ("charge.dispute.created",),
    },
    "refund": {
        **_all("amount currency charge payment_intent customer reason", *_REFUND),
        "metadata": (*_REFUND, "refund.updated"),
        "status": (
            *_REFUND,
            "refund.updated|charge.refund.updated",
            "refund.failed",
        ),
    },
    "dispute": {
        **_all("charge payment_intent currency", "charge.dispute.created"),
        **_all("amount reason metadata", *_DISPUTE),
        "status": (*_DISPUTE, "charge.dispute.closed"),
        "balance_transactions": (
            "charge.dispute.funds_withdrawn",
            "charge.dispute.funds_reinstated",
        ),
    },
    "credit_note": {
        **_all(
            "currency customer invoice lines number out_of_band_amount"
            " post_payment_amount pre_payment_amount reason refunds shipping_cost"
            " total total_taxes type",
            *_NOTE,
        ),
        **_all("memo metadata", *_NOTE, "credit_note.updated"),
        **_all("status voided_at", *_NOTE, "credit_note.voided"),
    },
    "payout": {
        **_all("amount currency automatic method", "payout.created"),
        **_all("arrival_date balance_transaction metadata", *_PAYOUT),
        "status": (*_PAYOUT, "payout.paid", "payout.failed", "payout.canceled"),
        **_all("failure_code failure_message", "payout.failed"),
        "reconciliation_status": ("payout.reconciliation_completed",),
    },
}
#: Of what no event tells, and how it becomes known all the same.
NO_EVENT = {
    "balance_transaction": dict.fromkeys(
        (
            "amount",
            "available_on",
            "currency",
            "description",
            "exchange_rate",
            "fee",
            "net",
            "reporting_category",
            "source",
            "status",
            "type",
        ),
        "Read with the dispute or payout it belongs to, and by walking the list.",
    ),
}
#: Events about what we mirror that we do not ask for, and why not.
TELLS_NOTHING_NEW = {
    **dict.fromkeys(
        (
            "customer.source.created",
            "customer.source.deleted",
            "customer.source.expiring",
            "customer.source.updated",
            "customer.tax_id.created",
            "customer.tax_id.deleted",
            "customer.tax_id.updated",
        ),
        "Cards and tax numbers of customers are not read.",
    ),
    "customer.subscription.trial_will_end": "Announces what another event tells.",
    "invoice.created": "A draft moves nothing, and says so itself when finalized.",
    "invoice.payment_succeeded": "invoice.paid and invoice_payment.paid tell as much.",
    **dict.fromkeys(
        (
            "invoice.overdue",
            "invoice.payment_action_required",
            "invoice.payment_attempt_required",
            "invoice.sent",
            "invoice.upcoming",
            "invoice.will_be_due",
        ),
        "Somebody was reminded, or is to be: no money has moved.",
    ),
    **dict.fromkeys(
        ("invoiceitem.created", "invoiceitem.deleted"),
        "They wait for an invoice, which tells of them when it is finalized.",
    ),
    **dict.fromkeys(
        (
            "payment_intent.created",
            "payment_intent.partially_funded",
            "payment_intent.payment_failed",
            "payment_intent.processing",
            "payment_intent.requires_action",
            "payment_intent.succeeded",
        ),
        "What comes of an intent is told by its charge.",
    ),
}


def missing_events(subscribed):
    """Return ``{kind: {field: events}}`` of which nobody would tell us."""
    asked_for = set(subscribed)
    missing = {}
    for kind, fields in FIELDS.items():
        for field, events in fields.items():
            if gone := [e for e in events if asked_for.isdisjoint(e.split("|"))]:
                missing.setdefault(kind, {})[field] = gone
    return missing
