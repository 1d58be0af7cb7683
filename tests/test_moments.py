"""When money came in, and which refunds count: captures, releases, debits."""

import random
import time

from odoo.tests import tagged

from .common import NEW_YEAR, moment
from .money_common import DAY, TrickyCase

BEFORE_BASIL = "2025-02-24.acacia"


class MomentCase(TrickyCase):
    def setUp(self):
        super().setUp()
        self.jane = self.shop.customer()["id"]

    def night(self):
        """What the nightly check reads, of charges as young as Odoo's clock."""
        self.env["affiliate.stripe.charge"].sudo().search([]).write(
            {"created": self.env.cr.now(), "synced_at": "2026-01-01"}
        )
        self.env.flush_all()
        self.account.sudo()._reread_open(self.env.cr.now())
        self.process()
        return self.amounts()

    def pay_by_card(self):
        intent = self.shop.post(
            "payment_intents",
            amount=10000,
            currency="usd",
            confirm=True,
            customer=self.jane,
        )
        return intent["latest_charge"]

    def reads(self, path):
        """How often Stripe was asked for something until now."""
        return len(self.double.request_log("GET", f"/v1/{path}"))

    def read_all(self):
        """What "Sync now" reads where nothing was delivered."""
        for delivery in self.double.deliveries():
            delivery.drop()
        self.account.action_sync_now()
        self.env.flush_all()
        self.env["affiliate.stripe.run"]._walk_all()
        self.env.invalidate_all()

    def assert_any_order(self, *amounts):
        """The rows are these, also when everything is told anew in any order."""
        before = self.ledger()
        self.assertEqual(self.amounts(), list(amounts))
        events = self.env["affiliate.stripe.event"].search([])
        dates = {row.cause_id: row.date for row in self.rows()}
        for seed in range(3):
            self.forget()
            self.deliver_again(events, random.Random(seed))
            self.assertEqual(self.ledger(), before)
            told = {row.cause_id: row.date for row in self.rows()}
            self.assertEqual(told, dates)

    def forget(self):
        self.env.flush_all()
        self.env.cr.execute("DELETE FROM affiliate_commission")
        for kind in ("refund", "charge", "balance_transaction", "checkout_session"):
            self.env.cr.execute(f"DELETE FROM affiliate_stripe_{kind}")
        self.env.invalidate_all()

    def deliver_again(self, events, chance):
        waiting = list(events)
        chance.shuffle(waiting)
        while waiting:
            batch = self.env["affiliate.stripe.event"].browse(
                event.id for event in waiting[: chance.randint(1, 4)]
            )
            del waiting[: len(batch)]
            batch.sudo().action_retry()
            self.process()


@tagged("post_install", "-at_install")
class TestCaptures(MomentCase):
    def test_a_capture_days_later_is_heard(self):
        charge = self.double.authorize(10000, self.jane)
        self.deliver()
        self.assertEqual(self.amounts(), [])
        self.double.advance(days=5)
        self.double.capture(charge["id"])
        self.deliver(
            [d for d in self.double.deliveries() if d.event["type"] != "charge.updated"]
        )
        self.assertEqual(self.amounts(), [30.00])
        row = self.rows()
        self.assertEqual(row.happened_at, moment(NEW_YEAR + 5 * DAY))
        self.assertEqual(str(row.date), "2026-01-06")
        self.assertEqual(str(row.hold_until), "2026-02-05")
        self.assert_any_order(30.00)

    def test_a_part_is_captured(self):
        charge = self.double.authorize(10000, self.jane)
        self.double.advance(days=5)
        self.double.capture(charge["id"], 4000)
        self.deliver()
        self.assertEqual(self.amounts(), [12.00])
        self.shop.refund(charge["id"], 1000)
        self.deliver()
        self.assert_any_order(12.00, -3.00)

    def test_what_was_let_go_is_no_refund(self):
        """As before API version 2025-03-31, by an integration of that time."""
        charge = self.double.authorize(10000, self.jane)
        self.double.capture(charge["id"], 4000, api_version=BEFORE_BASIL)
        self.deliver()
        self.assertEqual(len(self.mirrored("refund")), 1)
        self.assertEqual(self.amounts(), [12.00])
        self.double.advance(seconds=60)
        self.shop.refund(charge["id"], 1000)
        self.deliver()
        self.assert_any_order(12.00, -3.00)

    def test_a_refund_of_just_what_was_let_go(self):
        charge = self.double.authorize(10000, self.jane)
        self.double.capture(charge["id"], 6000, api_version=BEFORE_BASIL)
        self.double.advance(seconds=60)
        self.shop.refund(charge["id"], 4000)
        self.deliver()
        self.assertEqual(len(self.mirrored("refund")), 2)
        self.assert_any_order(18.00, -12.00)

    def test_of_what_was_let_go_in_another_currency_than_the_balance(self):
        charge = self.double.authorize(10000, self.jane, "jpy")
        self.double.capture(charge["id"], 4000, api_version=BEFORE_BASIL)
        booked = self.double.get("charge", charge["id"])["balance_transaction"]
        self.double.alter(
            "balance_transaction",
            booked,
            amount=6543,
            net=6543,
            fee=0,
            currency="usd",
            exchange_rate=0.006543,
        )
        self.deliver()
        self.assertEqual(self.amounts(), [1200])

    def test_nothing_was_captured(self):
        for version in (None, BEFORE_BASIL):
            charge = self.double.authorize(10000, self.jane)
            self.deliver()
            self.double.release(charge["id"], api_version=version)
            self.deliver()
            self.assertEqual(self.amounts(), [])
        charge = self.double.authorize(10000, self.jane)
        self.double.advance(days=40)
        self.deliver()
        self.assertEqual(self.amounts(), [])

    def test_a_capture_nobody_told_of_is_read_at_night(self):
        charge = self.double.authorize(10000, self.jane)
        self.deliver()
        self.double.advance(days=2)
        self.double.capture(charge["id"])
        for delivery in self.double.deliveries():
            delivery.drop()
        self.assertEqual(self.night(), [30.00])
        self.assertEqual(str(self.rows().date), "2026-01-03")

    def test_where_stripe_has_forgotten_the_event_the_booking_tells(self):
        charge = self.double.authorize(10000, self.jane)
        self.double.advance(days=5)
        self.double.capture(charge["id"])
        self.double.advance(days=40)
        self.read_all()
        row = self.rows()
        self.assertEqual(row.happened_at, moment(NEW_YEAR + 5 * DAY))
        self.assertIn("balance transaction", row.explanation)

    def test_its_event_is_found_behind_many_younger_ones(self):
        now = self.double.advance(to=int(time.time()) - 20 * DAY)
        charge = self.double.authorize(10000, self.jane)
        self.double.advance(days=5)
        self.double.capture(charge["id"])
        self.double.advance(days=10)
        for _number in range(4):
            self.pay_by_card()
        self.double.hostility(page_size=1)
        self.read_all()
        row = self.rows(cause_id=charge["id"])
        self.assertEqual(row.happened_at, moment(now + 5 * DAY))
        self.assertNotIn("balance transaction", row.explanation)

    def test_what_was_let_go_is_not_read_again(self):
        charge = self.double.authorize(10000, self.jane)
        self.deliver()
        self.double.release(charge["id"], api_version=BEFORE_BASIL)
        self.deliver()
        before = self.reads(f"charges/{charge['id']}")
        self.assertEqual(self.night(), [])
        self.assertEqual(self.reads(f"charges/{charge['id']}"), before)


@tagged("post_install", "-at_install")
class TestCards(MomentCase):
    def told_later(self, seconds):
        """Pay by card; only the event of the charge comes, made later than that."""
        charge = self.pay_by_card()
        for delivery in self.double.deliveries():
            delivery.drop()
        [event] = self.double.all("event", type="charge.succeeded")
        later = {"id": event["id"], "created": event["created"] + seconds}
        self.double.fake_event("charge.succeeded", event["data"]["object"], **later)
        self.deliver()
        kept = self.mirrored("charge", stripe_id=charge).succeeded_at
        # What the charge says itself is not written once more.
        self.assertEqual(bool(kept), seconds > 3600)
        return self.rows().happened_at

    def test_paid_when_it_was_made(self):
        """Its event is of the next second, and here of the next day: what counts must
        not depend on whether it has come."""
        made = self.double.advance(to=NEW_YEAR + DAY - 1)
        self.assertEqual(self.told_later(1), moment(made))

    def test_a_way_to_pay_we_do_not_know_can_be_slow(self):
        self.assertEqual(self.told_later(3 * DAY), moment(NEW_YEAR + 3 * DAY))

    def test_a_transfer_is_paid_when_it_comes(self):
        """Stripe makes the charge when the money is there."""
        charge = self.pay_by_card()
        method = {"type": "customer_balance", "customer_balance": {}}
        self.double.alter("charge", charge, payment_method_details=method)
        self.double.advance(days=40)
        self.read_all()
        self.assertEqual(self.rows().happened_at, moment(NEW_YEAR))
        self.assertNotIn("available", self.rows().explanation)


@tagged("post_install", "-at_install")
class TestDebits(MomentCase):
    def debit(self, days=7):
        intent = self.double.pay_by_debit(10000, self.jane)
        self.deliver()
        self.assertEqual(self.amounts(), [])
        self.double.advance(days=days)
        self.double.settle_payment(intent["id"])
        return intent["latest_charge"]

    def test_a_debit_is_paid_when_the_bank_says_so(self):
        self.debit()
        self.deliver()
        row = self.rows()
        self.assertEqual(row.happened_at, moment(NEW_YEAR + 7 * DAY))
        self.assertEqual(str(row.hold_until), "2026-02-07")
        self.assertEqual(row.referral_id.decided_at, moment(NEW_YEAR + 7 * DAY))
        self.assert_any_order(30.00)

    def test_it_may_be_booked_when_it_is_sent_to_the_bank(self):
        self.double.configure(debits_booked="sent")
        self.assert_answer_counts()

    def test_it_may_be_booked_when_it_is_paid(self):
        self.double.configure(debits_booked="paid")
        self.assert_answer_counts()

    def assert_answer_counts(self):
        now = self.double.advance(to=int(time.time()) - 10 * DAY)
        charge = self.debit()
        self.deliver()
        asked = self.reads("events")
        self.mirrored("charge", stripe_id=charge).action_sync_again()
        self.assertEqual(self.reads("events"), asked, "the moment is known")
        row = self.rows()
        self.assertEqual(row.happened_at, moment(now + 7 * DAY))
        self.assertNotIn("balance transaction", row.explanation)
        self.assert_any_order(30.00)

    def test_however_booked_once_stripe_has_forgotten_the_event(self):
        for booked in ("sent", "paid"):
            self.double.configure(debits_booked=booked)
            intent = self.double.pay_by_debit(10000, self.jane)
            self.double.advance(days=5)
            self.double.settle_payment(intent["id"])
        self.double.advance(days=40)
        self.read_all()
        # Sent after eight hours; the other was made and paid five days later.
        sent, paid = self.rows().sorted("happened_at")
        self.assertEqual(sent.happened_at, moment(NEW_YEAR + 7 * DAY + 8 * 3600))
        self.assertEqual(paid.happened_at, moment(NEW_YEAR + 12 * DAY))
        for row in sent + paid:
            self.assertIn("available", row.explanation)

    def test_an_answer_nobody_told_of_is_read_at_night(self):
        self.debit()
        for delivery in self.double.deliveries():
            delivery.drop()
        self.assertEqual(self.night(), [30.00])

    def test_also_where_the_event_comes_last(self):
        """Another event leads to the charge before its own is delivered."""
        now = self.double.advance(to=int(time.time()) - 5 * DAY)
        session = self.shop.checkout(self.shop.price(10000, interval=None))
        self.double.complete_session(
            session["id"], email="jane@example.com", delayed=True
        )
        self.deliver()
        self.double.advance(days=5)
        self.double.settle_session(session["id"])
        deliveries = self.double.deliveries()
        told = [d for d in deliveries if d.event["type"].startswith("checkout")]
        self.deliver(told)
        self.assertEqual(self.amounts(), [30.00])
        self.assertEqual(self.rows().happened_at, moment(now + 5 * DAY))
        self.deliver()
        self.assertEqual(self.rows().happened_at, moment(now + 5 * DAY))

    def test_it_is_not_the_first_that_was_made_first(self):
        """Made on day 0 and paid on day 7; meanwhile a card paid on day 3."""
        self.program.write(
            {
                "rule_ids": [
                    (5, 0, 0),
                    (0, 0, {"rate": 50, "applies_to": "first"}),
                    (0, 0, {"rate": 10}),
                ]
            }
        )
        intent = self.double.pay_by_debit(10000, self.jane)
        self.double.advance(days=3)
        self.shop.post(
            "payment_intents",
            amount=10000,
            currency="usd",
            confirm=True,
            customer=self.jane,
        )
        self.double.advance(days=4)
        self.double.settle_payment(intent["id"])
        self.deliver()
        by_charge = {row.cause_id: row.amount for row in self.rows()}
        self.assertEqual(by_charge[intent["latest_charge"]], 10.00)
        self.assertEqual(sorted(by_charge.values()), [10.00, 50.00])
        self.assert_any_order(*self.amounts())

    def test_what_is_booked_stays_with_its_moment(self):
        charge = self.debit(days=5)
        self.double.advance(days=40)
        self.read_all()
        # Available on day 7, as far as anybody knew.
        self.assertEqual(self.rows().happened_at, moment(NEW_YEAR + 7 * DAY))
        self.assertIn("available", self.rows().explanation)
        event = self.double.all("event", type="charge.succeeded")[0]
        self.double.fake_event(
            "charge.succeeded",
            event["data"]["object"],
            **{name: event[name] for name in ("id", "created")},
        )
        self.deliver()
        mirrored = self.mirrored("charge", stripe_id=charge)
        self.assertEqual(mirrored.succeeded_at, moment(NEW_YEAR + 5 * DAY))
        self.shop.refund(charge, 1000)
        self.deliver()
        earned = self.rows(kind="earned")
        self.assertEqual(earned.happened_at, moment(NEW_YEAR + 7 * DAY))
        self.assertEqual(self.amounts(), [30.00, -3.00])

    def test_reading_again_forgets_no_moment(self):
        self.debit()
        self.deliver()
        charge = self.mirrored("charge")
        self.double.advance(days=40)
        charge.action_sync_again()
        self.env.invalidate_all()
        self.assertEqual(charge.succeeded_at, moment(NEW_YEAR + 7 * DAY))


@tagged("post_install", "-at_install")
class TestRefundsWithoutCharge(MomentCase):
    def test_a_refund_is_found_by_its_payment(self):
        intent = self.shop.post(
            "payment_intents",
            amount=10000,
            currency="usd",
            confirm=True,
            customer=self.jane,
        )
        self.deliver()
        self.double.configure(refunds_without_charge=True)
        refund = self.shop.refund(intent["latest_charge"], 4000)
        self.assertIsNone(refund["charge"])
        self.deliver()
        self.assert_any_order(30.00, -12.00)
        self.double.refund_status(refund["id"], "failed")
        self.deliver()
        self.assertEqual(self.total(), 30.00)

    def test_of_an_invoice_too(self):
        invoice = self.sell(10000)
        self.double.configure(refunds_without_charge=True)
        self.shop.refund(invoice, 4000)
        self.deliver()
        self.assertEqual(self.amounts(), [30.00, -12.00])

    def test_nothing_else_has_told_of_the_payment(self):
        intent = self.shop.post(
            "payment_intents",
            amount=10000,
            currency="usd",
            confirm=True,
            customer=self.jane,
        )
        self.double.configure(refunds_without_charge=True)
        self.shop.refund(intent["latest_charge"], 4000)
        for delivery in self.double.deliveries():
            if delivery.event["type"] != "refund.created":
                delivery.drop()
        self.deliver()
        self.assertEqual(sorted(self.amounts()), [-12.00, 30.00])
