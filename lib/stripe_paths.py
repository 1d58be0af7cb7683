"""Paths of Stripe's API: how they are made, and which are fit to be sent."""

import re
from urllib.parse import quote, unquote

# Letters, digits and what RFC 3986 allows in a segment beside them; "%" only as the
# start of a quoted byte.
_PATH = re.compile(r"/v[12](/([\w.~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+)+", re.ASCII)


def api_path(*segments):
    """Return the path of an object or list: ``api_path("coupons", coupon_id)``.

    The only place where an id becomes part of a path. People choose the ids of coupons
    and plans, and much is allowed in them; quoted, none of it leads elsewhere.
    """
    return "/".join(["/v1", *(quote(segment, safe="") for segment in segments)])


def is_api_path(path):
    """Tell whether a path leads where it seems to, also for servers that unquote it
    before they look at it."""
    if not isinstance(path, str) or not _PATH.fullmatch(path):
        return False
    segments = unquote(path).split("/")[1:]
    return not any(segment in ("", ".", "..") for segment in segments)
