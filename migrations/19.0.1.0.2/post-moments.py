"""Payments are dated when they were paid, by the days of the Stripe account."""

from odoo import SUPERUSER_ID, api


def migrate(cr, _version):
    _keep_days(cr)
    _fill_charges(cr)
    env = api.Environment(cr, SUPERUSER_ID, {})
    _read_again(env)
    # The endpoints at Stripe have to send the new events, and the time zone is read.
    env.ref("affiliate_stripe.ir_cron_webhooks")._trigger()
    # On the first of the month at 13:00 UTC the last month is over everywhere.
    cr.execute(
        """UPDATE ir_cron
              SET nextcall = date_trunc('day', nextcall) + interval '13 hours'
            WHERE id = %s AND EXTRACT(HOUR FROM nextcall) < 13""",
        [env.ref("affiliate_stripe.ir_cron_settle").id],
    )


def _keep_days(cr):
    """What is booked has days of UTC, until Stripe says what the account has."""
    cr.execute(
        """UPDATE affiliate_stripe_account account
              SET timezone = 'UTC', timezones = '[[null, "UTC"]]'
            WHERE timezone IS NULL
              AND (state != 'draft' OR EXISTS (
                   SELECT FROM affiliate_commission row
                    WHERE row.stripe_account_id = account.id))"""
    )


def _fill_charges(cr):
    cr.execute(
        """UPDATE affiliate_stripe_charge
              SET captured = (data ->> 'captured')::boolean
            WHERE captured IS NULL"""
    )
    cr.execute(
        """UPDATE affiliate_stripe_charge charge
              SET captured_at = told.captured_at, succeeded_at = told.succeeded_at
             FROM (SELECT account_id, object_ref,
                          MIN(created) FILTER (WHERE type = 'charge.captured')
                          AS captured_at,
                          MIN(created) FILTER (WHERE type = 'charge.succeeded')
                          AS succeeded_at
                     FROM affiliate_stripe_event
                    WHERE type IN ('charge.captured', 'charge.succeeded')
                      AND object_kind = 'charge'
                 GROUP BY account_id, object_ref) told
            WHERE charge.account_id = told.account_id
              AND charge.stripe_id = told.object_ref"""
    )


def _read_again(env):
    """What was taken only in part and gave something back may have let it go only; and
    refunds that name no charge were left out."""
    for table, kind, condition in (
        (
            "affiliate_stripe_charge",
            "charge",
            "amount_captured < amount AND status = 'succeeded'"
            " AND (amount_refunded > 0 OR created > now() - interval '60 days')",
        ),
        (
            "affiliate_stripe_refund",
            "refund",
            "charge_ref IS NULL AND payment_intent IS NOT NULL",
        ),
    ):
        env.cr.execute(
            f"SELECT account_id, array_agg(stripe_id) FROM {table}"
            f" WHERE {condition} GROUP BY account_id"
        )
        for account_id, refs in env.cr.fetchall():
            account = env["affiliate.stripe.account"].browse(account_id)
            env["affiliate.stripe.event"]._put_objects(
                account, [(kind, ref) for ref in refs]
            )
