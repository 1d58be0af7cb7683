"""A visit by a link counts once a browser has shown that it goes there.

A page can load a link as an image or in a hidden frame, to make visits of all its
readers. Browsers say so by ``Sec-Fetch-Dest``; old ones, and those that reach us over
plain http, do not. They get a tiny page that leads on to the same link with a pass,
which an image does not read and a frame may not show.
"""

from datetime import timedelta

from markupsafe import Markup

from odoo.http import request
from odoo.tools.misc import hash_sign, verify_hash_signed

from ..lib import traffic, visits
from .visitor import nearest_lang, visitor_address

PASS = "seen"
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
VALID = timedelta(minutes=10)
PAGE = Markup(
    """<!DOCTYPE html>
<html><head><meta charset="utf-8">
<meta name="robots" content="noindex">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="0; url={url}">
<title>{title}</title></head>
<body><p><a id="on" href="{url}">{text}</a></p>
<script>location.replace(document.getElementById("on").href)</script></body></html>
"""
)


def is_silent():
    """Tell whether this browser does not say how the address is loaded."""
    return "Sec-Fetch-Dest" not in request.httprequest.headers


def ask_to_confirm(code, host):
    """Return the page that leads on to this link with a pass.

    :param host: where the link leads in the end, for whoever has to press
    """
    asked = request.httprequest.query_string.decode(errors="replace")
    url = visits.with_parameters(f"?{asked}", {PASS: _pass(code)})
    env = request.env
    if lang := nearest_lang(request.httprequest.accept_languages.best):
        env = env(context={**env.context, "lang": lang})
    return request.make_response(
        PAGE.format(url=url, title=host, text=env._("Continue to %s", host)),
        [
            ("Content-Type", "text/html; charset=utf-8"),
            ("X-Frame-Options", "DENY"),
            ("Content-Security-Policy", POLICY),
            ("X-Content-Type-Options", "nosniff"),
            ("Cache-Control", "no-store"),
            ("Referrer-Policy", "no-referrer-when-downgrade"),
        ],
    )


def confirmed(code, given):
    """Return the page before the link, "" for none, where a pass was given for this
    link to this browser a moment ago; else None."""
    try:
        values = verify_hash_signed(request.env(su=True), _scope(code), given)
    except ValueError:
        return None
    return values and values[0]


def _pass(code):
    host = visits.host_of(request.httprequest.referrer)
    values = [host and f"https://{host}/"]
    return hash_sign(request.env(su=True), _scope(code), values, expiration=VALID)


def _scope(code):
    """Return what a pass is good for: this link, and the browser that asked for it.

    Whoever fetches one elsewhere cannot hand it to the browsers of others.
    """
    agent = request.httprequest.headers.get("User-Agent", "")[: traffic.MAX_AGENT]
    return repr(("affiliate_stripe.pass", code, visitor_address(), agent))
