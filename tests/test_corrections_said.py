"""What a row says that corrects an earlier one: what happened, not a sum of nothing."""

from odoo.tests import tagged

from .money_common import MoneyCase


@tagged("post_install", "-at_install")
class TestCorrectionsSaid(MoneyCase):
    def late_first(self, *rules):
        """Two payments, of which the earlier one becomes known last."""
        self.program.rule_ids.unlink()
        self.program.rule_ids = [
            (0, 0, {"sequence": number, **rule}) for number, rule in enumerate(rules)
        ]
        customer = self.shop.customer()
        first = self.shop.invoice(customer, 4000)
        early = self.double.deliveries()
        for delivery in early:
            delivery.drop()
        self.double.advance(days=31)
        second = self.sell(10000, customer=customer)
        booked = self.rows()
        self.assertEqual(set(booked.mapped("sale_ref")), {second["id"]})
        self.deliver(early)
        self.assertTrue(self.rows(sale_ref=first["id"]))
        return self.rows(sale_ref=second["id"]) - booked

    def assert_said(self, row, *texts):
        self.assertTrue(row)
        for text in texts:
            self.assertIn(text, row[-1].explanation)
        self.assertNotIn(" 0.00 ", row[-1].explanation)

    def test_another_rate(self):
        row = self.late_first(
            {"rate": 33.33, "applies_to": "first"}, {"rate": 20, "applies_to": "all"}
        )
        self.assertEqual(row.amount, -13.33)
        self.assert_said(
            row,
            "-13.33 USD",
            "20 % of 100.00 USD",
            "20.00 USD instead of 33.33 USD",
            "Another rule",
        )
        self.assert_any_order()

    def test_another_rate_of_a_refund(self):
        self.program.rule_ids.write({"rate": 33.33, "applies_to": "first"})
        self.program.rule_ids = [(0, 0, {"rate": 20})]
        customer = self.shop.customer()
        self.shop.invoice(customer, 4000)
        early = self.double.deliveries()
        for delivery in early:
            delivery.drop()
        self.double.advance(days=31)
        second = self.sell(10000, customer=customer)
        self.shop.refund(second, 5000)
        self.deliver()
        self.deliver(early)
        rows = self.rows(sale_ref=second["id"])
        self.assertEqual(sorted(rows.mapped("amount")), [-16.66, -13.33, 6.66, 33.33])
        row = rows.filtered(lambda r: r.amount == 6.66)
        self.assert_said(row, "-10.00 USD instead of -16.66 USD", "refund")

    def test_from_a_fixed_amount_to_a_rate(self):
        usd = self.env.ref("base.USD").id
        row = self.late_first(
            {
                "rate_type": "fixed",
                "amount": 50,
                "currency_id": usd,
                "applies_to": "first",
            },
            {"rate": 20},
        )
        self.assertEqual(row.amount, -30.00)
        self.assert_said(row, "20 % of 100.00 USD", "20.00 USD instead of 50.00 USD")

    def test_from_a_rate_to_a_fixed_amount(self):
        usd = self.env.ref("base.USD").id
        row = self.late_first(
            {"rate": 30, "applies_to": "first"},
            {"rate_type": "fixed", "amount": 5, "currency_id": usd},
        )
        self.assertEqual(row.amount, -25.00)
        self.assert_said(row, "5.00 USD fixed", "5.00 USD instead of 30.00 USD")

    def test_the_months_are_over(self):
        row = self.late_first({"rate": 30, "duration_months": 1})
        self.assertEqual(row.amount, -30.00)
        self.assert_said(row, "the months of the rule", "30.00 USD")

    def test_the_payments_are_used_up(self):
        row = self.late_first({"rate": 30, "max_count": 1})
        self.assertEqual(row.amount, -30.00)
        self.assert_said(row, "the payments of the rule")

    def test_it_is_not_the_first_payment(self):
        row = self.late_first({"rate": 30, "applies_to": "first"})
        self.assertEqual(row.amount, -30.00)
        self.assert_said(row, "no program rule")

    def test_another_affiliate(self):
        self.sell(10000)
        uma = self.make_affiliate(self.program, "Uma Iyer")
        referral = self.rows().referral_id
        self.env["affiliate.move.wizard"].create(
            {
                "referral_id": referral.id,
                "affiliate_id": uma.id,
                "reason": "Agreed",
                "scope": "all",
            }
        ).action_move()
        gone = self.rows(affiliate_id=self.drona.id)[-1]
        self.assertEqual(gone.amount, -30.00)
        self.assert_said(gone, "belongs to another affiliate")
        self.assertNotIn("Uma", gone.explanation)
        self.assertIn("30 % of 100.00", self.rows(affiliate_id=uma.id).explanation)

    def test_earns_nothing_by_its_metadata(self):
        invoice = self.sell(10000)
        self.double.alter(
            "invoice",
            invoice["id"],
            ["invoice.updated"],
            metadata={"affiliate": "skip"},
        )
        self.deliver()
        self.assert_said(self.rows()[-1], "marked as earning no commission")

    def test_does_not_add_up_any_more(self):
        invoice = self.sell(10000)
        self.double.alter("invoice", invoice["id"], ["invoice.updated"], total=15000)
        self.deliver()
        self.assert_said(self.rows()[-1], "do not add up")

    def test_a_refund_that_failed(self):
        invoice = self.sell(10000)
        refund = self.shop.refund(invoice, 5000)
        self.deliver()
        self.double.refund_status(refund["id"], "failed")
        self.deliver()
        row = self.rows()[-1]
        self.assertEqual(row.amount, 15.00)
        self.assert_said(row, "refund", "did not go through")

    def test_a_credit_note_that_was_voided(self):
        invoice = self.sell(10000)
        note = self.shop.post(
            "credit_notes", invoice=invoice["id"], amount=5000, out_of_band_amount=5000
        )
        self.deliver()
        self.double.alter(
            "credit_note", note["id"], ["credit_note.voided"], status="void"
        )
        self.deliver()
        row = self.rows()[-1]
        self.assertEqual(row.amount, 15.00)
        self.assert_said(row, "credit note", "no longer applies")

    def test_another_base(self):
        """The payment is the same, and the sale has become larger."""
        invoice = self.shop.invoice(self.shop.customer(), 10000, 5000)
        self.deliver()
        line = invoice["lines"]["data"][0]["id"]
        self.double.alter("line_item", line, amount=13000)
        self.double.alter("invoice", invoice["id"], ["invoice.updated"], total=18000)
        self.deliver()
        row = self.rows(line_ref=line)[-1]
        self.assertEqual(row.amount, 2.50)
        self.assert_said(row, "30 % of 108.33 USD", "32.50 USD instead of 30.00 USD")

    def test_told_anew_they_say_the_same(self):
        self.late_first(
            {"rate": 33.33, "applies_to": "first"}, {"rate": 20, "applies_to": "all"}
        )
        rows = self.rows()
        told = {row: row.explanation for row in rows}
        self.env.flush_all()
        self.env.cr.execute("UPDATE affiliate_commission SET explanation = 'Old'")
        self.env.invalidate_all()
        self.env["affiliate.commission"]._explain_all_anew()
        self.assertEqual(
            {row: row.explanation.split("(")[0] for row in rows},
            {row: text.split("(")[0] for row, text in told.items()},
        )
