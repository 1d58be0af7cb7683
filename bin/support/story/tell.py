"""Printing the story, checking its amounts, waiting for what happens by itself."""

import shutil
import sys
import textwrap
import time
from contextlib import contextmanager
from decimal import Decimal

LABEL = 27
AMOUNT = 12
QUIET_SECONDS = 10
BOLD, DIM, GREEN, RED = "1", "2", "32", "31;1"


class Broken(Exception):
    """The story cannot go on; the text says why."""


class Teller:
    def __init__(self, output=sys.stdout):
        self.output = output
        self.tty = output.isatty()
        self.width = min(shutil.get_terminal_size().columns, 88)
        self.chapters = self.checks = 0
        self.wrong = []
        self.start = time.monotonic()

    # -- printing

    def colour(self, text, code):
        return f"\033[{code}m{text}\033[0m" if self.tty else text

    def write(self, text=""):
        print(text, file=self.output, flush=True)

    def chapter(self, title):
        self.chapters += 1
        head = f"{self.chapters:2}  {title} "
        self.write()
        self.write(self.colour(head + "─" * (self.width - len(head)), BOLD))

    def text(self, text):
        """A sentence or two of the story."""
        for line in textwrap.wrap(text, self.width - 4):
            self.write(f"    {line}")

    def fact(self, label, value, note=""):
        """`label  value`, aligned; the note is dim."""
        note = f"  {self.colour(note, DIM)}" if note else ""
        self.write(f"    {label:<{LABEL}}{value}{note}")

    def quote(self, text):
        """What Odoo says by itself."""
        lines = textwrap.wrap(f"“{text}”", self.width - 8, break_long_words=False)
        for line in lines:
            self.write("        " + self.colour(line, DIM))

    # -- checking

    def check(self, label, got, expected, note=""):
        """A line with a value and whether it is the right one; True if so."""
        good = got == expected
        self.checks += 1
        shown = _shown(got)
        if isinstance(expected, Decimal):
            shown = f"{shown:>{AMOUNT}}"
        if good:
            mark = self.colour("✓", GREEN)
        else:
            mark = self.colour(f"✗ expected {_shown(expected)} got {_shown(got)}", RED)
            self.wrong.append(f"{label.strip()} in chapter {self.chapters}")
        self.fact(label, f"{shown} {mark}", note)
        return good

    def money(self, label, got, expected, note=""):
        """Like `check`, for an amount Odoo or Stripe gave: to the cent."""
        return self.check(label, cents(got), Decimal(expected), note)

    def end(self):
        """Tell how it went; the exit status."""
        seconds = time.monotonic() - self.start
        self.write()
        if self.wrong:
            names = ", ".join(dict.fromkeys(self.wrong))
            text = f"✗ {len(self.wrong)} of {self.checks} came out wrong: {names}"
            self.write(self.colour(text, RED))
            return 1
        text = f"✓ All {self.checks} amounts and facts came out as expected"
        self.write(f"{self.colour(text, GREEN)} ({seconds:.0f} s).")
        return 0

    def broke(self, problem):
        self.write()
        text = f"✗ The story broke in chapter {self.chapters}: {problem}"
        self.write(self.colour(text, RED))

    # -- waiting

    def wait(self, what, ready, timeout=90):
        """Ask `ready` again and again until it gives something true, and return that.

        :raise Broken: when the time is over
        """
        start = time.monotonic()
        with self._progress(what) as progress:
            while not (found := ready()):
                passed = time.monotonic() - start
                if passed > timeout:
                    raise Broken(f"waited {timeout} s in vain for {what}.")
                progress(passed)
                time.sleep(0.2)
        return found

    @contextmanager
    def _progress(self, what):
        """A line that is overwritten on a terminal; elsewhere one every ten seconds."""
        last = 0

        def progress(passed):
            nonlocal last
            if self.tty:
                line = f"    … {what} ({passed:.0f} s)"
                print(f"\r{self.colour(line, DIM)}\033[K", end="", flush=True)
            elif passed - last >= QUIET_SECONDS:
                last = passed
                self.write(f"    … {what} ({passed:.0f} s)")

        try:
            yield progress
        finally:
            if self.tty:
                print("\r\033[K", end="", flush=True)


def cents(amount):
    return Decimal(str(amount)).quantize(Decimal("0.01"))


def minor(amount):
    """Stripe's cents as an amount."""
    return Decimal(amount) / 100


def _shown(value):
    return f"{value:,.2f}" if isinstance(value, Decimal) else str(value)
