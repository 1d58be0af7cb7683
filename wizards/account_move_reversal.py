from odoo import fields, models
from odoo.exceptions import UserError


class AccountMoveReversal(models.TransientModel):
    _inherit = "account.move.reversal"

    def reverse_moves(self, is_modify=False):
        """Let the bill of "Reverse and Create Bill" take the place of the reversed one.

        Otherwise the commissions would be due again beside the new bill.
        """
        bills = self.move_ids.filtered("affiliate_origin_id")
        if not is_modify or not bills:
            return super().reverse_moves(is_modify=is_modify)
        if self.date and self.date > fields.Date.context_today(self):
            raise UserError(
                self.env._(
                    "The bill of a settlement is replaced immediately, so the "
                    "reversal date can't be in the future. Choose today or an earlier "
                    "date."
                )
            )
        places = {
            bill: settlement
            for bill in bills.sudo()
            for settlement in bill.affiliate_settlement_ids
            if settlement.step == "confirmed"
        }
        for settlement in places.values():
            # Nothing is free while the place waits for the new bill.
            settlement.move_id = False
        # Core makes the new ones in the order in which it reads the old ones.
        replaced = self.move_ids
        action = super().reverse_moves(is_modify=is_modify)
        made = self.new_move_ids.sorted("id")
        for old, new in zip(replaced, made, strict=True):
            if old in bills:
                new.sudo().affiliate_origin_id = old.sudo().affiliate_origin_id
            if settlement := places.get(old):
                settlement.with_env(self.env)._replace_bill(new)
        return action
