"""A browser without a screen: cookies, pages, forms with their hidden fields, and the
JSON-RPC that Odoo's web client speaks."""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookiejar import CookieJar
from urllib.parse import urlencode, urljoin

from .tell import Broken

TIMEOUT = 120
# What a browser says of itself; who says less is taken for a robot.
HEADERS = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0",
    "Sec-Fetch-Dest": "document",
}


@dataclass
class Form:
    action: str
    method: str
    fields: dict = field(default_factory=dict)


class _Forms(HTMLParser):
    def __init__(self):
        super().__init__()
        self.forms = []
        self.textarea = None

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "form":
            method = (given.get("method") or "get").lower()
            self.forms.append(Form(given.get("action") or "", method))
        elif self.forms and given.get("name"):
            self._field(tag, given)

    def _field(self, tag, given):
        kind = (given.get("type") or "").lower()
        if kind in ("submit", "button", "image", "file"):
            return
        if kind in ("checkbox", "radio") and "checked" not in given:
            return
        if tag == "textarea":
            self.textarea = given["name"]
        if tag in ("input", "textarea", "select"):
            self.forms[-1].fields[given["name"]] = given.get("value") or ""

    def handle_data(self, data):
        if self.textarea:
            self.forms[-1].fields[self.textarea] += data

    def handle_endtag(self, tag):
        if tag == "textarea":
            self.textarea = None


@dataclass
class Page:
    url: str
    status: int
    text: str

    def form(self, *names):
        """The form that has these fields."""
        parser = _Forms()
        parser.feed(self.text)
        for form in parser.forms:
            if set(names) <= form.fields.keys():
                return form
        raise Broken(f"there is no form for {', '.join(names)} on {self.url}.")


class Browser:
    def __init__(self, base):
        self.base = base
        cookies = urllib.request.HTTPCookieProcessor(CookieJar())
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), cookies
        )

    def open(self, path, data=None, headers=None):
        """GET, or POST where there is data; redirects are followed."""
        url = urljoin(self.base, path)
        request = urllib.request.Request(url, data, HEADERS | (headers or {}))
        try:
            with self.opener.open(request, timeout=TIMEOUT) as answer:
                return Page(answer.url, answer.status, answer.read().decode())
        except urllib.error.HTTPError as error:
            return Page(url, error.code, error.read().decode(errors="replace"))
        except OSError as error:
            raise Broken(f"{url} does not answer: {error}.") from error

    def submit(self, page, values):
        """Fill the form with these fields and send it, hidden fields included."""
        form = page.form(*values)
        body = urlencode({**form.fields, **values}).encode()
        return self.open(urljoin(page.url, form.action or page.url), body)


class Odoo(Browser):
    """Odoo as somebody who is logged in, with what the web client calls."""

    def login(self, login, password):
        page = self.open("/web/login")
        page = self.submit(page, {"login": login, "password": password})
        if page.status != 200 or "/web/login" in page.url:
            raise Broken(f"{login} cannot log in ({page.url}, {page.status}).")
        return page

    def call(self, model, method, *args, **kwargs):
        """Call a public method; an error of Odoo's is a `Refused`."""
        params = {"model": model, "method": method, "args": args, "kwargs": kwargs}
        page = self.open(
            f"/web/dataset/call_kw/{model}/{method}",
            json.dumps({"jsonrpc": "2.0", "method": "call", "params": params}).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            answer = json.loads(page.text)
        except ValueError:
            raise Broken(f"{model}.{method} answered {page.status}.") from None
        if "error" in answer:
            data = answer["error"].get("data") or {}
            raise Refused(f"{model}.{method}", data)
        return answer.get("result")

    # -- shorter names

    def create(self, model, values, **context):
        return self.call(model, "create", values, context=context)

    def find(self, model, domain, fields, **options):
        return self.call(model, "search_read", domain, fields, **options)

    def one(self, model, domain, fields, **options):
        found = self.find(model, domain, fields, limit=1, **options)
        return found[0] if found else None

    def read(self, model, record, fields):
        return self.call(model, "read", [record], fields)[0]

    def write(self, model, record, values):
        return self.call(model, "write", [record], values)

    def xml_id(self, name):
        module, _dot, identifier = name.partition(".")
        domain = [("module", "=", module), ("name", "=", identifier)]
        return self.one("ir.model.data", domain, ["res_id"])["res_id"]


class Refused(Broken):
    """Odoo said no; `sentence` is what a person would read."""

    def __init__(self, what, data):
        self.name = data.get("name", "")
        self.sentence = data.get("message") or "no reason given"
        super().__init__(f"{what}: {self.sentence}")
