from odoo import api, fields, models
from odoo.tools import SQL

# Defaults of the settings. A payload is looked at while something is wrong with it; the
# rest of the row still says for a while what arrived.
EVENT_DAYS, PAYLOAD_DAYS = 90, 30
BATCH = 5000


class AffiliateStripeEvent(models.Model):
    """How long the inbox keeps what is done. Waiting and failed events stay.

    Nothing needs old events: mirror and ledger were made from what the API said, and
    an event that comes again only has its object read again.
    """

    _inherit = "affiliate.stripe.event"

    @api.autovacuum
    def _gc_events(self):
        old = self._finished_before("event_days", EVENT_DAYS)
        return self._in_batches(
            SQL("DELETE FROM affiliate_stripe_event WHERE id IN (%s)", old)
        )

    @api.autovacuum
    def _gc_payloads(self):
        old = self._finished_before(
            "payload_days", PAYLOAD_DAYS, SQL("AND event.payload IS NOT NULL")
        )
        return self._in_batches(
            SQL(
                "UPDATE affiliate_stripe_event SET payload = NULL WHERE id IN (%s)", old
            )
        )

    @api.model
    def _retention_days(self, name, default):
        """Return the days of a setting."""
        text = (
            self.env["ir.config_parameter"]
            .sudo()
            .get_param(f"affiliate_stripe.{name}", "")
        )
        return int(text) if text.isdecimal() and int(text) else default

    @api.model
    def _finished_before(self, name, default, condition=None):
        """Return the query for one batch of finished events older than a setting says.

        By way of the accounts, so that the indexes lead to the oldest ones.
        """
        days = self._retention_days(name, default)
        return SQL(
            """SELECT event.id
                 FROM affiliate_stripe_account account
                 JOIN affiliate_stripe_event event ON event.account_id = account.id
                WHERE event.received_at < %s
                  AND event.state IN ('done', 'ignored') %s
                LIMIT %s""",
            fields.Datetime.subtract(fields.Datetime.now(), days=days),
            condition or SQL(),
            BATCH,
        )

    @api.model
    def _in_batches(self, query):
        """Run one batch; tell the autovacuum whether there may be more."""
        self.flush_model()
        self.env.cr.execute(query)
        count = self.env.cr.rowcount
        self.invalidate_model()
        return count, count == BATCH
