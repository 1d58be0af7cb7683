"""The real e-mail form in a real browser: on a foreign site, and as a page."""

import time
from unittest.mock import patch

from odoo.http import request
from odoo.tests import tagged
from odoo.tools.translate import code_translations

from ..controllers import capture
from .browser import DESKTOP, PATIENCE, PHONE
from .foreign_site import ForeignSiteCase

JOIN = (
    '<a id="join" href="/join?plan=pro#top" data-affiliate-popup '
    'data-affiliate-email="email" data-affiliate-reference="partner">Join now</a>'
)
FOCUS = "document.activeElement.id"
WRONG = "document.querySelector('.is-invalid')"
LIGHT = 60_000  # bytes as transferred
# In the place of Cloudflare's script: it asks the visitor for a while.
CLOUDFLARE = """addEventListener("load", () => setTimeout(() => {
    const place = document.querySelector(".cf-turnstile");
    const {sitekey, action, responseFieldName: name, callback} = place.dataset;
    const field = Object.assign(document.createElement("input"), {
        type: "hidden", name, value: `${sitekey} ${action}`,
    });
    place.append(field);
    window[callback](field.value);
}, 500));"""
# One that has to ask the visitor, who takes longer than a form waits for an answer.
ASKING = """addEventListener("load", () => {
    const place = document.querySelector(".cf-turnstile");
    const {beforeInteractiveCallback: asks, callback} = place.dataset;
    window[asks]?.();
    setTimeout(() => {
        place.append(Object.assign(document.createElement("input"), {
            type: "hidden", name: "turnstile_captcha", value: "solved",
        }));
        window[callback]("solved");
    }, 10000);
});"""
SENDING = "document.querySelector('[type=submit][aria-busy]')"
# In the place of Google's script.
GOOGLE = """window.grecaptcha = {
    ready: done => done(),
    execute: async (key, {action}) => `${key} ${action}`,
};"""
# What the Tab key meets in the popup, from the field on, and backwards from there.
ROUND = {
    False: ["submit", "Close", "email", "submit", "Close", "email"],
    True: ["Close", "email", "Close", "email", "Close", "email"],
}
# Notes what is put into an alert after the page is there: this is read out.
LISTEN = """window.announced = [];
new MutationObserver(changes => changes.forEach(change => {
    window.empty ||= change.removedNodes.length;
    if (window.empty && change.target.matches?.("[role=alert]")) {
        change.addedNodes.forEach(node => announced.push(node.textContent.trim()));
    }
})).observe(document, {subtree: true, childList: true});"""


class FormInBrowser(ForeignSiteCase):
    def open(self, body=JOIN, selector="#join", **options):
        """Ask for the popup on a page of the site, with the mouse."""
        self.page("/", body, **options)
        self.page("/join")
        self.visit(f"/?via={self.code}")
        self.visitor.until("affiliate.core.open")
        self.visitor.click(selector)
        self.wait_for_form()

    def wait_for_form(self):
        self.in_form_until("document.readyState === 'complete'")
        self.in_form_until("document.querySelector('.o_affiliate_frame')")

    def wait_for_end(self):
        """The popup is closed; its frame is a process that ends a little later."""
        self.visitor.until("!document.querySelector('dialog')")
        end = time.monotonic() + PATIENCE
        while self.visitor.frames and time.monotonic() < end:
            time.sleep(0.02)

    def in_form(self, expression):
        return self.visitor.js(expression, frame=True)

    def in_form_until(self, expression):
        self.visitor.until(expression, frame=True)

    def send(self, email):
        """Type into whatever has the focus, and send it."""
        self.visitor.type(email)
        self.visitor.press("Enter")

    def send_wrong(self, email="jane@example"):
        self.in_form_until(f"{FOCUS} === 'affiliate_email'")
        self.send(email)
        self.in_form_until(f"{FOCUS} === 'affiliate_email' && {WRONG}")

    def assert_arrived(self, path="/join"):
        # Its script tidies the address, and is there before the page is complete.
        self.visitor.until(
            f"location.pathname === '{path}' && document.readyState === 'complete'"
        )

    def assert_lead(self, email="jane@example.com"):
        self.leave()
        lead = self.env["affiliate.referral"].search([("source", "=", "form")])
        self.assertEqual(lead.mapped("email_normalized"), [email])
        self.assertEqual(lead.affiliate_id, self.drona)

    def assert_light(self, own):
        """What was loaded from Odoo is little, and nothing of a website's."""
        loaded = [
            (address.removeprefix(self.base_url()), weight)
            for address, weight in self.visitor.loaded
            if address.startswith(self.base_url())
        ]
        total = sum(weight for _address, weight in loaded)
        for part in own:
            weights = [weight for address, weight in loaded if part in address]
            self.assertTrue(weights and all(weights), f"{part} in {loaded}")
        foreign = [address for address, _weight in loaded if "/web/assets" in address]
        self.assertFalse(foreign, "of the website's bundles")
        self.assertLess(total, LIGHT, loaded)

    def media(self, **features):
        """Have the visitor's device ask for something."""
        wished = [{"name": name, "value": value} for name, value in features.items()]
        for command in (self.visitor.command, self.visitor.in_frame):
            if command == self.visitor.command or self.visitor.frames:
                command("Emulation.setEmulatedMedia", features=wished)

    def style(self, selector, name, frame=True):
        return self.visitor.js(
            f"getComputedStyle(document.querySelector({selector!r})).{name}", frame
        )

    def german(self):
        """A website with a German version, and a German's browser."""
        self.env["res.lang"]._activate_lang("de_DE")
        lang = self.env["res.lang"]._get_data(code="de_DE")
        website = self.env["website"].get_current_website()
        website.language_ids = [(4, lang.id)]
        self.program.form_title = "Try it"
        self.program.with_context(lang="de_DE").form_title = "Jetzt testen"
        change = {
            "method": "Emulation.setUserAgentOverride",
            "userAgent": self.js("navigator.userAgent"),
        }
        self.visitor.command(**change, acceptLanguage="de-DE,de")
        self.addCleanup(self.visitor.command, **change, acceptLanguage="en-US,en")


@tagged("post_install", "-at_install")
class TestPopup(FormInBrowser):
    """From a button of a foreign site to where it leads."""

    def test_the_whole_way(self):
        self.open()
        reference = self.cookie()
        self.send_wrong()
        self.send(".com")
        self.assert_arrived()
        self.assertEqual(
            self.js("location.search + location.hash"),
            f"?plan=pro&via={self.code}&email=jane%40example.com"
            f"&partner={reference}#top",
        )
        self.assert_lead()

    def test_what_is_wrong_is_read_out(self):
        self.visitor.frame_script = LISTEN
        self.addCleanup(setattr, self.visitor, "frame_script", "")
        self.open()
        self.send_wrong()
        self.in_form_until("announced.length")
        said = "This is not a complete e-mail address. Example: jane@example.com"
        self.assertEqual(self.in_form("announced"), [said])
        self.assertEqual(
            self.in_form("document.querySelector('.o_affiliate_error').innerText"), said
        )

    def test_leaving_it_by_the_keyboard(self):
        self.open()
        for key in ("Escape", "cross"):
            self.in_form_until(f"{FOCUS} === 'affiliate_email'")
            if key == "Escape":
                self.visitor.press("Escape")
            else:
                self.visitor.press("Tab", shift=True)
                self.assertEqual(self.js("document.activeElement.ariaLabel"), "Close")
                time.sleep(0.6)  # it is no double click
                self.visitor.press("Enter")
            self.wait_for_end()
            self.assertEqual(self.js(FOCUS), "join", key)
            self.visitor.press("Enter")
            self.wait_for_form()
        self.assertEqual(self.js("location.pathname"), "/")

    def test_tab_stays_inside(self):
        self.open(f"<button>Before</button>{JOIN}<button>After</button>")
        self.in_form_until(f"{FOCUS} === 'affiliate_email'")
        for shift in (False, True):
            for expected in ROUND[shift]:
                self.visitor.press("Tab", shift=shift)
                self.assertEqual(self.focused(expected), expected)

    def focused(self, expected):
        """Return what has the focus: page and frame are processes of their own, which
        agree about it a little after the key."""
        end = time.monotonic() + PATIENCE
        while True:
            where = self.js("document.activeElement.ariaLabel")
            where = where or self.in_form("document.activeElement.type")
            if where == expected or time.monotonic() > end:
                return where
            time.sleep(0.02)

    def test_what_a_screen_reader_is_told(self):
        self.open()
        [dialog] = [n for n in self.visitor.tree() if n["role"] == "dialog"]
        self.assertEqual((dialog["name"], dialog["modal"]), ("Join now", True))
        names = [(n["role"], n["name"]) for n in self.visitor.tree()]
        self.assertIn(("Iframe", "Join now"), names)
        self.assertIn(("button", "Close"), names)
        self.assertNotIn(("link", "Join now"), names, "what is behind is not there")
        self.send_wrong()
        tree = self.visitor.tree(frame=True)
        [field] = [n for n in tree if n["role"] == "textbox"]
        self.assertEqual((field["name"], field["required"]), ("E-mail", True))
        self.assertEqual(field["invalid"], "true")
        self.in_form_until("document.querySelector('.o_affiliate_error').innerText")
        [field] = [n for n in self.visitor.tree(frame=True) if n["role"] == "textbox"]
        self.assertIn("not a complete e-mail address", field["description"])
        self.assertIn("who recommended us", field["description"])
        names = [(n["role"], n["name"]) for n in tree]
        self.assertIn(("heading", "Get started"), names)
        self.assertIn(("button", "Continue"), names)
        self.assertIn("alert", [n["role"] for n in tree])
        self.assertNotIn("leave this empty", str(tree))

    def test_on_a_phone(self):
        self.visitor.resize(PHONE)
        self.addCleanup(self.visitor.resize, DESKTOP)
        self.open()
        self.send_wrong()
        box = (
            "(box => [box.left, innerWidth - box.right, box.top, "
            "innerHeight - box.bottom])(document.{}.getBoundingClientRect())"
        )
        self.assertGreaterEqual(min(self.js(box.format("querySelector('dialog')"))), 0)
        for selector in ("#affiliate_email", "button[type=submit]"):
            rims = self.in_form(box.format(f"querySelector('{selector}')"))
            self.assertGreaterEqual(min(rims), 0, selector)
        root = (
            "document.documentElement.scroll{0} <= document.documentElement.client{0}"
        )
        self.assertTrue(self.in_form(root.format("Width")), "nothing to scroll")
        # What is said grows the frame, a moment later.
        self.in_form_until(root.format("Height"))
        size = "getComputedStyle(document.querySelector('#affiliate_email')).fontSize"
        self.assertGreaterEqual(float(self.in_form(size)[:-2]), 16, "or iPhones zoom")

    def test_nowhere_to_go(self):
        """Without an address, the thanks stay until they are closed."""
        self.page("/", JOIN)
        self.visit(f"/?via={self.code}")
        self.js("affiliate('popup')")
        self.wait_for_form()
        self.in_form_until(f"{FOCUS} === 'affiliate_email'")
        self.send("jane@example.com")
        self.in_form_until("document.querySelector('.o_affiliate_onward')")
        self.assertIn("Thank you", self.in_form("document.body.innerText"))
        self.assertTrue(self.js("document.querySelector('dialog').open"))
        self.in_form_until("document.activeElement.matches('.o_affiliate_onward')")
        self.visitor.press("Escape")
        self.visitor.until("!document.querySelector('dialog')")
        self.assert_lead()

    def test_it_weighs_little(self):
        """All that a visitor's browser has to fetch for the popup: script, frame and
        whatever is in it, and again where the address was wrong."""
        self.open()
        self.visitor.until("performance.now() > 1000")  # what comes late, too
        self.assert_light(own=("/affiliate/sdk/", "/affiliate/form/"))
        self.send_wrong()
        self.assert_light(own=("/affiliate/sdk/", "/affiliate/form/"))

    def test_back(self):
        self.open()
        steps = self.js("history.length")
        self.in_form_until(f"{FOCUS} === 'affiliate_email'")
        self.send("jane@example.com")
        self.assert_arrived()
        self.assertEqual(self.js("history.length"), steps + 1, "one step, not two")
        self.js("history.back()")
        # Before its part for popups is there, the link is a plain one.
        self.visitor.until("location.pathname === '/' && affiliate.core.open")
        self.assertIsNone(self.js("document.querySelector('dialog')"))
        self.visitor.click("#join")
        self.wait_for_form()
        self.in_form_until(f"{FOCUS} === 'affiliate_email'")

    # === LANGUAGES === #

    def titles(self):
        self.in_form_until("document.querySelector('h1')")
        return [
            self.in_form("document.documentElement.lang"),
            self.in_form("document.querySelector('h1').innerText"),
            self.js("document.querySelector('dialog button').ariaLabel"),
        ]

    def test_in_the_language_of_the_page_or_the_browser(self):
        """The visitor has chosen the page's, where it says one."""

        def translated(_module, lang):
            return {"Close": "Schließen"} if lang == "de_DE" else {}

        self.german()
        with patch.object(code_translations, "get_python_translations", translated):
            for lang, titles in (
                ("", ["de-DE", "Jetzt testen", "Schließen"]),
                ("de-AT", ["de-DE", "Jetzt testen", "Schließen"]),
                ("en", ["en-US", "Try it", "Close"]),
                ("fi", ["de-DE", "Jetzt testen", "Close"]),
            ):
                self.open(lang=lang)
                self.assertEqual(self.titles(), titles, lang)
                self.visitor.forget()

    # === CAPTCHA === #

    def test_captcha(self):
        """Google's script is loaded, and its word is sent along."""
        parameters = self.env["ir.config_parameter"].sudo()
        parameters.set_param("recaptcha_public_key", "site-key")
        parameters.set_param("recaptcha_private_key", "secret-key")
        address = "www.recaptcha.net/recaptcha/api.js?render=site-key"
        self.visitor.answers = {address: GOOGLE}
        asked = []

        def verify(_self, _address, token, action=False):
            asked.append((token, action))
            return "is_human"

        http = type(self.env["ir.http"])
        with patch.object(http, "_verify_recaptcha_token", verify):
            self.open()
            self.in_form_until(f"window.grecaptcha && {FOCUS} === 'affiliate_email'")
            self.send("jane@example.com")
            self.assert_arrived()
            self.leave()
        action = capture.CAPTCHA
        self.assertEqual(asked, [(f"site-key {action}", action)])
        self.assert_lead()

    def test_turnstile(self):
        """Cloudflare's, where its module is installed; what is sent too soon waits."""
        http = type(self.env["ir.http"])
        info = http.get_frontend_session_info
        verify = http._verify_request_recaptcha_token
        asked = []

        def with_key(self):
            return {**info(self), "turnstile_site_key": "cf-key"}

        def as_the_module(self, action):
            asked.append((request.params.pop("turnstile_captcha", None), action))
            return verify(self, action)

        address = "challenges.cloudflare.com/turnstile/v0/api.js"
        self.visitor.answers = {address: CLOUDFLARE}
        with (
            patch.object(http, "get_frontend_session_info", with_key),
            patch.object(http, "_verify_request_recaptcha_token", as_the_module),
        ):
            self.open()
            self.in_form_until(f"{FOCUS} === 'affiliate_email'")
            self.send("jane@example.com")
            self.assert_arrived()
            self.leave()
        action = capture.CAPTCHA
        self.assertEqual(asked, [(f"cf-key {action}", action)])
        self.assert_lead()

    def test_a_captcha_that_cannot_be_loaded(self):
        """Our server says so, and what was typed stays."""
        parameters = self.env["ir.config_parameter"].sudo()
        parameters.set_param("recaptcha_public_key", "site-key")
        parameters.set_param("recaptcha_private_key", "secret-key")
        self.visitor.refused = ("www.recaptcha.net",)
        http = type(self.env["ir.http"])
        with (
            patch.object(http, "_verify_recaptcha_token", lambda *_: "wrong_token"),
        ):
            self.open()
            self.in_form_until(f"{FOCUS} === 'affiliate_email'")
            self.send("jane@example.com")
            self.in_form_until("document.querySelector('.o_affiliate_problem')")
        value = self.in_form("document.querySelector('#affiliate_email').value")
        self.assertEqual(value, "jane@example.com")

    def test_a_captcha_that_never_answers(self):
        """It does not hold the form for good: our server says what is wrong."""
        parameters = self.env["ir.config_parameter"].sudo()
        parameters.set_param("recaptcha_public_key", "site-key")
        parameters.set_param("recaptcha_private_key", "secret-key")
        self.visitor.silent = ("www.recaptcha.net",)
        http = type(self.env["ir.http"])
        self.page("/", JOIN)
        with patch.object(http, "_verify_recaptcha_token", lambda *_: "wrong_token"):
            self.visit(f"/?via={self.code}")
            self.visitor.until("affiliate.core.open")
            self.visitor.click("#join")  # the frame is never complete
            self.in_form_until(f"{FOCUS} === 'affiliate_email'")
            self.send("jane@example.com")
            self.in_form_until(SENDING)
            self.in_form_until("document.querySelector('.o_affiliate_problem')")

    def test_a_captcha_that_asks_the_visitor_has_time(self):
        """Cloudflare's does so where it is not sure: he may need longer."""
        info = (http := type(self.env["ir.http"])).get_frontend_session_info
        asked = []

        def with_key(self):
            return {**info(self), "turnstile_site_key": "cf-key"}

        def as_the_module(_self, _action):
            asked.append(request.params.pop("turnstile_captcha", None))

        address = "challenges.cloudflare.com/turnstile/v0/api.js"
        for script, told in ((ASKING, "solved"), ("", None)):
            self.visitor.answers = {address: script}
            with (
                patch.object(http, "get_frontend_session_info", with_key),
                patch.object(http, "_verify_request_recaptcha_token", as_the_module),
            ):
                self.open()
                self.in_form_until(f"{FOCUS} === 'affiliate_email'")
                self.send("jane@example.com")
                self.assert_arrived()
                self.leave()
            self.assertEqual(asked.pop(), told)

    # === LOOK === #

    def test_in_the_colors_of_the_program(self):
        """Color and corners, in the popup and around it, in the dark, too."""
        self.program.write({"form_color": "#FC0", "form_radius": 3})
        self.addCleanup(self.media)
        for scheme, wished, ground in (
            ("auto", "light", "rgb(255, 255, 255)"),
            ("auto", "dark", "rgb(29, 32, 37)"),
            ("light", "dark", "rgb(255, 255, 255)"),
            ("dark", "light", "rgb(29, 32, 37)"),
        ):
            with self.subTest(scheme=scheme, wished=wished):
                self.program.form_scheme = scheme
                self.media(**{"prefers-color-scheme": wished})
                self.open()
                self.media(**{"prefers-color-scheme": wished})
                button = ".o_affiliate_button"
                self.assertEqual(
                    self.style(button, "backgroundColor"), "rgb(255, 204, 0)"
                )
                self.assertEqual(self.style(button, "color"), "rgb(0, 0, 0)")
                self.assertEqual(self.style(button, "borderRadius"), "3px")
                self.assertEqual(self.style("body", "backgroundColor"), ground)
                self.assertEqual(self.style("dialog", "borderRadius", False), "3px")
                around = self.style("dialog", "backgroundColor", False)
                self.assertEqual(around, ground)
                self.leave()

    def test_nothing_moves_for_whom_movement_is_too_much(self):
        self.open()
        moving = "transitionDuration"
        self.media(**{"prefers-reduced-motion": "no-preference"})
        self.addCleanup(self.media)
        self.assertNotEqual(self.style(".o_affiliate_button", moving), "0s")
        self.media(**{"prefers-reduced-motion": "reduce"})
        self.assertEqual(self.style(".o_affiliate_button", moving), "0s")

    def test_from_right_to_left(self):
        self.env["res.lang"]._activate_lang("ar_001")
        arabic = self.env["res.lang"]._get_data(code="ar_001")
        website = self.env["website"].get_current_website()
        website.language_ids = [(4, arabic.id)]
        self.open(lang="ar")
        self.in_form_until("document.documentElement.dir === 'rtl'")
        box = "document.querySelector('{}').getBoundingClientRect()"
        field = self.in_form(f"{box.format('label')}.right")
        self.assertEqual(field, self.in_form(f"{box.format('form')}.right"))
        # Whichever side the page around has its cross on.
        self.assertGreaterEqual(self.in_form(f"{box.format('h1')}.top"), 40)
        self.assertEqual(self.in_form("document.documentElement.scrollLeft"), 0)


@tagged("post_install", "-at_install")
class TestPage(FormInBrowser):
    """The form as a page of the website, also without any JavaScript."""

    def url(self):
        return f"{self.base_url()}/affiliate/form/{self.key}?via={self.code}&to=/join"

    def test_as_a_page(self):
        self.page("/join")
        self.visit(self.url(), ready=False)
        self.assertEqual(self.js("document.activeElement.tagName"), "BODY")
        self.visitor.click("#affiliate_email")
        self.send("jane@example")
        self.visitor.until("document.querySelector('.is-invalid')")
        self.visitor.until(f"{FOCUS} === 'affiliate_email'")
        self.send(".com")
        self.assert_arrived()
        self.assert_lead()

    def test_it_weighs_little_as_a_page(self):
        self.program.form_color = "#ffcc00"
        self.visit(self.url(), ready=False)
        self.visitor.until("document.readyState === 'complete'")
        self.assert_light(own=("/affiliate/form/",))
        self.assertEqual(
            self.style(".o_affiliate_button", "backgroundColor", False),
            "rgb(255, 204, 0)",
        )

    def test_as_a_part_of_a_page(self):
        """It takes no focus until something is wrong, and knows who sent him."""
        address = f"{self.base_url()}/affiliate/form/{self.key}?embed=1&to=/join"
        self.page("/", f'<iframe src="{address}" width="500" height="500"></iframe>')
        self.page("/join")
        self.visit(f"/?via={self.code}")
        self.visitor.until("document.readyState === 'complete'")
        self.wait_for_form()
        self.in_form_until("document.querySelector('[name=reference]').value")
        self.assertEqual(self.js("document.activeElement.tagName"), "BODY")
        self.visitor.click_at(20, 20)  # into the frame, on nothing
        self.in_form("document.querySelector('#affiliate_email').focus()")
        self.send_wrong()
        self.send(".com")
        self.in_form_until("document.querySelector('.o_affiliate_onward')")
        self.in_form("document.querySelector('.o_affiliate_onward').click()")
        self.assert_arrived()
        self.assert_lead()

    def test_without_javascript(self):
        off = "Emulation.setScriptExecutionDisabled"
        self.visitor.command(off, value=True)
        self.addCleanup(self.visitor.command, off, value=False)
        self.page("/", JOIN, early="document.title = 'script'")
        self.page("/join")
        self.visit("/", ready=False)
        self.assertEqual(self.js("document.title"), "/", "no script has run")
        self.visitor.click("#join")
        self.assert_arrived()
        self.visit(self.url(), ready=False)
        self.visitor.click("#affiliate_email")
        self.send("jane@example")
        self.visitor.until("document.querySelector('.is-invalid')")
        self.visitor.until(f"{FOCUS} === 'affiliate_email'")
        said = self.js("document.querySelector('.o_affiliate_error').innerText")
        self.assertIn("not a complete e-mail address", said)
        self.visitor.click("#affiliate_email")
        self.send(".com")
        self.assert_arrived()
        self.assert_lead()

    def test_in_the_visitors_language(self):
        self.german()
        self.visit(self.url(), ready=False)
        self.assertEqual(self.js("document.documentElement.lang"), "de-DE")
        self.assertEqual(
            self.js("document.querySelector('#wrap h1').innerText"), "Jetzt testen"
        )


@tagged("post_install", "-at_install")
class TestCookiesBlocked(FormInBrowser):
    """A browser that takes no cookies and no storage at all."""

    preferences = {"profile": {"default_content_setting_values": {"cookies": 2}}}

    def test_everything_works_on_the_page(self):
        self.open(f'{JOIN}<a id="buy" href="https://buy.stripe.com/test_1">Buy</a>')
        self.assertEqual(self.js("document.cookie = 'a=1', document.cookie"), "")
        self.assertEqual(
            self.js("(() => { try { localStorage; } catch (e) { return e.name; } })()"),
            "SecurityError",
        )
        reference = self.js("affiliate.referral")
        self.assertTrue(reference.startswith(self.code))
        self.assertEqual(
            self.attribute("#buy"),
            f"https://buy.stripe.com/test_1?client_reference_id={reference}",
        )
        self.send_wrong()
        self.send(".com")
        self.assert_arrived()
        self.assertIn(f"partner={reference}", self.js("location.search"))
        self.assert_lead()
