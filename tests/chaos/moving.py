"""Databases that are copied, restored from a backup, and left: what happens in Stripe.

Real databases, no Odoo in this process: `bin/test --chaos`.
"""

import json
import os
import subprocess
import time
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
from killing import moved
from support.bench_server import inside_odoo, odoo_server
from support.bench_stripe import stripe_double
from support.provision import provision
from support.testing import new_log

INSIDE = Path(__file__).with_name("moving_odoo.py")
#: An address at which the double may call; nothing listens there.
BASE = "http://127.0.0.1:8069"
QUICK = 30  # seconds: Odoo itself needs most of them to start and to uninstall
#: What of ours could be left in a database, as queries that must find nothing.
LEFTOVERS = {
    "tables": "select relname from pg_class where relname like 'affiliate%'",
    "functions": "select proname from pg_proc where proname like 'affiliate%'",
    "columns": """select attname from pg_attribute join pg_class c on c.oid = attrelid
                   where attname like 'affiliate%' and not attisdropped
                     and c.relkind = 'r'""",
    "models": "select model from ir_model where model like 'affiliate%'",
    "external ids": "select name from ir_model_data where module = 'affiliate_stripe'",
    "scheduled actions": "select cron_name from ir_cron where cron_name like 'Affil%'",
    "settings": "select key from ir_config_parameter where key like 'affiliate%'",
    "attachments": "select name from ir_attachment where res_model like 'affiliate%'",
    "messages": "select id from mail_message where model like 'affiliate%'",
    "activities": "select id from mail_activity where res_model like 'affiliate%'",
    "followers": "select id from mail_followers where res_model like 'affiliate%'",
    "groups": "select id from res_groups where name->>'en_US' like 'Affiliate%'",
}


@pytest.fixture(scope="module")
def ground():
    return provision()


@pytest.fixture(scope="module")
def cluster(ground):
    """A PostgreSQL that nobody else uses."""
    beside = ground.beside("chaos")
    yield beside
    beside.postgres.stop()


class Place:
    """A database with a connected account, and the Stripe it is connected to."""

    def __init__(self, ground, database, double):
        self.ground, self.database, self.double = ground, database, double

    def do(self, task, ground=None, database=None, **arguments):
        return inside_odoo(
            ground or self.ground,
            database or self.database,
            INSIDE,
            do=task,
            **arguments,
        )

    def at_stripe(self):
        """Endpoints and promotion codes, as they are in Stripe."""
        return self.double.all(kind="webhook_endpoint"), self.double.all(
            kind="promotion_code"
        )

    def writes(self):
        log = self.double.request_log()
        return [entry for entry in log if entry["method"] != "GET"]

    def left(self):
        found = {
            what: self.ground.postgres.query(query, self.database)
            for what, query in LEFTOVERS.items()
        }
        return {what: rows for what, rows in found.items() if rows}


@pytest.fixture
def place(ground):
    database = f"test_{os.getpid()}"
    ground.fresh_database(database)
    try:
        with stripe_double(ground) as double:
            place = Place(ground, database, double)
            state = place.do("setup", url=double.url, base=BASE)
            assert state["codes"] == {"DRONA1": "synced"}
            yield place
    finally:
        ground.drop_database(database)


# --- copies ---------------------------------------------------------------------------


def assert_powerless(place, before, **where):
    """Whatever the copy does: nothing changes in Stripe, and nobody is told of it."""
    at_stripe, writes = before
    place.do("later", **where)
    refused = place.do("act", **where)
    assert len(refused) == 5
    assert all("may be a copy" in text for text in refused)
    state = place.do("look", **where)
    assert state["question"] and state["codes"] == {"DRONA1": "synced"}
    assert place.do("answer", what="copy", **where)["state"] == "draft"
    assert place.at_stripe() == at_stripe
    assert place.writes() == writes


@pytest.mark.parametrize("how", ["createdb", "duplicate"])
def test_a_copy_beside_it(place, how):
    """`createdb -T` keeps Odoo's id of the database, its own duplicate renews it."""
    ground, copy = place.ground, f"{place.database}_copy"
    before = place.at_stripe(), place.writes()
    uuid = place.do("look")["uuid"]
    try:
        if how == "createdb":
            ground.databases.copy(place.database, copy)
        else:
            odoo(ground, "db", "-c", ground.config, "duplicate", place.database, copy)
        assert (place.do("look", database=copy)["uuid"] == uuid) == (how == "createdb")
        assert_powerless(place, before, database=copy)
    finally:
        ground.drop_database(copy)


def test_a_copy_of_the_same_name_elsewhere(place, cluster):
    """Another server, the same id, name and address: only the mark tells."""
    with moved(place.ground, cluster, place.database):
        place.do("work")  # a day at home
        before = place.at_stripe(), place.writes()
        assert not place.do("look", ground=cluster)["question"]
        place.do("work", ground=cluster)
        assert_powerless(place, before, ground=cluster)
    assert not place.do("work")["question"]


# --- at home --------------------------------------------------------------------------


def assert_at_home(place):
    """One endpoint, ours, and nobody asks anything; today and tomorrow."""
    for _day in range(2):
        place.do("later")
        assert not place.do("work")["question"]
        (endpoint,) = place.at_stripe()[0]
        known = place.ground.postgres.query(
            """select stripe_id from affiliate_stripe_endpoint
                where valid_until is null""",
            place.database,
        )
        assert known == [endpoint["id"]]


def test_a_home_is_asked_nothing(place):
    """What another transaction of ours has just noted is not another database."""
    assert_at_home(place)
    place.do("later")
    assert not place.do("roll")["question"]
    assert_at_home(place)
    place.do("delete_endpoint", url=place.double.url)
    assert_at_home(place)


# --- backups --------------------------------------------------------------------------


def test_a_restored_backup(place):
    ground, backup = place.ground, f"{place.database}_backup"
    try:
        ground.databases.copy(place.database, backup)
        # What is lost: an affiliate, a code that sells, a day of marks.
        place.do("enroll", name="Uma Iyer", wish="SUMMER")
        place.do("sell", url=place.double.url, code="SUMMER", email="a@shop.example")
        place.do("sell", url=place.double.url, code="DRONA1", email="b@shop.example")
        place.do("roll")
        earned = place.do("work")["earned"]
        assert earned == {"SUMMER": 24.0, "DRONA1": 24.0}
        ground.drop_database(place.database)
        ground.databases.rename(backup, place.database)
    finally:
        ground.drop_database(backup)
    before = place.writes()
    state = place.do("work")
    assert "Another database" in state["question"]
    assert place.writes() == before
    # Once a person has answered, it heals by itself.
    state = place.do("answer", what="home")
    assert not state["question"]
    assert state["earned"] == {"DRONA1": 24.0}
    assert [e["url"].startswith(BASE) for e in place.at_stripe()[0]] == [True]
    assert_at_home(place)
    # A code of the lost affiliate is nobody's until a person has seen whose it was.
    state = place.do("enroll", name="Zoe Lee", wish="SUMMER")
    assert state["codes"].get("SUMMER") != "synced"
    if "SUMMER" in state["codes"]:
        assert place.do("whose", code="SUMMER") == {
            "made_for": "Uma Iyer",
            "is_lost": True,
        }
    assert all(
        code in ("DRONA1", "SUMMER") or state == "synced"
        for code, state in state["codes"].items()
    )


# --- leaving --------------------------------------------------------------------------


def odoo(ground, *arguments):
    """Run Odoo's command line; how many seconds it took."""
    start = time.monotonic()
    command = [ground.python, "-m", "odoo", *arguments]
    subprocess.run(
        list(map(str, command)),
        env=ground.environ(),
        cwd="/",
        check=True,
        timeout=120,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.monotonic() - start


def uninstall_in_shell(place):
    config, database = ("-c", place.ground.config), ("-d", place.database)
    odoo(place.ground, "module", "uninstall", *config, *database, "affiliate_stripe")


def uninstall_on_screen(place):
    """What the button does, while scheduled actions and workers run."""
    log = new_log(place.ground.cache / "log", f"chaos_{place.database}")
    workers = ("--workers", 2, "--max-cron-threads", 2)
    with odoo_server(place.ground, place.database, log, *workers) as server:
        session = login(server)
        (module,) = call(
            server,
            session,
            "ir.module.module",
            "search",
            [[["name", "=", "affiliate_stripe"]]],
        )
        call(
            server,
            session,
            "ir.module.module",
            "button_immediate_uninstall",
            [[module]],
        )


def login(server):
    connection = HTTPConnection("127.0.0.1", server.port, timeout=120)
    params = {"db": server.database, "login": "admin", "password": "admin"}
    connection.request(
        "POST",
        "/web/session/authenticate",
        json.dumps({"jsonrpc": "2.0", "params": params}),
        {"Content-Type": "application/json"},
    )
    answer = connection.getresponse()
    answer.read()
    return answer.headers["Set-Cookie"].partition(";")[0]


def call(server, session, model, method, arguments):
    connection = HTTPConnection("127.0.0.1", server.port, timeout=120)
    params = {"model": model, "method": method, "args": arguments, "kwargs": {}}
    connection.request(
        "POST",
        f"/web/dataset/call_kw/{model}/{method}",
        json.dumps({"jsonrpc": "2.0", "params": params}),
        {"Content-Type": "application/json", "Cookie": session},
    )
    answer = json.loads(connection.getresponse().read())
    assert "error" not in answer, answer["error"]
    return answer["result"]


@contextmanager
def quick(seconds):
    start = time.monotonic()
    yield
    took = time.monotonic() - start
    assert took < seconds, f"it took {took:.0f} seconds"


@pytest.mark.parametrize("uninstall", [uninstall_in_shell, uninstall_on_screen])
def test_nothing_is_left(place, uninstall):
    place.do("sell", url=place.double.url, code="DRONA1", email="a@shop.example")
    assert place.do("work")["earned"] == {"DRONA1": 24.0}
    assert place.left(), "there must be something to leave"
    place.do("later")
    with quick(3 * QUICK):
        uninstall(place)
    assert place.left() == {}
    assert place.at_stripe()[0] == []
    # Customers may hold them: "Deactivate codes" switches them off.
    assert [promo["active"] for promo in place.at_stripe()[1]] == [True]


def test_a_copy_that_is_left_changes_nothing_in_stripe(place):
    ground, copy = place.ground, f"{place.database}_copy"
    before = place.at_stripe(), place.writes()
    try:
        ground.databases.copy(place.database, copy)
        uninstall_in_shell(Place(ground, copy, place.double))
        assert Place(ground, copy, place.double).left() == {}
        assert (place.at_stripe(), place.writes()) == before
    finally:
        ground.drop_database(copy)


def test_it_can_be_left_while_stripe_is_out_of_reach(place):
    place.double.disturb(action="timeout", seconds=60, probability=1)
    with quick(2 * QUICK):
        uninstall_in_shell(place)
    assert place.left() == {}
