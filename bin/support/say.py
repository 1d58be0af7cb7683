"""What a person sees: progress, and one clear sentence when something is wrong."""

import errno
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

HEARTBEAT = 20  # seconds between two signs of life of a long command

# What a failing command prints -> what is wrong, in words that tell what to do.
# The first match wins, so the causes stand before their consequences.
CAUSES = (
    (("no space left on device", "not enough free space"), "the disk is full"),
    (
        (
            "temporary failure resolving",
            "temporary failure in name resolution",
            "name or service not known",
            "could not resolve",
            "could not connect to",
            "failed to establish a new connection",
            "network is unreachable",
            "connection refused",
            "connection timed out",
            "getaddrinfo",
            "econnrefused",
            "enotfound",
        ),
        "the network or the package mirror cannot be reached",
    ),
    (("permission denied",), "a file or folder may not be written"),
)


class Trouble(Exception):
    """Something outside this program is wrong; its text is a sentence for a person."""


def fail(sentence):
    raise Trouble(sentence)


def say(text):
    print(f"[ground] {text}", file=sys.stderr, flush=True)


@contextmanager
def step(text):
    """Announce a step that may take long and tell how long it took."""
    start = time.monotonic()
    say(f"{text} ...")
    yield
    say(f"{text}: done ({time.monotonic() - start:.0f} s)")


def run(text, command, log, **options):
    """Run a long command with its output in the file `log`.

    On failure the person gets one sentence: the cause if it is a known one, else the
    last line of the output, and where the rest is.
    """
    log = Path(log)
    log.parent.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    with step(text), log.open("wb") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            **options,
        )
        try:
            while True:
                try:
                    process.wait(timeout=HEARTBEAT)
                    break
                except subprocess.TimeoutExpired:
                    say(f"{text}: {time.monotonic() - start:.0f} s so far")
        except BaseException:
            process.terminate()
            process.wait()
            raise
    if process.returncode:
        fail(f"{text} failed: {explain(log.read_text(errors='replace'))} (see {log}).")


def explain(output):
    """The most telling line about why a command failed."""
    low = output.lower()
    for marks, cause in CAUSES:
        if any(mark in low for mark in marks):
            return cause
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or ["no output"])[-1].rstrip(".")


def program(main):
    """Run `main` as a command: sentences instead of tracebacks, exit status."""
    name = Path(sys.argv[0]).name
    try:
        status = main(sys.argv[1:])
    except Trouble as trouble:
        print(f"bin/{name}: {trouble}", file=sys.stderr)
        status = 1
    except KeyboardInterrupt:
        print(f"\nbin/{name}: interrupted.", file=sys.stderr)
        status = 130
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT):
            raise
        where = f" ({error.filename})" if error.filename else ""
        print(f"bin/{name}: {os.strerror(error.errno)}{where}.", file=sys.stderr)
        status = 1
    sys.exit(status)
