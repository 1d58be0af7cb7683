"""Comparing Stripe with what was read."""

from datetime import timedelta
from unittest.mock import patch

from odoo.tests import tagged

from odoo.addons.affiliate_stripe.models import (
    affiliate_stripe_run_difference as run_difference,
)

from .run_common import RunCase
from .stripe_double import Shop


@tagged("post_install", "-at_install")
class TestCompare(RunCase):
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

    def test_an_erased_session_without_customer_is_no_difference(self):
        session = self.shop.post(
            "checkout/sessions",
            mode="setup",
            currency="usd",
            success_url="https://acme.example/done",
            client_reference_id="DRONA29",
        )
        self.double.complete_session(session["id"], email="sam@example.com")
        self.start()
        self.walk()
        mirror = self.env["affiliate.stripe.checkout.session"].search([]).sudo()
        mirror._erase()
        _run, found = self.compare()
        self.assertFalse(found)
        self.assertFalse(mirror.email)

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
        part.sudo().different_count = 2000
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
            run.sudo().finished_at -= timedelta(days=100)
        self.env.flush_all()
        self.env["affiliate.stripe.run"].sudo()._gc_old()
        self.assertEqual(self.account.run_ids, old[1])
