from odoo.tests import BaseCase, tagged

from ..lib import colors
from ..models.affiliate_program_look import SCHEMES

READABLE = 4.5  # what WCAG asks of a text


@tagged("post_install", "-at_install")
class TestColors(BaseCase):
    def test_what_is_a_color(self):
        for text, color in (
            ("#2457D6", "#2457d6"),
            (" 2457d6 ", "#2457d6"),
            ("#25d", "#2255dd"),
            ("25D", "#2255dd"),
            ("", None),
            (None, None),
            (False, None),
            ("blue", None),
            ("#2457d", None),
            ("#2457d6ff", None),
            ("rgb(1,2,3)", None),
        ):
            self.assertEqual(colors.parse(text), color, text)

    def test_contrast(self):
        self.assertAlmostEqual(colors.contrast("#000000", "#ffffff"), 21)
        self.assertAlmostEqual(colors.contrast("#123456", "#123456"), 1)
        # A color that is often named as the lightest gray to be read on white.
        self.assertAlmostEqual(colors.contrast("#767676", "#ffffff"), 4.54, places=2)

    def test_every_color_has_a_readable_text(self):
        steps = [f"{step:02x}" for step in range(0, 256, 15)]
        for color in (f"#{r}{g}{b}" for r in steps for g in steps for b in steps):
            text = colors.text_on(color)
            self.assertGreaterEqual(colors.contrast(text, color), READABLE, color)

    def test_a_button_can_be_told_from_its_page(self):
        page, text = SCHEMES["light"]["page"], SCHEMES["light"]["text"]
        self.assertEqual(colors.rim_on(page, "#2457d6", text), "#2457d6")
        self.assertEqual(colors.rim_on(page, "#fffff0", text), text)

    def test_our_own_colors_can_be_read(self):
        for paints in SCHEMES.values():
            for name in ("text", "muted", "wrong"):
                contrast = colors.contrast(paints[name], paints["page"])
                self.assertGreaterEqual(contrast, READABLE, name)
            self.assertGreaterEqual(
                colors.contrast(paints["line"], paints["page"]), colors.RIM
            )
            self.assertGreaterEqual(
                colors.contrast(paints["text"], paints["around"]), READABLE
            )
