from odoo import models


class ResCurrency(models.Model):
    _inherit = "res.currency"

    def write(self, vals):
        """Tell settlements in a currency that it was archived, or that it is back."""
        result = super().write(vals)
        if "active" in vals:
            settlements = (
                self.env["affiliate.settlement"]
                .sudo()
                .search(
                    [
                        ("state", "in", ("draft", "confirmed")),
                        ("currency_id", "in", self.ids),
                    ]
                )
            )
            settlements._look_again()
        return result
