"""Commissions are net: however taxes are set, the bill's net is the settlement."""

import itertools

from odoo.tests import tagged

from .test_bills import BillCase


@tagged("post_install", "-at_install")
class TestNet(BillCase):
    def tax(self, amount, **values):
        return (
            self.env["account.tax"]
            .sudo()
            .create(
                {
                    "name": f"Tax {self.env['account.tax'].sudo().search_count([])}",
                    "amount": amount,
                    "amount_type": "percent",
                    "type_tax_use": "purchase",
                    "company_id": self.env.company.id,
                    **values,
                }
            )
        )

    def included(self, amount, **values):
        return self.tax(amount, price_include_override="tax_included", **values)

    def taxed(self, *taxes):
        self.program.product_id = self._create_product(
            name="Commission",
            type="service",
            supplier_taxes_id=[(6, 0, [tax.id for tax in taxes])],
        )

    def bill_of(self, amount, **values):
        row = self.earn(amount, **values)
        settlement = self.settle(allow_negative=True)
        bill = settlement.move_id
        self.assertAlmostEqual(bill.amount_untaxed, abs(amount), 3)
        bill.action_post()
        self.assertEqual(settlement.state, "billed")
        self.assertAlmostEqual(bill.amount_untaxed, abs(amount), 3)
        self.reverse(bill)
        row.sudo().void_reason = "Next one"
        return bill

    def test_a_tax_included_in_the_price(self):
        self.taxed(self.included(20))
        bill = self.bill_of(100)
        self.assertEqual((bill.amount_untaxed, bill.amount_total), (100, 120))

    def test_a_company_whose_prices_include_tax(self):
        self.env.company.sudo().account_price_include = "tax_included"
        self.taxed(self.tax(20))
        bill = self.bill_of(100)
        self.assertEqual((bill.amount_untaxed, bill.amount_total), (100, 120))

    def test_a_tax_excluded_in_a_company_whose_prices_include_it(self):
        self.env.company.sudo().account_price_include = "tax_included"
        self.taxed(self.tax(20, price_include_override="tax_excluded"))
        bill = self.bill_of(100)
        self.assertEqual((bill.amount_untaxed, bill.amount_total), (100, 120))

    def test_a_vendor_credit_note_too(self):
        self.taxed(self.included(20))
        bill = self.bill_of(-100)
        self.assertEqual((bill.move_type, bill.amount_total), ("in_refund", 120))

    def test_a_fiscal_position_that_replaces_the_tax(self):
        here, abroad = self.included(20), self.included(7.7)
        position = self.env["account.fiscal.position"].create({"name": "Abroad"})
        abroad.write(
            {
                "fiscal_position_ids": [(4, position.id)],
                "original_tax_ids": [(4, here.id)],
            }
        )
        self.taxed(here)
        self.drona.partner_id.property_account_position_id = position
        bill = self.bill_of(100)
        self.assertEqual(bill.invoice_line_ids.tax_ids, abroad)
        self.assertEqual((bill.amount_untaxed, bill.amount_total), (100, 107.7))

    def test_several_taxes_groups_fixed_ones_and_withheld_ones(self):
        children = self.included(10) | self.included(5)
        group = self.tax(
            0, amount_type="group", children_tax_ids=[(6, 0, children.ids)]
        )
        for taxes, total in (
            ([self.included(20), self.tax(5)], 125),
            ([self.included(20, include_base_amount=True), self.included(10)], 132),
            ([group], 115),
            ([self.included(3, amount_type="fixed")], 103),
            ([self.included(20, amount_type="division")], 125),
            ([self.included(20), self.included(-15)], 105),
        ):
            with self.subTest(total=total):
                self.taxed(*taxes)
                bill = self.bill_of(100)
                self.assertAlmostEqual(bill.amount_total, total, 2)

    def test_to_the_cent_for_odd_sums_and_both_ways_of_rounding(self):
        kwd = self.env.ref("base.KWD")
        kwd.active = True
        self.env["res.currency.rate"].create(
            {"currency_id": kwd.id, "rate": 0.3, "name": "2020-01-01"}
        )
        taxes = (self.included(7.7), self.included(19), self.included(8.1))
        sums = (("usd", 0.01), ("usd", 33.33), ("usd", 1234.57), ("kwd", 6.173))
        rounding = ("round_per_line", "round_globally")
        for way, tax, (code, amount) in itertools.product(rounding, taxes, sums):
            with self.subTest(way=way, tax=tax.amount, amount=amount):
                self.env.company.sudo().tax_calculation_rounding_method = way
                self.taxed(tax)
                currency = self.env.ref(f"base.{code.upper()}")
                self.bill_of(amount, currency_id=currency.id)

    def test_the_net_stays_when_the_draft_is_written_again(self):
        self.taxed(self.included(20))
        invoice = self.sell(10000)
        settlement = self.settle()
        self.refund(invoice, 4000)
        bill = settlement.move_id
        self.assertEqual((bill.amount_untaxed, bill.amount_total), (30, 36))
