import logging
import time
from collections import defaultdict
from contextlib import contextmanager
from datetime import timedelta
from functools import partial

from psycopg2.extensions import ISOLATION_LEVEL_READ_COMMITTED, STATUS_READY

from odoo import SUPERUSER_ID, api, fields, models
from odoo.sql_db import Cursor
from odoo.tools import SQL

from ..lib.stripe_client import StripeProblem, in_parallel
from ..lib.stripe_lists import understand
from ..lib.stripe_objects import KINDS, MODELS, guest_id

_logger = logging.getLogger(__name__)

# An object leads to others (refund > charge > session > …); four steps reach all.
MAX_ROUNDS = 6
# Whose invoice each payment pays.
_PAID = SQL(
    """(SELECT paid.customer_ref, paid.account_id, payment.payment_intent
          FROM affiliate_stripe_invoice_payment payment
          JOIN affiliate_stripe_invoice paid
            ON paid.account_id = payment.account_id
           AND paid.stripe_id = payment.invoice_ref)"""
)
# What happens to a payment of that age is told by events: no need to ask for it.
TOLD_OF = timedelta(hours=1)


class AffiliateStripeSync(models.AbstractModel):
    """The engine: read objects from Stripe, store them, tell the business part.

    Webhooks, polling, "Sync now" and the buttons on mirror rows are only callers.
    Reading happens with no transaction open; everything read is written in one.
    """

    _name = "affiliate.stripe.sync"
    _description = "Stripe synchronisation"

    # === CURSORS === #

    @contextmanager
    def _transaction(self):
        """Yield this model in a READ COMMITTED transaction of its own."""
        with read_committed(self.env.registry) as cr:
            yield self.with_env(
                api.Environment(cr, SUPERUSER_ID, {"active_test": False})
            )

    @contextmanager
    def _statements(self):
        """Yield a cursor on which each statement is a transaction of its own.

        For the reception of webhooks, where BEGIN, COMMIT, an environment and another
        connection would cost more than the statements. READ COMMITTED too, and durable
        at once. The request's own connection does it where it has nothing open yet (it
        has while caches are filled); it stays in this mode until the pool lends it out
        again.
        """
        cr = self.env.cr
        if isinstance(cr, Cursor) and cr.connection.status == STATUS_READY:
            cr.connection.autocommit = True
            yield cr
        else:
            with self.env.registry.cursor() as own:
                if isinstance(own, Cursor):
                    own.connection.autocommit = True
                yield own

    @api.model
    def _get_api(self, account):
        """Return the account's ``StripeApi`` and leave no transaction open."""
        with self._transaction() as own:
            return account.with_env(own.env)._api()

    # === READING === #

    @api.model
    def _read_objects(self, account, targets):
        """Read ``targets`` and everything they lead to.

        :param targets: ``{(kind, stripe id)}``
        :return: ``{target: [Reading] or StripeProblem}``; a ``missing`` problem means
            Stripe has deleted the object. A target's list holds its own reading and
            those of the objects it led to.
        """
        stripe_api = self._get_api(account)
        results, owner, seen = {}, {target: target for target in targets}, set(targets)
        asked, pool, failed = set(), {}, {}
        jobs = [("object", target) for target in sorted(targets)]
        for _round in range(MAX_ROUNDS):
            answers = in_parallel(partial(_read, stripe_api), jobs)
            fresh = {}
            for job, answer in answers:
                target = owner[_job_key(job)]
                if not isinstance(answer, StripeProblem):
                    for reading in answer:
                        first = reading.rows[0]
                        pool[first.kind, first.stripe_id] = reading
                if isinstance(answer, StripeProblem):
                    _note_problem(results, target, job, answer)
                    if answer.code != "missing":
                        failed[_job_key(job)] = answer
                elif not isinstance(results.get(target), StripeProblem):
                    results.setdefault(target, []).extend(answer)
                    seen |= _read_firsthand(answer)
                    for reading in answer:
                        fresh[id(reading)] = (reading, target)
            jobs = self._next_jobs(account, fresh.values(), owner, seen, asked)
            if not jobs:
                break
        for target, found in results.items():
            if not isinstance(found, StripeProblem):
                results[target] = _with_needed(found, pool, failed)
        return results

    @api.model
    def _next_jobs(self, account, readings, owner, seen, asked, with_lookups=True):
        """Return what ``readings`` lead to and is neither mirrored nor read yet."""
        needed, lookups, parts = defaultdict(dict), [], []
        # What was read need not be looked for.
        asked |= _charge_lookups([reading for reading, _target in readings], "charge")
        for reading, target in readings:
            for kind, stripe_id in reading.needs - seen:
                needed[kind].setdefault(stripe_id, target)
            for kind, params in reading.lookups if with_lookups else ():
                lookups.append((kind, params, reading.rows[0], target))
            parts += [(kind, params, target) for kind, params in reading.parts]
        jobs = []
        with self._transaction() as sync:
            for kind, targets in needed.items():
                known = sync.env[MODELS[kind]]._mirrored(account, list(targets))
                for stripe_id in sorted(targets.keys() - known):
                    seen.add((kind, stripe_id))
                    owner[kind, stripe_id] = targets[stripe_id]
                    jobs.append(("object", (kind, stripe_id)))
            first_seen = sync._first_seen(account, [row for _k, _p, row, _t in lookups])
            recently = sync.env.cr.now() - TOLD_OF
        parts += [
            (kind, params, target)
            for kind, params, row, target in lookups
            if (row.kind, row.stripe_id) in first_seen
            and not _is_told_of(kind, row, recently)
        ]
        for kind, params, target in parts:
            key = (kind, str(params))
            if key not in asked:
                asked.add(key)
                owner[key] = target
                jobs.append(("lookup", (kind, params)))
        return jobs

    @api.model
    def _first_seen(self, account, rows):
        """Return the ``(kind, id)`` of ``rows`` that the mirror does not hold yet."""
        by_kind = defaultdict(set)
        for row in rows:
            by_kind[row.kind].add(row.stripe_id)
        return {
            (kind, stripe_id)
            for kind, ids in by_kind.items()
            for stripe_id in ids - self.env[MODELS[kind]]._mirrored(account, list(ids))
        }

    # === STORING === #

    @api.model
    def _store(self, account, readings, synced_at, deleted=(), purpose=None):
        """Write what was read, then let the business part react. One transaction.

        :param readings: ``Reading`` of objects of this account
        :param datetime synced_at: database clock when Stripe was asked
        :param deleted: ``{(kind, stripe id)}`` that Stripe says are gone
        :param str purpose: of the run that stores a page: the business part only takes
            note, as more is to come
        """
        self._lock(account)
        rows = _distinct_rows(readings)
        account._activate_currencies({row.values.get("currency") for row in rows})
        new = defaultdict(list)
        for (kind, _weak, _columns), group in _grouped(rows).items():
            model = self.env[MODELS[kind]]
            new[model._name] += model._upsert(account, group, synced_at)
        self._forget_lines(account, rows)
        for kind, stripe_id in deleted:
            self.env[MODELS[kind]]._archive_missing(account, [stripe_id], synced_at)
        for model in MODELS.values():
            self.env[model]._link_waiting(account, new)
        self.env.invalidate_all()
        touched = self._touched_customers(account, rows)
        if purpose:
            self._after_store_page(account, touched, purpose)
        else:
            self._after_store(account, touched)

    @api.model
    def _forget_lines(self, account, rows):
        """Forget lines that the newest reading of their invoice has no more."""
        invoices = tuple(row.stripe_id for row in rows if row.kind == "invoice")
        if invoices:
            self.env.cr.execute(
                """DELETE FROM affiliate_stripe_invoice_line line
                         USING affiliate_stripe_invoice invoice
                         WHERE line.account_id = %s AND invoice.account_id = %s
                           AND invoice.stripe_id IN %s
                           AND line.invoice_ref = invoice.stripe_id
                           AND line.synced_at < invoice.synced_at""",
                [account.id, account.id, invoices],
            )

    @api.model
    def _after_store(self, account, customer_refs):
        """Hook: the mirror of these customers (Stripe ids) has changed."""

    @api.model
    def _after_store_page(self, account, customer_refs, purpose):
        """Hook: the same for a page of a run, whose ``_compute_later`` will ask."""

    @api.model
    def _lock(self, account):
        """Be the only writer of this account until the transaction ends.

        In a READ COMMITTED transaction whoever waited here sees all that was written
        before. In a request's own (REPEATABLE READ) one the unique indexes of ledger
        and bindings still refuse anything double.
        """
        self.env.cr.execute(
            "SELECT pg_advisory_xact_lock(hashtext('affiliate_stripe_account'), %s)",
            [account.id],
        )

    @api.model
    def _try_lock(self, account):
        """Be the only writer of this account as by ``_lock``, without waiting.

        :return: whether it was free
        """
        self.env.cr.execute(
            "SELECT pg_try_advisory_xact_lock("
            "hashtext('affiliate_stripe_account'), %s)",
            [account.id],
        )
        return self.env.cr.fetchone()[0]

    @api.model
    def _touched_customers(self, account, rows):
        """Return the Stripe ids of the customers whose facts ``rows`` may change.

        A payment may be in another name than the invoice it pays, and a guest's may
        have been given to a customer: all of them are touched.
        """
        touched = {row.stripe_id for row in rows if row.kind == "customer"}
        touched.update(row.values.get("customer_ref") for row in rows)
        touched.update(
            guest_id(row.values["payment_intent"] or row.stripe_id)
            for row in rows
            if row.kind == "charge"
        )
        charges = {row.values.get("charge_ref") for row in rows}
        intents = {row.values.get("payment_intent") for row in rows}
        invoices = {
            row.values["invoice_ref"] for row in rows if row.kind == "invoice_payment"
        }
        charge, invoice = (
            SQL.identifier(f"affiliate_stripe_{kind}") for kind in ("charge", "invoice")
        )
        found = [
            SQL(
                "SELECT customer_ref FROM %s named WHERE account_id = %s AND %s IN %s",
                table,
                account.id,
                SQL.identifier(column),
                tuple(refs - {None}),
            )
            for table, column, refs in (
                (charge, "stripe_id", charges),
                (charge, "payment_intent", intents),
                (invoice, "stripe_id", invoices),
                (_PAID, "payment_intent", intents),
            )
            if refs - {None}
        ]
        if found:
            query = SQL(" UNION ").join(found)
            touched.update(ref for (ref,) in self.env.execute_query(query))
        touched.discard(None)
        return touched

    # === CALLERS === #

    @api.model
    def _sync_objects(self, account, targets):
        """Read these objects now and store them in one transaction.

        :param targets: ``{(kind, stripe id)}``
        :raise StripeProblem: the first problem that is not "deleted"
        """
        synced_at = self._database_now()
        results = self._read_objects(account, targets)
        readings, deleted = [], set()
        for target, result in results.items():
            if not isinstance(result, StripeProblem):
                readings += result
            elif result.code == "missing":
                deleted.add(target)
            else:
                raise result
        with self._transaction() as sync:
            sync._store(account.with_env(sync.env), readings, synced_at, deleted)

    @api.model
    def _get_clock(self):
        """Return a function that tells the database's time, also in threads."""
        started, now = time.monotonic(), self._database_now()
        return lambda: now + timedelta(seconds=time.monotonic() - started)

    @api.model
    def _database_now(self):
        """Return the database's clock, UTC: the same for all machines."""
        with self._transaction() as sync:
            sync.env.cr.execute("SELECT clock_timestamp() AT TIME ZONE 'UTC'")
            return sync.env.cr.fetchone()[0]

    @api.model
    def _read_needed(self, account, readings, lookups=True):
        """Return the readings of what a page of objects leads to.

        :param bool lookups: also ask lists about objects seen for the first time; a
            walk over everything meets what they would tell anyway
        :raise StripeProblem: the first problem that is not "deleted"
        """
        more, fresh, seen = [], readings, set()
        # A walk over invoices meets their charges in a later stage.
        asked = _charge_lookups(readings, "invoice_payment")
        for _round in range(MAX_ROUNDS):
            seen |= _read_firsthand(fresh)
            pairs = [(reading, None) for reading in fresh]
            jobs = self._next_jobs(account, pairs, {}, seen, asked, lookups)
            if not jobs:
                break
            stripe_api = self._get_api(account)
            fresh = []
            for _job, answer in in_parallel(partial(_read, stripe_api), jobs):
                if not isinstance(answer, StripeProblem):
                    fresh += answer
                elif answer.code != "missing":
                    raise answer
            more += fresh
        return more

    # === POLLING === #

    @api.model
    def _cron_poll(self):
        """Fetch the events of accounts that Stripe cannot call or whose webhook is
        broken, and once a day of the others too: so a lost webhook heals by itself."""
        yesterday = fields.Datetime.subtract(fields.Datetime.now(), days=1)
        accounts = self.env["affiliate.stripe.account"].search(
            [
                ("state", "=", "connected"),
                "|",
                ("backoff_until", "=", False),
                ("backoff_until", "<=", fields.Datetime.now()),
                "|",
                ("delivery", "=", "polling"),
                "|",
                ("webhook_problem", "!=", False),
                "|",
                ("polled_until", "=", False),
                ("polled_until", "<", yesterday),
            ]
        )
        crons = self.env["ir.cron"]
        crons._commit_progress(remaining=len(accounts))
        for account in accounts:
            try:
                self._poll_events(account)
                account._note_success()
            except StripeProblem as problem:
                account._handle_problem(problem)
            crons._commit_progress(1)

    @api.model
    def _poll_events(self, account):
        """Put all events since the last poll into the inbox; seen ones are ignored.

        Events arrive a little late in Stripe's list, so the last minutes are read
        again each time. Where the last poll is so long ago that Stripe has forgotten
        what happened after it, all lists are read.

        :return: how many events were new
        """
        events = self.env["affiliate.stripe.event"]
        started = self._database_now()
        params = {}
        if account.polled_until:
            overlap = int(account.polled_until.timestamp()) - 300
            params["created"] = {"gte": overlap}
        new, asked_at = 0, None
        stripe_api = self._get_api(account)
        for page in stripe_api.pages("/v1/events", **params):
            # By Stripe's clock: if ours is ahead, the next events would be too old.
            asked_at = asked_at or stripe_api.clock
            with self._transaction() as sync:
                new += sync.env[events._name]._insert(account.id, page)
        with self._transaction() as sync:
            account.with_env(sync.env)._note_polled(min(started, asked_at or started))
        account.invalidate_recordset()
        if new:
            events._wake()
        return new


@contextmanager
def read_committed(registry):
    """Yield a cursor in a READ COMMITTED transaction of its own; also in threads.

    Odoo's default, REPEATABLE READ, would show us after waiting for a lock what was
    true before it, and lets two inserts of one row fail. In test mode all cursors are
    one, whose level cannot be changed any more.
    """
    with registry.cursor() as cr:
        if isinstance(cr, Cursor):
            # Part of BEGIN, not a statement of its own: webhooks wait for this.
            cr.connection.set_isolation_level(ISOLATION_LEVEL_READ_COMMITTED)
        yield cr


def _read_firsthand(readings):
    """Return the ``(kind, id)`` of the objects whose whole state ``readings`` hold."""
    return {
        (row.kind, row.stripe_id)
        for reading in readings
        for row in reading.rows
        if not row.weak
    }


def _is_told_of(kind, row, recently):
    paid_at = row.values["paid_at"] if kind == "charge" else None
    return paid_at is not None and paid_at > recently


def _charge_lookups(readings, kind):
    """Return the keys of lookups for the charges that rows of a kind speak of."""
    return {
        _job_key(
            ("lookup", ("charge", {"payment_intent": row.values["payment_intent"]}))
        )
        for reading in readings
        for row in reading.rows
        if row.kind == kind
    }


def _with_needed(found, pool, failed):
    """Return the readings of a target with all they lead to, or the StripeProblem of
    what they lead to: also where another target asked for it first."""
    have = set(map(id, found))
    for reading in found:  # grows
        for need in reading.needs:
            if need in failed:
                return failed[need]
            more = pool.get(need)
            if more is not None and id(more) not in have:
                have.add(id(more))
                found.append(more)
    return found


def _job_key(job):
    what, payload = job
    return payload if what == "object" else (payload[0], str(payload[1]))


def _read(stripe_api, job):
    """Run one job in a thread: return its readings."""
    what, (name, detail) = job
    kind = KINDS[name]
    if what == "object":
        path, params = kind.request(detail)
        raw = stripe_api.get(path, **params)
        if raw.get("deleted"):
            raise StripeProblem("missing", f"{detail} is deleted in Stripe")
        return [understand(stripe_api, kind, raw)]
    # What was asked for is true of the answers, also where they do not say it.
    return [
        understand(stripe_api, kind, {**detail, **raw})
        for page in stripe_api.pages(kind.path, **detail, **kind.list_params())
        for raw in page
    ]


def _note_problem(results, target, job, problem):
    """Keep a problem at the target it hinders.

    That a *led-to* object is gone hinders nothing: what is there is still true.
    """
    what, payload = job
    if problem.code == "missing" and (what == "lookup" or payload != target):
        results.setdefault(target, [])
        return
    results[target] = problem


def _distinct_rows(readings):
    """Return the rows of all readings, one an object, first-hand before weak."""
    rows = {}
    for reading in readings:
        for row in reading.rows:
            key = (row.kind, row.stripe_id)
            if key not in rows or (rows[key].weak and not row.weak):
                rows[key] = row
    return list(rows.values())


def _grouped(rows):
    """Group rows that can be written by one statement, in the order of KINDS: what
    others refer to comes first, so that they find it."""
    groups = defaultdict(list)
    order = {kind: number for number, kind in enumerate(MODELS)}
    for row in sorted(rows, key=lambda row: order[row.kind]):
        groups[row.kind, row.weak, tuple(row.values)].append(row)
    return groups
