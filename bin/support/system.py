"""Programs that come from the operating system: PostgreSQL, Chromium, wkhtmltopdf."""

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

from .say import fail, run, say

# Names Odoo's own test browser looks for.
BROWSERS = ("google-chrome", "chromium", "chromium-browser", "google-chrome-stable")


def is_root():
    return os.geteuid() == 0


def postgres_programs():
    """The folder of PostgreSQL's server programs, the newest version first."""
    found = [
        path.parent
        for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")
        if path.parts[-3].isdigit()
    ]
    found.sort(key=lambda folder: -int(folder.parts[-2]))
    on_path = shutil.which("initdb")
    if on_path:
        found.append(Path(on_path).resolve().parent)
    return next((folder for folder in found if (folder / "pg_ctl").exists()), None)


def missing_packages():
    """Debian packages for the programs that are not on this machine, and why."""
    missing = {}
    if not postgres_programs():
        missing["postgresql"] = "the database server"
    if not any(map(shutil.which, BROWSERS)):
        missing["chromium"] = "the browser tests"
        missing["fonts-dejavu-core"] = "text in the browser"
    if not shutil.which("wkhtmltopdf"):
        missing["wkhtmltopdf"] = "PDF documents"
    if not importlib.util.find_spec("ensurepip"):
        missing["python3-venv"] = "Python packages"
    return missing


# Debian dropped it after version 12; all but PDF documents works without.
OPTIONAL = {"wkhtmltopdf"}


def ensure_programs(cache):
    """Install what is missing as root; tell the one command to type otherwise."""
    missing = missing_packages()
    if not obtainable(missing):
        return
    if not shutil.which("apt-get"):
        names = ", ".join(f"{name} ({why})" for name, why in missing.items())
        fail(f"please install these programs, this machine has no apt-get: {names}.")
    if not is_root():
        fail(
            "some programs can only be installed by root; please type: sudo apt-get "
            "update && sudo apt-get install --no-install-recommends -y "
            + " ".join(obtainable(missing))
        )
    log = cache / "log" / "apt-install.log"
    apt = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    run("refreshing the list of system packages", ["apt-get", "update"], log, env=apt)
    names = obtainable(missing)
    for name in missing.keys() - set(names):
        say(f"this system has no package {name}: no {missing[name]}.")
    command = ["apt-get", "install", "-y", "--no-install-recommends", *names]
    run(f"installing {', '.join(names)}", command, log, env=apt)


def obtainable(packages):
    """Those of the missing packages that apt has, or that nothing works without."""
    return sorted(name for name in packages if name not in OPTIONAL or known(name))


def known(package):
    """Whether apt could install a package."""
    if not shutil.which("apt-cache"):
        return False
    result = subprocess.run(
        ["apt-cache", "policy", package], capture_output=True, text=True, check=False
    )
    candidate = [line for line in result.stdout.splitlines() if "Candidate:" in line]
    return bool(candidate) and "(none)" not in candidate[0]
