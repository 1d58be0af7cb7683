"""The base of the double's own tests: a fresh double, a shop, whole-answer checks."""

import unittest

from .double import StripeDouble
from .shop import Shop

#: 2026-01-01 00:00:00 UTC; January has 31 days, so its middle is on a half day.
NEW_YEAR = 1767225600
DAY = 86400


class DoubleCase(unittest.TestCase):
    """Each test has its own world; a fault of the double fails the test."""

    options: dict = {}

    def setUp(self):
        super().setUp()
        self.double = StripeDouble(now=NEW_YEAR, **self.options).start()
        self.addCleanup(self.double.stop)
        self.double.configure(check_answers=True)
        self.shop = Shop(self.double)
        self.v1 = self.shop.client.v1

    def tearDown(self):
        self.assertEqual(self.double.faults, [])
        super().tearDown()

    def amounts(self, invoice):
        """Line amounts, discounts and taxes as three short lists."""
        lines = invoice["lines"]["data"]
        return (
            [line["amount"] for line in lines],
            [sum(d["amount"] for d in line["discount_amounts"]) for line in lines],
            [sum(t["amount"] for t in line["taxes"]) for line in lines],
        )

    def types(self, *only):
        """Types of the logged events, oldest first."""
        return [
            e["type"]
            for e in self.double.events()
            if not only or e["type"].startswith(only)
        ]
