"""A history in bulk looks and behaves like one that was lived."""

import json

from .stripe_double import contract
from .stripe_double.testing import DAY, NEW_YEAR, DoubleCase

EXPAND = ["data.discounts", "data.lines.data.discounts", "data.payments"]


class TestBulk(DoubleCase):
    def setUp(self):
        super().setUp()
        self.double.configure(check_answers=False)
        self.code = self.shop.code("DRONA29", 20)["id"]
        self.shop.endpoint("http://127.0.0.1:1/hook")
        self.double.take()
        self.double.fill(480, [self.code])

    def ids(self, path, **params):
        return [obj["id"] for obj in self.shop.pages(path, **params)]

    def test_numbers(self):
        self.assertEqual(len(set(self.ids("invoices"))), 480)
        self.assertEqual(len(set(self.ids("charges"))), 480)
        self.assertEqual(len(set(self.ids("refunds"))), 48)
        self.assertEqual(len(set(self.ids("customers"))), 40)

    def test_contract(self):
        for path in ("invoices", "charges", "refunds", "customers", "subscriptions"):
            expand = EXPAND if path == "invoices" else []
            for obj in self.shop.pages(path, expand=expand):
                self.assertEqual(contract.check(obj), [])

    def test_ready_answers_are_those_of_the_renderer(self):
        """A list made of ready text equals the one made of objects."""
        lists = ("invoices", "charges", "refunds", "customers", "subscriptions")
        ready = {path: list(self.shop.pages(path)) for path in lists}
        self.double.configure(check_answers=True)
        for path in lists:
            self.assertEqual(list(self.shop.pages(path)), ready[path])

    def test_spans_and_pages_fit_together(self):
        invoices = list(self.shop.pages("invoices", limit=7))
        moments = [invoice["created"] for invoice in invoices]
        self.assertEqual(moments, sorted(moments, reverse=True))
        self.assertLess(max(moments), NEW_YEAR)
        self.assertGreater(min(moments), NEW_YEAR - 731 * DAY)
        middle = moments[200]
        late = self.ids("invoices", created={"gte": middle})
        early = self.ids("invoices", created={"lt": middle})
        self.assertEqual(late + early, [invoice["id"] for invoice in invoices])

    def test_discounts_are_of_the_given_code(self):
        found = [
            discount["promotion_code"]
            for invoice in self.shop.pages("invoices", expand=["data.discounts"])
            for discount in invoice["discounts"]
        ]
        self.assertEqual(set(found), {self.code})

    def test_a_copy_can_change(self):
        charge = next(c for c in self.shop.pages("charges") if not c["refunded"])
        self.shop.refund(charge["id"], 100)
        charge_again = self.shop.get(f"charges/{charge['id']}")
        self.assertEqual(
            charge_again["amount_refunded"], charge["amount_refunded"] + 100
        )
        self.assertEqual(len(set(self.ids("refunds"))), 49)
        self.assertEqual(len(set(self.ids("charges"))), 480)

    def test_renewals(self):
        self.double.renew(50)
        deliveries = self.double.take()
        self.assertEqual(len(deliveries), 50)
        invoices = {
            json.loads(body)["data"]["object"]["id"] for *_head, body in deliveries
        }
        self.assertEqual(set(self.ids("invoices")[:50]), invoices)
        invoice = self.shop.get(f"invoices/{invoices.pop()}", expand=["payments"])
        self.assertEqual(contract.check(invoice), [])
        customer = self.shop.get(f"customers/{invoice['customer']}")
        self.assertEqual(customer["email"], invoice["customer_email"])
