"""What browsers send: addresses, references, marks; parsed or left out, never fatal."""

import hmac
import unittest

from odoo.addons.affiliate_stripe.lib import visits

SITE = "https://acme.example/pricing"


class TestVisits(unittest.TestCase):
    def test_values_of_people_do_not_cost_the_visit(self):
        visit = visits.parse_visit(
            f"{SITE}?sub=Pro%20Plan&utm_source=a%3Eb&utm_medium=%00&utm_campaign="
            + "x" * 300,
            "https://some_user.livejournal.com/1",
        )
        self.assertEqual(visit.landing_url, SITE)
        self.assertEqual(visit.sub_id, "Pro Plan")
        self.assertEqual((visit.utm_source, visit.utm_medium), ("", ""))
        self.assertEqual(visit.utm_campaign, "x" * 100)
        self.assertEqual(visit.referrer, "some_user.livejournal.com")

    def test_only_who_has_the_key_makes_ids(self):
        def sign(text, key="key"):
            return hmac.new(key.encode(), text.encode(), "sha256").hexdigest()

        made = {visits.new_visitor(sign) for _number in range(100)}
        self.assertEqual(len(made), 100)
        for visitor in made:
            self.assertRegex(visitor, r"^[A-Za-z0-9]{16,40}$")
            self.assertEqual(
                str(visits.parse_reference(f"A-1_{visitor}")).count("_"), 1
            )
            self.assertTrue(visits.is_issued(visitor, sign))
            self.assertFalse(visits.is_issued(visitor, lambda t: sign(t, "other")))
        for text in (
            *("", visitor[:20], visitor[:-1], visitor + "0", visitor[20:]),
            *(visitor[1:] + "0", "ä" * 32, "x" * 22, "\ud800" * 32),
        ):
            self.assertFalse(visits.is_issued(text, sign), text)

    def test_a_page_before_that_is_no_address_is_left_out(self):
        for referrer in (None, "", "<b>", "android-app://x", "https://a:b/", ["x"], 7):
            with self.subTest(referrer):
                self.assertEqual(visits.parse_visit(SITE, referrer).referrer, "")

    def test_what_is_no_address(self):
        for address in (
            *(None, 7, "", "acme.example", "//[", "https://[", "https://[::1"),
            *("https://acme.example:abc/", "https://acme.example:99999/"),
            *("https://acme.example/\ud800", "https://\ud800.example/"),
            *("javascript:alert(1)", "https://acme.example\\@evil.example"),
        ):
            with self.subTest(address):
                self.assertEqual(visits.host_of(address), "")
                self.assertEqual(visits.origin_of(address), "")
                with self.assertRaises(ValueError):
                    visits.parse_visit(address)

    def test_pages_of_a_site(self):
        for to, page in (
            ("/x", "https://acme.example/x"),
            ("?x=1", f"{SITE}?x=1"),
            ("https://app.acme.io/x", "https://app.acme.io/x"),
            ("", SITE),
            ("//[", ""),
            ("https://acme.example:abc/", ""),
            ("javascript:alert(1)", ""),
            ("/\ud800", ""),
        ):
            with self.subTest(to):
                self.assertEqual(visits.page_of(SITE, to), page)

    def test_a_query_stays_as_it_is_written(self):
        for query, result in (
            ("", "via=DRONA29"),
            ("/signup", "/signup&via=DRONA29"),
            ("/p/a%20b&flag&x=", "/p/a%20b&flag&x=&via=DRONA29"),
            ("a=%2F&sig=a%2Bb~", "a=%2F&sig=a%2Bb~&via=DRONA29"),
            ("via=OLD&a=1&v%69a=OLD&via", "a=1&via=DRONA29"),
            ("&&", "via=DRONA29"),
        ):
            with self.subTest(query):
                page = visits.with_parameters(
                    f"{SITE}?{query}#top", {"via": "DRONA29", "sub": ""}
                )
                self.assertEqual(page, f"{SITE}?{result}#top")

    def test_networks(self):
        for address, network in (
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
            ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
            ("a socket", "a socket"),
        ):
            self.assertEqual(visits.network_of(address), network)
