"""Where visitors come from: paid advertising, search engines, robots, and pages that
load links as images."""

import html
import re
import time
from urllib.parse import urljoin

from freezegun import freeze_time

from odoo.tests import tagged

from ..controllers.confirming import PAGE, POLICY
from .foreign_site import ForeignSiteCase
from .test_addresses import PROXIED, ProxyCase
from .test_links import BROWSER, SITE, TrackingCase
from .test_policy import VisitCase

SILENT = {"User-Agent": BROWSER["User-Agent"]}


@tagged("post_install", "-at_install")
class TestWhereVisitsComeFrom(TrackingCase):
    def followed(self, path, **headers):
        """The visit by a link, as one who comes for the first time."""
        self.opener.cookies.clear()
        before = self.visits()
        self.follow(path, {**BROWSER, **headers})
        return self.visits() - before

    def test_paid_advertising_by_a_link(self):
        for query, network in (
            ("gclid=1", "Google Ads"),
            ("GCLID=1", "Google Ads"),
            ("yclid=1", "Yandex Direct"),
            ("utm_medium=cpc", "cpc"),
            ("utm_source=google&utm_medium=CPC", "google (CPC)"),
            ("utm_medium=paid_social&utm_source=meta", "meta (paid_social)"),
            ("utm_medium=cpc%3Cb%3E", "utm_medium"),
            ("to=/pricing%3Fgclid%3D1", "Google Ads"),
            ("to=https://acme.example/pricing%3FMSCLKID%3D1", "Microsoft Advertising"),
            ("to=/pricing%23gclid%3D1", "Google Ads"),
            ("to=/%23/plans%3Fttclid%3D1", "TikTok"),
            ("utm_medium=email", False),
            ("utm_medium=social&utm_source=paidposts", False),
            ("utm_medium=newscpchannel", False),
            ("utm_medium=cpa", False),
            ("to=/gclid", False),
            ("gclid=", False),
        ):
            with self.subTest(query):
                self.assertEqual(self.followed(f"DRONA29?{query}").ad_network, network)

    def test_paid_advertising_on_a_page_with_the_script(self):
        for url, network in (
            (f"{SITE}/?Gclid=1", "Google Ads"),
            (f"{SITE}/#/plans?gclid=1", "Google Ads"),
            (f"{SITE}/#top&yclid=1", "Yandex Direct"),
            (f"{SITE}/?utm_medium=ppc", "ppc"),
            (f"{SITE}/?via=DRONA29", False),
        ):
            with self.subTest(url):
                before = self.visits()
                self.visit(url=url)
                self.assertEqual((self.visits() - before).ad_network, network)

    def test_what_marks_an_advertisement_reaches_the_site(self):
        target = self.follow("DRONA29?GCLID=1&UTM_Medium=cpc&yclid=2").headers
        self.assertIn("?GCLID=1&UTM_Medium=cpc&yclid=2&via=", target["Location"])

    def test_search_engines(self):
        for page, engine in (
            ("https://www.google.com/", "Google"),
            ("https://www.google.co.uk/search?q=acme+coupon", "Google"),
            ("https://www.bing.com/", "Bing"),
            ("https://duckduckgo.com/", "DuckDuckGo"),
            ("https://yandex.ru/", "Yandex"),
            ("https://ya.ru/", "Yandex"),
            ("https://r.search.yahoo.com/x", "Yahoo"),
            ("https://mail.google.com/", False),
            ("https://docs.google.com/document", False),
            ("https://google.com.evil.example/", False),
            ("https://notbing.com/", False),
            ("https://blog.example/", False),
            ("", False),
        ):
            with self.subTest(page):
                visit = self.followed("DRONA29", Referer=page)
                self.assertEqual(visit.search_engine, engine)
                before = self.visits()
                self.visit(referrer=page)
                self.assertEqual((self.visits() - before).search_engine, engine)
        found = self.followed("DRONA29?to=/%3Fysclid%3D1")
        self.assertEqual(found.search_engine, "Yandex")

    def test_an_advertisement_on_a_search_engine_is_one(self):
        visit = self.followed("DRONA29?gclid=1", Referer="https://www.google.com/")
        self.assertEqual((visit.ad_network, visit.search_engine), ("Google Ads", False))

    def test_who_says_nothing_of_himself_is_a_robot(self):
        for agent in (
            *("", "curl/8.5", "python-requests/2.32", "Mozilla/5.0 HeadlessChrome"),
            "Mozilla/5.0 (compatible; GPTBot/1.2; +https://openai.com/gptbot)",
            "Googlebot/2.1 " + "x" * 5000,
        ):
            with self.subTest(agent[:40]):
                self.assertFalse(self.followed("DRONA29", **{"User-Agent": agent}))
        phone = (
            "Mozilla/5.0 (Linux; Android 9; CUBOT X19) Chrome/141.0 Mobile Safari/537"
        )
        self.assertTrue(self.followed("DRONA29", **{"User-Agent": phone}))


@tagged("post_install", "-at_install")
class TestPolicyOfSearchEngines(VisitCase):
    def found_by(self, policy):
        self.program.search_policy = policy
        self.visit(self.drona, 0, search_engine="Bing")
        self.buy(1, self.drona)
        return self.env["affiliate.referral.flag"].search([])

    def test_they_are_allowed_unless_somebody_says_otherwise(self):
        self.assertEqual(self.program.search_policy, "allow")
        self.assertFalse(self.found_by("allow"))
        self.assertFalse(self.rows().on_hold)

    def test_held(self):
        flag = self.found_by("hold")
        self.assertEqual(flag.kind, "search")
        self.assertIn("Bing", flag.note)
        self.assertTrue(self.rows().on_hold)

    def test_blocked(self):
        self.found_by("block")
        self.assert_nobody()

    def test_who_is_bound_stays_bound(self):
        """What was kept by an older version says nothing of search engines."""
        self.found_by("allow")
        bound = self.bound()
        evidence = bound.evidence
        for policy in (*evidence["policies"].values(), evidence["kept"]["policy"]):
            del policy["search"]
        del evidence["kept"]["search"]
        bound.sudo().evidence = evidence
        self.program.search_policy = "block"
        self.pay(40)
        self.assertEqual(self.bound().affiliate_id, self.drona)
        self.assertFalse(self.rows().filtered("on_hold"))


@tagged("post_install", "-at_install")
class TestImages(ProxyCase):
    """Browsers that do not say how they load an address."""

    def page(self, path="DRONA29", headers=None):
        answer = self.follow(path, {**SILENT, **(headers or {})})
        self.assertEqual(answer.status_code, 200)
        return answer

    def onward(self, page):
        """The address that the page leads on to."""
        url = re.search(r'http-equiv="refresh" content="0; url=([^"]*)"', page.text)[1]
        return urljoin(page.url, html.unescape(url)).partition("/a/")[2]

    def test_an_image_or_a_frame_makes_no_visit(self):
        page = self.page()
        self.assertFalse(self.visits())
        self.assertNotIn("Set-Cookie", page.headers)
        self.assertEqual(page.headers["X-Frame-Options"], "DENY")
        self.assertIn("frame-ancestors 'none'", page.headers["Content-Security-Policy"])
        self.assertIn("no-store", page.headers["Cache-Control"])
        self.assertIn("Continue to acme.example", page.text)

    def test_who_goes_there_counts_once(self):
        referer = {"Referer": "https://blog.example/post?a=b"}
        page = self.page("DRONA29?utm_source=mail&sub=x&to=/plans%3Fgclid=1", referer)
        answer = self.follow(self.onward(page), {**SILENT, "Referer": page.url})
        self.assertEqual(answer.status_code, 302)
        visit = self.visits()
        self.assertEqual(len(visit), 1)
        self.assertEqual(
            answer.headers["Location"],
            f"{SITE}/plans?gclid=1&utm_source=mail&sub=x&via=DRONA29_{visit.visitor}",
        )
        self.assertEqual(visit.referrer, "blog.example")
        self.assertEqual((visit.sub_id, visit.ad_network), ("x", "Google Ads"))
        self.assertIn(f"DRONA29_{visit.visitor}", str(answer.headers["Set-Cookie"]))
        self.follow(self.onward(page), SILENT)
        self.assertEqual(self.visits(), visit)

    def leads_on_uncounted(self, path, headers=None):
        answer = self.follow(path, headers or SILENT)
        self.assertEqual(answer.status_code, 302, "nobody is sent in a circle")
        self.assertTrue(answer.headers["Location"].endswith("?via=DRONA29"))
        self.assertFalse(self.visits())

    def test_a_pass_is_good_for_a_while_only(self):
        onward = self.onward(self.page())
        with freeze_time("2999-01-01"):
            self.leads_on_uncounted(onward)

    def test_a_pass_that_is_none(self):
        for seen in ("", "x", "%00", "AAAA", "ü" * 9, "AQ" * 40):
            self.leads_on_uncounted(f"DRONA29?seen={seen}")

    def test_a_pass_of_another_link_or_browser(self):
        onward = self.onward(self.page("BOB30"))
        self.leads_on_uncounted(onward.replace("BOB30", "DRONA29"))
        onward = self.onward(self.page())
        agent = "Mozilla/5.0 (Windows NT 10.0) Firefox/139.0"
        self.leads_on_uncounted(onward, {"User-Agent": agent})

    def test_a_pass_fetched_elsewhere(self):
        """An affiliate's server fetches passes, his readers' browsers load them."""
        self.behind_a_proxy()
        onward = self.onward(self.page(headers=PROXIED))
        other = {**PROXIED, "X-Forwarded-For": "198.51.100.1"}
        self.leads_on_uncounted(onward, {**SILENT, **other})

    def test_a_pass_in_an_image_of_a_browser_that_says_so(self):
        onward = self.onward(self.page())
        self.leads_on_uncounted(onward, {**SILENT, "Sec-Fetch-Dest": "image"})

    def test_robots_are_led_on_at_once(self):
        self.leads_on_uncounted("DRONA29", {"User-Agent": "Slackbot 1.0"})

    def test_what_is_no_link(self):
        self.bob.action_suspend()
        for code in ("NOBODY", "BOB30"):
            answer = self.follow(code, SILENT)
            self.assertEqual(answer.headers["Location"], "https://acme.example/pricing")

    def test_nothing_typed_into_a_link_becomes_html(self):
        page = self.page('DRONA29?utm_source="><b>&to="/><script>alert(1)</script>')
        self.assertNotIn("<b>", page.text)
        self.assertEqual(page.text.count("<script"), 1)

    def test_the_page_speaks_the_visitors_language(self):
        self.env["res.lang"]._activate_lang("de_DE")
        page = self.page(headers={"Accept-Language": "xx, de;q=0.5"})
        self.assertIn("acme.example", page.text)


class TestThePageInABrowser(ForeignSiteCase):
    """What a browser makes of the page that leads on; the site shows it here, because
    Chromium tells our server on this machine how it loads an address."""

    def setUp(self):
        super().setUp()
        page = PAGE.format(url="/on?a=1&b=2", title="Acme", text="Continue to Acme")
        self.site.pages["/a"] = (page, POLICY)
        self.site.pages["/on"] = ("<!DOCTYPE html><title>on</title>", "")

    def asked(self, path):
        return [url for _method, url, _body in self.visitor.requests if path in url]

    def test_a_visitor_is_led_on(self):
        self.visit("/a", ready=False)
        self.visitor.until("location.pathname == '/on'")
        self.assertEqual(self.js("location.search"), "?a=1&b=2")

    def test_what_a_page_loads_is_not(self):
        page = (
            '<img src="/a?1"><iframe src="/a?2"></iframe><object data="/a?3"></object>'
        )
        self.site.pages["/"] = (f"<!DOCTYPE html>{page}", "")
        self.visitor.requests.clear()
        self.visit(ready=False)
        self.visitor.until("document.readyState == 'complete'")
        time.sleep(1)  # for what should not happen
        self.assertEqual(len(self.asked("/a?")), 3)
        self.assertEqual(self.asked("/on?"), [])


@tagged("post_install", "-at_install")
class TestTheCookiesDomain(TrackingCase):
    def cookie(self, site, host):
        self.program.signup_url = f"https://{site}/"
        self.env.flush_all()
        self.opener.cookies.clear()
        answer = self.follow("DRONA29", {**BROWSER, "Host": host})
        return re.search(r"Domain=([^;]*)", answer.headers["Set-Cookie"])

    def test_it_is_one_that_browsers_take(self):
        for site, host, domain in (
            ("acme.co.uk", "go.acme.co.uk", "acme.co.uk"),
            ("www.acme.com", "odoo.acme.com", "acme.com"),
            ("app.acme.com", "go.acme.com", "acme.com"),
            ("acme.github.io", "bob.github.io", None),
            ("github.io", "bob.github.io", None),
            ("acme.co.uk", "other.co.uk", None),
            ("acme.com", "127.0.0.1", None),
        ):
            with self.subTest(site=site, host=host):
                found = self.cookie(site, host)
                self.assertEqual(found and found[1], domain)


@tagged("post_install", "-at_install")
class TestSpellings(VisitCase):
    def test_a_domain_of_another_alphabet_is_one(self):
        """The form has one spelling, Stripe the other."""
        self.visit(self.drona, 0)
        claim = self.lead(self.drona, 0, email="jane@bücher.example")
        self.assertEqual(claim.email_normalized, "jane@xn--bcher-kva.example")
        found = claim._claims_for(self.account, "jane@bücher.example")
        self.assertEqual(found, claim)
        self.pay(1, email="jane@xn--bcher-kva.example")
        self.assertEqual(self.bound().affiliate_id, self.drona)
