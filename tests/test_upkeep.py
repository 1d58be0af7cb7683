"""What keeps the inbox going for years: more workers, and forgetting what is old."""

from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import UserError, ValidationError
from odoo.tests import tagged
from odoo.tools import SQL, file_open

from ..models import affiliate_stripe_event_retention as retention
from .common import KEY
from .test_webhook import WebhookCase


@tagged("post_install", "-at_install")
class TestWorkers(WebhookCase):
    def settings(self, **values):
        values = {f"affiliate_stripe_{name}": value for name, value in values.items()}
        settings = self.env["res.config.settings"].sudo().create(values)
        settings.execute()
        return settings

    @property
    def workers(self):
        return self.env["affiliate.stripe.event"]._workers()

    def active(self):
        return len(self.workers.filtered("active"))

    def test_one_is_the_default(self):
        cron = self.env.ref("affiliate_stripe.ir_cron_process")
        self.assertEqual(self.workers, cron)
        values = self.env["res.config.settings"].sudo().get_values()
        self.assertEqual(values["affiliate_stripe_workers"], 1)

    def test_copies_are_made_archived_and_used_again(self):
        self.settings(workers=3)
        self.assertEqual(self.active(), 3)
        first, *copies = self.workers
        for copy in copies:
            for name in ("code", "model_id", "user_id", "state", "interval_number"):
                self.assertEqual(copy[name], first[name], name)
        names = self.workers.mapped("name")
        self.assertEqual(len(set(names)), 3)
        self.settings(workers=1)
        self.assertEqual((len(self.workers), self.active()), (3, 1))
        self.settings(workers=2)
        self.assertEqual((len(self.workers), self.active()), (3, 2))
        self.settings()
        self.assertEqual(self.active(), 2, "other settings do not touch it")

    def test_copies_belong_to_the_module_and_survive_its_upgrade(self):
        self.settings(workers=8)
        copies = self.workers[1:]
        data = self.env["ir.model.data"].search(
            [("model", "=", "ir.cron"), ("res_id", "in", copies.ids)]
        )
        self.assertEqual(len(data), 7)
        self.assertEqual(set(data.mapped("module")), {"affiliate_stripe"})
        self.assertEqual(set(data.mapped("noupdate")), {True})
        # What an upgrade does with records that its files do not mention.
        known = self.env["ir.model.data"].search([("module", "=", "affiliate_stripe")])
        loaded = {row.complete_name for row in known - data}
        with patch.object(self.registry, "loaded_xmlids", loaded):
            self.env["ir.model.data"]._process_end(["affiliate_stripe"])
        self.assertEqual(self.active(), 8)

    def test_silly_numbers_are_refused(self):
        for number in (0, -1, 9, 1000):
            with (
                self.subTest(number),
                self.assertRaisesRegex(ValidationError, "1 to 8"),
            ):
                self.settings(workers=number)
        self.assertEqual(self.active(), 1)

    def test_all_are_woken_still_once_a_second(self):
        self.settings(workers=3)
        triggers = self.env["ir.cron.trigger"]
        triggers.search([]).unlink()
        for number in range(3):
            self.post_body(self.event(id=f"evt_{number}"))
        woken = triggers.search([("cron_id", "in", self.workers.ids)])
        self.assertEqual(woken.cron_id, self.workers)
        self.assertLess(len(woken), 9)

    def test_two_share_the_work_and_do_nothing_twice(self):
        """The second one runs while the first one is reading."""
        self.settings(workers=2)
        first, second = self.workers
        products = [self.shop.product(f"P{number}") for number in range(6)]
        for delivery in self.double.deliveries():
            self.post_delivery(delivery)
        inbox = type(self.env["affiliate.stripe.event"])
        sync = type(self.env["affiliate.stripe.sync"])
        claim, read, batches = inbox._claim, sync._read_objects, []

        def claim_two(records, limit):
            return claim(records, 2)

        def read_slowly(records, account, targets):
            batches.append(set(targets))
            if len(batches) == 1:
                second.method_direct_trigger()
            return read(records, account, targets)

        self.double.requests.clear()
        with (
            patch.object(inbox, "_claim", claim_two),
            patch.object(sync, "_read_objects", read_slowly),
        ):
            first.method_direct_trigger()
        self.env.invalidate_all()
        self.assertEqual([len(batch) for batch in batches], [2, 2, 2])
        self.assertEqual(
            set().union(*batches), {("product", product["id"]) for product in products}
        )
        self.assertEqual(len(self.double.request_log("GET")), 6)
        self.assertEqual(set(self.events.mapped("state")), {"done"})
        self.assertEqual(len(self.names()), 6)


@tagged("post_install", "-at_install")
class TestRetention(WebhookCase):
    def age(self, days, events=None):
        received = fields.Datetime.now() - timedelta(days=days)
        (events or self.events).sudo().write({"received_at": received})

    def clean(self):
        inbox = self.env["affiliate.stripe.event"].sudo()
        for method in (inbox._gc_payloads, inbox._gc_events):
            while method()[1]:
                pass
        self.env.invalidate_all()

    def story(self):
        """A sale by code; its events were delivered and are to be replayed."""
        drona = self.make_affiliate(self.make_program(rate=30, discount=20))
        self.shop.buy(self.shop.price(10000), "jane@x.example", code=drona.code)
        requests = [delivery.request() for delivery in self.double.deliveries()]
        self.deliver()
        return requests

    def test_first_the_contents_go_then_the_events(self):
        self.story()
        ledger, count = self.ledger(), len(self.events)
        self.assertEqual(sum(ledger.values()), 24.0)
        self.age(29)
        self.clean()
        self.assertTrue(all(event.payload for event in self.events))
        self.age(31)
        self.clean()
        self.assertEqual(len(self.events), count)
        self.assertFalse(any(event.payload for event in self.events))
        self.assertEqual(self.events[0].payload_text, "{}")
        self.events.action_retry()
        self.process()
        self.assert_pending_empty()
        self.age(91)
        self.clean()
        self.assertFalse(self.events)
        self.assertEqual(self.ledger(), ledger)

    def test_what_comes_again_is_harmless(self):
        requests = self.story()
        ledger = self.ledger()
        rows = len(self.rows())
        self.age(91)
        self.clean()
        for request in reversed(requests):
            self.assertEqual(self.post_webhook(*request), 200)
        self.process()
        self.assertTrue(self.events)
        self.assert_pending_empty()
        self.assertEqual((self.ledger(), len(self.rows())), (ledger, rows))

    def test_failed_and_waiting_events_stay_whole(self):
        for number in range(4):
            self.post_body(self.event(id=f"evt_{number}"))
        done, ignored, waiting, failed = self.events
        for event, state in (done, "done"), (ignored, "ignored"), (failed, "failed"):
            event.sudo().state = state
        self.age(1000)
        self.clean()
        self.assertEqual(self.events, waiting | failed)
        self.assertTrue(all(event.payload for event in self.events))

    def test_in_batches(self):
        for number in range(5):
            self.post_body(self.event(id=f"evt_{number}"))
        self.events.sudo().write({"state": "done"})
        self.age(1000)
        inbox = self.env["affiliate.stripe.event"].sudo()
        with patch.object(retention, "BATCH", 2):
            self.assertEqual(inbox._gc_payloads(), (2, True))
            self.assertEqual(len(self.events.filtered("payload")), 3)
            self.assertEqual(inbox._gc_events(), (2, True))
            self.assertEqual(inbox._gc_events(), (2, True))
            self.assertEqual(inbox._gc_events(), (1, False))
        self.assertFalse(self.events)

    def test_the_days_are_settings(self):
        model = self.env["res.config.settings"].sudo()
        names = ("affiliate_stripe_event_days", "affiliate_stripe_payload_days")
        values = model.get_values()
        defaults = model.create({})
        self.assertEqual([defaults[name] for name in names], [90, 30], values)
        for wrong in ((10, 11), (0, 0), (5, -1)):
            with self.subTest(wrong), self.assertRaises(ValidationError):
                model.create(dict(zip(names, wrong, strict=True)))
        model.create(dict(zip(names, (10, 5), strict=True))).execute()
        self.post_body(self.event())
        self.events.sudo().state = "done"
        for days, kept, whole in ((4, 1, 1), (6, 1, 0), (11, 0, 0)):
            self.age(days)
            self.clean()
            found = self.events
            self.assertEqual(
                (len(found), len(found.filtered("payload"))), (kept, whole)
            )
        parameters = self.env["ir.config_parameter"].sudo()
        for rubbish in ("", "many", "-5", "0"):
            parameters.set_param("affiliate_stripe.event_days", rubbish)
            inbox = self.env["affiliate.stripe.event"]
            self.assertEqual(inbox._retention_days("event_days", 90), 90)

    def test_the_indexes_are_used(self):
        """A hundredth of many events is old."""
        self.env.cr.execute(
            """INSERT INTO affiliate_stripe_event
                   (account_id, company_id, stripe_id, state, payload, received_at)
               SELECT %s, %s, 'evt_' || n, 'done', '{}',
                      now() - make_interval(days => 60 * (n %% 100 / 99))
                 FROM generate_series(1, 20000) n""",
            [self.account.id, self.env.company.id],
        )
        self.env.cr.execute("ANALYZE affiliate_stripe_event, affiliate_stripe_account")
        self.env["ir.config_parameter"].set_param("affiliate_stripe.event_days", "59")
        inbox = self.env["affiliate.stripe.event"]
        with_payload = SQL("AND event.payload IS NOT NULL")
        for query, index in (
            (inbox._finished_before("event_days", 90), "received_idx"),
            (inbox._finished_before("payload_days", 30, with_payload), "payload_idx"),
            (
                SQL(
                    """SELECT id FROM affiliate_stripe_event WHERE account_id = %s
                     ORDER BY received_at DESC LIMIT 1""",
                    self.account.id,
                ),
                "received_idx",
            ),
        ):
            self.env.cr.execute(SQL("EXPLAIN %s", query))
            plan = "\n".join(line for (line,) in self.env.cr.fetchall())
            self.assertIn(f"affiliate_stripe_event_{index}", plan)


@tagged("post_install", "-at_install")
class TestNeutralised(WebhookCase):
    """A copy of a database never calls Stripe, whatever is pressed or arrives."""

    def setUp(self):
        super().setUp()
        self.program = self.make_program(rate=30, discount=20)
        self.drona = self.make_affiliate(self.program)
        self.shop.product("One")
        self.deliver()
        self.shop.product("Two")
        self.request = self.double.deliveries()[0].request()
        parameters = self.env["ir.config_parameter"].sudo()
        parameters.set_param("database.is_neutralized", True)
        self.double.requests.clear()

    def tearDown(self):
        self.assertEqual(self.double.request_log(), [])
        super().tearDown()

    def test_no_button_calls_stripe(self):
        account = self.account
        mirrored = self.env["affiliate.stripe.product"].search([])
        wizard = self.env["affiliate.plan.wizard"].create(
            {"account_id": account.id, "plan_id": "price_1"}
        )
        for call in (
            account.action_connect,
            account.action_check,
            account.action_check_webhook,
            account.action_roll_secret,
            mirrored.action_sync_again,
            wizard.action_fetch,
            self.drona.code_ids._deactivate,
            self.program._ensure_coupon,
        ):
            with self.subTest(call.__name__):
                try:
                    with self.env.cr.savepoint():
                        call()
                except UserError as refusal:
                    self.assertIn("neutralised copy", str(refusal))
        account.api_key = KEY
        account.action_sync_now()
        self.drona.code_ids.sudo().write({"state": "draft"})
        account.action_disconnect()

    def test_nothing_scheduled_or_delivered_calls_stripe(self):
        self.env.flush_all()
        with file_open("affiliate_stripe/data/neutralize.sql") as script:
            self.env.cr.execute(script.read())
        self.env.invalidate_all()
        self.env["ir.cron.trigger"].search([]).unlink()
        self.assertEqual(self.post_webhook(*self.request), 404)
        self.assertFalse(self.env["ir.cron.trigger"].search([]), "nobody was woken")
        self.events.action_retry()
        self.env.flush_all()
        for name in ("process", "poll", "webhooks", "sync", "codes"):
            self.env.ref(f"affiliate_stripe.ir_cron_{name}").method_direct_trigger()
        self.env.invalidate_all()
        self.assertEqual(set(self.events.mapped("state")), {"pending"})
