"""The last chapter: a year of business around the story, made in bulk."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from ..paths import REPOSITORY
from .tell import Broken

SCRIPT = Path(__file__).with_name("year_odoo.py")


class Year:
    """Lists, charts and *Needs review* of the demo look like those of a business."""

    def year(self):
        tell, manager = self.tell, self.manager
        tell.chapter("A year of business, so that there is something to look at")
        start = time.monotonic()
        asked = {
            "program": "Acme Partners",
            "now": self.double.now(),
            "stripe": self.stripe_url,
            "prices": {
                "starter": self.starter["id"],
                "pro": self.pro["id"],
                "plus": self.plus["id"],
                "lifetime": self.lifetime["id"],
            },
        }
        self.in_odoo(asked)
        for label, model, domain in (
            ("affiliates", "affiliate.affiliate", []),
            ("customers in Stripe", "affiliate.stripe.customer", []),
            ("paid invoices", "affiliate.stripe.invoice", [("status", "=", "paid")]),
            ("visits", "affiliate.click", []),
            ("leads and customers", "affiliate.referral", []),
            ("commissions", "affiliate.commission", []),
            ("doubts to look at", "affiliate.referral.flag", [("state", "=", "open")]),
            ("settlements", "affiliate.settlement", []),
        ):
            count = manager.call(model, "search_count", domain)
            if not count:
                raise Broken(f"the year has no {label}.")
            tell.fact(label, f"{count:>12,}")
        tell.text(f"Made in {time.monotonic() - start:.0f} seconds.")

    def in_odoo(self, asked):
        """Type the script into `odoo shell`: the past is out of reach from outside."""
        environ = dict(
            os.environ, YEAR=json.dumps(asked), YEAR_TESTS=str(REPOSITORY / "tests")
        )
        command = [sys.executable, "-m", "odoo", "shell", "-c", self.config]
        command += ["-d", self.database, "--no-http", "--max-cron-threads=0"]
        command += ["--log-level=error"]
        shell = subprocess.Popen(
            command,
            stdin=SCRIPT.open(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environ,
            text=True,
        )
        try:
            output, _nothing = shell.communicate()
        finally:
            if shell.poll() is None:
                shell.terminate()
                shell.wait()
        if shell.returncode or "Traceback" in output:
            lines = [line for line in output.splitlines() if line.strip()]
            raise Broken("\n".join(["Odoo could not make the year:", *lines[-12:]]))
