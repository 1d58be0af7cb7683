"""Leads anybody can make up: weak without a visit that our server has recorded.

At the doors: posts to ``/lead``, ``/click`` and the form, as a script or an attacker
would send them, and payments after that.
"""

from unittest.mock import patch

from lxml import html

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from ..controllers import tracking
from .common import NEW_YEAR, moment
from .test_addresses import PROXIED, ProxyCase
from .test_attribution import DAY
from .test_leads import LeadCase
from .test_links import BROWSER, SITE, TrackingCase

JANE = "jane@example.com"


class WeakCase(LeadCase):
    """Leads in the clock of the Stripe double, left by form or script."""

    def flags(self, **domain):
        return self.env["affiliate.referral.flag"].search(
            [(name, "=", value) for name, value in domain.items()], order="id"
        )

    def why(self, referral):
        """What the page says of each step, in order."""
        tree = html.fromstring(str(referral.why))
        return [" ".join(row.text_content().split()) for row in tree.xpath("//tr")]


@tagged("post_install", "-at_install")
class TestWeakLeads(WeakCase):
    def test_a_blind_lead_is_held(self):
        """The address of somebody who is about to pay by himself."""
        for number, source in enumerate(("form", "sdk")):
            with self.subTest(source):
                email = f"{source}@example.com"
                self.leave(self.drona, 60 * number, "", email, source)
                lead = self.claims(email)
                self.assertTrue(lead.without_visit)
                self.assertFalse(lead.flag_ids, "there is nothing to hold yet")
                self.pay(60 * number + 1, email)
                row = self.rows(referral_id=lead.id)
                self.assertEqual((row.amount, row.hold_reason), (30.00, "flag"))
                self.assertEqual(lead.flag_ids.mapped("kind"), ["no_visit"])
                self.assertIn("without a visit", lead.flag_ids.note)
                self.assertIn("had recorded no visit", self.why(lead)[0])
                self.double.advance(months=1)
                self.deliver()
                self.assertTrue(all(self.rows().mapped("on_hold")), "renewals too")

    def test_a_manager_decides(self):
        self.program.hold_days = 9999
        for email in ("one@example.com", "two@example.com"):
            self.leave(self.drona, 0, "", email)
            self.pay(1, email)
        first, second = self.flags()
        first.action_accept()
        self.assertEqual(self.rows().mapped("on_hold"), [False, True])
        second.action_refuse()
        self.assertEqual(self.rows().mapped("state"), ["pending", "void"])

    def test_a_visit_makes_it_a_lead_like_any_other(self):
        self.visit(self.drona, 0)
        lead = self.leave(self.drona, 0.5)
        self.assertFalse(lead.without_visit)
        self.pay(1)
        self.assert_owner(self.drona, 30.00, source="form")
        self.assertFalse(self.flags() or self.rows().on_hold)

    def test_accepted_where_the_program_says_so(self):
        self.program.no_visit_policy = "allow"
        self.leave(self.drona, 0, "")
        self.pay(1)
        self.assert_owner(self.drona, 30.00)
        self.assertFalse(self.flags() or self.rows().on_hold)

    def test_ignored_where_the_program_says_so(self):
        self.program.no_visit_policy = "block"
        lead = self.leave(self.drona, 0, "")
        self.assertTrue(lead, "it is there to be looked at")
        self.assertIn("ignores leads without a visit", self.why(lead)[0])
        self.pay(1)
        self.assert_nobody()
        self.assertIn("ignores leads without a visit", self.why(lead)[0])

    def test_another_setting_moves_nobody_who_is_bound(self):
        self.leave(self.drona, 0, "")
        self.pay(1)
        self.program.no_visit_policy = "block"
        self.double.advance(months=1)
        self.deliver()
        self.assert_owner(self.drona, 30.00, 30.00)

    def test_an_honest_visit_beats_a_blind_lead_before_it(self):
        """First contact or last, and whoever is heard of first."""
        for model in ("first", "last"):
            self.program.attribution_model = model
            for number, days in enumerate(((0, 1, 2), (3, 1, 2))):
                with self.subTest(model=model, days=days):
                    email = f"{model}{number}@example.com"
                    visitor = self.new_visitor()
                    blind, came, left = days
                    now = (self.double.clock.now() - NEW_YEAR) / DAY
                    self.leave(self.uma, now + blind, "", email)
                    self.visit(self.drona, now + came, visitor)
                    self.leave(self.drona, now + left, visitor, email)
                    self.pay(int(now + 5), email)
                    row = self.rows()[-1]
                    self.assertEqual(
                        (row.affiliate_id, row.on_hold), (self.drona, False)
                    )
                    blind = self.claims(email).filtered("without_visit")
                    self.assertIn("comes after all other evidence", str(blind.why))

    def test_a_customer_of_stripe_is_never_claimed(self):
        """Whatever the program says about existing customers: a trial, or one who pays
        rarely."""
        for existing in ("unpaid", "created_after", "any"):
            for policy in ("allow", "hold"):
                with self.subTest(existing=existing, policy=policy):
                    self.program.write(
                        {"existing_customers": existing, "no_visit_policy": policy}
                    )
                    email = f"{existing}.{policy}@example.com"
                    customer = self.shop.customer(email)
                    self.deliver()
                    now = (self.double.clock.now() - NEW_YEAR) / DAY
                    self.leave(self.drona, now + 1, "", email)
                    self.double.advance(days=2)
                    self.shop.subscribe(customer, self.price)
                    self.deliver()
                    self.assert_nobody()
                    self.assertRegex(
                        str(self.claims(email).why),
                        "in Stripe before it|person was a customer before",
                    )

    def test_a_visit_known_late_takes_the_person_back(self):
        """It was before the payment; whose it was is heard of afterwards."""
        self.leave(self.uma, 0, "")
        self.visit(self.drona, 1)
        self.pay(2)
        self.assert_owner(self.uma, 30.00)
        self.assertEqual(self.flags().affiliate_id, self.uma)
        self.leave(self.drona, 3)
        self.assertEqual(sum(self.rows(affiliate_id=self.uma.id).mapped("amount")), 0)
        own = self.rows(affiliate_id=self.drona.id)
        self.assertEqual((own.amount, own.on_hold), (30.00, False))
        self.assertFalse(
            self.flags(state="open"), "there is nothing to decide any more"
        )
        self.assertFalse(self.uma.activity_ids)

    def test_a_lead_is_weak_no_more_when_its_visit_becomes_known(self):
        lead = self.leave(self.drona, 1)
        self.assertTrue(lead.without_visit)
        self.pay(2)
        self.assertTrue(self.rows().on_hold)
        self.visit(self.drona, 0)
        self.env["affiliate.referral"]._cron_decide_late()
        self.env.invalidate_all()
        self.assertFalse(lead.without_visit or self.rows().on_hold)
        self.assertFalse(self.flags())

    def test_a_visit_after_the_lead_proves_nothing(self):
        lead = self.leave(self.drona, 1)
        self.visit(self.drona, 2)
        self.env["affiliate.referral"]._cron_decide_late()
        self.env.invalidate_all()
        self.assertTrue(lead.without_visit)

    def test_blind_leads_do_not_keep_an_honest_one_out(self):
        """Anybody can send an affiliate's code, often, also to hinder him."""
        for number in range(30):
            for affiliate in (self.drona, self.uma):
                self.leave(affiliate, number / 1000, "")
        self.visit(self.drona, 1)
        lead = self.leave(self.drona, 2)[-1]
        self.assertEqual((lead.affiliate_id, lead.without_visit), (self.drona, False))
        self.pay(3)
        self.assertFalse(self.rows().on_hold)

    def test_a_blind_lead_does_not_make_an_honest_one_expire(self):
        self.visit(self.drona, 0)
        self.leave(self.drona, 1)
        self.leave(self.drona, 2, "")
        self.assertEqual(
            self.claims().mapped(lambda c: (c.without_visit, c.state)),
            [(False, "lead"), (True, "expired")],
        )
        self.pay(3)
        self.assertEqual(self.claims().mapped("state"), ["customer", "expired"])
        self.assertFalse(self.rows().on_hold)

    def test_what_the_own_server_says_needs_no_visit(self):
        self.leave(self.drona, 0, "")
        self.leave(self.drona, 0.5, "", source="server")
        told = self.env["affiliate.referral"].search([("source", "=", "server")])
        self.assertFalse(told.without_visit, "it is more than the lead before it")
        self.pay(1)
        self.assert_owner(self.drona, 30.00, source="server")
        self.assertFalse(self.flags() or self.rows().on_hold)

    def test_only_decisions_write_the_mark(self):
        lead = self.leave(self.drona, 0, "")
        with self.assertRaises(AccessError):
            lead.with_user(self.env.user).write({"without_visit": False})

    def test_found_by_a_filter(self):
        lead = self.leave(self.drona, 0, "")
        view = self.env["affiliate.referral"].get_view(view_type="search")
        found = html.fromstring(view["arch"]).xpath("//filter[@name='without_visit']")
        domain = [("without_visit", "=", True)]
        self.assertEqual(found[0].get("domain"), str(domain))
        self.assertEqual(self.env["affiliate.referral"].search(domain), lead)


@tagged("post_install", "-at_install")
class TestBlindPosts(ProxyCase):
    """The attack: other people's addresses with a bare code, from several networks."""

    def setUp(self):
        super().setUp()
        self.behind_a_proxy()

    def flags(self, *kinds):
        self.env.invalidate_all()
        found = self.env["affiliate.referral.flag"].search([], order="id")
        return found.filtered(lambda flag: flag.kind in kinds)

    def lead(self, number, reference="DRONA29", network=None):
        address = f"203.0.113.{number % 9 if network is None else network}"
        body = {"email": f"x{number}@victims.example", "reference": reference}
        headers = {**BROWSER, **PROXIED, "X-Forwarded-For": address}
        answer = self.send("lead", body, headers=headers)
        self.assertEqual(answer.status_code, 204)

    def test_45_addresses_from_9_networks_within_seconds(self):
        for number in range(45):
            self.lead(number)
        self.assertEqual(self.leads().mapped("without_visit"), [True] * 45)
        self.assertFalse(self.flags("address", "speed"), "what did not see it")
        flags = self.flags("unvisited")
        self.assertEqual(flags.referral_id, self.leads(), "the first ones too")
        self.assertEqual(flags.affiliate_id, self.drona)
        self.assertRegex(
            flags[-1].note,
            r"^Within \d+ seconds?, 45 of 45 leads of Drona Rao were left without a "
            r"visit; 45 of these people never visited at all\.$",
        )
        activity = self.drona.activity_ids
        self.assertEqual(len(activity), 1)
        self.assertIn("Many leads without a visit: 45", activity.note)
        self.assertIn(flags[-1].note, activity.note)
        self.assertEqual(self.drona.lead_figures, flags[-1].note)
        flags.action_accept()
        self.drona.invalidate_recordset()
        self.assertFalse(self.drona.lead_figures)

    def test_the_figures_tell_honest_affiliates_apart(self):
        """Some of his people did visit, in another browser or later."""
        self.program.max_leads_without_visit = 3
        for number in range(4):
            self.lead(number, self.visit())
        self.lead(2)
        self.lead(3)
        self.lead(7)
        self.assertFalse(self.flags("unvisited"))
        self.lead(8)
        note = self.flags("unvisited")[-1].note
        self.assertIn("4 of 6 leads of Drona Rao", note)
        self.assertIn("2 of these people never visited at all", note)

    def test_no_limit(self):
        self.program.write({"max_leads_without_visit": 0, "max_leads_per_browser": 0})
        reference = self.visit("BOB30")
        for number in range(12):
            self.lead(number)
            self.lead(number, reference)
        self.assertFalse(self.flags("unvisited", "browser"))

    def test_many_leads_of_one_browser(self):
        reference = self.visit()
        for number in range(5):
            self.lead(number, reference)
        self.assertFalse(self.flags("browser"))
        self.lead(5, reference)
        flags = self.flags("browser")
        self.assertEqual(len(flags), 6, "the first ones too")
        self.assertIn("6 leads came from one browser", flags[-1].note)
        self.assertFalse(self.leads().filtered("without_visit"))

    def test_made_up_ids_are_bare_codes(self):
        issued = self.visit()
        visitor = issued.partition("_")[2]
        for number, made_up in enumerate(
            ("x" * 22, visitor[::-1], visitor[:-1] + "zz", visitor.swapcase())
        ):
            self.lead(number, f"DRONA29_{made_up}")
        self.assertFalse(any(self.leads().mapped("visitor")))
        self.assertEqual(self.leads().mapped("without_visit"), [True] * 4)
        self.lead(9, issued)
        self.assertEqual(self.leads()[0].visitor, visitor)
        self.assertFalse(self.leads()[0].without_visit)

    def test_an_id_alone_is_no_visit(self):
        """Of our own issue, but nobody came by a link with it."""
        self.lead(0, f"DRONA29_{self.new_visitor()}")
        self.assertTrue(self.leads().without_visit)

    def test_made_up_ids_at_stripe_are_bare_codes(self):
        price = self.shop.price(10000)
        made_up = f"DRONA29_{'x' * 22}"
        self.send("click", {"reference": made_up, "url": f"{SITE}/"})
        self.shop.buy(price, JANE, client_reference_id=made_up)
        self.deliver()
        row = self.rows()
        self.assertEqual((row.affiliate_id, row.on_hold), (self.drona, False))
        self.assertFalse(row.referral_id.evidence["kept"]["visit"])


@tagged("post_install", "-at_install")
class TestDoorsOfTheScript(TrackingCase):
    def lead(self, **body):
        return self.send("lead", {"email": JANE, "reference": "DRONA29", **body})

    def test_leads_only_from_our_form_or_our_server(self):
        self.program.no_script_leads = True
        answer = self.lead()
        self.assertEqual(answer.status_code, 403)
        self.assertIn("only by its form or from your server", answer.json()["error"])
        self.assertEqual(answer.headers["Access-Control-Allow-Origin"], SITE)
        self.assertFalse(self.leads())
        self.program.no_script_leads = False
        self.assertEqual(self.lead().status_code, 204)

    def test_captcha(self):
        asked = []

        def verify(_self, action):
            params = tracking.request.params
            names = ("recaptcha_token_response", "turnstile_captcha")
            asked.append((action, *map(params.get, names)))
            if params.get("recaptcha_token_response") != "solved":
                raise UserError(self.env._("Suspicious activity"))

        http = type(self.env["ir.http"])
        with patch.object(http, "_verify_request_recaptcha_token", verify):
            self.assertEqual(self.lead().status_code, 204)
            self.assertFalse(asked, "only where the program asks for it")
            self.program.lead_captcha = True
            for captcha in (None, "", 7, ["solved"], "guessed"):
                answer = self.lead(email="x@example.com", captcha=captcha)
                self.assertEqual(answer.status_code, 403)
                self.assertEqual(answer.json(), {"error": "Suspicious activity"})
            self.assertEqual(len(self.leads()), 1)
            answer = self.lead(email="x@example.com", captcha="solved")
            self.assertEqual(answer.status_code, 204)
        self.assertEqual(len(self.leads()), 2)
        self.assertEqual(asked[-1], ("affiliate_lead", "solved", "solved"))

    def test_a_captcha_without_a_key_is_said(self):
        self.assertFalse(self.program.captcha_missing)
        self.program.lead_captcha = True
        self.assertTrue(self.program.captcha_missing)
        parameters = self.env["ir.config_parameter"].sudo()
        parameters.set_param("cf.turnstile_secret_key", "key")
        self.program.invalidate_recordset()
        self.assertFalse(self.program.captcha_missing)


@tagged("post_install", "-at_install")
class TestDoorOfTheForm(TrackingCase):
    """Opening the form with a code is a visit."""

    def open(self, headers=None, program=None, **query):
        self.env.flush_all()
        key = (program or self.program).public_key
        page = self.url_open(
            f"/affiliate/form/{key}",
            params=query,
            headers={**BROWSER, **(headers or {})},
        )
        form = html.fromstring(page.text).xpath("//form[@data-captcha]")[0]
        return {i.get("name"): i.get("value") or "" for i in form.xpath(".//input")}

    def submit(self, fields, status=303, headers=None, **values):
        answer = self.url_open(
            f"/affiliate/form/{self.program.public_key}",
            data={**fields, "email": JANE, **values},
            headers=headers,
            allow_redirects=False,
        )
        self.assertEqual(answer.status_code, status, answer.text[:300])
        return answer

    def forms(self):
        self.env.invalidate_all()
        return self.env["affiliate.referral"].search([("source", "=", "form")])

    def test_opening_it_is_a_visit(self):
        fields = self.open(via="DRONA29", utm_source="mail")
        visit = self.visits()
        self.assertEqual(fields["reference"], f"DRONA29_{visit.visitor}")
        self.assertEqual((visit.affiliate_id, visit.utm_source), (self.drona, "mail"))
        answer = self.submit(fields)
        self.assertIn(f"via=DRONA29_{visit.visitor}", answer.headers["Location"])
        self.assertEqual(self.forms().visitor, visit.visitor)
        self.assertFalse(self.forms().without_visit)

    def test_who_is_known_stays_known(self):
        reference = self.visit()
        self.assertEqual(self.open(reference=reference)["reference"], reference)
        day_before = moment(NEW_YEAR - DAY)
        self.visits().sudo().date = day_before
        self.assertEqual(self.open(reference=reference)["reference"], reference)
        self.assertEqual(self.visits().date, day_before, "no popup renews a visit")
        made_up = self.open(reference=f"DRONA29_{'x' * 22}")["reference"]
        self.assertNotIn("xxxx", made_up)
        self.assertEqual(len(self.visits()), 2)

    def test_only_people_are_counted(self):
        for headers in (
            {"User-Agent": "Googlebot/2.1"},
            {"Sec-Purpose": "prefetch"},
            {"Sec-Fetch-Dest": "image"},
            {"Sec-Fetch-Dest": "empty"},
        ):
            fields = self.open(headers=headers, via="DRONA29")
            self.assertEqual(fields["reference"], "DRONA29")
        self.assertFalse(self.visits())
        self.submit(fields)
        self.assertTrue(self.forms().without_visit)
        self.open(via="DRONA29")
        self.assertEqual(len(self.visits()), 1)

    def test_a_frame_counts_on_sites_of_the_program_only(self):
        """Another site's page may have the form loaded in a hidden frame."""
        for page in ("https://evil.example/", None):
            self.open(frame_in(page), via="DRONA29")
        self.assertFalse(self.visits())
        for page in (f"{SITE}/pricing", self.base_url()):
            self.open(frame_in(page), via="DRONA29")
        self.assertEqual(len(self.visits()), 2)

    def test_a_browser_that_tells_nothing_says_what_it_wants(self):
        """An image is not text, whatever its address."""
        silent = {"Sec-Fetch-Dest": None}
        self.open(headers={**silent, "Accept": "image/png,*/*;q=0.8"}, via="DRONA29")
        self.assertFalse(self.visits())
        self.open(headers={**silent, "Accept": "text/html,*/*;q=0.8"}, via="DRONA29")
        self.assertEqual(len(self.visits()), 1)

    def test_nobody_is_counted_for_nobody(self):
        for query in ({}, {"via": "NOBODY1"}):
            self.submit(self.open(**query))
        self.assertFalse(self.visits() or self.forms())

    def test_a_foreign_page_cannot_send_it(self):
        fields = self.open(via="DRONA29")
        for origin in ("https://evil.example", "null", SITE, "http://127.0.0.1.evil"):
            self.submit(fields, 403, {"Origin": origin})
        self.assertFalse(self.forms())
        self.submit(fields, headers={"Origin": self.base_url()})
        self.assertTrue(self.forms())

    def test_a_token_is_one_of_its_program_and_visitor(self):
        other = self.make_program(name="Other", signup_url="https://other.example")
        fields, others = self.open(via="DRONA29"), self.open(via="DRONA29")
        self.assertNotEqual(fields["reference"], others["reference"])
        for values in (
            {"token": self.open(program=other)["token"]},
            {"token": self.open()["token"]},
            {"token": others["token"]},
            {"reference": others["reference"]},
            {"reference": "BOB30"},
            {"reference": "DRONA29"},
            {"reference": ""},
        ):
            with self.subTest(**values):
                page = self.submit(fields, 403, **values)
                self.assertIn("Please send it again", page.text)
        self.assertFalse(self.forms())
        self.submit(fields)
        self.assertEqual(len(self.forms()), 1)

    def test_a_post_makes_no_visit(self):
        """Who never opened the form gets a fresh one; his lead stays a weak one."""
        page = self.submit({}, 403, reference="DRONA29", token="x")
        form = html.fromstring(page.text).xpath("//form[@data-captcha]")[0]
        fields = {i.get("name"): i.get("value") or "" for i in form.xpath(".//input")}
        self.submit(fields)
        self.assertFalse(self.visits())
        self.assertTrue(self.forms().without_visit)

    def test_a_block_of_the_website_without_a_visit(self):
        own = {"Origin": self.base_url()}
        self.submit({"reference": "DRONA29"}, headers=own)
        self.assertTrue(self.forms().without_visit)
        reference = self.visit("BOB30")
        self.submit({"reference": reference}, headers=own)
        self.assertFalse(self.forms()[0].without_visit)

    def test_going_on_to_the_site_keeps_the_visit_behind_the_lead(self):
        """The site knows this browser by another id, and takes over the visit that was
        made on the way."""
        own = self.visit("DRONA29")
        self.submit(self.open(via="DRONA29"))
        came = self.forms().visitor
        self.visit("DRONA29", own.partition("_")[2], was=came)
        self.assertTrue(self.visits(visitor=came))
        self.forms().sudo().write(
            {"to_decide": True, "date": moment(NEW_YEAR + 9 * DAY)}
        )
        price = self.shop.price(10000)
        self.env["affiliate.click"].sudo().search([]).date = moment(NEW_YEAR - DAY)
        self.double.advance(days=10)
        self.shop.subscribe(JANE, price)
        self.deliver()
        self.assertEqual((self.rows().amount, self.rows().on_hold), (30.00, False))


def frame_in(page):
    """The headers with which a browser loads a frame of a page."""
    return {"Sec-Fetch-Dest": "iframe", "Referer": page}
