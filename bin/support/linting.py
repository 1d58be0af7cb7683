"""The work of bin/lint: each check is a command; all run, a summary ends the run."""

import os
import re
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, field

from .node import ensure_node_modules
from .odoo_source import ensure_odoo
from .paths import ADDON, REPOSITORY, addons_folder, cache_folder, locked
from .provision import provision
from .python_env import ensure_environment
from .say import Trouble, fail, run
from .system import ensure_programs
from .testing import run_pytest

# Tests of test_lint that concern an addon. Left out: those that test the checkers
# themselves, that read all of Odoo, and those that call eslint and pylint.
ODOO_CHECKS = (
    "test_docstring",
    "test_dunderinit",
    "test_i18n",
    "test_index",
    "test_jstranslate",
    "test_l10n",
    "test_manifests",
    "test_naming",
    "test_onchange_domains",
    "test_orm_import",
    "test_override_signatures",
    "test_pofile",
    "test_routes",
    "test_test_holes",
)

# What Odoo's own run of pylint enables.
ODOO_PYLINT = (
    "function-redefined",
    "gettext-placeholders",
    "gettext-repr",
    "gettext-variable",
    "missing-gettext",
    "raise-unlink-override",
    "sql-injection",
    "undefined-variable",
    "used-before-assignment",
)

HERE = REPOSITORY / "bin" / "support"
FIX = "--fix"
# OCA's checks that are about OCA's own repositories.
NOT_OCA = "missing-readme,manifest-required-author"
NOT_OCA_MODULE = "prefer-readme-rst,missing-readme"


@dataclass
class Check:
    """A command that is silent about good code, and one that mends what it can."""

    name: str
    command: list
    fix: list = None
    environ: dict = field(default_factory=dict)

    def run(self, command):
        return subprocess.run(
            list(map(str, command)),
            cwd=REPOSITORY,
            env={**os.environ, **self.environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def passes(self):
        """Run the check; its output is shown only when it fails."""
        result = self.run(self.command)
        if result.returncode:
            output = result.stdout + result.stderr
            # The addon is checked under its name, a link in the cache folder.
            output = re.sub(rf"\S*/addons-\w+/{ADDON}/", "", output)
            print(f"--- {self.name}\n{output.strip()}", flush=True)
        return result.returncode == 0

    def mend(self):
        if self.fix:
            self.run(self.fix)


def main(arguments):
    wanted = [argument for argument in arguments if argument != FIX]
    checks = {check.name: check for check in all_checks(cache_folder())}
    unknown = set(wanted) - checks.keys()
    if unknown:
        fail(f"there is no check {unknown.pop()}; there are {', '.join(checks)}.")
    chosen = [checks[name] for name in wanted or checks]
    mend = FIX in arguments
    return report([outcome_of(check, mend) for check in chosen])


def outcome_of(check, mend):
    """(name, what came of it, seconds) of a check."""
    start = time.monotonic()
    try:
        if mend:
            check.mend()
        outcome = "ok" if check.passes() else "FAILED"
    except Trouble as trouble:
        print(f"--- {check.name}\n{trouble}", flush=True)
        outcome = "FAILED"
    return check.name, outcome, time.monotonic() - start


def report(outcomes):
    print("--- summary")
    for name, outcome, seconds in outcomes:
        print(f"{name:<18}{outcome:<8}{seconds:6.1f} s")
    return int(any(outcome != "ok" for _name, outcome, _seconds in outcomes))


def all_checks(cache):
    with locked(cache, "provision"):
        ensure_programs(cache)
        python = ensure_environment(cache, "python-lint")
        node, modules = ensure_node_modules(cache)
        odoo_checkers = ensure_odoo(cache)[0] / "odoo/addons/test_lint/tests"
    tools = python.parent
    addon = addons_folder(cache) / ADDON
    checkers = ",".join(path.stem for path in odoo_checkers.glob("_odoo_checker_*.py"))
    return [
        Check(
            "ruff",
            [tools / "ruff", "check", "--no-cache", "."],
            [tools / "ruff", "check", "--no-cache", "--fix", "."],
        ),
        Check(
            "ruff-format",
            [tools / "ruff", "format", "--no-cache", "--diff", "."],
            [tools / "ruff", "format", "--no-cache", "."],
        ),
        Check(
            "pylint-odoo",
            [
                *(python, "-m", "pylint", f"--rcfile={REPOSITORY}/pyproject.toml"),
                *(f"--disable={NOT_OCA}", addon),
            ],
        ),
        Check(
            "pylint-odoo-core",
            [
                *(python, "-m", "pylint", f"--rcfile={os.devnull}"),
                "--disable=all,unknown-option-value,useless-option-value",
                *(f"--enable={','.join(ODOO_PYLINT)}", f"--load-plugins={checkers}"),
                *("--ignore=bin", "--score=n", addon),
            ],
            environ={"PYTHONPATH": str(odoo_checkers)},
        ),
        Check(
            "oca-module",
            [tools / "oca-checks-odoo-module", f"--disable={NOT_OCA_MODULE}", addon],
        ),
        Check(
            "oca-po",
            [tools / "oca-checks-po", *sorted(REPOSITORY.glob("i18n/*.po*"))],
        ),
        *javascript_checks(node, modules),
        Terms(),
        OdooLint(python),
    ]


def javascript_checks(node, modules):
    prettier = [
        *(node, modules / "prettier/bin/prettier.cjs"),
        *("--config", HERE / "js" / "prettier.json", "--no-editorconfig"),
        *("--plugin", modules / "@prettier/plugin-xml/src/plugin.js"),
        *("--log-level", "warn", "--no-error-on-unmatched-pattern"),
        *("**/*.{js,mjs,scss,css,xml}", "!static/lib", "!static/description"),
    ]
    eslint = [
        *(node, modules / "eslint/bin/eslint.js", "--max-warnings=0"),
        *("--config", modules.parent / "eslint.config.mjs"),
        *("--no-error-on-unmatched-pattern", "static"),
    ]
    return [
        Check("eslint", eslint, [*eslint, "--fix"]),
        Check("prettier", [*prettier, "--check"], [*prettier, "--write"]),
    ]


@contextmanager
def installed_addon():
    """(ground, name of a database, its template) with the addon installed."""
    ground = provision()
    ground.databases.drop_stale()
    database = f"lint_{os.getpid()}"
    template = ground.fresh_database(database)
    try:
        yield ground, database, template
    finally:
        ground.drop_database(database)


class OdooLint:
    """Odoo's own checks of an addon (its module `test_lint`), on an installed one."""

    name = "odoo-lint"

    def __init__(self, lint_python):
        self.lint_python = lint_python

    def mend(self):
        """Nothing can be mended automatically."""

    def passes(self):
        with installed_addon() as (ground, database, template):
            folder = ground.odoo_addon("test_lint") / "tests"
            files = [folder / f"{name}.py" for name in ODOO_CHECKS]
            options = ["-q", "-p", "support.odoo_lint_plugin"]
            # test_lint imports pylint even for the tests that do not use it.
            paths = f"{ground.environ()['PYTHONPATH']}:{self._pylint_folder()}"
            status = run_pytest(
                ground, database, template, [*options, *files], PYTHONPATH=paths
            )
        return status == 0

    def _pylint_folder(self):
        command = "import sysconfig; print(sysconfig.get_path('purelib'))"
        output = subprocess.check_output([self.lint_python, "-c", command], text=True)
        return output.strip()


class Terms:
    """The template of the translations lists the terms that are in the code."""

    name = "terms"
    file = REPOSITORY / "i18n" / f"{ADDON}.pot"

    def passes(self):
        if self.file.exists() and stable(self.file.read_text()) == stable(self._now()):
            return True
        print(f"--- {self.name}\n{self.file.name} is out of date: bin/lint --fix terms")
        return False

    def mend(self):
        now = self._now()
        if not self.file.exists() or stable(self.file.read_text()) != stable(now):
            self.file.parent.mkdir(exist_ok=True)
            self.file.write_text(now)

    def _now(self):
        with installed_addon() as (ground, database, _template):
            fresh = ground.cache / "log" / f"{database}.pot"
            command = [
                *(ground.python, "-m", "odoo", "i18n", "export"),
                *("-c", ground.config, "-d", database, "-o", fresh, ADDON),
            ]
            log = ground.cache / "log" / "terms.log"
            run("reading the terms to translate", command, log, env=ground.environ())
            text = fresh.read_text()
            fresh.unlink()
        return text


def stable(terms):
    """A translation template without the dates in its head."""
    return [line for line in terms.splitlines() if "-Date: " not in line]
