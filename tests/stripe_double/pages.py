"""The pages customers see: a Checkout to fill in, and payment links that lead to it.

Plain HTML without scripts, for demos and browser tests. Only the fields that matter
here: e-mail, name and, where the session allows it, a promotion code.
"""

from html import escape
from urllib.parse import parse_qs, urlsplit

from .errors import ApiError
from .resources import completion, links

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>{title}</title>
<style>body{{font:16px sans-serif;max-width:26em;margin:3em auto;padding:0 1em}}
label,button,input{{display:block;width:100%;box-sizing:border-box;margin:.4em 0}}
input,button{{padding:.6em;font:inherit}}.error{{color:#b00}}</style>
<h1>{title}</h1>{body}</html>"""

FORM = """<p>{items}</p><p><strong>{total}</strong></p>{error}
<form method="post"><label>E-mail<input name="email" type="email" required
value="{email}"></label><label>Name<input name="name"></label>{code}
<button>Pay</button></form><p>Test mode: no money moves.</p>"""

CODE = """<label>Promotion code<input name="promotion_code" value="{code}"></label>"""


def answer(double, method, target, body):
    """``(status, content type, body, headers)``, or ``None`` for an unknown page."""
    parts = urlsplit(target)
    asked = {k: v[-1] for k, v in parse_qs(parts.query).items()}
    kind, _, key = parts.path.strip("/").rpartition("/")
    try:
        if kind == "buy":
            return _open_link(double, key, asked)
        if kind == "c/pay":
            given = parse_qs(body.decode()) if method == "POST" else None
            return _checkout(double, key, given)
    except ApiError as error:
        return _page(error.status, "Sorry", f"<p>{escape(error.message)}</p>")
    return None


def _open_link(double, key, asked):
    """``?client_reference_id=&prefilled_promo_code=&prefilled_email=``."""
    with double.lock:
        world, link = double.find("payment_link", key)
        session = links.open_link(
            world,
            link,
            asked.get("client_reference_id"),
            asked.get("prefilled_promo_code"),
            asked.get("prefilled_email"),
        )
    return _redirect(session["url"])


def _checkout(double, key, given):
    with double.lock:
        world, session = double.find("checkout.session", key)
        if session["status"] == "complete":
            return _page(200, "Thank you", "<p>This order is paid.</p>")
        if given is None:
            return _form(world, session)
        values = {
            name: given.get(name, [""])[-1].strip() or None
            for name in ("email", "name", "promotion_code")
        }
        try:
            completion.complete(world, session, **values)
        except ApiError as error:
            return _form(world, session, values, error.message)
    address = session["success_url"]
    if not address:
        return _page(200, "Thank you", "<p>This order is paid.</p>")
    return _redirect(address.replace("{CHECKOUT_SESSION_ID}", key))


def _form(world, session, values=None, error=None):
    values = values or {}
    items = world.side[session["id"]]["items"]
    allowed = session["allow_promotion_codes"]
    code = CODE.format(code=escape(values.get("promotion_code") or ""))
    total = f"{session['amount_total']} {session['currency'].upper()} (minor units)"
    body = FORM.format(
        items="<br>".join(escape(item["description"] or "") for item in items),
        total=total,
        error=f'<p class="error">{escape(error)}</p>' if error else "",
        email=escape(values.get("email") or session["customer_email"] or ""),
        code=code if allowed and not session["discounts"] else "",
    )
    return _page(400 if error else 200, "Checkout", body)


def _page(status, title, body):
    html = PAGE.format(title=title, body=body).encode()
    return status, "text/html; charset=utf-8", html, {}


def _redirect(address):
    return 303, "text/html; charset=utf-8", b"", {"Location": address}
