"""A PostgreSQL of our own, on a Unix socket, that disturbs no other one.

Root may not run PostgreSQL, so then the cluster belongs to the system user `postgres`.
"""

import os
import pwd
import shutil
import subprocess
import time
from pathlib import Path

from .paths import ADDON, short_hash
from .say import fail, run, step
from .system import is_root, postgres_programs

ROLE = "odoo"  # Odoo refuses to work as "postgres"
OLDEST = 13  # what Odoo 19 accepts
SETTINGS = """
# Only a socket, in a folder that nobody else may enter.
listen_addresses = ''
unix_socket_directories = '{socket}'
port = 5432
shared_buffers = 256MB
max_connections = 200
log_min_messages = error
"""


class Postgres:
    """A cluster in a cache folder."""

    def __init__(self, cache, name="postgres"):
        self.programs = postgres_programs()
        major = self._major()
        self.user = "postgres" if is_root() else None
        self.folder = self._home(cache) / f"{name}-{major}"
        self.data = self.folder / "data"
        self.socket = self._socket_folder()
        self.log = cache / "log" / "postgres-setup.log"

    def _major(self):
        version = subprocess.run(
            [self.programs / "postgres", "--version"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()[2]
        major = int(version.split(".")[0])
        if major < OLDEST:
            fail(f"Odoo 19 needs PostgreSQL {OLDEST} or newer, this is {version}.")
        return major

    def _home(self, cache):
        """In the cache folder, or near it where the server's user cannot go there."""
        if not self.user:
            return cache
        reachable = subprocess.run(["test", "-x", cache], check=False, **self._as_user)
        if reachable.returncode == 0:
            return cache
        return Path("/var/cache") / ADDON / short_hash(cache)

    def _socket_folder(self):
        """The kernel takes about 100 characters for the path of a socket."""
        folder = self.folder / "socket"
        if len(str(folder)) < 85:
            return folder
        return Path("/tmp") / f"{ADDON}-{short_hash(self.folder)}"

    @property
    def _as_user(self):
        """Options of subprocess to become the user the server runs as."""
        # The person's own locale may not exist on this machine: initdb would stop.
        options = {"cwd": "/", "env": dict(os.environ, HOME="/", LC_ALL="C.UTF-8")}
        if not self.user:
            return options
        try:
            entry = pwd.getpwnam(self.user)
        except KeyError:
            fail("PostgreSQL is installed, but its system user `postgres` is missing.")
        who = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        return {**options, **who}

    def ensure(self):
        """Make the cluster if there is none, start it if it does not run."""
        if not (self.data / "PG_VERSION").exists():
            self._make()
        if not self._answers():
            self._start()

    def _private(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        if self.user:
            shutil.chown(folder, self.user)
        folder.chmod(0o700)

    def _make(self):
        self._private(self.folder)
        unfinished = self.folder / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        settings = ["--encoding=UTF8", "--locale=C.UTF-8", "--auth=trust"]
        command = [self.programs / "initdb", *settings, f"--username={ROLE}"]
        run(
            "making a private PostgreSQL cluster",
            [*command, "-D", unfinished],
            self.log,
            **self._as_user,
        )
        with (unfinished / "postgresql.conf").open("a") as file:
            file.write(SETTINGS.format(socket=self.socket))
        unfinished.rename(self.data)

    def _answers(self):
        result = self._psql("select 1")
        return result.returncode == 0

    def _start(self):
        self._private(self.socket)
        log = self.folder / "server.log"
        command = [self.programs / "pg_ctl", "-D", self.data, "-l", log, "-w", "start"]
        with step("starting PostgreSQL"):
            for _attempt in range(3):
                # No pipes: the server would hold them open for ever.
                subprocess.run(
                    list(map(str, command)),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    check=False,
                    **self._as_user,
                )
                if self._answers():
                    return
                time.sleep(2)  # one that was killed needs a moment to be gone
        fail(f"PostgreSQL did not start (see {log}).")

    def stop(self, mode="fast"):
        """``mode`` immediate: as if the machine had lost its power."""
        command = [self.programs / "pg_ctl", "-D", self.data, "-m", mode, "stop"]
        subprocess.run(
            list(map(str, command)),
            stdout=subprocess.DEVNULL,
            check=False,
            **self._as_user,
        )

    def is_busy(self):
        """Tell whether somebody is connected besides who asks."""
        result = self._psql(
            "select 1 from pg_stat_activity"
            " where backend_type = 'client backend' and pid <> pg_backend_pid()"
        )
        return bool(result.stdout.strip())

    def environ(self):
        """What makes psql and others find this cluster."""
        return {"PGHOST": str(self.socket), "PGPORT": "5432", "PGUSER": ROLE}

    def _psql(self, query, database="postgres"):
        command = [self.programs / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1"]
        return subprocess.run(
            [*map(str, command), "-d", database, "-c", query],
            env=dict(os.environ, **self.environ()),
            capture_output=True,
            text=True,
            check=False,
        )

    def query(self, query, database="postgres"):
        """The lines a query answers."""
        result = self._psql(query, database)
        if result.returncode:
            error = result.stderr.strip().splitlines() or ["no message"]
            fail(f"PostgreSQL refused ({error[0]}): {query}")
        return result.stdout.splitlines()

    def databases(self):
        return self.query("select datname from pg_database where not datistemplate")

    def copy(self, source, target):
        """Copy a database. Files, not the write-ahead log: three times faster."""
        strategy = " strategy file_copy" if self._major() >= 15 else ""
        self.query(f'create database "{target}" template "{source}"{strategy}')

    def drop(self, name):
        self.query(f'drop database if exists "{name}" with (force)')

    def rename(self, old, new):
        self.query(f'alter database "{old}" rename to "{new}"')
