"""The JavaScript linters, in the cache folder."""

import os
import shutil
import subprocess
from pathlib import Path

from .paths import short_hash
from .python_env import ensure_environment
from .say import run

HERE = Path(__file__).parent / "js"
OLDEST = 18


def ensure_node_modules(cache):
    """(node, its modules folder) with what js/package-lock.json lists."""
    node, npm = ensure_node(cache)
    texts = [path.read_text() for path in sorted(HERE.iterdir())]
    folder = cache / f"js-{short_hash(*texts)}"
    if not folder.exists():
        unfinished = cache / "js-unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(HERE, unfinished)
        run(
            "installing JavaScript packages",
            [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cache / "log" / "npm.log",
            cwd=unfinished,
            env=dict(os.environ, PATH=f"{node.parent}{os.pathsep}{os.environ['PATH']}"),
        )
        unfinished.rename(folder)
    return node, folder / "node_modules"


def ensure_node(cache):
    """(node, command of npm): the machine's, or one that comes as a Python package."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and major(node) >= OLDEST:
        return Path(node), [npm]
    tools = ensure_environment(cache, "python-node").parent
    return tools / "node", [tools / "npm"]


def major(node):
    result = subprocess.run(
        [node, "--version"], capture_output=True, text=True, check=False
    )
    digits = result.stdout.strip().lstrip("v").split(".")[0]
    return int(digits) if digits.isdigit() else 0
