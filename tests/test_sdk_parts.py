"""The explanations and the calls of other products, in a real browser."""

import time

from odoo.tests import tagged

from .browser import PATIENCE
from .foreign_site import ForeignSiteCase

BUY = "https://buy.stripe.com/test_1"


@tagged("post_install", "-at_install")
class TestSdkParts(ForeignSiteCase):
    """What the script loads on demand."""

    # === DEBUG === #

    def said(self, *words):
        self.visitor.until("affiliate.core.debug")
        end = time.monotonic() + PATIENCE
        text = ""
        while time.monotonic() < end:
            text = "\n".join(self.visitor.console)
            if all(word in text for word in words):
                return
            time.sleep(0.05)
        self.fail(f"{words} are not all in {text}")

    def test_explains(self):
        self.page("/", f'<a href="{BUY}">Buy</a>', script="data-debug")
        self.visit(f"/?via={self.code}")
        self.said(
            f"Programme {self.key}",
            f"The address has the code {self.code}.",
            "Stored for 60 days",
            f"Visit of {self.code}: recorded.",
            f"{BUY}?client_reference_id",
        )
        self.js("affiliate('lead', {email: 'nonsense'}); affiliate('consent', false)")
        self.said("E-mail address of a lead: refused: this is no", "does not agree")

    def test_explains_by_the_address(self):
        self.page("/")
        self.visit("/?affiliate_debug=1")
        self.said("Nobody has sent this visitor. To try: add ?via=CODE")

    def test_explains_what_is_wrong(self):
        self.program.signup_url = "https://acme.example/"
        self.page(
            "/",
            script="data-debug",
            policy=f"script-src 'nonce-own' {self.base_url()}; connect-src 'none'",
        )
        self.visit(f"/?via={self.code}")
        self.said("localhost is none of the programme's domains", "connect-src")

    # === COMPAT === #

    # Only the script line changes: stubs and calls are those of the other product.

    def switch(self, name, address, early="", body="", more=""):
        self.page("/", body, script=f'data-compat="{name}" {more}', early=early)
        self.visit(address)
        self.visitor.until("affiliate.core.compat")
        self.clicks(1)
        return self.js("affiliate.referral")

    def leads(self):
        return [lead["email"] for lead in self.visitor.sent("lead")]

    def test_rewardful(self):
        reference = self.switch(
            "rewardful",
            f"/?rfsn={self.code}",
            "(function(w,r){w._rwq=r;w[r]=w[r]||function(){(w[r].q=w[r].q||[])"
            ".push(arguments)}})(window,'rewardful');"
            "rewardful('ready', () => window.who = Rewardful.referral);"
            "rewardful('convert', {email: 'early@b.example'});",
            '<form data-rewardful><input name="email"></form>',
            'data-rewardful="KEY" data-rewardful-params="rfsn, ref"',
        )
        self.assertTrue(reference.startswith(self.code))
        self.assertEqual(self.js("who"), reference)
        self.assertEqual(self.js("Rewardful.affiliate.token"), self.code)
        self.assertEqual(
            self.js("Object.fromEntries(new FormData(document.forms[0]))"),
            {"email": "", "referral": reference},
        )
        self.assertTrue(
            self.js(
                "new Promise(done => rewardful('convert', {email: 'a@b.example'}, "
                "done))"
            )
        )
        self.assertEqual(self.leads(), ["early@b.example", "a@b.example"])
        self.js("rewardful('nonsense')")
        self.js(f"rewardful('source', '{self.other.lower()}')")
        self.assertTrue(self.clicks(2)[1]["reference"].startswith(self.other))

    def test_what_is_no_reference_is_no_source(self):
        reference = self.switch("rewardful", f"/?via={self.code}")
        for token in ("'a b'", "'<img src=x>'", "'CODE&x=1'", "{}", "'x'", "null"):
            self.js(f"rewardful('source', {token})")
        self.assertEqual(self.js("affiliate.referral"), reference)
        self.assertEqual(len(self.clicks()), 1)
        self.program.attribution_model = "last"
        self.leave()
        self.switch("rewardful", f"/?via={self.code}")
        own = self.cookie().partition("_")[2]
        self.js(f"rewardful('source', '{self.other.lower()}_{'x' * 22}')")
        self.assertEqual(self.js("affiliate.referral"), f"{self.other}_{own}")
        self.assertEqual(self.clicks(2)[1]["was"], "x" * 22)

    def rival(self, name="promotekit_referral"):
        cookies = self.visitor.command("Network.getCookies")["cookies"]
        [cookie] = [cookie for cookie in cookies if cookie["name"] == name]
        return cookie

    def test_their_cookie_follows_ours(self):
        self.program.attribution_model = "last"
        reference = self.switch("promotekit", f"/?via={self.code}")
        self.assertEqual(self.rival()["value"], reference)
        self.js(f"history.pushState({{}}, '', '/?via={self.other}')")
        self.assertEqual(self.rival()["value"], self.cookie())
        self.assertTrue(self.rival()["value"].startswith(self.other))

    def test_their_cookie_ends_with_ours(self):
        """A page that is loaded later does not make it live longer."""
        reference = self.switch("promotekit", f"/?via={self.code}")
        until = int(time.time() + 5 * 86400)
        self.js(f"localStorage.affiliate_ref = '{reference} {until}000'")
        for _load in range(2):
            self.visit("/")
            self.visitor.until("affiliate.core.compat")
            self.assertAlmostEqual(self.rival()["expires"], until, delta=60)
        # Known by the cookie only, as on another host of the domain.
        self.js("localStorage.clear()")
        self.visit("/")
        self.visitor.until("affiliate.core.compat")
        self.assertAlmostEqual(self.rival()["expires"], until, delta=60)
        self.js("affiliate('consent', false)")
        self.assertEqual(self.js("document.cookie"), "")

    def test_firstpromoter(self):
        reference = self.switch(
            "firstpromoter",
            f"/?fpr={self.code.lower()}",
            "(function(w){w.fpr=w.fpr||function(){w.fpr.q = w.fpr.q||[];w.fpr.q["
            "arguments[0]=='set'?'unshift':'push'](arguments);};})(window);"
            'fpr("init", {cid:"xxxxxxxx"}); fpr("click");'
            "fpr('referral', {email: 'early@b.example'}, () => window.sent = 1);"
            "fpr('onReady', data => window.tid = data.tid);",
        )
        self.assertTrue(reference.startswith(self.code))
        self.assertEqual(self.js("[tid, FPROM.data.tid]"), [reference, reference])
        self.assertEqual(self.js("FPROM.data.ref_id"), self.code)
        self.visitor.until("window.sent")
        self.assertIn(f"_fprom_tid={reference}", self.js("document.cookie"))
        self.assertIn(f"_fprom_ref={self.code}", self.js("document.cookie"))
        details = self.js("new Promise(done => fpr('details', done))")
        self.assertEqual(details["promoter"]["first_name"], "Drona")
        self.assertEqual(details["offer"], "20 % off the first payment")
        self.js("fpr('crossDomain', ['x.example']); fpr('urlTracking'); fpr('x')")
        self.js(f"fpr('click', {{ref_id: '{self.other}'}})")
        self.assertTrue(self.clicks(2)[1]["reference"].startswith(self.other))
        self.js("fpr('referral', {uid: 7}); affiliate('consent', false)")
        self.assertEqual(self.js("document.cookie"), "")
        self.assertEqual(self.leads(), ["early@b.example"])

    def test_promotekit(self):
        reference = self.switch("promotekit", f"/?via={self.code}")
        self.assertEqual(self.js("promotekit_referral"), reference)
        self.assertIn(f"promotekit_referral={reference}", self.js("document.cookie"))
        self.js("promotekit.refer('a@b.example', 'cus_1')")
        self.assertEqual(self.leads(), ["a@b.example"])

    def test_tolt(self):
        reference = self.switch(
            "tolt",
            f"/?ref={self.code}",
            "addEventListener('toltScriptLoaded', () => window.there = tolt_referral);",
        )
        self.visitor.until("window.there")
        self.assertEqual(self.js("[there, tolt_referral]"), [reference, reference])
        self.assertEqual(self.js("tolt.getTracking().partner_id"), self.code)
        result = self.js("tolt.signup('a@b.example')")
        self.assertEqual(result["click_id"], reference)
        self.assertEqual(self.js("tolt_data.customer_id"), "a@b.example")
        self.assertEqual(
            self.js("tolt.signup('user-7').catch(error => error.message)"),
            "The address was not taken.",
        )
        self.assertIn(f"tolt_referral={reference}", self.js("document.cookie"))

    def test_rivals_of_nobody(self):
        self.page("/", script='data-compat="rewardful firstpromoter, promotekit tolt"')
        self.visit("/")
        self.visitor.until("affiliate.core.compat")
        self.assertEqual(
            self.js(
                "[Rewardful.referral, Rewardful.affiliate, FPROM.data.tid, "
                "typeof promotekit_referral, tolt_referral, tolt_data, document.cookie]"
            ),
            ["", None, None, "undefined", None, None, ""],
        )
        self.js("tolt.signup('a@b.example').catch(() => 0)")
        self.assertFalse(self.leads())
