"""What people outside see: masked addresses, bars of a chart."""

from odoo.tests import BaseCase, tagged

from ..lib.chart import HEIGHT, bars
from ..lib.masking import DOTS, mask_email


@tagged("post_install", "-at_install")
class TestMasking(BaseCase):
    def test_only_the_edges_are_left(self):
        self.assertEqual(mask_email("jane@example.com"), "j•••@e•••.com")
        self.assertEqual(mask_email("b@studio.co.uk"), "b•••@s•••.uk")

    def test_length_says_nothing(self):
        self.assertEqual(mask_email("ab@cd.io"), mask_email("abbbbbbb@cddddddd.io"))

    def test_what_is_no_address_is_hidden(self):
        for text in (None, "", "jane", "@example.com", "jane@"):
            self.assertEqual(mask_email(text), DOTS)
        self.assertEqual(mask_email("root@localhost"), "r•••@l•••")


@tagged("post_install", "-at_install")
class TestChart(BaseCase):
    def test_highest_bar_fills_the_chart(self):
        drawn, zero = bars([10, 5, 0])
        self.assertEqual(zero, HEIGHT)
        self.assertEqual([bar.height for bar in drawn], [100, 50, 0])
        self.assertEqual([bar.y for bar in drawn], [0, 50, 100])

    def test_negative_bars_hang_below_the_axis(self):
        drawn, zero = bars([30, -10])
        self.assertEqual(zero, 75)
        self.assertEqual([(bar.y, bar.height) for bar in drawn], [(0, 75), (75, 25)])

    def test_bars_stay_inside(self):
        for values in ([0, 0], [1000, 0.01, -0.01], [-5], [-1, -2]):
            drawn, zero = bars(values)
            self.assertTrue(0 <= zero <= HEIGHT)
            for bar in drawn:
                self.assertTrue(0 <= bar.y and bar.y + bar.height <= HEIGHT)
