"""What is left of Stripe's objects when a person's data are erased: amounts, states,
ids and times, of which the ledger is made."""

from . import visits
from .evidence import METADATA_KEYS

# What says who somebody is, by kind of object. Prices name products; the text of a line
# may be written for one customer.
_PERSONAL = {
    "customer": (
        "address",
        "business_name",
        "description",
        "email",
        "individual_name",
        "invoice_settings",
        "name",
        "phone",
        "preferred_locales",
        "shipping",
        "sources",
        "tax",
        "tax_ids",
    ),
    "subscription": ("description",),
    "checkout_session": (
        "cancel_url",
        "client_reference_id",
        "collected_information",
        "custom_fields",
        "customer_details",
        "customer_email",
        "shipping_details",
        "success_url",
        "url",
    ),
    "invoice": (
        "custom_fields",
        "customer_address",
        "customer_email",
        "customer_name",
        "customer_phone",
        "customer_shipping",
        "customer_tax_ids",
        "description",
        "footer",
        "hosted_invoice_url",
        "invoice_pdf",
        "shipping_details",
    ),
    "invoice_line": ("description",),
    "charge": (
        "billing_details",
        "description",
        "payment_method_details",
        "receipt_email",
        "receipt_url",
        "shipping",
        "source",
    ),
    "refund": ("description", "destination_details", "instructions_email"),
    "dispute": ("evidence", "payment_method_details"),
    "credit_note": ("memo", "pdf"),
}
KINDS = tuple(_PERSONAL)
# What names no customer itself, by what does.
BELONGS_TO = {"dispute": "charge", "invoice_line": "invoice"}
# Lists of lines inside an object, whose texts go too.
_LINES = {"checkout_session": "line_items", "credit_note": "lines"}
# Columns of the mirror that repeat some of it.
COLUMNS = {
    "customer": ("name", "email", "email_normalized"),
    "checkout_session": ("email", "email_normalized", "client_reference"),
    "invoice": ("customer_email", "hosted_url"),
    "invoice_line": ("description",),
    "charge": ("email",),
    "credit_note": ("memo",),
}


def erase(kind, raw):
    """Return an object without what says who somebody is."""
    left = {name: value for name, value in raw.items() if name not in _PERSONAL[kind]}
    if left.get("metadata"):
        # A business may write anything here; codes and "skip" concern the ledger.
        left["metadata"] = {
            name: value
            for name, value in left["metadata"].items()
            if name in METADATA_KEYS and not _names_visitor(value)
        }
    if lines := left.get(_LINES.get(kind)):
        data = [
            {name: value for name, value in line.items() if name != "description"}
            for line in lines.get("data") or ()
        ]
        left[_LINES[kind]] = {**lines, "data": data}
    return left


def _names_visitor(value):
    try:
        return bool(visits.parse_reference(value).visitor)
    except ValueError:
        return False
