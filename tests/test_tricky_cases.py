"""What Stripe does now and then, and never tells in advance (``stripe_cases.py``)."""

import stripe

from odoo.tests import tagged

from .money_common import DAY, MoneyCase


class TrickyCase(MoneyCase):
    def mirrored(self, kind, **domain):
        model = self.env[f"affiliate.stripe.{kind}"].with_context(active_test=False)
        return model.search([(name, "=", value) for name, value in domain.items()])

    def with_discount(self, name="Uma Iyer", **values):
        """An affiliate of a programme of its own, whose code takes something off."""
        values = {"discount": 10, "first_time_only": False, **values}
        return self.make_affiliate(self.make_program(**values), name)

    def discounts(self, affiliate):
        return [{"promotion_code": self.promotion(affiliate)}]

    def open_invoice(self, *amounts, **params):
        return self.shop.invoice(self.shop.customer(), *amounts, pay=False, **params)

    def assert_owner(self, affiliate, *amounts):
        self.assertEqual(self.rows().affiliate_id, affiliate)
        self.assertEqual(self.amounts(), list(amounts))


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
        customer = self.shop.customer()
        draft = self.shop.post("invoices", customer=customer["id"], currency="usd")
        self.shop.post(
            "invoiceitems",
            customer=customer["id"],
            invoice=draft["id"],
            amount=10000,
            currency="usd",
        )
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
        self.assertIn("the payment came back", self.rows()[-1].explanation)

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


@tagged("post_install", "-at_install")
class TestTrickyMoneyBack(TrickyCase):
    def assert_free(self, *amounts):
        self.assertEqual(self.amounts(), list(amounts))
        self.assertFalse(any(self.rows().mapped("on_hold")))

    def test_a_refund_counts_from_when_it_is_under_way(self):
        invoice = self.sell(10000)
        self.double.configure(refund_status_at_creation="pending")
        refund = self.shop.refund(invoice, 1000)
        self.deliver()
        self.assertEqual(self.amounts(), [30.00, -3.00])
        self.double.refund_status(refund["id"], "succeeded")
        self.deliver()
        self.assertEqual(self.amounts(), [30.00, -3.00])
        self.double.configure(refund_status_at_creation="requires_action")
        refund = self.shop.refund(invoice, 2000)
        self.deliver()
        self.assertEqual(self.amounts(), [30.00, -3.00])
        self.shop.post(f"refunds/{refund['id']}/cancel")
        self.deliver()
        self.assertEqual(self.amounts(), [30.00, -3.00])

    def test_a_refund_of_no_charge_moves_nothing(self):
        """Money of the customer's cash balance goes back to him."""
        refund = self.shop.refund(self.sell(10000), 1000)
        self.double.alter("refund", refund["id"], charge=None, payment_intent=None)
        self.deliver()
        mirrored = self.mirrored("refund")
        self.assertEqual((mirrored.amount, mirrored.charge_ref), (10.00, False))
        self.assertEqual(self.amounts(), [30.00])
        self.assert_pending_empty()

    def test_an_inquiry_only_holds(self):
        charge = self.shop.charge_of(self.sell(10000))
        inquiry = self.double.open_dispute(charge, inquiry=True)
        self.deliver()
        self.assertEqual(self.mirrored("dispute").status, "warning_needs_response")
        self.assertTrue(self.rows().on_hold)
        self.assertEqual(self.amounts(), [30.00])
        self.double.close_dispute(inquiry["id"], "warning_closed")
        self.deliver()
        self.assert_free(30.00)

    def test_what_a_refund_took_no_dispute_takes_again(self):
        invoice = self.sell(10000)
        self.shop.refund(invoice, 4000)
        self.double.advance(seconds=DAY)
        dispute = self.double.open_dispute(self.shop.charge_of(invoice))
        self.assertEqual(dispute["amount"], 6000)
        self.double.close_dispute(dispute["id"], "lost")
        self.deliver()
        self.assert_free(30.00, -12.00, -18.00)
        # The refund of all that ends an inquiry is all that goes.
        second = self.sell(5000)
        charge = self.shop.charge_of(second)
        inquiry = self.double.open_dispute(charge, inquiry=True)
        self.shop.refund(charge)
        self.double.close_dispute(inquiry["id"], "warning_closed")
        self.deliver()
        self.assert_free(30.00, -12.00, -18.00, 15.00, -15.00)

    def test_several_disputes_and_an_appeal(self):
        charge = self.shop.charge_of(self.sell(10000))
        lost = self.double.open_dispute(charge, 4000)
        self.double.close_dispute(lost["id"], "lost")
        won = self.double.open_dispute(charge, 6000)
        self.deliver()
        self.assertEqual(self.amounts(), [30.00, -12.00])
        self.assertTrue(all(self.rows().mapped("on_hold")))
        self.double.close_dispute(won["id"], "won")
        self.deliver()
        self.assert_free(30.00, -12.00)
        self.double.alter(
            "dispute",
            lost["id"],
            ["charge.dispute.updated"],
            status="appeal_under_review",
        )
        self.deliver()
        self.assert_free(30.00, -12.00)
        self.double.close_dispute(lost["id"], "won")
        self.deliver()
        self.assert_free(30.00, -12.00, 12.00)

    def test_a_prevented_dispute_is_a_refund(self):
        charge = self.shop.charge_of(self.sell(10000))
        dispute = self.double.open_dispute(charge, inquiry=True)
        self.deliver()
        self.double.close_dispute(dispute["id"], "prevented")
        self.deliver()
        self.assert_free(30.00, -30.00)
        self.assertEqual(self.rows()[-1].kind, "refund")

    def test_a_warning_of_fraud_moves_nothing(self):
        charge = self.shop.charge_of(self.sell(10000))
        name = "radar.early_fraud_warning"
        warning = {"id": "issfr_1", "object": name, "charge": charge}
        self.double.fake_event(f"{name}.created", warning)
        self.deliver()
        event = self.env["affiliate.stripe.event"].search(
            [("type", "=", f"{name}.created")]
        )
        self.assertEqual(event.state, "ignored")
        self.assert_free(30.00)

    def test_what_an_event_claims_moves_no_money(self):
        charge = self.shop.charge_of(self.sell(10000))
        self.double.fake_event(
            "charge.refunded",
            {},
            data={
                "object": {"id": charge, "object": "charge", "amount_refunded": 9999},
                "previous_attributes": {"amount_refunded": 0},
            },
        )
        self.deliver()
        self.assertEqual(self.mirrored("charge").amount_refunded, 0.00)
        self.assert_free(30.00)


@tagged("post_install", "-at_install")
class TestTrickyCustomers(TrickyCase):
    def test_what_is_no_address_is_nobody(self):
        """Two customers with the same rubbish are not one person."""
        metadata = {"metadata": {"affiliate": self.drona.code}}
        for number in range(2):
            customer = self.shop.customer(**(metadata if not number else {}))
            self.double.alter("customer", customer["id"], email="Jane at work")
            invoice = self.shop.invoice(customer, 10000)
            self.double.alter("invoice", invoice["id"], customer_email="Jane at work")
        self.deliver()
        self.assertEqual(
            self.mirrored("customer").mapped("email_normalized"), [False] * 2
        )
        self.assert_owner(self.drona, 30.00)

    def test_metadata_as_long_as_it_gets(self):
        """Of all that strangers wrote, only what is one of our codes counts."""
        rubbish = {"affiliate": "<b>é</b>" * 62, "referral": "1e999"}
        customer = self.shop.customer(
            "long@example.com", name="<b>Jane</b>", metadata=rubbish
        )
        metadata = {**rubbish, "via": f" {self.drona.code.lower()} ", "amount": "9"}
        self.sell(10000, customer=customer, metadata=metadata)
        self.assert_owner(self.drona, 30.00)

    def test_a_discount_taken_away_ends_nothing(self):
        uma = self.with_discount()
        customer = self.shop.customer("gone@example.com")
        self.double.set_customer_discount(
            customer["id"], promotion_code=self.promotion(uma)
        )
        self.sell(10000, customer=customer)
        self.double.remove_customer_discount(customer["id"])
        self.deliver()
        self.sell(10000, customer=customer)
        self.assert_owner(uma, 27.00, 30.00)

    def test_a_discount_outlives_its_coupon_and_code(self):
        """Both are gone before the trial ends; the customer still has his discount."""
        uma = self.with_discount(discount_duration="forever")
        promotion = self.promotion(uma)
        self.shop.subscribe(
            "trial@example.com",
            self.shop.price(10000),
            trial_period_days=14,
            discounts=self.discounts(uma),
        )
        self.deliver()
        self.shop.post(f"promotion_codes/{promotion}", active=False)
        self.shop.delete(f"coupons/{uma.program_id.coupon_id.stripe_id}")
        self.deliver()
        self.double.advance(days=15)
        self.deliver()
        self.assert_owner(uma, 27.00)

    def test_the_same_text_again_is_another_code(self):
        uma = self.with_discount()
        self.shop.post(f"promotion_codes/{self.promotion(uma)}", active=False)
        other = self.shop.code(uma.code.lower(), 50)
        session = self.shop.buy(
            self.shop.price(10000), "other@example.com", code=uma.code
        )
        self.assertEqual(session["discounts"][0]["promotion_code"], other["id"])
        self.deliver()
        self.assertEqual(self.mirrored("invoice").amount_total, 50.00)
        self.assertFalse(self.rows())

    def test_a_fixed_discount_counts_where_it_was_given(self):
        uma = self.with_discount(
            discount=0, discount_type="amount", discount_value=10.01
        )
        sold = self.shop.invoice(
            self.shop.customer("usd@example.com"),
            3333,
            6667,
            discounts=self.discounts(uma),
        )
        self.deliver()
        self.assertEqual(sold["total"], 8999)
        # 3.34 and 6.67 less: 29.99 and 60.00.
        self.assert_owner(uma, 9.00, 18.00)
        euro = self.shop.price(10000, currency="eur")
        with self.assertRaises(stripe.InvalidRequestError):
            self.shop.subscribe(
                "eur@example.com", euro, discounts=self.discounts(uma), currency="eur"
            )
        self.shop.buy(euro, "eur@example.com", client_reference_id=uma.code)
        self.deliver()
        self.assert_owner(uma, 9.00, 18.00, 30.00)
        self.assertEqual(self.rows()[-1].currency_id.name, "EUR")

    def test_a_paused_subscription_earns_nothing(self):
        subscription = self.shop.subscribe("jane@example.com", self.shop.price(10000))
        path = f"subscriptions/{subscription['id']}"
        for behavior in ("void", "mark_uncollectible", "keep_as_draft"):
            self.shop.post(path, pause_collection={"behavior": behavior})
            self.double.advance(months=1)
        self.deliver()
        self.assertEqual(self.mirrored("subscription").status, "active")
        self.assertEqual(
            sorted(self.mirrored("invoice").mapped("status")),
            ["paid", "uncollectible", "void"],
            "no event tells of a draft",
        )
        self.assertEqual(self.amounts(), [30.00])
        self.shop.post(path, pause_collection="")
        self.double.advance(months=1)
        self.deliver()
        self.assertEqual(self.amounts(), [30.00, 30.00])

    def test_a_first_payment_that_never_came(self):
        customer = self.shop.customer()
        self.double.card_declines(customer["id"])
        self.shop.subscribe(customer, self.shop.price(10000))
        self.deliver()
        self.assertEqual(self.mirrored("subscription").status, "incomplete")
        self.double.advance(days=1)
        self.deliver()
        self.assertEqual(self.mirrored("subscription").status, "incomplete_expired")
        self.assertEqual(self.mirrored("invoice").status, "void")
        self.assertFalse(self.rows())
        self.assertEqual(self.drona.referral_ids.state, "lead")

    def test_more_units_and_an_end_in_the_middle(self):
        """One becomes three in the middle of the month, and all end at its quarter."""
        subscription = self.shop.subscribe("jane@example.com", self.shop.price(3000))
        path = f"subscriptions/{subscription['id']}"
        self.double.advance(seconds=31 * DAY // 2)
        item = {"id": subscription["items"]["data"][0]["id"], "quantity": 3}
        self.shop.post(path, items=[item], proration_behavior="always_invoice")
        self.deliver()
        self.assertEqual(sorted(self.amounts()), [-4.50, 9.00, 13.50])
        self.double.advance(seconds=31 * DAY // 4)
        self.shop.delete(path, prorate=True, invoice_now=True)
        self.double.advance(months=2)
        self.deliver()
        self.assertEqual(self.mirrored("subscription").status, "canceled")
        self.assertEqual(min(self.mirrored("invoice").mapped("amount_total")), -22.50)
        self.assertEqual(self.total(), 18.00)

    def test_a_month_and_a_year_in_one_subscription(self):
        self.program.rule_ids.unlink()
        self.program.rule_ids = [
            (0, 0, {"billing_interval": "year", "rate": 10}),
            (0, 0, {"billing_interval": "month", "rate": 30}),
        ]
        prices = self.shop.price(1000), self.shop.price(9000, interval="year")
        self.shop.subscribe("jane@example.com", *prices)
        self.double.advance(months=2)
        self.deliver()
        self.assertEqual(sorted(self.amounts()), [3.00, 3.00, 3.00, 9.00])


@tagged("post_install", "-at_install")
class TestTrickyDelivery(TrickyCase):
    def movements(self, **domain):
        return self.mirrored("balance.transaction", **domain)

    def test_news_of_what_is_gone(self):
        """We hear of the change when the thing is deleted already."""
        coupon = self.shop.coupon(10)
        self.deliver()
        self.shop.post(f"coupons/{coupon['id']}", name="New")
        news = self.double.deliveries()
        self.shop.delete(f"coupons/{coupon['id']}")
        self.deliver(news)
        self.assert_pending_empty()
        self.deliver()
        self.assertFalse(self.mirrored("coupon", stripe_id=coupon["id"]).active)

    def test_what_changes_without_an_event(self):
        self.sell(10000)
        self.reconcile()
        (booked,) = self.movements()
        self.assertEqual((booked.type, booked.status), ("charge", "pending"))
        self.double.alter("balance_transaction", booked.stripe_id, status="available")
        self.reconcile()
        self.assertEqual(booked.status, "available")

    def test_a_fee_that_comes_later(self):
        """Stripe has not booked the charge yet: no fee of nought is kept."""
        invoice = self.shop.invoice(self.shop.customer(), 10000)
        charge = self.shop.charge_of(invoice)
        booked = self.double.get("charge", charge)["balance_transaction"]
        self.double.alter("charge", charge, balance_transaction=None)
        self.deliver()
        self.assertEqual(self.amounts(), [30.00])
        self.assertFalse(self.movements())
        self.double.alter(
            "charge", charge, ["charge.updated"], balance_transaction=booked
        )
        self.deliver()
        self.reconcile()
        fee = self.movements()
        self.assertEqual((fee.fee, fee.charge_id.stripe_id), (3.20, charge))

    def test_movements_that_nothing_explains(self):
        """Stripe's own fees; and a sale in dollars settled in euros."""
        self.sell(10000)
        booked = self.double.all("balance_transaction")[0]["id"]
        settled = {"amount": 9200, "fee": 300, "net": 8900, "currency": "eur"}
        self.double.alter("balance_transaction", booked, exchange_rate=0.92, **settled)
        world = self.double.world()
        world.add(
            world.build(
                "balance_transaction",
                amount=-250,
                available_on=world.now(),
                balance_type="payments",
                currency="eur",
                description="Billing (2026-01)",
                fee=0,
                fee_details=[],
                net=-250,
                reporting_category="fee",
                status="available",
                type="stripe_fee",
            )
        )
        self.reconcile()
        fee = self.movements(reporting_category="fee")
        self.assertEqual((fee.net, fee.source_ref), (-2.50, False))
        self.assertEqual(fee.description, "Billing (2026-01)")
        sale = self.movements(reporting_category="charge")
        self.assertEqual((sale.net, sale.currency_id.name), (89.00, "EUR"))
        self.assertEqual(sale.exchange_rate, 0.92)
        self.assertEqual(self.rows().currency_id.name, "USD")
