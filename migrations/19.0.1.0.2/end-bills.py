"""Settlements follow the ledger and their bills since they were made, and go on to.

At the end, when all modules know their fields: bills may be written. One that cannot be
written says so on its settlement, and the upgrade goes on.
"""

from odoo import SUPERUSER_ID, api


def migrate(cr, _version):
    cr.execute(
        "UPDATE affiliate_settlement SET allow_negative = TRUE WHERE amount_total < 0"
    )
    cr.execute(
        """UPDATE account_move SET affiliate_origin_id = settlement.id
             FROM affiliate_settlement settlement
            WHERE settlement.move_id = account_move.id
              AND account_move.affiliate_origin_id IS NULL"""
    )
    env = api.Environment(cr, SUPERUSER_ID, {})
    settlements = env["affiliate.settlement"].search(
        [("step", "in", ("draft", "confirmed"))]
    )
    # Rows of cancelled and reversed bills waited for somebody to press a button.
    undone = settlements.filtered(
        lambda s: (
            s.move_id.state == "cancel"
            or (s.move_id.state == "posted" and s.move_id._is_affiliate_bill_reversed())
        )
    )
    env.flush_all()
    _tie_copies(cr, undone)
    env.invalidate_all()
    for settlement in undone:
        _put_copy_in_place(settlement)
        settlement._try(env.registry[settlement._name]._follow_bill)
    (settlements - undone).filtered(lambda s: s._is_open())._follow_ledger()
    # Netted with a credit note is paid.
    env.add_to_compute(settlements._fields["state"], settlements.exists())
    idle = settlements.exists().filtered(
        lambda s: s._is_open() and s.affiliate_id.state != "active"
    )
    for settlement in idle:
        settlement._try(
            lambda s: s._dissolve("The affiliate is suspended or rejected.")
        )


def _tie_copies(cr, undone):
    """Let bills that "Reverse and Create Bill" or "Duplicate" made know for what.

    A line of theirs names the settlement. What was posted beside a bill that stands is
    left alone: it is in the books, and nothing here would make it right.
    """
    cr.execute(
        r"""
        UPDATE account_move copy SET affiliate_origin_id = settlement.id
          FROM affiliate_settlement settlement
          JOIN account_move bill ON bill.id = settlement.move_id
         WHERE copy.affiliate_origin_id IS NULL
           AND copy.reversed_entry_id IS NULL
           AND copy.move_type = bill.move_type
           AND copy.company_id = bill.company_id
           AND copy.commercial_partner_id = bill.commercial_partner_id
           AND (copy.state != 'posted' OR settlement.id = ANY(%s))
           AND (copy.ref = settlement.name OR EXISTS (
                SELECT FROM account_move_line line
                 WHERE line.move_id = copy.id
                   AND line.name ~ (
                       regexp_replace(settlement.name, '([^[:alnum:]])', '\\\1', 'g')
                       || '(?![0-9])')))
        """,
        [undone.ids],
    )


def _put_copy_in_place(settlement):
    """Let the bill that replaced an undone one be the settlement's: its commissions
    are on it, and would be due a second time otherwise."""
    bill = settlement.move_id
    copies = bill.search(
        [("affiliate_origin_id", "=", settlement.id), ("id", "!=", bill.id)], order="id"
    )
    posted = copies.filtered(
        lambda copy: copy.state == "posted" and not copy._is_affiliate_bill_reversed()
    )
    drafts = copies.filtered(lambda copy: copy.state == "draft")
    if place := posted[:1] or drafts[-1:]:
        settlement.move_id = place
