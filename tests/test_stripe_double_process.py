"""The double as a process of its own, with what can be said on its command line."""

import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path

from .stripe_double import DoubleClient, Shop

FOLDER = Path(__file__).with_name("stripe_double")
PATIENCE = 60


class TestProcess(unittest.TestCase):
    def start(self, *options):
        """The control of a double that has just said that it is ready."""
        command = [sys.executable, FOLDER, "--port", "0", "--deliver", "manual"]
        process = subprocess.Popen(
            [*map(str, command), *options], stdout=subprocess.PIPE, text=True
        )
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        watch = threading.Timer(PATIENCE, process.kill)
        watch.start()
        self.addCleanup(watch.cancel)
        line = process.stdout.readline()
        self.assertIn("Stripe double on http://127.0.0.1:", line)
        return DoubleClient(line.split()[-1])

    def test_bulk(self):
        double = self.start("--bulk", "36", "--now", "1767225600")
        shop = Shop(double)
        invoices = list(shop.pages("invoices"))
        self.assertEqual(len(invoices), 36)
        self.assertEqual(len({invoice["customer"] for invoice in invoices}), 3)
        self.assertLess(max(invoice["created"] for invoice in invoices), 1767225600)
        self.assertEqual(len(list(shop.pages("charges"))), 36)

    def test_latency(self):
        double = self.start("--latency", "300")
        shop = Shop(double)

        def seconds(act):
            start = time.monotonic()
            act()
            return time.monotonic() - start

        for _time in range(2):
            self.assertGreaterEqual(seconds(lambda: shop.get("customers")), 0.3)
        control = min(seconds(double.now) for _time in range(5))
        self.assertLess(control, 0.3, "only the API is slow")
        double.calm()
        calm = min(seconds(lambda: shop.get("customers")) for _time in range(5))
        self.assertLess(calm, 0.3)

    def test_neither(self):
        shop = Shop(self.start())
        self.assertEqual(list(shop.pages("invoices")), [])
