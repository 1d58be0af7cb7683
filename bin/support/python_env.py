"""A virtual environment in the cache folder for each list of requirements."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from .paths import short_hash
from .say import fail, run

HERE = Path(__file__).parent
OLDEST, NEWEST = (3, 10), (3, 13)  # what Odoo 19 runs on


def suitable_python():
    """A Python that Odoo 19 accepts: this one, or another one on the PATH."""
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return Path(getattr(sys, "_base_executable", None) or sys.executable)
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        found = shutil.which(f"python3.{minor}")
        works = found and subprocess.run(
            [found, "-c", "import venv, ensurepip"], capture_output=True, check=False
        )
        if works and works.returncode == 0:
            return Path(found)
    return fail(
        "Odoo 19 needs Python 3.10 to 3.13 and this is "
        f"Python {sys.version_info[0]}.{sys.version_info[1]}; "
        "please start this command with another Python."
    )


def environment_folder(cache, name):
    requirements = (HERE / f"{name}.txt").read_text()
    return cache / f"{name}-{short_hash(requirements, suitable_python())}"


def is_made(cache, name):
    folder = environment_folder(cache, name)
    return (folder / "complete").exists() and (folder / "bin" / "python").exists()


def ensure_environment(cache, name):
    """The Python of the virtual environment for `<name>.txt`, made if need be."""
    requirements, folder = HERE / f"{name}.txt", environment_folder(cache, name)
    stamp = folder / "complete"
    inside = folder / "bin" / "python"
    if is_made(cache, name):
        return inside
    python = suitable_python()
    shutil.rmtree(folder, ignore_errors=True)
    log = cache / "log" / f"{name}.log"
    run(f"making a Python environment ({name})", [python, "-m", "venv", folder], log)
    pip = [inside, "-m", "pip", "install", "--no-input", "-r", requirements]
    quiet = dict(os.environ, PIP_DISABLE_PIP_VERSION_CHECK="1")
    run(f"installing Python packages ({name})", pip, log, env=quiet)
    stamp.touch()
    return inside
