"""A foreign site with a strict policy, and a visitor with a real Chromium.

Odoo is 127.0.0.1, the site is localhost or any name below it: other origins, other
sites for the browser's cookies.
"""

import threading
import time
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from odoo.tests import tagged

from .browser import PATIENCE, Visitor
from .web_common import AffiliateData, HttpCase

STUB = (
    "window.affiliate=window.affiliate||"
    "function(){(affiliate.q=affiliate.q||[]).push(arguments)};"
)
WATCH = (
    "window.violations=[];document.addEventListener('securitypolicyviolation',"
    "event=>violations.push(event.violatedDirective+' '+event.blockedURI));"
)
# Makes the elements of a name components, with something inside (shadow DOM).
INSIDE = (
    "customElements.get('{name}') || customElements.define('{name}', class extends "
    "HTMLElement {{ connectedCallback() {{ const inside = "
    "this.attachShadow({{mode: 'open'}}).appendChild(document.createElement('div'));"
    "inside.textContent = '{text}'; }} }})"
)


class Site:
    """Serves pages on any host name that leads here."""

    def __init__(self, odoo):
        self.odoo = odoo
        self.pages = {}  # path: (html, policy)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(handler):  # noqa: N805
                self._answer(handler)

            def log_message(handler, *_args):  # noqa: N805
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def port(self):
        return self.server.server_port

    def url(self, path="/", host="localhost"):
        return f"http://{host}:{self.port}{path}"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def policy(self, *more):
        """A content security policy that allows our server and nothing else."""
        return "; ".join(
            [
                "default-src 'none'",
                f"script-src 'nonce-own' {self.odoo}",
                f"connect-src {self.odoo}",
                f"frame-src {self.odoo}",
                "base-uri 'none'",
                *more,
            ]
        )

    def _answer(self, handler):
        found = self.pages.get(urlsplit(handler.path).path)
        html, policy = found or ("<!DOCTYPE html><title>No page</title>", "")
        body = html.encode()
        handler.send_response(200 if found else 404)
        handler.send_header("Content-Type", "text/html; charset=utf-8")
        handler.send_header("Content-Length", str(len(body)))
        handler.send_header("Content-Security-Policy", policy)
        handler.end_headers()
        handler.wfile.write(body)


@tagged("browser")
class ForeignSiteCase(AffiliateData, HttpCase):
    """A programme whose customers come over a site that is not Odoo's."""

    preferences = None  # of the browser

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.site = Site(cls.base_url())
        cls.addClassCleanup(cls.site.stop)
        cls.program.write(
            {
                "signup_url": cls.site.url(host="localhost"),
                "link_parameters": "via, ref",
                "discount_type": "percent",
                "discount_value": 20,
            }
        )
        cls.drona = cls.make_affiliate("drona")
        cls.bob = cls.make_affiliate("bob")
        cls.accept(cls.drona)
        cls.code, cls.other = (a.code_ids.code for a in (cls.drona, cls.bob))
        # Issued before the browsing, while the database is the test's.
        clicks = cls.env["affiliate.click"]
        cls.issued = iter([clicks._new_visitor() for _number in range(100)])
        cls.env.flush_all()
        cls.visitor = Visitor(cls, cls.preferences)
        cls.addClassCleanup(cls.visitor.stop)

    def setUp(self):
        super().setUp()
        self.site.pages.clear()
        self.browsing = ExitStack()
        self.addCleanup(self.leave)

    def leave(self):
        """End the browsing: the database is the test's again."""
        with self.browsing:
            self.visitor.forget()
            # Not for connections that the browser has opened and not used.
            for thread in threading.enumerate():
                if thread.name.startswith("odoo.service.http.request") and hasattr(
                    thread, "url"
                ):
                    thread.join(PATIENCE)
        self.env.invalidate_all()

    @classmethod
    def make_fetch_proxy_response(cls, _case, page):
        return HttpCase.make_fetch_proxy_response(cls, page)

    def new_visitor(self):
        return next(self.issued)

    # --- pages of the site ---

    @property
    def key(self):
        return self.program.public_key

    def page(
        self,
        path="/",
        body="",
        script="",
        early="",
        policy=None,
        tag=True,
        lang="en",
    ):
        """Put a page on the site, with the script line as the README says it."""
        line = (
            f'<script async src="{self.base_url()}/affiliate/sdk/{self.key}.js" '
            f"{script}></script>"
        )
        html = (
            f"<!DOCTYPE html><html lang='{lang}'><head><title>{path}</title>"
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<script nonce='own'>{WATCH}{STUB}{early}</script>"
            f"{line if tag else ''}</head><body>{body}</body></html>"
        )
        strict = ("require-trusted-types-for 'script'",) if not script else ()
        self.site.pages[path] = (html, policy or self.site.policy(*strict))

    def visit(self, address="/", host="localhost", ready=True):
        """Open a page of the site, or another one, and wait for the script."""
        if not self.http_request_key:
            self.env.flush_all()
            self.browsing.enter_context(self.allow_requests(all_requests=True))
        foreign = address.startswith("http")
        self.visitor.go(address if foreign else self.site.url(address, host))
        if ready:
            self.visitor.until("window.affiliate && affiliate.key")
            # Our server has said who the visitor is, or does not say it soon.
            self.js("new Promise(done => affiliate('ready', () => done()))")

    def js(self, expression):
        return self.visitor.js(expression)

    def attribute(self, selector, name="href"):
        return self.js(f"document.querySelector({selector!r}).getAttribute({name!r})")

    def cookie(self):
        """The reference in the site's cookie, None without."""
        return self.js(
            "(/affiliate_ref=([^;]*)/.exec(document.cookie) || [])[1] || null"
        )

    def clicks(self, count=None):
        """What the script has told of visits; wait for ``count`` of them."""
        end = time.monotonic() + PATIENCE
        while count and len(self.visitor.sent("click")) < count:
            self.assertLess(time.monotonic(), end, self.visitor.requests)
            time.sleep(0.02)
        return self.visitor.sent("click")
