"""A fixed amount is paid once for a sale, however many lines the sale has."""

from odoo.tests import tagged

from .money_common import MoneyCase

USD = {"currency": "usd", "description": "Work"}


@tagged("post_install", "-at_install")
class TestFixedAmounts(MoneyCase):
    def rule(self, *rules, **values):
        """The program's rules: the fixed one, and others after it."""
        usd = self.env.ref("base.USD").id
        fixed = {"rate_type": "fixed", "amount": 10, "currency_id": usd, **values}
        self.program.rule_ids.unlink()
        self.program.rule_ids = [
            (0, 0, {"sequence": number, **rule})
            for number, rule in enumerate([fixed, *rules])
        ]
        return self.program.rule_ids[:1]

    def tiers(self, *tiers, quantity=17):
        """A subscription to a graduated price, of which each tier is a line."""
        price = self.shop.price(
            None,
            billing_scheme="tiered",
            tiers_mode="graduated",
            tiers=[{"up_to": up_to, "unit_amount": amount} for up_to, amount in tiers],
        )
        items = [{"price": price["id"], "quantity": quantity}]
        self.shop.subscribe(self.shop.customer(), items=items)
        self.deliver()
        lines = self.env["affiliate.stripe.invoice.line"].search([])
        self.assertEqual(len(lines), len(tiers))

    def test_once_for_the_tiers_of_a_price(self):
        """Lines of 50.00, 40.00 and 10.00 of one price."""
        self.rule()
        self.tiers((5, 1000), (13, 500), ("inf", 250))
        self.assertEqual(sorted(self.amounts()), [1.00, 4.00, 5.00])
        self.assertIn(
            "1.00 USD of the fixed 10.00 USD for",
            self.rows().filtered(lambda row: row.amount == 1).explanation,
        )
        self.assert_any_order()

    def test_once_for_everything(self):
        self.rule(amount=5)
        self.sell(3000, 3000, 3000)
        # The cents that cannot be divided go to the largest remainders.
        self.assertEqual(sorted(self.amounts()), [1.66, 1.67, 1.67])

    def test_a_bounty_with_a_setup_fee(self):
        self.rule(amount=50, applies_to="first")
        customer = self.shop.customer()
        self.shop.subscribe(
            customer,
            self.shop.price(10000),
            add_invoice_items=[{"price": self.shop.price(15000, interval=None)["id"]}],
        )
        self.deliver()
        self.assertEqual(self.total(), 50.00)
        self.double.advance(months=1)
        self.deliver()
        self.assertEqual(self.total(), 50.00)
        self.assert_any_order()

    def test_refunds_sum_to_the_whole(self):
        """However it goes back, what is kept is a share of the one amount."""
        self.rule()
        invoice = self.sell(3333, 3333, 3334)
        self.assertEqual(sorted(self.amounts()), [3.33, 3.33, 3.34])
        for amount, kept in ((5000, 5.00), (1700, 3.30), (3299, 0.00), (1, 0.00)):
            self.shop.refund(invoice, amount)
            self.deliver()
            self.assertEqual(self.total(), kept)
        self.assertNotIn(0, self.amounts())
        self.assert_any_order()

    def test_a_lost_dispute_takes_the_whole(self):
        self.rule()
        invoice = self.sell(3333, 3333, 3334)
        dispute = self.double.open_dispute(self.shop.charge_of(invoice))
        self.double.close_dispute(dispute["id"], "lost")
        self.deliver()
        self.assertEqual(self.total(), 0.00)
        self.assert_any_order()

    def test_a_credit_note_takes_the_share_of_its_line(self):
        self.rule()
        invoice = self.sell(5000, 4000, 1000)
        lines = {line["amount"]: line["id"] for line in invoice["lines"]["data"]}
        entry = {
            "type": "invoice_line_item",
            "invoice_line_item": lines[4000],
            "amount": 4000,
        }
        self.shop.post(
            "credit_notes",
            invoice=invoice["id"],
            lines=[entry],
            refund_amount=4000,
        )
        self.deliver()
        self.assertEqual(sorted(self.amounts()), [-4.00, 1.00, 4.00, 5.00])
        row = self.rows(kind="credit_note")
        self.assertIn("its share of the fixed", row.explanation)
        self.assertIn("4.00 USD of the 10.00 USD", row.explanation)
        self.assert_any_order()

    def test_paid_in_parts(self):
        self.rule()
        invoice = self.shop.invoice(self.shop.customer(), 3333, 3333, 3334, pay=False)
        for amount in (4000, 3000, 3000):
            self.double.pay_invoice(invoice["id"], amount)
            self.double.advance(days=1)
        self.deliver()
        sums = {}
        for row in self.rows():
            sums[row.cause_id] = round(sums.get(row.cause_id, 0) + row.amount, 2)
        self.assertEqual(sorted(sums.values()), [3.00, 3.00, 4.00])
        self.assertIn(
            "part for which payment has been received", self.rows()[0].explanation
        )
        self.assert_any_order()

    def test_half_from_the_balance(self):
        self.rule()
        customer = self.shop.customer(balance=-5000)
        self.sell(5000, 5000, customer=customer)
        self.assertEqual(self.total(), 5.00)

    def test_a_deal_without_invoice(self):
        self.rule()
        prices = [self.shop.price(cents, interval=None) for cents in (5000, 4000, 1000)]
        session = self.shop.checkout(*prices, customer_creation="always")
        session = self.double.complete_session(session["id"], email="jane@example.com")
        self.deliver()
        self.assertEqual(sorted(self.amounts()), [1.00, 4.00, 5.00])
        intent = session["payment_intent"]
        charge = self.double.all("charge", payment_intent=intent)[0]
        self.shop.refund(charge["id"], 3300)
        self.deliver()
        self.assertEqual(self.total(), 6.70)
        self.assert_any_order()

    def test_never_more_than_the_sale(self):
        self.rule()
        self.sell(300, 200)
        self.assertEqual(sorted(self.amounts()), [2.00, 3.00])
        self.assertIn("never more than what was paid", self.rows()[0].explanation)

    def test_more_than_the_sale_where_the_rule_says_so(self):
        self.rule(over_base=True)
        self.sell(300, 200)
        self.assertEqual(sorted(self.amounts()), [4.00, 6.00])

    def test_what_is_taken_off_by_a_line_counts(self):
        """A line below nought carries nothing, but less was paid for the others."""
        self.rule()
        self.sell(1000, 1000, {**USD, "amount": -1200})
        self.assertEqual(sorted(self.amounts()), [4.00, 4.00])

    def test_two_rules_are_two_amounts(self):
        product = self.shop.product("Extra")["id"]
        extra = self.shop.price(2000, interval=None, product=product)
        self.deliver()
        mirrored = self.env["affiliate.stripe.product"].search(
            [("stripe_id", "=", product)]
        )
        self.rule(
            {
                "rate_type": "fixed",
                "amount": 3,
                "currency_id": self.env.ref("base.USD").id,
            },
            scope="product",
            product_ids=[(6, 0, mirrored.ids)],
            amount=7,
        )
        self.sell(extra, extra, 1000, 2000)
        self.assertEqual(sorted(self.amounts()), [1.00, 2.00, 3.50, 3.50])

    def test_for_each_unit(self):
        """The units of all its lines, divided by what each line is worth."""
        self.rule(amount=2, per_unit=True)
        self.tiers((5, 1000), (13, 500), ("inf", 250))
        self.assertEqual(sorted(self.amounts()), [3.40, 13.60, 17.00])
        self.assertIn("2.00 USD for each of 17 units", self.rows()[0].explanation)
        self.assert_any_order()

    def test_units_that_are_free_earn_nothing(self):
        self.rule(amount=2, per_unit=True)
        self.tiers((10, 0), ("inf", 1000), quantity=13)
        self.assertEqual(self.amounts(), [6.00])

    def assert_seats(self, *totals):
        """Three seats, two more in the middle of the month, and the next month."""
        price = self.shop.price(5000)
        subscription = self.shop.subscribe(
            self.shop.customer(), items=[{"price": price["id"], "quantity": 3}]
        )
        self.deliver()
        self.assertEqual(self.total(), totals[0])
        self.double.advance(days=15)
        item = subscription["items"]["data"][0]["id"]
        self.shop.post(
            f"subscriptions/{subscription['id']}",
            items=[{"id": item, "quantity": 5}],
            proration_behavior="always_invoice",
        )
        self.deliver()
        self.assertEqual(len(self.env["affiliate.stripe.invoice"].search([])), 2)
        self.assertEqual(self.total(), totals[1])
        self.double.advance(days=20)
        self.deliver()
        self.assertEqual(self.total(), totals[2])
        self.assert_any_order()

    def test_seats_added_in_the_middle_of_a_month(self):
        """Neither a second amount nor units."""
        self.rule(amount=2, per_unit=True)
        self.assert_seats(6.00, 6.00, 16.00)

    def test_seats_added_earn_where_the_rule_says_so(self):
        """The line of what is charged for the rest of the month is of five units."""
        self.rule(amount=2, per_unit=True, prorations=True)
        self.assert_seats(6.00, 16.00, 26.00)

    def test_a_proration_leaves_the_amount_to_the_others(self):
        """On one invoice with the next month: it carries no share of it."""
        self.rule(prorations=False)
        subscription = self.shop.subscribe(self.shop.customer(), self.shop.price(10000))
        self.double.advance(days=10)
        self.shop.switch(subscription, self.shop.price(30000), "create_prorations")
        self.deliver()
        self.assertEqual(self.amounts(), [10.00])
        self.double.advance(months=1)
        self.deliver()
        self.assertEqual(self.amounts(), [10.00, 10.00])
        self.assert_any_order()

    def test_a_proration_is_no_first_payment(self):
        """A month free, then a dearer plan, then the first payment of a month."""
        self.rule(amount=50, applies_to="first")
        self.assert_first_month_counts()

    def test_a_proration_leaves_the_first_payment_to_others(self):
        self.rule({"rate": 20}, amount=50, applies_to="first")
        self.assert_first_month_counts()
        self.double.advance(months=1)
        self.deliver()
        self.assertEqual(self.amounts(), [50.00, 60.00])

    def assert_first_month_counts(self):
        customer = self.shop.customer()
        cheap, dear = self.shop.price(1), self.shop.price(30000)
        coupon = self.shop.coupon(100, duration="once")["id"]
        subscription = self.shop.subscribe(
            customer, cheap, discounts=[{"coupon": coupon}]
        )
        self.double.advance(days=10)
        self.shop.switch(subscription, dear)
        self.deliver()
        self.assertFalse(self.rows())
        self.double.advance(months=1)
        self.deliver()
        self.assertEqual(self.amounts(), [50.00])
        self.assert_any_order()

    def test_what_the_rule_says_of_itself(self):
        rule = self.rule(per_unit=True, prorations=True)
        self.assertIn("per unit", rule.summary)
        self.assertIn("changes within a period", rule.summary)
        self.assertFalse(self.rule().prorations, "not unless it is asked for")

    def test_the_wizard_knows_it(self):
        price = self.shop.price(5000)
        self.deliver()
        mirrored = self.env["affiliate.stripe.price"].search(
            [("stripe_id", "=", price["id"])]
        )
        wizard = self.env["affiliate.rule.wizard"].create(
            {
                "price_ids": [(6, 0, mirrored.ids)],
                "program_id": self.program.id,
                "rate_type": "fixed",
                "amount": 3,
                "per_unit": True,
                "prorations": True,
            }
        )
        wizard.action_assign()
        rule = mirrored.commission_rule_ids
        self.assertTrue(rule.per_unit)
        self.assertTrue(rule.prorations)
