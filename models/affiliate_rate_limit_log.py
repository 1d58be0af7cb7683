import logging
from datetime import timedelta

from psycopg2.errors import LockNotAvailable

from odoo import api, fields, models
from odoo.tools import SQL
from odoo.tools.misc import hmac

from ..lib import visits

_logger = logging.getLogger(__name__)

# When visitors came by way of a proxy that Odoo does not heed: a day.
HIDDEN = "affiliate_stripe.addresses_hidden"


# Transient for the tidying up, not for a dialog.
class AffiliateRateLimitLog(models.TransientModel):  # pylint: disable=C8113  # pylint: disable=no-wizard-in-models
    """What visitors did lately, to tell a crowd from a flood.

    Kept for as long as Odoo keeps transient records. An address is stored as a keyed
    hash only: it can be counted, but not read.
    """

    _name = "affiliate.rate.limit.log"
    _description = "Affiliate rate limit log"

    _scope_key_idx = models.Index("(scope, key_hash, create_date)")

    scope = fields.Char(required=True, readonly=True)
    key_hash = fields.Char(required=True, readonly=True)

    @api.model
    def _allow(self, scope, address, limit, minutes=60):
        """Count one more act of a visitor and tell whether it is still allowed.

        In one statement and a transaction of its own: what was counted stays so,
        whatever comes of the act.

        :param str scope: what is counted, e.g. ``apply``
        :param str address: IP address, or None where it is not known: then nothing is
            limited, because all visitors would share one count
        :param int limit: acts allowed within the minutes, of which there are 60 at
            most: transient records are not kept longer
        """
        if not address:
            return True
        network = visits.network_of(address)
        key_hash = hmac(self.env(su=True), f"affiliate_stripe.{scope}", network)
        now = fields.Datetime.now()
        statement = SQL(
            """INSERT INTO affiliate_rate_limit_log 
                      (scope, key_hash, create_date, write_date)
               SELECT %(scope)s, %(key_hash)s, %(now)s, %(now)s
                WHERE (SELECT COUNT(*) FROM (
                           SELECT FROM affiliate_rate_limit_log
                            WHERE scope = %(scope)s AND key_hash = %(key_hash)s
                              AND create_date >= %(since)s
                            LIMIT %(limit)s) lately) < %(limit)s
            RETURNING id""",
            scope=scope,
            key_hash=key_hash,
            now=now,
            since=now - timedelta(minutes=minutes),
            limit=limit,
        )
        sync = self.env["affiliate.stripe.sync"]
        try:
            with sync._statements() as cr:
                sync._hurry(cr, statement)
                return bool(cr.rowcount)
        except LockNotAvailable:
            _logger.info("Not counted, as the log is locked: %s", scope)
            return True

    # === PROXIES === #

    @api.model
    def _note_hidden(self):
        """Note that visitors' addresses cannot be known: for nothing but the first
        request of a day is anything written."""
        today = fields.Date.to_string(fields.Date.today())
        if self.env["ir.config_parameter"].sudo().get_param(HIDDEN) != today:
            self._write_hidden(today)

    @api.model
    def _write_hidden(self, today):
        # Many requests may be the first of the day.
        sync = self.env["affiliate.stripe.sync"]
        try:
            with sync._transaction() as own:
                sync._hurry(
                    own.env.cr,
                    SQL(
                        """INSERT INTO ir_config_parameter (key, value) VALUES (%s, %s)
                           ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value""",
                        HIDDEN,
                        today,
                    ),
                )
        except LockNotAvailable:
            return  # the next request notes it
        self.env.registry.clear_cache("stable")

    @api.model
    def _is_hidden(self):
        """Tell whether visitors' addresses could not be known, today or yesterday."""
        noted = self.env["ir.config_parameter"].sudo().get_param(HIDDEN)
        yesterday = fields.Date.subtract(fields.Date.today(), days=1)
        return bool(noted) and noted >= fields.Date.to_string(yesterday)
