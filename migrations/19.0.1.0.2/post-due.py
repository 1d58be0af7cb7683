"""Whose commissions are computed otherwise now: the next night's run books what is due.

Fixed amounts are not among them: what was paid for an old sale is corrected only when
something happens to it.
"""


def migrate(cr, _version):
    cr.execute(
        """UPDATE affiliate_stripe_customer customer
              SET ledger_due = TRUE
            WHERE ledger_dry IS NOT TRUE
              AND (EXISTS (
                   SELECT FROM affiliate_stripe_invoice invoice
                    WHERE invoice.customer_id = customer.id
                      AND (invoice.status = 'uncollectible'
                               AND (invoice.data ->> 'amount_paid')::bigint > 0
                           OR (invoice.data ->> 'starting_balance')::bigint > 0
                           OR (invoice.data ->> 'amount_overpaid')::bigint > 0))
                   OR EXISTS (
                   SELECT FROM affiliate_commission row
                     JOIN res_currency currency ON currency.id = row.currency_id
                    WHERE row.customer_id = customer.id
                      AND NOT currency.active))"""
    )
