from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools import ormcache

from ..lib import visits
from ..tools.access import needs


class AffiliateProgram(models.Model):
    """The e-mail form of a programme, and what to copy into a site."""

    _inherit = "affiliate.program"

    # --- texts: where one is empty, the form has its own, in the visitor's language ---
    form_title = fields.Char(translate=True, string="Title")
    form_text = fields.Char(translate=True, string="Text")
    form_button = fields.Char(translate=True, string="Button")
    form_consent = fields.Html(
        translate=True,
        string="Consent text",
        help="Below the button: what happens to the address, with a link to your "
        "privacy policy.",
    )

    # --- what goes on to the site ---
    form_email_parameter = fields.Char(
        string="E-mail parameter",
        help="Parameter that hands the e-mail address to your sign-up page, e.g. "
        "email. Addresses of pages are seen by whoever measures your site: leave "
        "this empty unless the page fills in the address.",
    )
    form_reference_parameter = fields.Char(
        string="Reference parameter",
        help="Parameter that hands the reference (code and visitor) to your sign-up "
        "page, beside the link parameter, e.g. client_reference_id.",
    )

    # --- what to copy ---
    track_website = fields.Boolean(
        string="Track visits to this Odoo website",
        copy=False,
        help="Puts the script on every page of the company's Odoo websites.",
    )
    script_tag = fields.Char(compute="_compute_tags", string="Script")
    form_url = fields.Char(compute="_compute_tags", string="Address of the form")
    frame_tag = fields.Char(compute="_compute_tags", string="As a part of a page")
    popup_tag = fields.Char(compute="_compute_tags", string="As a popup")

    _track_website_uniq = models.UniqueIndex(
        "(company_id) WHERE track_website AND active",
        "Another programme of this company tracks its website already.",
    )

    # === COMPUTE METHODS === #

    @api.depends("public_key", "link_parameters", "signup_url")
    def _compute_tags(self):
        for program in self:
            base, key = program.get_base_url(), program.public_key
            url = f"{base}/affiliate/form/{key}"
            program.script_tag = (
                f'<script async src="{base}/affiliate/sdk/{key}.js"></script>'
            )
            program.form_url = url
            program.frame_tag = (
                f'<iframe src="{url}?embed=1" title="{self.env._("Sign up")}" '
                'style="width: 100%; height: 24rem; border: 0"></iframe>'
            )
            program.popup_tag = (
                f'<a href="/signup" data-affiliate-popup>{self.env._("Sign up")}</a>'
            )

    # === CONSTRAINT METHODS === #

    @api.constrains("form_email_parameter", "form_reference_parameter")
    def _check_form_parameters(self):
        for program in self:
            for name in (
                program.form_email_parameter,
                program.form_reference_parameter,
            ):
                if name and not visits.is_parameter(name):
                    raise ValidationError(
                        self.env._("%s cannot be a parameter. Example: email", name)
                    )

    # === ACTION METHODS === #

    @needs("read")
    def action_open_form(self):
        return {"type": "ir.actions.act_url", "url": self.form_url, "target": "new"}

    # === BUSINESS METHODS === #

    @api.model
    @needs("read", or_group="website.group_website_restricted_editor")
    def get_form_choices(self):
        """Return the programmes whose form an editor of the website may place.

        :return: list of dicts with ``name`` and ``action``, the form's address
        """
        website = self.env["website"].get_current_website()
        company = website.company_id & self.env.user.company_ids
        return [
            {
                "name": program.name,
                "action": f"/affiliate/form/{program.public_key}",
            }
            for program in self.sudo().search([("company_id", "in", company.ids)])
        ]

    @api.model
    @ormcache("company_id")
    def _website_key(self, company_id):
        """Return the key of the programme that tracks a company's website, or None."""
        return (
            self.sudo()
            .search(
                [("track_website", "=", True), ("company_id", "=", company_id)], limit=1
            )
            .public_key
        )

    def _form_target(self, to, email, reference):
        """Return where a visitor goes on to: an address with what it may know of him.

        The link parameter is always there, for the script of that page.
        """
        parameters = {
            self.form_email_parameter: email,
            self.form_reference_parameter: reference,
            self._link_parameters()[0]: reference,
        }
        parameters.pop(False, None)
        return visits.with_parameters(to, parameters)
