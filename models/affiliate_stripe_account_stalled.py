"""Events that nobody processes: it is seen, said, and where possible mended.

Odoo with ``workers = 0`` runs scheduled actions in threads. They end where PostgreSQL
does not answer at the moment they connect anew (``ThreadedServer.cron_thread``), and
Odoo starts none in their place, while pages and webhooks go on. With ``workers`` they
are processes, which Odoo starts again.
"""

import logging
import threading
import time
from datetime import timedelta

from odoo import api, fields, models
from odoo.modules import module
from odoo.service import server
from odoo.tools import SQL, config

_logger = logging.getLogger(__name__)

# The process is woken by each event and runs once a minute besides.
STALLED = timedelta(minutes=5)
LOOK_EVERY = 60.0  # seconds, in each process
# Accounts with events that are due and that no worker takes. A worker lives where it
# has leased events or a part of a reading, or where the action ended well not long ago.
# Events that wait for another try, and accounts that pause or stand still, are not due.
WAITING = """
    SELECT account.id, oldest.due
      FROM affiliate_stripe_account account
CROSS JOIN LATERAL (
           SELECT GREATEST(received_at, next_try, leased_until, account.backoff_until)
                  AS due
             FROM affiliate_stripe_event
            WHERE account_id = account.id AND state = 'pending'
              AND COALESCE(next_try, '-infinity') <= %(now)s
              AND COALESCE(leased_until, '-infinity') <= %(now)s
         ORDER BY id LIMIT 1) oldest
     WHERE account.active AND account.state = 'connected'
       AND COALESCE(account.backoff_until, '-infinity') <= %(now)s
       AND oldest.due < %(since)s
       AND NOT EXISTS (
           SELECT FROM affiliate_stripe_event
            WHERE account_id = account.id AND state = 'pending'
              AND leased_until > %(now)s)
       AND NOT EXISTS (
           SELECT FROM affiliate_stripe_run_part WHERE leased_until > %(now)s)
       AND NOT EXISTS (
           SELECT FROM ir_cron
            WHERE id IN %(crons)s AND failure_count = 0 AND lastcall > %(since)s)
"""
_looked = {}  # when this process looked last, by database
_began = time.monotonic()
_reviving = threading.Lock()


class AffiliateStripeAccount(models.Model):
    _inherit = "affiliate.stripe.account"

    stalled_since = fields.Datetime(
        compute="_compute_stalled_since",
        help="Events have been waiting since then, and no worker takes them.",
    )
    # Said by the activity, which nobody but a worker can take back.
    is_stalled = fields.Boolean(readonly=True, copy=False)

    def _compute_stalled_since(self):
        stalled = self._stalled()
        for account in self:
            account.stalled_since = stalled.get(account.id)

    @api.model
    def _stalled(self):
        """Return ``{account id: since when}`` where events wait in vain."""
        crons = self.env["affiliate.stripe.event"]._workers().filtered("active")
        if not crons:
            return {}  # said otherwise, see inactive_crons
        self.env["affiliate.stripe.event"].flush_model()
        self.flush_model(["active", "state", "backoff_until"])
        now = fields.Datetime.now()
        return dict(
            self.env.execute_query(
                SQL(WAITING, now=now, since=now - STALLED, crons=tuple(crons.ids))
            )
        )

    @api.model
    def _note_stalled(self):
        """Say what is stalled, or that it is over, where something has changed."""
        accounts = self.sudo().with_context(active_test=False)
        stalled = accounts.browse(self._stalled())
        said = accounts.search([("is_stalled", "=", True)])
        changed = (said | stalled) - (said & stalled)
        if changed:
            for account in changed:
                account.is_stalled = account in stalled
            changed._update_warning()
        return stalled

    def _warnings(self):
        texts = super()._warnings()
        if self.stalled_since:
            texts.append(self._stalled_text())
        return texts

    def _stalled_text(self):
        return self.env._(
            "Events of Stripe have been waiting since %s UTC: Odoo's scheduled actions "
            "do not run, as may happen after the database was restarted. Restart Odoo. "
            "With “workers” in its configuration it starts them again by itself. "
            "Nothing is lost: what waits is processed then.",
            fields.Datetime.to_string(self.stalled_since),
        )


class AffiliateStripeEvent(models.Model):
    _inherit = "affiliate.stripe.event"

    @api.model
    def _receive(self, token, body, is_signed):
        status = super()._receive(token, body, is_signed)
        if status == 200:
            try:
                self._look_after_workers()
            except Exception:
                # What was delivered is stored, so Stripe need not send it again.
                _logger.exception("Whether events are processed could not be seen.")
        return status

    @api.model
    def _look_after_workers(self):
        """See once a minute whether somebody processes what comes in; if nobody does,
        say so and start what can be started."""
        now, database = time.monotonic(), self.env.cr.dbname
        if now - _looked.get(database, _began) < LOOK_EVERY:
            return
        _looked[database] = now
        with self.env["affiliate.stripe.sync"]._transaction() as own:
            stalled = own.env["affiliate.stripe.account"]._note_stalled()
            if stalled:
                own.env[self._name]._wake()
        if stalled and revive_workers():
            _logger.warning(
                "Events of Stripe were waiting, as no thread was left that runs "
                "scheduled actions: they are started again."
            )

    @api.model
    def _cron_process(self):
        done = super()._cron_process()
        with self.env["affiliate.stripe.sync"]._transaction() as own:
            if own.env["affiliate.stripe.account"].search_count(
                [("is_stalled", "=", True)], limit=1
            ):
                own.env["affiliate.stripe.account"]._note_stalled()
        return done


def revive_workers():
    """Start the threads that run scheduled actions, where this server should have some
    and has none; tell whether it did."""
    running = server.server
    if not isinstance(running, server.ThreadedServer) or module.current_test:
        return False
    with _reviving:
        alive = any(
            getattr(thread, "type", None) == "cron" for thread in threading.enumerate()
        )
        if alive or not config["max_cron_threads"]:
            return False
        running.cron_spawn()
        return True
