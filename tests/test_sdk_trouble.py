"""Whatever fails of the script, the page and its checkout go on as before."""

import time

from odoo.tests import tagged

from .foreign_site import ForeignSiteCase

BUY = "https://buy.stripe.com/test_1"


@tagged("post_install", "-at_install")
class TestSdkTrouble(ForeignSiteCase):
    BODY = (
        f'<a id="buy" href="{BUY}">Buy</a>'
        '<a id="join" href="/join" data-affiliate-popup>Join</a>'
    )

    def test_the_script_is_blocked(self):
        self.visitor.refused = ("/affiliate/",)
        self.page("/", self.BODY, early="affiliate('ready', () => {});")
        self.page("/join")
        self.visit(f"/?via={self.code}", ready=False)
        self.js("affiliate('lead', {email: 'a@b.example'})")
        self.assertIsNone(self.js("affiliate.referral || null"))
        self.assertEqual(self.attribute("#buy"), BUY)
        self.visitor.click("#join")
        self.visitor.until("location.pathname === '/join'")

    def test_the_server_is_down(self):
        self.visitor.refused = ("/affiliate/v1", "/popup.js")
        self.page("/", self.BODY)
        self.page("/join")
        self.visit(f"/?via={self.code}")
        known = self.cookie()
        self.assertEqual(self.attribute("#buy"), f"{BUY}?client_reference_id={known}")
        for call, answer in (
            ("'lead', {email: 'a@b.example'}", False),
            ("'offer'", {}),
        ):
            self.assertEqual(
                self.js(f"new Promise(done => affiliate({call}, done))"), answer
            )
        self.visitor.click("#join")
        self.visitor.until("location.pathname === '/join'")
        self.visit("/")
        self.js("affiliate('popup', {to: '/join'})")
        self.visitor.until("location.pathname === '/join'")

    def test_storage_is_blocked(self):
        """In a page without an origin of its own, reading a cookie raises."""
        policy = self.site.policy("sandbox allow-scripts allow-top-navigation")
        self.page("/", self.BODY, policy=policy)
        self.visit(f"/?via={self.code}")
        known = self.js("affiliate.referral")
        self.assertTrue(known.startswith(self.code))
        self.assertEqual(self.attribute("#buy"), f"{BUY}?client_reference_id={known}")
        self.js("affiliate('consent', false)")
        self.js("affiliate('consent', true)")
        self.assertEqual(self.js("affiliate.referral"), known)

    def test_the_policy_forbids_to_ask_our_server(self):
        policy = f"default-src 'none'; script-src 'nonce-own' {self.base_url()}"
        self.page("/", self.BODY, policy=policy)
        self.visit(f"/?via={self.code}")
        self.assertIn(self.cookie(), self.attribute("#buy"))
        self.assertIs(
            self.js("new Promise(done => affiliate('lead', {email: 'a@b.c'}, done))"),
            False,
        )

    def test_the_page_breaks_what_we_need(self):
        self.page(
            "/",
            self.BODY,
            early="affiliate('ready', who => window.who = who);"
            "window.fetch = () => { throw Error('mine'); };"
            "window.MutationObserver = null; history.pushState = null;",
        )
        self.visit(f"/?via={self.code}")
        self.assertEqual(self.js("who"), self.cookie())
        self.assertIn(self.cookie(), self.attribute("#buy"))

    def test_the_page_has_something_of_our_name(self):
        """Browsers make forms, frames and what has an id properties of the window."""
        odoo = self.base_url()
        late = (
            'onload="document.body.append(Object.assign('
            "document.createElement('script'), "
            f"{{src: '{odoo}/affiliate/sdk/{self.key}.js'}}))\""
        )
        now = f"<script src='{odoo}/affiliate/sdk/{self.key}.js'></script>"
        for mine in (
            f"<section id='affiliate'></section>{now}",
            f"<form name='affiliate'><input name='q'></form>{now}",
            f"<form id='affiliate'><input name='key'></form>{now}",
            f"<iframe name='affiliate' src='{odoo}/web/health' {late}></iframe>",
        ):
            self.site.pages["/"] = (f"<!DOCTYPE html>{self.BODY}{mine}", "")
            self.visit(f"/?via={self.code}", ready=False)
            self.visitor.until("buy.search.includes('client_reference_id')")
            self.visitor.forget()

    def test_no_popup_can_be_shown(self):
        """Without an address there is nowhere to go; the page is told, if it asks."""
        self.visitor.refused = ("/popup.js",)
        self.page("/", script="data-popup='1' data-popup-to='/join'")
        self.visit(f"/?via={self.code}")
        self.js("affiliate('popup')")
        self.js("affiliate('popup', {done: person => window.person = person})")
        self.visitor.until("window.person")
        self.assertEqual(self.js("person"), {"reference": self.cookie()})
        time.sleep(1.2)
        self.assertEqual(self.js("location.pathname"), "/", "not by itself")
        self.js("affiliate('popup', {to: '/join', done: () => sessionStorage.x = 1})")
        # popup.js is not asked for a second time: after its patience it goes on.
        self.visitor.until("location.pathname === '/join'")
        self.assertEqual(self.js("sessionStorage.x"), "1")

    # === A SERVER THAT HANGS === #

    # It takes the call and never answers, which is worse than being down.

    def assert_checkout(self, reference=""):
        """The page's own ways are open."""
        more = f"?client_reference_id={reference}" if reference else ""
        self.visitor.click("#buy")
        self.visitor.until("location.hostname === 'buy.stripe.com'")
        self.assertEqual(self.js("location.href"), f"{BUY}{more}")

    def test_the_script_never_comes(self):
        self.visitor.silent = ("/affiliate/",)
        self.page("/", self.BODY)
        self.page("/join")
        for done in (self.assert_checkout, self.join):
            self.visitor.command("Page.navigate", url=self.site.url("/"))
            self.visitor.until("document.querySelector('#join')", patience=1)
            self.visitor.until("document.readyState === 'interactive'", patience=1)
            done()

    def join(self):
        self.visitor.click("#join")
        self.visitor.until("location.pathname === '/join'", patience=1)

    def test_the_server_never_answers(self):
        self.visitor.silent = ("/affiliate/v1",)
        self.page("/", self.BODY)
        self.visit(f"/?via={self.code}")
        known = self.cookie()
        self.assertIn(known, self.attribute("#buy"), "at once")
        start = time.monotonic()
        for call, answer in (
            ("'lead', {email: 'a@b.example'}", False),
            ("'offer'", {}),
        ):
            self.assertEqual(
                self.js(f"new Promise(done => affiliate({call}, done))"), answer
            )
        self.assertLess(time.monotonic() - start, 10)
        self.assert_checkout(known)

    def test_the_popup_never_comes(self):
        self.page("/", self.BODY)
        self.page("/join")
        for silent in ("/popup.js", "/affiliate/form/"):
            self.visitor.silent = (silent,)
            self.visit(f"/?via={self.code}", ready=False)
            self.visitor.until("window.affiliate && affiliate.key")
            start = time.monotonic()
            self.js("affiliate('popup', {to: '/join'})")
            self.visitor.until("location.pathname === '/join'", patience=6)
            self.assertGreater(time.monotonic() - start, 3, "it had its chance")
            self.visitor.forget()
