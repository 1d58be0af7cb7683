"""The whole account is read on request, whatever happens meanwhile."""

import json
from contextlib import suppress
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..lib.stripe_objects import KINDS
from .common import StripeCase


@tagged("post_install", "-at_install")
class TestSyncNow(StripeCase):
    def fill(self):
        """A shop with more of everything than a page of two."""
        price = self.shop.price(1000)
        for number in range(3):
            self.shop.price(2000 + number)
            self.shop.code(f"CODE{number}", percent=10 + number)
            self.shop.subscribe(f"p{number}@example.com", price)
            invoice = self.shop.invoice(
                self.shop.customer(f"m{number}@example.com"), *[100] * 12
            )
            self.shop.refund(invoice, 100)
            self.shop.post(
                "credit_notes", invoice=invoice["id"], amount=90, refund_amount=90
            )
            self.double.pay_out()
            self.double.open_dispute(self.shop.charge_of(invoice))
            # What some lists leave out unless asked for it.
            archived = self.shop.price(500 + number, active=False)
            cancelled = self.shop.subscribe(f"c{number}@example.com", price)
            self.shop.delete(f"subscriptions/{cancelled['id']}")
            self.assertFalse(archived["active"])
            session = self.shop.checkout(self.shop.price(9900, interval=None))
            self.double.complete_session(session["id"], email=f"g{number}@example.com")
        for delivery in self.double.deliveries():
            delivery.drop()

    def mirrored(self):
        self.env.invalidate_all()
        found = {}
        for kind in KINDS.values():
            rows = self.env[kind.model].with_context(active_test=False).search([])
            rows = rows.filtered(lambda row: not row.stripe_id.startswith("guest_"))
            found[kind.name] = sorted(rows.mapped("stripe_id"))
        return found

    def at_stripe(self):
        objects = {"checkout_session": "checkout.session"}
        return {
            name: sorted(obj["id"] for obj in self.double.all(objects.get(name, name)))
            for name in KINDS
        }

    def sync_now(self):
        self.account.action_sync_now()
        self.env.flush_all()
        for _run in range(10):
            # On a slow machine its time is over before the reading is.
            self.env.ref("affiliate_stripe.ir_cron_sync").method_direct_trigger()
            self.env.invalidate_all()
            if not self.account.is_syncing:
                break

    def test_sync_now_reads_the_whole_account_page_by_page(self):
        self.fill()
        self.double.hostility(page_size=2)
        self.sync_now()
        self.assertFalse(self.account.is_syncing)
        self.assertTrue(self.account.last_sync)
        self.assertGreater(self.account.sync_done, 30)
        self.assertEqual(self.mirrored(), self.at_stripe())
        lines = self.env["affiliate.stripe.invoice.line"].search([])
        self.assertEqual(len(lines), 3 * 12 + 3 + 3)
        # Links between the rows are there, whichever list came first.
        for charge in self.env["affiliate.stripe.charge"].search([]):
            self.assertTrue(charge.customer_id)
        for refund in self.env["affiliate.stripe.refund"].search([]):
            self.assertTrue(refund.charge_id)
        self.assertFalse(lines.filtered(lambda line: not line.invoice_id))
        for note in self.env["affiliate.stripe.credit.note"].search([]):
            self.assertTrue(note.invoice_id and note.customer_id)
        for payout in self.env["affiliate.stripe.payout"].search([]):
            net = sum(payout.balance_transaction_ids.mapped("net"))
            self.assertEqual(round(net, 2), 0.0, "all of a payout is known")
        before = self.mirrored()
        self.sync_now()
        self.assertEqual(self.mirrored(), before)

    def test_a_killed_sync_goes_on_where_it_was(self):
        self.fill()
        self.double.hostility(page_size=2)
        sync = type(self.env["affiliate.stripe.sync"])
        run = type(self.env["affiliate.stripe.run"])
        store, move_on, pages = sync._store, run._move_on, []

        def moves_on(records, part_id, token, page, places):
            # A list's last page may hold one object only, or none.
            pages.append(len(page.raws))
            return move_on(records, part_id, token, page, places)

        def dies(records, *arguments, **named):
            if len(pages) >= 4:
                raise SystemExit("killed")
            return store(records, *arguments, **named)

        self.account.action_sync_now()
        self.env.flush_all()
        cron = self.env.ref("affiliate_stripe.ir_cron_sync")
        with (
            patch.object(sync, "_store", dies),
            patch.object(run, "_move_on", moves_on),
            patch.object(run, "_release", lambda *_arguments: None),
            suppress(SystemExit),
        ):
            self.env["affiliate.stripe.run"]._walk_all()
        self.env.invalidate_all()
        self.assertTrue(self.account.is_syncing)
        self.assertEqual(self.account.sync_done, sum(pages[:-1]), "all others are safe")
        self.double.requests.clear()
        # Its leases run out.
        self.env["affiliate.stripe.run.part"].search([]).sudo().leased_until = False
        cron.method_direct_trigger()
        self.assertEqual(self.mirrored(), self.at_stripe())
        self.assertFalse(self.account.is_syncing)
        again = json.dumps(self.double.request_log("GET")[:5])
        self.assertIn("starting_after", again, "not from the beginning")

    def test_a_bad_object_does_not_end_the_sync(self):
        self.fill()
        world = self.double.world()
        invoice = world.all("invoice")[0]
        total, invoice["total"] = invoice["total"], None
        price = world.all("price")[0]
        price["recurring"]["interval_count"] = 2**40
        with mute_logger(
            "odoo.addons.affiliate_stripe.models.affiliate_stripe_event", "odoo.sql_db"
        ):
            self.sync_now()
            self.assertFalse(self.account.is_syncing)
            self.process()
        self.assertEqual(self.account.state, "connected")
        waiting = self.env["affiliate.stripe.event"].search([("state", "=", "pending")])
        self.assertLessEqual(
            {invoice["id"], price["id"]}, set(waiting.mapped("object_ref"))
        )
        invoice["total"] = total
        price["recurring"]["interval_count"] = 1
        waiting.action_retry()
        self.process()
        self.assert_pending_empty()
        self.assertEqual(self.mirrored(), self.at_stripe())

    def test_a_sync_waits_out_a_weak_moment(self):
        self.fill()
        self.double.disturb("status", "GET /v1/customers", times=50, status=429)
        self.env["ir.cron.trigger"].search([]).unlink()
        self.sync_now()
        self.assertTrue(self.account.is_syncing)
        self.assertEqual(self.account.state, "connected")
        trigger = self.env["ir.cron.trigger"].search(
            [("call_at", ">", fields.Datetime.now())]
        )
        self.assertIn(
            self.env.ref("affiliate_stripe.ir_cron_sync"), trigger.mapped("cron_id")
        )
        self.double.calm()
        self.account.sudo().backoff_until = False
        self.env.ref("affiliate_stripe.ir_cron_sync").method_direct_trigger()
        self.assertEqual(self.mirrored(), self.at_stripe())

    def test_sync_needs_a_connection(self):
        account = self.env["affiliate.stripe.account"].create({})
        with self.assertRaisesRegex(UserError, "Connect the account first"):
            account.action_sync_now()
