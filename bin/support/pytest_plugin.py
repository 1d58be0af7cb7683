"""What pytest needs to know about this repository, beside what pytest-odoo knows.

- A checkout may have any name, but its tests must be imported as those of the addon,
  `odoo.addons.affiliate_stripe.tests`, or they would import every model twice.
- Tests against a live Stripe account have Odoo's tag `external` and run only with
  --live; then nothing else runs.
- A test that drives a browser has Odoo's tag `browser`. It waits for several processes
  and is tried a second time when it fails, which the summary says ("rerun"). It has no
  subtests: when one fails, the class is neither tried again nor torn down.
- A run fails when something put a warning or an error into Odoo's log that the test
  did not expect. A test that provokes one says so with Odoo's `mute_logger` or with
  `assertLogs`, which keep it out of the log.
"""

import logging
import os
from pathlib import Path

import _pytest.pathlib
import pytest

import odoo

from .odoo_log import complaints, is_ours
from .paths import ADDON, REPOSITORY

LIVE_TAG = "external"
BROWSER_TAG = "browser"
HEAP = "AFFILIATE_STRIPE_HEAP"
python_place = _pytest.pathlib.resolve_pkg_root_and_module_name


def addon_place(path, **options):
    """(folder on sys.path, module name) for a file that pytest imports."""
    path = Path(path)
    if not path.is_relative_to(REPOSITORY):
        return python_place(path, **options)
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    if parts[-1] == "__init__":
        parts = parts[:-1]
    root = Path(next(iter(odoo.__path__))).parent
    return root, ".".join(("odoo", "addons", ADDON, *parts))


_pytest.pathlib.resolve_pkg_root_and_module_name = addon_place


def pytest_addoption(parser):
    parser.addoption(
        "--live",
        action="store_true",
        help="Run the tests against a live Stripe account, and only these.",
    )


def pytest_ignore_collect(collection_path):
    """Chaos has its own run, without this plugin: see testing.py."""
    return True if collection_path == REPOSITORY / "tests" / "chaos" else None


def pytest_collection_modifyitems(config, items):
    live = config.getoption("--live")
    chosen, left = [], []
    for item in items:
        tags = getattr(getattr(item, "cls", None), "test_tags", ())
        (chosen if (LIVE_TAG in tags) == live else left).append(item)
        if BROWSER_TAG in tags:
            item.add_marker(pytest.mark.flaky(reruns=1))
    items[:] = chosen
    if left:
        config.hook.pytest_deselected(items=left)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session):
    """Take classes of tests from the heap that several processes share, until it is
    empty. A class is taken by making a file with its name."""
    heap = os.environ.get(HEAP)
    if not heap or session.testsfailed or session.config.option.collectonly:
        return None
    classes = {}
    for item in session.items:
        classes.setdefault(item.nodeid.rpartition("::")[0], []).append(item)
    # The longest first would be best; how many tests a class has is a good guess.
    order = sorted(classes.values(), key=len, reverse=True)
    taken = (item for items in order if _take(Path(heap), items[0]) for item in items)
    item = next(taken, None)
    while item:
        following = next(taken, None)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.shouldfail or session.shouldstop:
            raise session.Interrupted(session.shouldfail or session.shouldstop)
        item = following
    return True


def _take(heap, item):
    name = item.nodeid.rpartition("::")[0].replace("/", ".").replace(":", ".")
    try:
        (heap / name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


class Complaints(logging.Handler):
    """Collects the warnings and errors that reach the root of the log."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.found = {}

    def emit(self, record):
        text = record.getMessage().strip().splitlines() or [""]
        if not is_ours(record.name, text[0]):
            return
        line = f"{record.levelname} {record.name}: {text[0]}"
        if record.exc_info and record.exc_info[1]:
            line += f" ({record.exc_info[1]!r})"
        test = os.environ.get("PYTEST_CURRENT_TEST", "").split(" ")[0]
        self.found.setdefault(line, test)


handler = Complaints()


def pytest_warning_recorded(warning_message, nodeid):
    """Python's warnings reach Odoo's log too, except in pytest, which keeps them."""
    if Path(warning_message.filename).resolve().is_relative_to(REPOSITORY):
        category = warning_message.category.__name__
        handler.found[f"{category} {warning_message.message}"] = nodeid


def pytest_sessionstart():
    logging.getLogger("odoo").addHandler(handler)


def install_complaints():
    log = os.environ.get("AFFILIATE_STRIPE_INSTALL_LOG")
    return complaints(Path(log)) if log and os.path.exists(log) else []


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    if exitstatus == pytest.ExitCode.OK and (handler.found or install_complaints()):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter):
    lines = [f"{line}  [installation]" for line in install_complaints()]
    lines += [f"{line}  [{test}]" for line, test in handler.found.items()]
    if lines:
        terminalreporter.section("warnings and errors in Odoo's log", red=True)
        for line in lines:
            terminalreporter.line(line)
