import json
import logging
import secrets
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from datetime import timedelta

import psycopg2

from odoo import api, fields, models

from ..lib.stripe_client import ACCOUNT_PROBLEMS, StripeProblem
from ..lib.stripe_lists import (
    Place,
    next_places,
    read_page,
    share_walked,
    without_cursor,
)
from ..lib.stripe_text import short_id
from .affiliate_stripe_run import LEDGER_KIND

_logger = logging.getLogger(__name__)

# Lists read at the same time by one worker. At 100 objects a page that is plenty.
PARALLEL_LISTS = 8
# Renewed with every page; a killed walk goes on after it.
LEASE = timedelta(minutes=2)


class AffiliateStripeRun(models.Model):
    """How a run walks: threads read pages ahead, the worker stores them one by one.

    A page, the place after it and what has to be computed anew because of it are
    stored in one transaction. Killed at any moment, a walk goes on where it was once
    its lease is over; a page read twice changes nothing.
    """

    _inherit = "affiliate.stripe.run"

    @api.model
    def _cron_walk(self):
        """Do what there is to do of all runs, as long as the cron may."""
        crons = self.env["ir.cron"]
        self._walk_all(lambda count: crons._commit_progress(count, remaining=1))
        crons._commit_progress(remaining=0)

    @api.model
    def _walk_all(self, keep_going=lambda _count: True):
        """Walk all runs to their end, here and now.

        :param keep_going: called with the number of objects after each page; false
            ends the walk, which goes on another time
        """
        token = secrets.token_urlsafe(12)
        while keep_going(0):  # also begins to see what others have committed
            self._finish_walked()
            with self.env["affiliate.stripe.sync"]._transaction() as own:
                run, parts = own.env[self._name]._claim(token)
                run, parts = run.id, parts.ids
            if not run:
                return
            run = self.browse(run)
            try:
                going = run._walk(self.part_ids.browse(parts), token, keep_going)
            except StripeProblem as problem:
                run._hindered(problem)
                going = True
            except Exception as error:
                run._put_aside(error)
                going = True
            finally:
                run._release(token)
            run.invalidate_recordset()
            if not going:
                self._wake()
                return

    # === CLAIMING === #

    @api.model
    def _claim(self, token):
        """Lease open parts of the first stage of the oldest run that has any.

        :return: (run, parts), both empty where there is nothing to do now
        """
        self.env.cr.execute(
            """
            WITH ready AS (
                SELECT part.id, part.run_id, part.stage
                  FROM affiliate_stripe_run_part part
                  JOIN affiliate_stripe_run run ON run.id = part.run_id
                  JOIN affiliate_stripe_account account ON account.id = run.account_id
                 WHERE NOT part.done AND run.state = 'running'
                   AND account.state = 'connected'
                   AND COALESCE(account.backoff_until, '-infinity') <= %(now)s
                   AND COALESCE(part.leased_until, '-infinity') <= %(now)s
                   AND part.stage = (SELECT MIN(stage)
                                       FROM affiliate_stripe_run_part
                                      WHERE run_id = run.id AND NOT done)
              ORDER BY part.run_id, part.id
                   FOR UPDATE OF part SKIP LOCKED
                 LIMIT %(limit)s
            )
            UPDATE affiliate_stripe_run_part part
               SET leased_until = %(until)s, leased_by = %(token)s
              FROM ready
             WHERE part.id = ready.id
               AND ready.run_id = (SELECT MIN(run_id) FROM ready)
            RETURNING part.run_id, part.id
            """,
            {
                "now": fields.Datetime.now(),
                "until": fields.Datetime.now() + LEASE,
                "token": token,
                "limit": PARALLEL_LISTS,
            },
        )
        claimed = self.env.cr.fetchall()
        self.env.invalidate_all(flush=False)
        return (
            self.browse({run_id for run_id, _part in claimed}),
            self.part_ids.browse(sorted(part for _run, part in claimed)),
        )

    def _release(self, token):
        """Let others have what we did not finish."""
        with self.env["affiliate.stripe.sync"]._transaction() as own:
            own.env.cr.execute(
                """UPDATE affiliate_stripe_run_part
                      SET leased_until = NULL, leased_by = NULL
                    WHERE run_id = %s AND leased_by = %s""",
                [self.id, token],
            )

    @api.model
    def _finish_walked(self):
        """Finish runs whose parts are all done.

        Not when the last part ends: whoever ended it may have been killed just then.
        """
        # One worker finishes a run, however many look just now.
        self.env.cr.execute(
            """SELECT id FROM affiliate_stripe_run run
                WHERE state = 'running'
                  AND NOT EXISTS (SELECT FROM affiliate_stripe_run_part
                                   WHERE run_id = run.id AND NOT done)"""
        )
        for run in self.browse([run_id for (run_id,) in self.env.cr.fetchall()]):
            try:
                finished = run._finish_once()
            except Exception as error:
                run._put_aside(error)
                continue
            if finished and run.purpose in ("read", "nightly"):
                run._catch_up()

    def _finish_once(self):
        """Finish this run unless another worker does; return whether we did."""
        with self.env["affiliate.stripe.sync"]._transaction() as own:
            own.env.cr.execute(
                """SELECT id FROM affiliate_stripe_run
                    WHERE id = %s AND state = 'running' FOR UPDATE SKIP LOCKED""",
                [self.id],
            )
            ours = bool(own.env.cr.fetchone())
            if ours:
                self.with_env(own.env)._finish()
        self.invalidate_recordset()
        return ours

    def _catch_up(self):
        """Take in what happened while we walked."""
        try:
            self.env["affiliate.stripe.sync"]._poll_events(self.account_id)
        except StripeProblem as problem:
            self._hindered(problem)

    def _hindered(self, problem):
        """Stop the account, or wait a little; a problem of one list does neither."""
        _logger.info("Reading of Stripe account %s: %s", self.account_id.id, problem)
        if problem.code not in ACCOUNT_PROBLEMS:
            return
        with self.env["affiliate.stripe.sync"]._transaction() as own:
            account = self.account_id.with_env(own.env)
            account._handle_problem(problem)
            if account.backoff_until:
                self.env.ref("affiliate_stripe.ir_cron_sync").with_env(
                    own.env
                )._trigger(account.backoff_until)

    def _put_aside(self, error):
        """Stop this run, so that the others go on, and have a person look at it."""
        if isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError):
            # The database was away, or two wrote at once: the cron comes again.
            raise error
        _logger.exception("Reading %s is put aside", self.id)
        with self.env["affiliate.stripe.sync"]._transaction() as own:
            self.with_env(own.env)._end(f"{type(error).__name__}: {error}")
        self.invalidate_recordset()

    # === WALKING === #

    def _walk(self, parts, token, keep_going):
        """Walk leased parts of one stage. Return False when time is over."""
        if parts[:1].kind == LEDGER_KIND:
            return self._walk_ledger(parts, token, keep_going)
        sync = self.env["affiliate.stripe.sync"]
        stripe_api, clock = sync._get_api(self.account_id), sync._get_clock()
        going = True

        def read(place):
            return pool.submit(read_page, stripe_api, place, clock)

        with ThreadPoolExecutor(PARALLEL_LISTS) as pool:
            waiting = {}
            for part in parts:
                place = part._to_place()
                waiting[read(place)] = (part.id, place)
            while waiting and going:
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    part_id, place = waiting.pop(future)
                    page, ahead = self._get_page(future, part_id, token, place)
                    if ahead:
                        waiting[read(ahead)] = (part_id, ahead)
                    if not page:
                        continue
                    places = self._places_after(place, page, len(waiting))
                    # The next page is on its way while this one is stored.
                    coming = [(read(ahead), ahead) for ahead in places]
                    part_ids = self._take_page(part_id, token, place, page, places)
                    waiting |= {
                        future: (part_id, ahead)
                        for part_id, (future, ahead) in zip(
                            part_ids, coming, strict=False
                        )
                    }
                    going = keep_going(len(page.raws)) and going
        return going

    def _get_page(self, future, part_id, token, place):
        """Return the page that was read, or None and where to go on instead, if so.

        What is wrong with one list ends its part, and not the reading of the others.
        """
        try:
            return future.result(), None
        except StripeProblem as problem:
            if problem.code in ACCOUNT_PROBLEMS:
                raise
            ahead = without_cursor(place, problem)
            if not ahead:
                self._give_up(part_id, token, problem)
            return None, ahead

    def _give_up(self, part_id, token, problem):
        """End a part that cannot be read, and keep the reason."""
        _logger.info("Part %s of a reading ends: %s", part_id, problem)
        with self.env["affiliate.stripe.sync"]._transaction() as own:
            own.env.cr.execute(
                """UPDATE affiliate_stripe_run_part
                      SET done = TRUE, problem = %s
                    WHERE id = %s AND leased_by = %s""",
                [str(problem), part_id, token],
            )

    def _places_after(self, place, page, busy):
        """Return where to go on: at two places where somebody is free for the other.

        :param int busy: how many other lists are being read
        """
        return next_places(place, page, split=busy + 1 < PARALLEL_LISTS)

    def _take_page(self, part_id, token, place, page, places):
        """Store a page and where to go on.

        :return: ids of the parts of ``places``, or [] where the lease is lost or the
            run was stopped: then nothing is stored
        """
        sync = self.env["affiliate.stripe.sync"]
        lookups = bool(self.date_from)
        try:
            readings = page.readings + sync._read_needed(
                self.account_id, page.readings, lookups
            )
            return self._store_readings(part_id, token, page, places, readings)
        except (StripeProblem, psycopg2.DataError, psycopg2.IntegrityError) as problem:
            if getattr(problem, "code", None) in ACCOUNT_PROBLEMS:
                raise
            # The inbox isolates, repeats and shows the bad one; the walk goes on.
            _logger.info("A page of %s goes through the inbox: %s", place.kind, problem)
            return self._store_readings(part_id, token, page, places, [], page.raws)

    def _store_readings(self, part_id, token, page, places, readings, deferred=()):
        """Store, in one transaction, what a page led to and where to go on.

        :param deferred: objects of Stripe that are left to the inbox
        :return: as of ``_take_page``
        """
        with self.env["affiliate.stripe.sync"]._transaction() as own:
            part_ids = own.env[self._name]._move_on(part_id, token, page, places)
            if part_ids is None:
                return []
            account = self.account_id.with_env(own.env)
            account._note_success()
            if readings:
                own._store(account, readings, page.asked_at, purpose=self.purpose)
            part = self.part_ids.with_env(own.env).browse(part_id)
            part._defer([raw["id"] for raw in [*page.unreadable, *deferred]])
            return part_ids

    @api.model
    def _move_on(self, part_id, token, page, places):
        """Remember the places after a page. None where the part is not ours now."""
        here = places[0] if places else None
        self.env.cr.execute(
            """UPDATE affiliate_stripe_run_part part
                  SET after = %(after)s, reached = %(reached)s, done = %(done)s,
                      params = COALESCE(%(params)s::jsonb, params),
                      created_from = COALESCE(%(start)s::timestamp, created_from),
                      objects = COALESCE(objects, 0) + %(count)s,
                      share_done = GREATEST(share_done, %(share)s),
                      leased_until = %(until)s
                 FROM affiliate_stripe_run run
                WHERE part.id = %(part)s AND part.leased_by = %(token)s
                  AND run.id = part.run_id AND run.state = 'running'
            RETURNING part.run_id, part.kind, part.stage, part.params""",
            {
                "after": here and here.after,
                "reached": here and here.reached,
                "params": here and json.dumps(here.params),
                "done": not here,
                "start": here and here.start,
                "count": len(page.raws),
                "share": share_walked(here, page) if here else 1,
                "until": fields.Datetime.now() + LEASE,
                "part": part_id,
                "token": token,
            },
        )
        row = self.env.cr.fetchone()
        if not row:
            return None
        run_id, kind, stage, params = row
        new_parts = self.part_ids.create(
            [
                {
                    "run_id": run_id,
                    "kind": kind,
                    "stage": stage,
                    "params": params,
                    "created_from": place.start,
                    "created_to": place.end,
                    "leased_by": token,
                    "leased_until": fields.Datetime.now() + LEASE,
                }
                for place in places[1:]
            ]
        )
        return [part_id, *new_parts.ids][: len(places)]

    # === THE LAST STAGE === #

    def _walk_ledger(self, parts, token, keep_going):
        """Let the business part compute what the pages have changed, in batches."""
        part_id, going = parts[:1].id, True
        while going:
            with self.env["affiliate.stripe.sync"]._transaction() as own:
                part = own.env[parts._name].browse(part_id)
                if part.run_id.state != "running" or part.leased_by != token:
                    return True
                count, after = part.run_id._compute_later(part.after)
                part.write(
                    {
                        "after": after,
                        "done": not after,
                        "share_done": 0 if after else 1,
                        "objects": part.objects + count,
                        "leased_until": fields.Datetime.now() + LEASE,
                    }
                )
            if not after:
                break
            going = keep_going(count)
        return going

    @api.model
    def _compute_later(self, after):
        """Hook: compute a batch of what the mirror's changes have consequences for.

        :param after: what the last call returned
        :return: (how many, where to go on or None)
        """
        return 0, None


class AffiliateStripeRunPart(models.Model):
    _inherit = "affiliate.stripe.run.part"

    def _defer(self, stripe_ids):
        """Leave objects to the inbox, which repeats and shows the bad ones.

        A dry run does not: the inbox books. It says what is left out.
        """
        if self.run_id.purpose != "preview":
            self.env["affiliate.stripe.event"]._put_objects(
                self.run_id.account_id, [(self.kind, ref) for ref in stripe_ids]
            )
        elif stripe_ids:
            left_out = self.env._("left out: %s", ", ".join(map(short_id, stripe_ids)))
            self.problem = "; ".join(filter(None, (self.problem, left_out)))[:500]

    def _to_place(self):
        self.ensure_one()
        return Place(
            self.kind,
            self.created_from or None,
            self.created_to or None,
            self.after or None,
            self.params or {},
            self.reached or None,
        )
