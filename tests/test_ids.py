"""No id of Stripe stands in a text for people where a name or number exists."""

from datetime import timedelta

from markupsafe import Markup

from odoo import fields
from odoo.tests import TransactionCase, tagged

from ..lib.stripe_objects import MODELS
from ..lib.stripe_text import ID_IN_TEXT, short_id
from ..models.affiliate_stripe_names import KINDS_OF_IDS
from .money_common import MoneyCase

PORTAL = "/my/affiliate"


def ids_in(text):
    """Return whole ids of Stripe in a text."""
    return [
        match[0]
        for match in ID_IN_TEXT.finditer(str(text or ""))
        if match["kind"] in KINDS_OF_IDS
    ]


@tagged("post_install", "-at_install")
class TestIdsInTexts(MoneyCase):
    def setUp(self):
        super().setUp()
        self.program.hold_days = 0
        self.live()

    def live(self):
        """All kinds of sales and what takes them back, of the double's long ids."""
        invoice = self.sell(10000, 2000)
        self.shop.refund(invoice, 1000)
        line = invoice["lines"]["data"][0]["id"]
        self.shop.post(
            "credit_notes",
            invoice=invoice["id"],
            lines=[
                {
                    "type": "invoice_line_item",
                    "invoice_line_item": line,
                    "amount": 500,
                }
            ],
            refund_amount=500,
        )
        price = self.shop.price(30000, interval=None)
        link = self.shop.link(price)
        session = self.double.open_payment_link(link["id"], self.drona.code)
        self.double.complete_session(session["id"], email="guest@example.com")
        other = self.make_affiliate(self.program, "Uma Iyer")
        self.shop.buy(price, "john@example.com", client_reference_id=other.code)
        charge = self.shop.charge_of(self.sell(7000))
        self.double.close_dispute(self.double.open_dispute(charge)["id"], "lost")
        alone = self.shop.post(
            "payment_intents",
            amount=900,
            currency="usd",
            customer=self.shop.customer("jane@example.com")["id"],
            confirm=True,
        )
        self.double.pay_out()
        self.deliver()
        self.assertTrue(alone["latest_charge"])
        kinds = set(self.rows().mapped("kind"))
        self.assertLessEqual({"earned", "refund", "dispute", "credit_note"}, kinds)
        self.assertTrue(self.rows().filtered(lambda row: not row.invoice_id))
        # Some of it belongs to another one, which takes rows back.
        referral = self.rows(affiliate_id=other.id).referral_id
        self.env["affiliate.move.wizard"].create(
            {
                "referral_id": referral.id,
                "affiliate_id": self.drona.id,
                "reason": "He brought her.",
            }
        ).action_move()
        self.other = other

    def assert_no_ids(self, texts, where):
        for text in texts:
            with self.subTest(where=where, text=str(text)[:300]):
                self.assertEqual(ids_in(text), [])

    def test_the_ledger_and_why(self):
        rows = self.rows()
        self.assertGreater(len(rows), 8)
        self.assert_no_ids(rows.mapped("explanation"), "explanation")
        self.assert_no_ids([row._sale_name() for row in rows], "sale")
        rows._explain_all_anew()
        self.assert_no_ids(rows.mapped("explanation"), "explained anew")
        referrals = self.env["affiliate.referral"].search([])
        stories = [text for text in referrals.mapped("why") if text]
        self.assertTrue(stories)
        self.assert_no_ids(stories, "why")
        self.assert_no_ids(referrals.mapped("evidence_text"), "evidence")

    def test_statement_bill_and_portal(self):
        rows = self.rows().filtered(lambda row: row.state == "pending")
        rows.action_approve()
        day = max(self.rows().mapped("date")) + timedelta(days=1)
        self.env["affiliate.settlement.wizard"].create({"date_to": day}).action_settle()
        settlement = self.rows(affiliate_id=self.drona.id).settlement_id
        report = self.env["ir.actions.report"]
        html = report._render_qweb_html(
            "affiliate_stripe.report_settlement", settlement.ids
        )[0].decode()
        self.assertIn("Checkout" if "cs_" in html else "Payment", html)
        self.assert_no_ids([html], "statement")
        bill = settlement.move_id
        self.assertTrue(bill)
        texts = [bill.ref, bill.narration, *bill.line_ids.mapped("name")]
        self.assert_no_ids(texts, "bill")
        self.authenticate_portal()
        for path in ("", "/commissions", "/customers", "/settlements"):
            page = self.url_open(f"{PORTAL}{path}")
            if page.status_code == 200:
                self.assert_no_ids([page.text], path)

    def authenticate_portal(self):
        user = self.drona.partner_id.user_ids
        user.sudo().password = "a password of many letters"
        self.authenticate(user.login, "a password of many letters")

    def test_what_was_written_to_people(self):
        ours = self.env["ir.model"].sudo().search([("model", "=like", "affiliate.%")])
        models = ours.mapped("model")
        messages = self.env["mail.message"].sudo().search([("model", "in", models)])
        self.assert_no_ids(messages.mapped("body"), "message")
        self.assert_no_ids(messages.mapped("subject"), "subject")
        activities = self.env["mail.activity"].sudo()
        found = activities.search([("res_model", "in", models)])
        self.assert_no_ids(found.mapped("note"), "activity")
        self.assert_no_ids(
            self.env["mail.mail"].sudo().search([]).mapped("body"), "mail"
        )

    def test_names_of_mirrored_objects(self):
        seen = set()
        for model in sorted(set(MODELS.values())):
            rows = self.env[model].with_context(active_test=False).search([])
            self.assert_no_ids(rows.mapped("display_name"), model)
            self.assertTrue(all(rows.mapped("display_name")), model)
            seen.update([model] if rows else [])
        self.assertGreaterEqual(len(seen), 12, seen)

    def test_texts_in_words(self):
        invoice = self.env["affiliate.stripe.invoice"].search([], limit=1)
        customer = invoice.customer_id
        told = self.account._in_words(
            [
                f"invoice {invoice.stripe_id}, customer {customer.stripe_id}",
                "charge ch_1234567890abcdefghijklmn",
                "my_value_1234567890 stays, and so does DRONA29_visitor0000001",
                False,
            ]
        )
        self.assertEqual(
            told,
            [
                f"invoice {invoice.number}, customer {customer.display_name}",
                "charge ch_1234567…ijklmn",
                "my_value_1234567890 stays, and so does DRONA29_visitor0000001",
                "",
            ],
        )


@tagged("post_install", "-at_install")
class TestStatementOnPaper(MoneyCase):
    """A statement of several pages, with all that is long."""

    def settlement_of(self, count, lang=None):
        self.program.name = "Partnerprogramm" * 6
        partner = self.drona.partner_id
        partner.name = "Donaudampfschifffahrtsgesellschaftskapitän" * 2
        if lang:
            partner.lang = lang
        rows = self.env["affiliate.commission"].create(
            [
                {
                    "affiliate_id": self.drona.id,
                    "program_id": self.program.id,
                    "currency_id": self.env.ref("base.USD").id,
                    "amount": (-1) ** number * 12345.67 + number * 1000,
                    "date": fields.Date.add(fields.Date.today(), days=-number),
                    "explanation": f"{number}: " + "Unbreakable" * 12 + " and so on",
                }
                for number in range(count)
            ]
        )
        rows.action_approve()
        self.env["affiliate.settlement.wizard"].create(
            {"date_to": fields.Date.today()}
        ).action_settle()
        return rows.settlement_id

    def test_nothing_runs_over_the_edge(self):
        settlement = self.settlement_of(120)
        html = self.env["ir.actions.report"]._render_qweb_html(
            "affiliate_stripe.report_settlement", settlement.ids
        )[0]
        self.assertIn(b"table-layout: fixed", html)
        self.assertIn(b"word-break", html)


@tagged("post_install", "-at_install")
class TestShortIds(TransactionCase):
    def test_ids_in_texts(self):
        whole = "cs_test_" + "a1B2" * 14
        self.assertEqual(len(whole), 64)
        self.assertEqual(short_id(whole), "cs_test_a1…B2a1B2")
        self.assertEqual(short_id("cus_short"), "cus_short")
        self.assertEqual(ids_in(Markup("<p>see %s</p>") % whole), [whole])
        self.assertEqual(ids_in("in_progress re_entered price_list cs_"), [])
