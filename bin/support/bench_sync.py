"""How fast Stripe's history and its events become mirror rows and commissions.

The Stripe double runs as its own process with a history in bulk (two years; invoices
with two lines each, payments, charges, 10 % refunds); half of the customers belong to
affiliates. Odoo runs as in production: HTTP and cron workers as processes of their own,
PostgreSQL durable. The database is prepared once and copied for each measurement.
"""

import http.client
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from .bench import table
from .bench_djstripe import djstripe_site
from .bench_load import exchange
from .bench_server import free_ports, inside_odoo, odoo_server
from .paths import REPOSITORY
from .provision import provision
from .say import fail, say, step
from .testing import new_log

INSIDE = Path(__file__).with_name("bench_sync_odoo.py")
SERVER = ("--workers", 2, "--max-cron-threads", 2)
PATIENCE = 3600  # seconds for one backfill
SENDERS = 4
CALLS_PER_SECOND = 50  # of the measurement with the rate limiter
PAGE = 100

# --- what depends on the engine -----------------------------------------------------

START_READING = """insert into ir_cron_trigger (cron_id, call_at)
    select res_id, now() at time zone 'UTC' from ir_model_data
     where module = 'affiliate_stripe' and name = 'ir_cron_sync'"""
READING = "select count(*) from affiliate_stripe_run where state = 'running'"
PENDING = "select count(*) from affiliate_stripe_event where state = 'pending'"
RUNNING = """with free as (select id from ir_cron for update skip locked)
    select count(*) from ir_cron where id not in (select id from free)"""
# What a killed worker has leased is free again after minutes. We do not wait for that.
LEASES = ("affiliate_stripe_event", "affiliate_stripe_run_part")


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


class Live:
    """Events from the webhook to the ledger, after a backfill."""

    def __init__(self, bench, server):
        self.bench, self.server, self.note = bench, server, bench.note
        self.events = bench.options.events

    def measure(self):
        self.flood(50)  # warm up
        before = counters(self.server)
        rate, lag = self.flood(self.events)
        rows, wal = (
            (after - first) / self.events
            for first, after in zip(before, counters(self.server), strict=True)
        )
        self.note("live, 0ms", "live_per_s_0ms", rate, "events/s")
        self.note("rows written an event", "rows_per_event", rows)
        self.note("write-ahead log an event", "wal_kb_per_event", wal / 1024, "kB")
        self.bench.latency(100)
        self.note(
            "live, 100ms", "live_per_s_100ms", self.flood(self.events)[0], "events/s"
        )
        self.bench.latency(0)
        paced = min(self.events, round(rate * 6))
        self.note("queue lag p95", "lag_p95_s", self.flood(paced, rate * 0.6)[1], "s")
        self.workers(2)
        twice, _lag = self.flood(self.events)
        self.note("live, 0ms, 2 cron records", "live_per_s_0ms_2", twice, "events/s")
        self.note(
            "queue lag p95, 2 cron records",
            "lag_p95_s_2",
            self.flood(paced, rate * 0.6)[1],
            "s",
        )
        self.workers(1)
        self.idle()
        self.floor()

    def workers(self, count):
        # Odoo refuses to change a record that runs, and ours look once more in the end.
        wait_for(lambda: not ask(self.server, RUNNING), 60)
        inside(self.bench.ground, self.server.database, "workers", count=count)
        time.sleep(1)

    def flood(self, count, rate=None):
        """Post so many new events, as fast as it goes or at a pace.

        :return: (events a second end to end, p95 of the time in the queue)
        """
        requests = list(map(raw_request, renewals(self.bench.double, count)))
        wait_for(lambda: not ask(self.server, PENDING), 600)  # what came before
        query(self.server, "truncate bench_done")
        start = time.time()
        post_all(requests, self.server.port, rate)
        wait_for(lambda: not ask(self.server, PENDING), 600)
        (line,) = query(
            self.server,
            """select count(*), max(at), percentile_cont(0.95) within group
                 (order by at - extract(epoch from received_at))
               from (select id, min(at) as at from bench_done group by id) done
               join affiliate_stripe_event using (id)""",
        )
        done, end, lag = map(float, line.split("|"))
        if done != count:
            fail(f"{count} events were sent and {done:.0f} processed.")
        return count / (end - start), lag

    def idle(self):
        """One event now and then, until its commission can be seen."""
        latencies = []
        for url, headers, body in renewals(self.bench.double, 40):
            number = re.search(r"customer-(\d+)@", body)
            if int(number[1]) % 4 != 1:
                continue  # nobody's customer
            time.sleep(2)
            query(self.server, "truncate bench_booked")
            start = time.time()
            post_all([raw_request((url, headers, body))], self.server.port)
            booked = "select count(*) from bench_booked"
            wait_for(lambda query=booked: ask(self.server, query), 60)
            at = ask(self.server, "select min(at) from bench_booked")
            latencies.append(at - start)
        self.note(
            "webhook to commission, idle (median)",
            "idle_latency_s",
            statistics.median(latencies),
            "s",
        )
        self.note("the same, slowest of 10", "idle_latency_max_s", max(latencies), "s")

    def floor(self):
        """How fast PostgreSQL alone inserts the same payloads, one a transaction."""
        bodies = [body for *_head, body in renewals(self.bench.double, 1000)]
        with tempfile.TemporaryDirectory() as folder:
            script = Path(folder) / "insert.sql"
            script.write_text(
                "create table bench_floor (like affiliate_stripe_event including all);"
                "alter table bench_floor alter company_id drop not null,"
                " alter account_id drop not null;\n"
                + "".join(
                    "insert into bench_floor (stripe_id, state, payload)"
                    f" values ('{number}', 'pending', $body${body}$body$);\n"
                    for number, body in enumerate(bodies)
                )
            )
            start = time.monotonic()
            run_script(self.server, script)
            took = time.monotonic() - start
        self.note(
            "PostgreSQL alone, the same payloads",
            "postgres_insert_per_s",
            len(bodies) / took,
            "inserts/s",
        )


class DjStripe:
    """The same events with dj-stripe as it is set up by default: it verifies the
    signature, reads the invoice from the API and stores it before it answers."""

    def __init__(self, bench, site):
        self.bench, self.site = bench, site

    def measure(self):
        events, double = self.bench.options.events, self.bench.double
        self.flood(50)  # warm up
        calls = double.traffic()
        rate = self.flood(events)
        calls = (double.traffic() - calls) / events
        note = self.bench.note
        note("dj-stripe, invoice.paid, 0ms", "djstripe_per_s", rate, "events/s")
        note("its API calls an event", "djstripe_calls_per_event", calls)

    def flood(self, count):
        """Post so many new events; how many a second were stored."""
        deliveries = [
            delivery
            for delivery in renewals(self.bench.double, count)
            if delivery[0].startswith(self.site.url)  # not those of our own endpoint
        ]
        sent = {json.loads(body)["data"]["object"]["id"] for *_head, body in deliveries}
        requests = list(map(raw_request, deliveries))
        start = time.monotonic()
        post_all(requests, self.site.port)
        took = time.monotonic() - start
        stored = len(sent & self.site.stored())
        if stored != count:
            fail(f"{count} events were sent and {stored} of their invoices stored.")
        return count / took


# --- the server and its database ----------------------------------------------------


def query(server, text):
    return server.ground.postgres.query(text, server.database)


def ask(server, text):
    """The one number a query answers."""
    return float(query(server, text)[0])


def is_reading(server):
    return ask(server, READING)


def start_reading(server):
    """Let the cron begin, as its trigger does."""
    query(server, START_READING)
    notify(server)


def notify(server):
    server.ground.postgres.query(f"notify cron_trigger, '{server.database}'")


def expire_leases(server):
    for name in LEASES:
        query(
            server, f"update {name} set leased_until = null where leased_until > now()"
        )


def wait_for(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            fail(f"nothing happened for {seconds} seconds.")
        time.sleep(0.5)  # each question is a process, on the same processors


def mirrored(server):
    """How many objects the mirror holds that lists have given."""
    parts = ("affiliate_stripe_invoice_line", "affiliate_stripe_invoice_payment")
    return sum(count for name, count in mirror(server).items() if name not in parts)


def mirror(server):
    """{table: rows} of the mirror."""
    names = query(
        server,
        """select table_name from information_schema.columns
            where column_name = 'synced_at' and table_name like 'affiliate_stripe_%'""",
    )
    return {name: int(ask(server, f"select count(*) from {name}")) for name in names}


def snapshot(server):
    """What must be the same whichever way it was read."""
    (ledger,) = query(
        server,
        """select count(*) || ' ' || sum(amount) || ' ' || md5(string_agg(line, ','))
             from (select sum(amount) as amount, concat_ws(' ', line_ref, affiliate_id,
                          currency_id, cause_id, sum(amount)) as line
                     from affiliate_commission
                 group by line_ref, affiliate_id, currency_id, cause_id
                   having sum(amount) != 0
                 order by line_ref, affiliate_id, currency_id, cause_id) sums""",
    )
    return {**mirror(server), "the ledger": ledger}


def counters(server):
    """(rows written to the database, bytes written to the write-ahead log)."""
    time.sleep(1.5)  # counters are a little late
    (line,) = query(
        server,
        """select tup_inserted + tup_updated + tup_deleted,
                  pg_current_wal_lsn() - '0/0'::pg_lsn
             from pg_stat_database where datname = current_database()""",
    )
    return tuple(map(int, line.split("|")))


def busiest(server):
    """The worker that has used most of the processor in the last second."""
    before = server.workers()
    time.sleep(1)
    used = {pid: now - before.get(pid, 0) for pid, now in server.workers().items()}
    return max(used, key=used.get)


def run_script(server, script):
    postgres = server.ground.postgres
    command = [postgres.programs / "psql", "-Xq", "-v", "ON_ERROR_STOP=1"]
    subprocess.run(
        [*map(str, command), "-d", server.database, "-f", str(script)],
        env=dict(os.environ, **postgres.environ()),
        stdout=subprocess.DEVNULL,
        check=True,
    )


class Memory:
    """The memory of a server's processes, looked at while the block runs."""

    def __init__(self, server):
        self.server, self.peak, self.tree = server, 0, 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_exception):
        self.over.set()
        self.thread.join()

    def _watch(self):
        while not self.over.wait(1):
            resident = [megabytes(pid) for pid in self.server.workers()]
            self.peak = max(self.peak, *resident, 0)
            self.tree = max(self.tree, sum(resident))


def megabytes(pid):
    """Resident memory of a process."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


# --- webhooks -----------------------------------------------------------------------


def renewals(double, count):
    """The deliveries of so many invoices that are paid now."""
    double.renew(count=count)
    return double.take()


def raw_request(delivery):
    url, headers, body = delivery
    data = body.encode()
    lines = [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join(
        (
            f"POST {urlsplit(url).path} HTTP/1.1",
            f"Host: {urlsplit(url).netloc}",
            f"Content-Length: {len(data)}",
            "Connection: close",
            *lines,
        )
    )
    return head.encode() + b"\r\n\r\n" + data


def post_all(requests, port, rate=None):
    """Post all, some at the same time; again what was not answered with 200."""
    start = time.monotonic()

    def send(numbered):
        number, request = numbered
        if rate:
            time.sleep(max(0, start + number / rate - time.monotonic()))
        for _attempt in range(100):
            if exchange(request, port) == "200":
                return
            time.sleep(0.2)
        fail("the webhook accepts nothing.")

    with ThreadPoolExecutor(SENDERS) as pool:
        list(pool.map(send, enumerate(requests)))


# --- the double ---------------------------------------------------------------------


class Double:
    """The control of a double in another process (its own client needs `stripe`)."""

    def __init__(self, port):
        self.port, self.url = port, f"http://127.0.0.1:{port}"

    def __getattr__(self, name):
        return lambda **arguments: self._call(name, arguments)

    def _call(self, name, arguments):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        connection.request("POST", f"/_double/{name}", json.dumps(arguments))
        answer = json.loads(connection.getresponse().read())
        connection.close()
        if "error" in answer:
            fail(f"the double refused {name}: {answer['error']['message']}")
        return answer["result"]


@contextmanager
def stripe_double(ground, *options):
    """The double as a process of its own."""
    port = free_ports(1)[0]
    command = [ground.python, REPOSITORY / "tests" / "stripe_double", "--port", port]
    process = subprocess.Popen(
        list(map(str, [*command, "--deliver", "manual", "--ticking", *options])),
        stdout=subprocess.DEVNULL,
    )
    try:
        for _attempt in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield Double(port)
    finally:
        process.terminate()
        process.wait()


# --- inside Odoo --------------------------------------------------------------------


def inside(ground, database, do, keep=None, **arguments):
    """Run a function of bench_sync_odoo.py; its result. `keep`: a folder for files."""
    return inside_odoo(ground, database, INSIDE, keep, do=do, **arguments)


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
