from odoo import api, models
from odoo.tools import SQL

from .affiliate_commission import (
    COMPUTED_KINDS,
    HOLD_DISPUTE,
    HOLD_FLAG,
    HOLD_MANUAL,
)


class AffiliateCommission(models.Model):
    """Holds: which rows nobody is paid for now, and why."""

    _inherit = "affiliate.commission"

    @api.model
    def _sync_disputes(self, account, disputes):
        """Put the rows of disputed sales on hold, and release those that are over.

        :param dict disputes: ``{sale ref: id of an open dispute or None}``
        """
        if not disputes or not account:
            return
        disputed = tuple(ref for ref, dispute in disputes.items() if dispute)
        self._sync_holds(
            SQL(
                "c.stripe_account_id IN %s AND c.sale_ref IN %s",
                tuple(account.ids),
                tuple(disputes),
            ),
            SQL("c.sale_ref IN %s", disputed) if disputed else SQL("FALSE"),
        )

    @api.model
    def _sync_holds_of(self, referrals):
        """Put what these referrals earned on hold while there are doubts about them."""
        if referrals:
            self._sync_holds(
                SQL("c.referral_id IN %s", tuple(referrals.ids)),
                SQL("c.hold_reason = %s", HOLD_DISPUTE),
            )

    @api.model
    def _sync_holds(self, which, is_disputed):
        """Hold the rows that should be on hold, release those that should not.

        A dispute comes before a doubt; what a person holds, he releases himself. A
        held row leaves a settlement whose bill is not posted.

        :param which: condition on ledger rows ``c``
        :param is_disputed: condition that tells whether a row's sale is disputed
        """
        self.env.flush_all()
        found = self.env.execute_query(
            SQL(
                """SELECT c.id, wanted.reason
                     FROM affiliate_commission c
                    CROSS JOIN LATERAL (SELECT CASE
                          WHEN %(is_disputed)s THEN %(dispute)s
                          WHEN EXISTS (
                              SELECT FROM affiliate_referral_flag flag
                               WHERE flag.referral_id = c.referral_id
                                 AND flag.affiliate_id = c.affiliate_id
                                 AND flag.state = 'open') THEN %(flag)s
                          END AS reason) wanted
                    WHERE %(which)s AND c.kind IN %(kinds)s
                      AND c.hold_reason IS DISTINCT FROM wanted.reason
                      AND c.hold_reason IS DISTINCT FROM %(manual)s""",
                is_disputed=is_disputed,
                dispute=HOLD_DISPUTE,
                flag=HOLD_FLAG,
                which=which,
                kinds=COMPUTED_KINDS,
                manual=HOLD_MANUAL,
            )
        )
        for reason in {reason for _id, reason in found}:
            rows = self.browse(row_id for row_id, wanted in found if wanted == reason)
            rows.write({"on_hold": bool(reason), "hold_reason": reason or False})
            if reason:
                rows.settlement_id._follow_ledger()

    def _with_corrections(self):
        """Return these rows with all that they correct or that corrects them.

        Rows of one line that do not correct each other, such as those of two payments
        of one invoice, stay apart: each has a hold of its own.
        """
        if not self:
            return self
        self.flush_model(["origin_id"])
        found = self.env.execute_query(
            SQL(
                """WITH RECURSIVE tied AS (
                       SELECT id, origin_id FROM affiliate_commission WHERE id IN %s
                       UNION
                       SELECT other.id, other.origin_id
                         FROM tied
                        CROSS JOIN LATERAL (
                              SELECT c.id, c.origin_id FROM affiliate_commission c
                               WHERE c.origin_id = tied.id
                           UNION ALL
                              SELECT c.id, c.origin_id FROM affiliate_commission c
                               WHERE c.id = tied.origin_id) other)
                   SELECT id FROM tied ORDER BY id""",
                tuple(self.ids),
            )
        )
        return self.browse(row_id for (row_id,) in found)
