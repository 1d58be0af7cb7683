"""The work of bin/test: a fresh database, pytest on it, and the database dropped."""

import os
import re
import subprocess
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

from .paths import REPOSITORY
from .provision import provision
from .say import fail, say, step

KEPT_LOGS = 10
# Of all tests; each needs a core, and about 1 GB with its browser.
PROCESSES = min(4, len(os.sched_getaffinity(0)))
OUTCOME = re.compile(
    r"(\d+) (passed|failed|errors?|skipped|deselected|rerun|warnings?)"
)
API_KEY = re.compile(r"\b([sr]k_(?:test|live)_)\w+")


def main(arguments):
    if "--live" in arguments and not os.environ.get("STRIPE_TEST_KEY"):
        fail("--live needs the key of a Stripe account in test mode: STRIPE_TEST_KEY.")
    ground = provision()
    ground.databases.drop_stale()
    if "--chaos" in arguments:
        return run_chaos(ground, [a for a in arguments if a != "--chaos"])
    if not arguments and PROCESSES > 1:
        return run_all(ground)
    with odoo_database(ground, f"test_{os.getpid()}") as (database, template):
        return run_pytest(ground, database, template, arguments)


@contextmanager
def odoo_database(ground, name):
    template = ground.fresh_database(name)
    try:
        yield name, template
    finally:
        ground.drop_database(name)


def run_all(ground):
    """Run all tests in several processes, each with a database of its own.

    They take classes of tests from a common heap, so that they end together (see
    pytest_plugin.py). What they say is shown afterwards, one after the other.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        names = [f"test_{os.getpid()}_{number}" for number in range(PROCESSES)]
        made = [stack.enter_context(odoo_database(ground, name)) for name in names]

        def run(database, template):
            output = folder / f"{database}.txt"
            heap = {"AFFILIATE_STRIPE_HEAP": str(folder)}
            return run_pytest(ground, database, template, [], output, **heap)

        with step(f"running all tests in {PROCESSES} processes"):
            with ThreadPoolExecutor(PROCESSES) as pool:
                statuses = list(pool.map(run, *zip(*made, strict=True)))
        totals = Counter()
        for name in names:
            text = (folder / f"{name}.txt").read_text(errors="replace")
            print(text)
            for count, what in OUTCOME.findall(text.rstrip().rpartition("\n")[2]):
                totals[what] += int(count)
    counts = [f"{n} {what}" for what, n in totals.items()]
    if any(statuses) and not totals["failed"]:
        counts.append("but something else is wrong: see above")
    say("all together: " + ", ".join(counts))
    return max(statuses) or (0 if totals["passed"] else 1)


def run_pytest(ground, database, template, arguments, output=None, **environ):
    """Run pytest on an Odoo database made from `template`; its exit status.

    :param Path output: a file for what it says
    """
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
    command = list(map(str, command))
    if "--live" in arguments:
        status = run_masked(command, env=environment)
    else:
        with output.open("wb") if output else nullcontext() as file:
            status = subprocess.call(command, env=environment, stdout=file, stderr=file)
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
    """Run the tests that kill real processes, and those that copy and leave databases;
    they make their own."""
    # Named unlike tests, or Odoo would look for them among its own.
    folder = REPOSITORY / "tests" / "chaos"
    files = [folder / "killing.py", folder / "moving.py"]
    command = [
        *(ground.python, "-m", "pytest", "-p", "no:odoo", "-p", "no:cacheprovider"),
        *("-p", "support.pytest_plain", "--rootdir", folder, "-c", os.devnull),
        *("-s", *files, *arguments),
    ]
    command = list(map(str, command))
    return subprocess.run(command, env=ground.environ(), check=False).returncode


def new_log(folder, database):
    """A log file for this run; those of the last runs are kept."""
    kind = database.split("_")[0]
    old = sorted(folder.glob(f"{kind}_*.log"), key=_modified)
    for path in old[: -KEPT_LOGS + 1]:
        path.unlink(missing_ok=True)
    return folder / f"{database}.log"


def _modified(path):
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0  # a process beside this one has just deleted it
