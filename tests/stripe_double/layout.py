"""What the customer's pages share: the frame, forms read, money as people write it."""

import re
from datetime import datetime, timezone
from html import escape
from urllib.parse import parse_qs

from .errors import ApiError

STYLE = """
*{box-sizing:border-box}
body{font:16px/1.45 system-ui,sans-serif;color:#1a1f36;background:#f6f8fa;margin:0}
main{max-width:29em;margin:2.5em auto;padding:1.5em;background:#fff;
border:1px solid #e3e8ee;border-radius:10px}
h1{font-size:1.5em;margin:0 0 .6em}
h2{font-size:1.15em;margin:0;display:flex;flex-wrap:wrap;gap:.5em;align-items:center}
p{margin:.5em 0}
small,.quiet{color:#5b6477;font-size:.875em}
table{width:100%;border-collapse:collapse;margin:.5em 0}
td{padding:.25em 0;vertical-align:top;overflow-wrap:anywhere}
td+td{text-align:right;white-space:nowrap;padding-left:1em}
tr.total td{border-top:1px solid #e3e8ee;padding-top:.5em;font-weight:600}
label{display:block;margin:.8em 0;font-size:.9em}
input,button{font:inherit;width:100%;padding:.6em .8em;border-radius:6px}
input{display:block;margin-top:.25em;border:1px solid #aab2c0;font-size:1rem}
button{border:1px solid #4b45c6;background:#4b45c6;color:#fff;cursor:pointer}
button.other{background:#fff;color:#3c3795;border-color:#aab2c0}
button.bad{background:#fff;color:#a81234;border-color:#d9a0ad}
button:hover{filter:brightness(.95)}
section{border-top:1px solid #e3e8ee;margin-top:1.2em;padding-top:1.2em}
section form{margin-top:1em}
section ul{margin:.6em 0;padding-left:1.2em}
.row{display:flex;flex-wrap:wrap;gap:.6em;align-items:flex-end}
.row>*{flex:1 1 10em;margin:0}
.error{color:#a81234;background:#fdf0f3;padding:.6em .8em;border-radius:6px}
.badge{font-size:.75rem;font-weight:600;padding:.15em .7em;border-radius:1em;
background:#d7f5e3;color:#0b5a34}
.badge.changed{background:#e6e9f0;color:#3b4356}
.badge.bad{background:#fbe3e8;color:#a81234}
@media(max-width:32em){main{margin:0;border:0;border-radius:0;min-height:100vh}}
"""

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<link rel="icon" href="data:,"><title>{title}</title><style>{style}</style>
<main><h1>{title}</h1>{body}</main></html>"""

ZERO_DECIMAL = frozenset(
    "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split()
)
THREE_DECIMAL = frozenset("bhd jod kwd omr tnd".split())
TYPED = re.compile(r"([0-9]{1,12})(?:[.,]([0-9]{1,12}))?")


def page(status, title, body):
    html = PAGE.format(title=escape(title), style=STYLE, body=body).encode()
    return status, "text/html; charset=utf-8", html, {}


def redirect(address):
    return 303, "text/html; charset=utf-8", b"", {"Location": address}


def problem(message):
    return f'<p class="error" role="alert">{escape(message)}</p>'


def fields(body):
    """The fields of a form, the last of each name; ``None`` when left empty."""
    given = parse_qs(body.decode(errors="replace"), keep_blank_values=True)
    return {name: values[-1].strip() or None for name, values in given.items()}


def day(moment):
    date = datetime.fromtimestamp(moment, timezone.utc)
    return f"{date.day} {date:%B %Y}"


def exponent(currency):
    """How many decimals an amount has."""
    if currency in ZERO_DECIMAL:
        return 0
    return 3 if currency in THREE_DECIMAL else 2


def number(minor, currency):
    """``1050`` -> ``10.50``: what is in an input, and can be read again."""
    places = exponent(currency)
    if not places:
        return str(minor)
    digits = str(abs(minor)).rjust(places + 1, "0")
    sign = "-" if minor < 0 else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}"


def money(minor, currency):
    return f"{number(minor, currency)}\N{NO-BREAK SPACE}{currency.upper()}"


def minor_units(text, currency):
    """An amount as a person types it, in minor units."""
    places = exponent(currency)
    example = number(10**places, currency)
    found = TYPED.fullmatch(text)
    if not found or len(found[2] or "") > places:
        raise ApiError(
            f"Please give the amount as a number, like {example}.", param="amount"
        )
    return int(found[1] + (found[2] or "").ljust(places, "0"))
