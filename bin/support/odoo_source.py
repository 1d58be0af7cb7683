"""Odoo 19 itself: the user's own, or the one Debian carries.

Debian's unstable suite has the whole community edition as the package `odoo-19`. It is
downloaded and unpacked into the cache folder with an apt configuration of its own, so
nothing is installed on the system and no root is needed. The address of the mirror is
the one this machine's apt already uses; Debian's archive key verifies the download.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from .say import fail, run, say

SERIES = 19
PINNED = "19.0.0+dfsg-1"
DOWNLOAD_MB = 125
# Fonts and scripts that Odoo's Debian package takes from other packages.
COMPANIONS = (
    "fonts-font-awesome",
    "fonts-inconsolata",
    "fonts-montserrat",
    "fonts-ocr-b",
    "fonts-roboto-unhinted",
    "libjs-jquery",
    "libjs-jquery-form",
    "libjs-underscore",
)
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
OWN = "set ODOO_HOME to an Odoo 19 of your own (a source checkout or its package)"


def ensure_odoo(cache):
    """The folder to put on PYTHONPATH, and the version of the Odoo in it."""
    home = os.environ.get("ODOO_HOME")
    if not home:
        folder = debian_odoo(cache)
        return folder, version_of(folder)
    folder = own_odoo(Path(home).expanduser())
    if (folder / ".git").exists() and shutil.which("git"):
        return folder, f"{version_of(folder)}-{revision_of(folder)}"
    return folder, version_of(folder)


def version_of(folder):
    """The version an Odoo says of itself, read without importing it."""
    text = (folder / "odoo" / "release.py").read_text()
    match = re.search(r"^version_info\s*=\s*\((.+)\)", text, re.MULTILINE)
    parts = [part.strip(" '\"") for part in match[1].split(",")]
    return ".".join(parts[:3])


def own_odoo(home):
    """The user's own Odoo: a checkout, a site-packages folder or the package in it."""
    folder = next(
        (f for f in (home, home.parent) if (f / "odoo" / "release.py").exists()), None
    )
    if not folder:
        fail(f"there is no Odoo in {home} (ODOO_HOME): odoo/release.py is missing.")
    version = version_of(folder)
    if version.split(".")[0] != str(SERIES):
        fail(f"ODOO_HOME is Odoo {version}, and this addon is for Odoo {SERIES}.0.")
    return folder.absolute()


def revision_of(folder):
    """The commit of a checkout: what was made with another one is of no use."""
    result = subprocess.run(
        ["git", "-C", folder, "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    )
    return result.stdout.strip()


def unpacked_folder(cache):
    return cache / f"odoo-{PINNED.replace('+', '-')}"


def debian_odoo(cache):
    """Odoo from Debian's package, unpacked into the cache folder."""
    folder = unpacked_folder(cache)
    if not folder.exists():
        unfinished = cache / "odoo-unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        packages = download(unfinished, cache / "log")
        for package in packages:
            name = package.name.split("_")[0]
            unpack = ["dpkg-deb", "-x", package, unfinished / "root"]
            log = cache / "log" / "odoo-unpack.log"
            if name.startswith("odoo"):
                run("unpacking Odoo", unpack, log)
            else:
                subprocess.run(unpack, check=True)
        fill_holes(unfinished / "root")
        (unfinished / "root").rename(folder)
        shutil.rmtree(unfinished)
    return folder / "usr" / "lib" / "python3" / "dist-packages"


def fill_holes(root):
    """Mend what Debian's package leaves out."""
    packages = root / "usr" / "lib" / "python3" / "dist-packages"
    # Removed for its licence, but still loaded by every page of the back end: without
    # the file the browser logs an error, which fails each browser test.
    lib = packages / "odoo/addons/mail/static/lib/selfie_segmentation"
    lib.mkdir(parents=True, exist_ok=True)
    (lib / "selfie_segmentation.js").touch()
    # An incomplete second copy of the addons, which Odoo would find by itself.
    shutil.rmtree(packages / "addons", ignore_errors=True)


def download(folder, logs):
    """Download Odoo and its companions with a private apt configuration."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        fail(f"Odoo is downloaded with apt-get, which this machine lacks; {OWN}.")
    if not KEYRING.exists():
        fail(f"the key {KEYRING} that verifies the Odoo download is missing; {OWN}.")
    (folder / "apt/lists/partial").mkdir(parents=True)
    (folder / "apt/archives/partial").mkdir(parents=True)
    (folder / "sources.list").write_text(
        f"deb [signed-by={KEYRING}] {debian_mirror()} sid main\n"
    )
    settings = folder / "apt.conf"
    settings.write_text(
        f'Dir::Etc::sourcelist "{folder}/sources.list";\n'
        'Dir::Etc::sourceparts "-";\n'
        f'Dir::State::lists "{folder}/apt/lists";\n'
        f'Dir::Cache "{folder}/apt";\n'
        # The folder may lie where only this user can go.
        'APT::Sandbox::User "";\n'
        'Acquire::Languages "none";\n'
        # Mirrors that lag or stand still serve as well: the signature is checked.
        'Acquire::Check-Valid-Until "false";\n'
    )
    apt = ["apt-get", "-c", settings]
    run("reading Debian's list of packages", [*apt, "update"], logs / "odoo-list.log")
    wanted = [odoo_package(settings), *COMPANIONS]
    run(
        f"downloading Odoo 19 (about {DOWNLOAD_MB} MB)",
        [*apt, "download", *wanted],
        logs / "odoo-download.log",
        cwd=folder,
    )
    return sorted(folder.glob("*.deb"))


def odoo_package(settings):
    """The package to ask for: the version tried, else the newest of the series."""
    result = subprocess.run(
        ["apt-cache", "-c", settings, "madison", f"odoo-{SERIES}"],
        capture_output=True,
        text=True,
        check=False,
    )
    versions = [line.split("|")[1].strip() for line in result.stdout.splitlines()]
    if not versions:
        fail(f"Debian does not carry Odoo {SERIES} any more; {OWN}.")
    if PINNED in versions:
        return f"odoo-{SERIES}={PINNED}"
    say(f"warning: Odoo {PINNED} is gone from Debian, taking {versions[0]}.")
    return f"odoo-{SERIES}={versions[0]}"


def debian_mirror():
    """The address of the Debian mirror that this machine's apt uses."""
    listing = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)"],
        capture_output=True,
        text=True,
        check=False,
    )
    for address in listing.stdout.split():
        if urlsplit(address).path.rstrip("/").endswith("/debian"):
            return address
    return fail(f"this machine's apt knows no Debian mirror to take Odoo from; {OWN}.")
