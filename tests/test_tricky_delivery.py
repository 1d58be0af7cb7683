"""What arrives late, or not at all (``stripe_cases.py``)."""

from odoo.tests import tagged

from .money_common import TrickyCase


@tagged("post_install", "-at_install")
class TestTrickyDelivery(TrickyCase):
    def movements(self, **domain):
        return self.mirrored("balance.transaction", **domain)

    def walk(self):
        self.env.flush_all()
        self.env["affiliate.stripe.run"]._walk_all()
        self.env.invalidate_all()

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
        """Money becomes available: seen when it is paid out, or all is read again."""
        self.sell(10000)
        self.assertFalse(self.movements(), "no event tells of it")
        self.account.action_sync_now()
        self.walk()
        (booked,) = self.movements()
        self.assertEqual((booked.type, booked.status), ("charge", "pending"))
        self.double.alter("balance_transaction", booked.stripe_id, status="available")
        self.account.action_sync_now()
        self.walk()
        self.assertEqual(booked.status, "available")
        charge = self.shop.charge_of(self.sell(20000))
        self.assertEqual(self.movements(), booked)
        self.double.pay_out()
        self.deliver()
        later = self.movements(source_ref=charge)
        self.assertEqual((later.status, later.fee), ("available", 6.10))

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
