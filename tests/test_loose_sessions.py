"""Checkout sessions that made no customer in Stripe: whoever becomes one under the same
address later came by them."""

from odoo.tests import tagged

from .money_common import MoneyCase

EMAIL = "sam@example.com"


@tagged("post_install", "-at_install")
class TestLooseSessions(MoneyCase):
    def open_setup(self, code=None, **params):
        return self.shop.post(
            "checkout/sessions",
            mode="setup",
            currency="usd",
            success_url="https://acme.example/done",
            client_reference_id=code or self.drona.code,
            **params,
        )

    def set_up(self, email=EMAIL, **params):
        """A customer keeps a means of payment; the business makes him one later."""
        session = self.open_setup(**params)
        self.double.advance(60)
        return self.double.complete_session(session["id"], email=email)

    def pay_later(self, email=EMAIL):
        self.double.advance(3600)
        self.shop.subscribe(email, self.shop.price(10000))

    def test_a_setup_then_a_subscription_in_any_order_of_arrival(self):
        session = self.set_up()
        self.assertIsNone(session["customer"])
        self.pay_later()
        self.deliver()
        self.assertEqual(self.amounts(), [30.0])
        referral = self.rows().referral_id
        self.assertEqual(referral.source, "client_reference")
        self.assertEqual(referral.affiliate_id, self.drona)

    def test_the_session_is_heard_of_last(self):
        self.set_up()
        of_session = self.double.deliveries()
        self.pay_later()
        self.deliver([d for d in self.double.deliveries() if d not in of_session])
        self.assertEqual(self.amounts(), [])
        self.deliver(of_session)
        self.assertEqual(self.amounts(), [30.0])

    def test_shuffled(self):
        self.set_up("Sam@Example.com")
        self.pay_later()
        deliveries = self.double.deliveries()
        for delivery in reversed(deliveries):
            self.assertEqual(self.post_delivery(delivery), 200)
            self.process()
        for delivery in deliveries:
            delivery.drop()
        self.assertEqual(self.amounts(), [30.0])

    def test_the_address_in_another_spelling(self):
        self.set_up("sam@bücher.example")
        self.pay_later("SAM@xn--bcher-kva.example")
        self.deliver()
        self.assertEqual(self.amounts(), [30.0])

    def test_the_address_that_the_business_gave(self):
        session = self.open_setup(customer_email=EMAIL)
        self.double.complete_session(session["id"])
        self.pay_later()
        self.deliver()
        self.assertEqual(self.amounts(), [30.0])

    def test_a_payment_of_nothing_makes_no_customer_either(self):
        coupon = self.shop.coupon(100)
        session = self.shop.checkout(
            self.shop.price(10000, interval=None),
            discounts=[{"coupon": coupon["id"]}],
            client_reference_id=self.drona.code,
        )
        done = self.double.complete_session(session["id"], email=EMAIL)
        self.assertIsNone(done["customer"])
        self.pay_later()
        self.deliver()
        self.assertEqual(self.amounts(), [30.0])
        # It took nothing but an address, which may be anybody's.
        self.assertTrue(self.rows().on_hold)
        self.assertEqual(self.rows().referral_id.flag_ids.mapped("kind"), ["no_visit"])

    def test_a_payment_of_nothing_takes_nobody_from_who_brought_him(self):
        """Neither by a link nor by a code that somebody puts into a free checkout."""
        uma = self.make_affiliate(self.program, "Uma Iyer")
        free = self.shop.coupon(100)
        session = self.shop.checkout(
            self.shop.price(10000, interval=None),
            discounts=[{"coupon": free["id"]}],
            client_reference_id=uma.code,
        )
        self.double.complete_session(session["id"], email=EMAIL)
        self.double.advance(3600)
        paid = self.shop.checkout(
            self.shop.price(10000), client_reference_id=self.drona.code
        )
        self.double.complete_session(paid["id"], email=EMAIL)
        self.deliver()
        self.assertEqual(self.rows().affiliate_id, self.drona)
        self.assertFalse(self.rows().on_hold)

    def test_a_guest_who_paid_is_the_later_customer(self):
        session = self.shop.checkout(
            self.shop.price(5000, interval=None), client_reference_id=self.drona.code
        )
        self.double.complete_session(session["id"], email=EMAIL)
        self.pay_later()
        self.deliver()
        self.assertEqual(self.amounts(), [15.0, 30.0])

    def test_metadata_of_such_a_session_counts_too(self):
        session = self.shop.post(
            "checkout/sessions",
            mode="setup",
            currency="usd",
            success_url="https://acme.example/done",
            metadata={"affiliate": self.drona.code},
        )
        self.double.complete_session(session["id"], email=EMAIL)
        self.pay_later()
        self.deliver()
        self.assertEqual(self.amounts(), [30.0])

    def test_what_nobody_has_finished_counts_nothing(self):
        for expire in (False, True):
            with self.subTest(expire=expire):
                email = f"open{expire}@example.com"
                session = self.open_setup(customer_email=email)
                if expire:
                    self.shop.post(f"checkout/sessions/{session['id']}/expire")
                self.pay_later(email)
                self.deliver()
                self.assertEqual(self.amounts(), [])

    def test_another_address_is_another_person(self):
        self.set_up("sam+work@example.com")
        self.pay_later()
        self.deliver()
        self.assertEqual(self.amounts(), [])

    def test_who_had_paid_before_is_not_brought(self):
        self.pay_later()
        self.deliver()
        self.double.advance(3600)
        self.set_up()
        self.deliver()
        self.assertEqual(self.amounts(), [])

    def test_who_is_bound_keeps_his_affiliate_under_another_address(self):
        self.sell(10000, email="jane@example.com")
        self.assertEqual(self.amounts(), [30.0])
        uma = self.make_affiliate(self.program, "Uma Iyer")
        self.set_up(EMAIL, code=uma.code)
        self.deliver()
        (customer,) = self.shop.get("customers", email="jane@example.com")["data"]
        self.shop.post(f"customers/{customer['id']}", email=EMAIL)
        self.double.advance(3600)
        self.shop.invoice(customer, 10000)
        self.deliver()
        self.assertEqual(self.rows().affiliate_id, self.drona)
        self.assertEqual(self.amounts(), [30.0, 30.0])

    def test_the_session_stays_the_evidence_when_the_address_changes(self):
        self.set_up()
        self.pay_later()
        self.deliver()
        (customer,) = self.shop.get("customers", email=EMAIL)["data"]
        self.shop.post(f"customers/{customer['id']}", email="other@example.com")
        self.deliver()
        self.assertEqual(self.amounts(), [30.0])

    def test_erased_with_the_person(self):
        self.set_up()
        self.pay_later()
        self.deliver()
        sessions = self.env["affiliate.stripe.checkout.session"].search([])
        referral = self.rows().referral_id
        told = referral._export_person()["stripe"]["checkout_session"]
        self.assertEqual([raw["id"] for raw in told], sessions.mapped("stripe_id"))
        referral._erase_person()
        sessions.action_sync_again()
        self.env.invalidate_all()
        self.assertFalse(sessions.email or sessions.email_normalized)
        self.assertNotIn(EMAIL, str(sessions.data))
        events = self.env["affiliate.stripe.event"].sudo().search([])
        self.assertNotIn(EMAIL, str(events.mapped("payload")))
        self.assertEqual(self.amounts(), [30.0])
