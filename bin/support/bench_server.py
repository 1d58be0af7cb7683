"""Odoo for a bench: a server of real processes, as in production, on a free port; and
a script that runs inside Odoo, without a server."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .paths import REPOSITORY
from .provision import Ground
from .say import explain, fail, step

START_SECONDS = 120
STOP_SECONDS = 20


@dataclass
class Server:
    """A running Odoo. Its processes are those of the session that `process` leads."""

    ground: Ground
    database: str
    process: subprocess.Popen
    port: int
    for_ever: bool = False

    def cpu_seconds(self):
        """Processor time used so far, by Odoo and by the database on its behalf.

        Unlike the clock it tells little about what else the machine is doing.
        """
        backends = self.ground.postgres.query(
            f"select pid from pg_stat_activity where datname = '{self.database}'"
        )
        return sum(
            seconds
            for pid, (session, _parent, seconds) in processes().items()
            if session == self.process.pid or str(pid) in backends
        )

    def workers(self):
        """{pid: processor seconds} of the processes that do the work."""
        return {
            pid: seconds
            for pid, (session, parent, seconds) in processes().items()
            if session == self.process.pid and parent != os.getpid()
            if not (self.for_ever and parent == self.process.pid)
        }


def processes():
    """{pid: (session, parent, processor seconds in user and kernel mode)}."""
    found, tick = {}, os.sysconf("SC_CLK_TCK")
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        seconds = (int(fields[11]) + int(fields[12])) / tick
        found[int(stat.parent.name)] = (int(fields[3]), int(fields[1]), seconds)
    return found


@contextmanager
def odoo_server(ground, database, log, *options, for_ever=False):
    """Run Odoo on a database while the block runs; gives a `Server`.

    :param for_ever: start it again when it ends, as the system of a server does
    """
    port, other = free_ports(2)
    command = ground.odoo_command(
        database,
        *("--http-port", port, "--gevent-port", other),
        *("--log-level", "info", "--logfile", log),
        *options,
    )
    if for_ever:
        command = ["sh", "-c", 'while :; do "$@"; sleep 1; done', "sh", *command]
    with (log.with_suffix(".out")).open("wb") as output:
        process = subprocess.Popen(
            command,
            env=ground.environ(),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that its workers can be ended with it
        )
    try:
        with step("starting Odoo"):
            wait_until_healthy(process, port, log)
        yield Server(ground, database, process, port, for_ever)
    finally:
        stop(process)


def free_ports(count):
    """Ports nobody listens on now, all different."""
    probes = [socket.socket() for _number in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def wait_until_healthy(process, port, log):
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            fail(f"Odoo stopped while it started (see {log}).")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request("GET", "/web/health")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.3)
        finally:
            connection.close()
    fail(f"Odoo did not answer within {START_SECONDS} seconds (see {log}).")


def stop(process):
    """End the server, and whatever of it is left after a while."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def inside_odoo(ground, database, script, keep=None, **arguments):
    """Type a script into `odoo shell`; what it answers.

    It finds its arguments as JSON in BENCH, the folder of our tests in BENCH_TESTS, and
    writes its answer as JSON into the file BENCH_OUT.

    :param keep: a folder for what else it writes beside BENCH_OUT
    """
    log = ground.cache / "log" / f"{script.stem.replace('_', '-')}.log"
    shell = [ground.python, "-m", "odoo", "shell", "-c", ground.config, "-d", database]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        environment = {
            **ground.environ(),
            "BENCH": json.dumps(arguments),
            "BENCH_OUT": str(out),
            "BENCH_TESTS": str(REPOSITORY / "tests"),
        }
        with script.open("rb") as source, log.open("wb") as output:
            result = subprocess.run(
                [*map(str, shell), "--no-http", "--max-cron-threads=0"],
                env=environment,
                cwd="/",
                stdin=source,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if result.returncode or not out.exists():
            last = explain(log.read_text(errors="replace"))
            fail(f"{script.name} failed inside Odoo: {last} (see {log}).")
        answer = json.loads(out.read_text())
        out.unlink()
        if keep:
            shutil.copytree(folder, keep, dirs_exist_ok=True)
        return answer
