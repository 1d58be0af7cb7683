"""The e-mail form as a block of the website: in the editor and on the page."""

from unittest.mock import patch

from lxml import html

from odoo.exceptions import AccessError
from odoo.tests import HttpCase, new_test_user, tagged
from odoo.tests.common import ChromeBrowser

from odoo.addons.web.tests import test_js

from ..controllers import capture
from .browser import AGENT
from .test_form import SITE, FormCase
from .web_common import AffiliateData

PAGE = """<t name="Landing" t-name="affiliate.landing">
    <t t-call="website.layout"><div id="wrap" class="oe_structure oe_empty"/></t>
</t>"""
JSON = {"Accept": "application/json"}


class SnippetCase(FormCase):
    def setUp(self):
        super().setUp()
        self.beta = self.make_program(name="Beta")
        self.uma = self.make_affiliate("uma", program=self.beta)
        # May edit the website, and nothing of ours.
        new_test_user(
            self.env,
            "editor",
            "base.group_user,website.group_website_designer",
            password="editor editor",
        )
        self.page = self.env["website.page"].create(
            {
                "name": "Landing",
                "url": "/affiliate-landing",
                "type": "qweb",
                "arch": PAGE,
                "key": "affiliate.landing",
                "is_published": True,
                "website_id": self.env["website"].get_current_website().id,
            }
        )

    def start_tour(self, *arguments, **options):
        """A tour by a person: Odoo's browser calls itself headless, which is a robot,
        and robots make no visits."""
        spawn = ChromeBrowser._spawn_chrome

        def as_person(browser, command):
            return spawn(browser, [command[0], f"--user-agent={AGENT}", *command[1:]])

        with patch.object(ChromeBrowser, "_spawn_chrome", as_person):
            return super().start_tour(*arguments, **options)

    def edit(self, tour):
        url = self.env["website"].get_client_action_url(self.page.url)
        self.start_tour(url, tour, login="editor")
        self.env.invalidate_all()
        self.authenticate(None, None)

    def stored_form(self):
        """The form in the page, as visitors get it."""
        tree = html.fromstring(self.get(self.page.url).text)
        return tree.xpath("//div[contains(@class, 's_affiliate_form')]/form")[0]


@tagged("post_install", "-at_install", "browser")
class TestEditor(SnippetCase):
    def test_an_editor_drops_the_form_and_a_visitor_uses_it(self):
        self.edit("affiliate_form_edit")
        form = self.stored_form()
        self.assertEqual(form.get("action"), f"/affiliate/form/{self.beta.public_key}")
        # Nothing that the browser adds to a form in use is stored.
        self.assertFalse(form.xpath(".//*[@id] | .//*[@contenteditable] | .//script"))
        self.beta.track_website = True
        self.start_tour(f"{self.page.url}?via={self.uma.code}", "affiliate_form_use")
        lead = self.leads()
        self.assertEqual(lead.email, "jane@example.com")
        self.assertEqual(lead.affiliate_id, self.uma)
        self.assertTrue(lead.visitor, "the script has named the visitor")

    def test_a_popup_on_exit(self):
        self.program.signup_url = f"{self.base_url()}/contactus"
        self.edit("affiliate_popup_edit")
        self.start_tour(f"{self.page.url}?via={self.code}", "affiliate_popup_use")
        self.assertEqual(self.leads().affiliate_id, self.drona)

    def test_no_programme_no_form(self):
        (self.program | self.beta).active = False
        self.edit("affiliate_form_without_programme")
        self.assertNotIn("s_affiliate_form", self.page.arch)


class TestPlainForm(FormCase):
    """The block in a browser without JavaScript, and the answers to its script."""

    def setUp(self):
        super().setUp()
        stored = self.env["ir.qweb"]._render("affiliate_stripe.s_affiliate_form")
        self.form = html.fromstring(str(stored)).xpath("//form")[0]
        self.ours = {"Origin": self.base_url()}

    def block(self, email="jane@example.com", status=303, headers=None, **values):
        inputs = self.form.xpath(".//input")
        data = {field.get("name"): field.get("value") or "" for field in inputs}
        headers = {**self.ours, **(headers or {})}
        return self.post({**data, "email": email, **values}, status, headers=headers)

    def test_the_block_is_that_of_the_hosted_form(self):
        """It is stored, so what both must agree on is written in it once more."""
        hosted = html.fromstring(self.show().text).xpath("//form[@data-captcha]")[0]
        for name in ("method", "data-captcha", "novalidate"):
            self.assertEqual(self.form.get(name), hosted.get(name))
        names = {field.get("name") for field in self.form.xpath(".//input")}
        self.assertEqual(names, {"email", "to", capture.HONEYPOT})
        mine, theirs = (
            f.xpath(".//input[@name='email']")[0] for f in (self.form, hosted)
        )
        for name in ("type", "maxlength", "autocomplete", "inputmode", "required"):
            self.assertEqual(mine.get(name), theirs.get(name))

    def test_it_leads_on(self):
        answer = self.block(reference=self.code)
        self.assertEqual(self.target(answer), (f"{SITE}/pricing", {"via": self.code}))
        answer = self.block(reference=self.code, to="/shop?x=1")
        self.assertEqual(
            self.target(answer),
            (f"{self.base_url()}/shop", {"via": self.code, "x": "1"}),
        )
        self.assertEqual(self.leads().affiliate_id, self.drona)

    def test_the_link_parameter_of_the_page_counts(self):
        page = f"{self.base_url()}/landing?x=1&via={self.code.lower()}"
        self.block(headers={"Referer": page})
        self.assertEqual(self.leads().affiliate_id, self.drona)

    def test_that_of_another_page_does_not(self):
        for page in (
            f"https://evil.example/?via={self.code}",
            f"{self.base_url()}/landing",
            "http://[",
        ):
            self.block(headers={"Referer": page})
        # With a token it is no block.
        page = {"Referer": f"{self.base_url()}/?via={self.code}"}
        self.post({**self.fields(self.show()), "email": "a@b.io"}, headers=page)
        self.assertFalse(self.leads())

    def test_a_wrong_address_is_asked_for_again(self):
        page = self.block("jane", 422, reference=self.code, to="/shop")
        self.assertIn("not a complete e-mail address", self.problem(page))
        self.assertEqual(self.fields(page)["email"], "jane")
        answer = self.send(page=page)
        self.assertEqual(self.target(answer)[0], f"{self.base_url()}/shop")
        self.assertEqual(self.leads().affiliate_id, self.drona)

    def test_it_leads_to_no_foreign_site(self):
        for to in (
            "https://evil.example/",
            "//evil.example/",
            "\\\\evil.example",
            "javascript:alert(1)",
            "data:text/html,x",
            "//[x",
            "http://[",
        ):
            with self.subTest(to):
                self.assertEqual(self.target(self.block(to=to))[0], f"{SITE}/pricing")
                answer = self.block(to=to, status=200, headers=JSON).json()
                self.assertEqual(answer["to"], f"{SITE}/pricing")

    def test_robots_are_thanked(self):
        self.block(reference=self.code, **{capture.HONEYPOT: "1"})
        self.assertFalse(self.leads())

    def test_what_its_script_is_told(self):
        answer = self.block("no", 422, headers=JSON).json()
        self.assertTrue(answer.pop("error"))
        self.assertEqual(answer, {"at_field": True, "to": None})
        with patch.object(capture, "LEADS_AN_HOUR", 0):
            answer = self.block(status=429, headers=JSON, to="/shop").json()
        self.assertIn("wait an hour", answer["error"])
        self.assertFalse(answer["at_field"])
        self.assertEqual(answer["to"], f"{self.base_url()}/shop")

    def test_its_script_speaks_the_visitors_language(self):
        self.env["res.lang"]._activate_lang("de_DE")
        website = self.env["website"].get_current_website()
        website.language_ids += self.env.ref("base.lang_de")
        messages = []
        for lang in ("en-US", "de-DE"):
            with patch.object(
                capture._Form,
                "what_is_wrong",
                lambda form: messages.append(capture.request.env.lang) or "x",
            ):
                self.block("no", 422, headers=JSON, lang=lang)
        self.assertEqual(messages, ["en_US", "de_DE"])


class TestChoices(AffiliateData):
    """Who may see which programmes there are to choose from."""

    def choices(self, groups, **values):
        user = new_test_user(self.env, f"user {groups}", groups, **values)
        return self.env["affiliate.program"].with_user(user).get_form_choices()

    def test_editors_see_name_and_address(self):
        self.make_program(name="Old", active=False)
        found = [
            {
                "name": "Acme Partners",
                "action": f"/affiliate/form/{self.program.public_key}",
            }
        ]
        for groups in (
            "website.group_website_restricted_editor",
            "website.group_website_designer",
            "affiliate_stripe.group_affiliate_officer",
        ):
            with self.subTest(groups):
                self.assertEqual(self.choices(f"base.group_user,{groups}"), found)

    def test_nobody_else(self):
        for groups in ("base.group_public", "base.group_portal", "base.group_user"):
            with self.subTest(groups), self.assertRaises(AccessError):
                self.choices(groups)

    def test_other_companies_stay_apart(self):
        other = self.env["res.company"].create({"name": "Other company"})
        found = self.choices(
            "base.group_user,website.group_website_designer",
            company_id=other.id,
            company_ids=[(6, 0, other.ids)],
        )
        self.assertEqual(found, [])


@tagged("post_install", "-at_install", "browser")
class TestInBrowser(HttpCase):
    """The tests in static/tests/interactions, as Odoo runs its own."""

    browser_size = "1366x768"

    def test_interactions(self):
        suite = test_js.HOOTCommon._generate_hash(self, "@affiliate_stripe")
        self.browser_js(
            f"/web/tests?headless&loglevel=2&preset=desktop&timeout=15000&id={suite}",
            "",
            login="admin",
            timeout=300,
            success_signal="[HOOT] Test suite succeeded",
            error_checker=test_js.unit_test_error_checker,
        )
