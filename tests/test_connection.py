"""Connecting a Stripe account: keys, endpoints, health, sync, and the way back."""

import json
from contextlib import suppress
from datetime import timedelta
from unittest.mock import patch

import stripe

from odoo import fields
from odoo.exceptions import UserError, ValidationError
from odoo.tests import tagged
from odoo.tools import file_open, mute_logger

from ..hooks import uninstall_hook
from ..lib import stripe_client
from ..lib.stripe_events import SUBSCRIBED
from ..lib.stripe_objects import KINDS
from .common import KEY, NEW_YEAR, StripeCase, moment

#: What a restricted key needs, in the double's words.
READS = (
    "account",
    "balance_transaction",
    "charge",
    "checkout_session",
    "coupon",
    "credit_note",
    "customer",
    "dispute",
    "event",
    "invoice",
    "payout",
    "plan",
    "product",
    "promotion_code",
    "refund",
    "subscription",
)


@tagged("post_install", "-at_install")
class TestKeys(StripeCase):
    def make(self, key, **values):
        """A record for another Stripe account, not connected."""
        return self.env["affiliate.stripe.account"].create(
            {"name": "Other", "api_key": key, **values}
        )

    def refusal(self, account):
        """What a person reads who tries to connect; nothing may be left behind."""
        endpoints = self.double.all("webhook_endpoint", account="acct_other")
        with self.assertRaises(UserError) as caught:
            account.action_connect()
        self.assertEqual(account.state, "draft")
        self.assertFalse(account.sudo().endpoint_ids)
        self.assertEqual(
            self.double.all("webhook_endpoint", account="acct_other"), endpoints
        )
        return str(caught.exception)

    def test_a_publishable_key_is_told_apart(self):
        with self.assertRaisesRegex(ValidationError, "publishable key"):
            self.make("pk_test_123")

    def test_what_is_no_key_is_refused(self):
        for text in ("hello", "whsec_123", "sk_123", "xsk_test_1"):
            with (
                self.subTest(text),
                self.assertRaisesRegex(ValidationError, "does not look like") as caught,
            ):
                self.make(text)
            self.assertNotIn("123", str(caught.exception))

    def test_test_and_live_are_told_apart(self):
        for key, live in (
            ("sk_test_1234567", False),
            ("rk_test_1234567", False),
            ("sk_live_1234567", True),
            ("rk_live_1234567", True),
        ):
            account = self.make(f"  {key}\n")
            self.assertEqual(account.livemode, live, key)
            self.assertEqual(account.api_key_hint, f"{key[:8]}…4567")

    def test_without_a_key(self):
        account = self.make(False)
        self.assertIn("Enter an API key", self.refusal(account))

    def test_an_unknown_key(self):
        self.double.only_known_keys()
        text = self.refusal(self.make("sk_test_unknown_key"))
        self.assertIn("does not accept the API key", text)

    def test_a_revoked_and_an_expired_key(self):
        for state in ("revoked", "expired"):
            self.double.add_key(f"sk_test_{state}", "acct_other", state=state)
            text = self.refusal(self.make(f"sk_test_{state}"))
            self.assertIn("does not accept the API key", text)

    def test_a_missing_permission_is_named(self):
        reads = [f"{name}_read" for name in READS if name not in ("invoice", "coupon")]
        self.double.add_key("rk_test_poor", "acct_other", permissions=reads)
        text = self.refusal(self.make("rk_test_poor"))
        self.assertIn("may not read: Coupons, Invoices.", text)
        self.assertIn("write permission", text)

    def test_a_restricted_key_with_the_permissions_works(self):
        reads = [f"{name}_read" for name in READS if name != "account"]
        self.double.add_key(
            "rk_test_good", "acct_other", permissions=[*reads, "webhook_write"]
        )
        account = self.make("rk_test_good")
        account.action_connect()
        self.assertEqual((account.state, account.delivery), ("connected", "webhook"))
        self.assertIn("Invoices", account.permission_report)

    def test_no_network(self):
        account = self.make("sk_test_other")
        self.double.stop()
        with patch.object(stripe_client, "NETWORK_RETRIES", 0):
            text = self.refusal(account)
        self.assertIn("Stripe cannot be reached", text)
        self.assertLess(len(text), 400)
        self.assertNotIn("\n", text)

    def test_stripe_has_a_bad_day(self):
        account = self.make("sk_test_other")
        with patch.object(stripe_client, "NETWORK_RETRIES", 0):
            for action, arguments, sentence in (
                ("status", {"status": 500}, "Stripe cannot be reached"),
                ("status", {"status": 429}, "slow down"),
                ("truncate", {}, "Stripe cannot be reached"),
                ("drop", {}, "Stripe cannot be reached"),
            ):
                with self.subTest(action, **arguments):
                    self.double.disturb(action, times=100, **arguments)
                    self.assertIn(sentence, self.refusal(account))
                    self.double.calm()

    def test_each_problem_has_its_own_sentence(self):
        problem = stripe_client.StripeProblem
        codes = ("key", "permission", "throttled", "unreachable", "refused")
        texts = {self.account._problem_text(problem(code, "why")) for code in codes}
        self.assertEqual(len(texts), len(codes))

    def test_a_key_of_another_account_or_mode_is_refused(self):
        self.double.add_key("sk_test_other", account="acct_other")
        # While it is connected the key would be used at once, ...
        with self.assertRaisesRegex(UserError, "another Stripe account"):
            self.account.write({"api_key": "sk_test_other"})
        # ... else when it is tried.
        self.account.state = "error"
        self.account.write({"api_key": "sk_test_other"})
        with self.assertRaisesRegex(UserError, "another Stripe account"):
            self.account.action_check()
        with self.assertRaisesRegex(ValidationError, "other mode"):
            self.account.api_key = "sk_live_123456"

    def test_the_same_stripe_account_is_connected_once(self):
        twin = self.make("sk_test_same_account")
        before = self.double.all("webhook_endpoint")
        with self.assertRaisesRegex(UserError, "already connected in this mode: Acme"):
            twin.action_connect()
        self.assertEqual(self.double.all("webhook_endpoint"), before)
        live = self.make("sk_live_same_account")
        live.action_connect()
        self.assertEqual(live.stripe_account_id, self.account.stripe_account_id)
        self.assertTrue(live.livemode)

    def test_the_database_refuses_twins_too(self):
        twin = self.make("sk_test_other")
        with (
            mute_logger("odoo.sql_db"),
            self.assertRaisesRegex(Exception, "stripe_account_uniq|already connected"),
            self.env.cr.savepoint(),
        ):
            twin.sudo().stripe_account_id = self.account.stripe_account_id
            twin.flush_recordset()

    # --- secrets ---------------------------------------------------------------------

    def secrets_in(self, *readings):
        text = json.dumps(readings, default=str)
        secrets = self.account.sudo().endpoint_ids.mapped("secret")
        self.assertEqual(len(secrets), 2)
        return [word for word in (KEY, *secrets) if word in text]

    def test_keys_and_secrets_are_never_readable(self):
        saved = self.account.web_save(
            {"api_key": KEY, "webhook_secret": "whsec_typed_by_hand"},
            {"api_key": {}, "webhook_secret": {}, "api_key_hint": {}},
        )
        self.assertEqual(
            (saved[0]["api_key"], saved[0]["webhook_secret"]), (False,) * 2
        )
        admin = self.env.ref("base.user_admin")
        admin.company_ids += self.env.company
        for user in (self.env.user, admin):
            account = self.account.with_user(user)
            endpoints = account.endpoint_ids
            specification = {
                name: {}
                for name in account._fields
                if account._has_field_access(account._fields[name], "read")
            }
            self.assertNotIn("api_key_secret", specification)
            specification.pop("endpoint_ids")
            specification["endpoint_ids"] = {"fields": {"url": {}, "stripe_id": {}}}
            exportable = [name for name in specification if name != "endpoint_ids"]
            leaks = self.secrets_in(
                account.read(),
                account.search_read([("id", "=", account.id)]),
                account.web_read(specification),
                account.export_data(exportable),
                account.copy_data(),
                endpoints.read(),
                endpoints.export_data(["url", "stripe_id", "api_version"]),
                endpoints.copy_data(),
            )
            self.assertEqual(leaks, [], user.name)
            for records, name in ((account, "api_key_secret"), (endpoints, "secret")):
                with self.assertRaises(UserError):
                    records.read([name])
                with self.assertRaises(UserError):
                    records.web_read({name: {}})
                with self.assertRaises(UserError):
                    records.export_data([name])
                with self.assertRaises(UserError):
                    records.search([(name, "=like", "s%")])
                with self.assertRaises(UserError):
                    records.search([], order=name)
            self.assertFalse(account.api_key)
            self.assertFalse(account.webhook_secret)

    def test_keys_are_not_in_the_chatter_or_the_log(self):
        with self.assertLogs("odoo", "DEBUG") as logs:
            self.account.api_key = "sk_test_second_key"
            self.account.webhook_secret = "whsec_typed_by_hand"
            self.account.action_check()
            self.env.flush_all()
        text = "".join(
            line for line in logs.output if ":odoo.sql_db:" not in line
        ) + "".join(self.account.message_ids.mapped(lambda m: str(m.body)))
        self.assertNotIn("sk_test_second_key", text)
        self.assertNotIn("whsec_typed", text)

    def test_a_copy_has_no_key(self):
        copy = self.account.copy()
        self.assertFalse(copy.api_key_hint)
        self.assertFalse(copy.sudo().api_key_secret)
        self.assertFalse(copy.sudo().endpoint_ids)
        self.assertNotEqual(copy.webhook_token, self.account.webhook_token)

    def test_other_addresses_than_loopback_are_ignored(self):
        parameters = self.env["ir.config_parameter"].sudo()
        for address, honoured in (
            ("http://127.0.0.1:1", True),
            ("http://localhost:1", True),
            ("http://[::1]:1", True),
            ("https://evil.example", False),
            ("http://127.0.0.1.evil.example", False),
            ("http://127.0.0.1@evil.example", False),
            ("http://10.0.0.1", False),
            ("nonsense", False),
            ("", False),
        ):
            parameters.set_param("affiliate_stripe.api_base", address)
            self.assertEqual(bool(self.account._api_base()), honoured, address)


@tagged("post_install", "-at_install")
class TestConnection(StripeCase):
    def endpoints(self):
        return self.double.all("webhook_endpoint")

    def test_the_endpoint_is_pinned_and_explicit(self):
        made = self.endpoints()
        self.assertEqual(len(made), 1)
        self.assertEqual(made[0]["api_version"], stripe.api_version)
        self.assertEqual(made[0]["enabled_events"], list(SUBSCRIBED))
        self.assertNotIn("*", made[0]["enabled_events"])
        self.assertEqual(made[0]["url"], self.account.webhook_url)
        self.assertIn(self.account.webhook_token, made[0]["url"])
        endpoint = self.account.sudo().endpoint_ids
        self.assertEqual(endpoint.stripe_id, made[0]["id"])
        self.assertTrue(endpoint.secret.startswith("whsec_"))

    def test_connecting_again_makes_no_second_endpoint(self):
        self.account.action_connect()
        self.assertEqual(len(self.endpoints()), 1)

    def test_an_endpoint_of_a_failed_attempt_is_replaced(self):
        """Stripe made it, then our transaction was rolled back."""
        self.account.sudo().endpoint_ids.unlink()
        other = self.shop.endpoint("https://elsewhere.example/hook")
        self.account.action_connect()
        made = self.endpoints()
        self.assertEqual(
            sorted(endpoint["url"] for endpoint in made),
            sorted([other["url"], self.account.webhook_url]),
        )
        self.shop.product("One")
        self.deliver(
            [d for d in self.double.deliveries() if d.endpoint["id"] != other["id"]]
        )
        self.assertEqual(self.env["affiliate.stripe.product"].search([]).name, "One")

    def test_a_typed_secret_instead_of_our_endpoint(self):
        self.double.add_key("sk_test_other", account="acct_other")
        account = self.env["affiliate.stripe.account"].create(
            {"api_key": "sk_test_other"}
        )
        account.webhook_secret = " whsec_by_hand "
        account.action_connect()
        self.assertEqual(self.double.all("webhook_endpoint", account="acct_other"), [])
        self.assertEqual(account.sudo().endpoint_ids.secret, "whsec_by_hand")
        self.assertEqual(account.delivery, "webhook")
        with self.assertRaisesRegex(ValidationError, "starts with whsec_"):
            account.webhook_secret = "sk_test_wrong_field"

    def test_the_name_comes_from_stripe_where_nobody_gave_one(self):
        world = self.double.world("acct_other")
        self.double.add_key("sk_test_other", account="acct_other")
        self.shop.__class__(self.double, "sk_test_other").get("account")
        name = world.get("account", "acct_other")["settings"]
        account = self.env["affiliate.stripe.account"].create(
            {"api_key": "sk_test_other"}
        )
        account.action_connect()
        business = ((name or {}).get("dashboard") or {}).get("display_name")
        self.assertEqual(account.name, business or "Stripe")

    # --- polling ----------------------------------------------------------------------

    def test_polling_where_stripe_cannot_call(self):
        parameters = self.env["ir.config_parameter"].sudo()
        self.account.action_disconnect()
        self.account.api_key = KEY
        parameters.set_param("web.base.url", "http://odoo.intranet:8069")
        self.account.action_connect()
        self.assertEqual(self.account.delivery, "polling")
        self.assertEqual(self.endpoints(), [])
        self.assertIn("cannot reach", self.account.message_ids[0].preview)
        self.double.advance(to=int(fields.Datetime.now().timestamp()))
        self.shop.product("One")
        self.env.flush_all()
        self.env.ref("affiliate_stripe.ir_cron_poll").method_direct_trigger()
        self.process()
        self.assertEqual(self.env["affiliate.stripe.product"].search([]).name, "One")
        self.assertTrue(self.account.polled_until)

    def test_which_addresses_stripe_can_call(self):
        parameters = self.env["ir.config_parameter"].sudo()
        for address, double, yes in (
            ("https://shop.example", False, True),
            ("http://shop.example", False, False),
            ("https://localhost", False, False),
            ("http://127.0.0.1:8069", False, False),
            ("http://127.0.0.1:8069", True, True),
            ("http://shop.example", True, False),
        ):
            base = self.double.url if double else False
            parameters.set_param("affiliate_stripe.api_base", base)
            parameters.set_param("web.base.url", address)
            self.assertEqual(self.account._can_be_called(), yes, (address, double))

    def test_polling_where_the_key_may_not_make_endpoints(self):
        reads = [f"{name}_read" for name in READS]
        self.double.add_key("rk_test_reader", "acct_other", permissions=reads)
        account = self.connect("rk_test_reader")
        self.assertEqual((account.state, account.delivery), ("connected", "polling"))
        self.assertIn(
            "may not create webhook endpoints", account.message_ids[0].preview
        )

    def test_polling_reads_each_event_once_and_misses_none(self):
        self.account.delivery = "polling"
        self.double.advance(to=int(fields.Datetime.now().timestamp()))
        for number in range(5):
            self.shop.product(f"P{number}")
        self.double.hostility(page_size=2)
        poll = self.env["affiliate.stripe.sync"]._poll_events
        self.assertEqual(poll(self.account), 5)
        self.assertEqual(poll(self.account), 0)
        # Stripe lists an event a little late: the last minutes are read again.
        self.shop.product("Late")
        self.double.world().all("event")[-1]["created"] -= 120
        self.assertEqual(poll(self.account), 1)
        self.process()
        self.assertEqual(self.env["affiliate.stripe.product"].search_count([]), 6)

    def test_a_failed_poll_goes_on_from_where_it_was(self):
        self.account.delivery = "polling"
        before = self.account.polled_until
        self.shop.product("One")
        self.double.disturb("status", "GET /v1/events", times=9, status=429)
        self.env.flush_all()
        cron = self.env.ref("affiliate_stripe.ir_cron_poll")
        cron.method_direct_trigger()
        self.env.invalidate_all()
        self.assertEqual(self.account.polled_until, before)
        self.assertTrue(self.account.backoff_until)
        self.double.calm()
        self.account.backoff_until = False
        cron.method_direct_trigger()
        self.process()
        self.assertEqual(self.env["affiliate.stripe.product"].search([]).name, "One")

    def test_a_lost_webhook_heals_within_a_day(self):
        self.shop.product("Lost")
        for delivery in self.double.deliveries():
            delivery.drop()
        cron = self.env.ref("affiliate_stripe.ir_cron_poll")
        self.account.polled_until = fields.Datetime.now() - timedelta(hours=23)
        self.env.flush_all()
        cron.method_direct_trigger()
        self.assertFalse(self.env["affiliate.stripe.event"].search([]), "asked today")
        self.account.polled_until = moment(NEW_YEAR) - timedelta(days=2)
        self.env.flush_all()
        cron.method_direct_trigger()
        self.process()
        self.assertEqual(self.env["affiliate.stripe.product"].search([]).name, "Lost")

    # --- health -----------------------------------------------------------------------

    def test_health(self):
        self.assertFalse(self.account.last_event)
        self.assertEqual(self.account.api_version, stripe.api_version)
        self.shop.product("One")
        self.shop.product("Two")
        for delivery in self.double.deliveries():
            self.post_delivery(delivery)
        self.env.invalidate_all()
        self.assertEqual(self.account.pending_events, 2)
        self.assertEqual(self.account.failed_events, 0)
        self.env["affiliate.stripe.event"].search([], limit=1).state = "failed"
        self.env.invalidate_all()
        self.assertEqual(
            (self.account.pending_events, self.account.failed_events), (1, 1)
        )
        now = fields.Datetime.now()
        self.assertLess(abs(self.account.last_event - now), timedelta(minutes=1))

    # --- the whole account ------------------------------------------------------------

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
        self.env["affiliate.stripe.run.part"].search([]).leased_until = False
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
        self.account.backoff_until = False
        self.env.ref("affiliate_stripe.ir_cron_sync").method_direct_trigger()
        self.assertEqual(self.mirrored(), self.at_stripe())

    def test_sync_needs_a_connection(self):
        account = self.env["affiliate.stripe.account"].create({})
        with self.assertRaisesRegex(UserError, "Connect the account first"):
            account.action_sync_now()

    # --- the way back -----------------------------------------------------------------

    def test_disconnecting_deletes_the_endpoint_and_forgets_the_key(self):
        self.shop.product("Stays")
        self.deliver()
        self.account.action_disconnect()
        self.assertEqual(self.endpoints(), [])
        self.assertEqual(self.account.state, "draft")
        self.assertFalse(self.account.sudo().api_key_secret)
        self.assertFalse(self.account.api_key_hint)
        self.assertFalse(self.account.sudo().endpoint_ids)
        self.assertEqual(self.env["affiliate.stripe.product"].search([]).name, "Stays")
        with self.assertRaisesRegex(UserError, "Enter an API key"):
            self.account.action_check()

    def test_disconnecting_works_where_stripe_does_not_help(self):
        for prepare in (
            lambda: self.shop.delete(f"webhook_endpoints/{self.endpoints()[0]['id']}"),
            lambda: self.double.add_key(KEY, state="revoked"),
            self.double.stop,
        ):
            prepare()
            with patch.object(stripe_client, "NETWORK_RETRIES", 0):
                self.account.action_disconnect()
            self.assertEqual(self.account.state, "draft")
            self.assertFalse(self.account.sudo().api_key_secret)
            if prepare == self.double.stop:
                break
            self.double.add_key(KEY)
            self.account.api_key = KEY
            self.account.action_connect()
        self.assertTrue(
            self.account.problem, "it says that the endpoint is still there"
        )

    def test_codes_are_deactivated_on_request(self):
        program = self.make_program(discount=10)
        drona = self.make_affiliate(program)
        code = self.promotion(drona)
        self.account.action_deactivate_codes()
        self.assertFalse(self.double.get("promotion_code", code)["active"])
        self.assertEqual(drona.code_ids.state, "inactive")

    def test_uninstalling_deletes_the_endpoints(self):
        uninstall_hook(self.env)
        self.assertEqual(self.endpoints(), [])

    def test_uninstalling_works_without_stripe(self):
        self.double.stop()
        with patch.object(stripe_client, "NETWORK_RETRIES", 0):
            uninstall_hook(self.env)

    def test_an_account_in_use_is_not_deleted(self):
        self.make_program()
        with self.assertRaisesRegex(UserError, "A programme uses this Stripe account"):
            self.account.unlink()

    # --- copies of the database -------------------------------------------------------

    def test_a_neutralised_database_never_calls_stripe(self):
        path = self.account.webhook_url
        delivery_of = self.shop.product("One") and self.double.deliveries()[0]
        self.post_delivery(delivery_of)
        self.env.flush_all()
        with file_open("affiliate_stripe/data/neutralize.sql") as script:
            self.env.cr.execute(script.read())
        self.env["ir.config_parameter"].sudo().set_param(
            "database.is_neutralized", True
        )
        self.env.invalidate_all()
        self.double.requests.clear()
        self.assertEqual(self.account.state, "draft")
        self.assertFalse(self.account.sudo().api_key_secret)
        self.assertFalse(self.account.sudo().endpoint_ids)
        self.assertNotEqual(self.account.webhook_url, path)
        self.assertEqual(self.post_delivery(delivery_of), 404)
        self.env.flush_all()
        for name in ("process", "poll", "sync", "codes"):
            cron = self.env.ref(f"affiliate_stripe.ir_cron_{name}")
            cron.method_direct_trigger()
        self.account.api_key = KEY
        for call in (self.account.action_connect, self.account.action_check):
            with self.assertRaisesRegex(UserError, "neutralised copy"):
                call()
        self.account.action_disconnect()
        self.assertEqual(list(self.double.requests), [])
