"""Visits by our links and script, next to Odoo's own link_tracker and /web/health.

One Odoo server in a fresh database, as in `bin/bench webhook`: two HTTP workers, no
crons. Every visit comes from another address, as if by way of a proxy, so that each is
stored. Afterwards the database is asked whether it holds each visit.
"""

import gzip
import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from . import bench_rounds
from .bench_load import BROWSER, Clients, Target
from .bench_rounds import Rounds, complain
from .bench_server import inside_odoo, odoo_server
from .database import LINK_TRACKER
from .provision import provision
from .say import fail, say, step
from .system import BROWSERS
from .testing import new_log

SETUP = Path(__file__).with_name("bench_tracking_odoo.py")
WORKERS = 2
LOADS = 5
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-extensions")
PAGE = (
    "<!DOCTYPE html><body>"
    + '<a href="https://buy.stripe.com/x">Buy</a><a href="/pricing">Plans</a>' * 50
    + "<script>const start = performance.now()</script><script>SCRIPT</script>"
    + "<script>document.body.dataset.ms = performance.now() - start</script>"
)
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
            text = script(server.port, setup["key"])
            sizes = {"sdk_bytes": len(text), "sdk_gzip_bytes": len(gzip.compress(text))}
            busy = main_thread(text)
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
    figures = {**bench.figures(COMPARED), **sizes, **busy}
    return {**figures, "stored": stored, "workers": WORKERS}


def targets(setup):
    visit = {
        "reference": setup["code"],  # our server says who the visitor is
        "url": f"{setup['site']}?via={setup['code']}&utm_source=mail",
        "referrer": "https://blog.example/post",
    }
    script = {**BROWSER, "Origin": "http://127.0.0.1", "Content-Type": "text/plain"}
    path = f"/affiliate/v1/{setup['key']}/click"
    visitor = {"from_everywhere": True}
    return [
        Target(LINK, f"/a/{setup['code']}", headers=BROWSER, status="302", **visitor),
        Target(
            *(SCRIPT, path, json.dumps(visit).encode(), script), status="200", **visitor
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


def script(port, key):
    address = f"http://127.0.0.1:{port}/affiliate/sdk/{key}.js"
    with urllib.request.urlopen(address, timeout=30) as answer:
        return answer.read()


def main_thread(text):
    """How long the script keeps a page busy, as a figure; none without a browser."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not browser:
        say(
            "there is no Chromium (" + ", ".join(BROWSERS) + "): how long the script "
            "keeps a page busy is not measured."
        )
        return {}
    taken = script_ms(text, browser)
    print(f"It takes {taken:.1f} ms of a page with 100 links.")
    return {"sdk_main_thread_ms": taken}


def script_ms(text, browser):
    """Milliseconds of a page's main thread that the script takes when it is read, in
    the middle of several loads: compiled, run, a hundred links looked at."""
    page = PAGE.replace("SCRIPT", text.decode()).encode()

    class Site(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_arguments):
            """Nothing to say."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/?via=DRONA1"
    found = []
    try:
        for _load in range(LOADS):
            with tempfile.TemporaryDirectory() as profile:
                command = [browser, *OPTIONS, f"--user-data-dir={profile}"]
                dom = subprocess.run(
                    [*command, "--dump-dom", address],
                    capture_output=True,
                    text=True,
                    timeout=60,
                    check=True,
                ).stdout
            found.append(float(re.search(r'data-ms="([\d.]+)"', dom)[1]))
    finally:
        server.shutdown()
    return statistics.median(found)
