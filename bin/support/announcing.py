"""What a first run will download, said before it begins: only what is missing."""

import os

from .odoo_source import DOWNLOAD_MB, unpacked_folder
from .python_env import is_made
from .say import say
from .system import missing_packages, obtainable

#: Megabytes to download, with what a package needs itself.
PACKAGE_MB = {
    "postgresql": 60,
    "chromium": 190,
    "fonts-dejavu-core": 2,
    "wkhtmltopdf": 90,
    "python3-venv": 5,
}
PYTHON_MB = 90
#: What a usual connection and machine do: megabytes a second, seconds of work besides.
PACE, WORK, INSTALLATION = 5, 30, 90


def announce(cache):
    """Tell what is going to be downloaded, how much and about how long it takes."""
    missing = to_download(cache)
    if not missing:
        return
    say("This is missing and will be downloaded now, into its cache folder or by apt:")
    for name, megabytes in missing:
        say(f"  {name}, about {megabytes} MB")
    total = sum(megabytes for _name, megabytes in missing)
    say(f"  together about {total} MB, {duration(missing)}; next time nothing of it.")


def to_download(cache):
    """What is not there yet, as (name, megabytes)."""
    wanted = missing_packages()
    found = [
        (f"{name} ({wanted[name]})", PACKAGE_MB.get(name, 10))
        for name in obtainable(wanted)
    ]
    if not is_made(cache, "python-run"):
        found.append(("Python packages (in an environment of their own)", PYTHON_MB))
    if not os.environ.get("ODOO_HOME") and not unpacked_folder(cache).exists():
        found.append(("Odoo 19", DOWNLOAD_MB))
    return found


def duration(missing):
    """About how long, from a good to a slow connection and machine."""
    megabytes = sum(size for _name, size in missing)
    seconds = megabytes / PACE + WORK * len(missing) + INSTALLATION
    low = max(round(seconds / 60), 1)
    return f"{low} to {3 * low} minutes with the first installation of Odoo"
