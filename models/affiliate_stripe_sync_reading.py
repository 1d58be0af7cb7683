from collections import defaultdict
from datetime import timedelta
from functools import partial

from odoo import api, models

from ..lib.paid_moments import is_told_by_events, latest_event
from ..lib.stripe_client import StripeProblem, in_parallel
from ..lib.stripe_events import read_moments
from ..lib.stripe_lists import understand
from ..lib.stripe_objects import KINDS, MODELS
from ..lib.stripe_rows import moment
from .affiliate_stripe_account import EVENT_RETENTION_DAYS

# An object leads to others (refund > charge > session > …); four steps reach all.
MAX_ROUNDS = 6
# What happens to a payment of that age is told by events: no need to ask for it.
TOLD_OF = timedelta(hours=1)
EVENTS_LAST = timedelta(days=EVENT_RETENTION_DAYS)


class AffiliateStripeSync(models.AbstractModel):
    """How objects are read: in rounds, as one leads to others; each round in parallel
    and with no transaction open."""

    _inherit = "affiliate.stripe.sync"

    @api.model
    def _read_objects(self, account, targets):
        """Read ``targets`` and everything they lead to.

        :param targets: ``{(kind, stripe id)}``
        :return: ``{target: [Reading] or StripeProblem}``; a ``missing`` problem means
            Stripe has deleted the object. A target's list holds its own reading and
            those of the objects it led to.
        """
        stripe_api, search = self._get_api(account), _Search(targets)
        jobs = [("object", target) for target in sorted(targets)]
        for _round in range(MAX_ROUNDS):
            fresh = []
            for job, answer in in_parallel(partial(_read, stripe_api), jobs):
                fresh += search.take(job, answer)
            jobs = self._next_jobs(account, fresh, search, with_used=True)
            if not jobs:
                break
        results = search.get_results()
        self._add_moments(account, stripe_api, results)
        return results

    @api.model
    def _add_moments(self, account, stripe_api, results):
        """Have the readings say when their charges were paid, where only an event tells
        it and that event may not have come yet.

        :param results: as ``_read_objects`` returns them; where the events cannot be
            read now, a target that needs them has that problem
        """
        found = {
            target: readings
            for target, readings in results.items()
            if not isinstance(readings, StripeProblem)
        }
        charges = self._undated(
            account,
            [reading for readings in found.values() for reading in readings],
            (stripe_api.clock or self._database_now()) - EVENTS_LAST,
        )
        if not charges:
            return
        try:
            told = read_moments(stripe_api, charges)
        except StripeProblem as problem:
            # Who may not read events is told otherwise; balance transactions do.
            for target, readings in (
                found.items() if problem.code != "permission" else ()
            ):
                if charges.keys() & _charges_in(readings).keys():
                    results[target] = problem
            return
        for readings in found.values():
            here = _charges_in(readings)
            if charges.keys() & here.keys():
                readings[0].moments += [one for one in told if one[0] in here]

    @api.model
    def _undated(self, account, readings, since):
        """Return ``{Stripe id: charge}`` of those paid later than they were made, of
        which no event has said when. When an invoice was paid is said by its payment.

        :param datetime since: Stripe has forgotten the events before
        """
        charges = {
            ref: raw
            for ref, raw in _charges_in(readings).items()
            if is_told_by_events(raw) and moment(latest_event(raw)) >= since
        }
        if not charges:
            return {}
        with self._transaction() as sync:
            known = sync.env["affiliate.stripe.charge"]._dated(account, charges)
        paying = {
            row.values["payment_intent"] or row.values["charge_ref"]
            for reading in readings
            for row in reading.rows
            if row.kind == "invoice_payment"
        }
        return {
            ref: raw
            for ref, raw in charges.items()
            if ref not in known and not paying & {ref, raw.get("payment_intent")}
        }

    @api.model
    def _next_jobs(self, account, readings, search, with_lookups=True, with_used=False):
        """Return what ``readings`` lead to and is neither mirrored nor read yet.

        :param readings: ``[(Reading, the target that led to it)]``
        :param bool with_used: also what is mirrored, but has changed by its use; a walk
            over everything meets it in its own list
        """
        needed, lookups, parts = defaultdict(dict), [], []
        # What was read need not be looked for.
        search.asked |= _charge_lookups([reading for reading, _ in readings], "charge")
        for reading, target in readings:
            for kind, stripe_id in reading.needs - search.seen:
                needed[kind].setdefault(stripe_id, target)
            for kind, params in reading.lookups if with_lookups else ():
                lookups.append((kind, params, reading.rows[0], target))
            parts += [(kind, params, target) for kind, params in reading.parts]
        jobs = []
        with self._transaction() as sync:
            for kind, targets in needed.items():
                mirror = sync.env[MODELS[kind]]
                known = mirror._mirrored(account, list(targets))
                if with_used:
                    known -= mirror._changed_by_use(account, known)
                for stripe_id in sorted(targets.keys() - known):
                    search.seen.add((kind, stripe_id))
                    search.owner[kind, stripe_id] = targets[stripe_id]
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
            job = ("lookup", (kind, params))
            key = _job_key(job)
            if key not in search.asked:
                search.asked.add(key)
                search.owner[key] = target
                jobs.append(job)
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

    @api.model
    def _read_needed(self, account, readings, lookups=True):
        """Return the readings of what a page of objects leads to.

        :param bool lookups: also ask lists about objects seen for the first time; a
            walk over everything meets what they would tell anyway
        :raise StripeProblem: the first problem that is not "deleted"
        """
        more, fresh, search = [], readings, _Search()
        # A walk over invoices meets their charges in a later stage.
        search.asked = _charge_lookups(readings, "invoice_payment")
        for _round in range(MAX_ROUNDS):
            search.seen |= _read_firsthand(fresh)
            pairs = [(reading, None) for reading in fresh]
            jobs = self._next_jobs(account, pairs, search, lookups)
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
        results = {None: [*readings, *more]}
        if results[None]:
            self._add_moments(account, self._get_api(account), results)
        if isinstance(results[None], StripeProblem):
            raise results[None]
        return more


class _Search:
    """What is known of some targets and of all they lead to, while it is read."""

    def __init__(self, targets=()):
        # {key of a job: the target for whose sake it was first asked}
        self.owner = {target: target for target in targets}
        self.seen = set(targets)  # objects that were read, or are about to be
        self.asked = set()  # keys of lookups that are made, or not needed
        self._readings = {}  # {(kind, stripe id): Reading}
        self._failed = {}  # {key of a job: StripeProblem}, but what is only gone
        self._results = {}

    def take(self, job, answer):
        """Keep the answer to a job; return what is to be followed from there."""
        target = self.owner[_job_key(job)]
        if isinstance(answer, StripeProblem):
            self._note_problem(target, job, answer)
            return []
        for reading in answer:
            first = reading.rows[0]
            self._readings[first.kind, first.stripe_id] = reading
        if isinstance(self._results.get(target), StripeProblem):
            return []
        self._results.setdefault(target, []).extend(answer)
        self.seen |= _read_firsthand(answer)
        return [(reading, target) for reading in answer]

    def _note_problem(self, target, job, problem):
        """Keep a problem at the target it hinders.

        That a *led-to* object is gone hinders nothing: what is there is still true.
        """
        what, payload = job
        if problem.code != "missing":
            self._failed[_job_key(job)] = problem
        elif what == "lookup" or payload != target:
            self._results.setdefault(target, [])
            return
        self._results[target] = problem

    def get_results(self):
        """Return ``{target: [Reading] or StripeProblem}``."""
        return {
            target: found
            if isinstance(found, StripeProblem)
            else self._with_needed(found)
            for target, found in self._results.items()
        }

    def _with_needed(self, found):
        """Return the readings of a target with all they lead to, or the StripeProblem
        of what they lead to: also where another target asked for it first."""
        have = set(map(id, found))
        for reading in found:  # grows
            for need in reading.needs:
                if need in self._failed:
                    return self._failed[need]
                more = self._readings.get(need)
                if more is not None and id(more) not in have:
                    have.add(id(more))
                    found.append(more)
        return found


def _read_firsthand(readings):
    """Return the ``(kind, id)`` of the objects whose whole state ``readings`` hold."""
    return {
        (row.kind, row.stripe_id)
        for reading in readings
        for row in reading.rows
        if not row.weak
    }


def _charges_in(readings):
    """Return ``{Stripe id: charge}`` of all charges in some readings."""
    return {
        row.stripe_id: row.data
        for reading in readings
        for row in reading.rows
        if row.kind == "charge"
    }


def _is_told_of(kind, row, recently):
    paid_at = row.values.get("paid_at") if kind == "charge" else None
    return paid_at is not None and paid_at > recently


def _charge_lookups(readings, kind):
    """Return the keys of lookups for the charges that rows of a kind speak of."""
    intents = {
        row.values["payment_intent"]
        for reading in readings
        for row in reading.rows
        if row.kind == kind
    }
    return {
        _job_key(("lookup", ("charge", {"payment_intent": intent})))
        for intent in intents
    }


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
