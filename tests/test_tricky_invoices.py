"""Invoices as they come now and then (``stripe_cases.py``)."""

from odoo.tests import tagged

from .money_common import TrickyCase


@tagged("post_install", "-at_install")
class TestTrickyInvoices(TrickyCase):
    def test_nothing_to_pay_earns_nothing_and_is_remembered(self):
        """The first month is free by his code; the second one is his."""
        uma = self.with_discount(discount=100, discount_duration="once")
        self.shop.subscribe(
            "free@example.com", self.shop.price(10000), discounts=self.discounts(uma)
        )
        self.deliver()
        self.assertEqual(self.mirrored("invoice").status, "paid")
        self.assertFalse(self.rows())
        referral = uma.referral_ids
        self.assertEqual((referral.state, referral.source), ("lead", "code"))
        self.double.advance(months=1)
        self.deliver()
        self.assert_owner(uma, 30.00)
        self.assertEqual(referral.state, "customer")

    def test_a_debt_from_before_earns_nothing(self):
        """0.30 cannot be charged: the next payment pays it too."""
        self.double.configure(minimum_charges=True)
        customer = self.shop.customer()
        self.sell(30, customer=customer)
        self.assertEqual(self.mirrored("invoice").status, "paid")
        self.assertFalse(self.rows())
        invoice = self.sell(1000, customer=customer)
        self.assertEqual((invoice["total"], invoice["amount_paid"]), (1000, 1030))
        self.assertEqual(self.amounts(), [3.00])
        self.shop.refund(invoice)
        self.deliver()
        self.assertEqual(self.amounts(), [3.00, -3.00])

    def test_two_codes_on_one_invoice_earn_once(self):
        """Both discounts are given; who was named first has brought the customer."""
        second = self.with_discount("Uma Iyer")
        first = self.make_affiliate(second.program_id, "Zoe Lee")
        subscription = self.shop.subscribe(
            "two@example.com",
            self.shop.price(10000),
            trial_period_days=14,
            discounts=self.discounts(first),
        )
        self.double.advance(days=5)
        self.shop.post(
            f"subscriptions/{subscription['id']}",
            discounts=[
                {"discount": subscription["discounts"][0]},
                *self.discounts(second),
            ],
        )
        self.double.advance(days=10)
        self.deliver()
        invoice = self.mirrored("invoice", amount_total=81.00)
        self.assertEqual(len(invoice.data["discounts"]), 2)
        self.assert_owner(first, 24.30)
        self.assertIn(second.code, self.rows().referral_id.evidence_text)

    def test_taxes_of_several_rates_earn_nothing(self):
        top, inside = self.shop.tax_rate(20), self.shop.tax_rate(7, inclusive=True)
        item = {"currency": "usd"}
        invoice = self.sell(
            {**item, "amount": 10000, "tax_rates": [top["id"]]},
            {**item, "amount": 10700, "tax_rates": [inside["id"]]},
            {**item, "amount": 5000, "tax_rates": []},
        )
        self.assertEqual(invoice["total"], 27700)
        self.assertEqual(sorted(self.amounts()), [15.00, 30.00, 30.00])

    def test_who_pays_no_tax_is_worth_all_he_pays(self):
        """Exempt, or he owes the tax himself: nothing is inside, nothing on top."""
        top, inside = self.shop.tax_rate(20), self.shop.tax_rate(7, inclusive=True)
        item = {"currency": "usd"}
        for status, reason in (
            ("none", "not_available"),
            ("exempt", "customer_exempt"),
            ("reverse", "reverse_charge"),
        ):
            invoice = self.sell(
                {**item, "amount": 10000, "tax_rates": [top["id"]]},
                {**item, "amount": 10700, "tax_rates": [inside["id"]]},
                customer=self.shop.customer(tax_exempt=status),
            )
            reasons = {tax["taxability_reason"] for tax in invoice["total_taxes"]}
            self.assertEqual(reasons, {reason})
            mirrored = self.mirrored("invoice", stripe_id=invoice["id"])
            rows = sorted(self.amounts(sale_ref=invoice["id"]))
            if status == "none":
                self.assertEqual((mirrored.amount_tax, rows), (27.00, [30.00, 30.00]))
                continue
            self.assertEqual((mirrored.amount_tax, rows), (0.00, [30.00, 32.10]))
            self.assertEqual(mirrored.amount_untaxed, 207.00)
            self.assertFalse(mirrored.difference)
            self.shop.refund(invoice, 10350)
            self.deliver()
            self.assertEqual(self.total(sale_ref=invoice["id"]), 31.05)

    def test_packages_are_worth_what_their_line_says(self):
        """25 units are three packages of ten."""
        price = self.shop.price(
            1000, transform_quantity={"divide_by": 10, "round": "up"}
        )
        items = [{"price": price["id"], "quantity": 25}]
        self.shop.subscribe("jane@example.com", items=items)
        self.deliver()
        self.assertEqual(self.amounts(), [9.00])

    def test_a_draft_earns_nothing_and_may_vanish(self):
        draft, _items = self.shop.draft(self.shop.customer(), 10000)
        self.deliver()
        self.assertEqual(self.mirrored("invoice").status, "draft")
        self.assertFalse(self.rows())
        self.shop.delete(f"invoices/{draft['id']}")
        self.deliver()
        self.assertFalse(self.mirrored("invoice").active)
        self.assertFalse(self.rows())
        self.assert_pending_empty()

    def test_void_is_heard_of_first(self):
        invoice = self.open_invoice(10000)
        self.shop.post(f"invoices/{invoice['id']}/void")
        deliveries = self.double.deliveries()
        deliveries.sort(key=lambda d: d.event["type"] != "invoice.voided")
        for delivery in deliveries:
            self.deliver([delivery])
            self.assertIn(self.mirrored("invoice").status, (False, "void"))
        self.assertEqual(self.mirrored("invoice").status, "void")
        self.assertFalse(self.rows())

    def test_a_card_that_fails_earns_when_it_pays(self):
        customer = self.shop.customer()
        self.shop.subscribe(customer, self.shop.price(10000))
        self.deliver()
        self.double.card_declines(customer["id"])
        self.double.advance(months=1)
        deliveries = self.double.deliveries()
        late = [d for d in deliveries if d.event["type"].endswith("failed")]
        self.assertIn("invoice.payment_failed", [d.event["type"] for d in late])
        self.deliver([d for d in deliveries if d not in late])
        self.assertEqual(self.mirrored("subscription").status, "past_due")
        self.assertEqual(self.amounts(), [30.00])
        self.double.card_declines(customer["id"], False)
        self.double.advance(days=3)
        self.deliver([d for d in self.double.deliveries() if d not in late])
        self.assertEqual(self.amounts(), [30.00, 30.00])
        self.deliver(late)
        self.assertEqual(self.amounts(), [30.00, 30.00])
        self.assertEqual(set(self.mirrored("invoice").mapped("status")), {"paid"})

    def test_what_is_paid_too_much_earns_nothing(self):
        invoice = self.sell(10000)
        payment = self.double.all("invoice_payment", invoice=invoice["id"])[0]
        self.double.alter("invoice_payment", payment["id"], amount_paid=12000)
        self.double.alter(
            "invoice",
            invoice["id"],
            ["invoice.overpaid"],
            amount_paid=12000,
            amount_overpaid=2000,
        )
        self.deliver()
        self.assertEqual(self.mirrored("invoice").amount_paid, 120.00)
        self.assertEqual(self.amounts(), [30.00])

    def test_an_overdue_bill_earns_when_it_is_paid(self):
        invoice = self.open_invoice(
            10000, collection_method="send_invoice", days_until_due=7
        )
        self.double.advance(days=20)
        self.deliver()
        self.assertEqual(self.mirrored("invoice").status, "open")
        self.assertFalse(self.rows())
        self.double.pay_invoice(invoice["id"])
        self.deliver()
        self.assertEqual(self.amounts(), [30.00])

    def test_a_delayed_payment_earns_when_it_arrives(self):
        price = self.shop.price(10000, interval=None)
        for email, arrives, amounts in (
            ("jane@example.com", True, [30.00]),
            ("jane@example.com", False, [30.00]),
        ):
            session = self.shop.checkout(price)
            self.double.complete_session(session["id"], email=email, delayed=True)
            self.deliver()
            status = self.mirrored("checkout.session", stripe_id=session["id"])
            self.assertEqual(
                (status.status, status.payment_status), ("complete", "unpaid")
            )
            self.assertEqual(self.amounts(), amounts if not arrives else [])
            self.double.advance(days=3)
            self.double.settle_session(session["id"], arrives)
            self.deliver()
            self.assertEqual(self.amounts(), amounts)

    def test_a_debit_under_way_earns_when_it_arrives(self):
        """For days the invoice is open and its charge pending, whatever comes of it."""
        arrives, bounces = self.open_invoice(10000), self.open_invoice(20000)
        for invoice in (arrives, bounces):
            self.double.debit_invoice(invoice["id"])
        self.deliver()
        # No event tells of a pending charge; reading everything finds it.
        self.reconcile()
        charges = self.mirrored("charge")
        self.assertEqual(charges.mapped("status"), ["pending"] * 2)
        self.assertTrue(all(charge.data["paid"] for charge in charges))
        self.assertEqual(self.mirrored("invoice").mapped("status"), ["open"] * 2)
        self.assertFalse(self.rows())
        self.double.advance(days=5)
        self.double.pay_invoice(arrives["id"])
        self.double.fail_invoice_payment(bounces["id"])
        self.deliver()
        self.assertEqual(set(charges.mapped("status")), {"succeeded", "failed"})
        self.assertEqual(
            self.mirrored("invoice", stripe_id=bounces["id"]).status, "open"
        )
        self.assertEqual(self.amounts(), [30.00])
        self.double.pay_invoice(bounces["id"])
        self.deliver()
        self.assertEqual(self.amounts(), [30.00, 60.00])

    def test_a_payment_that_fails_after_it_succeeded(self):
        """The bank returns a debit days later; the invoice may stay as it was."""
        deal = self.shop.price(10000, interval=None)
        invoice = self.sell(10000)
        self.shop.buy(deal, "jane@example.com")
        self.deliver()
        self.assertEqual(self.amounts(), [30.00, 30.00])
        for charge in self.double.all("charge"):
            self.double.alter(
                "charge",
                charge["id"],
                ["charge.failed"],
                status="failed",
                paid=False,
                failure_balance_transaction="txn_back",
            )
        self.deliver()
        self.assertEqual(self.mirrored("invoice").status, "paid")
        self.assertEqual(self.total(sale_ref=invoice["id"]), 0.00)
        self.assertEqual(self.total(), 0.00)
        self.assertIn("the payment was returned", self.rows()[-1].explanation)

    def test_a_bill_without_price_or_subscription(self):
        invoice = self.open_invoice(10000)
        line = invoice["lines"]["data"][0]["id"]
        self.double.alter("line_item", line, pricing=None)
        quote = {"quote": "qt_1"}
        self.double.alter(
            "invoice",
            invoice["id"],
            parent={
                "type": "quote_details",
                "quote_details": quote,
                "subscription_details": None,
            },
        )
        self.double.pay_invoice(invoice["id"])
        self.deliver()
        self.assertFalse(self.mirrored("invoice.line").price_id)
        self.assertFalse(self.mirrored("invoice").subscription_id)
        self.assertEqual(self.amounts(), [30.00])

    def test_two_invoices_of_one_number(self):
        invoices = [self.open_invoice(10000) for _number in range(2)]
        for invoice in invoices:
            self.double.alter("invoice", invoice["id"], number="A-1")
            self.double.pay_invoice(invoice["id"])
        self.deliver()
        self.assertEqual(self.mirrored("invoice").mapped("number"), ["A-1", "A-1"])
        self.assertEqual(self.amounts(), [30.00, 30.00])
