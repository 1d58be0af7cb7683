"""Reading a whole account: parts, pausing, dry run, comparison, nightly check."""

import time
from datetime import timedelta
from unittest.mock import patch

from lxml import etree

from odoo import fields
from odoo.exceptions import UserError
from odoo.tests import tagged
from odoo.tools import mute_logger
from odoo.tools.safe_eval import safe_eval

from odoo.addons.affiliate_stripe.lib.stripe_pace import Pace
from odoo.addons.affiliate_stripe.models import (
    affiliate_commission_backlog,
)
from odoo.addons.affiliate_stripe.models import (
    affiliate_stripe_run_difference as run_difference,
)
from odoo.addons.affiliate_stripe.models import (
    affiliate_stripe_run_walk as run_walk,
)

from .common import NEW_YEAR, StripeCase, moment
from .stripe_double import Shop

DAY = 86400
WALK = run_walk.__name__


@tagged("post_install", "-at_install")
class TestRuns(StripeCase):
    def setUp(self):
        super().setUp()
        self.program = self.make_program(rate=30)
        self.drona = self.make_affiliate(self.program)
        self.env["affiliate.referral"].create(
            {
                "email": "jane@example.com",
                "affiliate_id": self.drona.id,
                "date": moment(NEW_YEAR - DAY),
            }
        )
        self.walk()
        self.account.run_ids.sudo().unlink()

    def sell(self, months=0):
        self.shop.subscribe("jane@example.com", self.shop.price(10000))
        if months:
            self.double.advance(months=months)
        self.forget()

    def forget(self):
        """Nothing was delivered: what is read comes from lists."""
        for delivery in self.double.deliveries():
            delivery.drop()

    def walk(self, keep_going=lambda _count: True):
        self.env.flush_all()
        self.env["affiliate.stripe.run"]._walk_all(keep_going)
        self.env.invalidate_all()

    def start(self, purpose="read", **values):
        run = self.env["affiliate.stripe.run"].create(
            {"account_id": self.account.id, "purpose": purpose, **values}
        )
        run.action_start()
        return run

    # --- reading ----------------------------------------------------------------------

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
        run.part_ids.write({"done": True})
        self.walk()
        self.assertEqual(run.state, "done")

    def deleting_the_cursor(self):
        """Have the last customer of the first page deleted before the next is read."""
        read, deleted = run_walk.read_page, []

        def read_page(stripe_api, place, clock):
            page = read(stripe_api, place, clock)
            if place.kind == "customer" and page.raws and not deleted:
                deleted.append(page.raws[-1]["id"])
                self.shop.delete(f"customers/{deleted[0]}")
            return page

        return patch.object(run_walk, "read_page", read_page)

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
        self.account.write({"backoff_count": 3, "backoff_reason": "slow"})
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
        draft = self.shop.post("invoices", customer=customer["id"])
        item, _other = (
            self.shop.post(
                "invoiceitems",
                customer=customer["id"],
                invoice=draft["id"],
                amount=amount,
                currency="usd",
            )
            for amount in (2000, 10000)
        )
        self.forget()
        runs = type(self.env["affiliate.stripe.run"])
        store, overtaken = runs._store_readings, []

        def store_later(run, part_id, token, place, page, *arguments):
            if place.kind == "invoice" and page.raws and not overtaken:
                overtaken.append(page.raws[0]["status"])
                self.shop.delete(f"invoiceitems/{item['id']}")
                self.shop.post(f"invoices/{draft['id']}/finalize")
                self.shop.post(f"invoices/{draft['id']}/pay")
                self.deliver()
                self.assertEqual(self.amounts(), [30.0])
            return store(run, part_id, token, place, page, *arguments)

        run = self.start()
        with patch.object(runs, "_store_readings", store_later):
            self.walk()
        self.assertEqual((run.state, overtaken), ("done", ["draft"]))
        invoice = self.env["affiliate.stripe.invoice"].search([])
        self.assertEqual((invoice.status, invoice.amount_total), ("paid", 100.0))
        self.assertEqual(invoice.line_ids.mapped("amount"), [100.0])
        self.assertEqual(self.amounts(), [30.0])

    # --- dry run ----------------------------------------------------------------------

    def test_a_dry_run_shows_and_books_nothing(self):
        self.sell(months=1)
        run = self.start("preview")
        self.walk()
        self.assertEqual(run.state, "ready")
        self.assertFalse(self.rows())
        self.assertIn("60.00", run.preview_text)
        self.assertIn("Drona Rao", run.preview_text)
        run.action_book()
        self.walk()
        self.assertEqual(run.state, "done")
        self.assertEqual(self.amounts(), [30.0, 30.0])

    def test_a_cancelled_dry_run_is_booked_by_nobody(self):
        self.sell()
        self.double.open_dispute(self.shop.get("charges")["data"][0]["id"])
        self.forget()
        for keep_going in (lambda _count: True, self.until_something_is_here):
            run = self.start("preview")
            self.walk(keep_going)
            self.assertTrue(self.env["affiliate.stripe.charge"].search([]))
            run.action_cancel()
            self.nightly()
            self.assertFalse(self.rows())
        self.start(date_from=fields.Date.to_date("2026-02-01"))
        self.walk()
        self.assertFalse(self.rows(), "nor by a run over other people")

    def until_something_is_here(self, _count):
        return not self.env["affiliate.stripe.charge"].search_count([])

    def test_what_happens_after_a_dry_run_is_booked(self):
        self.sell()
        self.start("preview")
        self.walk()
        self.account.run_ids.action_cancel()
        self.double.advance(months=1)
        self.deliver()
        self.assertEqual(self.amounts(), [30.0, 30.0])
        self.nightly()
        self.assertEqual(self.amounts(), [30.0, 30.0])

    def test_a_reading_books_what_a_cancelled_dry_run_has_found(self):
        self.sell()
        self.start("preview")
        self.walk()
        self.account.run_ids.action_cancel()
        self.start()
        self.walk()
        self.assertEqual(self.amounts(), [30.0])

    def test_a_dry_run_that_finds_nothing_new_leaves_nobody_to_decide_about(self):
        self.sell()
        self.start()
        self.walk()
        self.start("preview")
        self.walk()
        held = self.env["affiliate.stripe.customer"].search([("ledger_dry", "=", True)])
        self.assertFalse(held)

    def test_a_dry_run_counts_a_person_of_several_customers_once(self):
        for _number in range(3):
            self.shop.invoice(self.shop.customer("jane@example.com"), 10000)
        self.forget()
        run = self.start("preview")
        with patch.object(affiliate_commission_backlog, "BATCH", 1):
            self.walk()
        self.assertIn("3 rows", run.preview_text)
        self.assertIn("90.00", run.preview_text)

    def test_a_dry_run_says_what_it_left_out(self):
        self.sell()
        invoice = self.shop.get("invoices")["data"][0]
        self.double.world().get("invoice", invoice["id"])["total"] = None
        run = self.start("preview")
        self.walk()
        self.process()
        self.assertEqual(run.state, "ready")
        self.assertIn(invoice["id"], run.problem)
        self.assertFalse(self.rows())

    def test_a_dry_run_keeps_currencies_apart(self):
        customer = self.shop.customer("jane@example.com")
        self.shop.invoice(customer, 10000)
        euro = self.shop.customer("jane@example.com")
        self.shop.invoice(euro, 20000, currency="eur")
        self.forget()
        run = self.start("preview")
        self.walk()
        self.assertEqual(
            {who.rpartition(", ")[2]: found[2] for who, found in run.preview.items()},
            {"USD": 30.0, "EUR": 60.0},
        )

    def test_a_dry_run_without_any_commission_says_so(self):
        run = self.start("preview")
        self.walk()
        self.assertIn("No new commission", run.preview_text)

    # --- comparison -------------------------------------------------------------------

    def compare(self):
        """Compare; return the run and {Stripe id: what differs}."""
        run = self.start("compare")
        self.walk()
        self.assertEqual(run.state, "done", run.problem)
        listed = run.part_ids.difference_ids
        self.assertEqual(run.differences, len(listed))
        return run, {found.stripe_id: found.what for found in listed}

    def test_what_is_the_same_shows_no_difference(self):
        self.sell(months=2)
        for number in range(5):
            self.shop.price(500 + number, active=False)
        self.double.hostility(page_size=2)
        self.start()
        self.walk()
        run, found = self.compare()
        self.assertFalse(found)
        counts = {"invoice": 3, "price": 6, "customer": 1}
        for kind, count in counts.items():
            parts = run.part_ids.filtered(lambda part, kind=kind: part.kind == kind)
            self.assertEqual(sum(parts.mapped("stripe_count")), count, kind)
            self.assertEqual(sum(parts.mapped("mirror_count")), count, kind)
            self.assertEqual(parts.mapped("stripe_sum"), parts.mapped("mirror_sum"))
            if kind == "invoice":
                self.assertIn("100.00 USD", parts.mapped("stripe_sum"))

    def test_differences_are_found_and_mended(self):
        self.sell()
        self.start()
        self.walk()
        mirror = self.env["affiliate.stripe.invoice"].search([])
        self.env.cr.execute(
            "UPDATE affiliate_stripe_invoice SET amount_total = 1, status = 'open'"
        )
        missed = self.shop.invoice(self.shop.customer("new@example.com"), 5000)
        gone = self.shop.product("Gone")
        self.deliver(
            [d for d in self.double.deliveries() if "product" in d.event["type"]]
        )
        self.shop.delete(f"products/{gone['id']}")
        self.forget()
        self.env.invalidate_all()
        run, found = self.compare()
        self.assertEqual(
            {
                ref: found.get(ref)
                for ref in (mirror.stripe_id, missed["id"], gone["id"])
            },
            {
                mirror.stripe_id: "amount",
                missed["id"]: "missing_here",
                gone["id"]: "missing_there",
            },
        )
        amount = run.part_ids.difference_ids.filtered(lambda d: d.what == "amount")
        self.assertIn("Total: 1.00 USD here, 100.00 USD at Stripe", amount.details)
        run.action_sync_differences()
        self.process()
        self.assertEqual(mirror.amount_total, 100)
        self.assertFalse(self.compare()[1])

    def test_lines_and_payments_are_compared_with_their_invoice(self):
        first, second, third = (
            self.shop.invoice(self.shop.customer(f"{n}@example.com"), 5000)
            for n in range(3)
        )
        self.forget()
        self.start()
        self.walk()
        cr = self.env.cr
        cr.execute(
            "UPDATE affiliate_stripe_invoice_line SET amount = 1"
            " WHERE invoice_ref = %s",
            [first["id"]],
        )
        cr.execute(
            "DELETE FROM affiliate_stripe_invoice_payment WHERE invoice_ref = %s",
            [second["id"]],
        )
        cr.execute(
            """INSERT INTO affiliate_stripe_invoice_line
                           (account_id, stripe_id, invoice_ref, synced_at, active)
               VALUES (%s, 'il_left', %s, '2026-01-01', TRUE)""",
            [self.account.id, third["id"]],
        )
        run, found = self.compare()
        self.assertEqual(
            found, {first["id"]: "parts", second["id"]: "parts", third["id"]: "parts"}
        )
        run.action_sync_differences()
        self.process()
        self.assertFalse(self.compare()[1])

    def test_pages_that_end_within_a_second(self):
        customers = [self.shop.customer(f"c{n}@example.com")["id"] for n in range(7)]
        self.forget()
        self.start()
        self.walk()
        self.double.world().removed.add(customers[3])
        self.env["affiliate.stripe.customer"].search(
            [("stripe_id", "=", customers[5])]
        ).sudo().unlink()
        self.double.hostility(page_size=2)
        with self.deleting_the_cursor():
            run, found = self.compare()
        self.assertEqual(found.pop(customers[5]), "missing_here")
        self.assertEqual(found.pop(customers[3]), "missing_there")
        # The deleted one was met before it was deleted.
        self.assertFalse(found)
        part = run.part_ids.filtered(lambda part: part.kind == "customer")
        self.assertEqual((part.stripe_count, part.mirror_count), (6, 6))

    def test_an_object_nobody_understands_is_a_difference(self):
        invoice = self.shop.invoice(self.shop.customer(), 100)
        self.forget()
        self.double.world().get("invoice", invoice["id"])["total"] = None
        self.assertEqual(self.compare()[1][invoice["id"]], "unreadable")

    def test_many_differences_are_counted_and_the_first_ones_listed(self):
        for number in range(5):
            self.shop.product(f"P{number}")
        self.forget()
        run = self.start("compare")
        with patch.object(run_difference, "MAX_LISTED", 3):
            self.walk()
        part = run.part_ids.filtered("difference_ids")
        self.assertEqual((part.different_count, len(part.difference_ids)), (5, 3))
        self.assertFalse(run.is_cut)
        part.different_count = 2000
        self.env.invalidate_all()
        self.assertTrue(run.is_cut)

    def test_erased_people_and_objects_without_mode_are_no_difference(self):
        self.account = self.connect("sk_live_double", name="Live")
        self.shop = Shop(self.double, "sk_live_double")
        invoice = self.shop.invoice(self.shop.customer("jane@example.com"), 10000)
        self.shop.refund(invoice, 500)
        self.forget()
        self.walk()
        self.assertTrue(self.env["affiliate.stripe.refund"].search([]).livemode)
        self.env["affiliate.stripe.customer"].search([]).sudo()._erase()
        self.assertFalse(self.compare()[1])

    def test_old_runs_are_forgotten_but_the_last_comparison(self):
        old = [self.compare()[0] for _number in range(2)]
        old.append(self.start())
        self.walk()
        for run in old:
            run.finished_at -= timedelta(days=100)
        self.env.flush_all()
        self.env["affiliate.stripe.run"].sudo()._gc_old()
        self.assertEqual(self.account.run_ids, old[1])

    # --- nightly ----------------------------------------------------------------------

    def test_each_night_what_is_open_is_read_again(self):
        customer = self.shop.customer("jane@example.com")
        invoice = self.shop.invoice(customer, 10000, pay=False)
        self.deliver()
        self.shop.post(f"invoices/{invoice['id']}/pay")
        self.forget()
        # No event tells of it either: only the invoice itself can.
        self.account.polled_until = fields.Datetime.now()
        self.env.cr.execute(
            "UPDATE affiliate_stripe_invoice SET synced_at = synced_at - interval '1 h'"
        )
        self.env["affiliate.stripe.run"]._cron_nightly()
        self.walk()
        self.process()
        self.assertEqual(self.amounts(), [30.0])

    def nightly(self):
        self.account.polled_until = fields.Datetime.now()
        self.env["affiliate.stripe.run"]._cron_nightly()
        self.walk()
        self.process()

    def test_after_a_month_without_events_everything_is_read(self):
        self.sell()
        self.account.polled_until = fields.Datetime.now() - timedelta(days=40)
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
        self.account.polled_until = fields.Datetime.now() - timedelta(days=40)
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
        self.account.polled_until = fields.Datetime.now()
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
        run.paused_at -= timedelta(days=2)
        self.env["affiliate.stripe.run"]._cron_nightly()
        self.assertIn("is paused since", self.account.activity_ids.note)
        run.action_resume()
        self.assertFalse(self.account.activity_ids)

    # --- pace -------------------------------------------------------------------------

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
