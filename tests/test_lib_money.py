"""Minor units in, exact amounts out: no database."""

import unittest
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from odoo.addons.affiliate_stripe.lib import money

from .lib_common import for_all


class TestMoney(unittest.TestCase):
    def test_minor_units_are_those_of_stripe_not_of_iso(self):
        for currency, minor, major in (
            ("usd", 2500, "25.00"),
            ("eur", -1, "-0.01"),
            ("jpy", 10000, "10000"),
            ("KRW", 7, "7"),
            ("kwd", 12340, "12.340"),
            ("TND", 1, "0.001"),
            ("ugx", 150000, "1500.00"),
            ("isk", 99900, "999.00"),
        ):
            with self.subTest(currency):
                self.assertEqual(money.to_major(minor, currency), Decimal(major))
                self.assertEqual(money.nearest_minor(major, currency), minor)

    def test_typed_amounts_are_rounded_half_up(self):
        for amount, currency, minor in (
            (0.125, "usd", 13),
            (2.675, "usd", 268),
            (0.1 + 0.2, "usd", 30),
            (99.5, "jpy", 100),
            (1.2345, "kwd", 1235),
            (-0.125, "usd", -13),
        ):
            with self.subTest(amount=amount, currency=currency):
                self.assertEqual(money.nearest_minor(amount, currency), minor)

    def test_halves_go_away_from_nought(self):
        for value, rounded in (
            (Fraction(1, 2), 1),
            (Fraction(-1, 2), -1),
            (Fraction(5, 2), 3),
            (Fraction(-5, 2), -3),
            (Fraction(49, 100), 0),
            (Fraction(149, 100), 1),
        ):
            with self.subTest(value=value):
                self.assertEqual(money.round_half_up(value), rounded)

    def test_a_step_rounds_to_what_odoo_can_keep(self):
        self.assertEqual(money.ledger_step("isk", 1.0), 100)
        self.assertEqual(money.ledger_step("ugx", 1.0), 100)
        self.assertEqual(money.ledger_step("usd", 0.01), 1)
        self.assertEqual(money.ledger_step("jpy", 1.0), 1)
        self.assertEqual(money.ledger_step("kwd", 0.001), 1)
        self.assertEqual(money.ledger_step("chf", 0.05), 5)
        # Odoo finer than Stripe: a minor unit is still the least there is.
        self.assertEqual(money.ledger_step("jpy", 0.01), 1)
        self.assertEqual(money.round_half_up(Fraction(29970 * 3, 10), 100), 9000)
        self.assertEqual(money.round_half_up(-149, 100), -100)
        self.assertEqual(money.round_half_up(-150, 100), -200)

    @for_all
    @given(
        st.integers(-(10**15), 10**15), st.sampled_from(["usd", "jpy", "kwd", "isk"])
    )
    def test_there_and_back_again(self, minor, currency):
        major = money.to_major(minor, currency)
        self.assertEqual(money.nearest_minor(major, currency), minor)

    @for_all
    @given(st.fractions(), st.sampled_from([1, 5, 100]))
    def test_rounding_is_symmetric_and_near(self, value, step):
        rounded = money.round_half_up(value, step)
        self.assertEqual(rounded % step, 0)
        self.assertLessEqual(abs(rounded - value), Fraction(step, 2))
        self.assertEqual(money.round_half_up(-value, step), -rounded)
