"""What came by each of an affiliate's links: from the visit to the portal's figures."""

from unittest.mock import patch
from urllib.parse import parse_qs, urlsplit

from lxml import html

from odoo.tests import tagged

from odoo.addons.portal.controllers.portal import CustomerPortal

from .test_links import BROWSER
from .test_policy import VisitCase
from .web_common import PASSWORD, PageCase


@tagged("post_install", "-at_install")
class TestSubIds(VisitCase):
    def figures(self, affiliate=None, **page):
        self.env.flush_all()
        self.env.invalidate_all()
        _number, rows = (affiliate or self.drona)._get_portal_sub_ids(**page)
        return {
            row["sub_id"]: [
                row["visits"],
                row["leads"],
                row["customers"],
                {currency.name: amount for currency, amount in row["earned"]},
            ]
            for row in rows
        }

    def test_from_the_visit_to_the_commission(self):
        self.assertEqual(self.figures(), {})
        self.visit(self.drona, 0, sub_id="mail-5")
        self.visit(self.drona, 1, sub_id="video")
        self.visit(self.drona, 1, self.new_visitor(), sub_id="video")
        self.visit(self.drona, 1, self.new_visitor())
        self.lead(self.drona, 2)._decide_new()
        self.assertEqual(
            self.figures(),
            {"mail-5": [1, 1, 0, {}], "video": [2, 0, 0, {}], "": [1, 0, 0, {}]},
        )
        self.pay(3)
        self.assertEqual(self.figures()["mail-5"], [1, 0, 1, {"USD": 30.0}])
        self.double.advance(months=1)
        self.deliver()
        self.assertEqual(self.figures()["mail-5"], [1, 0, 1, {"USD": 60.0}])
        self.assertEqual(self.figures()["video"], [2, 0, 0, {}])
        self.assertEqual(self.figures(self.uma), {})

    def test_several_currencies_and_what_came_without_a_sub_id(self):
        self.visit(self.drona, 0, sub_id="mail-5")
        self.buy(1, self.drona)
        euros = self.shop.price(20000, currency="eur")
        self.shop.subscribe("jane@example.com", euros)
        self.shop.subscribe("bob@example.com", self.price, **self.discounts(self.drona))
        self.deliver()
        self.assertEqual(
            self.figures(),
            {
                "mail-5": [1, 0, 1, {"USD": 30.0, "EUR": 60.0}],
                "": [0, 0, 1, {"USD": 24.0}],
            },
        )

    def test_it_stays_when_the_visit_is_forgotten_or_the_person_erased(self):
        self.visit(self.drona, 0, sub_id="mail-5")
        self.buy(1, self.drona)
        self.assertEqual(self.figures()["mail-5"], [1, 0, 1, {"USD": 30.0}])
        self.env["affiliate.click"].sudo().search([]).unlink()
        self.double.advance(months=1)
        self.deliver()
        self.assertEqual(self.figures(), {"mail-5": [0, 0, 1, {"USD": 60.0}]})
        self.bound()._erase_person()
        self.double.advance(months=1)
        self.deliver()
        self.assertEqual(self.figures(), {"mail-5": [0, 0, 1, {"USD": 90.0}]})

    def test_the_code_that_decided_came_without_a_link(self):
        self.visit(self.drona, 0, sub_id="mail-5")
        self.buy(1, self.drona, code=self.drona.code)
        self.assertEqual(
            self.figures(),
            {"mail-5": [1, 0, 0, {}], "": [0, 0, 1, {"USD": 24.0}]},
        )

    def test_who_is_moved_takes_no_sub_id_along(self):
        self.visit(self.drona, 0, sub_id="mail-5")
        self.buy(1, self.drona)
        self.bound()._move(
            {"affiliate_id": self.uma.id, "since": False, "reason": "Mistake"}
        )
        self.assertEqual(self.figures(self.uma), {"": [0, 0, 1, {"USD": 30.0}]})
        self.assertEqual(self.figures()["mail-5"], [1, 0, 0, {}])

    def test_pages_and_one_query(self):
        for number in range(7):
            for _again in range(number + 1):
                self.visit(self.drona, 0, self.new_visitor(), sub_id=f"s{number}")
        self.visit(self.drona, 0, self.new_visitor())
        self.assertEqual(list(self.figures(limit=3)), ["s6", "s5", "s4"])
        self.assertEqual(list(self.figures(offset=6, limit=3)), ["s0", ""])
        self.assertEqual(self.drona._get_portal_sub_ids(limit=3)[0], 8)
        self.env.flush_all()
        with self.assertQueryCount(1):
            self.drona._get_portal_sub_ids(limit=3)

    def test_after_an_upgrade(self):
        """Rows of before know their visit, and learn its sub-id."""
        self.visit(self.drona, 0, sub_id="mail-5")
        self.visit(self.drona, 1, sub_id="video")
        self.buy(2, self.drona)
        visitor = self.new_visitor()
        self.visit(self.drona, 3, visitor, sub_id="video")
        self.visit(self.drona, 4, visitor, sub_id="later")
        self.lead(self.drona, 5, visitor, email="x@example.com")._decide_new()
        before = self.figures()
        self.assertEqual(before["video"][1], 1)
        self.env.cr.execute("UPDATE affiliate_referral SET sub_id = NULL")
        self.env.invalidate_all()
        self.assertEqual(self.figures()[""][1:3], [1, 1])
        self.env["affiliate.referral"].sudo()._note_sub_ids()
        self.assertEqual(self.figures(), before)


class TestSubIdsPage(PageCase):
    def setUp(self):
        super().setUp()
        self.drona = self.make_affiliate("drona")
        self.authenticate("drona", PASSWORD)
        self.url = f"/my/affiliate/{self.drona.id}/links"

    def visit(self, sub_id):
        self.env["affiliate.click"].create(
            {
                "visitor": self.new_visitor(),
                "code_id": self.drona.code_ids.id,
                "affiliate_id": self.drona.id,
                "program_id": self.program.id,
                "company_id": self.company.id,
                "date": "2026-01-01 10:00:00",
                "sub_id": sub_id,
            }
        )

    def rows(self, path="", **options):
        page = html.fromstring(self.get(f"{self.url}{path}", **options).text)
        rows = page.xpath("//*[contains(@class, 'o_affiliate_sub_ids')]//tbody/tr")
        # Without the labels for phones.
        own = ".//text()[not(ancestor::*[@aria-hidden])]"
        return [" ".join(" ".join(row.xpath(own)).split()) for row in rows]

    def test_nobody_came_yet(self):
        text = "Nobody has followed a link with a sub-id yet"
        self.assertIn(text, self.get(self.url).text)
        self.visit(False)
        self.assertIn(text, self.get(self.url).text)

    def test_figures(self):
        self.visit("mail-5")
        self.visit(False)
        referral = self.make_referral(self.drona, "jane@example.com")
        referral.sub_id = "mail-5"
        self.make_commission(self.drona, 89.7, referral_id=referral.id)
        self.make_commission(
            self.drona, 10, referral_id=referral.id, currency_id=self.eur.id
        )
        rejected = self.make_commission(self.drona, 5, referral_id=referral.id)
        rejected.state = "void"
        [mail, none] = self.rows()
        for text in ("mail-5 1 0 1", "89.70", "10.00"):
            self.assertIn(text, mail.replace("\xa0", " "))
        self.assertEqual(none, "Without a sub-id 1 0 0 0")
        self.assertNotIn("jane", self.get(self.url).text)

    def test_a_lead_by_the_form_came_by_a_sub_id(self):
        """By the short link, then by the form, as a visitor does it."""
        self.authenticate(None, None)
        short = f"/a/{self.drona.code}?sub=mail-5"
        answer = self.url_open(short, headers=BROWSER, allow_redirects=False)
        reference = parse_qs(urlsplit(answer.headers["Location"]).query)["via"][0]
        form = f"/affiliate/form/{self.program.public_key}"
        page = html.fromstring(self.get(form, params={"reference": reference}).text)
        data = {
            i.get("name"): i.get("value") or "" for i in page.xpath("//form//input")
        }
        data["email"] = "jane@example.com"
        self.url_open(form, data=data, allow_redirects=False)
        self.env.invalidate_all()
        self.authenticate("drona", PASSWORD)
        self.assertEqual(self.rows(), ["mail-5 1 1 0 0"])

    def test_pages_keep_what_was_typed(self):
        for number in range(5):
            self.visit(f"s{number}")
        with patch.object(CustomerPortal, "_items_per_page", 2):
            self.assertEqual(len(self.rows("?sub=mail&page=/features")), 2)
            page = html.fromstring(self.get(f"{self.url}?sub=mail&page=/features").text)
            [link] = page.xpath("//a[contains(@href, '/links/page/3')]/@href")[:1]
            self.assertIn("sub=mail", link)
            self.assertIn("page=%2Ffeatures", link)
            self.assertEqual(len(self.rows("/page/3")), 1)
            self.assertEqual(len(self.rows("/page/99")), 2)
            self.assertEqual(len(self.rows(f"/page/{'9' * 30}")), 2)

    def test_only_the_own_figures(self):
        self.visit("secret-5")
        self.make_affiliate("nora")
        self.authenticate("nora", PASSWORD)
        self.assertNotIn("secret-5", self.get(self.url).text)
