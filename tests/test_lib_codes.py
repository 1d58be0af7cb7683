"""Tracking codes out of names in any script: no database."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from odoo.addons.affiliate_stripe.lib import codes

from .lib_common import for_all


class TestCodes(unittest.TestCase):
    def test_first_name_and_number(self):
        for name, code in (
            ("Drona Rao", "DRONA29"),
            ("Đỗ Thị Mai", "DO29"),
            ("O'Brien Pat", "OBRIEN29"),
            ("Jean-Luc Picard", "JEAN-LUC29"),
            ("Łukasz", "LUKASZ29"),
            ("Søren Æbelø", "SOREN29"),
            ("Guðrún", "GUDRUN29"),
            ("Groß & Söhne", "GROSS29"),
            ("José", "JOSE29"),
            ("  spaced", "SPACED29"),
        ):
            with self.subTest(name):
                self.assertEqual(codes.propose("{name}{number}", name, 29), code)

    def test_a_name_of_which_nothing_is_left_becomes_aff(self):
        for name in ("李小龍", "Дмитрий", "🎉🎉", "", None, "---", "' ."):
            with self.subTest(name):
                self.assertEqual(codes.propose("{name}{number}", name, 29), "AFF29")

    def test_the_rest_of_a_name_helps_where_the_first_word_is_lost(self):
        self.assertEqual(codes.propose("{name}{number}", "🎉 Party", 7), "PARTY7")
        self.assertEqual(codes.propose("{name}{number}", "李 Bruce", 7), "BRUCE7")

    def test_patterns(self):
        for pattern, number, code in (
            ("{fullname}-{number}", 3, "DRONARAO-3"),
            ("SAVE-{name}-{number}", 3, "SAVE-DRONA-3"),
            ("{name}", 1, "DRONA"),
            ("{name}", 2, "DRONA2"),
            ("x {name}!{number}", 3, "XDRONA3"),
            ("", 3, "DRONA3"),
            (None, 3, "DRONA3"),
        ):
            with self.subTest(pattern):
                self.assertEqual(codes.propose(pattern, "Drona Rao", number), code)

    def test_a_pattern_that_leaves_nothing_is_none(self):
        for good in ("{name}{number}", "SAVE-{number}", "{name}", "SAVE", "", None):
            self.assertTrue(codes.is_pattern(good), good)
        for bad in ("X" * 50 + "{number}", "?!", "李", "{n}"):
            self.assertFalse(codes.is_pattern(bad), bad)

    def test_too_short_and_too_long_fall_back(self):
        self.assertEqual(codes.propose("{name}{number}", "J", 1), "AFF1")
        self.assertEqual(codes.propose("X" * 50 + "{number}", "J", 4), "AFF4")
        self.assertEqual(
            codes.propose("{name}{number}", "A" * 60, 29), "A" * codes.MAX_STEM + "29"
        )

    def test_what_stripe_accepts(self):
        for good in ("ABC", "A-1", "X" * 40, "DRONA29"):
            self.assertTrue(codes.is_valid(good), good)
        for bad in ("", None, "AB", "X" * 41, "drona", "A B C", "ÄBC", "A_BC", "ABC\n"):
            self.assertFalse(codes.is_valid(bad), bad)

    def test_a_wish_is_compared_without_case_and_marks(self):
        self.assertEqual(codes.normalise(" dróna--29 "), "DRONA-29")
        self.assertEqual(codes.normalise("DRONA29"), codes.normalise("drona29"))
        self.assertEqual(codes.normalise("<script>"), "SCRIPT")

    @for_all
    @given(st.text(max_size=60), st.integers(1, 10**6))
    def test_every_name_gives_a_code_stripe_accepts(self, name, number):
        for pattern in ("{name}{number}", "{fullname}-{number}", "{name}", "P-{name}"):
            self.assertTrue(codes.is_valid(codes.propose(pattern, name, number)))

    @for_all
    @given(st.text(max_size=30))
    def test_proposals_for_one_name_never_repeat(self, name):
        for pattern in ("{name}{number}", "{name}"):
            proposals = [codes.propose(pattern, name, n) for n in range(1, 30)]
            self.assertEqual(len(set(proposals)), len(proposals))

    @for_all
    @given(st.text(max_size=60))
    def test_normalising_twice_changes_nothing(self, text):
        once = codes.normalise(text)
        self.assertEqual(codes.normalise(once), once)
