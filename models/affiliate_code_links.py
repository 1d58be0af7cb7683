import re
from urllib.parse import urlsplit

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..lib import visits

SHORT_PATH = "/a"  # the route of controllers/tracking.py


class AffiliateCode(models.Model):
    """The links an affiliate spreads: to any page, with marks to tell them apart."""

    _inherit = "affiliate.code"

    short_link = fields.Char(
        string="Short link",
        compute="_compute_short_link",
        help="Leads to the site by way of Odoo, which counts the visit: for print, QR "
        "codes and sites without our script.",
    )

    @api.depends("code")
    def _compute_short_link(self):
        for code in self:
            code.short_link = code.code and (
                f"{code.get_base_url()}{SHORT_PATH}/{code.code}"
            )

    @api.model
    def _active(self, program, text):
        """Return the code of a programme that works in links, or none."""
        return self.search(
            [
                ("code", "=", text),
                ("program_id", "=", program.id),
                ("affiliate_id.state", "=", "active"),
                ("state", "!=", "inactive"),
            ],
            limit=1,
        )

    def _make_link(self, page="", sub_id="", campaign=""):
        """Return (link, short link) to a page, marked as wished.

        :param str page: address, or path on the programme's site; "" for the site
        :param str sub_id: tells links of one affiliate apart, e.g. ``newsletter-5``
        :param str campaign: utm_campaign
        :raise UserError: a page of a foreign site, or marks that addresses cannot carry
        """
        self.ensure_one()
        site = self.program_id.signup_url
        if not site:
            raise UserError(
                self.env._("The programme has no site yet that links could lead to.")
            )
        if page and re.search(r"[.:]", page.partition("/")[0]):
            page = visits.completed(page)  # typed as people do: acme.com/pricing
        target = visits.page_of(site, page or "")
        marks = {"sub": sub_id or "", "utm_campaign": campaign or ""}
        domains = self.program_id._get_domains()
        if not visits.is_within(visits.host_of(target), domains):
            raise UserError(self.env._("Links lead to %s only.", ", ".join(domains)))
        if (sub_id and not visits.is_sub_id(sub_id)) or not visits.is_text(
            marks["utm_campaign"]
        ):
            raise UserError(
                self.env._(
                    "A sub-id has at most 64 letters, digits, dots, hyphens and "
                    "underscores; campaigns have no < or >."
                )
            )
        parameter = self.program_id._link_parameters()[0]
        link = visits.with_parameters(target, {**marks, parameter: self.code})
        if urlsplit(target)._replace(fragment="") != urlsplit(site):
            marks = {"to": page, **marks}
        return link, visits.with_parameters(self.short_link, marks)
