"""Visits as real browsers make them: their texts, apps, robots, cookies and signals."""

from odoo.exceptions import UserError, ValidationError
from odoo.tests import tagged

from .test_links import BROWSER, SITE, TrackingCase

PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15"
    " (KHTML, like Gecko) Mobile/15E148"
)
ANDROID = (
    "Mozilla/5.0 (Linux; Android 15; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/141.0 Mobile Safari/537.36"
)


@tagged("post_install", "-at_install")
class TestWhatBrowsersSend(TrackingCase):
    def test_values_of_people_do_not_cost_the_visit(self):
        self.visit(
            url=f"{SITE}/?sub=Pro%20Plan&utm_campaign=a%3Eb&utm_source=mail",
            referrer="https://some_user.livejournal.com/",
        )
        self.follow("DRONA29?sub=Pro%20Plan&utm_campaign=a%3Eb&utm_source=mail")
        self.assertEqual(len(self.visits()), 2)
        for visit in self.visits():
            self.assertEqual(visit.sub_id, "Pro Plan")
            self.assertEqual((visit.utm_source, visit.utm_campaign), ("mail", False))
        self.assertEqual(self.visits()[0].referrer, "some_user.livejournal.com")

    def test_a_page_before_that_is_no_address_is_left_out(self):
        self.visit(referrer="about:blank")
        self.follow("DRONA29", {**BROWSER, "Referer": "https://[/"})
        self.assertEqual(self.visits().mapped("referrer"), [False, False])

    def test_marks_of_advertising_reach_the_site(self):
        marks = (
            "utm_term=crm&utm_content=b&utm_id=7&gclsrc=aw&gad_campaignid=1&dclid=2"
            "&epik=3&ScCid=4"
        )
        target = self.follow(f"DRONA29?{marks}&x=1").headers["Location"]
        self.assertIn(f"?{marks}&via=", target)
        self.assertEqual(self.visits().ad_network, "Google Ads")

    def test_addresses_that_are_none_lead_to_the_site(self):
        for to in (
            *("//[", "https://[", "https://acme.example:abc/", "https://acme.io:99999"),
            *("%ED%A0%80", "https://acme.example%00/"),
        ):
            with self.subTest(to):
                answer = self.follow(f"DRONA29?to={to}")
                self.assertEqual(answer.status_code, 302)
                target = answer.headers["Location"].partition("?")[0]
                if "//" in to:
                    self.assertEqual(target, "https://acme.example/pricing")
                else:
                    self.assertTrue(target.startswith("https://acme.example/"))

    def test_lone_surrogates_are_refused(self):
        reference = f"DRONA29_{self.new_visitor()}"
        for what, body, status in (
            ("click", {"reference": reference, "url": f"{SITE}/\ud800"}, 400),
            ("click", {"reference": "\ud800", "url": f"{SITE}/"}, 400),
            ("lead", {"reference": reference, "email": "a\ud800@example.com"}, 422),
            ("lead", {"reference": reference, "email": "a@\ud800.com"}, 422),
        ):
            with self.subTest(body):
                self.assertEqual(self.send(what, body).status_code, status)
        self.assertFalse(self.visits() or self.leads())
        self.visit(referrer="https://blog.example/\ud800")
        self.assertFalse(self.visits().referrer)

    def test_links_to_no_address_are_refused(self):
        for page in ("//[", "https://acme.example:abc/", "https://[::1"):
            with self.assertRaisesRegex(UserError, "Links lead to acme.example"):
                self.drona.code_ids._make_link(page)
        with self.assertRaisesRegex(UserError, "A sub-id has at most"):
            self.drona.code_ids._make_link(sub_id="<b>")
        with self.assertRaisesRegex(UserError, "A sub-id has at most"):
            self.drona.code_ids._make_link(campaign="a > b")

    def test_a_site_is_an_address(self):
        self.program.signup_url = " acme.example/plans "
        self.assertEqual(self.program.signup_url, "https://acme.example/plans")
        self.env.flush_all()
        target = self.follow("DRONA29").headers["Location"]
        self.assertEqual(target.partition("?")[0], "https://acme.example/plans")
        self.visit()
        for site in (
            *("javascript:alert(1)", "https://[", "a b", "https://acme:x/"),
            *("https://b\N{COMBINING DIAERESIS}..example/", "https://ü" + "x" * 80),
        ):
            with self.subTest(site), self.assertRaises(ValidationError):
                self.program.signup_url = site

    def test_a_site_of_any_alphabet(self):
        """Browsers name such a host in ASCII."""
        self.program.write(
            {
                "signup_url": "Bücher.example/preise?für=alle",
                "allowed_domains": "straße.example, acme.io https://пример.example/x",
            }
        )
        sites = ("xn--bcher-kva", "xn--strae-oqa", "acme.io", "xn--e1afmkfd")
        for site in sites:
            host = site if "." in site else f"{site}.example"
            body = {
                "reference": f"DRONA29_{self.new_visitor()}",
                "url": f"https://{host}/",
            }
            answer = self.send("click", body, origin=f"https://www.{host}")
            self.assertEqual(answer.status_code, 200, site)
        self.assertEqual(len(self.visits()), len(sites))
        target = self.follow("DRONA29").headers["Location"]
        self.assertTrue(
            target.startswith("https://xn--bcher-kva.example/preise?f%C3%BCr=alle&via=")
        )


@tagged("post_install", "-at_install")
class TestPeopleAndRobots(TrackingCase):
    def counts(self, agent, **headers):
        before = len(self.visits())
        self.opener.cookies.clear()
        self.assertEqual(
            self.follow(
                "DRONA29", {**BROWSER, "User-Agent": agent, **headers}
            ).status_code,
            302,
        )
        return len(self.visits()) > before

    def test_browsers_inside_apps_are_people(self):
        for agent in (
            f"{PHONE} Instagram 300.0.0.0 (iPhone14,2; iOS 18_1; de_DE)",
            f"{PHONE} [Pinterest/iOS]",
            f"{ANDROID} Instagram 302.0 Android (35/15; 420dpi)",
            f"{ANDROID} [Pinterest/Android]",
            f"{ANDROID} WhatsApp/2.25",
        ):
            with self.subTest(agent):
                self.assertTrue(self.counts(agent))

    def test_who_fetches_a_preview_is_none(self):
        for agent in (
            "WhatsApp/2.23.20.0 A",
            "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
            "Pinterest/0.2 (+https://www.pinterest.com/bot.html)",
            f"{ANDROID} (compatible; Pinterestbot/1.0; +https://pinterest.com/bot.html)",
            "Mozilla/5.0 (compatible; Pinterestbot/1.0)",
            f"{ANDROID} (compatible; Googlebot/2.1)",
            "Instagram 300.0",
        ):
            with self.subTest(agent):
                self.assertFalse(self.counts(agent))

    def test_what_a_page_loads_by_itself_is_no_visit(self):
        """A page of an affiliate makes no visits of its readers."""
        for loaded in ("image", "iframe", "script", "style", "empty", "video"):
            with self.subTest(loaded):
                self.assertFalse(self.counts(PHONE, **{"Sec-Fetch-Dest": loaded}))
        for followed in (
            {"Sec-Fetch-Dest": "document"},
            {"Sec-Fetch-Dest": "document", "Sec-Fetch-User": "?1"},
            {"Sec-Fetch-Dest": "iframe", "Sec-Fetch-User": "?1"},
        ):
            with self.subTest(**followed):
                self.assertTrue(self.counts(PHONE, **followed))

    def test_looking_at_the_head_is_no_visit(self):
        answer = self.url_open(
            "/a/DRONA29", method="HEAD", headers=BROWSER, allow_redirects=False
        )
        self.assertEqual(answer.status_code, 302)
        self.assertFalse(self.visits())

    def test_signals_are_obeyed_where_the_programme_says_so(self):
        for signal in ("Sec-GPC", "DNT"):
            self.assertTrue(self.counts(BROWSER["User-Agent"], **{signal: "1"}))
        self.program.respect_privacy_signals = True
        self.env.flush_all()
        for signal in ("Sec-GPC", "DNT"):
            self.assertFalse(self.counts(BROWSER["User-Agent"], **{signal: "1"}))
            answer = self.follow("DRONA29", {**BROWSER, signal: "1"})
            self.assertTrue(answer.headers["Location"].endswith("?via=DRONA29"))
            self.assertNotIn("affiliate_ref", str(answer.headers))
        self.assertTrue(self.counts(BROWSER["User-Agent"], DNT="0"))


@tagged("post_install", "-at_install")
class TestTheCookieOfALink(TrackingCase):
    def cookie(self):
        return self.opener.cookies.get("affiliate_ref", path="/")

    def test_first_contact_keeps_the_first(self):
        self.follow("DRONA29")
        first = self.cookie()
        answer = self.follow("BOB30")
        self.assertNotIn("Set-Cookie", answer.headers, "its days are not renewed")
        self.assertEqual(self.cookie(), first)
        visitor = first.partition("_")[2]
        self.assertEqual(self.visits().mapped("visitor"), [visitor] * 2)
        self.assertIn(f"via=BOB30_{visitor}", answer.headers["Location"])

    def test_last_contact_takes_the_last(self):
        self.program.attribution_model = "last"
        self.env.flush_all()
        self.follow("DRONA29")
        self.follow("BOB30")
        self.assertTrue(self.cookie().startswith("BOB30_"))

    def test_a_code_that_counts_no_more_gives_way(self):
        self.follow("BOB30")
        self.bob.action_suspend()
        self.env.flush_all()
        self.follow("DRONA29")
        self.assertTrue(self.cookie().startswith("DRONA29_"))

    def test_a_code_of_another_programme_gives_way(self):
        other = self.make_program(name="Other", signup_url="https://other.example")
        cleo = self.make_affiliate(other, "Cleo Otto")
        self.follow(cleo.code)
        self.follow("DRONA29")
        self.assertTrue(self.cookie().startswith("DRONA29_"))
