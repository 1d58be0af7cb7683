"""The popup of the script and what opens it, in a real browser, around a form that says
what it is told to. The real one: test_form_browser.py."""

import json
import time

from odoo.tests import tagged

from ..lib import visits
from .browser import DESKTOP, PHONE
from .foreign_site import INSIDE, ForeignSiteCase

# What a page of ours in a frame may say to the page around it, said on demand.
FORM = """<!DOCTYPE html><title>Form</title><input autofocus><script>
const say = data => parent.postMessage(data, "*");
addEventListener("message", event => say(event.data));
say({affiliate: "height", height: 321});
</script>"""


@tagged("post_install", "-at_install")
class TestSdkPopup(ForeignSiteCase):
    """What is asked for by a click, by a call, or by nobody."""

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
                self.visitor.press("Escape")
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

    def test_components_of_a_design_system(self):
        """What is clicked is inside of the component, the attribute on or around it."""
        for body, selector in (
            ('<a href="/join" data-affiliate-popup><x-icon></x-icon></a>', "x-icon"),
            ('<x-icon data-affiliate-popup="/join"></x-icon>', "x-icon"),
        ):
            self.page("/", body)
            self.page("/join")
            self.visitor.answers = {"/affiliate/form/": FORM}
            self.visit(f"/?via={self.code}")
            self.visitor.until("affiliate.core.open")
            self.js(INSIDE.format(name="x-icon", text="Join"))
            self.visitor.click(selector)
            self.visitor.until("document.querySelector('dialog')", patience=5)
            self.wait_for_form()
            self.say({"affiliate": "done", "email": "a@b.example"})
            self.visitor.until("location.pathname === '/join'")
            self.visitor.forget()

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
        self.visitor.resize({**PHONE, "height": 500})
        self.addCleanup(self.visitor.resize, DESKTOP)
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

    def test_it_waits_for_its_file(self):
        """A call without anything is one, too."""
        self.page("/")
        self.visitor.answers = {"/affiliate/form/": FORM}
        self.visit("/")
        self.js("affiliate('popup')")
        self.visitor.until("document.querySelector('dialog[open]')")
        self.assertEqual(
            self.js("document.querySelector('dialog').ariaLabel"), "Sign up"
        )
        self.wait_for_form()
        self.say({"affiliate": "done", "email": "a@c.example"})
        self.say({"affiliate": "height", "height": 200})
        self.visitor.until("document.querySelector('iframe').style.height === '200px'")
        self.assertTrue(self.is_open(), "the form's thanks are to be seen")

    # === BY ITSELF === #

    def wait(self, script, address=None, body=""):
        self.page("/", body, script=script)
        self.page("/join")
        self.visitor.answers = {"/affiliate/form/": FORM}
        self.visit(address or f"/?via={self.code}")
        self.visitor.until("affiliate.core.open")

    def assert_stays_away(self, seconds=1.5):
        time.sleep(seconds)
        self.assertFalse(self.is_open())

    def move(self, x, y):
        self.visitor.command(
            "Input.dispatchMouseEvent", **{"type": "mouseMoved", "x": x, "y": y}
        )

    def leave_by_the_top(self):
        self.move(300, 200)
        self.move(300, -1)

    def test_after_seconds(self):
        self.wait('data-popup="1" data-popup-to="/join" data-popup-reference="by"')
        reference = self.cookie()
        self.assertFalse(self.is_open())
        self.visitor.until("document.querySelector('dialog[open]')")
        self.assertEqual(self.js("document.activeElement.tagName"), "IFRAME")
        cookies = self.visitor.command("Network.getCookies")["cookies"]
        [shown] = [c for c in cookies if c["name"] == "affiliate_popup"]
        self.assertAlmostEqual(shown["expires"], time.time() + 60 * 86400, delta=60)
        self.say({"affiliate": "done", "email": "a@c.example"})
        self.visitor.until("location.pathname === '/join'")
        self.assertEqual(self.js("location.search"), f"?by={reference}")
        self.visit("/")
        self.assert_stays_away()  # once a visitor
        self.js("affiliate('consent', false)")
        self.assertEqual(self.js("document.cookie"), "")

    def test_when_the_mouse_leaves_by_the_top(self):
        self.wait('data-popup="exit"')
        self.move(300, 200)
        self.move(-1, 200)
        self.assert_stays_away(0.3)
        self.leave_by_the_top()
        self.visitor.until("document.querySelector('dialog[open]')")
        self.say({"affiliate": "close"})
        self.visitor.until("!document.querySelector('dialog')")
        self.leave_by_the_top()
        self.assert_stays_away(0.3)

    def test_fingers_do_not_leave(self):
        self.wait('data-popup="exit"')
        for kind, points in (
            ("touchStart", [{"x": 300, "y": 20}]),
            ("touchMove", [{"x": 300, "y": -5}]),
            ("touchEnd", []),
        ):
            self.visitor.command(
                "Input.dispatchTouchEvent", **{"type": kind, "touchPoints": points}
            )
        self.assert_stays_away(0.3)

    def test_only_for_those_somebody_has_sent(self):
        self.wait('data-popup="1 exit"', "/")
        self.leave_by_the_top()
        self.assert_stays_away()
        self.js(f"history.pushState({{}}, '', '?via={self.code}')")
        self.leave_by_the_top()
        self.visitor.until("document.querySelector('dialog[open]')")

    def test_for_everybody(self):
        self.wait('data-popup="1 everybody"', "/")
        self.visitor.until("document.querySelector('dialog[open]')")

    def test_not_while_something_is_typed(self):
        self.wait('data-popup="1"', body='<input id="name" autofocus>')
        self.assertEqual(self.js("document.activeElement.id"), "name")
        self.assert_stays_away(1.3)
        self.js("document.activeElement.blur()")
        self.visitor.until("document.querySelector('dialog[open]')")

    def test_called_to_come_later(self):
        self.wait("data-nothing", body='<a data-affiliate-popup href="/x">x</a>')
        self.js("affiliate('popup', {on: '1', done: who => window.person = who})")
        self.assertFalse(self.is_open())
        self.visitor.until("document.querySelector('dialog[open]')")
        self.say({"affiliate": "done", "email": "a@c.example"})
        self.visitor.until("window.person")

    def test_who_does_not_agree_is_not_marked(self):
        self.program.consent_mode = "required"
        self.wait('data-popup="1"')
        self.visitor.until("document.querySelector('dialog[open]')")
        self.assertEqual(self.js("document.cookie"), "")

    def test_a_form_that_does_not_come_is_not_missed(self):
        self.page("/", script='data-popup="1" data-popup-to="/join"')
        self.visitor.silent = ("/affiliate/form/",)
        self.visit(f"/?via={self.code}")
        self.visitor.until("document.querySelector('dialog')")
        self.assertFalse(self.js("document.querySelector('dialog').open"))
        self.visitor.until("!document.querySelector('dialog')")
        self.assertEqual(self.js("location.pathname"), "/")
        self.assertNotIn("affiliate_popup", self.js("document.cookie"))
