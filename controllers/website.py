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
        return self._render_program(self._program(program), values=_known())

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
        """Take an application: it is stored, nothing else happens in this request.

        The answer is the same for known and new people, and takes the same time.
        """
        program = self._program(program)
        typed = {name: _clean(name, post.get(name)) for name in MAX_LENGTHS}
        values, errors = self._validate(typed)
        if errors:
            return self._render_program(program, typed, errors, status=422)
        if not post.get(HONEYPOT):
            if is_flood("apply", APPLICATIONS_AN_HOUR):
                return self._render_program(program, typed, limited=True, status=429)
            applications = request.env["affiliate.application"].sudo()
            user = request.env.user
            if applications._proves(user, values["email"]):
                applications._receive(program, values, request.lang.code, user)
                return request.redirect(f"{program.website_url}/confirmed")
            applications._receive(program, values, request.lang.code)
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
        """Ask to look into the mailbox, whoever has applied."""
        return request.render(
            "affiliate_stripe.website_thanks", _about(self._program(program))
        )

    @http.route(
        "/affiliates/<string:program>/confirmed",
        type="http",
        auth="public",
        website=True,
        readonly=True,
        sitemap=False,
    )
    @waits_for_nobody(busy_page)
    def confirmed(self, program, **_others):
        """Thank for a confirmed application, whatever has come of it."""
        return request.render(
            "affiliate_stripe.website_confirmed", _about(self._program(program))
        )

    @http.route(
        "/affiliates/confirm/<string:token>",
        type="http",
        auth="public",
        website=True,
        methods=["GET"],
        readonly=True,
        sitemap=False,
    )
    @waits_for_nobody(busy_page)
    def look_at_application(self, token, **_others):
        """Show the application behind the link of a mail, and a button to confirm it.

        Nothing changes by looking: mail scanners open links, too.
        """
        application = request.env["affiliate.application"].sudo()._find(token)
        return self._render_application(
            token, application._look(request.env.user), application
        )

    @http.route(
        "/affiliates/confirm/<string:token>",
        type="http",
        auth="public",
        website=True,
        methods=["POST"],
        sitemap=False,
    )
    @waits_for_nobody(busy_page)
    def confirm_application(self, token, **_others):
        """The button of that page: whoever presses it has the mailbox."""
        application = request.env["affiliate.application"].sudo()._find(token)
        found = application._confirm(request.env.user)
        if found == "open":
            return request.redirect(f"{application.program_id.website_url}/confirmed")
        return self._render_application(token, found, application)

    def _render_application(self, token, found, application):
        # "Gone" says nothing of what there was, e.g. to whoever guesses links.
        application = application if found != "gone" else application.browse()
        response = request.render(
            "affiliate_stripe.website_confirm",
            {
                "application": application,
                **_about(application.program_id),
                "found": found,
                "path": f"/affiliates/confirm/{token}",
            },
            status=410 if found == "gone" else 200,
        )
        # The address of this page is a secret.
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cache-Control"] = "no-store"
        return response

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
            **_about(program),
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


def _about(program):
    """Return what a page about a program is made of. What is shown where somebody
    shares it is the program's, too, not the name of the page in Odoo."""
    return {"program": program, "seo_object": program}


def _known():
    """Return what the form need not ask of whoever is signed in.

    His login rather than the e-mail of his contact, which he may have changed to
    anybody's.
    """
    user = request.env.user
    if user._is_public():
        return {}
    return {"name": user.name, "email": email_address(user.login) or user.email}


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
