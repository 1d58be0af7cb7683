from unittest.mock import patch

from odoo.exceptions import UserError
from odoo.tests import new_test_user
from odoo.tools import mute_logger

from ..controllers import website
from ..models.affiliate_referral_capture import email_address
from .web_common import PASSWORD, PageCase

FORM = {
    "name": "Jane Writer",
    "email": "jane@books.example",
    "website": "books.example/jane",
    "wished_code": "jane-10",
    "motivation": "I write about books.\nEvery week.",
}


class TestProgramPages(PageCase):
    def test_one_program_is_the_list(self):
        page = self.get("/affiliates")
        self.assertIn(self.program.website_url, page.url)
        self.assertIn("Acme Partners", page.text)

    def test_several_programs_are_listed(self):
        self.make_program(name="Studio Partners")
        page = self.get("/affiliates")
        self.assertTrue(page.url.endswith("/affiliates"))
        self.assertIn("Acme Partners", page.text)
        self.assertIn("Studio Partners", page.text)

    def test_no_program_says_so(self):
        self.program.is_published = False
        page = self.get("/affiliates")
        self.assertIn("There is no open programme now.", page.text)

    def test_page_says_what_it_pays(self):
        self.program.write(
            {
                "hold_days": 14,
                "minimum_payout": 50,
                "discount_type": "percent",
                "discount_value": 20,
                "description": "<p>For people who write.</p>",
            }
        )
        page = self.get(self.program.website_url).text
        self.assertIn("30 % of every payment, for 12 months", page)
        self.assertIn("20 % off the first payment", page)
        self.assertIn("For people who write.", page)
        self.assertRegex(page, r"<span>14</span>\s+days after the payment")
        self.assertIn('<meta name="description" content="30 % of every payment', page)
        self.assertIn("<title>Acme Partners | ", page)

    def test_unpublished_program_is_for_the_team_only(self):
        self.program.is_published = False
        url = self.program.website_url
        self.get(url, 404)
        self.get(f"{url}/thanks", 404)
        new_test_user(
            self.env, "portal_reader", groups="base.group_portal", password=PASSWORD
        )
        self.authenticate("portal_reader", PASSWORD)
        self.get(url, 404)
        new_test_user(
            self.env,
            "program_manager",
            groups="affiliate_stripe.group_affiliate_manager",
            password=PASSWORD,
        )
        self.authenticate("program_manager", PASSWORD)
        self.assertIn("Not published", self.get(url).text)

    def test_other_programs_are_not_found(self):
        other = self.env["res.company"].create({"name": "Other company"})
        account = self.env["affiliate.stripe.account"].create(
            {"name": "Other", "company_id": other.id}
        )
        foreign = self.make_program(
            company_id=other.id, stripe_account_id=account.id, product_id=False
        )
        self.get(foreign.website_url, 404)
        self.get("/affiliates/nothing", 404)
        self.get("/affiliates/nothing-99999999", 404)
        self.get("/affiliates/-1%27%20or%201=1", 404)

    def test_words_for_rules(self):
        rule = self.program.rule_ids
        rule.write({"duration_months": 0})
        self.assertEqual(
            rule._get_public_text(),
            "30 % of every payment, for as long as the customer pays",
        )
        rule.write({"rate_type": "fixed", "amount": 25, "applies_to": "first"})
        self.assertIn("25.00", rule._get_public_text())
        self.assertTrue(rule._get_public_text().endswith("on the first payment"))

    def test_words_for_discounts(self):
        program = self.program
        self.assertFalse(program._get_discount_text())
        program.write({"discount_type": "amount", "discount_value": 5})
        self.assertIn("5.00 off the first payment", program._get_discount_text())
        program.discount_duration = "forever"
        self.assertIn("off every payment", program._get_discount_text())
        program.write({"discount_duration": "repeating", "discount_months": 3})
        self.assertIn("for 3 months", program._get_discount_text())

    def test_sitemap_has_published_programs_only(self):
        hidden = self.make_program(name="Hidden", is_published=False)
        sitemap = self.get("/sitemap.xml").text
        self.assertIn(self.program.website_url, sitemap)
        self.assertNotIn(hidden.website_url, sitemap)


class TestApplication(PageCase):
    def setUp(self):
        super().setUp()
        self.authenticate(None, None)
        self.token = self.csrf_token(self.get(self.program.website_url).text)

    def apply(self, status=200, program=None, headers=None, **values):
        data = {**FORM, "csrf_token": self.token, **values}
        url = f"{(program or self.program).website_url}/apply"
        return self.get(url, status, data=data, headers=headers)

    def applied(self, email="jane@books.example"):
        return self.env["affiliate.affiliate"].search(
            [("partner_id.email_normalized", "=", email)]
        )

    def test_application_waits_for_the_manager(self):
        page = self.apply(email=" Jane <JANE@books.example> ")
        self.assertTrue(page.url.endswith("/thanks"))
        self.assertIn("Thank you for your application", page.text)
        affiliate = self.applied()
        self.assertEqual(affiliate.program_id, self.program)
        self.assertEqual(affiliate.state, "pending")
        self.assertEqual(affiliate.partner_id.name, "Jane Writer")
        self.assertEqual(affiliate.website, "https://books.example/jane")
        self.assertEqual(affiliate.wished_code, "jane-10")
        self.assertEqual(affiliate.motivation, "I write about books.\nEvery week.")
        self.assertTrue(affiliate.activity_ids)
        self.assertFalse(affiliate.partner_id.user_ids)

    def test_what_is_decided_is_nobodys_task(self):
        for decide in ("action_approve", "action_reject"):
            with self.subTest(decide):
                self.apply(email=f"{decide}@example.com")
                applicant = self.applied(f"{decide}@example.com")
                own = applicant.activity_schedule(
                    "mail.mail_activity_data_todo", summary="Call", automated=False
                )
                getattr(applicant, decide)()
                self.assertEqual(applicant.activity_ids, own, "made by a person")

    def test_application_is_accepted_at_once(self):
        self.program.auto_approve_affiliates = True
        self.apply()
        affiliate = self.applied()
        self.assertEqual(affiliate.state, "active")
        self.assertEqual(affiliate.code, "JANE-10")
        self.assertTrue(affiliate.partner_id.user_ids._is_portal())

    def test_wrong_email_is_named_at_the_field_and_nothing_is_lost(self):
        for email in ("jane", "jane@localhost", "a@b.example, c@d.example", "@x.io"):
            self.assertFalse(email_address(email), email)
            page = self.apply(422, email=email).text
            self.assertIn("This is not a complete e-mail address", page)
            self.assertIn('id="apply_email_error"', page)
            self.assertIn("I write about books.\nEvery week.", page)
            self.assertIn('value="books.example/jane"', page)
        self.assertFalse(self.applied())

    def test_empty_form_names_what_is_needed(self):
        page = self.apply(422, name=" ", email="").text
        self.assertIn("Please tell us your name.", page)
        self.assertIn("Please tell us your e-mail address.", page)

    def test_only_web_addresses_become_links(self):
        for address in ("javascript:alert(1)", "javascript://x.io/%0aalert(1)", "a b"):
            page = self.apply(422, website=address).text
            self.assertIn("This is not a web address", page)
        self.apply(website="")
        self.assertFalse(self.applied().website)

    def test_html_is_text(self):
        evil = "<script>alert('x')</script>"
        page = self.apply(422, name=evil, motivation=evil, email="no").text
        self.assertNotIn(evil, page)
        self.assertIn("&lt;script&gt;", page)
        self.apply(name=evil, motivation=f"</textarea>{evil}")
        affiliate = self.applied()
        self.assertEqual(affiliate.partner_id.name, evil)
        self.assertEqual(affiliate.motivation, f"</textarea>{evil}")
        mails = self.env["mail.mail"].search(
            [("model", "=", "affiliate.affiliate"), ("res_id", "=", affiliate.id)]
        )
        self.assertNotIn("<script>", "".join(mails.mapped("body_html")))

    def test_too_long_is_refused_at_the_field(self):
        for name, longest in website.MAX_LENGTHS.items():
            page = self.apply(422, **{name: "x" * (longest + 1)}).text
            self.assertIn(f'id="apply_{name}_error"', page)
        self.apply(413, motivation="x" * website.MAX_FORM_BYTES)
        self.assertFalse(self.applied())

    def test_control_characters_go(self):
        self.apply(name="Jane\r\nBcc: x@y.example\x00", motivation="a\x00b\r\nc")
        affiliate = self.applied()
        self.assertEqual(affiliate.partner_id.name, "Jane Bcc: x@y.example")
        self.assertEqual(affiliate.motivation, "ab\nc")

    def test_unusable_code_is_refused_at_the_field(self):
        page = self.apply(422, wished_code="!?").text
        self.assertIn("Please use 3 to 40 letters, digits or hyphens.", page)

    def test_robots_are_thanked(self):
        page = self.apply(**{website.HONEYPOT: "555"})
        self.assertTrue(page.url.endswith("/thanks"))
        self.assertFalse(self.applied())

    @mute_logger("odoo.http")
    def test_form_of_another_site_is_refused(self):
        self.apply(400, csrf_token="")
        self.apply(400, csrf_token="0" * 40 + "o0")
        self.assertFalse(self.applied())

    def test_unpublished_program_takes_none(self):
        self.program.is_published = False
        self.apply(404)
        self.assertFalse(self.applied())

    def test_other_fields_are_ignored(self):
        self.apply(state="active", partner_id="3", program_id="1", company_id="1")
        affiliate = self.applied()
        self.assertEqual(affiliate.state, "pending")
        self.assertEqual(affiliate.program_id, self.program)

    def test_known_people_get_the_same_answer(self):
        new = self.apply()
        known_affiliate = self.apply()
        staff = new_test_user(
            self.env, "staff", groups="base.group_user", email="staff@acme.example"
        )
        known_contact = self.apply(email="staff@acme.example", name="Somebody else")
        for page in (known_affiliate, known_contact):
            self.assertEqual(page.url, new.url)
            self.assertEqual(
                [step.status_code for step in page.history],
                [step.status_code for step in new.history],
            )
        self.assertEqual(len(self.applied()), 1)
        self.assertEqual(
            self.applied("staff@acme.example").partner_id, staff.partner_id
        )
        self.assertEqual(staff.name, staff.partner_id.name, "a form renames nobody")

    def test_login_of_somebody_else_stays_unseen(self):
        """A contact with the address of another contact's login cannot get a login."""
        self.program.auto_approve_affiliates = True
        user = new_test_user(self.env, "jane@books.example", email="jane@old.example")
        page = self.apply()
        self.assertTrue(page.url.endswith("/thanks"))
        affiliate = self.applied()
        self.assertEqual(affiliate.state, "pending")
        self.assertFalse(affiliate.code_ids)
        self.assertNotEqual(affiliate.partner_id, user.partner_id)
        with self.assertRaises(UserError):
            affiliate.action_approve()

    def test_contact_with_a_login_is_preferred(self):
        self.env["res.partner"].create(
            {"name": "Old contact", "email": "jane@books.example"}
        )
        user = new_test_user(
            self.env,
            "jane_books",
            groups="base.group_portal",
            email="jane@books.example",
        )
        self.program.auto_approve_affiliates = True
        self.apply()
        self.assertEqual(self.applied().partner_id, user.partner_id)
        self.assertEqual(self.applied().state, "active")

    def test_error_page_can_be_reloaded(self):
        page = self.get(f"{self.program.website_url}/apply")
        self.assertTrue(page.url.endswith(self.program.website_url))

    # --- how many --------------------------------------------------------------------

    def test_sent_twice_at_once(self):
        """The second request looks who is known after the first one is through."""
        program = self.program.sudo()
        referrals = self.registry["affiliate.referral"]
        lock, waited = referrals._lock_email, []

        def wait(referral, email):
            now = lock(referral, email)
            waited.append(email)
            if len(waited) == 1:
                values = {"name": "Jane", "email": email}
                affiliates = referral.env["affiliate.affiliate"]
                affiliates._enrol_applicant(program.with_env(referral.env), values)
            return now

        with patch.object(referrals, "_lock_email", wait):
            self.apply()
        self.assertEqual(waited, [FORM["email"]])
        self.assertEqual(len(self.applied()), 1)
        partners = self.env["res.partner"]
        self.assertEqual(partners.search_count([("email", "=", FORM["email"])]), 1)

    def test_files_are_nothing(self):
        for name in website.MAX_LENGTHS:
            data = {**FORM, "csrf_token": self.token}
            del data[name]
            answer = self.url_open(
                f"{self.program.website_url}/apply",
                data=data,
                files={name: ("a.txt", b"x")},
            )
            needed = name in ("name", "email")
            self.assertEqual(answer.status_code, 422 if needed else 200, name)

    def test_too_many_applications_wait(self):
        with patch.object(website, "APPLICATIONS_AN_HOUR", 2):
            self.apply(422, email="wrong")
            self.apply(email="a@books.example")
            self.apply(email="b@books.example")
            page = self.apply(429, email="c@books.example").text
        self.assertIn("many applications in a short time", page)
        self.assertIn('value="c@books.example"', page)
        self.assertFalse(self.applied("c@books.example"))

    def test_addresses_are_kept_as_hashes(self):
        self.apply()
        log = self.env["affiliate.rate.limit.log"].search([])
        self.assertEqual(len(log), 1)
        self.assertNotIn("127", log.scope)
        self.assertRegex(log.key_hash, r"^[0-9a-f]{64}$")
        self.assertTrue(log.write_date, "or it would never be tidied up")

    def test_visitors_behind_an_unknown_proxy_are_not_counted_as_one(self):
        headers = {"X-Forwarded-For": "203.0.113.7"}
        with patch.object(website, "APPLICATIONS_AN_HOUR", 1):
            self.apply(email="a@books.example", headers=headers)
            self.apply(email="b@books.example", headers=headers)
        self.assertTrue(self.applied("b@books.example"))

    def test_limit_counts_visitors_and_acts_apart(self):
        log = self.env["affiliate.rate.limit.log"]

        def allow(address, scope="test"):
            return log._allow(scope, address, 1)

        self.assertTrue(allow("203.0.113.7"))
        self.assertFalse(allow("203.0.113.7"))
        self.assertFalse(allow("::ffff:203.0.113.7"))
        self.assertTrue(allow("203.0.113.7", scope="other"))
        self.assertTrue(allow("203.0.113.8"))
        self.assertTrue(allow("2001:db8::1"))
        self.assertFalse(allow("2001:db8::2"), "one IPv6 network is one visitor")
        self.assertTrue(allow("2001:db8:0:1::1"))
        self.assertTrue(allow(None))
        self.assertTrue(allow(None))
