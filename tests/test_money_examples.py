"""The worked examples of the money rules, played through signed webhooks.

Each test is a row of the table in section "What an affiliate earns" of the README;
the number in its name is the row's.
"""

from odoo import fields
from odoo.tests import tagged

from .money_common import DAY, MoneyCase


@tagged("post_install", "-at_install")
class TestMoneyExamples(MoneyCase):
    def test_01_tax_on_top(self):
        self.sell(2500, tax=5)
        self.assertEqual(self.amounts(), [7.50])
        row = self.rows()
        self.assertEqual(row.base_amount, 25.00)
        self.assertIn("30 % of 25.00 USD", row.explanation)
        self.assertIn("7.50 USD", row.explanation)
        self.assertEqual(row.hold_until, fields.Date.to_date("2026-01-31"))

    def test_02_code_and_vat(self):
        program = self.make_program(discount=20, first_time_only=False)
        affiliate = self.make_affiliate(program, "Uma Iyer")
        rate = self.shop.tax_rate(20)
        self.shop.subscribe(
            "buyer@example.com",
            self.shop.price(10000),
            discounts=[{"promotion_code": self.promotion(affiliate)}],
            default_tax_rates=[rate["id"]],
        )
        self.deliver()
        row = self.rows()
        self.assertEqual((row.affiliate_id, row.amount), (affiliate, 24.00))
        self.assertEqual(row.invoice_id.amount_total, 96.00)
        self.assertEqual(row.referral_id.source, "code")

    def test_02_inclusive_tax(self):
        rate = self.shop.tax_rate(20, inclusive=True)
        customer = self.shop.customer()
        self.shop.invoice(customer, 12000, default_tax_rates=[rate["id"]])
        self.deliver()
        self.assertEqual(self.amounts(), [30.00])

    def test_03_customer_balance(self):
        customer = self.shop.customer(balance=-6000)
        self.sell(10000, customer=customer, tax=20)
        self.assertEqual(self.amounts(), [15.00])
        self.bind("rich@example.com")
        rich = self.shop.customer("rich@example.com", balance=-20000)
        self.sell(10000, customer=rich, tax=20)
        self.assertEqual(self.amounts(), [15.00])

    def test_04_partial_refunds(self):
        invoice = self.sell(10000, tax=20)
        charge = self.shop.charge_of(invoice)
        for amount, row, total in ((4000, -10, 20), (2000, -5, 15), (6000, -15, 0)):
            self.shop.refund(charge, amount)
            deliveries = self.double.deliveries()
            self.deliver(deliveries)
            self.assertEqual(self.amounts()[-1], row)
            self.assertEqual(self.total(), total)
            for delivery in deliveries:
                self.assertEqual(self.post_delivery(delivery), 200)
            self.process()
        self.assertEqual(self.amounts(), [30, -10, -5, -15])
        refunds = self.rows(kind="refund")
        self.assertEqual(refunds.origin_id, self.rows(kind="earned"))
        self.assertEqual(set(refunds.mapped("hold_until")), {self.rows()[0].hold_until})

    def test_04_failed_refund_comes_back(self):
        invoice = self.sell(10000, tax=20)
        refund = self.shop.refund(invoice, 4000)
        self.deliver()
        self.assertEqual(self.total(), 20)
        self.double.refund_status(refund["id"], "failed")
        self.deliver()
        self.assertEqual(self.amounts(), [30, -10, 10])
        self.assertEqual(self.rows()[-1].revision, 2)

    def test_05_refund_after_payout(self):
        self.program.hold_days = 0
        invoice = self.sell(4900)
        paid = self.rows()
        self.assertEqual(paid.state, "approved")
        settlement = self.settle("2026-01-31")
        self.pay_bill(settlement)
        self.assertEqual(paid.state, "paid")
        self.shop.refund(invoice)
        self.bind("b@example.com")
        self.bind("c@example.com")
        self.sell(4900, email="b@example.com")
        self.sell(4900, email="c@example.com")
        self.assertEqual((paid.amount, paid.state), (14.70, "paid"))
        self.assertEqual(sorted(self.amounts(state="approved")), [-14.70, 14.70, 14.70])
        self.assertEqual(self.settle("2026-02-28").amount_total, 14.70)

    def test_06_dispute(self):
        invoice = self.sell(8000)
        charge = self.shop.charge_of(invoice)
        dispute = self.double.open_dispute(charge)
        self.deliver()
        self.assertTrue(self.rows().on_hold)
        self.assertEqual(self.amounts(), [24])
        self.double.close_dispute(dispute["id"], "won")
        self.deliver()
        self.assertFalse(self.rows().on_hold)
        self.assertEqual(self.amounts(), [24])

    def test_06_dispute_lost(self):
        invoice = self.sell(8000)
        dispute = self.double.open_dispute(self.shop.charge_of(invoice))
        self.deliver()
        self.double.close_dispute(dispute["id"], "lost")
        self.deliver()
        self.assertEqual(self.amounts(), [24, -24])
        self.assertFalse(any(self.rows().mapped("on_hold")))

    def test_07_trial_and_twelve_months(self):
        self.program.rule_ids.write({"rate": 20, "duration_months": 12})
        self.shop.subscribe(
            "jane@example.com", self.shop.price(5000), trial_period_days=14
        )
        self.deliver()
        self.assertEqual(self.amounts(), [])
        self.assertEqual(self.env["affiliate.referral"].search([]).state, "lead")
        self.double.advance(days=14)
        for _month in range(14):
            self.deliver()
            self.double.advance(months=1)
        self.assertEqual(self.amounts(), [10.00] * 12)
        self.assertEqual(self.total(), 120.00)

    def test_07_yearly(self):
        self.program.rule_ids.write({"rate": 20, "duration_months": 12})
        self.shop.subscribe("jane@example.com", self.shop.price(50000, interval="year"))
        self.double.advance(months=13)
        self.deliver()
        self.assertEqual(self.amounts(), [100.00])

    def test_07_max_count(self):
        self.program.rule_ids.write({"rate": 20, "max_count": 3})
        self.shop.subscribe("jane@example.com", self.shop.price(5000))
        self.double.advance(months=6)
        self.deliver()
        self.assertEqual(self.amounts(), [10, 10, 10])

    def test_08_upgrade_in_the_middle(self):
        self.program.rule_ids.write({"date_from": False})
        subscription = self.shop.subscribe("jane@example.com", self.shop.price(3000))
        self.deliver()
        self.assertEqual(self.amounts(), [9.00])
        self.double.advance(seconds=31 * DAY // 2)
        self.shop.switch(subscription, self.shop.price(9000))
        self.deliver()
        self.assertEqual(self.total(), 18.00)
        self.assertEqual(sorted(self.amounts()), [-4.50, 9.00, 13.50])

    def test_08_downgrade_goes_to_the_balance(self):
        subscription = self.shop.subscribe("jane@example.com", self.shop.price(9000))
        self.deliver()
        self.assertEqual(self.amounts(), [27.00])
        self.double.advance(seconds=31 * DAY // 2)
        self.shop.switch(subscription, self.shop.price(3000))
        self.deliver()
        self.assertEqual(self.amounts(), [27.00], "no negative row")
        self.double.advance(months=1)
        self.deliver()
        self.assertEqual(self.amounts(), [27.00], "paid from the balance")
        self.double.advance(months=1)
        self.deliver()
        self.assertEqual(self.amounts(), [27.00, 9.00])

    def test_11_any_order_and_repetition(self):
        invoice = self.shop.invoice(self.shop.customer(), 10000)
        deliveries = self.double.deliveries()
        late = [d for d in deliveries if d.event["type"] == "customer.created"]
        paid = [d for d in deliveries if d.event["type"] == "invoice.paid"]
        self.deliver(paid * 3)
        self.assertEqual(self.amounts(), [30.00])
        rest = [d for d in deliveries if d not in paid + late]
        self.deliver(rest + late)
        self.assertEqual(self.amounts(), [30.00])
        self.double.advance(days=8)
        self.deliver(deliveries)
        self.env["affiliate.stripe.event"].search([]).action_retry()
        self.process()
        self.assertEqual(self.amounts(), [30.00])
        self.assertEqual(self.rows().invoice_id.stripe_id, invoice["id"])

    def test_11_refund_before_its_payment(self):
        invoice = self.shop.invoice(self.shop.customer(), 10000)
        self.shop.refund(invoice)
        deliveries = self.double.deliveries()
        deliveries.sort(key=lambda d: not d.event["type"].startswith("refund"))
        for delivery in deliveries:
            self.deliver([delivery])
        self.assertEqual(self.total(), 0.0)
        self.assertEqual(sorted(self.amounts()), [-30.00, 30.00])

    def test_13_rates_per_product_and_a_coupon(self):
        products = [self.shop.product(name) for name in ("A", "B", "C")]
        prices = [
            self.shop.price(amount, product=product["id"])
            for amount, product in zip((8000, 4000, 3000), products, strict=True)
        ]
        self.deliver()
        mirrored = self.env["affiliate.stripe.product"].search([])
        by_name = {product.name: product for product in mirrored}
        self.program.rule_ids.unlink()
        self.program.rule_ids = [
            (0, 0, {"scope": "product", "product_ids": by_name[name].ids, "rate": rate})
            for name, rate in (("A", 20), ("B", 0), ("C", 10))
        ]
        coupon = self.shop.coupon(10)
        self.shop.subscribe(
            "jane@example.com", *prices, discounts=[{"coupon": coupon["id"]}]
        )
        self.deliver()
        self.assertEqual(sorted(self.amounts()), [2.70, 14.40])
        self.assertEqual(self.total(), 17.10)

    def test_14_currencies(self):
        for amount, currency, rate, earned in (
            (10000, "eur", 30, 30.00),
            (10000, "jpy", 30, 3000),
            (12340, "kwd", 10, 1.234),
        ):
            self.program.rule_ids.filtered("active").write({"rate": rate})
            email = f"{currency}@example.com"
            self.bind(email)
            # A changed rate is for sales from now on: sell after the change.
            self.double.advance(to=max(self.double.now(), _now()) + 60)
            self.sell(amount, email=email, currency=currency)
            row = self.rows()[-1]
            self.assertEqual(
                (row.amount, row.currency_id.name), (earned, currency.upper())
            )
            self.assertTrue(row.currency_id.active)

    def test_15_minimum_and_carry_over(self):
        self.program.write({"hold_days": 0, "minimum_payout": 50.00})
        people = {"A": [4999], "B": [5000], "C": [12000], "D": [8000]}
        self.program.rule_ids.write({"rate": 100})
        affiliates, invoices = {}, {}
        for name, sales in people.items():
            affiliates[name] = self.make_affiliate(self.program, f"{name}nna Lee")
            self.bind(f"{name}@example.com", affiliates[name])
            for amount in sales:
                invoices[name] = self.sell(amount, email=f"{name}@example.com")
        self.env["affiliate.commission"].sudo().create(
            {
                "affiliate_id": affiliates["C"].id,
                "program_id": self.program.id,
                "currency_id": self.env.ref("base.USD").id,
                "amount": -130.00,
                "date": "2026-01-01",
                "is_approved": True,
                "explanation": "Correction by hand",
            }
        )
        self.double.open_dispute(self.shop.charge_of(invoices["D"]))
        self.deliver()
        settlement = self.settle("2026-01-31")
        self.assertEqual(settlement.affiliate_id, affiliates["B"])
        self.assertEqual(settlement.amount_total, 50.00)
        self.assertEqual(settlement.move_id.amount_untaxed, 50.00)
        self.assertFalse(self.settle("2026-01-31"), "a second run settles nothing")
        self.assertEqual(affiliates["C"].balance_due, -10.00)

    def test_18_item_discount(self):
        half = self.shop.coupon(50)
        price = self.shop.price(1900)
        self.shop.subscribe(
            "jane@example.com",
            items=[{"price": price["id"], "discounts": [{"coupon": half["id"]}]}],
        )
        self.deliver()
        self.assertEqual(self.amounts(), [2.85])

    def test_lifetime_deal_without_invoice(self):
        program = self.make_program(discount=10, first_time_only=False)
        affiliate = self.make_affiliate(program, "Uma Iyer")
        price = self.shop.price(29900, interval=None)
        link = self.shop.link(price)
        session = self.double.open_payment_link(
            link["id"], client_reference_id=affiliate.code
        )
        session = self.double.complete_session(session["id"], email="guest@example.com")
        self.deliver()
        row = self.rows()
        self.assertEqual((row.affiliate_id, row.amount), (affiliate, 89.70))
        self.assertFalse(row.invoice_id)
        self.assertTrue(row.charge_id)
        self.assertEqual(row.referral_id.source, "client_reference")
        self.shop.refund(row.charge_id.stripe_id, 14950)
        self.deliver()
        self.assertEqual(self.amounts(), [89.70, -44.85])
        self.assertEqual(self.total(), 44.85)

    # --- settling -------------------------------------------------------------------

    def settle(self, date_to):
        settlements = self.env["affiliate.settlement"]._collect(
            fields.Date.to_date(date_to)
        )
        settlements.action_confirm()
        return settlements

    def pay_bill(self, settlement):
        settlement.move_id.action_post()
        self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=settlement.move_id.ids
        ).create({})._create_payments()


def _now():
    return int(fields.Datetime.now().timestamp())
