"""Odoo databases that are made once, kept as templates and copied in seconds."""

import os
import re
import shutil

from . import odoo_log
from .paths import ADDON, REPOSITORY, locked, short_hash
from .say import Trouble, fail, run, say

# What the addon depends on, and what its tests and its demo use besides.
BASE_MODULES = ("account", "website", "portal")
STRIPE_CHECKOUT = ("payment_stripe",)  # only benchmarks compare with these
LINK_TRACKER = ("link_tracker",)
KEPT = 2  # templates of the addon that are kept
# Folders of the repository that do not change what an installation does.
BESIDE = {"bin", "tests", ".git", ".ci", "doc", "docs", "__pycache__"}
INSTALLED = {".py", ".xml", ".csv", ".po", ".sql", ".json", ".png", ".svg", ".txt"}


def addon_fingerprint():
    """A hash of all files of the addon that matter to its installation."""
    parts = []
    for folder, folders, files in os.walk(REPOSITORY):
        folders[:] = sorted(
            name for name in folders if name not in BESIDE and name[0] != "."
        )
        for name in sorted(files):
            path = os.path.join(folder, name)
            if os.path.splitext(name)[1] in INSTALLED:
                with open(path, "rb") as file:
                    parts += [os.path.relpath(path, REPOSITORY), file.read()]
    return short_hash(*parts)


class Databases:
    """Makes, copies and drops the databases of a Ground."""

    def __init__(self, ground):
        self.ground = ground
        self.postgres = ground.postgres

    def _locked(self):
        return locked(self.ground.cache, "databases")

    def fresh(self, name, modules=(ADDON,), demo=False, extra=()):
        """A new database with the addon, replacing one of that name; its template."""
        with self._locked():
            template = self._addon_template(modules, demo, extra)
            self.drop(name)
            self.copy(template, name)
        return template

    def _base_template(self, demo, extra):
        """A database with what the addon depends on."""
        modules = (*BASE_MODULES, *extra)
        odoo = (self.ground.odoo_version, self.ground.odoo_path)
        key = short_hash(*odoo, demo, *modules)
        return self._template(f"base_{key}", None, modules, demo)

    def _addon_template(self, modules, demo, extra):
        """A copy of the base template in which the addon is installed."""
        # Odoo loads demo data only where the modules below have theirs.
        base = self._base_template(demo, extra)
        key = short_hash(base, addon_fingerprint(), *modules)
        name = self._template(f"addon_{key}", base, modules, demo)
        self._forget_old_templates()
        return name

    def _template(self, name, base, modules, demo):
        if name not in self.postgres.databases():
            making = f"making_{os.getpid()}"
            if base:
                self.copy(base, making)
            self._install(making, modules, demo, self.log(name))
            self.rename(making, name)
        self.log(name).touch()
        return name

    def log(self, template):
        """The log of the installation that made a template."""
        return self.ground.cache / "log" / f"install-{template}.log"

    def _install(self, name, modules, demo, log):
        options = ["--init", ",".join(modules), "--stop-after-init", "--no-http"]
        if demo:
            options.append("--with-demo")
        command = self.ground.odoo_command(name, *options, "--max-cron-threads=0")
        what = f"installing {', '.join(modules)}{' with demo data' if demo else ''}"
        try:
            run(what, command, log, env=self.ground.environ(), cwd="/")
            if odoo_log.errors(log):
                fail(f"{what} failed (see {log}).")
        except BaseException as problem:
            self.drop(name)
            if isinstance(problem, Trouble):
                show_failure(log)
            raise

    def copy(self, source, target):
        """Copy a database with its files; these never change, so links will do."""
        self.postgres.copy(source, target)
        files = self.ground.filestore(source)
        if files.exists():
            shutil.copytree(files, self.ground.filestore(target), copy_function=os.link)

    def rename(self, old, new):
        self.postgres.rename(old, new)
        shutil.rmtree(self.ground.filestore(new), ignore_errors=True)
        if self.ground.filestore(old).exists():
            self.ground.filestore(old).rename(self.ground.filestore(new))

    def drop(self, name):
        self.postgres.drop(name)
        shutil.rmtree(self.ground.filestore(name), ignore_errors=True)

    def _forget_old_templates(self):
        found = [name for name in self.postgres.databases() if name[:6] == "addon_"]
        found.sort(key=lambda name: -self._last_use(name))
        for name in found[KEPT:]:
            self.drop(name)
            self.log(name).unlink(missing_ok=True)

    def _last_use(self, template):
        log = self.log(template)
        return log.stat().st_mtime if log.exists() else 0

    def drop_stale(self):
        """Drop the databases that interrupted runs have left behind."""
        for name in self.postgres.databases():
            match = re.fullmatch(r"(?:test|lint|making)_(\d+)(?:_\d+)?", name)
            if match and not os.path.exists(f"/proc/{match[1]}"):
                self.drop(name)


def show_failure(log):
    """Print the last traceback of a log of Odoo, or its last errors."""
    lines = odoo_log.last_traceback(log)
    say("Odoo says:")
    print("\n".join(lines))
