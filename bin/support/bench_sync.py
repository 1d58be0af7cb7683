"""How fast Stripe's history and its events become mirror rows and commissions.

The Stripe double runs as its own process with a history in bulk (two years; invoices
with two lines each, payments, charges, 10 % refunds); half of the customers belong to
affiliates. Odoo runs as in production: HTTP and cron workers as processes of their own,
PostgreSQL durable. The database is prepared once and copied for each measurement.
"""

import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from .bench_server import free_ports
from .paths import REPOSITORY
from .provision import provision
from .say import explain, fail, step

INSIDE = Path(__file__).with_name("bench_sync_odoo.py")


def arguments(parser):
    parser.add_argument(
        "--invoices", type=int, default=10_000, help="of the history (10,000)"
    )
    parser.add_argument(
        "--events", type=int, default=2_000, help="of a live measurement (2,000)"
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
    fail("not yet")


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
    log = ground.cache / "log" / "bench-sync-inside.log"
    shell = [ground.python, "-m", "odoo", "shell", "-c", ground.config, "-d", database]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        environment = {
            **ground.environ(),
            "BENCH_OUT": str(out),
            "BENCH_TESTS": str(REPOSITORY / "tests"),
            "BENCH": json.dumps({"do": do, **arguments}),
        }
        with log.open("wb") as output:
            result = subprocess.run(
                [*map(str, shell), "--no-http", "--max-cron-threads=0"],
                env=environment,
                cwd="/",
                stdin=INSIDE.open("rb"),
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if result.returncode or not out.exists():
            last = explain(log.read_text(errors="replace"))
            fail(f"the bench failed inside Odoo ({do}): {last} (see {log}).")
        for path in Path(folder).glob("*.*"):
            if keep:
                shutil.copy(path, keep)
        return json.loads(out.read_text())


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
