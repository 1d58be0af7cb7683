import html
import re
from urllib.parse import urlencode

from odoo.addons.portal.controllers.portal import CustomerPortal

from .web_common import PASSWORD, AffiliateData, PageCase

CUSTOMER = "maria.customer@secret-shop.example"


class TestPortalPages(PageCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.drona = cls.make_affiliate("drona")
        cls.nora = cls.make_affiliate("nora")
        cls.referral = cls.make_referral(cls.drona, CUSTOMER)
        cls.make_commission(cls.drona, 89.7, referral_id=cls.referral.id)

    def login(self, login="drona"):
        self.authenticate(login, PASSWORD)

    def test_login_is_needed(self):
        self.authenticate(None, None)
        for path in ("", f"/{self.drona.id}", f"/{self.drona.id}/commissions"):
            self.assertIn("/web/login", self.get(f"/my/affiliate{path}").url)

    def test_home_has_a_card(self):
        self.login()
        self.assertIn('href="/my/affiliate"', self.get("/my").text)
        answer = self.make_jsonrpc_request(
            "/my/counters", {"counters": ["affiliate_count"]}
        )
        self.assertEqual(answer["affiliate_count"], 1)

    def test_own_page(self):
        self.login()
        page = self.get("/my/affiliate")
        self.assertTrue(page.url.endswith(f"/my/affiliate/{self.drona.id}"))
        self.assertIn(self.drona.code, page.text)
        self.assertIn(f"https://acme.example/pricing?via={self.drona.code}", page.text)
        self.assertIn("89.70", page.text)
        self.assertIn("30 % of a payment = 89.7.", page.text)
        self.assertIn("No settlement yet.", page.text)
        self.assertIn("<rect", page.text)

    def test_customers_are_masked(self):
        self.login()
        for path in ("", "/customers"):
            page = self.get(f"/my/affiliate/{self.drona.id}{path}").text
            self.assertIn("m•••@s•••.example", page)
            self.assertNotIn("maria", page)
            self.assertNotIn("secret-shop", page)

    def links(self, **query):
        self.login()
        path = f"/my/affiliate/{self.drona.id}/links"
        return self.get(f"{path}?{urlencode(query)}").text

    def test_links_to_any_page(self):
        self.assertIn("0 visits", self.own_page())
        page = self.links(page="/features", sub="mail-5", campaign="spring")
        link = (
            "https://acme.example/features?sub=mail-5&amp;utm_campaign=spring&amp;via="
        )
        self.assertIn(f"{link}{self.drona.code}", page)
        self.assertIn(f"/a/{self.drona.code}?to=%2Ffeatures&amp;sub=mail-5", page)
        source = re.search(r'src="(/report/barcode\?[^"]+)"', page)[1]
        image = self.url_open(html.unescape(source))
        self.assertEqual(image.headers["Content-Type"], "image/png")

    def own_page(self):
        self.login()
        return self.get(f"/my/affiliate/{self.drona.id}").text

    def test_links_to_foreign_pages_are_refused(self):
        for typed in (
            "https://evil.example",
            "//evil.example",
            "javascript:alert(1)",
            "evil.example/x",
        ):
            page = self.links(page=typed)
            self.assertIn("Links lead to acme.example only.", page)
            self.assertIn("is-invalid", page)
            self.assertNotIn("/report/barcode", page)
        for values in ({"sub": "<b>x"}, {"campaign": "<script>alert(1)"}):
            page = self.links(**values)
            self.assertIn("A sub-id has at most 64 letters", page)
            self.assertNotIn("<script>alert(1)", page)

    def test_links_as_people_type_them(self):
        for typed in ("acme.example/features", "https://acme.example/features"):
            page = self.links(page=typed)
            self.assertIn("https://acme.example/features?via=", page)
        self.assertIn("https://acme.example/pricing?via=", self.links(code="<b>"))

    def test_pages_of_others_lead_home(self):
        settlement = self.settle(self.drona)
        self.login("nora")
        paths = [
            f"/my/affiliate/{self.drona.id}",
            f"/my/affiliate/{self.drona.id}/commissions",
            f"/my/affiliate/{self.drona.id}/customers",
            f"/my/affiliate/{self.drona.id}/links",
            settlement.access_url,
            "/my/affiliate/99999999",
        ]
        for path in paths:
            page = self.get(path)
            self.assertRegex(page.url, r"/my(/home)?$")
            self.assertNotIn(self.drona.code, page.text)
        self.assertNotIn("89.70", self.get("/my/affiliate").text)

    def test_several_enrolments_are_listed(self):
        other = self.make_program(name="Studio Partners")
        self.env["affiliate.affiliate"].create(
            {"partner_id": self.drona.partner_id.id, "program_id": other.id}
        )
        self.login()
        page = self.get("/my/affiliate")
        self.assertTrue(page.url.endswith("/my/affiliate"))
        self.assertIn("Acme Partners", page.text)
        self.assertIn("Studio Partners", page.text)

    def test_nobody_is_shown_the_way(self):
        self.drona.with_user(self.drona.partner_id.user_ids).check_access("read")
        self.env["affiliate.code"].search(
            [("affiliate_id", "=", self.nora.id)]
        ).unlink()
        self.nora.unlink()
        self.login("nora")
        page = self.get("/my/affiliate").text
        self.assertIn("You take part in no affiliate programme yet.", page)
        self.assertIn('href="/affiliates"', page)

    def test_new_affiliate_sees_what_comes(self):
        self.login("nora")
        page = self.get("/my/affiliate").text
        self.assertIn("No commission yet.", page)
        self.assertIn("Nobody yet.", page)
        self.assertEqual(page.count('<span class="oe_currency_value">0.00</span>'), 5)
        self.assertNotIn("<rect", page)

    def test_states_are_explained(self):
        self.login("nora")
        for state, text in {
            "pending": "We are reading your application.",
            "suspended": "Your participation is suspended.",
            "rejected": "We could not accept your application.",
        }.items():
            self.nora.state = state
            self.assertIn(text, self.get("/my/affiliate").text)

    def test_state_of_the_code_is_explained(self):
        code = self.nora.code_ids
        self.login("nora")
        self.assertIn("Works in links only.", self.get("/my/affiliate").text)
        self.program.write({"discount_type": "percent", "discount_value": 20})
        for state, text in {
            "draft": "is being made ready",
            "synced": "20 % off the first payment",
            "error": "does not work at the checkout yet",
            "inactive": "This code is switched off.",
        }.items():
            code.state = state
            self.assertIn(text, self.get("/my/affiliate").text)

    # --- commissions -----------------------------------------------------------------

    def test_commissions_are_paged_filtered_and_sorted(self):
        for number in range(5):
            self.make_commission(self.drona, 100 + number)
        paid = self.make_commission(self.drona, 55)
        paid.is_approved = True
        self.make_commission(self.nora, 777)
        self.login()
        url = f"/my/affiliate/{self.drona.id}/commissions"
        self.patch(CustomerPortal, "_items_per_page", 3)
        pages = [self.get(f"{url}/page/{number}").text for number in (1, 2, 3)]
        for amount in ("104.00", "103.00", "102.00", "101.00", "100.00", "89.70"):
            self.assertEqual(sum(amount in page for page in pages), 1, amount)
        self.assertIn(f"{url}/page/2", pages[0])
        self.assertNotIn("777.00", "".join(pages))
        due = self.get(f"{url}?filterby=due").text
        self.assertIn("55.00", due)
        self.assertNotIn("104.00", due)
        self.assertNotIn("89.70", due)
        first = self.get(f"{url}?sortby=amount").text
        self.assertIn("104.00", first)
        self.assertNotIn("89.70", first)
        none = self.get(f"{url}?filterby=paid").text
        self.assertIn("There is no commission in this state.", none)

    def test_odd_parameters_do_no_harm(self):
        self.login()
        url = f"/my/affiliate/{self.drona.id}/commissions"
        page = self.get(f"{url}?sortby=id;drop&filterby=[]&page=99").text
        self.assertIn("89.70", page)
        for beyond in ("99", "9" * 30):
            self.get(f"{url}/page/{beyond}")
            self.get(f"/my/affiliate/{self.drona.id}/customers/page/{beyond}")

    def test_reasons_are_told(self):
        row = self.make_commission(self.drona, 12)
        row._reject("The customer is your own company.")
        self.make_commission(self.drona, 13, on_hold=True)
        self.login()
        page = self.get(f"/my/affiliate/{self.drona.id}/commissions").text
        self.assertIn("The customer is your own company.", page)
        self.assertIn("In review", page)

    # --- settlements -----------------------------------------------------------------

    def settle(self, affiliate):
        rows = affiliate.commission_ids
        rows.write({"is_approved": True})
        settlement = self.env["affiliate.settlement"].create(
            {
                "affiliate_id": affiliate.id,
                "currency_id": self.usd.id,
                "company_id": affiliate.company_id.id,
                "date_to": rows[0].date,
            }
        )
        rows.write({"settlement_id": settlement.id})
        self.env.flush_all()
        settlement.invalidate_recordset()
        return settlement

    def test_settlement_shows_when_confirmed(self):
        settlement = self.settle(self.drona)
        url = f"/my/affiliate/{self.drona.id}"
        self.login()
        self.assertNotIn(settlement.name, self.get(url).text)
        self.assertTrue(self.get(settlement.access_url).url.endswith(url))
        settlement.step = "confirmed"
        page = self.get(url).text
        self.assertIn(settlement.name, page)
        self.assertIn(settlement.access_url, page)
        self.assertNotIn("/my/invoices/", page)

    def test_statement_is_the_affiliates_own(self):
        settlement = self.settle(self.drona)
        settlement.step = "confirmed"
        self.login()
        statement = self.get(settlement.access_url)
        self.assertEqual(statement.headers["Content-Type"], "application/pdf")
        self.authenticate(None, None)
        self.assertIn("/web/login", self.get(settlement.access_url).url)
        self.assertEqual(
            self.get(settlement.get_portal_url()).headers["Content-Type"],
            "application/pdf",
        )

    # --- the team --------------------------------------------------------------------

    def test_people_of_the_company_are_no_affiliates(self):
        self.env.ref("base.user_admin").password = PASSWORD
        self.authenticate("admin", PASSWORD)
        page = self.get("/my/affiliate").text
        self.assertIn("You take part in no affiliate programme yet.", page)
        self.assertIn(self.drona.code, self.get(self.drona.access_url).text)

    def test_queries_do_not_grow_with_rows(self):
        for number in range(6):
            referral = self.make_referral(self.drona, f"c{number}@shop.example")
            self.make_commission(self.drona, referral_id=referral.id)
        self.login()
        for path in ("", "/commissions", "/customers"):
            url = f"/my/affiliate/{self.drona.id}{path}"
            self.get(url)
            few = self.count_queries(url)
            for number in range(20):
                referral = self.make_referral(
                    self.drona, f"{path[1:]}{number}@more.example"
                )
                self.make_commission(self.drona, referral_id=referral.id)
            self.assertLessEqual(self.count_queries(url), few)

    def count_queries(self, url):
        self.env.flush_all()
        self.env.invalidate_all()
        before = self.env.cr.sql_log_count
        self.get(url)
        return self.env.cr.sql_log_count - before


class TestPortalFigures(AffiliateData):
    def test_currencies_are_kept_apart(self):
        affiliate = self.make_affiliate("drona")
        self.make_commission(affiliate, 10)
        self.make_commission(affiliate, 4, is_approved=True)
        self.make_commission(affiliate, -1, is_approved=True)
        self.make_commission(affiliate, 99)._reject("Test")
        self.make_commission(affiliate, 20, currency_id=self.eur.id)
        dollars, euros = affiliate._get_portal_figures()
        self.assertEqual(dollars["currency"], self.usd)
        self.assertEqual(
            [dollars[key] for key in ("earned", "pending", "approved", "paid")],
            [13, 10, 3, 0],
        )
        self.assertEqual(euros["currency"], self.eur)
        self.assertEqual(euros["earned"], 20)
        self.assertEqual(dollars["chart"]["bars"][-1].value, 13)
        self.assertEqual(len(dollars["chart"]["bars"]), 12)

    def test_earned_elsewhere_only(self):
        affiliate = self.make_affiliate("drona")
        self.assertEqual(
            [figure["currency"] for figure in affiliate._get_portal_figures()],
            [self.usd],
        )
        self.make_commission(affiliate, 20, currency_id=self.eur.id)
        self.assertEqual(
            [figure["currency"] for figure in affiliate._get_portal_figures()],
            [self.eur],
        )
