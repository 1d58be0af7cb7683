"""Where things are. Nothing that is provisioned lies in the repository."""

import fcntl
import hashlib
import os
import time
from contextlib import contextmanager
from pathlib import Path

from .say import fail, say

REPOSITORY = Path(__file__).resolve().parents[2]
ADDON = "affiliate_stripe"


def cache_folder():
    """The folder everything is provisioned into; made if need be."""
    folder = os.environ.get("AFFILIATE_STRIPE_CACHE")
    if not folder:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        folder = os.path.join(base, ADDON)
    folder = Path(folder).expanduser().absolute()
    try:
        (folder / "log").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fail(
            f"the cache folder {folder} cannot be made ({error.strerror}); "
            "set AFFILIATE_STRIPE_CACHE to a folder you may write to."
        )
    return folder


def short_hash(*parts):
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:10]


@contextmanager
def locked(cache, what):
    """Only one run at a time may do this with a cache folder."""
    with (cache / f"{what}.lock").open("w") as handle:
        for _attempt in range(20):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.1)
        else:
            say("waiting for another run that is using the cache folder ...")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def addons_folder(cache):
    """A folder for the addons path in which the addon has its technical name.

    Odoo takes the name of an addon from its folder, and a checkout may be called
    anything; several checkouts share the cache, hence one folder each.
    """
    folder = cache / f"addons-{short_hash(REPOSITORY)}"
    link = folder / ADDON
    folder.mkdir(exist_ok=True)
    if not link.is_symlink() or os.readlink(link) != str(REPOSITORY):
        fresh = folder / f".link-{os.getpid()}"
        fresh.symlink_to(REPOSITORY)
        fresh.replace(link)
    return folder
