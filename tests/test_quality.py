"""Doubts hold a commission and are decided by a manager, never by themselves."""

from datetime import timedelta

from odoo.exceptions import AccessError, UserError
from odoo.tests import new_test_user, tagged

from .test_links import TrackingCase
from .test_policy import VisitCase


class QualityCase(VisitCase):
    def flags(self, **domain):
        return self.env["affiliate.referral.flag"].search(
            [(name, "=", value) for name, value in domain.items()], order="id"
        )

    def sell(self, email="drona@partners.example"):
        """What the affiliate buys himself, with his own code."""
        subscription = self.shop.subscribe(
            email, self.price, **self.discounts(self.drona)
        )
        self.deliver()
        return subscription


@tagged("post_install", "-at_install")
class TestFlags(QualityCase):
    def test_the_affiliates_own_purchase_is_held(self):
        self.sell("drona+x@partners.example")
        flag = self.flags()
        self.assertEqual((flag.kind, flag.state), ("self", "open"))
        self.assertEqual(flag.affiliate_id, self.drona)
        self.assertIn("Drona Rao", flag.note)
        row = self.rows()
        self.assertEqual((row.amount, row.on_hold, row.hold_reason), (24, True, "flag"))
        self.assertEqual(flag.referral_id.open_flag_count, 1)
        self.double.advance(months=1)
        self.deliver()
        self.assertEqual(self.rows().mapped("on_hold"), [True, True])
        self.assertEqual(len(self.flags()), 1)

    def test_a_held_row_leads_to_its_doubts(self):
        self.sell("drona+x@partners.example")
        self.sell("drona+y@partners.example")
        row = self.rows()[0]
        action = row.action_view_flags()
        found = self.env[action["res_model"]].search(action["domain"])
        self.assertEqual(found, row.referral_id.flag_ids)
        self.assertEqual(len(found), 1)

    def test_the_managers_are_told_once(self):
        for number in range(3):
            self.sell(f"drona+{number}@partners.example")
        activity = self.drona.activity_ids
        self.assertEqual(activity.summary, "Referrals to look at")
        self.assertEqual(len(self.flags()), 3)
        self.assertIn("Bought by the affiliate: 3", activity.note)
        self.flags().action_accept()
        self.assertFalse(self.drona.activity_ids)

    def test_kinds(self):
        for email, kind in (
            ("colleague@partners.example", "company"),
            ("colleague@mail.partners.example", "company"),
            ("x@mailinator.com", "disposable"),
            ("jane@elsewhere.example", None),
        ):
            with self.subTest(email):
                known = self.flags()
                self.sell(email)
                self.assertEqual(
                    (self.flags() - known).mapped("kind"), [kind] * bool(kind)
                )

    def test_customers_of_a_free_mail_provider_are_no_colleagues(self):
        self.drona.email = "drona@gmail.com"
        self.sell("jane@gmail.com")
        self.assertFalse(self.flags())
        self.sell("d.r.o.n.a@googlemail.com")
        self.assertEqual(self.flags().kind, "self")

    def test_an_agency_may_buy_for_its_clients(self):
        self.drona.trusted = True
        self.sell()
        self.assertFalse(self.flags())
        self.assertFalse(self.rows().on_hold)

    def test_who_was_mapped_by_hand_is_not_doubted(self):
        self.claim(self.drona, "drona@partners.example")
        self.shop.subscribe("drona@partners.example", self.price)
        self.deliver()
        self.assertEqual(self.amounts(), [30.00])
        self.assertFalse(self.flags())

    def test_accepting_releases(self):
        self.sell()
        self.flags().action_accept()
        flag = self.flags()
        self.assertEqual((flag.state, flag.decided_by), ("accepted", self.env.user))
        self.assertFalse(self.rows().on_hold)
        self.double.advance(months=1)
        self.deliver()
        self.assertFalse(any(self.rows().mapped("on_hold")))
        with self.assertRaisesRegex(UserError, "decided already"):
            flag.action_accept()

    def test_all_doubts_have_to_be_accepted(self):
        self.drona.email = "drona@mailinator.com"
        self.sell("drona@mailinator.com")
        own, disposable = self.flags().sorted("kind", reverse=True)
        self.assertEqual((own.kind, disposable.kind), ("self", "disposable"))
        own.action_accept()
        self.assertTrue(self.rows().on_hold)
        disposable.action_accept()
        self.assertFalse(self.rows().on_hold)

    def test_refusing_rejects(self):
        self.program.hold_days = 9999
        self.sell()
        self.flags().action_refuse()
        row = self.rows()
        self.assertEqual(row.state, "void")
        self.assertEqual(row.void_reason, "Bought by the affiliate")
        self.assertEqual(self.referrals.state, "rejected")
        self.double.advance(months=1)
        self.deliver()
        self.env["affiliate.stripe.event"].search([]).action_retry()
        self.process()
        self.assertEqual(self.amounts(), [24.00])
        self.assertEqual(self.referrals.state, "rejected")

    def test_refusing_takes_back_what_is_due(self):
        self.program.hold_days = 9999
        self.sell()
        self.rows().action_approve()
        self.double.advance(months=1)
        self.deliver()
        self.flags().action_refuse()
        self.assertEqual(
            [(row.amount, row.state) for row in self.rows()],
            [(24.00, "approved"), (30.00, "void"), (-24.00, "approved")],
        )

    def test_whom_one_may_not_earn_by_another_may(self):
        self.program.hold_days = 9999
        self.drona.email = "drona@drona.example"
        self.sell("drona@drona.example")
        self.flags().action_refuse()
        self.double.advance(days=1)
        self.shop.subscribe(
            "drona@drona.example", self.price, **self.discounts(self.uma)
        )
        self.deliver()
        self.assertEqual(self.rows(state="pending").affiliate_id, self.uma)
        self.assertEqual(self.bound().affiliate_id, self.uma)
        self.assertFalse(self.flags(state="open"))

    def test_a_held_row_leaves_a_draft_settlement(self):
        self.sell("jane@elsewhere.example")
        self.rows().action_approve()
        draft = (
            self.env["affiliate.settlement"]
            .sudo()
            ._collect(self.rows().date + timedelta(days=1))
        )
        self.assertEqual(self.rows().settlement_id, draft)
        self.env["affiliate.referral.flag"].sudo()._raise(
            [(self.bound(), self.drona, {"speed": "Many at once."})]
        )
        self.env["affiliate.commission"].sudo()._sync_holds_of(self.bound())
        self.assertFalse(draft.exists())
        self.assertTrue(self.rows().on_hold)

    def test_a_dispute_comes_before_a_doubt(self):
        subscription = self.sell()
        charge = self.shop.charge_of(subscription["latest_invoice"])
        dispute = self.double.open_dispute(charge)
        self.deliver()
        self.assertEqual(self.rows().hold_reason, "dispute")
        self.flags().action_accept()
        self.assertEqual(self.rows().hold_reason, "dispute")
        self.double.close_dispute(dispute["id"], "won")
        self.deliver()
        self.assertFalse(self.rows().on_hold)

    def test_a_dispute_that_ends_leaves_the_doubt(self):
        subscription = self.sell()
        charge = self.shop.charge_of(subscription["latest_invoice"])
        dispute = self.double.open_dispute(charge)
        self.deliver()
        self.double.close_dispute(dispute["id"], "won")
        self.deliver()
        self.assertEqual(self.rows().hold_reason, "flag")

    def test_a_doubted_row_is_not_released_by_its_own_button(self):
        self.sell()
        with self.assertRaisesRegex(UserError, "accept them"):
            self.rows().action_release()
        self.rows().action_hold()
        self.rows().action_release()
        self.assertEqual(self.rows().hold_reason, "flag")

    def test_paid_advertising_is_held(self):
        self.visit(self.drona, 0, ad_network="Google Ads")
        self.buy(1, self.drona)
        self.assertEqual(self.flags().kind, "ad")
        self.assertIn("Google Ads", self.flags().note)
        self.assertTrue(self.rows().on_hold)

    def test_paid_advertising_is_allowed(self):
        self.program.ad_policy = "allow"
        self.visit(self.drona, 0, ad_network="Google Ads")
        self.buy(1, self.drona)
        self.assertFalse(self.flags())

    def test_affiliates_do_not_see_that_they_are_doubted(self):
        user = new_test_user(
            self.env,
            "drona",
            groups="base.group_portal",
            email="drona@partners.example",
            company_id=self.env.company.id,
            company_ids=[(6, 0, self.env.company.ids)],
        )
        user.partner_id = self.drona.partner_id
        self.sell()
        row = self.rows().with_user(user)
        self.assertEqual((row.amount, row.on_hold), (24.00, True))
        flag, referral = self.flags().with_user(user), self.bound().with_user(user)
        drona = self.drona.with_user(user)
        for read in (
            lambda: row.hold_reason,
            lambda: drona.trusted,
            lambda: drona.open_flag_count,
            lambda: drona.flag_ids,
            lambda: flag.note,
            lambda: referral.why,
            lambda: self.env["affiliate.referral.move"].with_user(user).search([]),
            referral.action_export_person,
            referral._erase_person,
        ):
            self.env.invalidate_all()
            with self.assertRaises(AccessError):
                read()

    def test_only_managers_decide(self):
        self.sell()
        for login, group in (
            ("officer", "affiliate_stripe.group_affiliate_officer"),
            ("accountant", "affiliate_stripe.group_affiliate_accountant"),
        ):
            user = new_test_user(
                self.env,
                login,
                groups=group,
                company_id=self.env.company.id,
                company_ids=[(6, 0, self.env.company.ids)],
            )
            flag = self.flags().with_user(user)
            self.assertTrue(flag.note)
            for act in (
                flag.action_accept,
                flag.action_refuse,
                lambda flag=flag: flag.write({"state": "accepted"}),
                flag.unlink,
            ):
                with self.assertRaises(AccessError):
                    act()
        self.assertEqual(self.flags().state, "open")


@tagged("post_install", "-at_install")
class TestManyLeads(TrackingCase):
    def many(self, count, **values):
        for number in range(count):
            self.send(
                "lead",
                {"email": f"x{number}@example.com", "reference": "DRONA29"},
                **values,
            )

    def kinds(self):
        self.env.invalidate_all()
        return self.env["affiliate.referral.flag"].search([]).mapped("kind")

    def test_from_one_address(self):
        self.program.max_leads_per_address = 3
        self.many(3)
        self.assertFalse(self.kinds())
        self.many(4)
        self.assertEqual(self.kinds(), ["address"] * 4, "the first ones too")

    def test_in_a_short_time(self):
        self.program.write({"max_leads_per_address": 0, "max_leads_per_hour": 2})
        self.many(2)
        self.assertFalse(self.kinds())
        self.many(3)
        self.assertEqual(self.kinds(), ["speed"] * 3)

    def test_a_lead_with_the_affiliates_address(self):
        reference = f"DRONA29_{self.new_visitor()}"
        body = {"email": "drona@partners.example", "reference": reference}
        self.send("lead", body)
        self.assertEqual(self.kinds(), ["self"])
        self.assertTrue(self.leads().ip_hash)
        self.assertTrue(self.drona.activity_ids)
