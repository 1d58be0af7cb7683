import json

from psycopg2.errors import LockNotAvailable
from werkzeug.exceptions import NotFound

from odoo import http
from odoo.exceptions import UserError
from odoo.http import request

from ..lib import traffic, visits
from ..lib.domains import registrable
from ..models.affiliate_click import FLOOD
from ..models.affiliate_referral_capture import email_address
from . import confirming
from .visitor import (
    is_flood,
    nearest_lang,
    visitor_address,
    visitor_country,
    visitor_proxies,
    waits_for_nobody,
)

COOKIE = "affiliate_ref"
CAPTCHA = "affiliate_lead"  # what a captcha in a page says it was solved for
# For developers, who see it on the console.
NO_SCRIPT_LEADS = (
    "This program takes e-mail addresses only by its form or from your server "
    "(track_lead)."
)
MAX_BODY_BYTES = 8 * 1024
LEADS_AN_HOUR = 60
OFFERS_A_MINUTE = 60
OFFER_FRESH = 600
DAY = 86400


def _busy_link(*_args, **_values):
    """Ask a visitor's browser to come again, by itself."""
    return request.make_response(
        request.env._("One moment, please. We'll take you there in a second."),
        [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Cache-Control", "no-store"),
            ("Retry-After", "1"),
            ("Refresh", "1"),
        ],
        status=503,
    )


def _busy(key, **_values):
    """Tell a script to try again."""
    try:
        tracking = request.env["affiliate.program"]._tracking(key)
    except LockNotAvailable:
        request.env.cr.rollback()
        tracking = None
    response = _answer(tracking, 503)
    response.headers["Retry-After"] = "5"
    return response


class AffiliateTracking(http.Controller):
    """What browsers on foreign sites ask. No session, no user, no website."""

    @http.route(
        "/a/<string:code>",
        type="http",
        auth="none",
        methods=["GET"],
        readonly=False,
        save_session=False,
    )
    @waits_for_nobody(_busy_link, hurried=True)
    def follow(self, code, to="", seen=None, **parameters):
        """Lead a visitor by an affiliate's link to the programme's site; by one that
        nobody has, to the site that is nearest.

        :param to: a page of the site, or an address in one of its domains
        :param seen: the pass of a browser that has shown that it goes there, see
            confirming.py
        """
        try:
            asked = visits.parse_reference(code)
        except ValueError:
            return _lead_home(to, visits.carried(parameters))
        carried = visits.carried(parameters)
        stored = _stored_reference()
        clicks = request.env["affiliate.click"]
        reference = clicks._issued(asked.code, stored.visitor if stored else "")
        came = _is_person() and _is_followed()
        asks, referrer = False, request.httprequest.referrer
        if came and confirming.is_silent():
            asks = seen is None
            referrer = None if asks else confirming.confirmed(asked.code, seen)
            came = referrer is not None
        here = f"{request.httprequest.host_url}a/{asked.code}"
        visit = _visit(here, carried, referrer, to) if came else None
        private = _wants_privacy()
        key, known, _busy = clicks._record(
            None,
            reference,
            visit,
            visitor_address(),
            visitor_country(),
            private=private,
            proxies=visitor_proxies(),
        )
        tracking = key and request.env["affiliate.program"]._tracking(key)
        if not tracking or not tracking["site"]:
            return _lead_home(to, carried)
        if asks and known:
            return confirming.ask_to_confirm(
                asked.code, visits.host_of(tracking["site"])
            )
        counted = visit and not (private and tracking["privacy"])
        carried[tracking["parameters"][0]] = known and str(
            reference if counted else visits.Reference(reference.code)
        )
        response = _lead_on(tracking, to, carried)
        remembered = counted and known and not tracking["consent"]
        if remembered and not _stays(stored, reference, tracking):
            _remember(response, tracking, reference)
        return response

    @http.route(
        "/affiliate/v1/<string:key>/click",
        type="http",
        auth="none",
        methods=["POST"],
        csrf=False,
        readonly=False,
        save_session=False,
        max_content_length=MAX_BODY_BYTES,
    )
    @waits_for_nobody(_busy, hurried=True)
    def click(self, key, **_others):
        """Record a visit that the script has seen, and say who the visitor is.

        Body: JSON with ``reference url referrer was store``, where the reference has no
        visitor's id, or one that this server has issued; another one counts as none.
        200 and JSON with the ``reference`` to use from now on, which is the code alone
        where no visit may be recorded; or 400, 403, 404, 429 after too many of one
        address, 503 where it could not be stored just now.
        """
        tracking, body, status = _read(key)
        if status:
            return _answer(tracking, status)
        try:
            reference = visits.parse_reference(body.get("reference"))
            visit = visits.parse_visit(body.get("url"), body.get("referrer"))
            was = visits.parse_visitor(body.get("was"))
        except (ValueError, TypeError):
            return _answer(tracking, 400)
        if not is_own(visit.landing_url, tracking):
            return _answer(tracking, 400)
        recorded, busy = record(tracking, reference, visit, was)
        if busy:
            return _answer(tracking, 429 if busy == FLOOD else 503)
        used = recorded or visits.Reference(reference.code)
        response = _answer(tracking, 200, reference=str(used))
        if recorded and body.get("store") is True:
            _remember(response, tracking, recorded)
        return response

    @http.route(
        "/affiliate/v1/<string:key>/lead",
        type="http",
        auth="none",
        methods=["POST"],
        csrf=False,
        readonly=False,
        save_session=False,
        max_content_length=MAX_BODY_BYTES,
    )
    @waits_for_nobody(_busy, hurried=True)
    def lead(self, key, **_others):
        """Map an e-mail address to the affiliate who brought the visitor.

        Body: JSON with ``email reference``, and ``captcha`` where the program asks for
        it. 204 whether the address is known or not; 422 where it is none; 429 after too
        many; 403 and JSON with the ``error`` where the program takes no leads here, or
        the captcha was not solved; 503 where it could not be stored just now: try
        again.
        """
        tracking, body, status = _read(key)
        if status:
            return _answer(tracking, status)
        if not tracking["script_leads"]:
            return _answer(tracking, 403, error=NO_SCRIPT_LEADS)
        email = email_address(body.get("email"))
        if not email:
            return _answer(tracking, 422, error="email")
        if is_flood("lead", LEADS_AN_HOUR):
            return _answer(tracking, 429)
        if tracking["captcha"] and (suspicion := _suspicion(body.get("captcha"))):
            return _answer(tracking, 403, error=suspicion)
        referrals = request.env["affiliate.referral"]
        referrals._capture(
            tracking["id"],
            email,
            referrals._reference_of(body.get("reference")),
            "sdk",
            visitor_address(),
        )
        return _answer(tracking, 204)

    @http.route(
        "/affiliate/v1/<string:key>/offer",
        type="http",
        auth="none",
        methods=["GET"],
        readonly=False,
        save_session=False,
    )
    @waits_for_nobody(_busy, hurried=True)
    def offer(self, key, via="", lang="", **_others):
        """Tell a page who recommends it: JSON with ``name offer``, or ``{}``; 404,
        or 429 after too many of one address."""
        programs = request.env["affiliate.program"]
        tracking = programs._tracking(key)
        if not tracking:
            return _answer(None, 404)
        if _is_preflight():
            return _answer(tracking, 204)
        if is_flood("offer", OFFERS_A_MINUTE):
            return _answer(tracking, 429)
        reference = request.env["affiliate.referral"]._reference_of(via)
        offer = reference and programs._offer(
            tracking["id"], reference, nearest_lang(lang)
        )
        response = _answer(tracking, 200, **(offer or {}))
        response.headers["Cache-Control"] = f"public, max-age={OFFER_FRESH}"
        return response


def _lead_on(tracking, to, carried):
    target = visits.with_parameters(destination(tracking, to), carried)
    response = request.redirect(target, code=302, local=False)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer-when-downgrade"
    return response


def _lead_home(to, carried):
    """Lead whoever follows a link with a code that nobody has where he wanted to go,
    as one whom nobody has sent."""
    programs = request.env["affiliate.program"]
    key = programs._nearest(visits.host_of(request.httprequest.host_url))
    tracking = key and programs._tracking(key)
    if not tracking:
        raise NotFound()
    return _lead_on(tracking, to, carried)


def _read(key):
    """Return (programme, JSON body, None or the status that refuses the request)."""
    tracking = request.env["affiliate.program"]._tracking(key)
    if not tracking:
        return None, None, 404
    if not is_own(request.httprequest.headers.get("Origin"), tracking):
        return None, None, 403
    if _is_preflight():
        return tracking, None, 204
    try:
        body = json.loads(request.httprequest.get_data())
    except (ValueError, RecursionError):
        return tracking, None, 400
    return tracking, body, None if isinstance(body, dict) else 400


def _is_preflight():
    """Tell whether a browser asks first whether a site may send JSON. Odoo lets such a
    request (OPTIONS) in where the other one belongs."""
    return request.httprequest.method == "OPTIONS"


def _answer(tracking, status, **values):
    """Answer a script; only sites of the programme may read it."""
    response = request.make_json_response(values, status=status)
    if status == 204:
        response.data = b""
    origin = request.httprequest.headers.get("Origin")
    if tracking and is_own(origin, tracking):
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Credentials"] = "true"
        response.headers["Access-Control-Allow-Headers"] = "Content-Type"
    response.headers["Vary"] = "Origin"
    response.headers["Cache-Control"] = "no-store"
    return response


def is_own(address, tracking):
    """Tell whether an address or origin belongs to the programme, or to this Odoo."""
    host = visits.host_of(address)
    own = visits.host_of(request.httprequest.host_url)
    return bool(host) and (host == own or visits.is_within(host, tracking["domains"]))


def _is_person():
    """Tell whether somebody looks at this page, and not a program or at a link only."""
    headers = request.httprequest.headers
    purpose = f"{headers.get('Sec-Purpose', '')} {headers.get('Purpose', '')}"
    return not (
        "prefetch" in purpose
        or headers.get("X-Moz") == "prefetch"
        or request.httprequest.method == "HEAD"
        or traffic.is_robot(headers.get("User-Agent"))
    )


def _is_followed():
    """Tell whether somebody goes to this address. A page can have it loaded as an image
    or in a hidden frame, to make visits of all its readers; browsers say so."""
    headers = request.httprequest.headers
    return (
        headers.get("Sec-Fetch-Dest", "document") == "document"
        or headers.get("Sec-Fetch-User") == "?1"
    )


def record(tracking, reference, visit, was=None):
    """Record a visit of whoever sent this request.

    :param Reference reference: what he says of himself; an id that this server has not
        issued counts as none
    :param str was: another id of the same visitor, made on his way here
    :return: (the Reference with the visitor's id, None where no visit was recorded;
        ``FLOOD`` or ``LOCKED`` where it could not be)
    """
    if not _is_person():
        return None, ""
    clicks, private = request.env["affiliate.click"], _wants_privacy()
    reference = clicks._issued(reference.code, reference.visitor)
    _key, known, busy = clicks._record(
        tracking["id"],
        reference,
        visit,
        visitor_address(),
        visitor_country(),
        was=was,
        private=private,
        proxies=visitor_proxies(),
    )
    counted = visit and known and not busy and not (private and tracking["privacy"])
    return reference if counted else None, busy


def _suspicion(token):
    """Return why Odoo's captcha takes the visitor for a robot, or None.

    :param token: what the captcha in the visitor's page has given him
    """
    token = token if isinstance(token, str) else ""
    # Where Odoo's own forms send it: reCAPTCHA, and Cloudflare Turnstile.
    request.params.update(recaptcha_token_response=token, turnstile_captcha=token)
    try:
        request.env["ir.http"]._verify_request_recaptcha_token(CAPTCHA)
    except UserError as suspicion:
        return suspicion.args[0]
    return None


def _wants_privacy():
    headers = request.httprequest.headers
    return headers.get("Sec-GPC") == "1" or headers.get("DNT") == "1"


def _stored_reference():
    """Return the Reference in the visitor's cookie, or None."""
    cookie = request.httprequest.cookies.get(COOKIE)
    return request.env["affiliate.referral"]._reference_of(cookie)


def _stays(stored, reference, tracking):
    """Tell whether the cookie stays as it is, and its days too: the first contact
    counts, and it was another code of the programme, which still counts."""
    if not stored or tracking["model"] != "first" or stored.code == reference.code:
        return False
    if stored.visitor != reference.visitor:
        return False  # not an id of ours
    clicks = request.env["affiliate.click"]
    _key, known, _busy = clicks._record(tracking["id"], stored, None, None)
    return bool(known)


def _visit(here, marks, referrer, to):
    """Return the Visit of a page of ours, None where its address is none.

    :param str here: address of the page, without parameters
    """
    try:
        return visits.parse_visit(visits.with_parameters(here, marks), referrer, to)
    except ValueError:
        return None


def destination(tracking, to):
    """Return where a link leads: never to a foreign site."""
    target = visits.page_of(tracking["site"], to) if to else ""
    return target if is_own(target, tracking) else tracking["site"]


def _remember(response, tracking, reference):
    """Set the cookie, for the site's whole domain where this server is part of it, as
    the script does.

    Browsers keep it longer than a cookie that a script has set (Safari: 7 days).
    """
    own = registrable(visits.host_of(request.httprequest.host_url))
    domain = own if own in map(registrable, tracking["domains"]) else None
    response.set_cookie(
        COOKIE,
        str(reference),
        max_age=tracking["days"] * DAY,
        domain=domain or None,
        secure=request.httprequest.scheme == "https",
        samesite="Lax",
    )
