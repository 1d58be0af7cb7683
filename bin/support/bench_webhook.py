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
from pathlib import Path

from . import bench_rounds
from .bench_load import STRIPE, Clients, Target
from .bench_rounds import Rounds, complain
from .bench_server import inside_odoo, odoo_server
from .database import STRIPE_CHECKOUT
from .provision import provision
from .say import fail, step
from .testing import new_log

SETUP = Path(__file__).with_name("bench_webhook_odoo.py")
WORKERS = 2
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
    bench_rounds.arguments(parser)
    parser.add_argument(
        "--event",
        default="invoice.paid",
        help="the type payment_stripe ignores (invoice.paid); a smaller one: "
        "customer.created",
    )


def measure(options):
    bench_rounds.check(options)
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
        Target(OURS, setup["path"], ignored, STRIPE, ours),
        Target(THEIRS, path, ignored, STRIPE, theirs),
        Target(OURS_PI, setup["path"], succeeded, STRIPE, ours),
        Target(THEIRS_PI, path, succeeded, STRIPE, theirs),
        Target(HEALTH, "/web/health"),
    ]


class Bench(Rounds):
    """Rounds through the webhooks, and whether they have kept what they were sent."""

    def prepare(self, target, first, last):
        if target.name == THEIRS_PI:
            self._add_transactions(first, last)

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
        ids = {f"{prefix}{number:08d}" for number in self.accepted(name)}
        lost = ids - found
        if lost:
            fail(f"{name}: {len(lost)} of {len(ids)} accepted events are not there.")
        return len(ids), sum(len(phase.errors) for phase in phases)


def report(bench, setup):
    """Print the table; the figures for the last line."""
    bench.show(LABELS, COMPARED)
    print(f"{bench.stored} events were answered with 200, all of them are stored.")
    print(
        "Crons off, a connection for each request. CPU ms: processor time of one\n"
        "request on the server (Odoo and PostgreSQL) and in the clients."
    )
    return {
        **bench.figures(COMPARED),
        "stored": bench.stored,
        "event": bench.options.event,
        "event_bytes": len(setup["ignored"]),
        "workers": WORKERS,
    }
