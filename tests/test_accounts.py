"""Several Stripe accounts side by side: even with the same ids nothing mixes."""

from odoo.exceptions import AccessError
from odoo.tests import new_test_user, tagged

from .common import KEY
from .test_webhook import WebhookCase

MIRROR = ("product", "price", "customer", "invoice", "charge", "refund")


class AccountsCase(WebhookCase):
    def connect_twin(self, key, company=None, account=None):
        """A second account at which the same will happen, with the very same ids."""
        if account:
            self.double.add_key(key, account=account)
        twin = self.connect(
            key, name="Twin", company_id=(company or self.env.company).id
        )
        livemode = key.startswith("sk_live")
        self.twin_shop = type(self.shop)(self.double, key)
        self.twin_world = self.double.world(account, livemode)
        return twin

    def make_twins(self, twin):
        """A programme at each: 30 % here, 10 % there."""
        self.drona = self.make_affiliate(self.make_program(rate=30))
        program = self.make_program(
            rate=10, stripe_account_id=twin.id, company_id=twin.company_id.id
        )
        self.nora = self.make_affiliate(program, "Nora Other")
        self.deliver()

    def play(self):
        """The same sale at both, 100.00."""
        state = self.double.world().random.getstate()
        self.invoice = self.sell(self.shop, self.drona)
        self.twin_world.random.setstate(state)
        twin = self.sell(self.twin_shop, self.nora)
        self.assertEqual(twin["id"], self.invoice["id"])

    @staticmethod
    def sell(shop, affiliate):
        customer = shop.customer(
            "jane@x.example", metadata={"affiliate": affiliate.code}
        )
        shop.price(10000)
        return shop.invoice(customer, 10000)

    def by_affiliate(self):
        return {
            affiliate.partner_id.name: self.amounts(affiliate_id=affiliate.id)
            for affiliate in self.rows().affiliate_id
        }

    def mirrored(self, account):
        return {
            kind: self.env[f"affiliate.stripe.{kind}"]
            .search([("account_id", "=", account.id)])
            .mapped("stripe_id")
            for kind in MIRROR
        }


@tagged("post_install", "-at_install")
class TestSameIds(AccountsCase):
    def test_two_accounts_of_one_company(self):
        twin = self.connect_twin("sk_test_other", account="acct_other")
        self.check_apart(twin)

    def test_test_and_live_mode_of_one_account(self):
        twin = self.connect_twin("sk_live_double_live")
        self.assertEqual(twin.stripe_account_id, self.account.stripe_account_id)
        self.check_apart(twin)

    def test_accounts_of_two_companies(self):
        company = self.env["res.company"].create({"name": "Elsewhere"})
        self.env.user.company_ids += company
        twin = self.connect_twin("sk_test_other", company, "acct_other")
        self.check_apart(twin)
        self.assertEqual(
            self.nora.commission_ids.company_id | self.nora.company_id, company
        )

    def check_apart(self, twin):
        self.make_twins(twin)
        self.play()
        both = self.double.deliveries()
        ids = [delivery.event["id"] for delivery in both]
        self.assertEqual(len(ids), 2 * len(set(ids)), "the same event ids")
        # Half of it at a time: the events of one leave the other as it was.
        ours = [d for d in both if d.world is self.double.world()]
        self.deliver(ours)
        self.assertEqual(self.by_affiliate(), {"Drona Rao": [30.0]})
        self.assertFalse(any(self.mirrored(twin).values()))
        self.deliver()
        expected = {"Drona Rao": [30.0], "Nora Other": [10.0]}
        self.assertEqual(self.by_affiliate(), expected)
        self.assertEqual(self.mirrored(self.account), self.mirrored(twin))
        # A refund at one, with its hold and its correction, is nothing to the other.
        self.shop.refund(self.invoice, 5000)
        self.deliver()
        expected["Drona Rao"] = [30.0, -15.0]
        self.assertEqual(self.by_affiliate(), expected)
        self.assertFalse(self.mirrored(twin)["refund"])
        self.assertEqual(len(self.nora.referral_ids), 1)
        self.twin_shop.delete(f"products/{self.twin_shop.product('Gone')['id']}")
        self.deliver()
        self.assert_pending_empty()
        self.check_the_rest(twin, expected)

    def check_the_rest(self, twin, ledger):
        """Sync, polling and trouble of one leave the other and the ledgers alone."""
        sync = self.env["affiliate.stripe.sync"]
        before = self.mirrored(twin)
        self.reconcile()
        self.assertEqual(self.mirrored(twin), before)
        sync._poll_events(twin)
        self.process()
        self.assertEqual(self.by_affiliate(), ledger)
        self.double.add_key(KEY, state="revoked")
        self.account.action_sync_now()
        event = self.events.filtered(lambda e: e.account_id == self.account)[0]
        event.action_retry()
        self.twin_shop.product("Goes on")
        self.deliver()
        self.assertEqual((self.account.state, twin.state), ("error", "connected"))
        self.assertFalse(twin.activity_ids or twin.problem)
        self.assertEqual(event.state, "pending")
        self.assertIn(
            "Goes on",
            self.env["affiliate.stripe.product"]
            .search([("account_id", "=", twin.id)])
            .mapped("name"),
        )


@tagged("post_install", "-at_install")
class TestCompanies(AccountsCase):
    def test_people_of_one_company_see_and_change_nothing_of_another(self):
        company = self.env["res.company"].create({"name": "Elsewhere"})
        self.env.user.company_ids += company
        twin = self.connect_twin("sk_test_other", company, "acct_other")
        self.make_twins(twin)
        self.play()
        self.deliver()
        user = new_test_user(
            self.env,
            "elsewhere",
            "affiliate_stripe.group_affiliate_manager,"
            "affiliate_stripe.group_affiliate_accountant",
            company_id=company.id,
            company_ids=[(6, 0, company.ids)],
        )
        for name in (
            *(f"affiliate.stripe.{kind}" for kind in MIRROR if kind != "refund"),
            "affiliate.stripe.account",
            "affiliate.stripe.event",
            "affiliate.stripe.endpoint",
            "affiliate.stripe.invoice.line",
            "affiliate.commission",
            "affiliate.referral",
            "affiliate.program",
            "affiliate.affiliate",
            "affiliate.code",
        ):
            with self.subTest(name):
                everything = self.env[name].sudo().search([])
                self.assertEqual(len(everything.company_id), 2)
                seen = self.env[name].with_user(user).search([])
                self.assertEqual(seen.company_id, company)
                foreign = everything.filtered(lambda row: row.company_id != company)
                with self.assertRaises(AccessError):
                    foreign[0].with_user(user).read(["company_id"])
        account = self.account.with_user(user)
        for action in (
            "check",
            "check_webhook",
            "roll_secret",
            "sync_now",
            "disconnect",
        ):
            with self.subTest(action), self.assertRaises(AccessError):
                getattr(account, f"action_{action}")()
        with self.assertRaises(AccessError):
            self.events.filtered(
                lambda event: event.account_id == self.account
            ).with_user(user).action_retry()
        self.assertEqual(self.account.state, "connected")
