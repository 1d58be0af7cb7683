from datetime import timedelta

from odoo import api, fields, models
from odoo.tools.misc import hmac

from ..lib import visits


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
    def _allow(self, scope, address, limit, hours=1):
        """Count one more act of a visitor and tell whether it is still allowed.

        :param str scope: what is counted, e.g. ``apply``
        :param str address: IP address, or None where it is not known: then nothing is
            limited, because all visitors would share one count
        :param int limit: acts allowed within the hours
        """
        if not address:
            return True
        log = self.sudo()
        key_hash = hmac(
            log.env, f"affiliate_stripe.{scope}", visits.network_of(address)
        )
        since = fields.Datetime.now() - timedelta(hours=hours)
        count = log.search_count(
            [
                ("scope", "=", scope),
                ("key_hash", "=", key_hash),
                ("create_date", ">=", since),
            ],
            limit=limit,
        )
        if count >= limit:
            return False
        log.create({"scope": scope, "key_hash": key_hash})
        return True
