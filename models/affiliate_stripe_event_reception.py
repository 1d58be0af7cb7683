import json
import math
from datetime import datetime, timezone

from odoo import api, models
from odoo.tools import SQL

from ..lib.stripe_events import OBJECT_NAMES, event_target
from ..lib.stripe_text import is_stripe_id, storable, storable_json

WAKE_SECONDS = 1.0
_END_OF_TIME = 253402300800  # the year 10000


class AffiliateStripeEvent(models.Model):
    """The way into the inbox: deliveries are stored, and the workers woken."""

    _inherit = "affiliate.stripe.event"

    @api.model
    def _receive(self, token, body, is_signed):
        """Store one delivery durably, in a transaction of its own.

        :param str token: the secret part of the webhook address
        :param bytes body: the raw body
        :param is_signed: ``f(secrets) -> bool``, checks the signature over the body
        :return: the HTTP status: 200, 400 (unsigned or no event) or 404
        """
        if "\0" in token:
            return 404
        sync = self.env["affiliate.stripe.sync"]
        cron_id = self._cron_id()
        with sync._statements() as cr:
            account_id, company_id, livemode, stripe_account, secrets = (
                _account_of_token(cr, token)
            )
            if not secrets:
                return 404
            if not is_signed(secrets):
                self._note_refused(cr, account_id)
                return 400
            try:
                event = _parse(body)
                if event is None:
                    return 400
                foreign = event.get("livemode", livemode) != livemode or (
                    event.get("account") not in (None, stripe_account)
                )
                waiting, awake = _insert_rows(
                    cr, account_id, company_id, [event], foreign, cron_id
                )
            except RecursionError:  # nested too deeply to be read or written down
                return 400
        if waiting and not awake:
            with sync._transaction() as own:
                own.env[self._name]._wake()
        return 200

    @api.model
    def _note_refused(self, cr, account_id):
        """Remember, once an hour, that a delivery was refused: a wrong secret or clock
        would lose all of them, and nobody would know why."""
        cr.execute(
            """UPDATE affiliate_stripe_account
                  SET refused_at = clock_timestamp() AT TIME ZONE 'UTC'
                WHERE id = %s AND COALESCE(refused_at, '-infinity')
                      < clock_timestamp() AT TIME ZONE 'UTC' - interval '1 hour'
            RETURNING id""",
            [account_id],
        )
        if cr.fetchone():
            with self.env["affiliate.stripe.sync"]._transaction() as own:
                own.env["affiliate.stripe.account"].browse(account_id)._update_warning()

    @api.model
    def _insert(self, account_id, events, foreign=False):
        """Insert events that are not there yet.

        :param list events: parsed events
        :param bool foreign: of another mode or account: kept, never processed
        :return: how many new ones are waiting to be processed
        """
        if not events:
            return 0
        company = self.env["affiliate.stripe.account"].browse(account_id).company_id
        waiting, _awake = _insert_rows(
            self.env.cr, account_id, company.id, events, foreign, self._cron_id()
        )
        return waiting

    @api.model
    def _put_objects(self, account, targets):
        """Have objects read again as if Stripe had told of them: in the background,
        repeated and shown if something is wrong with one.

        :param targets: ``[(kind, stripe id)]``
        """
        events = [
            {
                "id": f"sync_{stripe_id}",
                "object": "event",
                "type": f"sync.{kind}",
                "data": {"object": {"id": stripe_id, "object": OBJECT_NAMES[kind]}},
            }
            for kind, stripe_id in targets
        ]
        self._insert(account.id, events)
        if events:
            self.env.cr.execute(
                """UPDATE affiliate_stripe_event
                      SET state = 'pending', tries = 0, next_try = NULL,
                          leased_until = NULL
                    WHERE account_id = %s AND stripe_id IN %s
                      AND object_kind IS NOT NULL""",
                [account.id, tuple(event["id"] for event in events)],
            )

    @api.model
    def _wake(self):
        """Wake the processing crons, at most once a second.

        Coalesced by time, not by "a trigger is there already": that one may belong to
        a run that is about to end. The run itself looks once more a little after it
        found nothing (see _cron_process), which covers what was coalesced.
        """
        self.env.cr.execute(SQL("SELECT %s", _is_awake(self._cron_id())))
        if not self.env.cr.fetchone()[0]:
            for worker in self._workers():
                worker._trigger()

    @api.model
    def _cron_id(self):
        # Cached, unlike env.ref: the reception has no statement to spare.
        return self.env["ir.model.data"]._xmlid_to_res_id(
            "affiliate_stripe.ir_cron_process", raise_if_not_found=True
        )


def _is_awake(cron_id):
    """Return the SQL that tells whether the crons were woken a moment ago."""
    return SQL(
        """EXISTS (SELECT FROM ir_cron_trigger
                    WHERE cron_id = %s
                      AND call_at > (clock_timestamp() AT TIME ZONE 'UTC')
                                    - make_interval(secs => %s))""",
        cron_id,
        WAKE_SECONDS,
    )


def _account_of_token(cr, token):
    """Return the id, company, mode, Stripe id and secrets behind a webhook address."""
    cr.execute(
        """SELECT id, company_id, livemode, stripe_account_id,
                  ARRAY(SELECT secret FROM affiliate_stripe_endpoint
                         WHERE account_id = account.id AND active
                           AND secret IS NOT NULL
                           AND COALESCE(valid_until, 'infinity')
                               > clock_timestamp() AT TIME ZONE 'UTC')
             FROM affiliate_stripe_account account
            WHERE webhook_token = %s AND active""",
        [token],
    )
    return cr.fetchone() or (None, None, None, None, ())


def _insert_rows(cr, account_id, company_id, events, foreign, cron_id):
    """Insert events; see ``_insert``.

    :return: (how many are waiting, whether the crons were woken a moment ago); one
        statement, because the sender is waiting
    """
    rows = []
    for event in events:
        kind, target = (None, None) if foreign else event_target(event)
        rows.append(
            SQL(
                """(%s, %s, %s, %s, %s, %s, %s,
                    to_timestamp(%s) AT TIME ZONE 'UTC',
                    clock_timestamp() AT TIME ZONE 'UTC', %s, %s, 0)""",
                account_id,
                company_id,
                event["id"],
                _text(event.get("type")),
                kind,
                target,
                _text(event.get("api_version")),
                _timestamp(event.get("created")),
                storable_json(event),
                "pending" if kind else "ignored",
            )
        )
    cr.execute(
        SQL(
            """WITH stored AS (
                   INSERT INTO affiliate_stripe_event
                      (account_id, company_id, stripe_id, type, object_kind, object_ref,
                       api_version, created, received_at, payload, state, tries)
                   VALUES %s
                   ON CONFLICT (account_id, stripe_id) DO NOTHING
                   RETURNING state)
               SELECT COUNT(*) FILTER (WHERE state = 'pending'), %s FROM stored""",
            SQL(", ").join(rows),
            _is_awake(cron_id),
        )
    )
    return cr.fetchone()


def _parse(body):
    """Return the event in ``body``, or None where it is not one."""
    try:
        event = json.loads(body, parse_constant=_refuse, parse_float=_finite)
    except ValueError:
        return None
    if not isinstance(event, dict) or not is_stripe_id(event.get("id")):
        return None
    if not str(event.get("object", "")).endswith("event"):
        return None
    return event


def _finite(text):
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


def _refuse(text):
    # NaN, Infinity and 1e999: neither JSON nor jsonb knows them.
    raise ValueError(text)


def _timestamp(created):
    """Return Unix seconds; thin events carry ISO text."""
    if isinstance(created, str):
        try:
            at = datetime.fromisoformat(created.replace("Z", "+00:00"))
        except ValueError:
            return None
        created = int(at.replace(tzinfo=at.tzinfo or timezone.utc).timestamp())
    known = isinstance(created, int) and 0 < created < _END_OF_TIME
    return int(created) if known else None


def _text(value):
    """Return what a column can hold of ``value``: a text of ordinary length."""
    return storable(value)[:255] if isinstance(value, str) else None
