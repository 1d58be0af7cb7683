"""Affiliates' links, visits, and the e-mail addresses scripts hand in."""

import json

from psycopg2 import IntegrityError

from odoo.exceptions import ValidationError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common import StripeCase

BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0",
    "Sec-Fetch-Dest": "document",
}
SITE = "https://acme.example"


class TrackingCase(StripeCase):
    """A programme on a foreign site, and what its script would send."""

    def setUp(self):
        super().setUp()
        website = self.env["website"].sudo().get_current_website()
        website.company_id = self.env.company
        self.program = self.make_program(allowed_domains="acme.io")
        self.drona = self.make_affiliate(self.program)
        self.bob = self.make_affiliate(self.program, "Bob Ray")

    def visits(self, **domain):
        self.env.invalidate_all()
        domain = [(name, "=", value) for name, value in domain.items()]
        return self.env["affiliate.click"].search(domain, order="id")

    def follow(self, path, headers=None):
        return self.url_open(
            f"/a/{path}", headers=headers or BROWSER, allow_redirects=False
        )

    def send(self, what, body, origin=SITE, key=None, headers=None):
        self.env.flush_all()
        return self.url_open(
            f"/affiliate/v1/{key or self.program.public_key}/{what}",
            data=body if isinstance(body, bytes | str) else json.dumps(body),
            headers={
                **BROWSER,
                "Content-Type": "text/plain",
                **({"Origin": origin} if origin else {}),
                **(headers or {}),
            },
        )

    def visit(self, code="DRONA29", visitor=None, url=f"{SITE}/pricing", **body):
        visitor = visitor or self.new_visitor()
        reference = f"{code}_{visitor}"
        answer = self.send("click", {"reference": reference, "url": url, **body})
        self.assertEqual(answer.status_code, 200, answer.text)
        return answer.json()["reference"]

    def leads(self):
        self.env.invalidate_all()
        return self.env["affiliate.referral"].search([("source", "=", "sdk")])


@tagged("post_install", "-at_install")
class TestLinks(TrackingCase):
    def test_leads_to_the_site_and_counts(self):
        answer = self.follow("drona29?utm_source=mail&sub=footer&x=1")
        self.assertEqual(answer.status_code, 302)
        visit = self.visits()
        self.assertEqual(visit.affiliate_id, self.drona)
        self.assertEqual((visit.utm_source, visit.sub_id), ("mail", "footer"))
        self.assertEqual(
            answer.headers["Location"],
            "https://acme.example/pricing?utm_source=mail&sub=footer"
            f"&via=DRONA29_{visit.visitor}",
        )
        self.assertIn(f"affiliate_ref=DRONA29_{visit.visitor}", str(answer.headers))

    def test_deep_links_stay_on_the_programmes_domains(self):
        for to, leads_to in (
            ("/features", "https://acme.example/features"),
            ("https://app.acme.io/x", "https://app.acme.io/x"),
            ("https://evil.example/", "https://acme.example/pricing"),
            ("//evil.example/", "https://acme.example/pricing"),
            ("https://acme.example.evil.example", "https://acme.example/pricing"),
            ("https://acme.example@evil.example", "https://acme.example/pricing"),
            ("javascript:alert(1)", "https://acme.example/pricing"),
            ("https://evil.example\\@acme.example", "https://acme.example/pricing"),
            ("\\\\evil.example", None),
        ):
            with self.subTest(to):
                answer = self.follow(f"DRONA29?to={to}")
                target = answer.headers["Location"].partition("?")[0]
                if leads_to:
                    self.assertEqual(target, leads_to)
                else:
                    self.assertTrue(target.startswith("https://acme.example/"))

    def test_the_query_of_a_deep_link_stays_as_it_is(self):
        for to, leads_to in (
            ("/index.php?/signup", "/index.php?/signup&via="),
            ("/x?p%26sig%3Da%252Fb%2520c", "/x?p&sig=a%2Fb%20c&via="),
            ("/%3Fsearch%3Dfür", "/?search=f%C3%BCr&via="),
        ):
            with self.subTest(to):
                target = self.follow(f"DRONA29?to={to}").headers["Location"]
                self.assertTrue(target.startswith(SITE + leads_to), target)

    def test_repeated_hits_are_one_visit(self):
        self.follow("DRONA29")
        self.follow("DRONA29")
        self.assertEqual(len(self.visits()), 1, "the cookie tells who it is")
        self.follow("BOB30")
        self.assertEqual(len(self.visits().mapped("visitor")), 2)
        self.assertEqual(len(set(self.visits().mapped("visitor"))), 1)

    def test_robots_and_prefetching_lead_on_but_do_not_count(self):
        for headers in (
            {"User-Agent": "Googlebot/2.1"},
            {**BROWSER, "Sec-Purpose": "prefetch;prerender"},
            {**BROWSER, "Purpose": "prefetch"},
        ):
            answer = self.follow("DRONA29", headers)
            self.assertTrue(answer.headers["Location"].endswith("?via=DRONA29"))
        self.assertFalse(self.visits())

    def test_unknown_and_suspended(self):
        for code in ("NOBODY", "<b>", "x" * 300, "DRONA29_short"):
            answer = self.follow(code)
            self.assertEqual(answer.headers["Location"], f"{SITE}/pricing")
        self.bob.action_suspend()
        answer = self.follow("BOB30")
        self.assertEqual(answer.headers["Location"], "https://acme.example/pricing")
        self.assertFalse(self.visits())


@tagged("post_install", "-at_install")
class TestVisits(TrackingCase):
    def test_the_script_tells_of_a_visit(self):
        url = f"{SITE}/pricing?via=DRONA29&gclid=1&utm_campaign=a%20b#x"
        reference = self.visit(url=url, referrer="https://blog.example/post?a=b")
        visit = self.visits()
        self.assertEqual(f"DRONA29_{visit.visitor}", reference)
        self.assertEqual(visit.landing_url, f"{SITE}/pricing")
        self.assertEqual(visit.referrer, "blog.example")
        self.assertEqual(visit.ad_network, "Google Ads")
        self.assertEqual(visit.utm_campaign, "a b")
        self.assertTrue(visit.ip_hash)
        self.assertNotIn("127.0.0.1", visit.ip_hash)

    def test_one_visitor_keeps_one_id(self):
        answer = self.follow("DRONA29")
        on_the_way = self.visits().visitor
        own = self.new_visitor()
        self.visit(visitor=own, was=on_the_way)
        self.assertEqual(self.visits().visitor, own, answer.headers)

    def test_refused(self):
        good = {"reference": f"DRONA29_{self.new_visitor()}", "url": f"{SITE}/"}
        for status, body, options in (
            (403, good, {"origin": "https://evil.example"}),
            (403, good, {"origin": None}),
            (403, good, {"origin": "null"}),
            (404, good, {"key": "unknown"}),
            (413, "x" * 20_000, {}),
            (400, "{", {}),
            (400, "[]", {}),
            (400, b"\xff\xfe", {}),
            (400, "[" * 5000, {}),
            (400, {**good, "reference": "<b>"}, {}),
            (400, {**good, "reference": 7}, {}),
            (400, {**good, "url": "https://evil.example/"}, {}),
            (400, {**good, "url": "javascript:alert(1)"}, {}),
            (400, {**good, "url": f"{SITE}/<b>"}, {}),
            (400, {**good, "url": ["x"]}, {}),
            (400, {**good, "was": "'; drop table"}, {}),
        ):
            with self.subTest(status=status, body=str(body)[:60]):
                answer = self.send("click", body, **options)
                self.assertEqual(answer.status_code, status)
        self.assertFalse(self.visits())

    def test_our_server_says_who_the_visitor_is(self):
        """It issues an id, and believes in no other: whoever makes one up gets a new
        one."""
        own = self.visit()
        self.assertRegex(own, r"^DRONA29_[A-Za-z0-9]{20}[0-9a-f]{12}$")
        visitor = own.partition("_")[2]
        self.assertEqual(self.visit(visitor=visitor), own)
        self.assertEqual(self.visits().visitor, visitor)
        for made_up in (
            "x" * 22,
            visitor[::-1],
            visitor[:-1] + ("0" if visitor[-1] != "0" else "1"),
            visitor.swapcase(),
            "A" + visitor[1:],
            visitor[:31],
            visitor + "0",
        ):
            with self.subTest(made_up):
                known = self.visits()
                issued = self.visit(visitor=made_up).partition("_")[2]
                self.assertNotIn(issued, (made_up, visitor))
                self.assertEqual((self.visits() - known).visitor, issued)
                self.assertFalse(self.visits(visitor=made_up))
        bare = self.send("click", {"reference": "BOB30", "url": f"{SITE}/"}).json()
        self.assertEqual(bare["reference"], f"BOB30_{self.visits()[-1].visitor}")

    def test_ids_of_a_database_that_was_restored_are_known_by_their_visits(self):
        reference = self.visit()
        parameters = self.env["ir.config_parameter"].sudo()
        parameters.set_param("database.secret", "another one")
        self.assertEqual(self.visit(visitor=reference.partition("_")[2]), reference)
        self.assertEqual(len(self.visits()), 1)

    def test_who_is_not_recorded_gets_no_id(self):
        body = {"reference": "DRONA29", "url": f"{SITE}/", "store": True}
        self.program.respect_privacy_signals = True
        for headers in ({"User-Agent": "Googlebot/2.1"}, {"DNT": "1"}):
            answer = self.send("click", body, headers=headers)
            self.assertEqual(answer.json(), {"reference": "DRONA29"})
            self.assertNotIn("Set-Cookie", answer.headers)
        answer = self.send("click", {**body, "reference": "NOBODY1"})
        self.assertEqual(answer.json(), {"reference": "NOBODY1"})
        self.assertFalse(self.visits())

    def test_a_link_believes_no_made_up_cookie(self):
        made_up = f"BOB30_{'x' * 22}"
        self.opener.cookies.set("affiliate_ref", made_up, domain="127.0.0.1")
        answer = self.follow("DRONA29")
        visitor = self.visits().visitor
        self.assertNotEqual(visitor, "x" * 22)
        self.assertIn(f"via=DRONA29_{visitor}", answer.headers["Location"])
        self.assertIn(f"affiliate_ref=DRONA29_{visitor}", str(answer.headers))

    def test_another_programmes_code_is_not_counted(self):
        other = self.make_program(name="Other", signup_url="https://other.example")
        self.make_affiliate(other, "Cleo Otto")
        code = self.env["affiliate.code"].search([("program_id", "=", other.id)]).code
        self.visit(code)
        self.assertFalse(self.visits())

    def test_a_flood_is_not_recorded_and_hinders_nobody(self):
        for _number in range(60):
            self.visit()
        one_more = {"reference": f"DRONA29_{self.new_visitor()}", "url": f"{SITE}/"}
        self.assertEqual(self.send("click", one_more).status_code, 429)
        self.assertEqual(self.follow("DRONA29").status_code, 302, "who came goes on")
        self.assertEqual(len(self.visits()), 60)
        self.env["affiliate.click"].sudo().search([]).write({"ip_hash": "another"})
        self.env.flush_all()
        self.visit()
        self.assertEqual(len(self.visits()), 61)

    def test_only_own_sites_may_read_the_answer(self):
        answer = self.url_open(
            f"/affiliate/v1/{self.program.public_key}/click",
            method="OPTIONS",
            headers={"Origin": "https://app.acme.io"},
        )
        self.assertEqual(
            answer.headers["Access-Control-Allow-Origin"], "https://app.acme.io"
        )
        answer = self.url_open(
            f"/affiliate/v1/{self.program.public_key}/click",
            method="OPTIONS",
            headers={"Origin": "https://evil.example"},
        )
        self.assertNotIn("Access-Control-Allow-Origin", answer.headers)


@tagged("post_install", "-at_install")
class TestLeads(TrackingCase):
    def test_an_address_is_mapped_once(self):
        reference = self.visit()
        for _time in range(2):
            answer = self.send(
                "lead", {"email": " Jane.Doe@Example.com ", "reference": reference}
            )
            self.assertEqual((answer.status_code, answer.text), (204, ""))
        lead = self.leads()
        self.assertEqual(lead.affiliate_id, self.drona)
        self.assertEqual(lead.email_normalized, "jane.doe@example.com")

    def test_without_a_visit_the_code_counts(self):
        for reference in ("BOB30", f"BOB30_{self.new_visitor()}"):
            self.send("lead", {"email": "x@example.com", "reference": reference})
        self.assertEqual(self.leads().affiliate_id, self.bob)

    def test_nobody_brought_him(self):
        for reference in (None, "", "NOBODY", "<b>", 7, ["x"], "x" * 500):
            body = {"email": "x@example.com", "reference": reference}
            self.assertEqual(self.send("lead", body).status_code, 204)
        self.assertFalse(self.leads())

    def test_no_address(self):
        for email in (None, "", "jane", "jane@localhost", "a@b.c, d@e.f", 7, "<b>@x"):
            body = {"email": email, "reference": "BOB30"}
            self.assertEqual(self.send("lead", body).status_code, 422, email)
        self.assertFalse(self.leads())

    def test_too_many_from_one_address(self):
        statuses = [
            self.send(
                "lead", {"email": f"x{number}@example.com", "reference": "BOB30"}
            ).status_code
            for number in range(62)
        ]
        self.assertEqual(statuses.count(429), 2)
        self.assertEqual(len(self.leads()), 60)


@tagged("post_install", "-at_install")
class TestLinkWizard(TrackingCase):
    def test_link_and_qr_code(self):
        wizard = self.env["affiliate.link.wizard"].create(
            {"affiliate_id": self.drona.id, "page": "/features", "sub_id": "card"}
        )
        self.assertEqual(wizard.code_id, self.drona.code_ids)
        self.assertEqual(
            wizard.link, "https://acme.example/features?sub=card&via=DRONA29"
        )
        self.assertTrue(wizard.qr_code)
        path = wizard.short_link.partition("/a/")[2]
        self.assertIn(
            "https://acme.example/features?", self.follow(path).headers["Location"]
        )
        self.assertEqual(self.visits().sub_id, "card")
        self.assertEqual(self.drona.visit_count, 1)

    def test_what_is_wrong_is_said(self):
        wizard = self.env["affiliate.link.wizard"].create(
            {"affiliate_id": self.drona.id, "page": "https://evil.example"}
        )
        self.assertEqual(wizard.problem, "Links lead to acme.example, acme.io only.")
        self.assertFalse(wizard.link or wizard.qr_code)

    def test_the_first_link_parameter_is_used(self):
        self.program.link_parameters = "ref, via"
        self.assertEqual(self.drona.link, "https://acme.example/pricing?ref=DRONA29")
        self.env.flush_all()
        self.assertIn("?ref=DRONA29_", self.follow("DRONA29").headers["Location"])

    def test_settings_that_cannot_work_are_refused(self):
        for values, refusal in (
            ({"allowed_domains": "acme.io, not a domain"}, ValidationError),
            ({"allowed_domains": "<b>"}, ValidationError),
            ({"link_parameters": "via, re f="}, ValidationError),
            ({"link_parameters": ","}, ValidationError),
            ({"cookie_days": 0}, IntegrityError),
        ):
            with (
                self.subTest(values),
                self.assertRaises(refusal),
                self.env.cr.savepoint(),
                mute_logger("odoo.sql_db"),
            ):
                self.program.write(values)
                self.env.flush_all()
