"""The amounts on the double's invoices: the worked examples of the money rules.

What an affiliate earns is not tested here, only that Stripe's side of each example
can be played to the cent. Numbers in the names are those of the examples.
"""

from .stripe_double.testing import DAY, DoubleCase


def totals(invoice):
    names = "subtotal total total_excluding_tax amount_due amount_paid".split()
    return tuple(invoice[name] for name in names)


class WorkedExamples(DoubleCase):
    def test_01_tax_on_top(self):
        rate = self.shop.tax_rate(5)
        customer = self.shop.customer()
        invoice = self.shop.invoice(customer, 2500, default_tax_rates=[rate["id"]])
        self.assertEqual(totals(invoice), (2500, 2625, 2500, 2625, 2625))
        self.assertEqual(invoice["total_taxes"][0]["amount"], 125)
        self.assertEqual(invoice["status"], "paid")

    def test_02_code_and_vat(self):
        rate = self.shop.tax_rate(20)
        code = self.shop.code("DRONA29", 20)
        subscription = self.shop.subscribe(
            "jane@example.com",
            self.shop.price(10000),
            discounts=[{"promotion_code": code["id"]}],
            default_tax_rates=[rate["id"]],
        )
        invoice = self.shop.get(
            f"invoices/{subscription['latest_invoice']}",
            expand=["discounts.promotion_code", "discounts.source.coupon"],
        )
        self.assertEqual(totals(invoice), (10000, 9600, 8000, 9600, 9600))
        self.assertEqual(self.amounts(invoice), ([10000], [2000], [1600]))
        discount = invoice["discounts"][0]
        self.assertEqual(discount["promotion_code"]["code"], "DRONA29")
        self.assertEqual(discount["source"]["coupon"]["percent_off"], 20)
        self.assertEqual(discount["subscription"], subscription["id"])

    def test_02_inclusive_tax(self):
        rate = self.shop.tax_rate(20, inclusive=True)
        invoice = self.shop.invoice(
            self.shop.customer(), 12000, default_tax_rates=[rate["id"]]
        )
        self.assertEqual(totals(invoice), (12000, 12000, 10000, 12000, 12000))
        self.assertEqual(invoice["subtotal_excluding_tax"], 10000)

    def test_03_customer_balance(self):
        rate = self.shop.tax_rate(20)
        customer = self.shop.customer(balance=-6000)
        invoice = self.shop.invoice(customer, 10000, default_tax_rates=[rate["id"]])
        self.assertEqual(totals(invoice), (10000, 12000, 10000, 6000, 6000))
        self.assertEqual(
            (invoice["starting_balance"], invoice["ending_balance"]), (-6000, 0)
        )
        self.assertEqual(self.shop.payments(invoice)[0]["amount_paid"], 6000)
        rich = self.shop.customer("rich@example.com", balance=-20000)
        invoice = self.shop.invoice(rich, 10000, default_tax_rates=[rate["id"]])
        self.assertEqual(totals(invoice), (10000, 12000, 10000, 0, 0))
        self.assertEqual(invoice["status"], "paid")
        self.assertEqual(self.shop.payments(invoice), [])
        path = f"customers/{rich['id']}"
        self.assertEqual(self.shop.get(path)["balance"], -8000)
        moves = self.shop.get(f"{path}/balance_transactions")["data"]
        self.assertEqual([m["amount"] for m in moves], [12000, -20000])
        self.assertEqual(moves[0]["type"], "applied_to_invoice")

    def test_04_refunds(self):
        rate = self.shop.tax_rate(20)
        invoice = self.shop.invoice(
            self.shop.customer(), 10000, default_tax_rates=[rate["id"]]
        )
        charge = self.shop.charge_of(invoice)
        for amount, refunded in ((4000, 4000), (2000, 6000), (6000, 12000)):
            refund = self.shop.refund(charge, amount)
            self.assertEqual(refund["status"], "succeeded")
            data = self.shop.get(f"charges/{charge}", expand=["refunds"])
            self.assertEqual(data["amount_refunded"], refunded)
            self.assertEqual(data["refunded"], refunded == 12000)
        self.assertEqual(
            [r["amount"] for r in data["refunds"]["data"]], [6000, 2000, 4000]
        )
        self.assertEqual(self.shop.get(f"invoices/{invoice['id']}")["status"], "paid")

    def test_07_trial_and_twelve_months(self):
        subscription = self.shop.subscribe(
            "jane@example.com", self.shop.price(5000), trial_period_days=14
        )
        self.assertEqual(subscription["status"], "trialing")
        self.double.advance(days=14)
        self.double.advance(months=12)
        found = list(self.shop.pages("invoices", subscription=subscription["id"]))[::-1]
        self.assertEqual([i["total"] for i in found], [0] + [5000] * 13)
        self.assertTrue(all(i["status"] == "paid" for i in found))
        self.assertEqual(
            [i["billing_reason"] for i in found],
            ["subscription_create"] + ["subscription_cycle"] * 13,
        )
        first = self.double.get("subscription", subscription["id"])
        self.assertEqual(first["status"], "active")

    def test_07_yearly(self):
        price = self.shop.price(50000, interval="year")
        subscription = self.shop.subscribe("jane@example.com", price)
        self.double.advance(months=12)
        found = list(self.shop.pages("invoices", subscription=subscription["id"]))
        self.assertEqual([i["total"] for i in found], [50000, 50000])

    def _middle(self, subscription):
        item = subscription["items"]["data"][0]
        middle = (item["current_period_start"] + item["current_period_end"]) // 2
        self.double.advance(to=middle)

    def test_08_upgrade_in_the_middle(self):
        small, large = self.shop.price(3000), self.shop.price(9000)
        subscription = self.shop.subscribe("jane@example.com", small)
        self._middle(subscription)
        subscription = self.shop.switch(subscription, large)
        invoice = self.shop.get(f"invoices/{subscription['latest_invoice']}")
        self.assertEqual(self.amounts(invoice)[0], [-1500, 4500])
        self.assertEqual(totals(invoice), (3000, 3000, 3000, 3000, 3000))
        credit = invoice["lines"]["data"][0]["parent"]["subscription_item_details"]
        self.assertTrue(credit["proration"])
        self.assertEqual(
            len(credit["proration_details"]["credited_items"]["invoice_line_items"]), 1
        )

    def test_08_downgrade_goes_to_the_balance(self):
        small, large = self.shop.price(3000), self.shop.price(9000)
        subscription = self.shop.subscribe("jane@example.com", large)
        self._middle(subscription)
        subscription = self.shop.switch(subscription, small)
        invoice = self.shop.get(f"invoices/{subscription['latest_invoice']}")
        self.assertEqual(self.amounts(invoice)[0], [-4500, 1500])
        self.assertEqual((invoice["total"], invoice["amount_due"]), (-3000, 0))
        self.assertEqual(
            (invoice["status"], invoice["ending_balance"]), ("paid", -3000)
        )
        self.double.advance(to=1769904000)
        self.double.advance(months=1)
        found = list(self.shop.pages("invoices", subscription=subscription["id"]))
        self.assertEqual([i["total"] for i in found], [3000, 3000, -3000, 9000])
        self.assertEqual([i["amount_paid"] for i in found], [3000, 0, 0, 9000])

    def test_08_pending_prorations_wait_for_the_renewal(self):
        small, large = self.shop.price(3000), self.shop.price(9000)
        subscription = self.shop.subscribe("jane@example.com", small)
        self._middle(subscription)
        self.shop.switch(subscription, large, "create_prorations")
        pending = self.shop.get("invoiceitems", pending=True)["data"]
        self.assertEqual(sorted(i["amount"] for i in pending), [-1500, 4500])
        self.double.advance(to=1769904000)
        found = self.shop.get("invoices", subscription=subscription["id"])["data"]
        self.assertEqual(self.amounts(found[0])[0], [-1500, 4500, 9000])
        self.assertEqual(found[0]["total"], 12000)

    def test_13_invoice_coupon_over_three_lines(self):
        coupon = self.shop.coupon(10)
        invoice = self.shop.invoice(
            self.shop.customer(),
            8000,
            4000,
            3000,
            discounts=[{"coupon": coupon["id"]}],
        )
        self.assertEqual(self.amounts(invoice)[1], [800, 400, 300])
        self.assertEqual(totals(invoice), (15000, 13500, 13500, 13500, 13500))

    def test_14_currencies(self):
        for currency, amount in (("eur", 10000), ("jpy", 10000), ("kwd", 12340)):
            customer = self.shop.customer(f"{currency}@example.com")
            invoice = self.shop.invoice(customer, amount, currency=currency)
            self.assertEqual(invoice["currency"], currency)
            self.assertEqual(totals(invoice), (amount,) * 5)
            charge = self.shop.get(f"charges/{self.shop.charge_of(invoice)}")
            self.assertEqual((charge["amount"], charge["currency"]), (amount, currency))

    def test_18_item_discount(self):
        half, price = self.shop.coupon(50), self.shop.price(1900)
        subscription = self.shop.subscribe(
            "jane@example.com",
            items=[{"price": price["id"], "discounts": [{"coupon": half["id"]}]}],
        )
        invoice = self.shop.get(f"invoices/{subscription['latest_invoice']}")
        self.assertEqual(self.amounts(invoice), ([1900], [950], [0]))
        self.assertEqual(totals(invoice), (950, 950, 950, 950, 950))
        self.assertEqual(invoice["discounts"], [])
        self.assertEqual(len(invoice["lines"]["data"][0]["discounts"]), 1)


class Amounts(DoubleCase):
    """Beyond the examples: identities that hold for every invoice."""

    def check_identity(self, invoice):
        lines = list(self.shop.pages(f"invoices/{invoice['id']}/lines"))
        gross = sum(line["amount"] for line in lines)
        off = sum(d["amount"] for line in lines for d in line["discount_amounts"])
        taxes = [tax for line in lines for tax in line["taxes"]]
        outside = sum(t["amount"] for t in taxes if t["tax_behavior"] == "exclusive")
        self.assertEqual(gross - off + outside, invoice["total"])
        self.assertEqual(
            invoice["total"] - sum(t["amount"] for t in taxes),
            invoice["total_excluding_tax"],
        )
        summed = sum(d["amount"] for d in invoice["total_discount_amounts"])
        self.assertEqual(off, summed)

    def test_amount_off_spreads_to_the_cent(self):
        coupon = self.shop.coupon(amount=1000, duration="once")
        invoice = self.shop.invoice(
            self.shop.customer(), 3333, 3333, 3334, discounts=[{"coupon": coupon["id"]}]
        )
        self.assertEqual(self.amounts(invoice)[1], [333, 333, 334])
        self.check_identity(invoice)

    def test_more_than_ten_lines(self):
        rate = self.shop.tax_rate(7.7)
        coupon = self.shop.coupon(12.5)
        invoice = self.shop.invoice(
            self.shop.customer(),
            *[999 + n for n in range(25)],
            discounts=[{"coupon": coupon["id"]}],
            default_tax_rates=[rate["id"]],
        )
        self.assertEqual(len(invoice["lines"]["data"]), 10)
        self.assertTrue(invoice["lines"]["has_more"])
        self.check_identity(invoice)

    def test_stacked_and_item_discounts(self):
        first, second = self.shop.coupon(10), self.shop.coupon(amount=500)
        item, rate = self.shop.coupon(50), self.shop.tax_rate(19, inclusive=True)
        invoice = self.shop.invoice(
            self.shop.customer(),
            {
                "amount": 2000,
                "currency": "usd",
                "discounts": [{"coupon": item["id"]}],
            },
            3000,
            discounts=[{"coupon": first["id"]}, {"coupon": second["id"]}],
            default_tax_rates=[rate["id"]],
        )
        self.assertEqual(self.amounts(invoice)[1], [1000 + 100 + 125, 300 + 375])
        self.assertEqual(invoice["subtotal"], 4000)
        self.check_identity(invoice)

    def test_coupon_for_one_product(self):
        product = self.shop.product("Only this")
        price = self.shop.price(1000, product=product["id"])
        other = self.shop.price(1000)
        coupon = self.shop.coupon(50, applies_to={"products": [product["id"]]})
        subscription = self.shop.subscribe(
            "jane@example.com", price, other, discounts=[{"coupon": coupon["id"]}]
        )
        invoice = self.shop.get(f"invoices/{subscription['latest_invoice']}")
        self.assertEqual(self.amounts(invoice)[1], [500, 0])

    def test_hundred_percent_is_paid_without_money(self):
        coupon = self.shop.coupon(100, duration="once")
        subscription = self.shop.subscribe(
            "jane@example.com",
            self.shop.price(2000),
            discounts=[{"coupon": coupon["id"]}],
        )
        self.assertEqual(subscription["status"], "active")
        invoice = self.shop.get(f"invoices/{subscription['latest_invoice']}")
        self.assertEqual((invoice["status"], invoice["amount_paid"]), ("paid", 0))
        self.assertEqual(self.shop.payments(invoice), [])
        self.assertIn("invoice.paid", self.types("invoice."))
        self.double.advance(months=1)
        newest = self.shop.get("invoices", limit=1)["data"][0]
        self.assertEqual(newest["amount_paid"], 2000)

    def test_durations(self):
        price = self.shop.price(1000)
        for params, expected in (
            ({"duration": "once"}, [500, 1000, 1000, 1000]),
            ({"duration": "repeating", "duration_in_months": 3}, [500] * 3 + [1000]),
            ({"duration": "forever"}, [500] * 4),
        ):
            coupon = self.shop.coupon(50, **params)
            subscription = self.shop.subscribe(
                "jane@example.com", price, discounts=[{"coupon": coupon["id"]}]
            )
            self.double.advance(months=3)
            found = list(self.shop.pages("invoices", subscription=subscription["id"]))
            self.assertEqual([i["total"] for i in found][::-1], expected)
            self.shop.delete(f"subscriptions/{subscription['id']}")

    def test_tiers_and_sub_cent_prices(self):
        product = self.shop.product()["id"]
        tiers = [
            {"up_to": 10, "unit_amount": 100},
            {"up_to": "inf", "unit_amount": 50, "flat_amount": 30},
        ]
        base = {"currency": "usd", "product": product, "recurring[interval]": "month"}
        for mode, expected in (("graduated", 1000 + 30 + 100), ("volume", 30 + 600)):
            price = self.shop.post(
                "prices", billing_scheme="tiered", tiers_mode=mode, tiers=tiers, **base
            )
            self.assertIsNone(price["unit_amount"])
            subscription = self.shop.subscribe(
                "jane@example.com", items=[{"price": price["id"], "quantity": 12}]
            )
            invoice = self.shop.get(f"invoices/{subscription['latest_invoice']}")
            self.assertEqual(invoice["total"], expected)
        price = self.shop.post("prices", unit_amount_decimal="0.125", **base)
        subscription = self.shop.subscribe(
            "jane@example.com", items=[{"price": price["id"], "quantity": 1004}]
        )
        invoice = self.shop.get(f"invoices/{subscription['latest_invoice']}")
        self.assertEqual(invoice["total"], 126)

    def test_out_of_band_and_partial_payments(self):
        customer = self.shop.customer()
        invoice = self.shop.invoice(customer, 10000, pay=False)
        self.assertEqual(invoice["status"], "open")
        invoice = self.double.pay_invoice(invoice["id"], 4000)
        self.assertEqual(
            (invoice["status"], invoice["amount_remaining"]), ("open", 6000)
        )
        self.double.advance(days=2)
        invoice = self.double.pay_invoice(invoice["id"])
        self.assertEqual((invoice["status"], invoice["amount_paid"]), ("paid", 10000))
        parts = self.shop.payments(invoice)
        self.assertEqual(sorted(p["amount_paid"] for p in parts), [4000, 6000])
        self.assertEqual(
            self.types("invoice_payment.paid"), ["invoice_payment.paid"] * 2
        )
        invoice = self.shop.invoice(customer, 5000, pay=False)
        self.shop.post(f"invoices/{invoice['id']}/pay", paid_out_of_band=True)
        invoice = self.shop.get(
            f"invoices/{invoice['id']}", expand=["amount_paid_off_stripe", "payments"]
        )
        self.assertEqual(
            (invoice["status"], invoice["amount_paid_off_stripe"]), ("paid", 5000)
        )
        self.assertEqual(
            [p["status"] for p in invoice["payments"]["data"]], ["canceled"]
        )

    def test_dunning_and_recovery(self):
        customer = self.shop.customer()
        subscription = self.shop.subscribe(customer, self.shop.price(1000))
        self.double.card_declines(customer["id"])
        self.double.advance(months=1)
        path = f"subscriptions/{subscription['id']}"
        self.assertEqual(self.shop.get(path)["status"], "past_due")
        invoice = self.shop.get("invoices", status="open")["data"][0]
        self.assertEqual(invoice["attempt_count"], 1)
        self.assertIn("invoice.payment_failed", self.types("invoice."))
        self.double.card_declines(customer["id"], False)
        self.double.advance(days=3)
        self.assertEqual(self.shop.get(path)["status"], "active")
        self.assertEqual(self.shop.get(f"invoices/{invoice['id']}")["status"], "paid")

    def test_dunning_ends(self):
        customer = self.shop.customer()
        self.shop.subscribe(customer, self.shop.price(1000))
        self.double.card_declines(customer["id"])
        self.double.advance(months=1)
        self.double.advance(days=20)
        self.assertEqual(
            self.shop.get("subscriptions", status="canceled")["data"][0][
                "cancellation_details"
            ]["reason"],
            "payment_failed",
        )

    def test_month_ends_keep_their_day(self):
        self.double.advance(days=30)  # 31 January
        subscription = self.shop.subscribe("jane@example.com", self.shop.price(100))
        ends = []
        for _month in range(3):
            item = self.shop.get(f"subscriptions/{subscription['id']}")["items"]
            ends.append(item["data"][0]["current_period_end"])
            self.double.advance(to=ends[-1])
        start = subscription["created"]
        self.assertEqual(
            [(end - start) // DAY for end in ends], [28, 59, 89]
        )  # 28 Feb, 31 Mar, 30 Apr
