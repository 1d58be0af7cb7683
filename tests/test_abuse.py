"""What the public web does to those who abuse it: a clear status, nothing stored, and
other visitors do not notice."""

from lxml import html

from odoo.tests import tagged
from odoo.tools import mute_logger

from ..controllers import capture, tracking
from ..lib import visits
from ..models.affiliate_click import VISITS_A_MINUTE
from .test_addresses import PROXIED, ProxyCase
from .test_links import BROWSER, SITE

EVIL = "<script>alert('x')</script>"
REQUESTS = 1000


@tagged("post_install", "-at_install")
class TestFloods(ProxyCase):
    """Requests from one address, by way of a proxy; another one passes meanwhile."""

    FLOOD, OTHER = "203.0.113.7", "203.0.113.8"

    def setUp(self):
        super().setUp()
        self.behind_a_proxy()
        self.program.max_leads_per_hour = self.program.max_leads_per_address = 0
        self.env.flush_all()

    def of(self, address):
        return {**BROWSER, **PROXIED, "X-Forwarded-For": address}

    def flood(self, act, passing=204, refused=429, requests=REQUESTS):
        """Act often from one address and, half way, once from another; return how
        often it was taken."""
        statuses = []
        for number in range(requests):
            if number == requests // 2:
                self.assertEqual(act(number, self.of(self.OTHER)), passing)
            statuses.append(act(number, self.of(self.FLOOD)))
        self.assertLessEqual(set(statuses), {passing, refused})
        self.assertEqual(act(0, self.of(self.OTHER)), passing)
        return statuses.count(passing)

    def click(self, _number, headers):
        body = {"reference": f"DRONA29_{self.new_visitor()}", "url": f"{SITE}/"}
        return self.send("click", body, headers=headers).status_code

    def lead(self, number, headers):
        email = f"x{number}.{headers['X-Forwarded-For']}@example.com"
        body = {"email": email, "reference": "DRONA29"}
        return self.send("lead", body, headers=headers).status_code

    def offer(self, _number, headers):
        url = f"/affiliate/v1/{self.program.public_key}/offer?via=DRONA29"
        return self.url_open(url, headers={**headers, "Origin": SITE}).status_code

    def form(self, _number, headers):
        url = f"/affiliate/form/{self.program.public_key}?embed=1"
        return self.url_open(url, headers=headers).status_code

    def link(self, _number, headers):
        self.opener.cookies.clear()
        return self.follow("DRONA29", headers).status_code

    def test_visits(self):
        self.assertEqual(self.flood(self.click, 200), VISITS_A_MINUTE)
        self.assertEqual(len(self.visits()), VISITS_A_MINUTE + 2)

    def test_leads(self):
        self.assertEqual(self.flood(self.lead), tracking.LEADS_AN_HOUR)
        self.assertEqual(len(self.leads()), tracking.LEADS_AN_HOUR + 2)

    def test_offers(self):
        shown = self.flood(self.offer, 200, requests=100)
        self.assertEqual(shown, tracking.OFFERS_A_MINUTE)

    def test_links_lead_on_without_being_counted(self):
        self.assertEqual(self.flood(self.link, 302, requests=100), 100)
        self.assertEqual(len(self.visits()), VISITS_A_MINUTE + 2)

    def test_forms(self):
        self.patch(capture, "FORMS_A_MINUTE", 3)
        shown = [self.form(0, self.of(self.FLOOD)) for _number in range(5)]
        self.assertEqual(shown, [200] * 3 + [429] * 2)
        self.assertEqual(self.form(0, self.of(self.OTHER)), 200)


@tagged("post_install", "-at_install")
class TestRefused(ProxyCase):
    def good(self, what):
        body = {"reference": f"DRONA29_{self.new_visitor()}"}
        if what == "lead":
            return {**body, "email": "jane@example.com"}
        return {**body, "url": f"{SITE}/"}

    def assert_nothing_stored(self):
        referrals = self.env["affiliate.referral"]
        self.assertFalse(self.visits() or referrals.search([]))

    def test_foreign_pages(self):
        for what in ("click", "lead"):
            for origin in (
                "https://evil.example",
                f"{SITE}.evil.example",
                "null",
                None,
            ):
                answer = self.send(what, self.good(what), origin=origin)
                self.assertEqual(answer.status_code, 403)
                self.assertNotIn("Access-Control-Allow-Origin", answer.headers)
        self.assert_nothing_stored()

    def test_other_programmes_keys(self):
        other = self.make_program(name="Other", signup_url="https://other.example")
        self.make_affiliate(other, "Cleo Otto")
        for what in ("click", "lead"):
            for key, status in (
                (other.public_key, 403),
                ("unknown", 404),
                ("%00", 404),
            ):
                answer = self.send(what, self.good(what), key=key)
                self.assertEqual(answer.status_code, status)
        self.assert_nothing_stored()

    @mute_logger("odoo.http")
    def test_bodies(self):
        for what in ("click", "lead"):
            for body, status in (
                (b"x" * (tracking.MAX_BODY_BYTES + 1), 413),
                (b" ", 400),
                (b"\xff\xfe", 400),
                (b'{"email": NaN', 400),
                (b"[" * 8000, 400),
                (b'"text"', 400),
                (b"7", 400),
            ):
                with self.subTest(what=what, body=body[:9]):
                    self.assertEqual(self.send(what, body).status_code, status)
        self.assert_nothing_stored()

    def test_html_in_every_field(self):
        for what, name, status in (
            ("click", "reference", 400),
            ("click", "url", 400),
            ("click", "was", 400),
            ("lead", "email", 422),
            ("lead", "reference", 204),
        ):
            for value in (EVIL, f'">{EVIL}', [EVIL], {"a": EVIL}):
                with self.subTest(name, value=value):
                    answer = self.send(what, {**self.good(what), name: value})
                    if (what, name) == ("click", "reference") and EVIL in value:
                        # Letters of a code that nobody has, badly copied.
                        status = 200 if isinstance(value, str) else 400
                    self.assertEqual(answer.status_code, status)
                    self.assertNotIn("script", answer.text)
        self.assert_nothing_stored()

    def test_files_are_no_parameters(self):
        names = ("to", "via", "lang", "sub", "utm_x", "reference", "embed")
        files = [(name, (name, b"x")) for name in names]
        key = self.program.public_key
        for path, status in (
            ("/a/DRONA29", 302),
            (f"/affiliate/sdk/{key}/popup.js", 200),
            (f"/affiliate/v1/{key}/offer", 200),
            (f"/affiliate/form/{key}", 200),
        ):
            with self.subTest(path):
                answer = self.opener.get(
                    self.base_url() + path,
                    files=files,
                    headers=BROWSER,
                    allow_redirects=False,
                )
                self.assertEqual(answer.status_code, status)
                self.assertNotIn("FileStorage", str(answer.headers) + answer.text)

    def test_parameters_of_others_are_nothing_to_log(self):
        """WordPress adds its version to scripts, advertising its marks to all pages."""
        key, page = self.program.public_key, self.program.website_url
        for path in (
            *(f"/affiliate/sdk/{key}.js", f"/affiliate/form/{key}", "/a/DRONA29"),
            *(f"/affiliate/v1/{key}/offer", "/affiliates", page, f"{page}/thanks"),
            *(f"{page}/apply", "/my/affiliate"),
        ):
            with self.subTest(path), self.assertNoLogs("odoo.http", "WARNING"):
                answer = self.url_open(
                    f"{path}?ver=6.8&fbclid=1", headers=BROWSER, allow_redirects=False
                )
                self.assertLess(answer.status_code, 500)
        for what in ("click", "lead"):
            with self.subTest(what), self.assertNoLogs("odoo.http", "WARNING"):
                answer = self.send(f"{what}?ver=6.8", self.good(what))
                self.assertTrue(answer.ok)

    def test_html_beside_a_visit_is_left_out(self):
        marks = ("sub", "sub_id", *visits.UTM, "utm_term", "gclid")
        address = visits.with_parameters(f"{SITE}/", dict.fromkeys(marks, EVIL))
        self.visit(url=address, referrer=f"https://blog.example/{EVIL}")
        answer = self.follow(f"DRONA29?{address.partition('?')[2]}")
        self.assertNotIn("<", answer.headers["Location"])
        self.assertEqual(len(self.visits()), 2)
        for visit in self.visits():
            self.assertNotIn("<", str(visit.read()))

    def test_forged_tokens_of_the_form(self):
        url = f"/affiliate/form/{self.program.public_key}?via=DRONA29"
        page = html.fromstring(self.url_open(url).text)
        form = page.xpath("//form[@data-captcha]")[0]
        fields = {i.get("name"): i.get("value") or "" for i in form.xpath(".//input")}
        other = self.make_program(name="Other", signup_url="https://other.example")
        self.visits().sudo().unlink()  # that of opening the form
        self.env.flush_all()
        for key, token in (
            (self.program.public_key, "forged"),
            (self.program.public_key, fields["token"][:-2] + "xx"),
            (self.program.public_key, ""),
            (other.public_key, fields["token"]),
        ):
            data = {**fields, "email": "jane@example.com", "token": token}
            answer = self.url_open(f"/affiliate/form/{key}", data=data)
            self.assertEqual(answer.status_code, 403)
        self.assert_nothing_stored()
