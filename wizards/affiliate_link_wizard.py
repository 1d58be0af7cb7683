import base64

from odoo import api, fields, models
from odoo.exceptions import UserError

QR_PIXELS = 400


class AffiliateLinkWizard(models.TransientModel):
    """Put a link together for an affiliate, with its QR code."""

    _name = "affiliate.link.wizard"
    _description = "Make a link"
    _check_company_auto = True

    company_id = fields.Many2one(related="affiliate_id.company_id")
    affiliate_id = fields.Many2one(
        "affiliate.affiliate", required=True, readonly=True, check_company=True
    )
    code_id = fields.Many2one(
        "affiliate.code",
        required=True,
        compute="_compute_code_id",
        store=True,
        precompute=True,
        readonly=False,
        domain="[('affiliate_id', '=', affiliate_id), ('state', '!=', 'inactive')]",
        check_company=True,
    )
    page = fields.Char(help="A page of the site, e.g. /pricing; empty for the site.")
    sub_id = fields.Char(
        string="Sub-id", help="Tells links of one affiliate apart, e.g. newsletter-5."
    )
    campaign = fields.Char(help="Goes into utm_campaign.")
    link = fields.Char(compute="_compute_link")
    short_link = fields.Char(string="Short link", compute="_compute_link")
    problem = fields.Char(compute="_compute_link")
    qr_code = fields.Binary(string="QR code", compute="_compute_link", attachment=False)

    @api.depends("affiliate_id")
    def _compute_code_id(self):
        for wizard in self:
            affiliate = wizard.affiliate_id
            wizard.code_id = affiliate and affiliate._main_code()

    @api.depends("code_id", "page", "sub_id", "campaign")
    def _compute_link(self):
        for wizard in self:
            wizard.link = wizard.short_link = wizard.qr_code = wizard.problem = False
            if not wizard.code_id:
                continue
            try:
                wizard.link, wizard.short_link = wizard.code_id._make_link(
                    wizard.page, wizard.sub_id, wizard.campaign
                )
            except UserError as problem:
                wizard.problem = str(problem)
                continue
            wizard.qr_code = base64.b64encode(
                self.env["ir.actions.report"].barcode(
                    "QR", wizard.short_link, width=QR_PIXELS, height=QR_PIXELS
                )
            )
