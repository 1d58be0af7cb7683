"""Which affiliate a customer belongs to, by every way evidence can come."""

from odoo.exceptions import UserError
from odoo.tests import tagged

from .common import NEW_YEAR, StripeCase, moment

DAY = 86400


@tagged("post_install", "-at_install")
class TestAttribution(StripeCase):
    def setUp(self):
        super().setUp()
        self.program = self.make_program(
            discount=10, discount_duration="forever", first_time_only=False
        )
        self.drona = self.make_affiliate(self.program)
        self.uma = self.make_affiliate(self.program, "Uma Iyer")
        self.price = self.shop.price(10000)

    def claim(self, email, affiliate=None, at=NEW_YEAR - DAY, **values):
        return self.env["affiliate.referral"].create(
            {
                "email": email,
                "affiliate_id": (affiliate or self.drona).id,
                "date": moment(at),
                **values,
            }
        )

    def owner(self, email):
        customers = self.env["affiliate.stripe.customer"].search(
            [("email_normalized", "=", email)]
        )
        return customers.referral_ids.affiliate_id

    def with_code(self, affiliate):
        return {"discounts": [{"promotion_code": self.promotion(affiliate)}]}

    # --- evidence in Stripe's objects ------------------------------------------------

    def test_code_on_a_subscription(self):
        self.shop.subscribe("a@x.example", self.price, **self.with_code(self.drona))
        self.deliver()
        self.assertEqual(self.owner("a@x.example"), self.drona)
        self.assertEqual(self.amounts(), [27.0])

    def test_code_typed_at_checkout(self):
        self.shop.buy(self.price, "a@x.example", code=self.drona.code.lower())
        self.deliver()
        self.assertEqual(self.owner("a@x.example"), self.drona)

    def test_code_on_an_invoice(self):
        customer = self.shop.customer("a@x.example")
        self.shop.invoice(customer, 10000, **self.with_code(self.drona))
        self.deliver()
        self.assertEqual(self.owner("a@x.example"), self.drona)

    def test_code_on_an_invoice_line(self):
        customer = self.shop.customer("a@x.example")
        item = {
            "amount": 10000,
            "currency": "usd",
            "description": "Work",
            **self.with_code(self.drona),
        }
        self.shop.invoice(customer, item)
        self.deliver()
        self.assertEqual(self.owner("a@x.example"), self.drona)

    def test_code_on_the_customer(self):
        customer = self.shop.customer("a@x.example")
        self.double.set_customer_discount(customer["id"], self.promotion(self.drona))
        self.shop.subscribe(customer, self.price)
        self.deliver()
        self.assertEqual(self.owner("a@x.example"), self.drona)

    def test_client_reference_of_a_link(self):
        session = self.shop.checkout(self.price, client_reference_id=self.drona.code)
        self.double.complete_session(session["id"], email="a@x.example")
        self.deliver()
        self.assertEqual(self.owner("a@x.example"), self.drona)
        self.assertEqual(self.rows().referral_id.source, "client_reference")

    def test_metadata_of_a_customer(self):
        customer = self.shop.customer(
            "a@x.example", metadata={"affiliate": self.uma.code.lower()}
        )
        self.shop.subscribe(customer, self.price)
        self.deliver()
        self.assertEqual(self.owner("a@x.example"), self.uma)

    def test_metadata_of_a_subscription(self):
        self.shop.subscribe(
            "a@x.example", self.price, metadata={"referral": self.uma.code}
        )
        self.deliver()
        self.assertEqual(self.owner("a@x.example"), self.uma)

    def test_guest_without_a_stripe_customer(self):
        deal = self.shop.price(5000, interval=None)
        self.shop.buy(deal, "guest@x.example", code=self.uma.code)
        self.deliver()
        row = self.rows()
        self.assertEqual((row.affiliate_id, row.amount), (self.uma, 13.5))
        self.assertTrue(row.customer_id.is_guest)

    def test_unknown_code_and_strange_texts_bind_nobody(self):
        for number, reference in enumerate(("NOBODY1", "x" * 200, "-", "_")):
            session = self.shop.checkout(self.price, client_reference_id=reference)
            self.double.complete_session(session["id"], email=f"n{number}@x.example")
        self.deliver()
        self.assertFalse(self.rows())
        self.assert_pending_empty()

    def test_code_of_a_rejected_affiliate_does_not_count(self):
        code = self.drona.code
        self.drona.state = "rejected"
        session = self.shop.checkout(self.price, client_reference_id=code)
        self.double.complete_session(session["id"], email="a@x.example")
        self.deliver()
        self.assertFalse(self.owner("a@x.example"))

    def test_skip_mark_earns_nothing(self):
        for number, params in enumerate(
            ({"metadata": {"affiliate": "skip"}}, {"customer_marked": True})
        ):
            email = f"skip{number}@x.example"
            self.claim(email)
            marked = {"metadata": {"affiliate": "skip"}}
            customer = self.shop.customer(
                email, **(marked if params.pop("customer_marked", None) else {})
            )
            self.shop.invoice(customer, 10000, **params)
        self.deliver()
        self.assertFalse(self.rows())

    # --- claims by e-mail ------------------------------------------------------------

    def test_email_is_compared_without_case_and_spaces(self):
        self.claim(" Jane.Doe@X.example ")
        self.shop.subscribe("jane.doe@x.example", self.price)
        self.deliver()
        self.assertEqual(self.owner("jane.doe@x.example"), self.drona)

    def test_claim_after_the_payment_event_and_click_before(self):
        """Example 12: the form is late, what it tells of is not."""
        self.shop.subscribe("jane@x.example", self.price)
        self.deliver()
        self.assertFalse(self.rows())
        self.claim("jane@x.example", at=NEW_YEAR - 60, source="form")
        self.assertEqual(self.amounts(), [30.0])

    def test_form_claim_does_not_take_over_who_has_paid(self):
        self.shop.subscribe("jane@x.example", self.price)
        self.deliver()
        self.claim("jane@x.example", at=NEW_YEAR + DAY, source="form")
        self.double.advance(months=1)
        self.deliver()
        self.assertFalse(self.rows())

    def test_mapping_by_hand_is_for_payments_from_its_date_on(self):
        self.shop.subscribe("jane@x.example", self.price)
        self.deliver()
        self.claim("jane@x.example", at=NEW_YEAR + DAY)
        self.assertFalse(self.rows())
        self.double.advance(months=1)
        self.deliver()
        self.assertEqual(self.amounts(), [30.0])

    def test_mapping_by_hand_with_history(self):
        self.shop.subscribe("jane@x.example", self.price)
        self.double.advance(months=2)
        self.deliver()
        self.claim("jane@x.example", at=NEW_YEAR + 70 * DAY, include_history=True)
        self.assertEqual(self.amounts(), [30.0, 30.0, 30.0])

    def test_claim_for_somebody_elses_customer_is_refused(self):
        self.shop.subscribe("jane@x.example", self.price, **self.with_code(self.drona))
        self.deliver()
        with self.assertRaisesRegex(UserError, "belongs to Drona Rao"):
            self.claim("jane@x.example", self.uma)
        self.assertEqual(self.owner("jane@x.example"), self.drona)

    def test_binding_of_a_customer_is_not_edited(self):
        referral = self.claim("jane@x.example")
        self.shop.subscribe("jane@x.example", self.price)
        self.deliver()
        self.assertEqual(referral.state, "customer")
        with self.assertRaisesRegex(UserError, "for good"):
            referral.affiliate_id = self.uma

    # --- what wins and lasts -----------------------------------------------------------

    def test_first_binding_lasts(self):
        first = self.shop.subscribe(
            "jane@x.example", self.price, **self.with_code(self.drona)
        )
        self.deliver()
        self.double.advance(days=3)
        self.shop.subscribe(first["customer"], self.price, **self.with_code(self.uma))
        self.deliver()
        self.double.advance(months=1)
        self.deliver()
        self.assertEqual(self.rows().affiliate_id, self.drona)
        self.assertEqual(len(self.rows()), 4)

    def test_code_beats_the_link_unless_the_programme_says_otherwise(self):
        for code_beats_link, winner, earned in (
            (True, self.uma, 27.0),
            (False, self.drona, 27.0),
        ):
            self.program.code_beats_link = code_beats_link
            email = f"both{int(code_beats_link)}@x.example"
            session = self.shop.checkout(
                self.price, client_reference_id=self.drona.code
            )
            self.double.complete_session(
                session["id"], email=email, promotion_code=self.uma.code
            )
            self.deliver()
            self.assertEqual(self.owner(email), winner)
            row = self.rows()[-1]
            self.assertEqual(row.amount, earned)
            loser = self.drona if winner == self.uma else self.uma
            self.assertIn(loser.code, row.referral_id.evidence_text)

    def test_a_code_beats_a_claim_and_the_claim_is_kept(self):
        claim = self.claim("jane@x.example", self.drona, source="form")
        self.shop.subscribe("jane@x.example", self.price, **self.with_code(self.uma))
        self.deliver()
        self.assertEqual(self.owner("jane@x.example"), self.uma)
        self.assertEqual(claim.state, "rejected")
        self.assertIn("jane@x.example", self.rows().referral_id.evidence_text)

    def test_lead_before_the_first_payment(self):
        self.shop.subscribe(
            "jane@x.example",
            self.price,
            trial_period_days=14,
            **self.with_code(self.drona),
        )
        self.deliver()
        referral = self.env["affiliate.referral"].search([])
        self.assertEqual((referral.state, referral.affiliate_id), ("lead", self.drona))
        self.double.advance(days=15)
        self.deliver()
        self.assertEqual(referral.state, "customer")

    def test_second_customer_with_the_same_email_follows(self):
        self.shop.subscribe("jane@x.example", self.price, **self.with_code(self.drona))
        self.deliver()
        self.shop.subscribe("jane@x.example", self.price)
        self.deliver()
        self.assertEqual(self.rows().affiliate_id, self.drona)
        self.assertEqual(len(self.rows()), 2)
        self.assertEqual(len(self.env["affiliate.referral"].search([])), 1)

    def test_changed_email_keeps_the_binding(self):
        subscription = self.shop.subscribe(
            "jane@x.example", self.price, **self.with_code(self.drona)
        )
        self.deliver()
        self.shop.post(f"customers/{subscription['customer']}", email="new@x.example")
        self.double.advance(months=1)
        self.deliver()
        self.assertEqual(self.rows().affiliate_id, self.drona)
        self.assertEqual(len(self.rows()), 2)

    def test_adopted_code_counts_for_payments_already_made(self):
        made_by_hand = self.shop.code("WELCOME", 10)
        self.shop.subscribe(
            "jane@x.example",
            self.price,
            discounts=[{"promotion_code": made_by_hand["id"]}],
        )
        self.deliver()
        self.assertFalse(self.rows())
        code = self.env["affiliate.code"].create(
            {"code": "welcome", "affiliate_id": self.uma.id}
        )
        code._push()
        self.assertEqual(code.state, "error")
        code.action_adopt()
        self.assertEqual(code.state, "synced")
        self.assertEqual(self.rows().affiliate_id, self.uma)

    def test_refund_of_a_lost_dispute_counts_once(self):
        self.claim("jane@x.example")
        subscription = self.shop.subscribe("jane@x.example", self.price)
        self.deliver()
        charge = self.shop.charge_of(subscription["latest_invoice"])
        dispute = self.double.open_dispute(charge)
        self.double.close_dispute(dispute["id"], "lost")
        self.double.force_refund(charge)
        self.deliver()
        self.assertEqual(self.total(), 0.0)
        self.assertEqual(self.amounts(), [30.0, -30.0])
