"""The e-mail form: what it takes, where it leads, and what it refuses."""

from datetime import timedelta
from unittest.mock import patch
from urllib.parse import parse_qsl, urlsplit

from freezegun import freeze_time
from lxml import html
from psycopg2 import IntegrityError

from odoo import fields
from odoo.exceptions import UserError, ValidationError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..controllers import capture
from ..models.affiliate_program_look import BRAND
from .test_attribution import AttributionCase
from .test_links import BROWSER
from .web_common import PageCase

SITE = "https://acme.example"
EVIL = "<script>alert('x')</script>"


class FormCase(PageCase):
    def setUp(self):
        super().setUp()
        self.authenticate(None, None)
        self.program.allowed_domains = "acme.io"
        self.drona = self.make_affiliate("drona")
        self.code = self.drona.code
        self.url = f"/affiliate/form/{self.program.public_key}"

    def show(self, status=200, program=None, headers=None, **query):
        url = f"/affiliate/form/{(program or self.program).public_key}"
        page = self.url_open(url, params=query, headers=headers)
        self.assertEqual(page.status_code, status, page.text[:500])
        return page

    def fields(self, page):
        """What a browser would send back: the fields of the form in a page."""
        tree = html.fromstring(page.text)
        inputs = tree.xpath("//form[contains(@class, 'o_affiliate_capture')]//input")
        return {field.get("name"): field.get("value") or "" for field in inputs}

    def send(self, email="jane@example.com", status=303, page=None, **values):
        """Fill the form in and send it, as a browser does."""
        headers = values.pop("headers", None)
        page = self.show() if page is None else page
        data = {**self.fields(page), "email": email, **values}
        return self.post(data, status, headers=headers)

    def post(self, data, status=303, **options):
        self.env.flush_all()
        answer = self.url_open(self.url, data=data, allow_redirects=False, **options)
        self.assertEqual(answer.status_code, status, answer.text[:500])
        return answer

    def target(self, answer):
        """Where an answer leads: address and parameters."""
        parts = urlsplit(answer.headers["Location"])
        return parts._replace(query="").geturl(), dict(parse_qsl(parts.query))

    def leads(self):
        self.env.invalidate_all()
        return self.env["affiliate.referral"].search([("source", "=", "form")])

    def problem(self, page):
        tree = html.fromstring(page.text)
        texts = tree.xpath("//*[@role='alert']//text()")
        return " ".join(" ".join(texts).split())


class TestForm(FormCase):
    def test_an_address_is_taken_and_leads_on(self):
        page = self.show(via=self.code, headers=BROWSER)
        answer = self.send(" Jane <JANE@Example.com> ", page=page)
        reference = self.fields(page)["reference"]
        self.assertTrue(reference.startswith(f"{self.code}_"), "he has an id now")
        self.assertEqual(self.target(answer), (f"{SITE}/pricing", {"via": reference}))
        self.assertEqual(answer.headers["Cache-Control"], "no-store")
        lead = self.leads()
        self.assertEqual(lead.email_normalized, "jane@example.com")
        self.assertEqual(lead.affiliate_id, self.drona)

    def test_who_brought_him(self):
        """As asked, by a link parameter, or by the cookie, in this order."""
        visitor = self.new_visitor()
        full = f"{self.code}_{visitor}"
        self.program.link_parameters = "via, ref"
        self.make_affiliate("bob")
        for number, (query, cookie, brought) in enumerate(
            (
                ({"reference": full}, "BOB2", full),
                ({"reference": "<b>", "ref": self.code.lower()}, "BOB2", self.code),
                ({}, f"BOB2_{visitor}", f"BOB2_{visitor}"),
                ({}, "<x>", None),
            )
        ):
            with self.subTest(query):
                self.opener.cookies.set("affiliate_ref", cookie, domain="127.0.0.1")
                page = self.show(**query)
                self.opener.cookies.clear()
                answer = self.send(f"x{number}@example.com", page=page)
                via = self.target(answer)[1].get("via")
                if brought == self.code:
                    via = via.partition("_")[0]  # and the id of a new visitor
                self.assertEqual(via, brought)
        self.assertEqual(len(self.leads()), 3)

    def test_nobody_brought_him(self):
        answer = self.send(page=self.show(via="NOBODY"))
        self.assertEqual(self.target(answer)[0], f"{SITE}/pricing")
        answer = self.send()
        self.assertEqual(self.target(answer), (f"{SITE}/pricing", {}))
        self.assertFalse(self.leads())

    def test_what_goes_on_to_the_site(self):
        self.program.write(
            {
                "form_email_parameter": "email",
                "form_reference_parameter": "client_reference_id",
            }
        )
        page = self.show(via=self.code, to="/signup?plan=pro&via=OLD")
        answer = self.send("jane+1@example.com", page=page)
        self.assertEqual(
            self.target(answer),
            (
                f"{SITE}/signup",
                {
                    "plan": "pro",
                    "email": "jane+1@example.com",
                    "client_reference_id": self.fields(page)["reference"],
                    "via": self.fields(page)["reference"],
                },
            ),
        )
        with self.assertRaisesRegex(ValidationError, "cannot be a parameter"):
            self.program.form_email_parameter = "e-mail&x="

    def test_it_leads_to_no_foreign_site(self):
        own = self.base_url()
        for to, leads_to in (
            ("/signup", f"{SITE}/signup"),
            ("https://app.acme.io/x", "https://app.acme.io/x"),
            (f"{own}/shop", f"{own}/shop"),
            ("https://evil.example/", f"{SITE}/pricing"),
            ("//evil.example/", f"{SITE}/pricing"),
            ("https://acme.example.evil.example", f"{SITE}/pricing"),
            ("https://acme.example@evil.example", f"{SITE}/pricing"),
            ("https://evil.example\\@acme.example", f"{SITE}/pricing"),
            ("https:evil.example", f"{SITE}/evil.example"),
            ("javascript:alert(1)", f"{SITE}/pricing"),
            ("https://acme.example:abc/", f"{SITE}/pricing"),
            ("https://[", f"{SITE}/pricing"),
        ):
            with self.subTest(to):
                answer = self.send(page=self.show(to=to))
                self.assertEqual(self.target(answer)[0], leads_to)

    def test_a_programme_without_a_site_thanks(self):
        self.program.write({"signup_url": False, "is_published": False})
        page = self.send(status=200, page=self.show(via=self.code))
        self.assertIn("We have your e-mail address.", page.text)
        self.assertTrue(self.leads())

    def test_wrong_address_is_named_at_the_field(self):
        for email in (
            "",
            "jane",
            "jane@localhost",
            "a@b.io, c@d.io",
            EVIL,
            "a\0b@c.io",
        ):
            with self.subTest(email):
                opened = self.show(via=self.code, to="/x")
                page = self.send(email, 422, page=opened)
                field = html.fromstring(page.text).xpath("//input[@name='email']")[0]
                self.assertEqual(field.get("aria-invalid"), "true")
                self.assertIn("affiliate_email_error", field.get("aria-describedby"))
                self.assertIn("e-mail address", self.problem(page))
                for name in ("to", "reference"):
                    known = self.fields(opened)[name]
                    self.assertEqual(self.fields(page)[name], known)
        self.assertFalse(self.leads())

    def test_what_was_typed_stays(self):
        page = self.send("jane@example,com", 422)
        self.assertEqual(self.fields(page)["email"], "jane@example,com")
        self.assertFalse(html.fromstring(self.show().text).xpath("//*[@autofocus]"))

    def test_texts_of_the_programme(self):
        page = self.show().text
        for text in (
            "Get started",
            "Tell us your e-mail address. We'll take you straight to sign-up.",
            "Continue",
            "note who recommended us to you",
        ):
            self.assertIn(text, page)
        self.program.write(
            {
                "form_title": "Try it",
                "form_text": "14 days.",
                "form_button": "Off we go",
                "form_consent": "<p>See <a href='/privacy'>privacy</a></p>",
            }
        )
        page = self.show().text
        for text in ("Try it", "14 days.", "Off we go", '<a href="/privacy">'):
            self.assertIn(text, page)
        self.assertNotIn("note who recommended us to you", page)

    def style(self, page):
        return html.fromstring(page.text).xpath("//style")[0].text_content()

    def test_colors_and_corners(self):
        company = self.program.company_id
        company.primary_color = "#0A0B0C"
        self.assertIn("--brand:#0a0b0c;--on-brand:#ffffff", self.style(self.show()))
        self.assertIn("--radius:8px", self.style(self.show()))
        company.primary_color = "red;}"
        self.assertIn(f"--brand:{BRAND};", self.style(self.show()))
        self.program.write({"form_color": " Fc0 ", "form_radius": 0})
        style = self.style(self.show(embed="1"))
        self.assertIn("--brand:#ffcc00;--on-brand:#000000", style)
        self.assertIn("--radius:0px", style)
        light, dark = style.split("@media (prefers-color-scheme:dark)")
        self.assertIn("color-scheme:light", light)
        self.assertIn("--rim:#1f2328", light, "yellow cannot be told from white")
        self.assertIn("color-scheme:dark", dark)
        self.assertIn("--rim:#ffcc00", dark)
        self.program.form_scheme = "dark"
        style = self.style(self.show())
        self.assertNotIn("light", style)
        self.assertNotIn("@media", style)

    def test_nothing_but_a_color_gets_into_the_style(self):
        for wrong in (
            "red",
            "#12",
            "#ffcc0",
            "#ffcc00;}body{display:none",
            "</style><script>alert(1)</script>",
            "url(https://evil.example)",
            "#１２３456",
            "#ffcc00\n;",
        ):
            with self.subTest(wrong):
                with self.assertRaisesRegex(ValidationError, "is not a color"):
                    self.program.form_color = wrong
        for wrong in (-1, 25):
            with self.subTest(wrong), mute_logger("odoo.sql_db"):
                with self.assertRaises(IntegrityError), self.env.cr.savepoint():
                    self.program.form_radius = wrong
                    self.env.flush_all()

    def test_the_popup_is_told_the_look_at_once(self):
        url = f"/affiliate/sdk/{self.program.public_key}/popup.js"
        self.assertIn('"radius":8,"light":["#ffffff","#1f2328"]', self.get(url).text)
        self.program.write({"form_radius": 20, "form_scheme": "dark"})
        self.env.flush_all()
        self.assertIn('"look":{"radius":20,"dark":', self.get(url).text)

    def test_files_have_another_address_when_they_change(self):
        tree = html.fromstring(self.show().text)
        [sheet] = tree.xpath("//link[@rel='stylesheet']/@href")
        self.assertRegex(
            sheet, r"^/affiliate_stripe/static/form/form.css\?[0-9a-f]{8}$"
        )
        self.assertIn("--brand", self.get(sheet).text)

    def test_html_is_text(self):
        self.program.write(
            {
                "name": EVIL,
                "form_title": EVIL,
                "form_text": EVIL,
                "form_button": EVIL,
                "form_consent": EVIL,
            }
        )
        names = ("to", "reference", "via", "origin", "lang", "embed", "email")
        page = self.show(**dict.fromkeys(names, f'">{EVIL}'))
        self.assertNotIn(EVIL, page.text)
        data = {**self.fields(page), **dict.fromkeys(names, f'">{EVIL}')}
        self.assertNotIn(EVIL, self.post(data, 422).text)
        self.assertNotIn(EVIL, self.post({**data, "email": "a@b.io"}, 200).text)

    def test_the_language_is_said_as_browsers_know_it(self):
        self.env["res.lang"]._activate_lang("sr@latin")
        lang = self.env["res.lang"]._get_data(code="sr@latin")
        self.env["website"].get_current_website().language_ids = [(4, lang.id)]
        for asked in ("sr@latin", "sr-Latn"):
            page = html.fromstring(self.show(lang=asked).text)
            self.assertEqual(page.get("lang"), "sr-Latn", asked)
        self.assertEqual(html.fromstring(self.show().text).get("lang"), "en-US")

    def test_languages(self):
        self.env["res.lang"]._activate_lang("de_DE")
        german = self.env["res.lang"]._get_data(code="de_DE")
        website = self.env["website"].get_current_website()
        website.language_ids = [(4, german.id)]
        self.program.form_title = "Try it"
        self.program.with_context(lang="de_DE").form_title = "Jetzt testen"
        for query, headers, lang in (
            ({}, {"Accept-Language": "de-CH,de;q=0.9"}, "de-DE"),
            ({"lang": "de"}, {}, "de-DE"),
            ({"lang": "de-AT", "embed": "1"}, {}, "de-DE"),
            ({"lang": "en"}, {"Accept-Language": "de"}, "en-US"),
            ({"lang": "xx"}, {}, "en-US"),
        ):
            with self.subTest(query=query, headers=headers):
                self.opener.cookies.clear()
                page = self.show(headers=headers, **query)
                tree = html.fromstring(page.text)
                self.assertEqual(tree.get("lang"), lang)
                title = "Jetzt testen" if lang == "de-DE" else "Try it"
                self.assertEqual(tree.xpath("//h1")[0].text_content().strip(), title)
                # The answer speaks it too, wherever the form is sent to.
                action = tree.xpath("//form[@data-captcha]")[0].get("action")
                data = {**self.fields(page), "email": "no"}
                answer = self.url_open(action, data=data)
                self.assertEqual(html.fromstring(answer.text).get("lang"), lang)


class TestFrame(FormCase):
    def frame(self, page):
        return html.fromstring(page.text).xpath(
            "//*[contains(@class,'o_affiliate_frame')]"
        )[0]

    def test_only_own_sites_may_frame_it(self):
        for page in (self.show(), self.show(embed="1")):
            self.assertEqual(
                page.headers["Content-Security-Policy"],
                "frame-ancestors 'self' acme.example:* *.acme.example:* "
                "acme.io:* *.acme.io:*",
            )
            self.assertNotIn("X-Frame-Options", page.headers)

    def test_nothing_around_it(self):
        tree = html.fromstring(self.show(embed="1").text)
        self.assertFalse(tree.xpath("//header | //footer"))
        self.assertTrue(
            tree.xpath(
                "//script[contains(@src, '/affiliate_stripe/static/form/form.js')]"
            )
        )
        self.assertTrue(html.fromstring(self.show().text).xpath("//header"))

    def test_only_own_sites_are_told(self):
        for origin, referer, told in (
            ("https://www.acme.example", None, "https://www.acme.example"),
            ("https://app.acme.io:8443", None, "https://app.acme.io:8443"),
            ("https://u:p@ACME.example/x?y", None, "https://acme.example"),
            (None, f"{SITE}/pricing?x=1", SITE),
            ("https://evil.example", f"{SITE}/", ""),
            (None, "https://evil.example/", ""),
            ("null", None, ""),
            ("*", None, ""),
            (None, None, ""),
        ):
            with self.subTest(origin=origin, referer=referer):
                page = self.show(
                    embed="1",
                    headers={"Referer": referer},
                    **({"origin": origin} if origin else {}),
                )
                self.assertEqual(
                    self.frame(page).get("data-affiliate-origin", ""), told
                )
                page = self.send(status=200, page=page)
                self.assertEqual(
                    self.frame(page).get("data-affiliate-origin", ""), told
                )

    def test_the_answer_tells_the_page_around(self):
        reference = f"{self.code}_{self.new_visitor()}"
        page = self.show(embed="1", reference=reference, to="/signup", origin=SITE)
        page = self.send(status=200, page=page)
        frame, target = self.frame(page), f"{SITE}/signup?via={reference}"
        self.assertEqual(frame.get("data-affiliate-email"), "jane@example.com")
        self.assertEqual(frame.get("data-affiliate-reference"), reference)
        self.assertEqual(frame.get("data-affiliate-to"), target)
        # Without JavaScript, a link leads on.
        link = frame.xpath(".//a")[0]
        self.assertEqual((link.get("href"), link.get("target")), (target, "_top"))


class TestHostile(FormCase):
    def test_a_form_of_another_site_is_refused(self):
        """Forged, expired or another programme's token; nothing typed is lost."""
        other = self.make_program(name="Other")
        good = self.fields(self.show(via=self.code))
        forged = good["token"][:-2] + ("aa" if good["token"][-2:] != "aa" else "bb")
        for token in (
            self.fields(self.show(program=other))["token"],
            forged,
            "",
            "x",
            "\0",
            "ä",
            "AQ",
            "x" * 5000,
        ):
            with self.subTest(token[:20]):
                data = {**good, "email": "jane@example.com", "token": token}
                page = self.post(data, 403)
                self.assertIn("Please send it again", self.problem(page))
                self.assertEqual(self.fields(page)["email"], "jane@example.com")
                self.assertEqual(self.fields(page)["reference"], good["reference"])
        self.assertFalse(self.leads())
        self.send(page=page)
        self.assertTrue(self.leads(), "the fresh form works")

    def test_an_old_form_is_refused(self):
        hours = timedelta(hours=capture.TOKEN_HOURS)
        with freeze_time(fields.Datetime.now() - hours - timedelta(seconds=5)):
            old = self.fields(self.show())
        self.send(status=403, token=old["token"])
        with freeze_time(fields.Datetime.now() - hours + timedelta(minutes=5)):
            young = self.fields(self.show())
        self.send(token=young["token"])

    def test_a_block_of_this_website_needs_no_token(self):
        """It is stored as it is; the browser says where it was sent from."""
        data = {"email": "jane@example.com", "reference": self.code, "to": "/shop"}
        for origin in (None, "null", "https://evil.example", SITE):
            self.post(data, 403, headers={"Origin": origin})
        self.assertFalse(self.leads())
        answer = self.post(data, headers={"Origin": self.base_url()})
        self.assertEqual(self.target(answer)[0], f"{self.base_url()}/shop")
        self.assertTrue(self.leads())

    def test_a_script_gets_data(self):
        data = {"email": "no", "reference": self.code, "to": "/shop"}
        headers = {"Origin": self.base_url(), "Accept": "application/json"}
        answer = self.post(data, 422, headers=headers).json()
        self.assertIn("not a complete e-mail address", answer["error"])
        data["email"] = "jane@example.com"
        answer = self.post(data, 200, headers=headers)
        self.assertEqual(answer.json()["to"], f"{self.base_url()}/shop?via={self.code}")
        self.assertNotIn("Access-Control-Allow-Origin", answer.headers)

    def test_unknown_programmes(self):
        self.assertIsNone(self.env["affiliate.program"]._tracking("\0"))
        for key in ("unknown", "../x", "x" * 3000, "<b>"):
            self.assertEqual(self.url_open(f"/affiliate/form/{key}").status_code, 404)
        page = self.show()
        self.program.active = False
        self.show(404)
        self.send(status=404, page=page)

    def test_robots_are_thanked(self):
        page = self.show(via=self.code)
        good = self.send(page=page, email="jane@example.com")
        robot = self.send(page=page, email="robot@example.com", company_phone="1")
        self.assertEqual(robot.headers["Location"], good.headers["Location"])
        self.assertEqual(self.leads().email, "jane@example.com")

    @mute_logger("odoo.http")
    def test_too_much(self):
        self.send("x" * capture.MAX_FORM_BYTES, 413)
        self.send("x" * 300 + "@example.com", 422)

    def test_files_are_nothing(self):
        page = self.show(via=self.code)
        data = self.fields(page)
        data.pop("email")
        files = {"email": ("a.txt", b"jane@example.com"), "to": ("b.txt", b"/x")}
        self.post(data, 422, files=files)

    def test_a_flood_waits_and_may_go_on(self):
        with patch.object(capture, "LEADS_AN_HOUR", 2):
            for number in range(2):
                self.send(f"x{number}@example.com", page=self.show(via=self.code))
            page = self.send("x2@example.com", 429, page=self.show(via=self.code))
        self.assertIn("many addresses in a short time", self.problem(page))
        self.assertEqual(self.fields(page)["email"], "x2@example.com")
        links = html.fromstring(page.text).xpath("//*[@role='alert']//a/@href")
        reference = self.fields(page)["reference"]
        self.assertEqual(links, [f"{SITE}/pricing?via={reference}"])
        self.assertEqual(len(self.leads()), 2)

    def test_captcha(self):
        asked = []

        def refuse(self, action):
            asked.append(action)
            raise UserError(self.env._("Suspicious activity"))

        http = type(self.env["ir.http"])
        with patch.object(http, "_verify_request_recaptcha_token", refuse):
            page = self.send(status=422)
        self.assertEqual(asked, [capture.CAPTCHA])
        self.assertIn("Suspicious activity", self.problem(page))
        self.assertEqual(self.fields(page)["email"], "jane@example.com")
        form = html.fromstring(page.text).xpath("//form[@data-captcha]")[0]
        self.assertEqual(form.get("data-captcha"), capture.CAPTCHA)


class TestScriptOnThisWebsite(FormCase):
    def scripts(self):
        tree = html.fromstring(self.get("/").text)
        return tree.xpath("//head/script[contains(@src, '/affiliate/sdk/')]/@src")

    def test_it_is_there_where_a_programme_asks_for_it(self):
        self.assertEqual(self.scripts(), [])
        self.program.track_website = True
        self.assertEqual(
            self.scripts(), [f"/affiliate/sdk/{self.program.public_key}.js"]
        )
        self.program.active = False
        self.assertEqual(self.scripts(), [])

    def test_other_companies_websites_are_not_tracked(self):
        other = self.env["res.company"].create({"name": "Other company"})
        account = self.env["affiliate.stripe.account"].create(
            {"name": "Other", "company_id": other.id}
        )
        self.make_program(
            company_id=other.id,
            stripe_account_id=account.id,
            product_id=False,
            track_website=True,
        )
        self.assertEqual(self.scripts(), [])

    def test_a_page_costs_no_query_for_it(self):
        programs = self.env["affiliate.program"]
        programs._website_key(self.company.id)
        with self.assertQueryCount(0):
            programs._website_key(self.company.id)


@tagged("post_install", "-at_install")
class TestBoundPeople(AttributionCase):
    """A form takes over nobody, and tells nobody who is known."""

    def test_same_answer_and_no_take_over(self):
        self.shop.subscribe(
            "jane@example.com", self.price, **self.discounts(self.drona)
        )
        self.deliver()
        self.assert_owner(self.drona, 24.00)
        # One visitor: the answer to another one leads on with another id.
        reference = f"{self.uma.code}_{self.new_visitor()}"
        url = f"/affiliate/form/{self.program.public_key}?via={reference}"
        answers = []
        for email in ("jane@example.com", "new@example.com", "new@example.com"):
            page = html.fromstring(self.url_open(url).text)
            form = page.xpath("//form[@data-captcha]")[0]
            data = {i.get("name"): i.get("value") or "" for i in form.xpath(".//input")}
            answer = self.url_open(
                form.get("action"), data={**data, "email": email}, allow_redirects=False
            )
            secret = ("Date", "Set-Cookie")
            answers.append(
                (
                    answer.status_code,
                    answer.text,
                    {n: v for n, v in answer.headers.items() if n not in secret},
                )
            )
        self.assertEqual(answers[0], answers[1])
        self.assertEqual(answers[1], answers[2])
        self.double.advance(months=1)
        self.deliver()
        self.assert_owner(self.drona, 24.00, 30.00)
        new = self.env["affiliate.referral"].search([("email", "=", "new@example.com")])
        self.assertEqual(new.affiliate_id, self.uma)
        self.assertEqual(new.source, "form")
