from odoo import models


class AccountJournal(models.Model):
    _inherit = "account.journal"

    def write(self, vals):
        """Tell settlements whose bills wait in a journal that it was archived, or that
        it is back."""
        result = super().write(vals)
        if "active" in vals:
            settlements = self.env["affiliate.settlement"].sudo().search(
                [
                    ("state", "in", ("draft", "confirmed")),
                    "|",
                    ("move_id.journal_id", "in", self.ids),
                    ("program_id.journal_id", "in", self.ids),
                ]
            )
            settlements._look_again()
        return result
