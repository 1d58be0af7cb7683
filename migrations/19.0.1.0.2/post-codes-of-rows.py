"""Ledger rows name the code by which their customer came."""


def migrate(cr, _version):
    cr.execute(
        """UPDATE affiliate_commission row SET code_id = referral.code_id
             FROM affiliate_referral referral
            WHERE referral.id = row.referral_id
              AND referral.affiliate_id = row.affiliate_id
              AND referral.code_id IS NOT NULL
              AND row.code_id IS NULL"""
    )
