import hashlib
from functools import cache
from urllib.parse import parse_qsl, urlsplit

from psycopg2.errors import LockNotAvailable
from werkzeug.exceptions import NotFound

from odoo import http
from odoo.exceptions import UserError
from odoo.http import request
from odoo.tools import file_open, is_html_empty, py_to_js_locale
from odoo.tools.misc import hash_sign, verify_hash_signed

from ..lib import visits
from ..models.affiliate_referral_capture import MAX_EMAIL, email_address
from .tracking import (
    COOKIE,
    LEADS_AN_HOUR,
    _visit,
    destination,
    is_own,
    record,
)
from .visitor import busy_page, is_flood, visitor_address, waits_for_nobody
from .website import HONEYPOT

CAPTCHA = "affiliate_form"
MAX_FORM_BYTES = 16 * 1024
TOKEN_HOURS = 2
FORMS_A_MINUTE = 60


def _busy(*_args, **_values):
    """Ask to try again: what the form is made of is locked."""
    page = busy_page()
    if not _is_script():
        return page
    answer = {"error": page.get_data(as_text=True), "at_field": False, "to": None}
    return request.make_json_response(answer, status=503)


class AffiliateCapture(http.Controller):
    """The e-mail form: a page, a frame, a popup or a block of the website."""

    @http.route(
        "/affiliate/form/<string:key>",
        type="http",
        auth="public",
        website=True,
        methods=["GET"],
        sitemap=False,
    )
    @waits_for_nobody(_busy)
    def form(self, key, **values):
        """Show the form.

        Parameters: ``reference`` or a link parameter of the programme, who brought the
        visitor; ``to``, where he goes on; ``embed``, inside a frame of the site
        ``origin``; ``lang``.
        """
        form = _Form(key, values)
        if is_flood("form", FORMS_A_MINUTE, 1):
            return form.wait()
        form.record()
        return form.show()

    @http.route(
        "/affiliate/form/<string:key>",
        type="http",
        auth="public",
        website=True,
        methods=["POST"],
        # In a frame on a foreign site there is no session: see _Form.is_ours.
        csrf=False,
        max_content_length=MAX_FORM_BYTES,
        sitemap=False,
    )
    @waits_for_nobody(_busy)
    def submit(self, key, **values):
        """Take an address. The answer is the same for known and new people."""
        form = _Form(key, values)
        env = request.env
        if not form.is_ours():
            return form.refuse(
                403, env._("This form is not valid any more. Please send it again.")
            )
        if not form.email:
            return form.refuse(422, form.what_is_wrong(), at_field=True)
        if values.get(HONEYPOT):
            return form.go_on()
        if is_flood("lead", LEADS_AN_HOUR):
            return form.refuse(
                429,
                env._(
                    "You have sent too many addresses in a short time. Please "
                    "wait an hour."
                ),
            )
        try:
            env["ir.http"]._verify_request_recaptcha_token(CAPTCHA)
        except UserError as suspicion:
            return form.refuse(422, suspicion.args[0])
        try:
            env["affiliate.referral"]._capture(
                form.tracking["id"],
                form.email,
                form.reference,
                "form",
                visitor_address(),
            )
        except LockNotAvailable:
            return form.refuse(
                503,
                env._("We could not store your address just now. Please try again."),
            )
        return form.go_on()


class _Form:
    """What a visitor has asked for or sent, and the answers to it."""

    def __init__(self, key, values):
        self.key = key
        self.tracking = request.env["affiliate.program"]._tracking(key)
        if not self.tracking:
            raise NotFound()
        # What comes as a file, and not as text, is nothing to us.
        self.values = {n: v for n, v in values.items() if isinstance(v, str)}
        self.typed = " ".join(self.text("email").split())
        self.email = email_address(self.typed)
        self.embed = bool(self.text("embed"))
        self.to = self._to()
        self.reference = self._reference()
        self._speak()
        self.program = request.env["affiliate.program"].sudo()
        self.program = self.program.browse(self.tracking["id"])

    def text(self, name):
        return self.values.get(name, "")

    def record(self):
        """Record that somebody who was sent by an affiliate has opened the form: that
        is a visit, and from now on he has an id. It renews no visit he has made before:
        a popup that comes by itself would do so again and again."""
        if not self.reference or not _is_looked_at(self.tracking):
            return
        visitor = self.reference.visitor
        try:
            if visitor and request.env["affiliate.click"]._has_visits(visitor):
                return
        except LockNotAvailable:
            return  # the form is shown all the same
        visit = _visit(
            request.httprequest.base_url,
            visits.carried(self.values),
            request.httprequest.referrer,
            self.text("to"),
        )
        recorded, _busy = record(self.tracking, self.reference, visit)
        self.reference = recorded or self.reference

    def is_ours(self):
        """Tell whether this is a form of ours, not one that another site made up.

        The session's token would be missing in a frame on a foreign site, so the form
        has a signed one, of this program and visitor. A block of the website is stored
        and has none: there the browser has to say where it was sent from.
        """
        origin = request.httprequest.headers.get("Origin")
        if self._is_block() or origin:
            if not _is_this_site(origin):
                return False
        return self._is_block() or self._signed() == self._token_values()

    def _signed(self):
        """Return what the token was made for, None where it is none or is too old."""
        try:
            return verify_hash_signed(self._su(), CAPTCHA, self.text("token"))
        except ValueError:
            return None

    def _token_values(self):
        return [self.key, str(self.reference or "")]

    def what_is_wrong(self):
        if not self.typed:
            return request.env._("Please tell us your e-mail address.")
        return request.env._(
            "This is not a complete e-mail address. Example: jane@example.com"
        )

    def show(self, status=200, **problem):
        consent = self.program.form_consent
        token = hash_sign(
            self._su(), CAPTCHA, self._token_values(), expiration_hours=TOKEN_HOURS
        )
        return self._render(
            "form",
            status,
            carried={
                "token": token,
                "reference": self.reference and str(self.reference),
                "to": self.to,
                "embed": self.embed and "1",
                "origin": self._origin(),
                "lang": self.text("lang"),
            },
            typed=self.typed,
            max_email=MAX_EMAIL,
            honeypot=HONEYPOT,
            captcha=CAPTCHA,
            captcha_keys=_captcha_keys(),
            consent=not is_html_empty(consent) and consent,
            **problem,
        )

    def wait(self):
        """Say that these were too many; in few words, for they cost us something."""
        response = request.make_response(
            request.env._("That was a lot in a short time. Please wait a minute."),
            [("Content-Type", "text/plain; charset=utf-8"), ("Retry-After", "60")],
            status=429,
        )
        return _protect(response, self.tracking)

    def refuse(self, status, problem, at_field=False):
        """Say what is wrong, with everything that was typed."""
        onward = self._target() if status in (429, 503) else None
        if _is_script():
            answer = {"error": problem, "at_field": at_field, "to": onward}
            return request.make_json_response(answer, status=status)
        return self.show(status, problem=problem, at_field=at_field, onward=onward)

    def go_on(self):
        """Lead the visitor on, or tell the page around the frame to do so."""
        target = self._target()
        if _is_script():
            thanks = request.env._("Thank you. We have your e-mail address.")
            return request.make_json_response({"to": target, "message": thanks})
        if target and not self.embed:
            response = request.redirect(target, code=303, local=False)
            return _protect(response, self.tracking)
        return self._render(
            "done",
            200,
            done={
                "data-affiliate-email": self.email,
                "data-affiliate-reference": str(self.reference or ""),
                "data-affiliate-to": target,
            },
            target=target,
        )

    def _render(self, template, status, **values):
        values |= {
            "program": self.program,
            "title": self.program.form_title or self.program.name,
            "language": request.env["res.lang"]._get_data(code=request.lang.code),
            "language_tag": py_to_js_locale(request.lang.code),
            "origin": self._origin(),
            "embed": self.embed,
            "style": self.program._get_form_style(),
            "stylesheet": _file("form.css"),
            "script": _file("form.js"),
            "content": f"affiliate_stripe.capture_{template}",
        }
        response = request.render(
            "affiliate_stripe.capture_page", values, status=status
        )
        return _protect(response, self.tracking)

    def _target(self):
        """Return where the visitor goes on to; never a foreign site."""
        target = destination(self.tracking, self.to)
        if not target:
            return ""
        reference = self.reference and str(self.reference)
        return self.program._form_target(target, self.email, reference)

    def _to(self):
        """Return where the form says the visitor goes on to, as it says it."""
        to = self.text("to")
        if to and self._is_block():
            # The website's own pages are meant, not those of the programme's site.
            return visits.page_of(request.httprequest.host_url, to) or to
        return to

    def _reference(self):
        """Return who brought the visitor: as asked, by the link (of this page or of the
        one that a block of the website is on), or by the cookie."""
        names = ("reference", *self.tracking["parameters"])
        page = dict(parse_qsl(urlsplit(self._page()).query))
        texts = [
            *map(self.text, names),
            *map(page.get, names),
            request.httprequest.cookies.get(COOKIE),
        ]
        if "token" in self.values:
            texts = [self.text("reference")]  # our own form says all there is
        parse = request.env["affiliate.referral"]._reference_of
        reference = next(filter(None, map(parse, texts)), None)
        return reference and request.env["affiliate.click"]._believed(reference)

    def _page(self):
        """Return the address of the website's page that a block is on."""
        page = request.httprequest.referrer or ""
        return page if self._is_block() and _is_this_site(page) else ""

    def _origin(self):
        """Return the site around the frame, where it is one of the programme's.

        Nobody else is told who has signed up.
        """
        if not self.embed:
            return ""
        page = self.text("origin")
        if not page and request.httprequest.method == "GET":
            page = request.httprequest.referrer
        return visits.origin_of(page) if is_own(page, self.tracking) else ""

    def _speak(self):
        """Speak the language the page around asks for, where the website has it."""
        asked = self.text("lang").replace("-", "_")
        code = request.env["ir.http"].get_nearest_lang(asked)
        if code and code != request.lang.code:
            request.lang = request.env["res.lang"]._get_data(code=code)
            request.update_context(lang=code)
            request.website = request.website.with_context(lang=code)

    def _is_block(self):
        """Tell whether it was sent by a block of the website: that has no token."""
        return request.httprequest.method == "POST" and "token" not in self.values

    def _su(self):
        return request.env(su=True)


@cache
def _file(name):
    """Return the address of a file of the form: another one after each change of it,
    for browsers keep it."""
    path = f"affiliate_stripe/static/form/{name}"
    with file_open(path, "rb") as file:
        version = hashlib.sha256(file.read()).hexdigest()[:8]
    return f"/{path}?{version}"


def _captcha_keys():
    """Return the public keys of the captchas that are set up, ``{name: key}``: where
    Odoo's own pages have them from."""
    info = request.env["ir.http"].get_frontend_session_info()
    return {
        "recaptcha": info.get("recaptcha_public_key"),
        "turnstile": info.get("turnstile_site_key"),
    }


def _is_script():
    return "application/json" in request.httprequest.headers.get("Accept", "")


def _is_this_site(origin):
    host = visits.host_of(origin)
    return bool(host) and host == visits.host_of(request.httprequest.host_url)


def _is_looked_at(tracking):
    """Tell whether the form is shown to somebody, in a page or in a frame of the
    program's sites. Another site's page can have it loaded as an image or in a hidden
    frame, to make visits of all its readers; browsers say so."""
    headers = request.httprequest.headers
    silent = "document" if "text/html" in headers.get("Accept", "") else "image"
    shown_as = headers.get("Sec-Fetch-Dest", silent)
    if shown_as in ("iframe", "frame"):
        return is_own(request.httprequest.referrer, tracking)
    return shown_as == "document"


def _protect(response, tracking):
    """Let only the sites of the programme show this in a frame, and nobody keep it."""
    sites = [
        f"{host}:*"
        for domain in tracking["domains"]
        for host in (domain, f"*.{domain}")
    ]
    policy = " ".join(["frame-ancestors 'self'", *sites])
    response.headers["Content-Security-Policy"] = policy
    response.headers["Cache-Control"] = "no-store"
    return response
