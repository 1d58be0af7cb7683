"""Who owns a customer: evidence read from Stripe and claims made here, over the wire.

The rules themselves are tested without a database in ``test_lib_attribution.py``.
"""

from functools import cached_property

from odoo.exceptions import UserError, ValidationError
from odoo.tests import tagged

from .common import NEW_YEAR, StripeCase, moment

DAY = 86400


class AttributionCase(StripeCase):
    def setUp(self):
        super().setUp()
        self.program = self.make_program(discount=20, first_time_only=False)
        self.drona = self.make_affiliate(self.program)
        self.price = self.shop.price(10000)

    @cached_property
    def uma(self):
        """A second affiliate, made where a test needs one."""
        return self.make_affiliate(self.program, "Uma Iyer")

    def claim(self, affiliate, email="jane@example.com", at=NEW_YEAR - DAY, **values):
        # Only form, script and engine say where a claim comes from.
        referrals = self.env["affiliate.referral"].sudo("source" in values)
        claim = referrals.create(
            {
                "email": email,
                "affiliate_id": affiliate.id,
                "date": moment(at),
                **values,
            }
        )
        return claim.sudo(False)

    @property
    def referrals(self):
        return self.env["affiliate.referral"].search([], order="id")

    def bound(self):
        return self.referrals.filtered(lambda r: r.state == "customer")

    def discounts(self, affiliate):
        return {"discounts": [{"promotion_code": self.promotion(affiliate)}]}

    def assert_owner(self, affiliate, *amounts, source=None):
        """All there is to earn belongs to one affiliate, by one binding."""
        self.assertEqual(self.rows().affiliate_id, affiliate)
        self.assertEqual(self.amounts(), list(amounts))
        self.assertEqual(self.bound().affiliate_id, affiliate)
        self.assertEqual(len(self.bound()), 1)
        if source:
            self.assertEqual(self.bound().source, source)


@tagged("post_install", "-at_install")
class TestEvidence(AttributionCase):
    """Wherever Stripe says who brought the customer, we read it."""

    def test_a_code_typed_at_the_checkout(self):
        self.shop.buy(self.price, "jane@example.com", code=self.drona.code)
        self.deliver()
        self.assert_owner(self.drona, 24.00, source="code")
        self.assertEqual(self.bound().code_id, self.drona.code_ids)
        self.assertEqual(self.bound().email, "jane@example.com")
        self.assertIn(self.drona.code, self.bound().evidence_text)

    def test_a_code_typed_in_lower_case(self):
        self.shop.buy(self.price, "jane@example.com", code=self.drona.code.lower())
        self.deliver()
        self.assert_owner(self.drona, 24.00, source="code")

    def test_a_code_on_a_subscription(self):
        self.shop.subscribe(
            "jane@example.com", self.price, **self.discounts(self.drona)
        )
        self.deliver()
        self.assert_owner(self.drona, 24.00, source="code")

    def test_a_code_on_an_item_of_a_subscription(self):
        items = [{"price": self.price["id"], **self.discounts(self.drona)}]
        self.shop.subscribe("jane@example.com", items=items)
        self.deliver()
        self.assert_owner(self.drona, 24.00, source="code")

    def test_a_code_on_an_invoice(self):
        customer = self.shop.customer()
        self.shop.invoice(customer, 10000, **self.discounts(self.drona))
        self.deliver()
        self.assert_owner(self.drona, 24.00, source="code")

    def test_a_code_on_a_line_of_an_invoice(self):
        customer = self.shop.customer()
        line = {
            "amount": 10000,
            "currency": "usd",
            "description": "Work",
            **self.discounts(self.drona),
        }
        self.shop.invoice(customer, line, 5000)
        self.deliver()
        self.assertEqual(sorted(self.amounts()), [15.00, 24.00])
        self.assertEqual(self.rows().affiliate_id, self.drona)

    def test_a_discount_on_the_customer(self):
        customer = self.shop.customer()
        self.double.set_customer_discount(
            customer["id"], promotion_code=self.promotion(self.drona)
        )
        self.shop.invoice(customer, 10000)
        self.deliver()
        self.assert_owner(self.drona, 24.00, source="code")

    def test_a_client_reference(self):
        self.shop.buy(
            self.price, "jane@example.com", client_reference_id=self.drona.code.lower()
        )
        self.deliver()
        self.assert_owner(self.drona, 30.00, source="client_reference")

    def test_metadata_wherever_it_is(self):
        metadata = {"metadata": {"affiliate": self.drona.code.lower()}}
        for number, sell in enumerate(
            (
                lambda email: self.shop.buy(self.price, email, **metadata),
                lambda email: self.shop.subscribe(email, self.price, **metadata),
                lambda email: self.shop.subscribe(
                    self.shop.customer(email, **metadata), self.price
                ),
                lambda email: self.shop.invoice(
                    self.shop.customer(email), 10000, **metadata
                ),
            )
        ):
            sell(f"p{number}@example.com")
            self.deliver()
            row = self.rows()[-1]
            self.assertEqual((row.affiliate_id, row.amount), (self.drona, 30.00))
            self.assertEqual(row.referral_id.source, "metadata")
        self.assertEqual(len(self.rows()), 4)

    def test_the_other_metadata_keys(self):
        ours = ("affiliate_code", "referral", "via")
        rivals = ("fp_tid", "promotekit_referral", "tolt_referral")
        for number, key in enumerate(ours + rivals):
            self.shop.subscribe(
                f"p{number}@example.com", self.price, metadata={key: self.drona.code}
            )
            self.deliver()
            self.assertEqual(len(self.rows()), number + 1, key)

    def test_rubbish_from_third_parties_is_no_evidence(self):
        for number, value in enumerate(
            (
                "nobody",
                " ",
                "<script>alert(1)</script>",
                "' OR 1=1 --",
                "李",
                "x" * 200,
                str(self.drona.id),
            )
        ):
            self.shop.buy(
                self.price,
                f"p{number}@example.com",
                client_reference_id=value,
                metadata={"affiliate": value},
            )
        self.deliver()
        self.assertFalse(self.rows())
        self.assertFalse(self.referrals)
        self.assert_pending_empty()

    def test_somebody_elses_promotion_code_is_no_evidence(self):
        self.shop.code("SUMMER")
        self.shop.buy(self.price, "jane@example.com", code="SUMMER")
        self.deliver()
        self.assertFalse(self.rows())

    def test_a_guest_of_the_checkout(self):
        deal = self.shop.price(10000, interval=None)
        self.shop.buy(deal, "Guest@Example.com", code=self.drona.code)
        self.deliver()
        self.assert_owner(self.drona, 24.00, source="code")
        customer = self.bound().customer_ids
        self.assertTrue(customer.is_guest)
        self.assertEqual(customer.email_normalized, "guest@example.com")
        # The same person again, now as a customer of Stripe.
        self.shop.subscribe("guest@example.com", self.price)
        self.deliver()
        self.assert_owner(self.drona, 24.00, 30.00)

    def test_a_claim_by_e_mail_whatever_its_spelling(self):
        self.claim(self.drona, " Jane.Doe@Example.COM ")
        self.shop.subscribe("jane.doe@example.com", self.price)
        self.deliver()
        self.assert_owner(self.drona, 30.00, source="manual")

    def test_a_claim_needs_an_address(self):
        for email in ("", " ", "nonsense", "@"):
            with (
                self.subTest(email),
                self.assertRaisesRegex(ValidationError, "not an e-mail address"),
            ):
                self.claim(self.drona, email)

    def test_a_trial_binds_nobody_before_money_comes_in(self):
        self.claim(self.drona)
        self.shop.subscribe("jane@example.com", self.price, trial_period_days=14)
        self.deliver()
        self.assertEqual(self.referrals.state, "lead")
        self.double.advance(days=15)
        self.deliver()
        self.assert_owner(self.drona, 30.00)

    def test_what_is_marked_skip_earns_nothing(self):
        skip = {"metadata": {"affiliate": "skip"}}
        self.claim(self.drona)
        self.claim(self.drona, "skipped@example.com")
        jane = self.shop.customer()
        self.shop.invoice(jane, 10000, **skip)
        self.shop.subscribe(jane, self.price, **skip)
        self.shop.invoice(self.shop.customer("skipped@example.com", **skip), 10000)
        self.deliver()
        self.assertFalse(self.rows())
        self.shop.invoice(jane, 10000)
        self.deliver()
        self.assertEqual(self.amounts(), [30.00])


@tagged("post_install", "-at_install")
class TestBinding(AttributionCase):
    """The first valid binding wins, and lasts."""

    def test_it_lasts_over_renewals_new_subscriptions_and_other_codes(self):
        jane = self.shop.customer()
        self.shop.subscribe(jane, self.price, **self.discounts(self.drona))
        self.deliver()
        self.double.advance(months=1)
        self.shop.subscribe(jane, self.price, **self.discounts(self.uma))
        self.shop.buy(
            self.price,
            "jane@example.com",
            customer=jane["id"],
            client_reference_id=self.uma.code,
        )
        self.deliver()
        self.assertEqual(self.rows().affiliate_id, self.drona)
        self.assertEqual(len(self.rows()), 4)
        self.assertEqual(len(self.bound()), 1)
        self.assertIn(self.uma.code, self.bound().evidence_text)
        self.assertIn("Not counted", self.bound().evidence_text)

    def test_code_beats_link(self):
        """Example 9: clicked A's link, used B's code."""
        self.shop.buy(
            self.price,
            "jane@example.com",
            code=self.uma.code,
            client_reference_id=self.drona.code,
        )
        self.deliver()
        self.assert_owner(self.uma, 24.00, source="code")
        self.assertIn(f"Not counted: {self.drona.code}", self.bound().evidence_text)

    def test_link_beats_code_where_the_programme_says_so(self):
        self.program.code_beats_link = False
        self.shop.buy(
            self.price,
            "jane@example.com",
            code=self.uma.code,
            client_reference_id=self.drona.code,
        )
        self.deliver()
        self.assert_owner(self.drona, 24.00, source="client_reference")

    def test_the_losing_claim_is_kept_and_says_so(self):
        claim = self.claim(self.uma, source="form")
        self.shop.subscribe(
            "jane@example.com", self.price, **self.discounts(self.drona)
        )
        self.deliver()
        self.assert_owner(self.drona, 24.00)
        self.assertEqual(claim.state, "rejected")
        self.assertIn("Uma Iyer", self.bound().evidence_text)

    def test_a_claim_for_a_bound_customer_is_refused_with_a_sentence(self):
        self.shop.subscribe(
            "jane@example.com", self.price, **self.discounts(self.drona)
        )
        self.deliver()
        with self.assertRaisesRegex(
            UserError,
            r"JANE@example.com has already paid and has been assigned to Drona Rao "
            r"\(DRONA29\) since 01/01/2026",
        ):
            self.claim(self.uma, "JANE@example.com")
        self.assert_owner(self.drona, 24.00)

    def test_a_script_or_form_that_claims_a_bound_customer_changes_nothing(self):
        self.shop.subscribe(
            "jane@example.com", self.price, **self.discounts(self.drona)
        )
        self.deliver()
        for source in ("form", "sdk", "import"):
            self.claim(self.uma, source=source, at=NEW_YEAR - 9 * DAY)
        self.double.advance(months=1)
        self.deliver()
        self.assert_owner(self.drona, 24.00, 30.00)

    def test_a_claim_after_a_payment_does_not_bind(self):
        self.shop.subscribe("jane@example.com", self.price)
        self.deliver()
        self.double.advance(months=1)
        for source in ("form", "sdk", "import"):
            self.claim(self.drona, source=source, at=NEW_YEAR + 5 * DAY)
        self.deliver()
        self.double.advance(months=1)
        self.deliver()
        self.assertFalse(self.rows())
        self.assertFalse(self.bound())

    def test_an_unattributed_payment_is_listed_and_picked_up_later(self):
        """A claim by hand, with history and without."""
        self.shop.subscribe("jane@example.com", self.price)
        self.double.advance(months=1)
        self.deliver()
        self.assertFalse(self.rows())
        invoices = self.env["affiliate.stripe.invoice"].search([])
        self.assertEqual(len(invoices), 2)
        self.assertFalse(invoices.affiliate_id)
        self.claim(self.drona, at=NEW_YEAR + 5 * DAY)
        self.assertEqual(self.amounts(), [30.00], "from the date on")
        self.claim(self.drona, at=NEW_YEAR + 60 * DAY, include_history=True)
        self.env.invalidate_all()
        self.assertEqual(self.amounts(), [30.00, 30.00])
        self.assertEqual(invoices.affiliate_id, self.drona)
        self.assertEqual(self.bound().decided_at, moment(NEW_YEAR))

    def test_history_is_taken_once(self):
        self.shop.subscribe("jane@example.com", self.price)
        self.double.advance(months=2)
        self.deliver()
        self.claim(self.drona, at=NEW_YEAR + 90 * DAY, include_history=True)
        self.assertEqual(self.amounts(), [30.00] * 3)
        self.env["affiliate.stripe.event"].search([]).action_retry()
        self.process()
        self.assertEqual(self.amounts(), [30.00] * 3)

    def test_a_form_that_arrives_late_counts_from_the_click(self):
        """Example 12: the form is late, what it tells of is not."""
        self.shop.subscribe("jane@example.com", self.price)
        self.deliver()
        self.assertFalse(self.rows())
        self.claim(self.drona, at=NEW_YEAR - 60, source="form")
        self.env.invalidate_all()
        self.assert_owner(self.drona, 30.00, source="form")

    def test_evidence_that_arrives_late_counts_from_when_it_happened(self):
        """The session is lost, and the invoice alone names nobody; then it comes."""
        self.shop.buy(
            self.price, "jane@example.com", client_reference_id=self.drona.code
        )
        self.double.disturb("status", "/v1/checkout/sessions", times=50, status=404)
        late = [
            d
            for d in self.double.deliveries()
            if d.event["type"].startswith("checkout")
        ]
        self.deliver([d for d in self.double.deliveries() if d not in late])
        self.assertFalse(self.rows())
        self.double.calm()
        self.deliver(late)
        self.assert_owner(self.drona, 30.00, source="client_reference")

    def test_a_code_counts_from_the_invoice_that_carries_it(self):
        jane = self.shop.customer()
        subscription = self.shop.subscribe(jane, self.price)
        self.double.advance(days=10)
        self.shop.post(
            f"subscriptions/{subscription['id']}", **self.discounts(self.drona)
        )
        self.double.advance(days=25)
        self.deliver()
        self.assert_owner(self.drona, 24.00)

    def test_an_adopted_code_counts_for_payments_already_made(self):
        made_by_hand = self.shop.code("WELCOME", 10)
        self.shop.buy(self.price, "jane@example.com", code="WELCOME")
        self.deliver()
        self.assertFalse(self.rows())
        code = self.env["affiliate.code"].create(
            {"code": "welcome", "affiliate_id": self.uma.id}
        )
        code._push()
        self.assertEqual(code.state, "error")
        wizard = self.env["affiliate.adopt.wizard"]
        wizard.browse(code.action_adopt()["res_id"]).action_adopt()
        self.env.invalidate_all()
        self.assertEqual(code.promotion_code_ids.stripe_id, made_by_hand["id"])
        self.assert_owner(self.uma, 27.00)

    def test_a_discount_that_ended_ends_nothing(self):
        once = self.make_program(
            discount=50, discount_duration="once", first_time_only=False
        )
        affiliate = self.make_affiliate(once, "Zoe Lee")
        self.shop.subscribe("jane@example.com", self.price, **self.discounts(affiliate))
        self.double.advance(months=2)
        self.deliver()
        self.assert_owner(affiliate, 15.00, 30.00, 30.00)

    def test_a_second_stripe_customer_of_the_same_person_follows(self):
        self.shop.subscribe(
            "jane@example.com", self.price, **self.discounts(self.drona)
        )
        self.deliver()
        self.shop.subscribe("Jane@Example.com", self.price)
        self.deliver()
        self.assert_owner(self.drona, 24.00, 30.00)
        self.assertEqual(len(self.bound().customer_ids), 2)

    def test_a_changed_address_keeps_the_affiliate(self):
        jane = self.shop.customer()
        self.shop.subscribe(jane, self.price, **self.discounts(self.drona))
        self.deliver()
        self.shop.post(f"customers/{jane['id']}", email="new@example.com")
        self.double.advance(months=1)
        self.deliver()
        self.assert_owner(self.drona, 24.00, 30.00)
        # Who pays with the old address now is somebody else.
        self.shop.subscribe("jane@example.com", self.price)
        self.deliver()
        self.assert_owner(self.drona, 24.00, 30.00)

    def test_a_changed_address_leads_to_no_other_claim(self):
        """Somebody claimed the address a bound customer takes later on."""
        jane = self.shop.customer()
        self.shop.subscribe(jane, self.price, **self.discounts(self.drona))
        self.deliver()
        self.claim(self.uma, "new@example.com")
        self.shop.post(f"customers/{jane['id']}", email="new@example.com")
        self.double.advance(months=1)
        self.deliver()
        self.assertEqual(self.rows().affiliate_id, self.drona)
        self.assertEqual(self.amounts(), [24.00, 30.00])

    def test_nobody_joins_a_person_by_changing_his_address(self):
        """Two customers with bindings of their own keep them, whatever the e-mail."""
        jane, john = self.shop.customer(), self.shop.customer("john@example.com")
        self.shop.subscribe(jane, self.price, **self.discounts(self.drona))
        self.shop.subscribe(john, self.price, **self.discounts(self.uma))
        self.deliver()
        self.shop.post(f"customers/{john['id']}", email="jane@example.com")
        self.double.advance(months=1)
        self.deliver()
        self.assertEqual(self.amounts(affiliate_id=self.drona.id), [24.00, 30.00])
        self.assertEqual(self.amounts(affiliate_id=self.uma.id), [24.00, 30.00])

    def test_customers_without_an_address_are_not_one_person(self):
        for number in range(2):
            customer = self.shop.post("customers", name=f"Nobody {number}")
            discount = self.discounts(self.drona) if number else {}
            self.shop.subscribe(customer, self.price, **discount)
        self.deliver()
        self.assert_owner(self.drona, 24.00)

    def test_a_deleted_customer_keeps_his_binding(self):
        jane = self.shop.customer()
        self.shop.subscribe(jane, self.price, **self.discounts(self.drona))
        self.deliver()
        self.shop.delete(f"customers/{jane['id']}")
        self.deliver()
        self.assert_owner(self.drona, 24.00)
        self.env["affiliate.stripe.event"].search([]).action_retry()
        self.process()
        self.assert_owner(self.drona, 24.00)

    def test_a_code_of_a_rejected_affiliate_does_not_count(self):
        self.drona.sudo().state = "rejected"
        self.shop.buy(self.price, "jane@example.com", code=self.drona.code_ids.code)
        self.deliver()
        self.assertFalse(self.rows())

    def test_a_code_of_a_suspended_affiliate_counts_and_waits(self):
        self.shop.buy(self.price, "jane@example.com", code=self.drona.code)
        self.drona.action_suspend()
        self.deliver()
        self.assert_owner(self.drona, 24.00)
        self.rows().action_approve()
        collect = self.env["affiliate.settlement"]._collect
        self.assertFalse(collect(moment(NEW_YEAR + 90 * DAY).date()))

    def test_one_customer_belongs_to_one_programme_only(self):
        second = self.make_program(discount=10, first_time_only=False)
        other = self.make_affiliate(second, "Zoe Lee")
        jane = self.shop.customer()
        self.shop.subscribe(jane, self.price, **self.discounts(self.drona))
        self.deliver()
        self.shop.subscribe(jane, self.price, **self.discounts(other))
        self.deliver()
        self.assertEqual(self.rows().affiliate_id, self.drona)
        self.assertEqual(self.amounts(), [24.00, 27.00])

    def test_a_binding_is_not_edited(self):
        self.claim(self.drona)
        self.shop.subscribe("jane@example.com", self.price)
        self.deliver()
        referral = self.bound()
        with self.assertRaisesRegex(UserError, "belongs to the affiliate for good"):
            referral.affiliate_id = self.uma
        with self.assertRaisesRegex(UserError, "can't be deleted"):
            referral.unlink()

    def test_a_refund_of_a_lost_dispute_counts_once(self):
        self.claim(self.drona)
        subscription = self.shop.subscribe("jane@example.com", self.price)
        self.deliver()
        charge = self.shop.charge_of(subscription["latest_invoice"])
        dispute = self.double.open_dispute(charge)
        self.double.close_dispute(dispute["id"], "lost")
        self.double.force_refund(charge)
        self.deliver()
        self.assertEqual(self.amounts(), [30.00, -30.00])

    def test_a_lead_may_be_corrected(self):
        claim = self.claim(self.drona, "jne@example.com")
        self.shop.subscribe("jane@example.com", self.price)
        self.deliver()
        self.assertFalse(self.rows())
        claim.email = "jane@example.com"
        self.env.invalidate_all()
        self.assert_owner(self.drona, 30.00)
