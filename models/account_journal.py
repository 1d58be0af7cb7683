from odoo import models


class AccountJournal(models.Model):
    _inherit = "account.journal"

    def write(self, vals):
        """Tell settlements whose program has a journal that it was archived, or that it
        is back. One with draft bills in it is not archived: core sees to that."""
        result = super().write(vals)
        if "active" in vals:
            settlements = (
                self.env["affiliate.settlement"]
                .sudo()
                .search(
                    [
                        ("state", "in", ("draft", "confirmed")),
                        ("program_id.journal_id", "in", self.ids),
                    ]
                )
            )
            settlements._look_again()
        return result
