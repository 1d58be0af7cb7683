"""Settlements follow the ledger and their bills since they were made, and go on to."""

from odoo import SUPERUSER_ID, api


def migrate(cr, _version):
    cr.execute(
        "UPDATE affiliate_settlement SET allow_negative = TRUE WHERE amount_total < 0"
    )
    env = api.Environment(cr, SUPERUSER_ID, {})
    settlements = env["affiliate.settlement"].search(
        [("step", "in", ("draft", "confirmed"))]
    )
    # Rows of cancelled and reversed bills waited for somebody to press a button.
    undone = settlements.filtered(
        lambda s: (
            s.move_id.state == "cancel"
            or s.move_id.reversal_move_ids
            or s.move_id.payment_state == "reversed"
        )
    )
    undone._follow_bill()
    (settlements - undone).filtered(lambda s: s._is_open())._follow_ledger()
    # Netted with a credit note is paid.
    env.add_to_compute(settlements._fields["state"], settlements.exists())
    idle = settlements.exists().filtered(
        lambda s: s._is_open() and s.affiliate_id.state != "active"
    )
    idle._dissolve("The affiliate is suspended or rejected.")
