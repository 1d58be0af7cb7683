"""Keys: which are taken, what each problem says, and that nobody reads them."""

import json
from unittest.mock import patch

from odoo.exceptions import UserError, ValidationError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..lib import stripe_client
from .common import KEY, StripeCase

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
        self.account.sudo().state = "error"
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
