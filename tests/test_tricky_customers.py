"""Customers and their codes, as strange as they get (``stripe_cases.py``)."""

import stripe

from odoo.tests import tagged

from .money_common import TrickyCase


@tagged("post_install", "-at_install")
class TestTrickyCustomers(TrickyCase):
    def test_what_is_no_address_is_nobody(self):
        """Two customers with the same rubbish are not one person."""
        metadata = {"metadata": {"affiliate": self.drona.code}}
        for number in range(2):
            customer = self.shop.customer(**(metadata if not number else {}))
            self.double.alter("customer", customer["id"], email="Jane at work")
            invoice = self.shop.invoice(customer, 10000)
            self.double.alter("invoice", invoice["id"], customer_email="Jane at work")
        self.deliver()
        self.assertEqual(
            self.mirrored("customer").mapped("email_normalized"), [False] * 2
        )
        self.assert_owner(self.drona, 30.00)

    def test_metadata_as_long_as_it_gets(self):
        """Of all that strangers wrote, only what is one of our codes counts."""
        rubbish = {"affiliate": "<b>é</b>" * 62, "referral": "1e999"}
        customer = self.shop.customer(
            "long@example.com", name="<b>Jane</b>", metadata=rubbish
        )
        metadata = {**rubbish, "via": f" {self.drona.code.lower()} ", "amount": "9"}
        self.sell(10000, customer=customer, metadata=metadata)
        self.assert_owner(self.drona, 30.00)

    def test_a_discount_taken_away_ends_nothing(self):
        uma = self.with_discount()
        customer = self.shop.customer("gone@example.com")
        self.double.set_customer_discount(
            customer["id"], promotion_code=self.promotion(uma)
        )
        self.sell(10000, customer=customer)
        self.double.remove_customer_discount(customer["id"])
        self.deliver()
        self.sell(10000, customer=customer)
        self.assert_owner(uma, 27.00, 30.00)

    def test_a_discount_outlives_its_coupon_and_code(self):
        """Both are gone before the trial ends; the customer still has his discount."""
        uma = self.with_discount(discount_duration="forever")
        promotion = self.promotion(uma)
        self.shop.subscribe(
            "trial@example.com",
            self.shop.price(10000),
            trial_period_days=14,
            discounts=self.discounts(uma),
        )
        self.deliver()
        self.shop.post(f"promotion_codes/{promotion}", active=False)
        self.shop.delete(f"coupons/{uma.program_id.coupon_id.stripe_id}")
        self.deliver()
        self.double.advance(days=15)
        self.deliver()
        self.assert_owner(uma, 27.00)

    def test_the_same_text_again_is_another_code(self):
        uma = self.with_discount()
        self.shop.post(f"promotion_codes/{self.promotion(uma)}", active=False)
        other = self.shop.code(uma.code.lower(), 50)
        session = self.shop.buy(
            self.shop.price(10000), "other@example.com", code=uma.code
        )
        self.assertEqual(session["discounts"][0]["promotion_code"], other["id"])
        self.deliver()
        self.assertEqual(self.mirrored("invoice").amount_total, 50.00)
        self.assertFalse(self.rows())

    def test_a_fixed_discount_counts_where_it_was_given(self):
        uma = self.with_discount(
            discount=0, discount_type="amount", discount_value=10.01
        )
        sold = self.shop.invoice(
            self.shop.customer("usd@example.com"),
            3333,
            6667,
            discounts=self.discounts(uma),
        )
        self.deliver()
        self.assertEqual(sold["total"], 8999)
        # 3.34 and 6.67 less: 29.99 and 60.00.
        self.assert_owner(uma, 9.00, 18.00)
        euro = self.shop.price(10000, currency="eur")
        with self.assertRaises(stripe.InvalidRequestError):
            self.shop.subscribe(
                "eur@example.com", euro, discounts=self.discounts(uma), currency="eur"
            )
        self.shop.buy(euro, "eur@example.com", client_reference_id=uma.code)
        self.deliver()
        self.assert_owner(uma, 9.00, 18.00, 30.00)
        self.assertEqual(self.rows()[-1].currency_id.name, "EUR")
