"""What moves on the balance at Stripe, as it is mirrored."""

from odoo.tests import tagged

from .money_common import MoneyCase


@tagged("post_install", "-at_install")
class TestBalance(MoneyCase):
    def transactions(self, **domain):
        return self.env["affiliate.stripe.balance.transaction"].search(
            [(name, "=", value) for name, value in domain.items()]
        )

    def test_a_payout_brings_its_balance_transactions(self):
        invoice = self.sell(10000)
        self.shop.refund(invoice, 1000)
        payout = self.double.pay_out()
        self.deliver()
        mirrored = self.env["affiliate.stripe.payout"].search([])
        self.assertEqual(mirrored.stripe_id, payout["id"])
        self.assertEqual((mirrored.status, mirrored.amount), ("paid", 86.80))
        self.assertEqual(mirrored.reconciliation_status, "completed")
        self.assertTrue(mirrored.automatic)
        inside = mirrored.balance_transaction_ids
        self.assertEqual(sorted(inside.mapped("amount")), [-86.80, -10.00, 100.00])
        self.assertEqual(round(sum(inside.mapped("net")), 2), 0.0)
        charge = self.transactions(reporting_category="charge")
        self.assertEqual((charge.fee, charge.net), (3.20, 96.80))
        self.assertEqual(charge.charge_id.stripe_id, self.shop.charge_of(invoice))
        self.assertEqual(charge.currency_id.name, "USD")
        self.assertFalse(charge.livemode)
        # The list of all does not say which payout a transaction was in.
        self.reconcile()
        self.assertEqual(mirrored.balance_transaction_ids, inside)

    def test_a_payout_that_does_not_add_up_is_shown(self):
        invoice = self.sell(10000)
        self.shop.refund(invoice, 1000)
        payouts = self.env["affiliate.stripe.payout"]
        wrong = [("difference", "!=", 0)]
        sound = self.double.pay_out()["id"]
        charge = self.shop.charge_of(self.sell(20000))
        payout = self.double.pay_out()["id"]
        self.double.alter("payout", payout, ["payout.updated"], amount=19000)
        self.deliver()
        self.assertEqual(payouts.search(wrong).stripe_id, payout)
        self.assertEqual(payouts.search(wrong).difference, -3.90)
        self.assertEqual(payouts.search([("difference", "=", 0)]).stripe_id, sound)
        booked = self.transactions(source_ref=charge)
        self.double.alter("balance_transaction", booked.stripe_id, net=19000, fee=1000)
        payouts.search(wrong).action_sync_again()
        self.assertFalse(payouts.search(wrong))
        # While Stripe has not told what is in it, nothing is missing.
        self.double.alter(
            "payout",
            payout,
            ["payout.updated"],
            amount=1,
            reconciliation_status="in_progress",
        )
        self.deliver()
        self.assertFalse(payouts.search(wrong))

    def test_a_payout_that_fails_later(self):
        self.sell(10000)
        payout = self.double.pay_out()
        self.deliver()
        self.double.alter(
            "payout",
            payout["id"],
            ["payout.failed"],
            status="failed",
            failure_code="account_closed",
            failure_message="The bank account has been closed.",
        )
        self.deliver()
        mirrored = self.env["affiliate.stripe.payout"].search([])
        self.assertEqual(mirrored.status, "failed")
        self.assertEqual(mirrored.failure_code, "account_closed")

    def test_a_manual_payout_brings_its_own_transaction_only(self):
        self.sell(10000)
        payout = self.double.pay_out()
        self.double.alter(
            "payout",
            payout["id"],
            automatic=False,
            reconciliation_status="not_applicable",
        )
        self.deliver()
        mirrored = self.env["affiliate.stripe.payout"].search([])
        self.assertEqual(mirrored.balance_transaction_ids.mapped("type"), ["payout"])

    def test_a_dispute_brings_its_fee(self):
        invoice = self.sell(10000)
        self.double.open_dispute(self.shop.charge_of(invoice))
        self.deliver()
        taken = self.transactions(reporting_category="dispute")
        self.assertEqual((taken.amount, taken.fee), (-100.00, 15.00))

    def test_what_names_no_mode_has_that_of_its_account(self):
        live = self.connect("sk_live_double", name="Live")
        shop = type(self.shop)(self.double, "sk_live_double")
        charge = shop.charge_of(shop.invoice(shop.customer(), 1000))
        refund = shop.refund(charge)
        sync = self.env["affiliate.stripe.sync"]
        self.env.flush_all()
        sync._sync_objects(
            live,
            {
                ("refund", refund["id"]),
                ("balance_transaction", refund["balance_transaction"]),
            },
        )
        for model in ("refund", "balance.transaction"):
            row = self.env[f"affiliate.stripe.{model}"].search([])
            self.assertTrue(row.livemode, model)
