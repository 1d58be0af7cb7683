import json
import logging
import time
from collections import defaultdict
from datetime import timedelta

from odoo import api, fields, models

from ..lib.stripe_client import ACCOUNT_PROBLEMS, StripeProblem
from ..tools.access import needs
from .affiliate_stripe_mixin import use_lz4

_logger = logging.getLogger(__name__)

# Objects claimed at once: each customer among them is computed once.
BATCH_OBJECTS = 200
LEASE = timedelta(minutes=2)
MAX_TRIES = 8
# Longer than that: an event may become visible a little after it was asked whether to
# wake anybody, and the second look must find it.
LOOK_AGAIN_SECONDS = 1.5
# Each batch costs the same again, however small: while events keep coming, a little
# patience gathers more of them.
GATHER_SECONDS, GATHERED = 0.2, 50


class AffiliateStripeEvent(models.Model):
    """The inbox: every verified delivery, once, as it came, and replayable.

    An event is a doorbell: it says which object changed. What the object *is* is read
    from the API, so order, repetition and age of events do not matter.
    """

    _name = "affiliate.stripe.event"
    _description = "Stripe event"
    _inherit = ["affiliate.protected"]
    _check_company_auto = True
    _order = "id desc"
    _rec_name = "type"

    account_id = fields.Many2one(
        "affiliate.stripe.account",
        required=True,
        readonly=True,
        ondelete="cascade",
        check_company=True,
    )
    company_id = fields.Many2one("res.company", required=True, readonly=True)
    stripe_id = fields.Char(string="Stripe ID", required=True, readonly=True)
    type = fields.Char(readonly=True)
    object_kind = fields.Char(string="Object", readonly=True)
    object_ref = fields.Char(string="Object ID", readonly=True)
    api_version = fields.Char(string="API version", readonly=True)
    created = fields.Datetime(string="Happened", readonly=True)
    received_at = fields.Datetime(string="Received", readonly=True)
    payload = fields.Json(readonly=True)
    payload_text = fields.Text(string="Payload (text)", compute="_compute_payload_text")
    state = fields.Selection(
        [
            ("pending", "Pending"),
            ("done", "Done"),
            ("ignored", "Ignored"),
            ("failed", "Failed"),
        ],
        default="pending",
        required=True,
        readonly=True,
    )
    tries = fields.Integer(readonly=True)
    next_try = fields.Datetime(string="Next try", readonly=True)
    leased_until = fields.Datetime(readonly=True)
    error = fields.Char(readonly=True)

    _stripe_id_uniq = models.UniqueIndex("(account_id, stripe_id)")
    _pending_idx = models.Index(
        "(account_id, object_kind, object_ref) WHERE state = 'pending'"
    )
    # The sender waits while indexes are written: no more of them than work needs.
    _oldest_idx = models.Index("(account_id, id) WHERE state = 'pending'")
    _failed_idx = models.Index("(account_id) WHERE state = 'failed'")
    # For the newest events of an account, and for the oldest (see _gc_events).
    _received_idx = models.Index("(account_id, received_at)")
    _payload_idx = models.Index("(account_id, received_at) WHERE payload IS NOT NULL")

    def init(self):  # pylint: disable=missing-return
        super().init()
        use_lz4(self.env.cr, self._table, "payload")

    # === COMPUTE METHODS === #

    @api.depends("payload")
    def _compute_payload_text(self):
        for event in self:
            event.payload_text = json.dumps(event.payload or {}, indent=2)

    # === PROCESSING === #

    @api.model
    def _cron_process(self):
        """Process pending events until none is left, and look once more.

        The second look, a little later, finds what arrived while waking was coalesced
        (see _wake).
        """
        crons = self.env["ir.cron"]
        for pause in (0, LOOK_AGAIN_SECONDS):
            time.sleep(pause)
            while done := self._process_batch():
                if not crons._commit_progress(done, remaining=self._count_pending()):
                    return
                if done < GATHERED:
                    time.sleep(GATHER_SECONDS)

    @api.model
    def _process_pending(self):
        """Process all that is pending, here and now."""
        while self._process_batch():
            pass

    @api.model
    def _count_pending(self):
        # The cron wants to know whether much is left, not how many of a million.
        return self.search_count(self._claimable_domain(), limit=10 * BATCH_OBJECTS)

    @api.model
    def _claimable_domain(self):
        now = fields.Datetime.now()
        return [
            ("state", "=", "pending"),
            ("account_id.state", "=", "connected"),
            "|",
            ("account_id.backoff_until", "=", False),
            ("account_id.backoff_until", "<=", now),
            "|",
            ("next_try", "=", False),
            ("next_try", "<=", now),
            "|",
            ("leased_until", "=", False),
            ("leased_until", "<=", now),
        ]

    @api.model
    def _process_batch(self, limit=BATCH_OBJECTS):
        """Claim, read, write: the events of up to ``limit`` objects of each account.

        :return: how many events were brought to an end or put off
        """
        sync = self.env["affiliate.stripe.sync"]
        with sync._transaction() as own:
            claimed = own.env[self._name]._claim(limit)
        count = 0
        for account_id, targets in claimed.items():
            account = self.env["affiliate.stripe.account"].browse(account_id)
            count += sum(map(len, targets.values()))
            self._process_account(account, targets)
        return count

    @api.model
    def _claim(self, limit):
        """Lease the pending events of up to ``limit`` objects of each account, oldest
        first, and with them what else is pending about these objects.

        Two workers never wait for each other here: what another one holds is skipped.

        :return: ``{account id: {(kind, object id): [event ids]}}``
        """
        self.env.cr.execute(
            """
            WITH ready AS (
                SELECT event.*
                  FROM affiliate_stripe_account account
                 CROSS JOIN LATERAL (
                       SELECT id, account_id, object_kind, object_ref
                         FROM affiliate_stripe_event
                        WHERE account_id = account.id AND state = 'pending'
                          AND COALESCE(next_try, '-infinity') <= %(now)s
                          AND COALESCE(leased_until, '-infinity') <= %(now)s
                     ORDER BY id
                        LIMIT %(limit)s
                          FOR UPDATE SKIP LOCKED) event
                 WHERE account.state = 'connected'
                   AND COALESCE(account.backoff_until, '-infinity') <= %(now)s
            ), siblings AS (
                SELECT event.id
                  FROM affiliate_stripe_event event
                  JOIN (SELECT DISTINCT account_id, object_kind, object_ref
                          FROM ready) wanted
                 USING (account_id, object_kind, object_ref)
                 WHERE event.state = 'pending'
                   AND COALESCE(event.leased_until, '-infinity') <= %(now)s
                   FOR UPDATE OF event SKIP LOCKED
            )
            UPDATE affiliate_stripe_event event
               SET leased_until = %(until)s
             WHERE event.id IN (SELECT id FROM ready UNION SELECT id FROM siblings)
            RETURNING event.id, event.account_id, event.object_kind, event.object_ref
            """,
            {
                "now": fields.Datetime.now(),
                "until": fields.Datetime.now() + LEASE,
                "limit": limit,
            },
        )
        claimed = defaultdict(lambda: defaultdict(list))
        for event_id, account_id, kind, ref in self.env.cr.fetchall():
            claimed[account_id][kind, ref].append(event_id)
        return claimed

    @api.model
    def _process_account(self, account, targets):
        """Read the objects of claimed events, then write them.

        All in one transaction; if that fails, one object at a time, so that a bad
        one cannot hold up the rest.
        """
        sync = self.env["affiliate.stripe.sync"]
        synced_at = sync._database_now()
        results = sync._read_objects(account, set(targets))
        good = {t: r for t, r in results.items() if not isinstance(r, StripeProblem)}
        gone = {
            target
            for target, result in results.items()
            if isinstance(result, StripeProblem) and result.code == "missing"
        }
        try:
            self._store_results(account, good, gone, targets, synced_at)
        except Exception as error:
            _logger.info("Batch of Stripe events failed, trying one by one: %s", error)
            for target in [*good, *gone]:
                single = {target: good[target]} if target in good else {}
                try:
                    self._store_results(
                        account, single, gone & {target}, targets, synced_at
                    )
                except Exception as single_error:
                    _logger.exception("Stripe object %s could not be stored", target)
                    self._put_off(targets[target], str(single_error))
        self._after_problems(account, results, targets)

    @api.model
    def _store_results(self, account, good, gone, targets, synced_at):
        """Store objects and mark their events done: one commit."""
        with self.env["affiliate.stripe.sync"]._transaction() as own:
            readings = [reading for result in good.values() for reading in result]
            own._store(account.with_env(own.env), readings, synced_at, gone)
            ids = [i for target in [*good, *gone] for i in targets[target]]
            if ids:
                own.env.cr.execute(
                    """UPDATE affiliate_stripe_event
                          SET state = 'done', error = NULL, leased_until = NULL
                        WHERE id IN %s""",
                    [tuple(ids)],
                )

    @api.model
    def _after_problems(self, account, results, targets):
        """Sort out what could not be read: whose fault, and when to try again."""
        hindered, problem, is_alone = [], None, False
        for target, result in results.items():
            if getattr(result, "code", None) in ACCOUNT_PROBLEMS:
                # Not the event's fault: it costs no try.
                hindered += targets[target]
                problem = result if not problem or result.stops_account else problem
                continue
            is_alone = True
            if isinstance(result, StripeProblem) and result.code != "missing":
                self._put_off(targets[target], str(result))
        if not problem and not account.backoff_count:
            return
        with self.env["affiliate.stripe.sync"]._transaction() as own:
            account = account.with_env(own.env)
            if not problem:
                account._note_success()
                return
            account._handle_problem(problem, is_alone)
            own.env.cr.execute(
                "UPDATE affiliate_stripe_event SET leased_until = NULL WHERE id IN %s",
                [tuple(hindered)],
            )

    @api.model
    def _put_off(self, event_ids, error):
        """Count a failed try: later again, less and less often, in the end never."""
        with self.env["affiliate.stripe.sync"]._transaction() as own:
            own.env.cr.execute(
                """UPDATE affiliate_stripe_event
                      SET tries = tries + 1, error = %s, leased_until = NULL,
                          next_try = (clock_timestamp() AT TIME ZONE 'UTC')
                                     + make_interval(mins => (2 ^ tries)::int),
                          state = CASE WHEN tries + 1 >= %s THEN 'failed'
                                       ELSE 'pending' END
                    WHERE id IN %s
                RETURNING account_id, state""",
                [error[:500], MAX_TRIES, tuple(event_ids)],
            )
            broken = {key for key, state in own.env.cr.fetchall() if state == "failed"}
            own.env["affiliate.stripe.account"].browse(broken)._update_warning()

    # === ACTION METHODS === #

    @needs("write", sudo=True)
    def action_retry(self):
        """Process these events again, now; safe for any event at any time."""
        known = self.filtered(lambda event: event.object_kind)
        broken = known.filtered(lambda event: event.state == "failed").account_id
        known.write(
            {"state": "pending", "tries": 0, "next_try": False, "leased_until": False}
        )
        broken._update_warning()
        self._wake()
        return True
