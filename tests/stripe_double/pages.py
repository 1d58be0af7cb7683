"""The pages customers see: a Checkout to fill in, and payment links that lead to it.

Plain HTML without scripts, for demos and browser tests. Only the fields that matter
here: e-mail, name and, where the session allows it, a promotion code. What comes after
paying is in ``receipt.py``.
"""

from html import escape
from urllib.parse import parse_qs, urlsplit

from . import layout, receipt
from .errors import ApiError
from .layout import page, problem, redirect
from .resources import completion, links

FORM = """{order}{error}<form method="post">
<label>E-mail<input name="email" type="email" required value="{email}"></label>
<label>Name<input name="name" value="{name}"></label>{code}
<button>Pay</button></form><p class="quiet">Test mode: no money moves.</p>"""

CODE = """<label>Promotion code<input name="promotion_code" value="{code}"></label>"""


def answer(double, method, target, body):
    """``(status, content type, body, headers)``, or ``None`` for an unknown page."""
    parts = urlsplit(target)
    asked = {k: v[-1] for k, v in parse_qs(parts.query).items()}
    kind, _, key = parts.path.strip("/").rpartition("/")
    given = layout.fields(body) if method == "POST" else None
    try:
        if kind == "buy":
            return _open_link(double, key, asked)
        if kind == "c/pay":
            return _checkout(double, key, given)
        start, _, act = kind.partition("/")
        if start == "c" and act in receipt.ACTS:
            return receipt.act(double, act, key, given)
    except ApiError as error:
        return page(error.status, "Sorry", problem(error.message))
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
    return redirect(session["url"])


def _checkout(double, key, given):
    with double.lock:
        world, session = double.find("checkout.session", key)
        if session["status"] == "complete":
            return receipt.show(world, session)
        if given is None:
            return _form(world, session)
        names = ("email", "name", "promotion_code")
        values = {name: given.get(name) for name in names}
        try:
            completion.complete(world, session, **values)
        except ApiError as error:
            return _form(world, session, values, error)
    address = session["success_url"] or f"/c/pay/{key}"
    return redirect(address.replace("{CHECKOUT_SESSION_ID}", key))


def _form(world, session, values=None, error=None):
    values = values or {}
    allowed = session["allow_promotion_codes"]
    code = CODE.format(code=escape(values.get("promotion_code") or ""))
    body = FORM.format(
        order=receipt.order(world, session),
        error=problem(error.message) if error else "",
        email=escape(values.get("email") or session["customer_email"] or ""),
        name=escape(values.get("name") or ""),
        code=code if allowed and not session["discounts"] else "",
    )
    return page(400 if error else 200, "Checkout", body)
