"""Money as Stripe has it: every unusual way to pay."""

from odoo.tests import tagged

from .money_common import DAY, MoneyCase


@tagged("post_install", "-at_install")
class TestWaysToPay(MoneyCase):
    def intent(self, amount, customer=None):
        params = {"customer": customer["id"]} if customer else {}
        return self.shop.post(
            "payment_intents", amount=amount, currency="usd", confirm=True, **params
        )

    def attach(self, invoice, intent):
        path = f"invoices/{invoice['id']}/attach_payment"
        return self.shop.post(path, payment_intent=intent["id"])

    def test_one_payment_for_two_invoices(self):
        customer = self.shop.customer()
        one, two = (
            self.shop.invoice(customer, amount, pay=False) for amount in (10000, 20000)
        )
        intent = self.intent(30000, customer)
        self.attach(one, intent)
        self.attach(two, intent)
        self.deliver()
        self.assertEqual(self.total(sale_ref=one["id"]), 30.00)
        self.assertEqual(self.total(sale_ref=two["id"]), 60.00)
        # More than the first invoice's share: both give back in proportion.
        self.shop.refund(intent["latest_charge"], 15000)
        self.deliver()
        self.assertEqual(self.total(sale_ref=one["id"]), 15.00)
        self.assertEqual(self.total(sale_ref=two["id"]), 30.00)
        self.shop.refund(intent["latest_charge"])
        self.deliver()
        self.assertEqual(self.total(), 0.00)

    def test_a_credit_note_says_which_of_two_invoices(self):
        customer = self.shop.customer()
        one, two = (
            self.shop.invoice(customer, amount, pay=False) for amount in (10000, 20000)
        )
        intent = self.intent(30000, customer)
        self.attach(one, intent)
        self.attach(two, intent)
        refund = self.shop.refund(intent["latest_charge"], 16000)
        self.shop.post(
            "credit_notes",
            invoice=one["id"],
            amount=10000,
            refunds=[{"refund": refund["id"], "amount_refunded": 10000}],
        )
        self.deliver()
        # 100.00 is the first invoice, the other 60.00 can only be the second.
        self.assertEqual(self.total(sale_ref=one["id"]), 0.00)
        self.assertEqual(self.total(sale_ref=two["id"]), 42.00)

    def test_an_invoice_paid_in_another_name(self):
        """By nobody Stripe knows, or by somebody who had paid for himself first."""
        self.bind("john@example.com")
        for payer in ({}, {"customer": self.shop.customer("john@example.com")}):
            intent = self.intent(10000, **payer)
            self.deliver()
            self.assertEqual(self.total(), 30.00 if payer else 0.00)
            invoice = self.shop.invoice(self.shop.customer(), 10000, pay=False)
            self.attach(invoice, intent)
            self.deliver()
            self.assertEqual(self.total(sale_ref=invoice["id"]), 30.00)
            self.assertEqual(self.total(), 30.00)
            self.shop.refund(intent["latest_charge"], 5000)
            self.deliver()
            self.assertEqual(self.total(sale_ref=invoice["id"]), 15.00)
            dispute = self.double.open_dispute(intent["latest_charge"])
            self.deliver()
            self.assertTrue(all(self.rows(sale_ref=invoice["id"]).mapped("on_hold")))
            self.double.close_dispute(dispute["id"], "lost")
            self.deliver()
            self.assertEqual(self.total(), 0.00)

    def test_several_payments_for_one_invoice(self):
        customer = self.shop.customer()
        invoice = self.shop.invoice(customer, 10000, pay=False)
        self.double.pay_invoice(invoice["id"], 4000)
        self.deliver()
        self.assertFalse(self.rows(), "open: nothing is earned yet")
        self.double.pay_invoice(invoice["id"], 6000)
        self.deliver()
        self.assertEqual(sorted(self.amounts()), [12.00, 18.00])
        self.shop.refund(self.shop.charge_of(invoice), 1000)
        self.deliver()
        self.assertEqual(self.total(), 27.00)

    def test_a_payment_of_old_without_intent(self):
        invoice = self.shop.invoice(self.shop.customer(), 10000)
        charge = self.shop.charge_of(invoice)
        payment = self.double.all("invoice_payment", invoice=invoice["id"])[0]
        self.double.alter(
            "invoice_payment",
            payment["id"],
            payment={"type": "charge", "charge": charge},
        )
        self.double.alter("charge", charge, payment_intent=None)
        self.deliver()
        self.assertEqual(self.amounts(), [30.00])
        self.assertTrue(self.rows().invoice_id)
        self.shop.refund(charge, 5000)
        self.deliver()
        self.assertEqual(self.total(), 15.00)

    def test_paid_outside_of_stripe(self):
        other = self.make_affiliate(
            self.make_program(count_out_of_band=False), "Uma Iyer"
        )
        for affiliate, expected in ((self.drona, 30.00), (other, 0.00)):
            email = f"cash{affiliate.id}@example.com"
            self.bind(email, affiliate)
            invoice = self.shop.invoice(self.shop.customer(email), 10000, pay=False)
            self.shop.post(f"invoices/{invoice['id']}/pay", paid_out_of_band=True)
            self.deliver()
            self.assertEqual(self.total(sale_ref=invoice["id"]), expected)

    def test_cash_given_back_for_an_invoice_paid_outside(self):
        invoice = self.shop.invoice(self.shop.customer(), 10000, pay=False)
        self.shop.post(f"invoices/{invoice['id']}/pay", paid_out_of_band=True)
        self.shop.post(
            "credit_notes", invoice=invoice["id"], amount=2500, out_of_band_amount=2500
        )
        self.deliver()
        self.assertEqual(self.amounts(), [30.00, -7.50])

    def test_written_off_and_paid_later(self):
        invoice = self.shop.invoice(self.shop.customer(), 10000, pay=False)
        self.shop.post(f"invoices/{invoice['id']}/mark_uncollectible")
        self.deliver()
        self.assertFalse(self.rows())
        self.double.advance(days=90)
        self.double.pay_invoice(invoice["id"])
        self.deliver()
        self.assertEqual(self.amounts(), [30.00])

    def test_void_and_revised(self):
        invoice = self.shop.invoice(self.shop.customer(), 10000, pay=False)
        draft = self.shop.post(
            "invoices",
            from_invoice={"action": "revision", "invoice": invoice["id"]},
        )
        item = {"amount": -2000, "currency": "usd", "description": "Less"}
        self.shop.post(
            "invoiceitems", customer=draft["customer"], invoice=draft["id"], **item
        )
        self.shop.post(f"invoices/{draft['id']}/finalize")
        self.shop.post(f"invoices/{draft['id']}/pay")
        self.deliver()
        states = {
            row.stripe_id: row.status
            for row in self.env["affiliate.stripe.invoice"].search([])
        }
        self.assertEqual(states, {invoice["id"]: "void", draft["id"]: "paid"})
        self.assertEqual(sorted(self.amounts()), [-6.00, 30.00])
        self.assertEqual(set(self.rows().mapped("sale_ref")), {draft["id"]})

    def test_negative_lines_and_negative_invoices(self):
        item = {"amount": -4000, "currency": "usd"}
        self.sell(10000, item)
        self.assertEqual(self.total(), 18.00)
        self.sell(item)
        self.assertEqual(self.total(), 18.00)

    def test_credit_grants_are_no_money_received(self):
        customer = self.shop.customer()
        invoice = self.shop.invoice(customer, 10000, 5000, pay=False)
        line = invoice["lines"]["data"][0]["id"]
        grant = {
            "amount": 3000,
            "credit_balance_transaction": "cbtxn_1",
            "discount": None,
            "type": "credit_balance_transaction",
        }
        self.double.configure(strict=False)
        self.double.alter("line_item", line, pretax_credit_amounts=[grant])
        self.double.alter(
            "invoice",
            invoice["id"],
            total=12000,
            total_excluding_tax=12000,
            amount_due=12000,
            amount_remaining=12000,
        )
        self.double.pay_invoice(invoice["id"])
        self.deliver()
        self.assertEqual(sorted(self.amounts()), [15.00, 21.00])

    def test_amounts_beyond_32_bits(self):
        """99,999,999,999 in a currency without decimals, and what does not add up."""
        invoice = self.sell(99_999_999_999, currency="vnd")
        self.assertEqual(self.amounts(), [30_000_000_000])
        self.shop.post(
            "credit_notes",
            invoice=invoice["id"],
            amount=9_999_999_999,
            refund_amount=9_999_999_999,
        )
        self.double.pay_out("vnd")
        self.deliver()
        self.assertEqual(self.total(), 27_000_000_000)
        note = self.env["affiliate.stripe.credit.note"].search([])
        self.assertEqual(note.amount_back, 9_999_999_999)
        # Fees are taken as the double takes them: 2.9 % and 30.
        payout = self.env["affiliate.stripe.payout"].search([])
        self.assertEqual(payout.amount, 99_999_999_999 - 2_900_000_030 - 9_999_999_999)
        self.double.alter(
            "invoice", invoice["id"], ["invoice.updated"], total=9_999_999_999
        )
        self.deliver()
        mirrored = self.env["affiliate.stripe.invoice"].search([])
        self.assertEqual(mirrored.difference, -90_000_000_000)

    def test_credit_notes_in_currencies_of_nought_and_three_decimals(self):
        for currency, amount, back, total in (
            ("jpy", 10000, 3333, 2000),
            ("kwd", 12340, 4110, 2.469),
        ):
            email = f"{currency}@example.com"
            self.bind(email)
            invoice = self.sell(amount, email=email, currency=currency)
            self.shop.post(
                "credit_notes",
                invoice=invoice["id"],
                amount=back,
                refund_amount=back,
            )
            self.deliver()
            self.assertEqual(self.total(sale_ref=invoice["id"]), total)

    def test_tiers_and_quantities_with_decimals(self):
        price = self.shop.price(
            None,
            interval="month",
            billing_scheme="tiered",
            tiers_mode="graduated",
            tiers=[
                {"up_to": 2, "unit_amount": 1000},
                {"up_to": "inf", "unit_amount_decimal": "0.5"},
            ],
        )
        self.shop.subscribe(
            "jane@example.com", items=[{"price": price["id"], "quantity": 102}]
        )
        self.deliver()
        # Stripe bills each tier as a line of its own.
        self.assertEqual(sorted(self.amounts()), [0.15, 6.00])
        mirrored = self.env["affiliate.stripe.price"].search([])
        self.assertFalse(mirrored.unit_amount)
        self.assertIn("Plan", mirrored.display_name)

    def test_a_fixed_amount_for_each_unit_counts_parts_of_units(self):
        self.program.rule_ids.unlink()
        self.program.rule_ids = [
            (
                0,
                0,
                {
                    "rate_type": "fixed",
                    "amount": 2,
                    "currency_id": self.env.ref("base.USD").id,
                    "per_unit": True,
                },
            )
        ]
        invoice = self.shop.invoice(self.shop.customer(), 10000, pay=False)
        line = invoice["lines"]["data"][0]["id"]
        self.double.alter("line_item", line, quantity=2, quantity_decimal="2.25")
        self.double.pay_invoice(invoice["id"])
        self.deliver()
        self.assertEqual(self.amounts(), [4.50])

    def test_what_does_not_add_up_is_held_and_shown(self):
        invoice = self.sell(10000, 5000)
        self.assertEqual(self.total(), 45.00)
        self.double.alter("invoice", invoice["id"], ["invoice.updated"], total=15003)
        self.deliver()
        mirrored = self.env["affiliate.stripe.invoice"].search([])
        self.assertEqual(mirrored.difference, 0.03)
        self.assertEqual(self.total(), 0.00)
        search = self.env.ref("affiliate_stripe.view_affiliate_stripe_invoice_search")
        self.assertIn("Amounts do not add up", search.arch)
        found = self.env["affiliate.stripe.invoice"].search([("difference", "!=", 0)])
        self.assertEqual(found, mirrored)
        # Rounded taxes, up to one unit a line, are no riddle.
        self.double.alter("invoice", invoice["id"], ["invoice.updated"], total=15002)
        self.deliver()
        self.assertEqual((mirrored.difference, self.total()), (0.0, 45.00))

    def test_shipping_earns_nothing_but_counts_in_the_total(self):
        invoice = self.shop.invoice(self.shop.customer(), 10000, pay=False)
        cost = {
            "amount_subtotal": 2000,
            "amount_tax": 0,
            "amount_total": 2000,
            "shipping_rate": None,
            "taxes": [],
        }
        self.double.alter(
            "invoice",
            invoice["id"],
            shipping_cost=cost,
            amount_shipping=2000,
            total=12000,
            total_excluding_tax=12000,
            amount_due=12000,
            amount_remaining=12000,
        )
        self.double.pay_invoice(invoice["id"], 6000)
        self.double.pay_invoice(invoice["id"], 6000)
        self.deliver()
        self.assertEqual(self.amounts(), [15.00, 15.00])
        self.assertFalse(self.rows().invoice_id.difference)


@tagged("post_install", "-at_install")
class TestSalesWithoutInvoice(MoneyCase):
    def buy(self, amount=10000, currency="usd"):
        price = self.shop.price(amount, currency=currency, interval=None)
        session = self.shop.checkout(price, customer_creation="always")
        return self.double.complete_session(session["id"], email="jane@example.com")

    def charge_of(self, session):
        return self.double.all("charge", payment_intent=session["payment_intent"])[0]

    def test_adaptive_pricing_shown_in_another_currency(self):
        """Charged in the shop's currency: what the customer saw is no money here."""
        session = self.buy()
        shown = {"presentment_amount": 9200, "presentment_currency": "eur"}
        self.double.alter("checkout.session", session["id"], presentment_details=shown)
        charge = self.charge_of(session)
        self.double.alter("charge", charge["id"], presentment_details=shown)
        self.deliver()
        row = self.rows()
        self.assertEqual((row.amount, row.currency_id.name), (30.00, "USD"))

    def test_adaptive_pricing_charged_in_another_currency(self):
        session = self.buy()
        charge = self.charge_of(session)
        self.double.alter(
            "charge", charge["id"], currency="eur", amount=9200, amount_captured=9200
        )
        self.deliver()
        row = self.rows()
        self.assertEqual((row.amount, row.currency_id.name), (27.60, "EUR"))
        self.shop.refund(charge["id"], 4600)
        self.deliver()
        self.assertEqual(self.total(), 13.80)

    def test_a_checkout_that_does_not_add_up_is_held_and_shown(self):
        session = self.buy()
        self.double.alter("checkout.session", session["id"], amount_total=10002)
        self.deliver()
        self.assertFalse(self.rows())
        mirrored = self.env["affiliate.stripe.checkout.session"].search(
            [("difference", "!=", 0)]
        )
        self.assertEqual(mirrored.difference, 0.02)
        self.double.alter("checkout.session", session["id"], amount_total=10000)
        mirrored.action_sync_again()
        self.assertEqual(mirrored.difference, 0.0)
        self.assertEqual(self.amounts(), [30.00])

    def test_a_guest_gets_his_money_back(self):
        price = self.shop.price(10000, interval=None)
        link = self.shop.link(price)
        session = self.double.open_payment_link(link["id"], self.drona.code)
        session = self.double.complete_session(session["id"], email="g@example.com")
        self.deliver()
        self.assertEqual(self.amounts(), [30.00])
        self.double.advance(seconds=DAY)
        self.shop.refund(self.charge_of(session)["id"], 2500)
        self.deliver()
        self.assertEqual(self.amounts(), [30.00, -7.50])

    def test_a_guests_payment_given_to_a_customer(self):
        """Its session goes with it, whenever we hear of it; the address is another."""
        price = self.shop.price(10000, interval=None)
        for heard_before in (True, False):
            with self.subTest(heard_before=heard_before):
                link = self.shop.link(price)
                opened = self.double.open_payment_link(link["id"], self.drona.code)
                session = self.double.complete_session(opened["id"], email="g@x.io")
                if heard_before:
                    self.deliver()
                charge = self.charge_of(session)["id"]
                customer = self.shop.customer(f"{heard_before}@example.com")
                self.double.alter(
                    "charge", charge, ["charge.updated"], customer=customer["id"]
                )
                self.deliver()
                self.assertEqual(self.amounts(sale_ref=session["id"]), [30.00])
                self.shop.refund(charge, 2500)
                self.deliver()
                self.assertEqual(self.amounts(sale_ref=session["id"]), [30.00, -7.50])

    def test_whose_payment_is_given_away_has_another_first(self):
        self.program.rule_ids.write({"applies_to": "first"})
        self.bind("g@x.io")
        price = self.shop.price(10000, interval=None)
        opened = self.shop.checkout(price)
        session = self.double.complete_session(opened["id"], email="g@x.io")
        self.double.advance(days=1)
        later = self.sell(5000, email="g@x.io")
        self.assertEqual(self.amounts(), [30.00])
        self.double.alter(
            "charge",
            self.charge_of(session)["id"],
            ["charge.updated"],
            customer=self.shop.customer("another@x.io")["id"],
        )
        self.deliver()
        self.assertEqual(self.total(sale_ref=later["id"]), 15.00)
        self.assertEqual(self.total(), 15.00)

    def test_who_typed_his_address_came_by_the_link(self):
        """Also where the payment was given to another: both did."""
        opened = self.double.open_payment_link(
            self.shop.link(self.shop.price(10000, interval=None))["id"],
            self.drona.code,
        )
        session = self.double.complete_session(opened["id"], email="g@x.io")
        self.double.alter(
            "charge",
            self.charge_of(session)["id"],
            ["charge.updated"],
            customer=self.shop.customer("another@x.io")["id"],
        )
        later = self.sell(5000, email="g@x.io")
        self.assertEqual(self.total(sale_ref=session["id"]), 30.00)
        self.assertEqual(self.total(sale_ref=later["id"]), 15.00)
