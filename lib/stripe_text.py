"""What of Stripe's texts PostgreSQL can hold, and what can be one of Stripe's ids."""

import json
import re

# A NUL escaped by json.dumps, but not the six letters after a written backslash.
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
MAX_ID = 255


def storable(text):
    """Return ``text`` without NUL characters and lone surrogates."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def storable_json(value):
    """Return JSON that jsonb can hold: it has neither NUL nor lone surrogates.

    Amounts and times, for which JSON has no words, are written as PostgreSQL reads
    them.
    """
    text = json.dumps(value, ensure_ascii=False, default=str)
    if "\\u0000" in text:
        text = _NUL.sub(r"\1", text)
    return text.encode("utf-8", "replace").decode()


def is_stripe_id(value):
    """Tell whether ``value`` can be the id of an object or event."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= MAX_ID
        and value.isascii()
        and value.isprintable()
    )


#: An id in a text, e.g. ``cs_test_a1…``; ``kind`` is how ids of its kind begin.
ID_IN_TEXT = re.compile(
    r"\b(?P<kind>[a-z]{2,8})_(?:test_|live_)?(?=\w*\d)[A-Za-z0-9]{8,}\b"
)
SHOWN_WHOLE = 20


def short_id(stripe_id):
    """Return an id as people can stand it in a text: its two ends."""
    if len(stripe_id) <= SHOWN_WHOLE:
        return stripe_id
    return f"{stripe_id[:10]}…{stripe_id[-6:]}"
