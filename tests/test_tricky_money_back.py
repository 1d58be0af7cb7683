"""Refunds and disputes that are told in no order (``stripe_cases.py``)."""

import time

from odoo.tests import tagged

from .money_common import DAY, TrickyCase


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

    def test_the_sum_on_the_charge_is_a_check_and_no_refund(self):
        """Two refunds and a failed one: each counts once, the charge's sum never."""
        invoice = self.sell(10000)
        self.deliver()
        for amount in (1000, 2000):
            self.shop.refund(invoice, amount)
        failed = self.shop.refund(invoice, 4000)
        self.double.refund_status(failed["id"], "failed")
        deliveries = self.double.deliveries()
        # The charge's own news first: it knows the sum before any refund is known.
        deliveries.sort(key=lambda d: not d.event["type"].startswith("charge."))
        for delivery in deliveries:
            self.deliver([delivery])
            self.assertGreaterEqual(self.total(), 21.00)
        charge, refunds = self.mirrored("charge"), self.mirrored("refund")
        known = refunds.filtered(lambda refund: refund.status == "succeeded")
        self.assertEqual(charge.amount_refunded, sum(known.mapped("amount")))
        self.assertEqual(sorted(self.ledger().values()), [-6.00, -3.00, 30.00])
        self.double.alter(
            "charge",
            charge.stripe_id,
            ["charge.refunded"],
            amount_refunded=10000,
            refunded=True,
        )
        self.deliver()
        self.assertEqual(charge.amount_refunded, 100.00)
        self.assertEqual(self.total(), 21.00)

    def test_refunds_made_before_we_knew_the_charge(self):
        """Nobody told of them one by one; the charge is all we are sent to."""
        invoice = self.shop.invoice(self.shop.customer(), 10000)
        for amount in (1000, 2000):
            self.shop.refund(invoice, amount)
        told = ("charge.refunded", "invoice.paid")
        self.deliver([d for d in self.double.deliveries() if d.event["type"] in told])
        self.assertEqual(self.mirrored("charge").amount_refunded, 30.00)
        self.assertEqual(sorted(self.ledger().values()), [-6.00, -3.00, 30.00])
        self.deliver()
        self.assertEqual(sorted(self.amounts()), [-6.00, -3.00, 30.00])

    def test_refunds_made_before_we_knew_the_invoice(self):
        """Of an invoice of old nobody told of its payment; nothing is read twice."""
        invoice = self.shop.invoice(self.shop.customer(), 10000)
        self.shop.refund(invoice, 3000)
        for delivery in self.double.deliveries():
            delivery.drop()
        self.double.alter("invoice", invoice["id"], ["invoice.updated"], number="X-1")
        self.deliver()
        self.assertEqual(self.amounts(), [30.00, -9.00])
        self.double.requests.clear()
        self.sell(10000)
        asked = [request.path for request in self.double.requests]
        self.assertEqual(asked.count("/v1/charges"), 0, "told of by its own event")

    def test_of_a_new_payment_events_tell(self):
        self.double.advance(to=int(time.time()))
        invoice = self.shop.invoice(self.shop.customer(), 10000)
        for delivery in self.double.deliveries():
            if delivery.event["type"] != "invoice.paid":
                delivery.drop()
        self.double.requests.clear()
        self.deliver()
        asked = [request.path for request in self.double.requests]
        self.assertIn(f"/v1/invoices/{invoice['id']}", asked)
        self.assertNotIn("/v1/charges", asked)

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
