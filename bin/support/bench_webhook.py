"""Requests a second and latency of our webhook, next to comparable addresses.

One Odoo server in a fresh database, with this addon and Odoo's own payment_stripe: two
HTTP workers, log level info into a file, PostgreSQL as it is set up by default
(synchronous_commit and fsync on). No cron runs, or the processing of events would
disturb the measuring of their reception. Clients open one connection a request, for
all targets alike. Rounds go through all targets in turn, so noise hits all of them.

Every event is a new one with a valid signature. Those sent to ours and to
payment_stripe's webhook are the same, byte by byte; only the secrets differ.
payment_stripe ignores the first type, which means that it logs the event and stores
nothing. For payment_intent.succeeded it finds a draft transaction, checks the
signature and sets the transaction to done.

Afterwards the database is asked whether it holds each event that we answered with 200.
"""

import os
import statistics
from collections import Counter
from pathlib import Path

from . import odoo_log
from .bench import table
from .bench_load import Clients, Target
from .bench_server import inside_odoo, odoo_server
from .database import STRIPE_CHECKOUT
from .provision import provision
from .say import fail, say, step
from .testing import new_log

SETUP = Path(__file__).with_name("bench_webhook_odoo.py")
WORKERS = 2
SETTINGS = ("server_version", "synchronous_commit", "fsync")
HEADINGS = (
    *("target", "req/s", "rounds", "p50 ms", "p95 ms", "errors"),
    *("server CPU ms", "client CPU ms"),
)
WARM_UP = 100  # requests of each client to each target before anything is measured
OURS, OURS_PI = "ours", "ours_succeeded"
THEIRS, THEIRS_PI = "payment_stripe", "payment_stripe_succeeded"
HEALTH = "health"
LABELS = {
    OURS: "ours",
    THEIRS: "payment_stripe, ignored",
    OURS_PI: "ours, payment_intent.succeeded",
    THEIRS_PI: "payment_stripe, payment_intent.succeeded",
    HEALTH: "/web/health",
}
COMPARED = ((OURS, THEIRS), (OURS_PI, THEIRS_PI), (OURS, HEALTH))


def arguments(parser):
    parser.add_argument(
        "--seconds", type=float, default=4, help="of one target in one round (4)"
    )
    parser.add_argument("--rounds", type=int, default=6, help="through all (6)")
    parser.add_argument("--clients", type=int, default=4, help="at the same time (4)")
    parser.add_argument(
        "--event",
        default="invoice.paid",
        help="the type payment_stripe ignores (invoice.paid); a smaller one: "
        "customer.created",
    )


def measure(options):
    if min(options.seconds, options.rounds, options.clients) <= 0:
        fail("--seconds, --rounds and --clients must be more than 0.")
    ground = provision()
    database = f"bench_{os.getpid()}"
    ground.fresh_database(database, extra=STRIPE_CHECKOUT)
    try:
        with step("preparing accounts and events"):
            setup = inside_odoo(ground, database, SETUP, event=options.event)
        log = new_log(ground.cache / "log", database)
        workers = ("--workers", WORKERS, "--max-cron-threads", 0)
        with odoo_server(ground, database, log, *workers) as server:
            with Clients(options.clients, server.port) as clients:
                bench = Bench(server, clients, targets(setup), options)
                bench.measure()
        complain(log)
        bench.verify()
        return report(bench, setup)
    finally:
        ground.drop_database(database)


def targets(setup):
    ignored, succeeded = setup["ignored"].encode(), setup["succeeded"].encode()
    ours, theirs = setup["our_secret"], setup["their_secret"]
    path = "/payment/stripe/webhook"
    return [
        Target(OURS, setup["path"], ignored, ours),
        Target(THEIRS, path, ignored, theirs),
        Target(OURS_PI, setup["path"], succeeded, ours),
        Target(THEIRS_PI, path, succeeded, theirs),
        Target(HEALTH, "/web/health"),
    ]


class Bench:
    """The rounds, and what came out of them."""

    def __init__(self, server, clients, targets, options):
        self.server = server
        self.software = {
            "odoo": server.ground.odoo_version,
            **{name: self.query(f"show {name}")[0] for name in SETTINGS},
        }
        self.clients, self.targets, self.options = clients, targets, options
        self.sent = dict.fromkeys((target.name for target in targets), 0)
        self.rounds = {target.name: [] for target in targets}
        self.warm_up = {}

    def query(self, query):
        return self.server.ground.postgres.query(query, self.server.database)

    def measure(self):
        for target in self.targets:
            self.warm_up[target.name] = self._phase(target, WARM_UP, 60)
        for number in range(self.options.rounds):
            say(f"round {number + 1} of {self.options.rounds}")
            for target in self.targets:
                # Twice what the warm-up promises; a phase that runs out ends early.
                rate = self.warm_up[target.name].per_second
                each = 2 * rate * self.options.seconds / self.options.clients
                phase = self._phase(target, int(each) + WARM_UP, self.options.seconds)
                self.rounds[target.name].append(phase)

    def _phase(self, target, each, seconds):
        first = self.sent[target.name] + 1
        self.sent[target.name] += each * self.options.clients
        if target.name == THEIRS_PI:
            self._add_transactions(first, self.sent[target.name])
        cpu = self.server.cpu_seconds()
        phase = self.clients.run(target, first, each, seconds)
        phase.server_cpu = self.server.cpu_seconds() - cpu
        if not phase.latencies:
            fail(f"{target.path} accepts nothing: {sorted(set(phase.errors))}.")
        return phase

    def _add_transactions(self, first, last):
        """Draft transactions that payment_stripe will find by their reference."""
        columns = ", ".join(
            f'"{name}"'
            for name in self.query(
                """select column_name from information_schema.columns
                    where table_name = 'payment_transaction'
                      and column_name not in ('id', 'reference')"""
            )
        )
        self.query(
            f"""insert into payment_transaction (reference, {columns})
                select 'bench-' || lpad(number::text, 8, '0'), {columns}
                  from payment_transaction, generate_series({first}, {last}) number
                 where reference = 'bench-template'"""
        )

    def all_phases(self, name):
        return [self.warm_up[name], *self.rounds[name]]

    def verify(self):
        """Whether each 200 of a webhook has left what it promises."""
        stored = set(self.query("select stripe_id from affiliate_stripe_event"))
        done = set(
            self.query(
                """select reference from payment_transaction
                    where state = 'done' and provider_reference is not null"""
            )
        )
        self._verify_ids(THEIRS_PI, "bench-", done)
        waiting = self.query(
            "select count(*) from affiliate_stripe_event where state = 'pending'"
        )
        if waiting == ["0"]:
            fail(
                "none of our events waits to be processed: the cheap way was measured."
            )
        counts = [
            self._verify_ids(OURS, "evt_bench_", stored),
            self._verify_ids(OURS_PI, "evt_bench_pi_", stored),
        ]
        accepted, errors = (sum(column) for column in zip(*counts, strict=True))
        # What broke off on the way back may have been stored all the same.
        if not accepted <= len(stored) <= accepted + errors:
            fail(f"{accepted} events were accepted and {len(stored)} are stored.")
        self.stored = len(stored)

    def _verify_ids(self, name, prefix, found):
        """Fail when something accepted is not found; how many accepted, and not."""
        phases = self.all_phases(name)
        ids = {f"{prefix}{number:08d}" for p in phases for number in p.accepted}
        lost = ids - found
        if lost:
            fail(f"{name}: {len(lost)} of {len(ids)} accepted events are not there.")
        return len(ids), sum(len(phase.errors) for phase in phases)

    # --- figures

    def rate(self, name):
        """Requests a second over all rounds."""
        phases = self.rounds[name]
        time = sum(phase.end - phase.start for phase in phases)
        return sum(len(phase.latencies) for phase in phases) / time

    def ratios(self, name, other):
        """How many times as fast as another target, in each round."""
        pairs = zip(self.rounds[name], self.rounds[other], strict=True)
        return [mine.per_second / other.per_second for mine, other in pairs]

    def percentile(self, name, percent):
        """Milliseconds within which so many of the requests were answered."""
        found = sorted(x for phase in self.rounds[name] for x in phase.latencies)
        return found[min(len(found) - 1, len(found) * percent // 100)] * 1000

    def errors(self, name):
        return Counter(x for phase in self.all_phases(name) for x in phase.errors)

    def cpu_ms(self, name, whose):
        """Processor time of one request, in milliseconds."""
        phases = self.rounds[name]
        count = sum(len(phase.latencies) + len(phase.errors) for phase in phases)
        return sum(getattr(phase, whose) for phase in phases) / count * 1000


def complain(log):
    """A warning in the log means that a target did not go its normal way."""
    found = odoo_log.complaints(log)
    if found:
        fail(f"{len(found)} complaints in the log, first: {found[0]} (see {log}).")


def report(bench, setup):
    """Print the table; the figures for the last line."""
    rows = []
    for target in bench.targets:
        name = target.name
        rounds = [phase.per_second for phase in bench.rounds[name]]
        rows.append(
            (
                LABELS[name],
                bench.rate(name),
                f"{min(rounds):.0f}-{max(rounds):.0f}",
                bench.percentile(name, 50),
                bench.percentile(name, 95),
                sum(bench.errors(name).values()),
                f"{bench.cpu_ms(name, 'server_cpu'):.2f}",
                f"{bench.cpu_ms(name, 'client_cpu'):.2f}",
            )
        )
    table(HEADINGS, rows)
    print()
    for name, other in COMPARED:
        ratios = bench.ratios(name, other)
        print(
            f"{LABELS[name]} / {LABELS[other]}: {statistics.median(ratios):.2f} "
            f"(rounds {min(ratios):.2f} to {max(ratios):.2f})"
        )
    print(f"{bench.stored} events were answered with 200, all of them are stored.")
    print(
        "Crons off, a connection for each request. CPU ms: processor time of one\n"
        "request on the server (Odoo and PostgreSQL) and in the clients."
    )
    return figures(bench, setup)


def figures(bench, setup):
    result = {}
    for target in bench.targets:
        name = target.name
        result[f"{name}_per_s"] = round(bench.rate(name), 1)
        result[f"{name}_p50_ms"] = round(bench.percentile(name, 50), 2)
        result[f"{name}_p95_ms"] = round(bench.percentile(name, 95), 2)
        result[f"{name}_cpu_ms"] = round(bench.cpu_ms(name, "server_cpu"), 3)
        result[f"{name}_errors"] = sum(bench.errors(name).values())
    for name, other in COMPARED:
        ratio = statistics.median(bench.ratios(name, other))
        result[f"{name}_to_{other}"] = round(ratio, 3)
    options = bench.options
    return {
        **result,
        "stored": bench.stored,
        "event": options.event,
        "event_bytes": len(setup["ignored"]),
        "clients": options.clients,
        "seconds": options.seconds,
        "rounds": options.rounds,
        "workers": WORKERS,
        "keep_alive": False,
        "crons": False,
        "machine": bench.software,
    }
