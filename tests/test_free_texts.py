"""Texts that a business types into Stripe may name its customers: affiliates see what
was sold, never such a text; also where old rows of the ledger still hold one."""

import html

from odoo.tests import new_test_user, tagged
from odoo.tools import SQL

from .money_common import MoneyCase
from .web_common import PASSWORD

SECRET = "Coaching for Jane Doe, born 1980"
NAMES = ("Jane Doe", "1980")


@tagged("post_install", "-at_install")
class TestFreeTexts(MoneyCase):
    def setUp(self):
        super().setUp()
        partner = self.drona.partner_id
        self.user = new_test_user(
            self.env,
            "drona",
            groups="base.group_portal",
            password=PASSWORD,
            partner_id=partner.id,
            email=partner.email,
        )

    def item(self, amount=10000):
        return {"amount": amount, "currency": "usd", "description": SECRET}

    def sell_everything(self):
        """Each kind of line: a bare amount, a price of a product with a text of its
        own, a plan, a checkout, a charge alone."""
        shop = self.shop
        pro = shop.product("Pro")["id"]
        monthly = shop.price(2500, product=pro, nickname=SECRET)
        seats = shop.price(7000, interval=None, product=pro)
        customer = shop.customer("jane@example.com")
        invoice = shop.invoice(
            customer,
            self.item(),
            {"pricing": {"price": seats["id"]}, "description": SECRET},
        )
        shop.subscribe(customer, monthly, description=SECRET)
        shop.buy(seats, "jane@example.com")
        shop.post(
            "payment_intents",
            amount=4000,
            currency="usd",
            confirm=True,
            customer=customer["id"],
            description=SECRET,
        )
        self.deliver()
        return invoice

    def correct_everything(self, invoice):
        """Each kind of correction: a refund, a refund that failed, a credit note."""
        self.shop.refund(invoice, 1000)
        failed = self.shop.refund(invoice, 2000)
        self.deliver()
        self.double.refund_status(failed["id"], "failed")
        line = invoice["lines"]["data"][0]["id"]
        note = {"type": "invoice_line_item", "invoice_line_item": line, "amount": 2000}
        self.shop.post(
            "credit_notes", invoice=invoice["id"], lines=[note], refund_amount=2000
        )
        self.deliver()

    def assert_silent(self, text):
        for name in (*NAMES, "Coaching"):
            self.assertNotIn(name, html.unescape(str(text)))

    def rpc(self, model, method, *args, **options):
        self.authenticate("drona", PASSWORD)
        return self.make_jsonrpc_request(
            f"/web/dataset/call_kw/{model}/{method}",
            {"model": model, "method": method, "args": args, "kwargs": options},
        )

    def test_no_way_leads_to_them(self):
        self.correct_everything(self.sell_everything())
        kinds = set(self.rows().mapped("kind"))
        self.assertLessEqual({"earned", "refund", "credit_note"}, kinds)
        self.assert_silent(self.rows().mapped("explanation"))
        settlement = self.settle()
        self.env.flush_all()
        readable = [
            name
            for name, field in self.env["affiliate.commission"]
            .with_user(self.user)
            .fields_get()
            .items()
            if field["type"] != "binary"
        ]
        rows = self.rpc("affiliate.commission", "search_read", [], readable)
        self.assertTrue(rows)
        self.assert_silent(rows)
        self.assert_silent(self.rpc("affiliate.commission", "name_search", ""))
        for path in ("", "/commissions", "/customers"):
            page = self.url_open(f"/my/affiliate/{self.drona.id}{path}")
            self.assertEqual(page.status_code, 200)
            self.assert_silent(page.text)
        rows = self.url_open(f"/my/affiliate/{self.drona.id}/commissions").text
        self.assertIn("Pro, monthly", rows)
        report = self.env["ir.actions.report"]._render_qweb_html(
            "affiliate_stripe.report_settlement", settlement.ids
        )[0]
        self.assertIn("Pro", report.decode())
        self.assert_silent(report.decode())

    def settle(self):
        self.rows().filtered(lambda r: r.state == "pending").action_approve()
        return self.env["affiliate.settlement"]._collect(
            self.rows(state="approved").mapped("date")[-1], self.drona
        )

    def test_what_was_sold_is_named(self):
        self.sell_everything()
        told = "\n".join(self.rows().mapped("explanation"))
        self.assertRegex(told, r"received without tax for Pro on \S+-0001 =")
        self.assertIn("received without tax for Pro, monthly on", told)
        self.assertRegex(told, r"received without tax for an item on \S+-0001 =")
        self.assertIn("received without tax for Pro on a checkout", told)
        self.assertIn("received without tax for an item on a payment without", told)
        self.assert_silent(told)

    def test_a_linked_line_does_not_tell_either(self):
        """The name of a linked record needs no access to that record."""
        self.sell(self.item())
        self.assertEqual(self.rows().invoice_line_id.display_name, SECRET)
        readable = self.env["affiliate.commission"].with_user(self.user).fields_get()
        self.assertNotIn("invoice_line_id", readable)

    def test_what_was_booked_before_is_told_anew(self):
        self.correct_everything(self.sell_everything())
        rows = self.rows()
        told = {row: row.explanation for row in rows}
        own = self.env["affiliate.commission"].create(
            {
                "affiliate_id": self.drona.id,
                "program_id": self.program.id,
                "amount": 5,
                "explanation": "Thanks, Jane",
            }
        )
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                "UPDATE affiliate_commission SET explanation = %s WHERE id IN %s",
                f"30 %% of 100.00 USD received without tax for {SECRET} on x.",
                tuple(rows.ids),
            )
        )
        self.env.invalidate_all()
        self.env["affiliate.commission"]._explain_all_anew()
        self.env.invalidate_all()
        # Why something no longer holds is in no row: of these all reasons are named.
        gone = rows.filtered(lambda row: row.kind == "refund" and row.amount > 0)
        self.assertEqual(len(gone), 2)
        for row in gone:
            self.assertIn("the refund failed", row.explanation)
            self.assert_silent(row.explanation)
            told[row] = row.explanation
        self.assertEqual({row: row.explanation for row in rows}, told)
        self.assertEqual(own.explanation, "Thanks, Jane", "a person's words stay")
