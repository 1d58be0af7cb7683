from markupsafe import Markup

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..lib import colors

BRAND = "#2457d6"  # where neither program nor company have a color
MAX_RADIUS = 24
# What a page is painted with: its ground, its text, weaker text, rims of fields, and
# what is wrong.
SCHEMES = {
    "light": {
        "page": "#ffffff",
        "text": "#1f2328",
        "muted": "#59616a",
        "line": "#868e96",
        "wrong": "#b42318",
        "around": "#f3f4f6",
    },
    "dark": {
        "page": "#1d2025",
        "text": "#f1f3f5",
        "muted": "#adb5bd",
        "line": "#7d858d",
        "wrong": "#ff8a80",
        "around": "#121418",
    },
}


class AffiliateProgram(models.Model):
    """How the e-mail form looks, as a page, in a frame and in a popup."""

    _inherit = "affiliate.program"

    form_color = fields.Char(
        string="Color",
        help="Your brand color, for example #2457d6. Used for the button and the "
        "selected field; its text is black or white, whichever is easier to "
        "read. Leave empty to use your company's document color.",
    )
    form_radius = fields.Integer(
        string="Rounded corners",
        default=8,
        help="In pixels: 0 for sharp corners, at most 24.",
    )
    form_scheme = fields.Selection(
        [
            ("auto", "Same as the visitor's device"),
            ("light", "Always light"),
            ("dark", "Always dark"),
        ],
        string="Light or dark",
        default="auto",
        required=True,
    )

    _form_radius_range = models.Constraint(
        f"CHECK (form_radius BETWEEN 0 AND {MAX_RADIUS})",
        "Rounded corners must be between 0 and 24 pixels.",
    )

    @api.constrains("form_color")
    def _check_form_color(self):
        for program in self:
            if program.form_color and not colors.parse(program.form_color):
                raise ValidationError(
                    self.env._(
                        "%s is not a color. Example: #2457d6", program.form_color
                    )
                )

    def _get_form_look(self):
        """Return what the popup around the form needs to know of its look.

        :return: dict with ``radius`` (pixels) and, of ``light`` and ``dark``, those
            that it may have: [color of the ground, color of the text]
        """
        self.ensure_one()
        painted = {
            name: [paints["page"], paints["text"]]
            for name, paints in self._form_schemes().items()
        }
        return {"radius": self.form_radius, **painted}

    def _get_form_style(self):
        """Return the style that the form's stylesheet is filled with: properties of
        CSS, made of numbers and checked colors only."""
        self.ensure_one()
        brand = self._form_brand()
        rules = []
        schemes = self._form_schemes()
        for name, paints in schemes.items():
            values = {
                **paints,
                "brand": brand,
                "on-brand": colors.text_on(brand),
                "rim": colors.rim_on(paints["page"], brand, paints["text"]),
                "radius": f"{self.form_radius}px",
            }
            properties = ";".join(f"--{key}:{value}" for key, value in values.items())
            rule = f":root{{color-scheme:{name};{properties}}}"
            if rules:
                rule = f"@media (prefers-color-scheme:{name}){{{rule}}}"
            rules.append(rule)
        return Markup("\n".join(rules))

    def _form_schemes(self):
        if self.form_scheme == "auto":
            return SCHEMES
        return {self.form_scheme: SCHEMES[self.form_scheme]}

    def _form_brand(self):
        company = self.company_id.primary_color
        return colors.parse(self.form_color) or colors.parse(company) or BRAND
