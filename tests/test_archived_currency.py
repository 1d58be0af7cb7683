"""A currency that is archived in Odoo changes nothing that is earned."""

from odoo.tests import tagged

from .money_common import MoneyCase


@tagged("post_install", "-at_install")
class TestArchivedCurrency(MoneyCase):
    def odoo_currency(self, name):
        return (
            self.env["res.currency"]
            .sudo()
            .with_context(active_test=False)
            .search([("name", "=", name)])
        )

    def archive(self, *names):
        for name in names:
            self.odoo_currency(name).active = False
        self.env.flush_all()

    def test_three_decimals_at_once(self):
        self.program.rule_ids.rate = 10
        self.bind_archived("KWD", 12340, 1.234)
        self.assert_any_order()

    def bind_archived(self, name, amount, earned):
        """As when a person maps a customer who has paid already."""
        self.program.existing_customers = "any"
        email = f"{name}@example.com".lower()
        customer = self.shop.customer(email)
        invoice = self.shop.invoice(customer, amount, currency=name.lower())
        self.deliver()
        self.assertFalse(self.rows(sale_ref=invoice["id"]))
        self.archive(name)
        self.bind(email)
        self.env["affiliate.referral"]._cron_decide_late()
        self.deliver()
        self.assertEqual(self.amounts(sale_ref=invoice["id"]), [earned])
        self.double.alter("invoice", invoice["id"], ["invoice.updated"], number="X")
        self.archive(name)
        self.deliver()
        self.assertEqual(self.amounts(sale_ref=invoice["id"]), [earned])
        return invoice

    def test_currencies_that_odoo_rounds_to_whole_units(self):
        self.program.rule_ids.rate = 10
        self.odoo_currency("ISK").rounding = 1.0
        self.odoo_currency("UGX").rounding = 1.0
        for name in ("ISK", "UGX"):
            invoice = self.bind_archived(name, 99900, 100)
            self.archive(name)
            self.shop.refund(invoice, 300)
            self.deliver()
            self.assertNotIn(0, self.amounts(), "no rows of nothing")
            self.archive(name)
            self.shop.refund(invoice, 49650)
            self.deliver()
            self.assertEqual(self.amounts(sale_ref=invoice["id"]), [100, -50])

    def test_nothing_is_earned_that_rounds_to_nothing(self):
        self.odoo_currency("ISK").rounding = 1.0
        self.program.existing_customers = "any"
        customer = self.shop.customer("isk@example.com")
        self.shop.invoice(customer, 100, currency="isk")
        self.deliver()
        self.archive("ISK")
        self.bind("isk@example.com")
        self.assertFalse(self.rows())

    def test_a_fixed_amount_in_it(self):
        kwd = self.odoo_currency("KWD")
        kwd.active = True
        self.program.rule_ids.unlink()
        self.program.rule_ids = [
            (
                0,
                0,
                {"rate_type": "fixed", "amount": 1.234, "currency_id": kwd.id},
            )
        ]
        self.bind_archived("KWD", 12340, 1.234)

    def test_settled_to_the_last_decimal(self):
        self.program.rule_ids.rate = 10
        self.bind_archived("KWD", 12340, 1.234)
        row = self.rows()
        self.archive("KWD")
        row.sudo().write({"is_approved": True})
        self.env["affiliate.settlement"]._collect(row.hold_until)
        settlement = row.settlement_id
        self.assertEqual(settlement.amount_total, 1.234)
        self.assertIn("1.234", self.drona.balance_other)
