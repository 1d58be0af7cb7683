"""Colors that people choose, and what can be read on them.

Contrast as WCAG 2.2 measures it (https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio).
"""

import re

BLACK, WHITE = "#000000", "#ffffff"
# What WCAG asks of a button's or a field's rim.
RIM = 3
_HEX = re.compile(r"#?(?:([0-9a-f]{6})|([0-9a-f]{3}))", re.IGNORECASE | re.ASCII)


def parse(text):
    """Return a color as ``#rrggbb``, None where it is none.

    People type ``2457D6``, ``#2457d6`` or ``#25d``. Names of colors are not understood.
    What this returns is safe in CSS.
    """
    found = _HEX.fullmatch((text or "").strip())
    if not found:
        return None
    digits = found[1] or "".join(digit * 2 for digit in found[2])
    return f"#{digits.lower()}"


def contrast(one, other):
    """Return the contrast of two colors, from 1 (the same) to 21 (black and white)."""
    dark, light = sorted(map(_luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def text_on(color):
    """Return the color of a text on a color: black or white, whichever is read better.

    The better one has always the contrast of 4.5 that WCAG asks for.
    """
    return max((WHITE, BLACK), key=lambda text: contrast(text, color))


def rim_on(page, color, text):
    """Return the color of a rim around something of a color on a page: its own where
    it can be told from the page, else that of the page's text."""
    return color if contrast(color, page) >= RIM else text


def _luminance(color):
    red, green, blue = (
        _linear(int(color[place : place + 2], 16) / 255) for place in (1, 3, 5)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part):
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
