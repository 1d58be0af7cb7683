"""The table of tricky cases stays complete and true (``stripe_cases.py``)."""

import importlib
import unittest

from odoo.tests import BaseCase

from .stripe_cases import CASES


class TestStripeCases(BaseCase):
    def test_every_number_is_there_once(self):
        self.assertEqual(list(CASES), list(range(1, 99)))

    def test_every_case_has_a_test_or_a_reason(self):
        for number, case in CASES.items():
            with self.subTest(number):
                self.assertTrue(case.title)
                self.assertTrue(case.tests or case.note)

    def test_every_named_test_exists(self):
        for number, case in CASES.items():
            for name in case.tests:
                with self.subTest(number, name=name):
                    self.assertTrue(_exists(name))

    def test_a_test_that_does_not_exist_is_noticed(self):
        for name in (
            "test_stripe_cases::test_gone",
            "test_gone::test_every_named_test_exists",
            "stripe_cases::CASES",
            "test_every_named_test_exists",
        ):
            self.assertFalse(_exists(name), name)
        self.assertTrue(_exists("test_stripe_cases::test_every_named_test_exists"))


def _exists(name):
    """Tell whether ``file::test`` is a test, written in that file itself."""
    file, _colons, test = name.partition("::")
    try:
        module = importlib.import_module(f"{__package__}.{file}")
    except ImportError:
        return False
    return test.startswith("test_") and any(
        isinstance(thing, type)
        and issubclass(thing, unittest.TestCase)
        and thing.__module__ == module.__name__
        and test in vars(thing)
        for thing in vars(module).values()
    )
