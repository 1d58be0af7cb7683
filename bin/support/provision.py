"""Everything the commands in bin/ stand on, made ready: `ground = provision()`."""

import fcntl
import os

from .announcing import announce
from .database import Databases
from .odoo_source import ensure_odoo
from .paths import REPOSITORY, addons_folder, cache_folder, locked
from .postgres import ROLE, Postgres
from .python_env import ensure_environment
from .system import ensure_programs


def provision():
    """Make everything ready that is not yet; quick when everything is."""
    cache = cache_folder()
    with locked(cache, "provision"):
        use = Use(cache)
        announce(cache)
        ensure_programs(cache)
        python = ensure_environment(cache, "python-run")
        odoo_path, odoo_version = ensure_odoo(cache)
        postgres = Postgres(cache)
        postgres.ensure()
        ground = Ground(cache, python, odoo_path, odoo_version, postgres)
        ground.use = use
        return ground


class Use:
    """A mark that a command uses the PostgreSQL of a cache folder, as long as it runs.

    Several commands and checkouts share one server: the last of them may stop it.
    """

    def __init__(self, cache):
        self.handle = (cache / "postgres-use.lock").open("w")
        fcntl.flock(self.handle, fcntl.LOCK_SH)

    def is_the_only_one(self):
        try:
            fcntl.flock(self.handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def end(self):
        self.handle.close()


class Ground:
    """What provisioning has made ready, for the commands in bin/ to use."""

    use = None  # of who may stop PostgreSQL

    def __init__(
        self, cache, python, odoo_path, odoo_version, postgres, config="odoo.conf"
    ):
        self.cache = cache
        self.python = python
        self.odoo_path = odoo_path
        self.odoo_version = odoo_version
        self.postgres = postgres
        self.addons_path = addons_folder(cache)
        self.data_folder = cache / "odoo-data"
        self.config = self._write_config(config)
        self.databases = Databases(self)

    def stop_postgres(self):
        """Stop the database server, unless another command uses it.

        :return: whether it was stopped
        """
        with locked(self.cache, "provision"):
            alone = self.use.is_the_only_one() and not self.postgres.is_busy()
            if alone:
                self.postgres.stop()
            self.use.end()
            return alone

    def beside(self, cluster):
        """The same with a PostgreSQL cluster of its own, for who must stop it."""
        postgres = Postgres(self.cache, cluster)
        postgres.ensure()
        return Ground(
            self.cache,
            self.python,
            self.odoo_path,
            self.odoo_version,
            postgres,
            config=f"{cluster}.conf",
        )

    def _write_config(self, name):
        """Odoo's configuration file; the database is given on the command line."""
        self.data_folder.mkdir(exist_ok=True)
        config = self.addons_path / name
        text = (
            "[options]\n"
            f"addons_path = {self.addons_path}\n"
            f"data_dir = {self.data_folder}\n"
            f"db_host = {self.postgres.socket}\n"
            "db_port = 5432\n"
            f"db_user = {ROLE}\n"
            "http_interface = 127.0.0.1\n"
        )
        if not config.exists() or config.read_text() != text:
            fresh = config.with_name(f".odoo-{os.getpid()}.conf")
            fresh.write_text(text)
            fresh.replace(config)
        return config

    def environ(self):
        """The environment for programs that use Odoo or its database."""
        paths = (self.odoo_path, REPOSITORY / "bin", os.environ.get("PYTHONPATH"))
        environ = dict(
            os.environ,
            **self.postgres.environ(),
            PYTHONPATH=os.pathsep.join(str(path) for path in paths if path),
            # Compiled files are kept, for they save seconds at each start of Odoo,
            # but not beside the sources.
            PYTHONPYCACHEPREFIX=str(self.cache / "pycache"),
            LC_ALL="C.UTF-8",
            TZ="UTC",
        )
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        return environ

    def odoo_command(self, database, *options):
        """The command that starts Odoo's server on a database."""
        python = [str(self.python), "-m", "odoo", "server"]
        return [*python, "-c", str(self.config), "-d", database, *map(str, options)]

    def odoo_addon(self, name):
        """The folder of one of Odoo's own addons."""
        folders = (self.odoo_path / "odoo" / "addons", self.odoo_path / "addons")
        return next(f / name for f in folders if (f / name).exists())

    def filestore(self, database):
        return self.data_folder / "filestore" / database

    def fresh_database(self, name, **options):
        """A new database `name` with the addon (see `Databases.fresh`)."""
        return self.databases.fresh(name, **options)

    def drop_database(self, name):
        self.databases.drop(name)
