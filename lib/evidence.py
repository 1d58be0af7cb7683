"""What a Stripe object says about who brought the customer."""

from .attribution import CODE, METADATA, REFERENCE
from .stripe_rows import ref

# Keys of Stripe metadata in which a site may leave the tracking code; the last are of
# other affiliate products, for sites that have changed over (static/sdk/compat.js).
METADATA_KEYS = (
    *("affiliate", "affiliate_code", "referral", "via"),
    *("fp_tid", "promotekit_referral", "tolt_referral"),
)


def evidence_of(kind, raw):
    """Yield ``(source, at, value, where)`` for all evidence in a Stripe object.

    :param str kind: ``customer``, ``subscription``, ``checkout_session``, ``invoice``,
        ``invoice_line`` or ``charge``
    """
    at, where = raw.get("created") or 0, f"{kind.replace('_', ' ')} {raw.get('id')}"
    discounts = [*(raw.get("discounts") or ()), raw.get("discount")]
    for item in (raw.get("items") or {}).get("data") or ():
        discounts += item.get("discounts") or ()
    for discount in discounts:
        if not isinstance(discount, dict):
            continue
        if promotion := ref(discount.get("promotion_code")):
            yield CODE, discount.get("start") or at, promotion, where
    if reference := raw.get("client_reference_id"):
        yield REFERENCE, at, reference, where
    metadata = dict(raw.get("metadata") or {})
    for key in METADATA_KEYS:
        if value := metadata.get(key):
            yield METADATA, at, value, where
