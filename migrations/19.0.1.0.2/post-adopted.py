"""Codes that were taken over from Stripe keep the discount they have there.

Ours are known by the ids of their coupons. Where the present promotion code of a code
is over another coupon, a person took it over.
"""


def migrate(cr, _version):
    cr.execute(
        """UPDATE affiliate_code code SET adopted_id = present.id
             FROM (SELECT DISTINCT ON (rel.code_id)
                          rel.code_id, promotion.id, promotion.coupon_ref
                     FROM affiliate_code_promotion_code_rel rel
                     JOIN affiliate_stripe_promotion_code promotion
                       ON promotion.id = rel.promotion_code_id
                 ORDER BY rel.code_id, promotion.active DESC, promotion.id DESC
                  ) present
            WHERE present.code_id = code.id
              AND code.adopted_id IS NULL
              AND present.coupon_ref NOT LIKE 'odoo-%'"""
    )
