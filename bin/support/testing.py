"""The work of bin/test: a fresh database, pytest on it, and the database dropped."""

import os
import re
import subprocess

from .paths import REPOSITORY
from .provision import provision
from .say import fail, say

KEPT_LOGS = 5
API_KEY = re.compile(r"\b([sr]k_(?:test|live)_)\w+")


def main(arguments):
    if "--live" in arguments and not os.environ.get("STRIPE_TEST_KEY"):
        fail("--live needs the key of a Stripe account in test mode: STRIPE_TEST_KEY.")
    ground = provision()
    ground.databases.drop_stale()
    if "--chaos" in arguments:
        return run_chaos(ground, [a for a in arguments if a != "--chaos"])
    database = f"test_{os.getpid()}"
    template = ground.fresh_database(database)
    try:
        return run_pytest(ground, database, template, arguments)
    finally:
        ground.drop_database(database)


def run_pytest(ground, database, template, arguments, **environ):
    """Run pytest on an Odoo database made from `template`; its exit status."""
    log = new_log(ground.cache / "log", database)
    command = [
        *(ground.python, "-m", "pytest"),
        *("-p", "support.pytest_plugin"),
        *("--odoo-config", ground.config, "--odoo-database", database),
        *("--odoo-log-level", "info", "--odoo-extra", f"logfile={log}"),
        "--odoo-http",
        *("--rootdir", REPOSITORY, "-c", REPOSITORY / "pyproject.toml"),
        # Long tracebacks show the arguments of calls, and among them the key.
        *(["--tb=short"] if "--live" in arguments else []),
        *arguments,
    ]
    environment = {
        **ground.environ(),
        "AFFILIATE_STRIPE_INSTALL_LOG": str(ground.databases.log(template)),
        **environ,
    }
    run = run_masked if "--live" in arguments else subprocess.call
    status = run(list(map(str, command)), env=environment)
    if status:
        say(f"Odoo's log of this run: {log}")
    return status


def run_masked(command, env):
    """Run a command and blacken API keys in what it says; its exit status."""
    with subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout:
            print(API_KEY.sub(r"\1…", line), end="", flush=True)
    return process.returncode


def run_chaos(ground, arguments):
    """Run the tests that kill real processes; they make their own databases."""
    # Named unlike a test, or Odoo would look for it among its own.
    file = REPOSITORY / "tests" / "chaos" / "killing.py"
    command = [
        *(ground.python, "-m", "pytest", "-p", "no:odoo", "-p", "no:cacheprovider"),
        *("-p", "support.pytest_plain", "--rootdir", file.parent, "-c", os.devnull),
        *("-s", file, *arguments),
    ]
    command = list(map(str, command))
    return subprocess.run(command, env=ground.environ(), check=False).returncode


def new_log(folder, database):
    """A log file for this run; those of the last runs are kept."""
    kind = database.split("_")[0]
    old = sorted(folder.glob(f"{kind}_*.log"), key=lambda path: path.stat().st_mtime)
    for path in old[: -KEPT_LOGS + 1]:
        path.unlink(missing_ok=True)
    return folder / f"{database}.log"
