"""A customer moved by hand: previewed, explained, and stable whatever is replayed."""

from odoo.exceptions import AccessError, UserError
from odoo.tests import Form, new_test_user, tagged

from .common import NEW_YEAR, moment
from .test_attribution import DAY
from .test_policy import VisitCase


class MoveCase(VisitCase):
    def setUp(self):
        super().setUp()
        self.customer = self.shop.customer()
        self.shop.subscribe(self.customer, self.price, **self.discounts(self.drona))
        self.deliver()
        self.double.advance(months=1)
        self.deliver()

    def wizard(self, affiliate, scope="all", since=None):
        form = Form(
            self.env["affiliate.move.wizard"].with_context(
                **self.bound().action_move()["context"]
            )
        )
        form.affiliate_id = affiliate
        form.scope = scope
        if since is not None:
            form.since = moment(NEW_YEAR + since * DAY)
        form.reason = "She wrote the review he found."
        return form.save()

    def sums(self):
        return [self.total(affiliate_id=a.id) for a in (self.drona, self.uma)]

    def replay(self):
        self.env["affiliate.stripe.event"].search([]).action_retry()
        self.process()


@tagged("post_install", "-at_install")
class TestMove(MoveCase):
    def test_all_payments(self):
        self.assertEqual(self.sums(), [54.00, 0])
        wizard = self.wizard(self.uma)
        self.assertRegex(wizard.preview, r"Drona Rao \(DRONA29\): .*-.?54.00 in 2 rows")
        self.assertRegex(wizard.preview, r"Uma Iyer \(UMA30\): .*54.00 in 2 rows")
        self.assertEqual(self.sums(), [54.00, 0], "a preview books nothing")
        self.assertFalse(self.bound().move_ids)
        wizard.action_move()
        self.assertEqual(self.sums(), [0, 54.00])
        referral = self.bound()
        self.assertEqual(referral.affiliate_id, self.uma)
        self.assertEqual(referral.source, "code", "how he came stays what it was")
        self.assertIn("She wrote the review", referral.message_ids[0].body)
        self.assertIn("She wrote the review", referral.why)
        self.replay()
        self.assertEqual(self.sums(), [0, 54.00])
        self.double.advance(months=1)
        self.deliver()
        self.assertEqual(self.sums(), [0, 84.00])

    def test_rejecting_rows_of_one_affiliate_leaves_those_of_the_other(self):
        self.program.auto_approve_commissions = False
        self.rows().sudo().is_approved = False
        self.wizard(self.uma).action_move()
        first, second = self.rows(affiliate_id=self.uma.id).sorted("date")
        lost = self.rows(affiliate_id=self.drona.id, line_ref=first.line_ref)
        (lost[0] | second)._reject("Typed twice")
        self.assertEqual(self.rows(state="void"), (lost | second).sorted("id"))

    def test_payments_from_a_date_on(self):
        self.wizard(self.uma, "since", since=10).action_move()
        self.assertEqual(self.sums(), [24.00, 30.00])
        self.double.advance(months=1)
        self.deliver()
        self.replay()
        self.assertEqual(self.sums(), [24.00, 60.00])

    def test_who_is_first_is_not_asked_anew(self):
        """The other affiliate earns on renewals what renewals earn."""
        rules = [
            {"rate": 50, "applies_to": "first"},
            {"rate": 10, "applies_to": "renewal"},
        ]
        zoe = self.make_affiliate(self.make_program(rules=rules), "Zoe Lee")
        self.wizard(zoe, "since", since=10).action_move()
        self.assertEqual(self.total(affiliate_id=zoe.id), 10.00)

    def test_paid_rows_are_corrected_by_new_rows(self):
        self.rows().action_approve()
        settlement = (
            self.env["affiliate.settlement"].sudo()._collect(self.rows()[-1].date)
        )
        settlement.sudo().action_confirm()
        paid = self.rows()
        self.wizard(self.uma).action_move()
        self.assertEqual(paid.mapped("amount"), [24.00, 30.00])
        self.assertEqual(paid.settlement_id, settlement)
        self.assertEqual(self.sums(), [0, 54.00])

    def test_back_again(self):
        self.wizard(self.uma).action_move()
        self.wizard(self.drona, "since", since=10).action_move()
        self.assertEqual(self.sums(), [30.00, 24.00])
        self.replay()
        self.assertEqual(self.sums(), [30.00, 24.00])
        self.assertEqual(self.bound().affiliate_id, self.drona)

    def test_it_lasts_when_other_evidence_turns_up(self):
        """A claim from before the first payment is heard of after the move."""
        self.program.code_beats_link = True
        self.wizard(self.uma).action_move()
        zoe = self.make_affiliate(self.program, "Zoe Lee")
        self.claim(zoe, source="form", at=NEW_YEAR - 9 * DAY)
        self.claim(zoe, source="sdk", at=NEW_YEAR - 8 * DAY)
        self.env.invalidate_all()
        self.assertEqual(self.sums(), [0, 54.00])
        self.assertEqual(self.bound().affiliate_id, self.uma)

    def test_it_follows_the_person_to_another_row(self):
        """Stronger evidence turns up late and binds by a row of its own."""
        self.program.write({"code_beats_link": False})
        other = self.shop.customer("john@example.com")
        late = self.claim(
            self.uma, "john@example.com", source="form", at=NEW_YEAR + 29 * DAY
        )
        self.shop.subscribe(other, self.price)
        self.deliver()
        self.assertEqual(late.state, "customer")
        values = {"affiliate_id": self.drona.id, "since": False, "reason": "Mistake"}
        late._move(values)
        self.assertEqual(late.affiliate_id, self.drona)
        earlier = self.claim(
            self.uma, "john@example.com", source="import", at=NEW_YEAR - DAY
        )
        sdk = self.claim(self.uma, "john@example.com", source="form", at=NEW_YEAR + DAY)
        self.env.invalidate_all()
        self.assertEqual(sdk.state, "customer", "the first form counts")
        self.assertEqual((late | earlier).mapped("customer_ids"), late.customer_ids)
        self.assertEqual(sdk.affiliate_id, self.drona)
        self.assertEqual(sdk.move_ids.reason, "Mistake")
        self.assertEqual(self.sums(), [84.00, 0])

    def test_a_reason_is_needed(self):
        wizard = self.wizard(self.uma)
        wizard.reason = " "
        with self.assertRaisesRegex(UserError, "Say why"):
            wizard.action_move()

    def test_nobody_moves_a_lead(self):
        lead = self.claim(self.drona, "new@example.com", source="form")
        values = {"affiliate_id": self.uma.id, "since": False, "reason": "x"}
        with self.assertRaisesRegex(UserError, "has not paid yet"):
            lead._move(values)

    def test_only_managers_move(self):
        officer = new_test_user(
            self.env,
            "officer",
            groups="affiliate_stripe.group_affiliate_officer",
            company_id=self.env.company.id,
            company_ids=[(6, 0, self.env.company.ids)],
        )
        values = {"affiliate_id": self.uma.id, "since": False, "reason": "x"}
        for ask in ("action_move", "action_add_history"):
            with self.assertRaises(AccessError):
                getattr(self.bound().with_user(officer), ask)()
        with self.assertRaises(AccessError):
            self.env["affiliate.move.wizard"].with_user(officer).create(
                {"referral_id": self.bound().id, "affiliate_id": self.uma.id}
            )
        with self.assertRaises(AccessError):
            self.env["affiliate.referral.move"].with_user(officer).create(
                {"referral_id": self.bound().id, **values}
            )


@tagged("post_install", "-at_install")
class TestHistory(VisitCase):
    def test_earlier_payments_are_previewed_and_taken_once(self):
        """Example 17, small: a customer mapped by hand today."""
        self.shop.subscribe("jane@example.com", self.price)
        self.double.advance(months=2)
        self.deliver()
        claim = self.claim(self.drona, at=NEW_YEAR + 90 * DAY)
        self.assertFalse(self.rows())
        action = claim.action_add_history()
        form = Form(self.env["affiliate.move.wizard"].with_context(**action["context"]))
        form.reason = "He had an old agreement"
        wizard = form.save()
        self.assertRegex(wizard.preview, r"Drona Rao \(DRONA29\): .*90.00 in 3 rows")
        self.assertFalse(self.rows())
        wizard.action_move()
        self.assertEqual(self.amounts(), [30.00] * 3)
        self.assertTrue(claim.include_history)
        self.env["affiliate.stripe.event"].search([]).action_retry()
        self.process()
        self.assertEqual(self.amounts(), [30.00] * 3)

    def test_two_years_of_payments(self):
        """Example 17."""
        program = self.make_program(rules=[{"rate": 20, "duration_months": 12}])
        affiliate = self.make_affiliate(program, "Zoe Lee")
        subscription = self.shop.subscribe("jane@example.com", self.shop.price(5000))
        self.double.advance(months=23)
        invoices = self.double.all("invoice", customer=subscription["customer"])
        self.assertEqual(len(invoices), 24)
        fifth = sorted(invoices, key=lambda invoice: invoice["created"])[4]
        self.shop.refund(self.shop.charge_of(fifth))
        self.deliver()
        claim = self.claim(affiliate, at=self.double.clock.now() + DAY)
        values = {"affiliate_id": affiliate.id, "since": False, "reason": "Agreed"}
        told = self.env["affiliate.commission"]._rehearse(
            self.account, lambda env: claim.with_env(env)._move(values)
        )
        self.assertEqual([row[:2] for row in told], [(affiliate.display_name, 13)])
        self.assertIn("110.00", told[0][2])
        self.assertFalse(self.rows())
        claim._move(values)
        self.assertEqual(self.rows().mapped("kind").count("earned"), 12)
        self.assertEqual(len(self.rows()), 13)
        self.assertEqual(self.total(), 110.00)
        self.env["affiliate.stripe.event"].search([]).action_retry()
        self.process()
        self.assertEqual(len(self.rows()), 13)

    def test_earlier_payments_of_a_customer_who_is_bound(self):
        self.shop.subscribe("jane@example.com", self.price)
        self.double.advance(months=2)
        self.deliver()
        claim = self.claim(self.drona, at=NEW_YEAR + 40 * DAY)
        self.assertEqual(self.amounts(), [30.00])
        claim._move({"affiliate_id": self.drona.id, "since": False, "reason": "Old"})
        self.assertEqual(self.amounts(), [30.00] * 3)


@tagged("post_install", "-at_install")
class TestWhy(VisitCase):
    def story(self, referral):
        return [
            (step["title"], step["affiliate"].partition(" ")[0], step["verdict"])
            for step in referral._why_steps()
        ]

    def test_the_whole_story_in_order(self):
        self.visit(
            self.uma,
            -70,
            referrer="blog.example",
            utm_campaign="spring",
            ad_network="Google Ads",
        )
        self.visit(self.drona, 0)
        self.visit(self.uma, 10)
        self.lead(self.uma, 20)
        self.buy(25, self.uma)
        self.env.invalidate_all()
        self.assertEqual(
            self.story(self.bound()),
            [
                (
                    "Visit",
                    "Uma",
                    "Does not count: too many days before sign-up or payment.",
                ),
                ("Visit", "Drona", "This decided."),
                ("Visit", "Uma", "Lost: the first contact counts."),
                ("E-mail form", "", "Showed which visits belonged to this person."),
                (
                    "Link (client_reference_id)",
                    "",
                    "Showed which visits belonged to this person.",
                ),
                ("The payment that decided", "", ""),
            ],
        )
        html = self.bound().why
        for text in ("blog.example", "spring", "Google Ads", "acme.example/pricing"):
            self.assertIn(text, html)
        self.env["affiliate.click"].sudo().search([]).unlink()
        self.assertEqual(self.bound().why, html, "also when visits are forgotten")

    def test_evidence_for_the_same_affiliate_agrees(self):
        """A link, a lead and the code of one affiliate: the code decided, and nobody
        has lost. The other affiliate has."""
        self.visit(self.drona, 0)
        self.visit(self.uma, 1)
        self.lead(self.drona, 2)
        self.buy(3, self.drona, code=self.drona.code)
        self.visit(self.drona, 5)
        self.lead(self.drona, 6)
        agrees = "Agrees: it names the same affiliate."
        self.env.invalidate_all()
        told = self.story(self.bound())
        visits_, rest = told[:2], told[2:]
        self.assertEqual(
            visits_,
            [
                ("Visit", "Drona", agrees),
                ("Visit", "Uma", "Lost to stronger evidence."),
            ],
        )
        self.assertIn(("Promotion code", "Drona", "This decided."), rest)
        self.assertNotIn("Lost", str(rest))
        step = self.bound()._why_steps()[0]
        self.assertFalse(step["lost"] or step["won"])
        self.assertNotIn("text-muted", str(self.bound().why).partition("<td")[0])

    def test_a_doubtful_lead_beside_a_visit_agrees(self):
        """Also before any payment, and with a lead without a visit."""
        self.visit(self.drona, 0)
        self.visit(self.drona, 3)
        lead = self.lead(self.drona, 4)
        self.lead(self.drona, 5, visitor=self.new_visitor(), without_visit=True)
        self.pay(6)
        self.assertIn("Agrees", str(lead.why))
        self.assertNotIn("Lost", str(self.bound().why))

    def test_what_does_not_count_does_not_agree(self):
        self.visit(self.drona, -70)
        self.visit(self.drona, 0)
        self.buy(1, self.drona)
        self.assertEqual(
            self.story(self.bound())[0][2],
            "Does not count: too many days before sign-up or payment.",
        )

    def test_a_lead_says_what_counts_so_far(self):
        self.visit(self.drona, 0)
        self.visit(self.uma, 10)
        lead = self.lead(self.drona, 20)
        self.assertEqual(
            [step[1:] for step in self.story(lead)],
            [
                ("Drona", "This decided."),
                ("Uma", "Lost: the first contact counts."),
                ("", "Showed which visits belonged to this person."),
            ],
        )

    def test_a_lead_that_came_to_nothing_says_why(self):
        self.pay(0)
        lead = self.lead(self.drona, 1)
        self.assertIn("the person was a customer before", lead.why)

    def test_texts_of_visitors_are_shown_as_texts(self):
        self.visit(self.drona, 0, landing_url="https://acme.example/<b>x</b>")
        lead = self.lead(self.drona, 1)
        self.assertIn("&lt;b&gt;x", lead.why)
