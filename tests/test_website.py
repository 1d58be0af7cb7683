from datetime import timedelta
from unittest.mock import patch
from urllib.parse import urlsplit

from lxml import html

from odoo import fields
from odoo.tests import new_test_user
from odoo.tools import mute_logger

from ..controllers import website
from ..models.affiliate_referral_capture import email_address
from .mail_common import FORM, ApplicationCase
from .web_common import PASSWORD, PageCase


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

    def test_each_term_is_said_once(self):
        self.program.write(
            {
                "hold_days": 14,
                "minimum_payout": 50,
                "discount_type": "percent",
                "discount_value": 20,
            }
        )
        page = html.fromstring(self.get(self.program.website_url).text)
        text = " ".join(page.xpath("//main")[0].text_content().split())
        for term in (
            "30 % of every payment, for 12 months",
            "20 % off the first payment",
            "new customers",
            "14 days after the payment",
            "50.00",
            "onthly",
        ):
            self.assertEqual(text.count(term), 1, f"{term} in {text}")

    def test_what_is_shown_where_the_page_is_shared(self):
        description = "30 % of every payment, for 12 months"
        url = self.program.website_url
        for path in (url, f"{url}/thanks", f"{url}/confirmed"):
            with self.subTest(path):
                page = html.fromstring(self.get(path).text)
                shown = {
                    meta.get("property") or meta.get("name"): meta.get("content")
                    for meta in page.xpath("//head/meta")
                }
                for name in ("og:title", "twitter:title"):
                    self.assertTrue(shown[name].startswith("Acme Partners"), shown)
                for name in ("og:description", "twitter:description"):
                    self.assertEqual(shown[name], description)
                image = urlsplit(shown["og:image"])
                answer = self.get(image._replace(scheme="", netloc="").geturl())
                self.assertTrue(answer.headers["Content-Type"].startswith("image/"))
        self.program.website_meta_title = "Earn with us"
        self.assertIn('content="Earn with us"', self.get(url).text)
        form = self.get(f"/affiliate/form/{self.program.public_key}").text
        self.assertIn('<meta property="og:title" content="Acme Partners"', form)

    # === RULES IN WORDS === #

    def price(self, product, amount, interval=None):
        if isinstance(product, str):
            product = self.env["affiliate.stripe.product"].create(
                {
                    "account_id": self.account.id,
                    "stripe_id": f"prod_{product}",
                    "name": product,
                }
            )
        return self.env["affiliate.stripe.price"].create(
            {
                "account_id": self.account.id,
                "product_id": product.id,
                "stripe_id": f"price_{product.name}_{amount}_{interval}",
                "currency_id": self.usd.id,
                "unit_amount": amount,
                "billing_interval": interval,
            }
        )

    def terms(self, *rules):
        """What the page says of rules, in this order."""
        self.program.rule_ids.unlink()
        self.program.rule_ids = [
            (0, 0, {"sequence": place, **rule}) for place, rule in enumerate(rules)
        ]
        return [term.replace("\xa0", " ") for term in self.program._get_public_terms()]

    def fixed(self, amount, **values):
        return {"rate_type": "fixed", "amount": amount, **values}

    def test_everything_else(self):
        pro = self.price("Pro", 25, "month").product_id
        self.assertEqual(
            self.terms(
                {"rate": 40, "scope": "product", "product_ids": pro.ids},
                {"rate": 20, "duration_months": 12},
            ),
            [
                "40 % of every payment for Pro, for as long as the customer pays",
                "20 % of every payment for everything else, for 12 months",
            ],
        )
        self.assertEqual(
            self.terms({"rate": 20, "duration_months": 1}),
            ["20 % of every payment, for one month"],
        )

    def test_one_off_deals_earn_once(self):
        deal = self.price("Lifetime deal", 299)
        once = ["30 % of the payment for Lifetime deal, once"]
        named = {"scope": "product", "product_ids": deal.product_id.ids}
        self.assertEqual(self.terms({"rate": 30, **named}), once)
        self.assertEqual(self.terms({"rate": 30, "duration_months": 12, **named}), once)
        [text] = self.terms({"rate": 30, "scope": "price", "price_ids": deal.ids})
        self.assertTrue(text.startswith("30 % of the payment for Lifetime deal"))
        self.assertTrue(text.endswith(", once"), text)
        self.assertEqual(
            self.terms({"rate": 30, "billing_interval": "one_time"}, {"rate": 20}),
            [
                "30 % of the payment for one-off purchases, once",
                "20 % of every payment for everything else, for as long as the "
                "customer pays",
            ],
        )
        # A product that is also sold by the month goes on.
        self.price(deal.product_id, 25, "month")
        self.assertEqual(
            self.terms({"rate": 30, **named}),
            [
                "30 % of every payment for Lifetime deal, "
                "for as long as the customer pays"
            ],
        )

    def test_one_off_deals_beside_plans_earn_once(self):
        deal, plan = self.price("Lifetime deal", 299), self.price("Pro", 25, "month")
        self.assertEqual(
            self.terms(
                {
                    "rate": 30,
                    "scope": "product",
                    "product_ids": (plan | deal).product_id.ids,
                }
            ),
            [
                "30 % of every payment for Pro, Lifetime deal, for as long as the "
                "customer pays (once for Lifetime deal)"
            ],
        )
        [text] = self.terms(
            {"rate": 30, "scope": "price", "price_ids": (plan | deal).ids}
        )
        self.assertTrue(text.endswith("(once for Lifetime deal – $ 299.00)"), text)

    def test_first_payment_and_those_after_it(self):
        self.assertEqual(
            self.terms(
                self.fixed(50, applies_to="first"), {"rate": 10, "max_count": 6}
            ),
            [
                "$ 50.00 on the first payment",
                "10 % of every payment after the first, at most 6 payments",
            ],
        )
        self.assertEqual(
            self.terms({"rate": 10, "max_count": 1}), ["10 % of one payment"]
        )
        self.assertEqual(
            self.terms(
                {"rate": 50, "applies_to": "first", "duration_months": 12},
                {"rate": 10, "applies_to": "renewal", "duration_months": 12},
            ),
            [
                "50 % of the first payment",
                "10 % of every payment after the first, for 12 months",
            ],
        )

    def test_amounts_in_several_currencies(self):
        self.assertEqual(
            self.terms(
                self.fixed(25, max_count=3),
                self.fixed(20, currency_id=self.eur.id, max_count=3),
                {"rate": 10, "duration_months": 6},
            ),
            [
                "$ 25.00 on every payment in USD, at most 3 payments",
                "20.00 € on every payment in EUR, at most 3 payments",
                "10 % of every payment in other currencies, for 6 months",
            ],
        )
        self.assertEqual(
            self.terms(self.fixed(5, per_unit=True)),
            ["$ 5.00 for each unit on every payment, for as long as the customer pays"],
        )

    def test_billed_monthly_or_yearly(self):
        self.assertEqual(
            self.terms(
                {"rate": 30, "billing_interval": "year", "max_count": 2},
                {"rate": 20, "billing_interval": "month", "duration_months": 12},
            ),
            [
                "30 % of every payment for plans billed yearly, at most 2 payments",
                "20 % of every payment for all other plans billed monthly, "
                "for 12 months",
            ],
        )

    def test_rules_that_never_come_to_their_turn_are_not_promised(self):
        pro = self.price("Pro", 25, "month")
        self.assertEqual(
            self.terms(
                {"rate": 20, "duration_months": 12},
                {"rate": 90},
                {"rate": 80, "scope": "price", "price_ids": pro.ids},
                self.fixed(500),
            ),
            ["20 % of every payment, for 12 months"],
        )
        later = fields.Datetime.now() + timedelta(days=1)
        self.assertEqual(
            self.terms({"rate": 90, "date_from": later}, {"rate": 20, "max_count": 2}),
            ["20 % of every payment, at most 2 payments"],
        )

    def test_what_earns_nothing(self):
        setup = self.price("Setup", 100).product_id
        self.assertEqual(
            self.terms(
                {"rate": 0, "scope": "product", "product_ids": setup.ids},
                {"rate": 20, "duration_months": 12},
            ),
            [
                "No commission on Setup",
                "20 % of every payment for everything else, for 12 months",
            ],
        )
        self.assertEqual(self.terms({"rate": 0}), ["No commission"])

    def test_what_earns_nothing_on_some_payments(self):
        renewals = "30 % of every payment after the first, for as long as the customer "
        self.assertEqual(
            self.terms({"rate": 0, "applies_to": "first"}, {"rate": 30}),
            ["No commission on the first payment", f"{renewals}pays"],
        )
        self.assertEqual(
            self.terms({"rate": 0, "applies_to": "renewal"}, {"rate": 30}),
            [
                "No commission on payments after the first",
                "30 % of the first payment, for as long as the customer pays",
            ],
        )
        self.assertEqual(
            self.terms({"rate": 30, "applies_to": "first"}, {"rate": 0}),
            ["30 % of the first payment", "No commission on payments after the first"],
        )
        pro = {"scope": "product", "product_ids": self.price("Pro", 25, "month")}
        pro["product_ids"] = pro["product_ids"].product_id.ids
        self.assertEqual(
            self.terms({"rate": 0, "applies_to": "first", **pro}, {"rate": 30, **pro}),
            [
                "No commission on the first payment for Pro",
                "30 % of every payment after the first for Pro, for as long as the "
                "customer pays",
            ],
        )
        self.assertEqual(
            self.terms({"rate": 30, "applies_to": "first", **pro}, {"rate": 0, **pro}),
            [
                "30 % of the first payment for Pro",
                "No commission on payments after the first for Pro",
            ],
        )

    def test_what_earns_nothing_in_some_currencies(self):
        self.assertEqual(
            self.terms(self.fixed(25, max_count=3), {"rate": 0}),
            [
                "$ 25.00 on every payment in USD, at most 3 payments",
                "No commission on payments in other currencies",
            ],
        )

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


class TestApplication(ApplicationCase):
    """The form: what is taken and refused, and that nothing follows from it yet."""

    def setUp(self):
        super().setUp()
        self.token = self.csrf_token(self.get(self.program.website_url).text)

    def apply(self, status=200, program=None, headers=None, **values):
        data = {**FORM, "csrf_token": self.token, **values}
        url = f"{(program or self.program).website_url}/apply"
        return self.get(url, status, data=data, headers=headers)

    def test_the_form_is_stored_and_nothing_else_happens(self):
        partners = self.env["res.partner"].search_count([])
        mails = self.env["mail.mail"].search_count([])
        page = self.apply(email=" Jane <JANE@books.example> ")
        self.assertTrue(page.url.endswith("/thanks"))
        self.assertIn("Please look into your mailbox", page.text)
        application = self.applications()
        self.assertRecordValues(
            application,
            [
                {
                    "program_id": self.program.id,
                    "company_id": self.company.id,
                    "state": "waiting",
                    "name": "Jane Writer",
                    "email": "jane@books.example",
                    "website": "https://books.example/jane",
                    "wished_code": "jane-10",
                    "motivation": "I write about books.\nEvery week.",
                    "lang": "en_US",
                    "user_id": False,
                    "affiliate_id": False,
                }
            ],
        )
        self.assertFalse(self.env["affiliate.affiliate"].search([]))
        self.assertEqual(self.env["res.partner"].search_count([]), partners)
        self.assertEqual(self.env["mail.mail"].search_count([]), mails)
        self.assertFalse(self.letters())

    def test_wrong_email_is_named_at_the_field_and_nothing_is_lost(self):
        for email in ("jane", "jane@localhost", "a@b.example, c@d.example", "@x.io"):
            self.assertFalse(email_address(email), email)
            page = self.apply(422, email=email).text
            self.assertIn("This is not a complete e-mail address", page)
            self.assertIn('id="apply_email_error"', page)
            self.assertIn("I write about books.\nEvery week.", page)
            self.assertIn('value="books.example/jane"', page)
        self.assertFalse(self.applications())

    def test_empty_form_names_what_is_needed(self):
        page = self.apply(422, name=" ", email="").text
        self.assertIn("Please tell us your name.", page)
        self.assertIn("Please tell us your e-mail address.", page)

    def test_only_web_addresses_become_links(self):
        for address in ("javascript:alert(1)", "javascript://x.io/%0aalert(1)", "a b"):
            page = self.apply(422, website=address).text
            self.assertIn("This is not a web address", page)
        self.apply(website="")
        self.assertFalse(self.applications().website)

    def test_html_is_text(self):
        evil = "<script>alert('x')</script>"
        page = self.apply(422, name=evil, motivation=evil, email="no").text
        self.assertNotIn(evil, page)
        self.assertIn("&lt;script&gt;", page)
        self.apply(name=evil, motivation=f"</textarea>{evil}")
        application = self.applications()
        self.assertEqual(application.name, evil)
        self.assertEqual(application.motivation, f"</textarea>{evil}")
        (letter,) = self.run_cron()
        page = self.get(self.link(letter)).text
        self.assertNotIn(evil, page)
        self.assertIn("&lt;script&gt;", page)

    def test_too_long_is_refused_at_the_field(self):
        for name, longest in website.MAX_LENGTHS.items():
            page = self.apply(422, **{name: "x" * (longest + 1)}).text
            self.assertIn(f'id="apply_{name}_error"', page)
        self.apply(413, motivation="x" * website.MAX_FORM_BYTES)
        self.assertFalse(self.applications())

    def test_control_characters_go(self):
        self.apply(name="Jane\r\nBcc: x@y.example\x00", motivation="a\x00b\r\nc")
        application = self.applications()
        self.assertEqual(application.name, "Jane Bcc: x@y.example")
        self.assertEqual(application.motivation, "ab\nc")

    def test_unusable_code_is_refused_at_the_field(self):
        page = self.apply(422, wished_code="!?").text
        self.assertIn("Please use 3 to 40 letters, digits or hyphens.", page)

    def test_robots_are_thanked(self):
        page = self.apply(**{website.HONEYPOT: "555"})
        self.assertTrue(page.url.endswith("/thanks"))
        self.assertFalse(self.applications())

    @mute_logger("odoo.http")
    def test_form_of_another_site_is_refused(self):
        self.apply(400, csrf_token="")
        self.apply(400, csrf_token="0" * 40 + "o0")
        self.assertFalse(self.applications())

    def test_unpublished_program_takes_none(self):
        self.program.is_published = False
        self.apply(404)
        self.assertFalse(self.applications())

    def test_other_fields_are_ignored(self):
        self.apply(
            state="confirmed",
            user_id="2",
            affiliate_id="1",
            program_id="1",
            company_id="1",
            token_hash="x",
        )
        application = self.applications()
        self.assertEqual(application.state, "waiting")
        self.assertEqual(application.program_id, self.program)
        self.assertFalse(application.user_id or application.affiliate_id)
        self.assertFalse(application.sudo().token_hash)

    def test_error_page_can_be_reloaded(self):
        page = self.get(f"{self.program.website_url}/apply")
        self.assertTrue(page.url.endswith(self.program.website_url))

    # --- how many --------------------------------------------------------------------

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
        self.assertEqual(
            self.applications().mapped("email"), ["a@books.example", "b@books.example"]
        )

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
        self.assertEqual(len(self.applications()), 2)

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
