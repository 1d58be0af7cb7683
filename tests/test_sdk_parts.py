"""The popup, the explanations and the calls of other products, in a real browser."""

import json
import time

from odoo.tests import tagged

from ..lib import visits
from .foreign_site import ForeignSiteCase

BUY = "https://buy.stripe.com/test_1"
# What a page of ours in a frame may say to the page around it, said on demand.
FORM = """<!DOCTYPE html><title>Form</title><input autofocus><script>
const say = data => parent.postMessage(data, "*");
addEventListener("message", event => say(event.data));
say({affiliate: "height", height: 321});
</script>"""


@tagged("post_install", "-at_install")
class TestSdkParts(ForeignSiteCase):
    """What the script loads on demand."""

    # === POPUP === #

    LINK = (
        '<a id="join" href="/join?plan=pro#top" data-affiliate-popup {}>Join now</a>'
        '<button id="own" data-affiliate-popup>Own</button>'
    )

    def open(self, body, form=FORM, selector="#join"):
        self.page("/", body)
        self.page("/join")
        if form:
            self.visitor.answers = {"/affiliate/form/": form}
        self.visit(f"/?via={self.code}")
        self.visitor.until("affiliate.core.open")
        self.visitor.click(selector)
        self.visitor.until("document.querySelector('dialog')")

    def say(self, data):
        """Let the form in the frame say something."""
        self.js(
            "document.querySelector('iframe').contentWindow.postMessage("
            f"{json.dumps(data)}, '*')"
        )

    def wait_for_form(self):
        self.visitor.until("document.querySelector('iframe').style.height === '321px'")

    def is_open(self):
        return self.js("!!document.querySelector('dialog')")

    def test_to_the_own_address(self):
        self.open(
            self.LINK.format(
                'data-affiliate-email="email" data-affiliate-reference="partner"'
            )
        )
        self.wait_for_form()
        reference = self.cookie()
        address = self.js("document.querySelector('iframe').src")
        self.assertEqual(
            address,
            visits.with_parameters(
                f"{self.base_url()}/affiliate/form/{self.key}",
                {
                    "embed": "1",
                    "reference": reference,
                    "to": self.site.url("/join?plan=pro#top"),
                    "origin": self.site.url(""),
                    "lang": "en",
                },
            ),
        )
        self.assertEqual(self.js("document.querySelector('iframe').title"), "Join now")
        self.say({"affiliate": "done", "email": "a+b@c.example"})
        self.visitor.until("location.pathname === '/join'")
        self.assertEqual(
            self.js("location.search + location.hash"),
            f"?plan=pro&email=a%2Bb%40c.example&partner={reference}#top",
        )

    def test_without_parameters(self):
        self.open(self.LINK.format(""))
        self.wait_for_form()
        self.assertEqual(self.js("violations"), [])
        self.say({"affiliate": "done", "email": "a@c.example", "to": "//evil.example"})
        self.visitor.until("location.pathname === '/join'")
        self.assertEqual(self.js("location.search"), "?plan=pro")

    def test_with_what_the_programme_adds(self):
        self.open(self.LINK.format('data-affiliate-reference="partner"'))
        self.wait_for_form()
        reference = self.cookie()
        to = self.site.url("/join?plan=pro&mail=a%40c.example")
        self.say({"affiliate": "done", "email": "a@c.example", "to": to})
        self.visitor.until("location.pathname === '/join'")
        self.assertEqual(
            self.js("location.search"),
            f"?plan=pro&mail=a%40c.example&partner={reference}",
        )

    def test_closing_gives_the_focus_back(self):
        self.open(self.LINK.format(""))
        self.wait_for_form()
        focused = "document.activeElement.id"
        self.assertEqual(self.js("document.activeElement.tagName"), "IFRAME")
        self.say({"affiliate": "close"})
        self.visitor.until("!document.querySelector('dialog')")
        self.assertEqual(self.js(focused), "join")
        for how in ("escape", "cross", "beside"):
            self.visitor.click("#join")
            self.visitor.until("document.querySelector('dialog')")
            if how != "escape":
                self.visitor.click_at(3, 3)
                self.assertTrue(self.is_open(), "a double click opens it")
                time.sleep(0.6)
            if how == "escape":
                self.js("document.querySelector('dialog button').focus()")
                self.visitor.escape()
            elif how == "cross":
                self.visitor.click("dialog button")
            else:
                self.visitor.click_at(3, 3)
            self.visitor.until("!document.querySelector('dialog')")
            self.assertEqual(self.js(focused), "join", how)
        self.assertEqual(self.js("location.pathname"), "/")

    def test_only_the_form_is_heard(self):
        self.open(self.LINK.format(""))
        self.wait_for_form()
        self.js("postMessage({affiliate: 'done', email: 'x@y.z'}, '*')")
        self.js("postMessage(null, '*')")
        self.say({"affiliate": "nonsense"})
        self.say(None)
        self.say({"affiliate": "height", "height": 200})
        self.visitor.until("document.querySelector('iframe').style.height === '200px'")
        self.assertTrue(self.is_open())

    def test_a_button_does_then_what_it_always_did(self):
        self.open(self.LINK.format(""), selector="#own")
        self.js("own.addEventListener('click', () => window.clicked = true)")
        self.assertIsNone(self.js("window.clicked || null"))
        self.wait_for_form()
        self.say({"affiliate": "done", "email": "a@c.example"})
        self.visitor.until("window.clicked")
        self.assertFalse(self.is_open())

    def test_the_form_cannot_be_loaded(self):
        self.visitor.refused = ("/affiliate/form/",)
        self.open(self.LINK.format('data-affiliate-reference="partner"'), form=None)
        reference = self.cookie()
        self.visitor.until("location.pathname === '/join'", patience=6)
        self.assertEqual(self.js("location.search"), f"?plan=pro&partner={reference}")

    def test_called_on_a_phone(self):
        self.page("/")
        self.visitor.answers = {"/affiliate/form/": FORM}
        self.visit(f"/?via={self.code}")
        self.visitor.command(
            "Emulation.setDeviceMetricsOverride",
            width=360,
            height=500,
            deviceScaleFactor=2,
            mobile=True,
        )
        self.addCleanup(
            self.visitor.command,
            "Emulation.setDeviceMetricsOverride",
            width=1366,
            height=768,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.js("affiliate('popup', {done: person => window.person = person})")
        self.visitor.until("document.querySelector('dialog')")
        self.wait_for_form()
        self.say({"affiliate": "height", "height": 2000})
        self.visitor.until("document.querySelector('iframe').style.height === '2000px'")
        left, right, bottom = self.js(
            "(box => [box.left, innerWidth - box.right, innerHeight - box.bottom])"
            "(document.querySelector('dialog').getBoundingClientRect())"
        )
        self.assertGreaterEqual(min(left, right, bottom), 0)
        self.say({"affiliate": "done", "email": "a@c.example", "reference": "BOB"})
        self.visitor.until("window.person")
        self.assertEqual(
            self.js("person"), {"email": "a@c.example", "reference": "BOB"}
        )

    # === DEBUG === #

    def said(self, *words):
        self.visitor.until("affiliate.core.debug")
        end = time.monotonic() + 5
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
            f"Visit of {self.cookie()}: done.",
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
