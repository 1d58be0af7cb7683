"""Leads and customers told by the business's own server, over JSON-2."""

import json
from datetime import timedelta

from odoo import fields
from odoo.tests import new_test_user, tagged
from odoo.tools import mute_logger

from .test_links import TrackingCase


@tagged("post_install", "-at_install")
class TestServerApi(TrackingCase):
    def leads(self):
        self.env.invalidate_all()
        return self.env["affiliate.referral"].search([("source", "=", "server")])

    def key_of(self, groups):
        user = new_test_user(
            self.env,
            f"api_{groups[-7:]}",
            groups=groups,
            company_id=self.env.company.id,
            company_ids=[(6, 0, self.env.company.ids)],
        )
        return (
            self.env["res.users.apikeys"]
            .with_user(user)
            ._generate("rpc", "test", fields.Datetime.now() + timedelta(days=1))
        )

    def call(self, method, key=None, groups=None, **arguments):
        groups = groups or "affiliate_stripe.group_affiliate_officer"
        key = key or self.key_of(groups)
        self.env.flush_all()
        answer = self.url_open(
            f"/json/2/affiliate.referral/{method}",
            data=json.dumps(arguments),
            headers={
                "Content-Type": "application/json",
                "Authorization": f"bearer {key}",
            },
        )
        self.env.invalidate_all()
        return answer.status_code, answer.json()

    def test_a_lead_then_the_customer_pays(self):
        key = self.key_of("affiliate_stripe.group_affiliate_officer")
        first = self.call(
            "track_lead", key, email=" Jane@Example.com ", reference="drona29"
        )
        self.assertEqual(first[0], 200, first)
        self.assertEqual(first[1]["affiliate"], self.drona.id)
        self.assertEqual(first[1]["code"], "DRONA29")
        again = self.call(
            "track_lead", key, email="jane@example.com", reference="DRONA29"
        )
        self.assertEqual(again, first, "safe to repeat")
        self.assertEqual(len(self.leads()), 1)
        self.assertFalse(self.leads().without_visit)

    def test_a_visit_is_enough(self):
        reference = self.visit("BOB30")
        status, found = self.call(
            "track_lead", email="x@example.com", reference=reference
        )
        self.assertEqual((status, found["affiliate"]), (200, self.bob.id))

    def test_a_customer_of_stripe(self):
        customer = self.shop.customer("jane@example.com")
        status, found = self.call(
            "track_customer", customer=customer["id"], reference="DRONA29"
        )
        self.assertEqual((status, found["affiliate"]), (200, self.drona.id))
        self.assertEqual(self.leads().email_normalized, "jane@example.com")

    @mute_logger("odoo.http")
    def test_what_is_wrong_is_said(self):
        key = self.key_of("affiliate_stripe.group_affiliate_officer")
        self.make_program(name="Other")
        nobody = self.shop.customer(None)
        public = self.program.public_key
        for method, arguments, says in (
            *(
                ("track_lead", {"email": wrong, "reference": "DRONA29"}, "e-mail")
                for wrong in (
                    *("a\x00@b.example", "a\ud800@b.example", "a@localhost"),
                    f"{'a' * 300}@b.example",
                )
            ),
            ("track_lead", {"email": "jane", "reference": "DRONA29"}, "e-mail address"),
            ("track_lead", {"email": 7, "reference": "DRONA29"}, "e-mail address"),
            ("track_lead", {"email": "a@b.example", "reference": "NOBODY"}, "NOBODY"),
            ("track_lead", {"email": "a@b.example", "reference": "<b>"}, "no active"),
            (
                "track_lead",
                {"email": "a@b.example", "reference": "\ud800"},
                "no active",
            ),
            (
                "track_customer",
                {"customer": "\ud800", "reference": "BOB30"},
                "no Stripe",
            ),
            ("track_customer", {"customer": "x", "reference": "BOB30"}, "customer id"),
            (
                "track_customer",
                {"customer": nobody["id"], "reference": "BOB30"},
                "no e-mail",
            ),
            (
                "track_customer",
                {"customer": "cus_unknown", "reference": "BOB30"},
                "no such customer",
            ),
        ):
            with self.subTest(method, **arguments):
                status, answer = self.call(method, key, program=public, **arguments)
                self.assertEqual(status, 422)
                self.assertIn(says, answer["message"])
        for program in (None, "unknown", "\x00", "\ud800", 7, {"a": 1}):
            arguments = {"email": "a@b.example", "reference": "BOB30"}
            status, answer = self.call("track_lead", key, program=program, **arguments)
            self.assertEqual(status, 422)
            self.assertIn("programme", answer["message"])
        self.assertFalse(self.leads())

    @mute_logger("odoo.http")
    def test_only_officers_may(self):
        for groups in ("base.group_portal", "base.group_user"):
            status, _answer = self.call(
                "track_lead", groups=groups, email="a@b.example", reference="BOB30"
            )
            self.assertIn(status, (401, 403), groups)
        status, _answer = self.call(
            "track_lead", key="wrong", email="a@b.example", reference="BOB30"
        )
        self.assertEqual(status, 401)
        self.assertFalse(self.leads())

    @mute_logger("odoo.http")
    def test_another_programmes_visitor(self):
        other = self.make_program(name="Other")
        status, _answer = self.call(
            "track_lead",
            email="a@b.example",
            reference=f"BOB30_{self.new_visitor()}",
            program=other.public_key,
        )
        self.assertEqual(status, 422)
