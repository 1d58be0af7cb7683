import json
import re
from functools import cache

from rjsmin import jsmin
from werkzeug.exceptions import NotFound

from odoo import http
from odoo.http import request
from odoo.tools import file_open

from .visitor import nearest_lang, waits_for_nobody

# Changes of a programme reach browsers after that many seconds at the latest.
FRESH = 600
FOLDER = "affiliate_stripe/static/sdk"
# What our style asks for and browsers do not: ``(x)=>`` and ``{x,}``.
_ONE_ARGUMENT = re.compile(r"(?<![\w$])\((\w+)\)=>")
_LAST_COMMA = re.compile(r"(?<=[a-z)}]),(?=[)}])", re.IGNORECASE)
# Declarations that follow each other in a block, the first of them without blocks.
_TWO_LETS = re.compile(r"(^|[;{}])let ([^;{}]*);let ")


def _busy(*_args, **_values):
    """Answer soon; the page works without the script."""
    headers = [("Content-Type", "text/plain"), ("Cache-Control", "no-store")]
    return request.make_response("", [*headers, ("Retry-After", "5")], status=503)


class AffiliateSdk(http.Controller):
    """The script for foreign sites. No session, no user, no website."""

    @http.route(
        [
            "/affiliate/sdk/<string:key>.js",
            "/affiliate/sdk/<string:key>/<any(popup,debug,compat):part>.js",
        ],
        type="http",
        auth="none",
        methods=["GET"],
        readonly=True,
        save_session=False,
    )
    @waits_for_nobody(_busy, hurried=True)
    def script(self, key, part="affiliate", lang="", **_others):
        """Serve the script with the programme's settings, or a part it loads.

        :param lang: the visitor's language, for the few words of the popup
        """
        tracking = request.env["affiliate.program"]._tracking(key)
        if not tracking:
            raise NotFound()
        if part == "popup":
            config = {**_texts(lang), "look": tracking["look"]}
        else:
            config = _config(key, tracking)
        text = _minified(part).replace(
            "AFFILIATE_CONFIG", json.dumps(config, separators=(",", ":")), 1
        )
        response = request.make_response(
            text,
            headers=[
                ("Content-Type", "text/javascript; charset=utf-8"),
                ("Cache-Control", f"public, max-age={FRESH}"),
                # For sites that isolate themselves from others' resources.
                ("Cross-Origin-Resource-Policy", "cross-origin"),
                ("Access-Control-Allow-Origin", "*"),
            ],
        )
        response.add_etag()
        return response.make_conditional(request.httprequest)


@cache
def _minified(part):
    """Return a part without what only people need."""
    with file_open(f"{FOLDER}/{part}.js") as file:
        text = jsmin(file.read())
    # The source ends every statement with a semicolon, so no line has to end.
    text = text.replace("\n", "").replace(";}", "}")
    text = _LAST_COMMA.sub("", _ONE_ARGUMENT.sub(r"\1=>", text))
    # "let" is shorter than "const", and shorter still for several names at once.
    text = re.sub(r"\bconst\b", "let", text)
    merged = None
    while merged != text:
        merged, text = text, _TWO_LETS.sub(r"\1let \2,", text)
    return text


def _config(key, tracking):
    """Return what the script needs to know of the programme; what is not so is left
    out."""
    parameters = request.env["ir.config_parameter"].sudo()
    config = {
        "key": key,
        "base": tracking["base"] or parameters.get_param("web.base.url", ""),
        "first": tracking["model"] == "first",
        "days": tracking["days"],
        "parameters": tracking["parameters"],
        # A page belongs to the widest of them that fits.
        "domains": sorted(tracking["domains"], key=len),
        "consent": tracking["consent"],
        "privacy": tracking["privacy"],
    }
    return {name: value for name, value in config.items() if value}


def _texts(lang):
    """Return what the popup says itself; all else is said by the form in it."""
    env = request.env(context={"lang": nearest_lang(lang)})
    return {"title": env._("Sign up"), "close": env._("Close")}
