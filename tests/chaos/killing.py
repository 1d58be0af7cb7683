"""Events flow while workers are killed, PostgreSQL loses its power and Stripe stutters.

Real processes, no Odoo in this one: `bin/test --chaos`. The same events are processed
twice, once undisturbed and once through all this; the ledgers must be the same.
"""

import json
import os
import random
import signal
import subprocess
import threading
import time
from contextlib import contextmanager, suppress

import pytest
from support.bench_server import odoo_server
from support.bench_sync import (
    PENDING,
    ask,
    inside,
    notify,
    post_all,
    query,
    raw_request,
    snapshot,
    stripe_double,
    wait_for,
)
from support.provision import provision
from support.say import Trouble, say
from support.testing import new_log

HISTORY = 600  # invoices; then renewals, each with three events
RENEWALS = 1_700
TYPES = ("charge.succeeded", "invoice.paid", "invoice_payment.paid")
REFUNDS = 60
SERVER = ("--workers", 2, "--max-cron-threads", 2)
#: Three calls of ten go wrong: how, and how many of those that went well so far.
HOSTILITY = (
    ({"action": "status", "status": 429}, 0.08),
    ({"action": "status", "status": 500}, 0.09),
    ({"action": "timeout", "seconds": 0.3}, 0.07),
    ({"action": "truncate"}, 0.1),
)
SECONDS = 45.0  # for which all goes wrong; the events flow all the while
MORE_KILLING = 15.0  # seconds, while Stripe answers again and the rest is processed
POWER_CUTS = ((12, "immediate"), (28, "fast"))  # when, and how PostgreSQL stops
KILL_EVERY = 4.0
PATIENCE = 180
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
        self.over, self.start = threading.Event(), time.monotonic()
        self.killed = 0

    def run(self, deliveries):
        for how, probability in HOSTILITY:
            self.double.disturb(probability=probability, **how)
        works = (self.kill_workers, self.cut_the_power, self.hurry)
        threads = [threading.Thread(target=work, daemon=True) for work in works]
        for thread in threads:
            thread.start()
        requests = list(map(raw_request, deliveries + deliveries[::10]))
        self.start = time.monotonic()
        post_all(requests, self.server.port, rate=len(requests) / SECONDS)
        time.sleep(max(0, self.start + SECONDS - time.monotonic()))
        self.double.calm()
        time.sleep(MORE_KILLING)
        self.over.set()
        for thread in threads:
            thread.join()
        say(
            f"{self.killed} workers were killed, {self.pending():.0f} of"
            f" {len(deliveries)} events are left"
        )
        end = time.monotonic() + PATIENCE
        while self.pending() and time.monotonic() < end:
            self.let_go()
            time.sleep(2)
        assert not self.pending()

    def pending(self):
        return ask(self.server, PENDING)

    def kill_workers(self):
        while not self.over.wait(KILL_EVERY * self.chance.uniform(0.5, 1.5)):
            workers = list(self.server.workers())
            if workers:
                with suppress(ProcessLookupError):
                    os.kill(self.chance.choice(workers), signal.SIGKILL)
                    self.killed += 1

    def cut_the_power(self):
        postgres = self.server.ground.postgres
        for moment, mode in POWER_CUTS:
            if self.over.wait(self.start + moment - time.monotonic()):
                return
            postgres.stop(mode)
            time.sleep(1)
            postgres.ensure()

    def hurry(self):
        while not self.over.wait(2):
            with suppress(Trouble):
                self.let_go()

    def let_go(self):
        """Minutes of waiting pass at once: of what is paused, put off or leased."""
        query(
            self.server,
            """update affiliate_stripe_account set backoff_until = null
                where backoff_until is not null;
               update affiliate_stripe_event set next_try = null
                where next_try is not null and state = 'pending';
               update affiliate_stripe_event set leased_until = null
                where state = 'pending' and leased_until <
                      now() at time zone 'UTC' + interval '4 min 40 s';
               insert into ir_cron_trigger (cron_id, call_at)
               select res_id, now() at time zone 'UTC' from ir_model_data
                where model = 'ir.cron' and name like 'ir_cron_process%'""",
        )
        notify(self.server)
