"""A batch of events asks the database as often for many customers as for a few."""

import json
from unittest.mock import patch

from odoo.fields import Command
from odoo.tests import tagged

from ..models.affiliate_commission_facts import Facts
from .common import StripeCase


@tagged("post_install", "-at_install")
class TestQueries(StripeCase):
    def setUp(self):
        super().setUp()
        self.drona = self.make_affiliate(self.make_program(discount=20))
        self.deliver()

    def queries(self):
        """Process what the double has sent as one batch; return how many queries."""
        bodies = []
        for delivery in self.double.deliveries():
            bodies.append(json.loads(delivery.request()[2]))
            delivery.drop()
        inbox = self.env["affiliate.stripe.event"]
        inbox._insert(self.account.id, bodies)
        self.env.flush_all()
        self.env.invalidate_all()
        before = self.cr.sql_log_count
        inbox._process_batch()
        queries = self.cr.sql_log_count - before
        self.assertFalse(inbox._process_batch(), "all was one batch")
        return queries

    def customers(self, *emails):
        return [self.shop.customer(email) for email in emails]

    def pay(self, customers, **values):
        for customer in customers:
            self.shop.invoice(customer, 10000, **values)
        return self.queries()

    def test_sales_of_whom_nobody_brought_are_left_alone(self):
        asked, add_sales = [], Facts.add_sales

        def add(facts, customer_refs):
            customer_refs = list(customer_refs)
            asked.append(customer_refs)
            add_sales(facts, customer_refs)

        code = {"discounts": [{"promotion_code": self.promotion(self.drona)}]}
        with patch.object(Facts, "add_sales", add):
            self.pay(self.customers("nobody@example.com"))
            self.assertEqual(asked.pop(), [])
            people = self.customers("jane@example.com")
            self.pay(people, **code)
            self.assertEqual(asked.pop(), [people[0]["id"]])
            # Nobody speaks for her any more, but she has earned somebody something.
            self.drona.action_suspend()
            self.rows().referral_id.sudo().customer_ids = [Command.clear()]
            self.pay(people)
            self.assertEqual(asked.pop(), [people[0]["id"]])

    def test_new_customers_with_a_code(self):
        code = {"discounts": [{"promotion_code": self.promotion(self.drona)}]}
        self.pay(self.customers("first@example.com"), **code)
        few = self.pay(self.customers("a@example.com", "b@example.com"), **code)
        names = "cdefghij"
        many = self.pay(self.customers(*[f"{n}@example.com" for n in names]), **code)
        self.assertEqual(len(self.rows()), 11)
        self.assertLessEqual(many, few + 2, f"{few} for two, {many} for eight")

    def test_customers_who_come_back(self):
        code = {"discounts": [{"promotion_code": self.promotion(self.drona)}]}
        names = "abcdefghij"
        people = self.customers(*[f"{n}@example.com" for n in names])
        self.pay(people, **code)
        self.pay(people)
        few = self.pay(people[:2])
        many = self.pay(people[2:])
        self.assertEqual(len(self.rows()), 30)
        self.assertLessEqual(many, few + 2, f"{few} for two, {many} for eight")

    def test_people_who_were_claimed(self):
        names = "abcdefghij"
        emails = [f"{n}@example.com" for n in names]
        self.env["affiliate.referral"].create(
            [
                {"email": email, "affiliate_id": self.drona.id, "date": "2025-12-01"}
                for email in emails
            ]
        )
        few = self.pay(self.customers(*emails[:2]))
        many = self.pay(self.customers(*emails[2:]))
        self.assertEqual(len(self.rows()), 10)
        # Once in its life a claim gets its customer: Odoo writes that one by one.
        once = 2 * (8 - 2)
        self.assertLessEqual(many, few + 2 + once, f"{few} for two, {many} for eight")

    def test_people_whose_visits_are_known(self):
        names = "abcdefghij"
        emails = [f"{n}@example.com" for n in names]
        for email in emails:
            visitor = f"visitor{email[0] * 20}"
            self.env["affiliate.click"].sudo().create(
                {
                    "visitor": visitor,
                    "code_id": self.drona.code_ids.id,
                    "affiliate_id": self.drona.id,
                    "program_id": self.drona.program_id.id,
                    "company_id": self.drona.company_id.id,
                    "date": "2025-12-01",
                }
            )
            self.env["affiliate.referral"].sudo().create(
                {
                    "email": email,
                    "affiliate_id": self.drona.id,
                    "date": "2025-12-02",
                    "visitor": visitor,
                    "source": "form",
                }
            )
        few = self.pay(self.customers(*emails[:2]))
        many = self.pay(self.customers(*emails[2:]))
        self.assertEqual(len(self.rows()), 10)
        once = 2 * (8 - 2)
        self.assertLessEqual(many, few + 2 + once, f"{few} for two, {many} for eight")

    def test_people_who_are_doubted(self):
        code = {"discounts": [{"promotion_code": self.promotion(self.drona)}]}
        self.pay(self.customers("drona+0@partners.example"), **code)
        emails = [f"drona+{n}@partners.example" for n in range(1, 11)]
        few = self.pay(self.customers(*emails[:2]), **code)
        many = self.pay(self.customers(*emails[2:]), **code)
        self.assertEqual(self.rows().mapped("hold_reason"), ["flag"] * 11)
        self.assertLessEqual(many, few + 2, f"{few} for two, {many} for eight")

    def codes(self, count):
        """Codes of one program, each of an affiliate, whom customers can use."""
        program = self.make_program(discount=20, code_pattern=f"MANY{count}-{{number}}")
        for number in range(count):
            self.make_affiliate(program, f"Affiliate{count}x{number} Rao")
        self.deliver()
        codes = self.env["affiliate.code"].search([("program_id", "=", program.id)])
        self.assertEqual(codes.mapped("state"), ["synced"] * count)
        return codes

    def test_the_discount_of_many_codes_is_deleted(self):
        def delete(codes):
            self.shop.delete(f"coupons/{codes.program_id.coupon_id.stripe_id}")
            queries = self.queries()
            self.assertEqual(set(codes.mapped("state")), {"error"})
            self.assertEqual(len(codes.program_id.activity_ids), 1)
            return queries

        delete(self.codes(1))
        few, many = delete(self.codes(2)), delete(self.codes(8))
        self.assertLessEqual(many, few + 2, f"{few} for two, {many} for eight")

    def test_many_codes_are_switched_off_and_on_in_stripe(self):
        def switch(codes, active):
            for promotion in codes.promotion_code_ids:
                self.shop.post(f"promotion_codes/{promotion.stripe_id}", active=active)
            queries = self.queries()
            self.assertEqual(set(codes.mapped("state")), {states[active]})
            warned = codes.affiliate_id.filtered("activity_ids")
            self.assertEqual(len(warned), 0 if active else len(codes))
            return queries

        states = {False: "error", True: "synced"}
        first, two, eight = self.codes(1), self.codes(2), self.codes(8)
        # Odoo mails each activity, and keeps a message when it is done.
        for active, once in ((False, 17), (True, 5)):
            switch(first, active)
            few, many = switch(two, active), switch(eight, active)
            once *= 8 - 2
            with self.subTest(active=active):
                self.assertLessEqual(
                    many, few + 2 + once, f"{few} for two, {many} for eight"
                )
