from odoo import api, models
from odoo.tools import SQL


class AffiliateAffiliate(models.Model):
    """What is earned by somebody who does not work any more waits."""

    _inherit = "affiliate.affiliate"

    @api.model
    def _settled_with(self):
        """Return with whom archived affiliates are settled, ``{archived: active}``.

        An archived one cannot come back while its contact is an affiliate of the same
        program again, by a merge of contacts or anew. What it has earned, and what its
        customers still earn, is the contact's: it goes with the one that takes part.
        Where that one is suspended, both wait.
        """
        self.flush_model(["partner_id", "program_id", "active", "state"])
        pairs = self.env.execute_query(
            SQL(
                """SELECT former.id, present.id
                     FROM affiliate_affiliate former
                     JOIN affiliate_affiliate present
                    USING (partner_id, program_id)
                    WHERE NOT former.active
                      AND present.active AND present.state = 'active'"""
            )
        )
        return {self.browse(former): self.browse(present) for former, present in pairs}

    def write(self, vals):
        """Take the commissions of whoever is no longer active off draft bills."""
        result = super().write(vals)
        if "state" in vals:
            idle = self.filtered(lambda affiliate: affiliate.state != "active")
            settlements = (
                self.env["affiliate.settlement"]
                .sudo()
                .search(
                    [
                        ("affiliate_id", "in", idle.ids),
                        ("state", "in", ("draft", "confirmed")),
                    ]
                )
            )
            settlements._dissolve(self.env._("The affiliate is suspended or rejected."))
        return result
