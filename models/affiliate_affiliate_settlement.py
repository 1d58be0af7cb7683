from odoo import models


class AffiliateAffiliate(models.Model):
    """What is earned by somebody who does not work any more waits."""

    _inherit = "affiliate.affiliate"

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
