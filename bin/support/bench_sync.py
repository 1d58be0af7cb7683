"""How fast Stripe's history and its events become mirror rows and commissions.

The Stripe double runs as its own process with a history in bulk (two years; invoices
with two lines each, payments, charges, 10 % refunds); half of the customers belong to
affiliates. Odoo runs as in production: HTTP and cron workers as processes of their own,
PostgreSQL durable. The database is prepared once and copied for each measurement.
"""

import os
import signal
import time
from contextlib import contextmanager

from .bench import table
from .bench_djstripe import djstripe_site
from .bench_engine import (
    Memory,
    ask,
    busiest,
    expire_leases,
    inside,
    is_reading,
    mirrored,
    snapshot,
    start_reading,
    wait_for,
)
from .bench_server import odoo_server
from .bench_stripe import stripe_double
from .bench_sync_live import DjStripe, Live
from .provision import provision
from .say import fail, say, step
from .testing import new_log

SERVER = ("--workers", 2, "--max-cron-threads", 2)
PATIENCE = 3600  # seconds for one backfill
CALLS_PER_SECOND = 50  # of the measurement with the rate limiter
PAGE = 100


def arguments(parser):
    parser.add_argument(
        "--invoices", type=int, default=10_000, help="of the history (10,000)"
    )
    parser.add_argument(
        "--full", action="store_true", help="once more with 100,000 invoices"
    )
    parser.add_argument(
        "--events", type=int, default=2_000, help="of a live measurement (2,000)"
    )
    parser.add_argument(
        "--djstripe",
        action="store_true",
        help="also: the same events with dj-stripe (installs it; Python 3.11)",
    )
    parser.add_argument(
        "--profile",
        action="store_true",
        help="only: backfill and events in one process under cProfile",
    )


def measure(options):
    ground = provision()
    if options.profile:
        return profile(ground, options)
    figures = {}
    for invoices in (options.invoices, *([100_000] if options.full else [])):
        with stripe_double(ground) as double:
            bench = Bench(ground, double, invoices, options)
            try:
                bench.measure()
                table(("measured", "value", ""), bench.rows)
            finally:
                bench.clean()
        suffix = f"_{invoices}" if figures else ""
        figures |= {f"{name}{suffix}": value for name, value in bench.figures.items()}
    print(
        f"History: {options.invoices} invoices, 12 a customer, half of the customers"
        " bound. Live: invoice.paid,\nfrom the first post to the last commission;"
        " lag: from reception to done, at 60 % of that rate."
    )
    if options.djstripe:
        print(
            "dj-stripe: its defaults, two processes (verifies the signature, reads the"
            " invoice from the API,\nstores it and its lines, then answers); no"
            " payments, charges or commissions."
        )
    return {**figures, "machine": {"odoo": ground.odoo_version}}


class Bench:
    """The measurements of one size of history, and what came out of them."""

    def __init__(self, ground, double, invoices, options):
        self.ground, self.double, self.options = ground, double, options
        self.invoices = -(-invoices // 12) * 12
        self.prepared = f"bench_{os.getpid()}"
        self.rows, self.figures, self.copies = [], {}, 0

    def note(self, text, name, value, unit=""):
        value = round(value, 3 if value < 1 else 1)
        say(f"{text}: {value} {unit}")
        self.rows.append((text, f"{value:g}", unit))
        self.figures[name] = value

    def measure(self):
        self.ground.fresh_database(self.prepared)
        with step(f"preparing {self.invoices} invoices"):
            arguments = {"url": self.double.url, "invoices": self.invoices}
            self.setup = inside(self.ground, self.prepared, "setup", **arguments)
        found = []
        # Live events come last, for they add to the history. The first reading finds
        # everything cold.
        self.rate_limit(CALLS_PER_SECOND)
        with self.server() as server:
            self.backfill(server, "limited")
            found.append(snapshot(server))
        self.rate_limit(0)
        with self.server() as server:
            self.latency(100)
            self.backfill(server, "100ms")
            found.append(snapshot(server))
        self.latency(0)
        with self.server() as server:
            self.killed(server)
            found.append(snapshot(server))
        with self.server() as server:
            self.backfill(server, "0ms")
            found.append(snapshot(server))
            self.compare(found)
            Live(self, server).measure()
        if self.options.djstripe:
            database = f"{self.prepared}_djstripe"
            with djstripe_site(self.ground, database, self.double.url) as site:
                DjStripe(self, site).measure()

    def clean(self):
        self.ground.drop_database(self.prepared)

    @contextmanager
    def server(self):
        """A server on a copy of the prepared database."""
        self.copies += 1
        database = f"{self.prepared}_{self.copies}"
        self.ground.databases.copy(self.prepared, database)
        log = new_log(self.ground.cache / "log", database)
        try:
            with odoo_server(self.ground, database, log, *SERVER) as server:
                yield server
        finally:
            self.ground.drop_database(database)

    def rate_limit(self, per_second):
        inside(self.ground, self.prepared, "rate_limit", per_second=per_second)

    def latency(self, milliseconds):
        self.double.calm()
        if milliseconds:
            self.double.disturb(
                action="latency", probability=1, seconds=milliseconds / 1000
            )

    # --- backfill

    def backfill(self, server, name):
        """Read the whole history: speed, memory and calls."""
        calls = self.double.traffic()
        with Memory(server) as memory:
            start = time.monotonic()
            start_reading(server)
            wait_for(lambda: not is_reading(server), PATIENCE)
            took = time.monotonic() - start
        self.note(
            f"backfill, {name}",
            f"backfill_per_s_{name}",
            self.invoices / took,
            "invoices/s",
        )
        if name == "0ms":
            calls = self.double.traffic() - calls
            self.note(
                "memory peak of the process that reads",
                "backfill_peak_mb",
                memory.peak,
                "MB",
            )
            self.note(
                "memory peak of all processes of Odoo",
                "backfill_tree_mb",
                memory.tree,
                "MB",
            )
            self.note(
                "API calls an object",
                "backfill_calls_per_object",
                calls / mirrored(server),
                f"(floor {1 / PAGE})",
            )

    def killed(self, server):
        """Kill the worker that reads in the middle; it must go on where it was."""
        start_reading(server)
        count = "select count(*) from affiliate_stripe_invoice"
        wait_for(lambda: ask(server, count) > 0.4 * self.invoices, PATIENCE)
        os.kill(busiest(server), signal.SIGKILL)
        start, before = time.monotonic(), ask(server, count)
        time.sleep(1)
        expire_leases(server)
        start_reading(server)
        wait_for(lambda: not is_reading(server), PATIENCE)
        took = time.monotonic() - start
        self.note(
            "the rest after a kill",
            "resumed_per_s",
            (self.invoices - before) / took,
            "invoices/s",
        )

    def compare(self, found):
        """All ways must lead to the same rows and the same ledger."""
        *others, reference = found
        for other in others:
            if other != reference:
                different = {k for k in reference if other.get(k) != reference[k]}
                fail(f"the ways to read differ in {', '.join(sorted(different))}.")
        for kind in ("customer", "subscription", "invoice", "charge", "refund"):
            rows, real = (
                reference[f"affiliate_stripe_{kind}"],
                self.setup["counts"][kind],
            )
            if rows != real:
                fail(f"{real} {kind}s are in Stripe and {rows} in the mirror.")


def profile(ground, options):
    """Print the top of the profiles; the whole of them stays in the log folder."""
    database = f"bench_{os.getpid()}"
    ground.fresh_database(database)
    keep = ground.cache / "log" / "profile"
    keep.mkdir(exist_ok=True)
    try:
        with stripe_double(ground) as double:
            with step(f"preparing {options.invoices} invoices"):
                inside(
                    ground, database, "setup", url=double.url, invoices=options.invoices
                )
            before = double.traffic()
            figures = inside(
                ground, database, "profile", keep, url=double.url, events=options.events
            )
            figures["api_calls"] = double.traffic() - before
        for name in ("backfill", "live"):
            print(f"=== {name} (all of it: {keep / name}.prof)")
            print((keep / f"{name}.txt").read_text())
        return {**figures, "machine": {"odoo": ground.odoo_version}}
    finally:
        ground.drop_database(database)
