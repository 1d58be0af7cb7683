"""The double: inclusive tax, shipping, billing credits, tiers, items of a new sale."""

import stripe

from .stripe_double.testing import DoubleCase


class TestTotals(DoubleCase):
    def lines(self, invoice):
        return [line["amount"] for line in invoice["lines"]["data"]]

    def latest(self, subscription):
        return self.shop.get(f"invoices/{subscription['latest_invoice']}")

    def test_items_of_a_new_subscription_are_billed_once(self):
        setup = self.shop.price(5000, interval=None)
        month = self.shop.price(10000)
        customer = self.shop.customer()
        waiting = self.shop.post(
            "invoiceitems", customer=customer["id"], amount=700, currency="usd"
        )
        made = self.shop.subscribe(
            customer, month, add_invoice_items=[{"price": setup["id"]}]
        )
        invoice = self.latest(made)
        self.assertEqual(self.lines(invoice), [700, 10000, 5000])
        self.assertEqual(invoice["total"], 15700)
        self.assertEqual(
            self.double.get("invoiceitem", waiting["id"])["invoice"], invoice["id"]
        )
        session = self.shop.checkout(month, setup)
        self.double.complete_session(session["id"], email="new@example.com")
        invoice = self.double.all("invoice")[-1]
        self.assertEqual(self.lines(invoice), [10000, 5000])
        self.assertEqual(invoice["total"], session["amount_total"])

    def test_tax_inside_of_the_price_at_checkout(self):
        price = self.shop.price(11900, interval=None)
        for inclusive, tax, total in ((True, 1900, 11900), (False, 2261, 14161)):
            rate = self.shop.tax_rate(19, inclusive=inclusive)["id"]
            session = self.shop.post(
                "checkout/sessions",
                mode="payment",
                line_items=[{"price": price["id"], "quantity": 1, "tax_rates": [rate]}],
                expand=["line_items.data.taxes"],
            )
            self.assertEqual(session["total_details"]["amount_tax"], tax)
            self.assertEqual(session["amount_subtotal"], 11900)
            self.assertEqual(session["amount_total"], total)
            [item] = session["line_items"]["data"]
            self.assertEqual((item["amount_tax"], item["amount_total"]), (tax, total))
            [entry] = item["taxes"]
            self.assertEqual(entry["amount"], tax)
            self.assertEqual(entry["taxable_amount"], total - tax)
            self.double.complete_session(session["id"], email="jane@example.com")
            self.assertEqual(self.double.all("charge")[-1]["amount"], total)

    def test_tax_inside_of_a_discounted_subscription(self):
        """The session and its invoice say the same."""
        price, rate = self.shop.price(11900), self.shop.tax_rate(19, inclusive=True)
        coupon = self.shop.coupon(50)["id"]
        item = {"price": price["id"], "quantity": 1, "tax_rates": [rate["id"]]}
        session = self.shop.post(
            "checkout/sessions",
            mode="subscription",
            line_items=[item],
            discounts=[{"coupon": coupon}],
        )
        done = self.double.complete_session(session["id"], email="jane@example.com")
        invoice = self.shop.get(f"invoices/{done['invoice']}")
        self.assertEqual((session["amount_total"], invoice["total"]), (5950, 5950))
        self.assertEqual(session["total_details"]["amount_tax"], 950)
        self.assertEqual(invoice["total_taxes"][0]["amount"], 950)

    def test_shipping_of_a_sale_with_and_without_an_invoice(self):
        price = self.shop.price(10000, interval=None)
        fixed = {"amount": 700, "currency": "usd"}
        rate = self.shop.post(
            "shipping_rates", display_name="Parcel", fixed_amount=fixed
        )
        dear = {"display_name": "Express", "fixed_amount": {**fixed, "amount": 1900}}
        for bill in (False, True):
            session = self.shop.checkout(
                price,
                shipping_options=[
                    {"shipping_rate": rate["id"]},
                    {"shipping_rate_data": dear},
                ],
                invoice_creation={"enabled": bill},
            )
            self.assertEqual(session["amount_subtotal"], 10000)
            self.assertEqual(session["amount_total"], 10700)
            self.assertEqual(session["total_details"]["amount_shipping"], 700)
            self.assertEqual(session["shipping_cost"]["amount_total"], 700)
            self.assertEqual(len(session["shipping_options"]), 2)
            done = self.double.complete_session(session["id"], email="j@example.com")
            self.assertEqual(self.double.all("charge")[-1]["amount"], 10700)
        invoice = self.shop.get(f"invoices/{done['invoice']}")
        self.assertEqual((invoice["subtotal"], invoice["total"]), (10000, 10700))
        self.assertEqual(invoice["amount_shipping"], 700)
        self.assertEqual(invoice["shipping_cost"]["shipping_rate"], rate["id"])
        note = self.shop.post(
            "credit_notes",
            invoice=invoice["id"],
            shipping_cost={"shipping_rate": rate["id"]},
            refund_amount=700,
        )
        self.assertEqual((note["total"], note["amount_shipping"]), (700, 700))
        with self.assertRaises(stripe.InvalidRequestError):
            self.shop.post(
                "credit_notes",
                invoice=invoice["id"],
                shipping_cost={"shipping_rate": rate["id"]},
                refund_amount=700,
            )

    def test_shipping_of_an_invoice_is_neither_discounted_nor_taxed(self):
        rate = self.shop.post(
            "shipping_rates",
            display_name="Parcel",
            fixed_amount={"amount": 700, "currency": "usd"},
        )
        invoice = self.shop.invoice(
            self.shop.customer(),
            10000,
            shipping_cost={"shipping_rate": rate["id"]},
            discounts=[{"coupon": self.shop.coupon(20)["id"]}],
            default_tax_rates=[self.shop.tax_rate(10)["id"]],
        )
        self.assertEqual(invoice["total"], 10000 - 2000 + 800 + 700)
        self.assertEqual(invoice["total_excluding_tax"], 8700)

    def metered(self, amount=10000):
        return self.shop.price(
            amount,
            interval=None,
            recurring={"interval": "month", "usage_type": "metered"},
        )

    def grant(self, customer, value, **params):
        scope = params.pop("scope", {"price_type": "metered"})
        return self.shop.post(
            "billing/credit_grants",
            customer=customer["id"],
            amount={
                "type": "monetary",
                "monetary": {"currency": "usd", "value": value},
            },
            applicability_config={"scope": scope},
            **params,
        )

    def test_credits_pay_before_tax(self):
        customer, price = self.shop.customer(), self.metered()
        grant = self.grant(customer, 5000)
        rate = self.shop.tax_rate(10)["id"]
        made = self.shop.subscribe(
            customer, price, self.shop.price(2000), default_tax_rates=[rate]
        )
        invoice = self.latest(made)
        metered, fixed = invoice["lines"]["data"]
        [entry] = metered["pretax_credit_amounts"]
        self.assertEqual(entry["type"], "credit_balance_transaction")
        self.assertEqual(entry["amount"], 5000)
        self.assertNotIn("discount", entry)
        self.assertEqual(metered["taxes"][0]["amount"], 500)
        self.assertEqual(fixed["pretax_credit_amounts"], [])
        self.assertEqual(invoice["total_excluding_tax"], 7000)
        self.assertEqual((invoice["subtotal"], invoice["total"]), (12000, 7700))
        self.assertEqual(invoice["total_pretax_credit_amounts"], [entry])
        moved = self.shop.get(
            "billing/credit_balance_transactions", customer=customer["id"]
        )["data"]
        self.assertEqual([m["type"] for m in moved], ["debit", "credit"])
        self.assertEqual(moved[0]["id"], entry["credit_balance_transaction"])
        with self.assertRaises(stripe.InvalidRequestError):
            self.shop.post(f"billing/credit_grants/{grant['id']}/void")
        self.double.advance(months=1)
        self.assertEqual(self.double.all("invoice")[-1]["total"], 13200)

    def test_credits_come_back_with_a_void_invoice(self):
        customer, price = self.shop.customer(), self.metered()
        later = self.grant(customer, 5000)
        first = self.grant(
            customer, 3000, priority=1, scope={"prices": [{"id": price["id"]}]}
        )
        made = self.shop.subscribe(
            customer, price, collection_method="send_invoice", days_until_due=30
        )
        invoice = self.latest(made)
        self.assertEqual(invoice["total"], 2000)
        debits = self.double.all("billing.credit_balance_transaction", type="debit")
        self.assertEqual(
            [d["credit_grant"] for d in debits], [first["id"], later["id"]]
        )
        self.shop.post(f"invoices/{invoice['id']}/void")
        self.shop.post(f"billing/credit_grants/{first['id']}/void")
        self.shop.post(f"billing/credit_grants/{later['id']}/expire")
        self.double.advance(months=1)
        self.assertEqual(self.double.all("invoice")[-1]["total"], 10000)
        with self.assertRaises(stripe.InvalidRequestError):
            fixed = self.shop.price(100)["id"]
            self.grant(customer, 100, scope={"prices": [{"id": fixed}]})

    def test_a_graduated_price_is_a_line_a_tier(self):
        price = self.shop.post(
            "prices",
            currency="usd",
            product=self.shop.product()["id"],
            recurring={"interval": "month"},
            billing_scheme="tiered",
            tiers_mode="graduated",
            tiers=[
                {"up_to": 5, "unit_amount": 1000},
                {"up_to": 10, "unit_amount": 800},
                {"up_to": "inf", "unit_amount": 500},
            ],
        )
        made = self.shop.subscribe(
            self.shop.customer(), items=[{"price": price["id"], "quantity": 12}]
        )
        invoice = self.latest(made)
        lines = invoice["lines"]["data"]
        self.assertEqual([line["quantity"] for line in lines], [5, 5, 2])
        self.assertEqual(self.lines(invoice), [5000, 4000, 1000])
        named = {line["pricing"]["price_details"]["price"] for line in lines}
        self.assertEqual(named, {price["id"]})
        items = {
            line["parent"]["subscription_item_details"]["subscription_item"]
            for line in lines
        }
        self.assertEqual(len(items), 1)
        few = self.shop.subscribe(
            self.shop.customer(), items=[{"price": price["id"], "quantity": 5}]
        )
        self.assertEqual(self.lines(self.latest(few)), [5000])
