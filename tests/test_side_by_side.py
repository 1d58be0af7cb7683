"""Several workers at once, on connections of their own: what they share holds."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import SimpleNamespace
from unittest.mock import patch

from odoo import fields
from odoo.sql_db import db_connect
from odoo.tests import tagged

from ..lib import stripe_client
from ..lib.stripe_client import (
    CONCURRENT_READS,
    HOPELESS,
    StripeProblem,
    in_parallel,
)
from ..models.affiliate_stripe_account_runs import reserve
from .test_webhook import WebhookCase


@tagged("post_install", "-at_install")
class TestSideBySide(WebhookCase):
    def setUp(self):
        super().setUp()
        patcher = patch.object(stripe_client, "NETWORK_RETRIES", 0)
        patcher.start()
        self.addCleanup(patcher.stop)

    def post_all(self, kind=""):
        """Post what is to be delivered, without processing it."""
        for delivery in self.double.deliveries():
            if kind in str(delivery.event["type"]):
                self.post_delivery(delivery)
            delivery.drop()

    def calls(self, what):
        return [call for call in self.double.request_log("GET") if what in str(call)]

    def test_workers_take_slots_at_the_same_time(self):
        real = SimpleNamespace(cursor=db_connect(self.env.cr.dbname).cursor)
        nobody = -self.account.id

        def forget():
            with real.cursor() as cr:
                cr.execute(
                    "DELETE FROM affiliate_stripe_pace WHERE account_id = %s", [nobody]
                )

        self.addCleanup(forget)
        with ThreadPoolExecutor(8) as pool:
            waits = list(
                pool.map(lambda _n: reserve(real, nobody, 0.01, 1), range(200))
            )
        self.assertEqual(len(waits), 200, "nobody was refused")
        # 200 slots of 10 ms, of which the first second may be past.
        self.assertGreater(max(waits), 0.5)

    def test_who_has_no_hope_asks_no_more(self):
        asked = []

        def ask(code, number):
            asked.append(number)
            raise StripeProblem(code, "no")

        for code in ("key", "unreachable"):
            asked.clear()
            answers = in_parallel(partial(ask, code), range(300))
            self.assertEqual(len(answers), 300)
            self.assertEqual({answer.code for _item, answer in answers}, {code})
            self.assertLessEqual(len(asked), CONCURRENT_READS + HOPELESS)
            asked.clear()
            in_parallel(partial(ask, code), range(50), ask_all=True)
            self.assertEqual(len(asked), 50)

    def test_who_is_answered_now_and_then_goes_on(self):
        def ask(number):
            if number % 3:
                raise StripeProblem("unreachable", "no")
            return number

        answers = in_parallel(ask, range(300), workers=1)
        self.assertEqual(sum(isinstance(a, int) for _item, a in answers), 100)

    def test_a_revoked_key_is_not_tried_with_every_object(self):
        for number in range(60):
            self.shop.product(f"P{number}")
        self.post_all()
        self.double.requests.clear()
        self.double.disturb("status", "GET /v1/products/", times=99, status=401)
        self.process()
        self.assertEqual(self.account.state, "error")
        self.assertLess(len(self.calls("/v1/products/")), 20)
        self.assertEqual(set(self.events.mapped("state")), {"pending"})
        self.assertFalse(any(self.events.mapped("leased_until")))

    def test_one_problem_among_answers_begins_no_row_of_pauses(self):
        for _time in range(4):
            for number in range(3):
                self.shop.product(f"P{number}")
            self.post_all()
            self.double.disturb("status", "GET /v1/products/", times=1, status=429)
            self.account.sudo().backoff_until = False
            self.process()
            self.double.calm()
            self.assertEqual(self.account.backoff_count, 1)
            pause = self.account.backoff_until - fields.Datetime.now()
            self.assertLess(pause.total_seconds(), 35)

    def test_who_asked_before_ends_no_pause_of_another(self):
        until = fields.Datetime.add(fields.Datetime.now(), minutes=5)
        self.account.sudo().write({"backoff_until": until, "backoff_count": 3})
        self.account.sudo()._note_success()
        self.assertEqual(self.account.backoff_until, until)
        self.account.sudo().backoff_until = fields.Datetime.now()
        self.account.sudo()._note_success()
        self.assertFalse(self.account.backoff_count)

    def test_what_several_need_hinders_all_of_them(self):
        """No invoice is stored with a stand-in for a customer who could not be read."""
        customer = self.shop.customer("jane@example.com", metadata={"affiliate": "X"})
        for _number in range(2):
            self.shop.invoice(customer, 1000)
        self.post_all("invoice.paid")
        self.double.disturb("status", "GET /v1/customers/", times=1, status=500)
        self.process()
        self.double.calm()
        self.assertEqual(set(self.events.mapped("state")), {"pending"})
        self.assertFalse(self.env["affiliate.stripe.customer"].search([]))
        self.account.sudo().backoff_until = False
        self.process()
        self.assertEqual(set(self.events.mapped("state")), {"done"})
        (person,) = self.env["affiliate.stripe.customer"].search([])
        self.assertEqual(person.data["metadata"], {"affiliate": "X"})

    def test_two_workers_claim_different_objects_at_the_same_time(self):
        events = self.env["affiliate.stripe.event"]
        for number in range(6):
            product = self.shop.product(f"P{number}")
            self.shop.post(f"products/{product['id']}", name="changed")
        self.post_all()
        first = events._claim(2)[self.account.id]
        self.assertEqual(len(first), 1, "both events of one object")
        second = events._claim(100)[self.account.id]
        self.assertEqual(len(second), 5)
        self.assertFalse(first.keys() & second.keys())
        self.assertFalse(events._claim(100))

    def test_ids_that_people_choose_reach_stripe_as_they_are(self):
        odd = ["50%ADD", "WHAT?", "x#y"]
        for name in odd:
            self.shop.post("coupons", id=name, percent_off=10, duration="once")
        self.post_all()
        self.process()
        coupons = self.env["affiliate.stripe.coupon"].search([])
        self.assertEqual(sorted(coupons.mapped("stripe_id")), sorted(odd))
