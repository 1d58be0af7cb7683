"""Visits by our links and script, next to Odoo's own link_tracker and /web/health.

One Odoo server in a fresh database, as in `bin/bench webhook`: two HTTP workers, no
crons. Every visit comes from another address, as if by way of a proxy, so that each is
stored. Afterwards the database is asked whether it holds each visit.
"""

import gzip
import json
import os
import urllib.request
from pathlib import Path

from . import bench_rounds
from .bench_load import BROWSER, MARK, Clients, Target
from .bench_rounds import Rounds, complain
from .bench_server import inside_odoo, odoo_server
from .database import LINK_TRACKER
from .provision import provision
from .say import fail, step
from .testing import new_log

SETUP = Path(__file__).with_name("bench_tracking_odoo.py")
WORKERS = 2
LINK, SCRIPT, LINK_TRACKER_CLICK, HEALTH = "click", "script", "link_tracker", "health"
LABELS = {
    LINK: "link /a/CODE",
    SCRIPT: "visit sent by the script",
    LINK_TRACKER_CLICK: "link_tracker /r/CODE",
    HEALTH: "/web/health",
}
COMPARED = ((LINK, LINK_TRACKER_CLICK), (SCRIPT, LINK_TRACKER_CLICK), (LINK, HEALTH))


def arguments(parser):
    bench_rounds.arguments(parser)


def measure(options):
    bench_rounds.check(options)
    ground = provision()
    database = f"bench_{os.getpid()}"
    ground.fresh_database(database, extra=LINK_TRACKER)
    try:
        with step("preparing a programme"):
            setup = inside_odoo(ground, database, SETUP)
        log = new_log(ground.cache / "log", database)
        workers = ("--workers", WORKERS, "--max-cron-threads", 0, "--proxy-mode")
        with odoo_server(ground, database, log, *workers) as server:
            with Clients(options.clients, server.port) as clients:
                bench = Rounds(server, clients, targets(setup), options)
                bench.measure()
            sizes = script_sizes(server.port, setup["key"])
        # Its visits at the same moment collide in one counter, and Odoo repeats them.
        complain(log, but="link_tracker")
        stored = verify(bench)
    finally:
        ground.drop_database(database)
    bench.show(LABELS, COMPARED)
    print(f"{stored} visits were answered well, all of them are stored.")
    print(
        "The script as served: {sdk_bytes} bytes, {sdk_gzip_bytes} gzip.".format(
            **sizes
        )
    )
    return {**bench.figures(COMPARED), **sizes, "stored": stored, "workers": WORKERS}


def targets(setup):
    visit = {
        "reference": f"{setup['code']}_visitor00000{MARK.decode()}",
        "url": f"{setup['site']}?via={setup['code']}&utm_source=mail",
        "referrer": "https://blog.example/post",
    }
    script = {**BROWSER, "Origin": "http://127.0.0.1", "Content-Type": "text/plain"}
    path = f"/affiliate/v1/{setup['key']}/click"
    visitor = {"from_everywhere": True}
    return [
        Target(LINK, f"/a/{setup['code']}", headers=BROWSER, status="302", **visitor),
        Target(
            *(SCRIPT, path, json.dumps(visit).encode(), script), status="204", **visitor
        ),
        Target(
            *(LINK_TRACKER_CLICK, setup["link_tracker"]),
            **visitor,
            headers=BROWSER,
            status="301",
        ),
        Target(HEALTH, "/web/health"),
    ]


def verify(bench):
    """Whether each answer has left a visit."""
    stored = int(bench.query("select count(*) from affiliate_click")[0])
    answered = sum(len(bench.accepted(name)) for name in (LINK, SCRIPT))
    broken = sum(sum(bench.errors(name).values()) for name in (LINK, SCRIPT))
    # What broke off on the way back may have been stored all the same.
    if not answered <= stored <= answered + broken:
        fail(f"{answered} visits were answered and {stored} are stored.")
    theirs = int(bench.query("select count(*) from link_tracker_click")[0])
    if theirs < len(bench.accepted(LINK_TRACKER_CLICK)):
        fail("link_tracker has not stored its clicks: the cheap way was measured.")
    return stored


def script_sizes(port, key):
    address = f"http://127.0.0.1:{port}/affiliate/sdk/{key}.js"
    with urllib.request.urlopen(address, timeout=30) as answer:
        script = answer.read()
    return {"sdk_bytes": len(script), "sdk_gzip_bytes": len(gzip.compress(script))}
