"""What public pages may know of a visitor."""

import re

from odoo.http import request
from odoo.tools import config, email_normalize

MAX_EMAIL = 254


def visitor_address():
    """Return the visitor's address, or None where Odoo cannot know it.

    Behind a proxy that Odoo is not told of (``proxy_mode``), all visitors have the
    address of the proxy.
    """
    forwarded = request.httprequest.headers.get("X-Forwarded-For")
    if forwarded and not config["proxy_mode"]:
        return None
    return request.httprequest.remote_addr


def email_address(text):
    """Return the normalised address, or None. Mail to a host without a dot is lost."""
    address = email_normalize(text) or "" if isinstance(text, str) else ""
    # Half a character, which JSON can carry, is none.
    unfit = r"@\s\x00-\x1f\x7f\ud800-\udfff"
    fits = re.fullmatch(rf"[^{unfit}]+@[^{unfit}]+\.[^.{unfit}]{{2,}}", address)
    return address if fits and len(address) <= MAX_EMAIL else None
