"""What is open is looked at each night, and what polling has missed is read."""

from datetime import timedelta

from odoo import fields
from odoo.tests import tagged

from .run_common import RunCase


@tagged("post_install", "-at_install")
class TestNightly(RunCase):
    def test_each_night_what_is_open_is_read_again(self):
        customer = self.shop.customer("jane@example.com")
        invoice = self.shop.invoice(customer, 10000, pay=False)
        self.deliver()
        self.shop.post(f"invoices/{invoice['id']}/pay")
        self.forget()
        # No event tells of it either: only the invoice itself can.
        self.account.sudo().polled_until = fields.Datetime.now()
        self.age("invoice")
        self.env["affiliate.stripe.run"]._cron_nightly()
        self.walk()
        self.process()
        self.assertEqual(self.amounts(), [30.0])

    def test_after_a_month_without_events_everything_is_read(self):
        self.sell()
        self.account.sudo().polled_until = fields.Datetime.now() - timedelta(days=40)
        paused = self.start("compare")
        paused.action_pause()
        self.env.flush_all()
        self.env.ref("affiliate_stripe.ir_cron_poll").method_direct_trigger()
        self.env.invalidate_all()
        self.assertTrue(self.account.missed_until)
        paused.action_cancel()
        self.env["affiliate.stripe.run"]._cron_nightly()
        run = self.account.run_ids - paused
        self.assertEqual(run.purpose, "read")
        self.walk()
        self.assertEqual((run.state, self.amounts()), ("done", [30.0]))
        self.assertFalse(self.account.missed_until)

    def test_a_poll_that_comes_too_late_has_everything_read(self):
        self.sell()
        self.account.sudo().polled_until = fields.Datetime.now() - timedelta(days=40)
        self.env.flush_all()
        self.env.ref("affiliate_stripe.ir_cron_poll").method_direct_trigger()
        self.env.invalidate_all()
        self.assertEqual(self.account.run_ids.mapped("purpose"), ["read"])
        self.account.run_ids.action_cancel()
        self.env.flush_all()
        short = self.start(date_from=fields.Date.today())
        self.walk()
        whole = self.account.run_ids.filtered(lambda run: run.state == "done") - short
        self.assertEqual(whole.purpose, "read", "the short one was not everything")
        self.assertFalse(whole.date_from or self.account.missed_until)

    def test_what_is_open_is_checked_beside_any_other_run(self):
        customer = self.shop.customer("jane@example.com")
        invoice = self.shop.invoice(customer, 10000, pay=False)
        self.deliver()
        self.shop.post(f"invoices/{invoice['id']}/pay")
        self.forget()
        self.account.sudo().polled_until = fields.Datetime.now()
        for purpose in ("read", "compare"):
            run = self.start(purpose)
            if purpose == "read":
                run.action_pause()
            self.age("invoice")
            self.env["affiliate.stripe.run"]._cron_nightly()
            self.assertEqual(self.account.run_ids, run)
            self.process()
            self.assertEqual(self.amounts(), [30.0], purpose)
            run.action_cancel()
            run.sudo().unlink()
            self.env.cr.execute("DELETE FROM affiliate_commission")
            self.env.cr.execute("UPDATE affiliate_stripe_invoice SET status = 'open'")
            self.env.invalidate_all()

    def test_a_checkout_whose_payment_failed_is_left_alone_one_day(self):
        session = self.shop.checkout(self.shop.price(10000, interval=None))
        self.double.complete_session(
            session["id"], email="jane@example.com", delayed=True
        )
        self.double.settle_session(session["id"], succeed=False)
        self.deliver()
        mirrored = self.env["affiliate.stripe.checkout.session"].sudo().search([])
        self.assertEqual(mirrored.payment_status, "unpaid")
        for days, reads in ((30, 1), (50, 0)):
            mirrored.created = fields.Datetime.now() - timedelta(days=days)
            self.env.flush_all()
            self.age("checkout_session")
            path = f"/v1/checkout/sessions/{session['id']}"
            before = len(self.double.request_log("GET", path))
            self.account.sudo()._reread_open(fields.Datetime.now())
            self.process()
            self.assertEqual(len(self.double.request_log("GET", path)) - before, reads)
            mirrored.invalidate_recordset()

    def age(self, kind):
        self.env.cr.execute(
            f"UPDATE affiliate_stripe_{kind}"  # pylint: disable=E8103
            " SET synced_at = synced_at - interval '1 h'"
        )

    def test_a_run_paused_for_a_day_is_told_to_a_manager(self):
        run = self.start()
        run.action_pause()
        self.env["affiliate.stripe.run"]._cron_nightly()
        self.assertFalse(self.account.activity_ids)
        run.sudo().paused_at -= timedelta(days=2)
        self.env["affiliate.stripe.run"]._cron_nightly()
        self.assertIn("is paused since", self.account.activity_ids.note)
        run.action_resume()
        self.assertFalse(self.account.activity_ids)
