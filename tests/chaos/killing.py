"""Events flow while workers are killed, PostgreSQL loses its power and Stripe stutters.

Real processes, no Odoo in this one: `bin/test --chaos`. The same events are processed
twice, once undisturbed and once through all this; the ledgers must be the same. So must
be what a reader has stored who was killed again and again.
"""

import http.client
import json
import math
import os
import random
import signal
import subprocess
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import NamedTuple

import pytest
from support.bench_engine import (
    PENDING,
    ask,
    busiest,
    expire_leases,
    inside,
    is_reading,
    notify,
    query,
    snapshot,
    start_reading,
    wait_for,
)
from support.bench_load import BROWSER
from support.bench_server import inside_odoo, odoo_server
from support.bench_stripe import post_all, raw_request, stripe_double
from support.bench_tracking import SETUP as VISITORS
from support.database import LINK_TRACKER
from support.provision import provision
from support.say import Trouble, say
from support.testing import new_log

READ = 2_400  # invoices of the history that a killed reader reads
HISTORY = 600  # invoices; then renewals, each with nine events about four objects
RENEWALS = 560
TYPES = (
    "charge.succeeded",
    "customer.subscription.updated",
    "invoice.finalized",
    "invoice.paid",
    "invoice.updated",
    "invoice_payment.paid",
)
REFUNDS = 60
SERVER = ("--workers", 2, "--max-cron-threads", 2)
#: Three calls of ten go wrong: how, and how many of those that went well so far.
HOSTILITY = (
    ({"action": "status", "status": 429}, 0.08),
    ({"action": "status", "status": 500}, 0.09),
    ({"action": "timeout", "seconds": 0.3}, 0.07),
    ({"action": "truncate"}, 0.1),
)
#: An answer that never comes: longer than our client waits, and than leases last here.
SILENCE, SILENT_AT, SILENT_CALLS = 31, 50, 2
POSTING = 40.0  # seconds in which the events arrive
ENOUGH, BOUND = 0.2, 170.0  # all goes wrong until so few are left, or for so long
POWER_CUTS = ((10, "immediate"), (45, "fast"), (80, "immediate"))
PAUSE_AT, PAUSE, TAKES_NOTICE = 20, 15, 10  # a long pause; batches under way may end
KILL_EVERY = 4.0
PATIENCE = 180
#: How much sooner pauses end, and leases and waits of single events: minutes are too
#: long for a test, and to clear them would test nothing.
SOONER = {"pause": 30, "lease": 15}
SOONER_SQL = """
    create function sooner(moment timestamp, factor int) returns timestamp as $$
        select clock_timestamp() at time zone 'UTC'
               + (moment - clock_timestamp() at time zone 'UTC') / factor
    $$ language sql;
    create function wait_less() returns trigger as $$
    begin
        if new.leased_until is distinct from old.leased_until then
            new.leased_until = sooner(new.leased_until, {lease});
        end if;
        if new.next_try is distinct from old.next_try then
            new.next_try = sooner(new.next_try, {lease});
        end if;
        return new;
    end $$ language plpgsql;
    create function pause_less() returns trigger as $$
    begin
        if new.backoff_until is distinct from old.backoff_until then
            new.backoff_until = sooner(new.backoff_until, {pause});
        end if;
        return new;
    end $$ language plpgsql;
    create trigger sooner before update on affiliate_stripe_event
        for each row execute function wait_less();
    create trigger sooner before update on affiliate_stripe_account
        for each row execute function pause_less()
""".format(**SOONER)
A_MINUTE = 60 / SOONER["lease"]
#: Odoo without processes; how long PostgreSQL is away; until the door looks again.
THREADS = ("--workers", 0, "--max-cron-threads", 1)
AWAY, A_LOOK = 4, 65
LONG_AGO_SQL = """
    update affiliate_stripe_event set received_at = received_at - interval '1 hour';
    update ir_cron set lastcall = lastcall - interval '1 hour'
"""
SCRIPT = {"Origin": "http://127.0.0.1", "Content-Type": "text/plain"}
#: What is locked, and how a link, a visit, a lead, the form and a page are answered.
LOCKS = {
    "lock affiliate_click in access exclusive mode": (302, 503, 503, 200, 200),
    "select from affiliate_code for update": (302, 503, 503, 200, 200),
    "lock affiliate_code in access exclusive mode": (503, 503, 503, 200, 200),
    "lock affiliate_rate_limit_log in access exclusive mode": (302, 200, 204, 200, 200),
    "lock affiliate_referral in access exclusive mode": (302, 200, 503, 200, 200),
    "lock affiliate_program in access exclusive mode": (503, 503, 503, 503, 503),
}
SEED = int(os.environ.get("CHAOS_SEED", "1"))


@pytest.fixture(scope="module")
def ground():
    return provision()


@pytest.fixture(scope="module")
def cluster(ground):
    """A PostgreSQL that nobody else uses."""
    beside = ground.beside("chaos")
    yield beside
    beside.postgres.stop()


def test_the_ledger_survives(ground, cluster):
    chance = random.Random(SEED)
    say(f"CHAOS_SEED={SEED}")
    database = f"test_{os.getpid()}"
    ground.fresh_database(database)
    try:
        with stripe_double(ground) as double:
            inside(ground, database, "setup", url=double.url, invoices=HISTORY)
            inside(ground, database, "read")
            inside(ground, database, "workers", count=2)
            with moved(ground, cluster, database):
                deliveries = happenings(double)
                with running(ground, database) as server:
                    calmly(server, deliveries)
                    expected = snapshot(server)
                say("undisturbed: done; now the same in chaos")
                chance.shuffle(deliveries)
                with running(cluster, database) as server:
                    Chaos(server, double, chance).run(deliveries)
                    survived(server, deliveries)
                    assert snapshot(server) == expected
    finally:
        ground.drop_database(database)


def test_a_killed_reader_goes_on(ground):
    """kill -9 of whoever reads, several times, wherever it is just then."""
    database = f"test_{os.getpid()}"
    ground.fresh_database(database)
    clean = f"{database}_clean"
    try:
        with stripe_double(ground) as double:
            made = inside(ground, database, "setup", url=double.url, invoices=READ)
            ground.databases.copy(database, clean)
            inside(ground, clean, "read")
            # Slow enough to be met in the middle of its work.
            double.disturb(action="latency", probability=1, seconds=0.1)
            with running(ground, database) as server:
                kill_readers(server)
                found = snapshot(server)
            assert found == snapshot(Clean(ground, clean))
            assert found["affiliate_stripe_invoice"] == made["counts"]["invoice"]
    finally:
        ground.drop_database(database)
        ground.drop_database(clean)


def test_threads_that_a_restart_has_ended_are_started(ground, cluster):
    """Without processes of its own for them Odoo loses the threads of its scheduled
    actions when PostgreSQL is away for a moment. The webhook's door starts them."""
    database = f"test_{os.getpid()}"
    ground.fresh_database(database)
    try:
        with stripe_double(ground) as double:
            inside(ground, database, "setup", url=double.url, invoices=2)
            inside(ground, database, "read")
            with moved(ground, cluster, database):
                log = new_log(cluster.cache / "log", f"chaos_{database}")
                with odoo_server(cluster, database, log, *THREADS) as server:
                    cluster.postgres.stop("fast")
                    time.sleep(AWAY)
                    cluster.postgres.ensure()
                    deliveries = list(map(raw_request, renewals(double)))
                    post_all(deliveries[1:], server.port)
                    time.sleep(A_LOOK)
                    assert ask(server, PENDING), "the threads have survived"
                    query(server, LONG_AGO_SQL)
                    post_all(deliveries[:1], server.port)
                    wait_for(lambda: not ask(server, PENDING), PATIENCE)
                    assert "they are started again" in log.read_text()
    finally:
        ground.drop_database(database)


def renewals(double):
    double.renew(count=2, types=TYPES)
    return double.take()


def test_links_wait_for_nobody(ground):
    """Whatever somebody has locked, a visitor is led on or told to come again."""
    database = f"test_{os.getpid()}"
    ground.fresh_database(database, extra=LINK_TRACKER)
    try:
        known = inside_odoo(ground, database, VISITORS)
        log = new_log(ground.cache / "log", f"chaos_{database}")
        with odoo_server(ground, database, log, *SERVER) as server:
            known["reference"] = issued(server, known)
            visit(server, known)
            for statement, statuses in LOCKS.items():
                with locking(server, statement):
                    start = time.monotonic()
                    assert visit(server, known) == statuses, statement
                    assert time.monotonic() - start < len(statuses) * 3, statement
            assert visit(server, known) == (302, 200, 204, 200, 200)
    finally:
        ground.drop_database(database)


def visit(server, known):
    """A link, what the script tells of a visit and of a lead, the form, a page."""
    public, browser = f"/affiliate/v1/{known['key']}", dict(BROWSER)
    reference, email = known["reference"], f"{uuid.uuid4().hex}@example.com"
    script = {**browser, **SCRIPT}
    asked = (
        (f"/a/{known['code']}", None, browser),
        # As of somebody who comes for the first time.
        (f"{public}/click", {"reference": known["code"], "url": known["site"]}, script),
        (f"{public}/lead", {"reference": reference, "email": email}, script),
        (f"/affiliate/form/{known['key']}?reference={reference}", None, browser),
        ("/affiliates", None, browser),
    )
    return tuple(
        status for status, _text in (ask_page(server, *what) for what in asked)
    )


def issued(server, known):
    """The reference that the server gives a visitor who comes for the first time."""
    body = {"reference": known["code"], "url": known["site"]}
    path = f"/affiliate/v1/{known['key']}/click"
    _status, text = ask_page(server, path, body, {**BROWSER, **SCRIPT})
    return json.loads(text)["reference"]


def ask_page(server, path, body, headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    method = "POST" if body else "GET"
    connection.request(method, path, body and json.dumps(body), headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, text


@contextmanager
def locking(server, statement):
    """Hold what a statement locks, in a transaction of its own."""
    session = subprocess.Popen(
        [
            server.ground.postgres.programs / "psql",
            *("-Xq", "-v", "ON_ERROR_STOP=1", "-d", server.database),
        ],
        env=dict(os.environ, **server.ground.postgres.environ()),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    session.stdin.write(f"begin; {statement}; \\echo locked\n")
    session.stdin.flush()
    for line in session.stdout:
        if line.strip() == "locked":
            break
    try:
        yield
    finally:
        session.stdin.write("rollback;\n")
        session.stdin.close()
        session.wait(10)


def kill_readers(server):
    read = "select coalesce(sum(objects), 0) from affiliate_stripe_run_part"
    for share in (0.1, 0.3, 0.5, 0.7):
        start_reading(server)
        wait_for(lambda share=share: ask(server, read) > share * 4 * READ, PATIENCE)
        assert is_reading(server), "there is nothing left to be killed"
        os.kill(busiest(server), signal.SIGKILL)
        time.sleep(1)
        expire_leases(server)
    start_reading(server)
    wait_for(lambda: not is_reading(server), PATIENCE)


class Clean(NamedTuple):
    """A database without a server, to be looked at as one with a server is."""

    ground: object
    database: str


@contextmanager
def running(ground, database):
    log = new_log(ground.cache / "log", f"chaos_{database}")
    with odoo_server(ground, database, log, *SERVER, for_ever=True) as server:
        yield server


@contextmanager
def moved(ground, cluster, database):
    """A copy of a database in the other cluster."""
    cluster.postgres.drop(database)
    cluster.postgres.query(f'create database "{database}"')
    programs = ground.postgres.programs
    dump = subprocess.Popen(
        [programs / "pg_dump", database],
        env=dict(os.environ, **ground.postgres.environ()),
        stdout=subprocess.PIPE,
    )
    subprocess.run(
        [programs / "psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-d", database],
        env=dict(os.environ, **cluster.postgres.environ()),
        stdin=dump.stdout,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    assert dump.wait() == 0
    try:
        yield
    finally:
        cluster.postgres.drop(database)


def happenings(double):
    """Deliveries of payments, and of refunds of a few of them."""
    double.renew(count=RENEWALS, types=TYPES)
    deliveries = double.take()
    charges = [
        event["data"]["object"]["id"]
        for event in (json.loads(body) for *_head, body in deliveries)
        if event["type"] == "charge.succeeded"
    ]
    for number, charge in enumerate(charges[: REFUNDS * 9 : 9]):
        double.force_refund(charge_id=charge, amount=(None, 500)[number % 2])
    return deliveries + double.take()


def calmly(server, deliveries):
    post_all(list(map(raw_request, deliveries)), server.port)
    wait_for(lambda: not ask(server, PENDING), PATIENCE)


def survived(server, deliveries):
    """Each event is there once and done."""
    sent = {json.loads(body)["id"] for *_head, body in deliveries}
    rows = query(server, "select stripe_id, state from affiliate_stripe_event")
    states = dict(row.split("|") for row in rows)
    assert sent <= states.keys(), "events are lost"
    assert set(states.values()) == {"done"}


class Chaos:
    """What goes wrong while the events flow."""

    def __init__(self, server, double, chance):
        self.server, self.double, self.chance = server, double, chance
        self.calm, self.done = threading.Event(), threading.Event()
        self.start = time.monotonic()
        self.killed, self.quiet = 0, None

    def run(self, deliveries):
        query(self.server, SOONER_SQL)
        for how, probability in HOSTILITY:
            self.double.disturb(probability=probability, **how)
        self.start = time.monotonic()
        works = (
            self.kill_workers,
            self.cut_the_power,
            self.say_nothing,
            self.pause,
            self.wake_each_minute,
        )
        with ThreadPoolExecutor(len(works)) as pool:
            started = [pool.submit(work) for work in works]
            try:
                self.disturb(deliveries)
                wait_for(lambda: not self.pending(), PATIENCE)
            finally:
                self.calm.set()
                self.done.set()
            for work in started:
                work.result()
        assert self.quiet == 0, f"{self.quiet} calls were made during a pause"

    def disturb(self, deliveries):
        """Post them, some twice at the same moment, and wait until most are done."""
        requests = []
        for number, request in enumerate(map(raw_request, deliveries)):
            requests += [request] * (2 if number % 10 == 0 else 1)
        post_all(requests, self.server.port, rate=len(requests) / POSTING)
        while self.passed() < BOUND and self.pending() > ENOUGH * len(deliveries):
            time.sleep(1)
        self.double.calm()
        self.calm.set()
        say(
            f"{self.killed} workers were killed in {self.passed():.0f} seconds,"
            f" {self.pending():.0f} of {len(deliveries)} events are left"
        )

    def passed(self):
        return time.monotonic() - self.start

    def pending(self):
        """How many events are left; infinitely many while nobody can tell."""
        try:
            return ask(self.server, PENDING)
        except Trouble:
            return math.inf

    def is_calm(self, moment):
        """Wait for a moment; tell whether the disturbance has ended before it."""
        return self.calm.wait(max(0, moment - self.passed()))

    def kill_workers(self):
        while not self.calm.wait(KILL_EVERY * self.chance.uniform(0.5, 1.5)):
            workers = list(self.server.workers())
            if workers:
                with suppress(ProcessLookupError):
                    os.kill(self.chance.choice(workers), signal.SIGKILL)
                    self.killed += 1

    def cut_the_power(self):
        postgres = self.server.ground.postgres
        for moment, mode in POWER_CUTS:
            if self.is_calm(moment):
                return
            postgres.stop(mode)
            time.sleep(1)
            postgres.ensure()

    def say_nothing(self):
        """Who waits for an answer in vain loses his lease meanwhile."""
        if not self.is_calm(SILENT_AT):
            self.double.disturb(action="timeout", times=SILENT_CALLS, seconds=SILENCE)

    def pause(self):
        """A long pause holds, whatever else happens: nobody calls Stripe."""
        if self.is_calm(PAUSE_AT):
            return
        query(
            self.server,
            f"""update affiliate_stripe_account
                   set backoff_count = 1, backoff_until = now() at time zone 'UTC'
                       + interval '{PAUSE * SOONER["pause"]} s'""",
        )
        time.sleep(TAKES_NOTICE)
        calls = self.double.traffic()
        time.sleep(PAUSE - TAKES_NOTICE - 1)
        self.quiet = self.double.traffic() - calls

    def wake_each_minute(self):
        """What Odoo does with a scheduled action; ours are set to sleep (bench)."""
        while not self.done.wait(A_MINUTE):
            with suppress(Trouble):
                query(
                    self.server,
                    """insert into ir_cron_trigger (cron_id, call_at)
                       select res_id, now() at time zone 'UTC' from ir_model_data
                        where model = 'ir.cron' and name like 'ir_cron_process%'""",
                )
                notify(self.server)
