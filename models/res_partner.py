from odoo import api, fields, models

from ..lib.roles import ACCOUNTANT, OFFICER
from ..tools.access import needs


class ResPartner(models.Model):
    _inherit = "res.partner"

    # Not "affiliate_ids": in Odoo that word is taken for companies of one group.
    affiliate_enrolment_ids = fields.One2many(
        "affiliate.affiliate",
        "partner_id",
        string="Affiliate programmes",
        groups=f"{OFFICER},{ACCOUNTANT}",
    )
    affiliate_enrolment_count = fields.Integer(
        compute="_compute_affiliate_enrolment_count",
        groups="affiliate_stripe.group_affiliate_officer",
    )

    @api.depends("affiliate_enrolment_ids")
    def _compute_affiliate_enrolment_count(self):
        counts = dict(
            self.env["affiliate.affiliate"]._read_group(
                [("partner_id", "in", self.ids)], ["partner_id"], ["__count"]
            )
        )
        for partner in self:
            partner.affiliate_enrolment_count = counts.get(partner, 0)

    @needs("read")
    def action_view_affiliate_enrolments(self):
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "affiliate_stripe.action_affiliate_affiliate"
        )
        action["domain"] = [("partner_id", "in", self.ids)]
        action["context"] = {"default_partner_id": self[:1].id}
        return action
