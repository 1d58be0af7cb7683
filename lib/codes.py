"""Tracking codes: what a person may type, and what we propose."""

import re
import unicodedata
from urllib.parse import unquote

# Stripe accepts these characters in a promotion code, and compares without case.
CODE_FORMAT = re.compile(r"[A-Z0-9-]{3,40}")
FALLBACK = "AFF"
MAX_STEM = 20

# Letters that do not decompose into a base letter and a mark.
_LETTERS = str.maketrans(
    {
        "ß": "SS",
        "ẞ": "SS",
        "Æ": "AE",
        "æ": "AE",
        "Ø": "O",
        "ø": "O",
        "Œ": "OE",
        "œ": "OE",
        "Ł": "L",
        "ł": "L",
        "Đ": "D",
        "đ": "D",
        "Ð": "D",
        "ð": "D",
        "Þ": "TH",
        "þ": "TH",
        "ı": "I",
    }
)


# What a text program makes of a hyphen: dashes and the minus sign.
_DASHES = re.compile("[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]")
# The rest of an address, joined to it wrongly: ``DRONA29?utm_source=mail``.
_NEXT_PARAMETER = re.compile(r"[?&#][\w.-]+=.*", re.DOTALL)
# Longer texts are no code, and not worth the work.
MAX_TYPED = 500


def plain(text):
    """Return a text as it was meant, whatever it was copied from or carried by.

    Percent-encoding (once or twice), wide letters, invisible characters and the dashes
    of text programs become what they stand for. What is around it goes, and so does the
    rest of an address behind it.
    """
    text = (text or "")[:MAX_TYPED]
    for _time in range(2):
        text = unquote(text, errors="ignore")
    text = _NEXT_PARAMETER.sub("", unicodedata.normalize("NFKC", text))
    text = _DASHES.sub("-", text)
    text = "".join(c for c in text if unicodedata.category(c) not in ("Cf", "Cc"))
    return re.sub(r"^[\W_]+|[\W_]+$", "", text)


def normalise(text):
    """Return ``text`` as it is compared: transliterated, upper case, A-Z 0-9 and -.

    The one way to understand a code, wherever it comes from: ``“drona29”.`` is
    ``DRONA29``.
    """
    letters = unicodedata.normalize("NFKD", plain(text).translate(_LETTERS))
    ascii_text = letters.encode("ascii", "ignore").decode().upper()
    return re.sub(r"-{2,}", "-", re.sub(r"[^A-Z0-9-]", "", ascii_text)).strip("-")


def is_valid(code):
    """Tell whether ``code`` can be a Stripe promotion code (already normalised)."""
    return bool(CODE_FORMAT.fullmatch(code or ""))


def propose(pattern, name, number):
    """Return the ``number``-th code for a person, e.g. ``DRONA29``.

    :param str pattern: may hold ``{name}`` (first word of the name), ``{fullname}``
        and ``{number}``. Without ``{number}`` the number is appended from the second
        proposal on, so that proposals never repeat.
    :param str name: the affiliate's name in any script; ``AFF`` stands in where
        nothing of it can be transliterated.
    """
    code = _fill(pattern, name, number)
    if "{number}" not in (pattern or "{number}") and number > 1:
        code = f"{code}{number}"
    return code if is_valid(code) else f"{FALLBACK}{number}"


def is_pattern(pattern):
    """Tell whether ``pattern`` makes codes, or everybody would get the fallback."""
    return is_valid(_fill(pattern, "Drona Rao", 29))


def _fill(pattern, name, number):
    first, full = normalise((name or "").split(" ")[0]), normalise(name)
    return normalise(
        (pattern or "{name}{number}")
        .replace("{name}", (first or full or FALLBACK)[:MAX_STEM])
        .replace("{fullname}", (full or FALLBACK)[:MAX_STEM])
        .replace("{number}", str(number))
    )
