from odoo import models
from odoo.exceptions import UserError


class BasePartnerMerge(models.TransientModel):
    """Contacts are merged by SQL, which asks none of our guards."""

    _inherit = "base.partner.merge.automatic.wizard"

    def _update_foreign_keys(self, src_partners, dst_partner):
        self._check_affiliates(src_partners, dst_partner)
        return super()._update_foreign_keys(src_partners, dst_partner)

    def _check_affiliates(self, src_partners, dst_partner):
        """Refuse to make one contact of two affiliates of a program.

        :raise UserError: with the way out
        """
        affiliates = (
            self.env["affiliate.affiliate"]
            .sudo()
            .with_context(active_test=False)
            .search([("partner_id", "in", (src_partners | dst_partner).ids)])
        )
        for program, enrolled in affiliates.grouped("program_id").items():
            present = enrolled.filtered("active")
            if len(present) > 1:
                raise UserError(
                    self.env._(
                        "%(affiliates)s are all affiliates of “%(program)s” already, "
                        "but a contact can be an affiliate of a program only once. "
                        "Archive all but one of them (on the affiliate: Actions > "
                        "Archive), then merge again. Archived affiliates keep their "
                        "customers and commissions, and what they earn is settled with "
                        "the affiliate who stays. An affiliate without any can be "
                        "deleted instead.",
                        affiliates=", ".join(present.mapped("display_name")),
                        program=program.name,
                    )
                )
            archived = (enrolled - present).filtered_domain(
                [("partner_id", "not in", present.partner_id.ids)]
            )
            if present and archived:
                present.message_post(
                    body=self.env._(
                        "Contacts were merged: what %s has earned and still earns is "
                        "settled with this affiliate from now on.",
                        ", ".join(archived.mapped("display_name")),
                    )
                )
        companies = affiliates.company_id
        if dst_partner.company_id and companies - dst_partner.company_id:
            raise UserError(
                self.env._(
                    "%(contact)s belongs to the company %(company)s, but an affiliate "
                    "program of %(others)s has an affiliate among these contacts. "
                    "Merge into a contact that belongs to no company.",
                    contact=dst_partner.display_name,
                    company=dst_partner.company_id.name,
                    others=", ".join(
                        (companies - dst_partner.company_id).mapped("name")
                    ),
                )
            )
