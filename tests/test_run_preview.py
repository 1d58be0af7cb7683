"""Dry runs: what a reading would earn, shown and not booked."""

from unittest.mock import patch

from odoo import fields
from odoo.tests import tagged

from odoo.addons.affiliate_stripe.models import (
    affiliate_commission_backlog,
)

from ..lib.stripe_text import short_id
from .run_common import RunCase


@tagged("post_install", "-at_install")
class TestPreview(RunCase):
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
        self.assertIn(short_id(invoice["id"]), run.problem)
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
