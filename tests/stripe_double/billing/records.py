"""Payments that happened elsewhere: PaymentRecords, and what was paid too much."""

from ..contract import nulls, resource_class
from . import payments


def report(world, amount, currency, customer=None, **values):
    """A PaymentRecord of a payment that arrived outside of Stripe."""
    cls = resource_class("payment_record")

    def money(value):
        return {"currency": currency, "value": value}

    record = world.build(
        "payment_record",
        amount=money(amount),
        amount_authorized=money(0),
        amount_canceled=money(0),
        amount_failed=money(0),
        amount_guaranteed=money(amount),
        amount_refunded=money(0),
        amount_requested=money(amount),
        customer_details=nulls(
            cls.CustomerDetails,
            customer=customer and customer["id"],
            email=customer and customer["email"],
            name=customer and customer["name"],
        ),
        payment_method_details=nulls(
            cls.PaymentMethodDetails,
            custom={"display_name": "Bank transfer", "type": None},
            type="custom",
        ),
        reported_by="self",
        **{
            "metadata": {},
            "processor_details": {"type": "custom", "custom": None},
            **values,
        },
    )
    return world.add(record, refunds={})


def used(world, record):
    """How much of a PaymentRecord has paid invoices."""
    found = world.all("invoice_payment", payment__payment_record=record["id"])
    return sum(payment["amount_paid"] for payment in found)


def credit_excess(world, invoice, amount):
    """What was paid too much is the customer's: it pays his next invoices."""
    customer = world.peek("customer", invoice["customer"])
    payments.move_balance(world, customer, -amount, "invoice_overpaid", invoice)
    world.emit("invoice.overpaid", invoice)
