"""Lists inside objects: Stripe shows the first ten entries and where to page on."""

NESTED = 10


def present(obj):
    """Lists inside an object show their first ten entries."""
    items = obj.get("items") if obj["object"] == "subscription" else None
    if items and len(items["data"]) > NESTED:
        items = {**items, "data": items["data"][:NESTED], "has_more": True}
        return {**obj, "items": items}
    return obj


def list_object(items, url, has_more=False):
    return {"object": "list", "data": items, "has_more": has_more, "url": url}
