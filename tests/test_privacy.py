"""What a person may ask for: to know what is kept, and to have it erased."""

import base64
import json

from odoo.exceptions import AccessError, ValidationError
from odoo.tests import new_test_user, tagged

from ..lib import erasure
from ..lib.stripe_objects import MODELS
from .test_policy import VisitCase

NAME, EMAIL = "Jane Secret", "jane@secret.example"


@tagged("post_install", "-at_install")
class TestPrivacy(VisitCase):
    def setUp(self):
        super().setUp()
        self.visit(self.drona, 0, ip_hash="keyed", landing_url="https://acme.example/x")
        self.visit(self.uma, 1)
        self.lead(self.uma, 2, email=EMAIL, ip_hash="keyed")
        self.claim(self.uma, EMAIL, source="import")
        self.customer = self.shop.customer(EMAIL, name=NAME, phone="+49 30 1234567")
        self.until(3)
        self.subscription = self.shop.subscribe(self.customer, self.price)
        self.shop.refund(self.shop.charge_of(self.subscription["latest_invoice"]), 1000)
        self.deliver()
        self.referral = self.bound()

    def everything(self):
        """All that the database holds in our tables, as one text."""
        self.env.flush_all()
        texts = []
        for name, model in self.env.registry.items():
            if name.startswith("affiliate.") and not model._abstract:
                table = model._table
                self.env.cr.execute(f'SELECT t::text FROM "{table}" t')  # pylint: disable=E8103
                texts += [f"{name} {text}" for (text,) in self.env.cr.fetchall()]
        self.env.cr.execute(
            "SELECT body FROM mail_message WHERE model LIKE 'affiliate.%'"
        )
        texts += [body or "" for (body,) in self.env.cr.fetchall()]
        return texts

    def assert_erased(self):
        for trace in ("secret", "Jane", "1234567", self.visitor, "keyed"):
            self.assertEqual(self.found(trace), [])

    def found(self, trace):
        return [t for t in self.everything() if trace.lower() in t.lower()]

    def erase(self):
        wizard = self.env["affiliate.person.wizard"].create(
            {"referral_id": self.referral.id}
        )
        self.assertEqual(self.referral.action_erase_person()["res_model"], wizard._name)
        wizard.action_erase()
        self.env.invalidate_all()

    def test_what_is_known(self):
        action = self.referral.action_export_person()
        wizard = self.env["affiliate.person.wizard"].search([])
        self.assertIn(f"/{wizard.id}/file/", action["url"])
        known = json.loads(base64.b64decode(wizard.file))
        self.assertEqual(known["stripe"]["customer"][0]["name"], NAME)
        self.assertEqual(len(known["visits"]), 2)
        self.assertEqual(len(known["referrals"]), 2)
        self.assertEqual([c["amount"] for c in known["commissions"]], [-3.0, 30.0])

    def test_erased_for_good(self):
        self.assertTrue(self.found("Jane Secret"))
        before = self.ledger()
        self.erase()
        self.assert_erased()
        self.assertEqual(self.ledger(), before)
        self.assertEqual(self.bound().affiliate_id, self.drona)
        self.assertEqual(len(self.env["affiliate.click"].search([])), 2)

    def test_texts_of_lines_may_name_people(self):
        item = {"amount": 5000, "currency": "usd", "description": f"For {NAME}"}
        self.shop.invoice(self.customer, item)
        self.deliver()
        self.assertTrue(self.found(f"For {NAME}"))
        self.erase()
        self.assert_erased()
        for kind, name in (
            ("checkout_session", "line_items"),
            ("credit_note", "lines"),
        ):
            lines = {"data": [{"id": "li_1", "description": f"For {NAME}"}]}
            self.assertEqual(
                erasure.erase(kind, {name: lines}), {name: {"data": [{"id": "li_1"}]}}
            )

    def test_what_stripe_goes_on_telling_is_stored_without_the_person(self):
        self.erase()
        self.shop.post(f"customers/{self.customer['id']}", name="Jane Secret-Doe")
        self.double.advance(months=1)
        self.deliver()
        self.reconcile()
        self.env["affiliate.stripe.customer"].sudo()._gc_payloads_of_erased()
        self.assert_erased()
        self.assertEqual(self.amounts(), [30.00, -3.00, 30.00])
        self.assertEqual(self.rows().affiliate_id, self.drona)

    def test_the_same_address_again_is_somebody_new(self):
        self.erase()
        self.double.advance(days=1)
        self.shop.subscribe(EMAIL, self.price)
        self.deliver()
        self.assertEqual(self.amounts(), [30.00, -3.00])

    def test_a_guest_is_erased_too(self):
        deal = self.shop.price(10000, interval=None)
        self.shop.buy(deal, "secret.guest@guest.example", code=self.drona.code)
        self.deliver()
        referral = self.rows()[-1].referral_id
        referral._erase_person()
        self.env["affiliate.stripe.event"].search([]).action_retry()
        self.process()
        self.assertEqual(self.found("guest.example"), [])
        self.assertEqual(self.rows()[-1].amount, 24.00)

    def test_only_managers_may(self):
        for group in ("officer", "accountant"):
            user = new_test_user(
                self.env,
                group,
                groups=f"affiliate_stripe.group_affiliate_{group}",
                company_id=self.env.company.id,
                company_ids=[(6, 0, self.env.company.ids)],
            )
            referral = self.referral.with_user(user)
            for act in (
                referral.action_export_person,
                referral.action_erase_person,
                lambda user=user: (
                    self.env["affiliate.person.wizard"]
                    .with_user(user)
                    .create({"referral_id": self.referral.id})
                ),
            ):
                with self.assertRaises(AccessError):
                    act()

    def test_visits_are_kept_as_long_as_links_count(self):
        settings = self.env["res.config.settings"].sudo()
        with self.assertRaisesRegex(ValidationError, "at least as long"):
            settings.create({"affiliate_stripe_click_days": 59})
        settings.create({"affiliate_stripe_click_days": 90}).execute()
        self.visit(self.drona, -10000)
        self.env["affiliate.click"].sudo()._gc_clicks()
        oldest = self.env["affiliate.click"].search([], order="date", limit=1)
        self.assertFalse(oldest and oldest.date.year < 2000)

    def test_what_is_erased_is_mirrored(self):
        self.assertLessEqual(set(erasure.KINDS), set(MODELS))

    def test_metadata_that_concerns_the_ledger_is_kept(self):
        metadata = {
            "affiliate": "skip",
            "referral": f"DRONA29_{self.visitor}",
            "via": "DRONA29",
            "user": NAME,
        }
        left = erasure.erase("customer", {"id": "cus_1", "metadata": metadata})
        self.assertEqual(left["metadata"], {"affiliate": "skip", "via": "DRONA29"})
