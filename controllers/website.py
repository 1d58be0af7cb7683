import re
from urllib.parse import urlsplit

from werkzeug.exceptions import NotFound

from odoo import http
from odoo.http import request

from ..lib import codes
from ..models.affiliate_referral_capture import email_address
from .visitor import busy_page, is_flood, waits_for_nobody

# What the form asks for, and how long the answers may be.
MAX_LENGTHS = {
    "name": 100,
    "email": 254,
    "website": 200,
    "wished_code": 40,
    "motivation": 2000,
}
# Looks like a field that people want to fill in. People do not see it; robots do.
HONEYPOT = "company_phone"
MAX_FORM_BYTES = 64 * 1024
APPLICATIONS_AN_HOUR = 10


def _sitemap(env, rule, query):
    company = env["website"].get_current_website().company_id
    for program in env["affiliate.program"]._get_public(company):
        if not query or query.lower() in program.website_url:
            yield {"loc": program.website_url}


class AffiliateWebsite(http.Controller):
    @http.route(
        "/affiliates",
        type="http",
        auth="public",
        website=True,
        readonly=True,
        sitemap=True,
    )
    @waits_for_nobody(busy_page)
    def programs(self, **_others):
        """List the programmes; where there is one only, that is the list."""
        programs = self._programs()
        if len(programs) == 1:
            return request.redirect(programs.website_url)
        return request.render(
            "affiliate_stripe.website_programs", {"programs": programs}
        )

    @http.route(
        "/affiliates/<string:program>",
        type="http",
        auth="public",
        website=True,
        readonly=True,
        sitemap=_sitemap,
    )
    @waits_for_nobody(busy_page)
    def program(self, program, **_others):
        program = self._program(program)
        user = request.env.user
        known = {} if user._is_public() else {"name": user.name, "email": user.email}
        return self._render_program(program, values=known)

    @http.route(
        "/affiliates/<string:program>/apply",
        type="http",
        auth="public",
        website=True,
        methods=["POST"],
        captcha="affiliate_apply",
        max_content_length=MAX_FORM_BYTES,
        sitemap=False,
    )
    @waits_for_nobody(busy_page)
    def apply(self, program, **post):
        """Take an application. The answer is the same for known and new people."""
        program = self._program(program)
        typed = {name: _clean(name, post.get(name)) for name in MAX_LENGTHS}
        values, errors = self._validate(typed)
        if errors:
            return self._render_program(program, typed, errors, status=422)
        if not post.get(HONEYPOT):
            if is_flood("apply", APPLICATIONS_AN_HOUR):
                return self._render_program(program, typed, limited=True, status=429)
            request.env["affiliate.affiliate"].sudo()._apply(program, values)
        return request.redirect(f"{program.website_url}/thanks")

    @http.route(
        "/affiliates/<string:program>/apply",
        type="http",
        auth="public",
        website=True,
        methods=["GET"],
        readonly=True,
        sitemap=False,
    )
    @waits_for_nobody(busy_page)
    def apply_again(self, program, **_others):
        """Come back to the form, e.g. when the language is changed after an error."""
        return request.redirect(self._program(program).website_url)

    @http.route(
        "/affiliates/<string:program>/thanks",
        type="http",
        auth="public",
        website=True,
        readonly=True,
        sitemap=False,
    )
    @waits_for_nobody(busy_page)
    def thanks(self, program, **_others):
        return request.render(
            "affiliate_stripe.website_thanks", {"program": self._program(program)}
        )

    def _programs(self):
        company = request.website.company_id
        return request.env["affiliate.program"]._get_public(company)

    def _program(self, slug):
        """Return the programme of an address, as superuser, or answer 404."""
        _name, program_id = request.env["ir.http"]._unslug(slug)
        program = self._programs().filtered(lambda p: p.id == program_id)
        if not program:
            raise NotFound()
        return program

    def _render_program(
        self, program, values=None, errors=None, limited=False, status=200
    ):
        context = {
            "program": program,
            "values": values or {},
            "errors": errors or {},
            "limited": limited,
            "max_lengths": MAX_LENGTHS,
            "honeypot": HONEYPOT,
        }
        if program.sudo(False).has_access("write"):
            # The bar for editors needs a record that its reader may read.
            context["main_object"] = program.sudo(False)
        return request.render(
            "affiliate_stripe.website_program", context, status=status
        )

    def _validate(self, typed):
        """Return what may be stored, and one sentence for each field that is wrong."""
        env = request.env
        values = dict(typed)
        errors = {
            name: env._("Please use at most %s characters.", MAX_LENGTHS[name])
            for name, value in typed.items()
            if len(value) > MAX_LENGTHS[name]
        }
        if not typed["name"]:
            errors["name"] = env._("Please tell us your name.")
        values["email"] = email_address(typed["email"])
        if not typed["email"]:
            errors["email"] = env._("Please tell us your e-mail address.")
        elif not values["email"]:
            errors["email"] = env._(
                "This is not a complete e-mail address. Example: jane@example.com"
            )
        values["website"] = _web_address(typed["website"])
        if values["website"] is None:
            errors["website"] = env._(
                "This is not a web address. Example: https://example.com"
            )
        wish = typed["wished_code"]
        if wish and not codes.is_valid(codes.normalise(wish)):
            errors.setdefault(
                "wished_code", env._("Please use 3 to 40 letters, digits or hyphens.")
            )
        return values, errors


def _clean(name, text):
    """Return typed text without control characters, on one line where one is meant.

    A line break in a name could forge headers of an e-mail, and PostgreSQL refuses NUL.
    """
    # What comes as a file is nothing to us.
    text = text.replace("\r\n", "\n") if isinstance(text, str) else ""
    text = re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "", text)
    return text.strip() if name == "motivation" else " ".join(text.split())


def _web_address(text):
    """Return an address that is safe as a link, "" for none, None if it is wrong."""
    if not text:
        return ""
    address = text if "://" in text else f"https://{text}"
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return None
    fits = parts.scheme in ("http", "https") and re.fullmatch(r"[^\s<>\"']+", address)
    return address if fits and "." in host.strip(".") else None
