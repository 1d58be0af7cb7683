"""E-mail addresses are compared in one form in every script, until now in one of their
domain only; and sessions without a customer are found by theirs."""

from psycopg2.extras import execute_values

from odoo.addons.affiliate_stripe.lib.domains import mailbox
from odoo.addons.affiliate_stripe.tools.addresses import email_key

BATCH = 10_000
# Letters outside of A-Z, and domains that end with a point: all else stays as it is.
OTHERWISE = "({0} ~ '[^[:ascii:]]' OR {0} LIKE '%%.')"


def migrate(cr, _version):
    changed = set()
    for table, column, key, where in (
        (
            "affiliate_referral",
            "email_normalized",
            email_key,
            OTHERWISE.format("email"),
        ),
        (
            "affiliate_stripe_customer",
            "email_normalized",
            email_key,
            OTHERWISE.format("email"),
        ),
        ("affiliate_application", "mailbox", mailbox, OTHERWISE.format("email")),
        (
            "affiliate_stripe_checkout_session",
            "email_normalized",
            email_key,
            "customer_ref IS NULL AND email IS NOT NULL",
        ),
    ):
        changed |= _respell(cr, table, column, key, where)
    # Whoever is somebody else now, or was brought by such a session: each night's run
    # works out what is due.
    cr.execute(
        """UPDATE affiliate_stripe_customer SET ledger_due = TRUE
            WHERE email_normalized = ANY(%s) AND ledger_dry IS NOT TRUE""",
        [list(changed)],
    )


def _respell(cr, table, column, key, where):
    """Write a column anew, made of the e-mail address of its row.

    :return: the values that have changed
    """
    cr.execute(f"SELECT id, email, {column} FROM {table} WHERE {where}", ())
    fresh = [
        (row_id, key(email))
        for row_id, email, present in cr.fetchall()
        if key(email) != (present or "")
    ]
    for start in range(0, len(fresh), BATCH):
        execute_values(
            cr._obj,
            f"""UPDATE {table} SET {column} = new.value
                  FROM (VALUES %s) AS new (id, value) WHERE {table}.id = new.id""",
            fresh[start : start + BATCH],
        )
    return {value for _id, value in fresh if value}
