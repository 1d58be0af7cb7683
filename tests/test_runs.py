"""Reading a whole account: parts, pausing, failing, and one pace for all."""

import time
from unittest.mock import patch

from lxml import etree

from odoo import fields
from odoo.exceptions import UserError
from odoo.tests import tagged
from odoo.tools import mute_logger
from odoo.tools.safe_eval import safe_eval

from odoo.addons.affiliate_stripe.lib.stripe_pace import Pace
from odoo.addons.affiliate_stripe.models import (
    affiliate_stripe_run_walk as run_walk,
)

from .run_common import RunCase

WALK = run_walk.__name__


@tagged("post_install", "-at_install")
class TestRuns(RunCase):
    def test_history_is_read_and_earns_once(self):
        self.sell(months=3)
        run = self.start()
        self.walk()
        self.assertEqual(run.state, "done")
        self.assertEqual(run.progress, 100)
        self.assertEqual(self.amounts(), [30.0] * 4)
        self.start()
        self.walk()
        self.assertEqual(self.amounts(), [30.0] * 4)

    def test_lists_are_divided_and_nothing_is_missing(self):
        self.sell(months=20)
        self.double.hostility(page_size=2)
        run = self.start()
        self.walk()
        parts = run.part_ids.filtered(lambda part: part.kind == "invoice")
        self.assertGreater(len(parts), 1, "somebody was free to walk the older half")
        self.assertEqual(sum(parts.mapped("objects")), 21, "each object once")
        self.assertEqual(self.env["affiliate.stripe.invoice"].search_count([]), 21)
        self.assertEqual(self.amounts(), [30.0] * 21)

    def test_few_calls_for_many_objects(self):
        self.sell(months=24)
        self.double.requests.clear()
        self.start()
        self.walk()
        self.assertLess(len(self.double.request_log("GET")), 40)

    def test_a_walk_may_end_after_any_page(self):
        self.sell(months=6)
        self.double.hostility(page_size=2)
        run = self.start()
        for _number in range(200):
            if run.state == "done":
                break
            pages = iter([True, True, False])
            self.walk(lambda _count, pages=pages: next(pages, False))
        self.assertEqual(run.state, "done")
        self.assertEqual(self.amounts(), [30.0] * 7)

    def test_a_run_whose_last_worker_was_killed_ends(self):
        run = self.start()
        self.walk(lambda _count: False)
        run.part_ids.sudo().write({"done": True})
        self.walk()
        self.assertEqual(run.state, "done")

    def test_a_cursor_that_is_deleted_meanwhile(self):
        customers = [self.shop.customer(f"c{n}@example.com") for n in range(9)]
        self.forget()
        self.double.hostility(page_size=2)
        run = self.start()
        with self.deleting_the_cursor():
            self.walk()
        self.assertEqual(run.state, "done")
        self.assertFalse(run.part_ids.filtered("problem"))
        found = self.env["affiliate.stripe.customer"].with_context(active_test=False)
        self.assertEqual(
            set(found.search([]).mapped("stripe_id")), {c["id"] for c in customers}
        )

    def test_a_cursor_deleted_before_a_killed_walk_goes_on(self):
        for number in range(6):
            self.shop.customer(f"c{number}@example.com")
            self.double.advance(seconds=60)
        self.forget()
        self.double.hostility(page_size=2)
        run = self.start()
        part = run.part_ids.filtered(lambda part: part.kind == "customer")
        while not part.after:
            steps = iter([True])
            self.walk(lambda _count, steps=steps: next(steps, False))
        self.shop.delete(f"customers/{part.after}")
        self.walk()
        self.assertEqual(run.state, "done")
        self.assertEqual(self.env["affiliate.stripe.customer"].search_count([]), 6)

    def test_a_list_that_cannot_be_read_ends_its_part_and_no_other(self):
        self.sell()
        self.shop.product("One")
        self.double.disturb("status", "GET /v1/products", times=99, status=404)
        run = self.start()
        self.walk()
        self.assertEqual((run.state, self.amounts()), ("failed", [30.0]))
        self.assertIn("Product: ", run.problem)
        self.assertFalse(self.account.backoff_until)
        self.assertEqual(self.account.state, "connected")
        self.assertIn("Product: ", self.account.activity_ids.note)
        self.double.calm()
        run.action_resume()
        self.walk()
        self.assertEqual(run.state, "done")
        self.assertTrue(self.env["affiliate.stripe.product"].search([]))
        self.assertFalse(self.account.activity_ids)

    def test_a_run_that_fails_does_not_hold_up_the_others(self):
        self.sell()
        run = self.start()
        other = self.connect_twin()
        walk = type(run)._walk

        def fails(record, *arguments):
            if record == run:
                raise ValueError("cannot be walked")
            return walk(record, *arguments)

        with patch.object(type(run), "_walk", fails), mute_logger(WALK):
            self.walk()
        self.assertEqual(run.state, "failed")
        self.assertIn("cannot be walked", run.problem)
        self.assertIn("cannot be walked", self.account.activity_ids.note)
        self.assertEqual(other.run_ids.state, "done")
        run.action_cancel()
        self.assertFalse(self.account.activity_ids)

    def connect_twin(self):
        self.double.add_key("sk_test_other", account="acct_other")
        return self.connect("sk_test_other")

    def test_pause_go_on_cancel(self):
        self.sell()
        run = self.start()
        run.action_pause()
        self.walk()
        self.assertEqual((run.state, run.objects), ("paused", 0))
        run.action_resume()
        self.walk()
        self.assertEqual(run.state, "done")
        again = self.start()
        again.action_cancel()
        self.walk()
        self.assertEqual((again.state, again.objects), ("cancelled", 0))

    def test_a_paused_run_is_shown_where_no_other_can_begin(self):
        run = self.start()
        run.action_pause()
        self.assertEqual(self.account.run_state, "paused")
        self.assertEqual(self.account.action_view_run()["res_id"], run.id)
        buttons = {
            button.get("name"): button.get("invisible")
            for button in etree.fromstring(
                self.account.get_view(view_type="form")["arch"]
            ).iter("button")
        }
        for name in ("action_sync_now", "action_compare", "action_read"):
            values = {"state": "connected", "run_state": "paused"}
            self.assertTrue(safe_eval(buttons[name], values), name)
            self.assertFalse(safe_eval(buttons[name], {**values, "run_state": "done"}))

    def test_a_dialog_that_was_closed_is_no_reading(self):
        draft = self.env["affiliate.stripe.run"].create({"account_id": self.account.id})
        run = self.start()
        shown = run.search(self.account.action_view_runs()["domain"])
        self.assertIn(run, shown)
        self.assertNotIn(draft, shown)

    def test_one_run_at_a_time(self):
        run = self.start()
        self.account.action_sync_now()
        self.assertEqual(self.account.run_ids, run)
        self.account.action_disconnect()
        self.assertEqual(run.state, "cancelled")
        with self.assertRaises(UserError):
            self.start()

    def test_since_a_day_with_all_that_refers_back(self):
        self.sell(months=6)
        self.start(date_from=fields.Date.to_date("2026-05-15"))
        self.walk()
        self.assertEqual(self.env["affiliate.stripe.invoice"].search_count([]), 2)
        self.assertTrue(self.env["affiliate.stripe.subscription"].search([]))
        self.assertTrue(self.env["affiliate.stripe.customer"].search([]))

    def test_what_was_taken_back_before_that_day_counts(self):
        customer = self.shop.customer("jane@example.com")
        invoice = self.shop.invoice(customer, 10000)
        self.shop.refund(invoice, 5000)
        lost = self.shop.invoice(customer, 10000)
        dispute = self.double.open_dispute(self.shop.charge_of(lost), 5000)
        self.double.close_dispute(dispute["id"], "lost")
        self.double.advance(months=6)
        self.shop.refund(invoice, 2500)
        self.shop.refund(lost, 2500)
        self.forget()
        self.start(date_from=fields.Date.to_date("2026-05-15"))
        self.walk()
        self.assertEqual(self.total(), 2 * 7.5)

    def test_a_complete_walk_looks_nothing_up(self):
        invoice = self.shop.invoice(self.shop.customer("jane@example.com"), 10000)
        self.shop.refund(invoice, 5000)
        self.forget()
        self.double.requests.clear()
        self.start()
        self.walk()
        asked = [request["path"] for request in self.double.request_log("GET")]
        self.assertEqual(asked.count("/v1/refunds"), 1)
        self.assertEqual(self.total(), 15.0)

    def test_an_older_invoice_paid_since_that_day_is_read_too(self):
        customer = self.shop.customer("jane@example.com")
        invoice = self.shop.invoice(customer, 10000, pay=False)
        self.double.advance(months=6)
        self.shop.post(f"invoices/{invoice['id']}/pay")
        self.forget()
        self.start(date_from=fields.Date.to_date("2026-05-15"))
        self.walk()
        self.assertEqual(self.amounts(), [30.0])
        self.assertEqual(self.rows().invoice_id.stripe_id, invoice["id"])

    def test_one_bad_customer_does_not_hold_up_the_others(self):
        self.sell()
        self.shop.subscribe("bad@example.com", self.shop.price(5000))
        self.forget()
        referral = type(self.env["affiliate.referral"])
        refresh = referral._refresh

        def fails(records, account, customers):
            if "bad@example.com" in customers.mapped("email"):
                raise ValueError("cannot be computed")
            return refresh(records, account, customers)

        run = self.start()
        logger = "odoo.addons.affiliate_stripe.models.affiliate_commission_backlog"
        with patch.object(referral, "_refresh", fails), mute_logger(logger):
            self.walk()
        self.assertEqual(run.state, "done")
        self.assertEqual(self.amounts(), [30.0])
        due = self.env["affiliate.stripe.customer"].search([("ledger_due", "=", True)])
        self.assertEqual(due.email, "bad@example.com", "tried again by the next run")
        self.assertIn("cannot be computed", due.ledger_problem)
        self.assertIn("cannot be computed: 1", self.account.activity_ids.note)
        self.nightly()
        self.assertFalse(due.ledger_problem)
        self.assertFalse(self.account.activity_ids)

    def test_a_page_that_succeeds_ends_the_pauses(self):
        self.sell()
        self.account.sudo().write({"backoff_count": 3, "backoff_reason": "slow"})
        self.start()
        self.walk()
        self.assertEqual(self.account.backoff_count, 0)

    def test_a_webhook_in_the_middle(self):
        self.sell(months=2)
        self.double.hostility(page_size=2)
        run = self.start()
        pages = iter([True] * 6)
        self.walk(lambda _count: next(pages, False))
        self.assertEqual(run.state, "running")
        self.double.advance(months=1)
        self.deliver()
        self.walk()
        self.assertEqual(run.state, "done")
        self.assertEqual(self.total(), 120.0)

    def test_a_webhook_between_reading_and_storing(self):
        """A page of history waits to be stored while its invoice is paid, loses a line
        and is stored by its event: the page is the older fact."""
        customer = self.shop.customer("jane@example.com")
        draft, (item, _other) = self.shop.draft(customer, 2000, 10000)
        self.forget()
        runs = type(self.env["affiliate.stripe.run"])
        store, overtaken = runs._store_readings, []

        def store_later(run, part_id, token, page, *arguments):
            drafts = [raw for raw in page.raws if raw["id"] == draft["id"]]
            if drafts and not overtaken:
                overtaken.append(drafts[0]["status"])
                self.shop.delete(f"invoiceitems/{item['id']}")
                self.shop.post(f"invoices/{draft['id']}/finalize")
                self.shop.post(f"invoices/{draft['id']}/pay")
                self.deliver()
                self.assertEqual(self.amounts(), [30.0])
            return store(run, part_id, token, page, *arguments)

        run = self.start()
        with patch.object(runs, "_store_readings", store_later):
            self.walk()
        self.assertEqual((run.state, overtaken), ("done", ["draft"]))
        invoice = self.env["affiliate.stripe.invoice"].search([])
        self.assertEqual((invoice.status, invoice.amount_total), ("paid", 100.0))
        self.assertEqual(invoice.line_ids.mapped("amount"), [100.0])
        self.assertEqual(self.amounts(), [30.0])

    def test_all_workers_share_one_pace(self):
        self.account.rate_limit = 10
        self.env.flush_all()
        pace, another = self.account._get_pace(), self.account._get_pace()
        first = pace._reserve(4)
        self.assertLess(first, 0, "what was not used for a second may be used now")
        waits = [another._reserve(4), pace._reserve(4), another._reserve(4)]
        for earlier, later in zip([first, *waits], waits, strict=False):
            self.assertAlmostEqual(later - earlier, 0.4, delta=0.05)

    def test_slots_are_used_one_by_one(self):
        self.account.rate_limit = 0
        self.assertIsNone(self.account._get_pace())
        asked = []
        pace = Pace(lambda calls: asked.append(calls) or 0.0, 0.02)
        started = time.monotonic()
        for _call in range(6):
            pace.wait()
        self.assertEqual(asked, [4, 4])
        self.assertGreaterEqual(time.monotonic() - started, 3 * 0.02)
