"""How stored objects are shown: lists inside objects show their first ten entries and
where to page on, and some fields are left out where there is nothing to say."""

from .contract import LEFT_OUT

NESTED = 10
NOBODY = frozenset()


def present(obj):
    """An object as it is shown; stored are all its fields, ``null`` or not."""
    absent = LEFT_OUT.get(obj["object"], NOBODY)
    if any(obj.get(name, absent) is None for name in absent):
        obj = {k: v for k, v in obj.items() if v is not None or k not in absent}
    if obj["object"] == "subscription" and obj.get("items"):
        every = obj["items"]["data"]
        shown = [present(item) for item in every[:NESTED]]
        items = {**obj["items"], "data": shown}
        if len(every) > NESTED:
            items["has_more"] = True
        return {**obj, "items": items}
    return obj


def list_object(items, url, has_more=False):
    return {"object": "list", "data": items, "has_more": has_more, "url": url}
