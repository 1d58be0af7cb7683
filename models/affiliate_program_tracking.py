import re
import secrets

import idna

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools import ormcache

from ..lib import visits

# What is forgotten when one of these changes (see _tracking).
TRACKING_FIELDS = {
    "active",
    "allowed_domains",
    "attribution_model",
    "company_id",
    "consent_mode",
    "cookie_days",
    "form_radius",
    "form_scheme",
    "lead_captcha",
    "is_published",
    "link_parameters",
    "no_script_leads",
    "respect_privacy_signals",
    "signup_url",
    "track_website",
}
# Where Odoo keeps the secrets of its captchas.
CAPTCHA_KEYS = ("recaptcha_private_key", "cf.turnstile_secret_key")
_KEY = re.compile(r"[\w-]{8,64}", re.ASCII)


class AffiliateProgram(models.Model):
    """How the programme recognises who came by whom: links, script and form."""

    _inherit = "affiliate.program"

    public_key = fields.Char(
        string="Public key",
        default=lambda self: secrets.token_urlsafe(12),
        readonly=True,
        copy=False,
    )

    # --- site ---
    signup_url = fields.Char(
        string="Site",
        help="Where the affiliates' links lead: your home, pricing or sign-up page.",
    )
    allowed_domains = fields.Char(
        string="More domains",
        help="Domains beside your site's on which script and form work, and to which "
        "links may lead, e.g. acme.io, app.acme.com. Each includes what is below it.",
    )
    link_parameters = fields.Char(
        default=visits.LINK_PARAMETER,
        required=True,
        string="Link parameters",
        help="Parameters of an address that carry a tracking code, e.g. via, ref, aff. "
        "Links we make use the first.",
    )
    consent_mode = fields.Selection(
        [
            ("none", "Remember visits at once"),
            ("required", "Only after the visitor agrees"),
        ],
        default="none",
        required=True,
        string="Consent",
        help="Until a visitor agrees, nothing is stored in his browser; who sent him "
        "is known on that page only.",
    )
    respect_privacy_signals = fields.Boolean(
        string="Respect Do Not Track",
        help="Store nothing in browsers that send Do Not Track or Global Privacy "
        "Control.",
    )

    # --- e-mail addresses by the script ---
    no_script_leads = fields.Boolean(
        string="Leads only from our form or our server",
        help="The script then hands in no e-mail addresses: a page that calls "
        "affiliate('lead') is told so. What remains is the e-mail form, and track_lead "
        "with the key of an affiliate officer.",
    )
    lead_captcha = fields.Boolean(
        string="Captcha for leads by the script",
        help="Your page shows a captcha (reCAPTCHA or Cloudflare Turnstile, action "
        "affiliate_lead) and hands over its token: "
        "affiliate('lead', {email, captcha}). It is checked with the keys in Odoo's "
        "settings.",
    )
    captcha_missing = fields.Boolean(compute="_compute_captcha_missing")

    addresses_hidden = fields.Boolean(compute="_compute_addresses_hidden")
    proxies_missed = fields.Integer(compute="_compute_proxies_missed")

    # --- attribution ---
    cookie_days = fields.Integer(
        string="Days a link counts",
        default=60,
        help="Days between the click on an affiliate's link and the sign-up or first "
        "payment. It never limits later payments.",
    )
    attribution_model = fields.Selection(
        [("first", "First contact"), ("last", "Last contact")],
        default="first",
        required=True,
        help="Who wins when several affiliates brought the same person before the "
        "first payment.",
        string="Who counts",
    )

    _public_key_uniq = models.UniqueIndex("(public_key)")
    _cookie_days_positive = models.Constraint(
        "CHECK (cookie_days > 0)", "A link counts for one day at least."
    )

    # === COMPUTE METHODS === #

    def _compute_proxies_missed(self):
        self.proxies_missed = self.env["affiliate.click"]._proxies_missed()

    @api.depends("lead_captcha")
    def _compute_captcha_missing(self):
        """Odoo lets everybody pass where it has no key to check a captcha with."""
        parameters = self.env["ir.config_parameter"].sudo()
        has_key = any(map(parameters.get_param, CAPTCHA_KEYS))
        for program in self:
            program.captcha_missing = program.lead_captcha and not has_key

    def _compute_addresses_hidden(self):
        self.addresses_hidden = self.env["affiliate.rate.limit.log"]._is_hidden()

    # === CONSTRAINT METHODS === #

    @api.constrains("signup_url")
    def _check_signup_url(self):
        for program in self:
            if program.signup_url and not visits.host_of(program.signup_url):
                raise ValidationError(
                    self.env._(
                        "%s is not a web address. Example: https://acme.com/pricing",
                        program.signup_url,
                    )
                )

    @api.constrains("is_published", "signup_url", "discount_type", "stripe_account_id")
    def _check_codes_work(self):
        """What is public promises codes that work, by links or at the checkout."""
        for program in self.filtered("is_published"):
            if program.signup_url:
                continue
            if program.discount_type == "none":
                raise ValidationError(
                    self.env._(
                        "The codes of %(program)s don't work anywhere. A published "
                        "program needs a site, so its codes work in links, or a "
                        "customer discount, so they work at Stripe's checkout. Add one "
                        "of them, or unpublish the program.",
                        program=program.name,
                    )
                )
            if program.stripe_account_id.state == "draft":
                raise ValidationError(
                    self.env._(
                        "The codes of %(program)s would work nowhere yet: without a "
                        "site they work at Stripe's checkout only, and Stripe is not "
                        "connected. First connect %(account)s under Configuration, "
                        "Stripe accounts; or give the program a site.",
                        program=program.name,
                        account=program.stripe_account_id.name,
                    )
                )

    @api.constrains("allowed_domains")
    def _check_allowed_domains(self):
        for program in self:
            try:
                visits.parse_domains(program.allowed_domains)
            except ValueError as wrong:
                raise ValidationError(
                    self.env._(
                        "%s is not a domain. Example: acme.io, app.acme.com", wrong
                    )
                ) from wrong

    @api.constrains("link_parameters")
    def _check_link_parameters(self):
        for program in self:
            for name in program._link_parameters() or [""]:
                if not visits.is_parameter(name):
                    raise ValidationError(
                        self.env._(
                            "%s cannot be a link parameter. Example: via, ref, aff",
                            name or program.link_parameters,
                        )
                    )

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        programs = super().create([_completed(vals) for vals in vals_list])
        self.env.registry.clear_cache()
        return programs

    def write(self, vals):
        result = super().write(_completed(vals))
        if TRACKING_FIELDS & vals.keys():
            self.env.registry.clear_cache()
        return result

    def unlink(self):
        result = super().unlink()
        self.env.registry.clear_cache()
        return result

    # === BUSINESS METHODS === #

    @api.model
    @ormcache("public_key")
    def _tracking(self, public_key):
        """Return what public requests need to know of a programme, or None.

        :return: dict with ``id base site domains model days parameters consent
            privacy``; ``base`` is the public address kept for this Odoo, or empty;
            ``script_leads`` (whether the script may hand in e-mail addresses) and
            ``captcha`` (whether it needs a solved one for that); ``look`` (of the form,
            see ``_get_form_look``)
        """
        self.env["affiliate.stripe.sync"]._hurry(self.env.cr)  # a visitor asks
        known = [("public_key", "=", public_key)] if is_key(public_key) else []
        program = known and self.sudo().search(known, limit=1)
        if not program:
            return None
        return {
            "id": program.id,
            "base": program.stripe_account_id.public_url or "",
            "site": program.signup_url or "",
            "domains": tuple(program._get_domains()),
            "model": program.attribution_model,
            "days": program.cookie_days,
            "parameters": tuple(program._link_parameters()),
            "consent": program.consent_mode == "required",
            "privacy": program.respect_privacy_signals,
            "script_leads": not program.no_script_leads,
            "captcha": program.lead_captcha,
            "look": program._get_form_look(),
        }

    @api.model
    def _nearest(self, host):
        """Return the key of the program to whose site a link with an unknown code
        leads, or None.

        Anybody can ask, so it tells no site that is not known anyway: it is the oldest
        published program of the company whose website was asked; or else, where there
        is one only, the program whose affiliates have links that lead there.

        :param str host: that was asked
        """
        self.env["affiliate.stripe.sync"]._hurry(self.env.cr)  # a visitor asks
        websites = self.env["website"].sudo()
        company = websites.browse(websites._get_current_website_id(host)).company_id
        domain = [("company_id", "=", company.id), ("signup_url", "!=", False)]
        programs = self.sudo().search(domain, order="id")
        known = programs.filtered("is_published")[:1] or programs.filtered_domain(
            [("affiliate_ids.state", "=", "active")]
        )
        return known.public_key if len(known) == 1 else None

    @api.model
    def _offer(self, program_id, reference, lang=None):
        """Return who recommends us and what his customers save, in words.

        :param Reference reference: in a link
        :return: dict with ``name offer``, empty where the code counts no more
        """
        self.env["affiliate.stripe.sync"]._hurry(self.env.cr)
        program = self.sudo().browse(program_id).with_context(lang=lang)
        codes = self.env["affiliate.code"].sudo().with_context(lang=lang)
        code = codes._active(program, reference.code)
        if not code:
            return {}
        partner = code.affiliate_id.partner_id
        name = (partner.name or "").strip()
        return {
            "name": name if partner.is_company else name.partition(" ")[0],
            # Nothing is promised that Stripe's checkout would refuse.
            "offer": code._is_accepted() and code.discount or "",
        }

    def _get_domains(self):
        """Return the domains on which script, form and links work."""
        self.ensure_one()
        site = visits.host_of(self.signup_url)
        site = site.removeprefix("www.")
        return list(dict.fromkeys(filter(None, [site, *self._more_domains()])))

    def _more_domains(self):
        return visits.parse_domains(self.allowed_domains)

    def _link_parameters(self):
        return [
            word for word in re.split(r"[\s,;]+", self.link_parameters or "") if word
        ]


def is_key(text):
    """Tell whether something can be a key: NUL must not reach the database."""
    return isinstance(text, str) and bool(_KEY.fullmatch(text))


def _completed(vals):
    """Return the values with whole addresses: people type ``acme.com/pricing``."""
    vals = dict(vals)
    site = (vals.get("signup_url") or "").strip()
    if site:
        vals["signup_url"] = _as_sent(visits.completed(site))
    if vals.get("allowed_domains"):
        vals["allowed_domains"] = re.sub(
            r"[^\s,;]+", lambda word: _as_sent(word[0]), vals["allowed_domains"]
        )
    return vals


def _as_sent(address):
    """Return an address or domain with its host as browsers send it:
    ``xn--bcher-kva.example`` for ``bücher.example``."""
    start = address.find("://") + 3 if "://" in address else 0
    host = re.match(r"[^/?#:]*", address[start:])[0]
    try:
        sent = host if host.isascii() else idna.encode(host, uts46=True).decode()
    except idna.IDNAError:
        return address  # the constraints say so
    return address[:start] + sent + address[start + len(host) :]
