"""One mailbox in several spellings is one person, wherever addresses meet."""

import importlib.util
import itertools
import unittest

from odoo.tests import tagged
from odoo.tools import file_path

from ..lib.domains import mailbox, one_spelling, spellings
from ..lib.masking import mask_email
from ..lib.quality import is_disposable
from .money_common import MoneyCase
from .test_links import TrackingCase

COMPOSED, DECOMPOSED = "ren\u00e9@example.com", "rene\u0301@example.com"
# Of each group all are one mailbox.
ONE = (
    ("anna@bücher.example", "anna@xn--bcher-kva.example", "Anna@BÜCHER.example"),
    (COMPOSED, DECOMPOSED, "REN\u00c9@example.com", "RENE\u0301@EXAMPLE.COM"),
    ("иван@пример.example", "ИВАН@xn--e1afmkfd.example"),
    ("γιώργος@example.com", "ΓΙΏΡΓΟΣ@example.com"),
    ("ς.σ@example.com", "σ.ς@example.com", "Σ.Σ@example.com"),
    ("\u212belan@example.com", "\u00e5elan@example.com", "A\u030aelan@example.com"),
    ("jo@❤.example", "jo@xn--qei.example"),
    ("jo@bu\u0308cher.example", "jo@bücher.example."),
)
OTHERS = (
    ("jane+news@example.com", "jane@example.com"),
    ("weiß@example.com", "weiss@example.com"),
    ("rené@example.com", "rene@example.com"),
    ("jo@bücher.example", "jo@bucher.example"),
    ("\u017fam@example.com", "sam@example.com"),  # a long s
    ("\u017fam@example.com", "SAM@example.com"),
    ("\u1e9bam@example.com", "\u1e61am@example.com"),  # and with a dot
    ("\u0131da@example.com", "ida@example.com"),
    ("\u0130da@example.com", "ida@example.com"),
    ("\u212belan@example.com", "aelan@example.com"),
)


class TestForms(unittest.TestCase):
    def test_one_form_for_one_mailbox(self):
        for group in ONE:
            self.assertEqual(len({*map(one_spelling, group)}), 1, group)
            self.assertEqual(len({*map(mailbox, group)}), 1, group)
            self.assertEqual(len({*map(mask_email, group)}), 1, group)
        for one, other in OTHERS:
            self.assertNotEqual(one_spelling(one), one_spelling(other))

    def test_the_form_stays(self):
        for email in itertools.chain(*ONE, *OTHERS, ("", "nobody", "a@b@c.example")):
            once = one_spelling(email)
            self.assertEqual(one_spelling(once), once)
            self.assertIn(once, [*spellings(email), once])
            self.assertEqual({*map(one_spelling, spellings(email))}, {once})

    def test_others_have_stored_one_of_these(self):
        for group in ONE[:4]:
            for email in group:
                # As core keeps it in contacts.
                name, _at, domain = email.rpartition("@")
                self.assertIn(f"{name}@{domain.lower()}".lower(), spellings(group[0]))
        self.assertEqual(spellings("Jane@example.com"), ["jane@example.com"])

    def test_what_is_shown_stays_readable(self):
        self.assertEqual(mask_email("anna@xn--bcher-kva.example"), "a•••@b•••.example")

    def test_throw_away_addresses_in_any_spelling(self):
        for email in ("x@mailinator.com", "X@MAILINATOR.COM", "x@ｍailinator.com"):
            self.assertTrue(is_disposable(email), email)


@tagged("post_install", "-at_install")
class TestSpellings(MoneyCase):
    def test_whom_a_person_mapped_pays_in_another_spelling(self):
        for group in ONE:
            for number, pair in enumerate(itertools.permutations(group[:2])):
                # Each pair is a person of his own.
                mapped, paid = (f"{number}{email}" for email in pair)
                with self.subTest(mapped=mapped, paid=paid):
                    before = self.total()
                    self.bind(mapped)
                    self.sell(10000, email=paid)
                    self.assertEqual(round(self.total() - before, 2), 30.0)

    def test_the_payment_comes_first(self):
        self.sell(10000, email="ANNA@xn--bcher-kva.example")
        self.assertEqual(self.amounts(), [])
        claim = self.bind("anna@bücher.example")
        self.assertEqual(self.amounts(), [30.0])
        self.assertEqual(claim.email, "anna@bücher.example", "as people read it")

    def test_customers_of_one_mailbox_are_one_person(self):
        self.program.rule_ids.applies_to = "first"
        self.bind(COMPOSED)
        for email in (DECOMPOSED, COMPOSED, "REN\u00c9@example.com"):
            self.sell(10000, email=email)
        self.assertEqual(self.amounts(), [30.0], "the first payment of a person")
        binding = self.rows().referral_id
        self.assertEqual(len(binding.customer_ids), 3)

    def test_a_guest_and_a_customer_of_one_mailbox(self):
        self.bind("anna@bücher.example")
        self.shop.buy(
            self.shop.price(10000, interval=None), "anna@xn--bcher-kva.example"
        )
        self.deliver()
        self.sell(5000, email="Anna@Bücher.example")
        self.assertEqual(self.amounts(), [30.0, 15.0])

    def test_a_customer_who_is_bound_is_not_claimed_by_another(self):
        self.bind(COMPOSED)
        self.sell(10000, email=COMPOSED)
        uma = self.make_affiliate(self.program, "Uma Iyer")
        with self.assertRaisesRegex(Exception, "has already paid"):
            self.bind(DECOMPOSED, uma)

    def test_a_name_with_a_plus_is_another_claim_and_the_same_buyer(self):
        self.bind("jane+news@bücher.example")
        self.sell(10000, email="jane@xn--bcher-kva.example")
        self.assertEqual(self.amounts(), [], "two for claiming")
        self.drona.partner_id.email = "drona+x@bücher.example"
        flags = self.env["affiliate.referral.flag"]
        self.buy_with_code("drona@xn--bcher-kva.example")
        self.assertIn("self", flags.search([]).mapped("kind"))

    def test_the_affiliate_himself_in_another_spelling(self):
        self.drona.partner_id.email = DECOMPOSED
        self.buy_with_code("REN\u00c9@example.com")
        flags = self.env["affiliate.referral.flag"].search([])
        self.assertIn("self", flags.mapped("kind"))

    def buy_with_code(self, email):
        session = self.shop.checkout(
            self.shop.price(10000, interval=None),
            customer_creation="always",
            client_reference_id=self.drona.code,
        )
        self.double.complete_session(session["id"], email=email)
        self.deliver()

    def test_erased_in_every_spelling(self):
        claim = self.bind("anna@bücher.example")
        self.sell(10000, email="anna@xn--bcher-kva.example")
        self.sell(10000, email="Anna@BÜCHER.example")
        claim.action_export_person()
        claim._erase_person()
        customers = self.env["affiliate.stripe.customer"].search([])
        self.assertEqual(customers.mapped("email"), [False, False])
        self.assertEqual(
            self.env["affiliate.referral"].search_count([("email", "like", "cher")]), 0
        )
        self.assertEqual(self.total(), 60.0)


@tagged("post_install", "-at_install")
class TestSpellingsOfVisitors(TrackingCase):
    def test_left_twice_by_the_script(self):
        reference = self.visit()
        for email in ("anna@bücher.example", "anna@xn--bcher-kva.example"):
            answer = self.send("lead", {"email": email, "reference": reference})
            self.assertEqual(answer.status_code, 204)
        self.assertEqual(self.leads().mapped("email"), ["anna@bücher.example"])

    def test_left_by_the_server(self):
        referrals = self.env["affiliate.referral"]
        first = referrals.track_lead(COMPOSED, "DRONA29")
        for email in (DECOMPOSED, "REN\u00c9@EXAMPLE.COM"):
            self.assertEqual(referrals.track_lead(email, "DRONA29"), first)

    def test_contacts_are_found_in_each_spelling(self):
        applications = self.env["affiliate.application"].sudo()
        for stored, typed in (
            ("anna@xn--bcher-kva.example", "anna@bücher.example"),
            ("otto@bücher.example", "otto@xn--bcher-kva.example"),
            (DECOMPOSED, "RENÉ@example.com"),
        ):
            partner = self.env["res.partner"].create({"name": "A", "email": stored})
            application = applications.create(
                {
                    "name": "A",
                    "email": typed,
                    "mailbox": mailbox(typed),
                    "program_id": self.program.id,
                }
            )
            self.assertEqual(application._find_partners(), partner, typed)

    def test_a_login_in_another_spelling(self):
        applications = self.env["affiliate.application"]
        user = self.env.user.copy({"login": "anna@xn--bcher-kva.example"})
        application = applications.sudo().create(
            {
                "name": "Anna",
                "email": "anna@bücher.example",
                "mailbox": mailbox("anna@bücher.example"),
                "program_id": self.program.id,
            }
        )
        self.assertEqual(application._find_user(), user)


@tagged("post_install", "-at_install")
class TestUpgrade(MoneyCase):
    def upgrade(self):
        """What an update of a database from before does."""
        path = "affiliate_stripe/migrations/19.0.1.0.2/post-addresses.py"
        spec = importlib.util.spec_from_file_location("post_addresses", file_path(path))
        script = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(script)
        self.env.flush_all()
        script.migrate(self.env.cr, None)
        self.env.invalidate_all()

    def test_what_is_stored_gets_the_one_form(self):
        uma = self.make_affiliate(self.program, "Uma Iyer")
        claim = self.bind("RENÉ@example.com", uma)
        session = self.shop.post(
            "checkout/sessions",
            mode="setup",
            currency="usd",
            success_url="https://acme.example/done",
            client_reference_id=self.drona.code,
        )
        self.double.complete_session(session["id"], email="Sam@example.com")
        self.deliver()
        # As it was before.
        self.env.cr.execute(
            """UPDATE affiliate_referral SET email_normalized = 'RENÉ@example.com'
                WHERE id = %s;
               UPDATE affiliate_stripe_checkout_session SET email_normalized = NULL""",
            [claim.id],
        )
        self.env.invalidate_all()
        self.double.advance(60)
        for email in (DECOMPOSED, "sam@example.com"):
            self.sell(10000, email=email)
        self.assertEqual(self.amounts(), [])
        self.upgrade()
        customers = self.env["affiliate.stripe.customer"].search([])
        self.assertEqual(customers.mapped("ledger_due"), [True, True])
        self.env["affiliate.referral"].sudo()._refresh(self.account, customers)
        self.assertEqual(self.amounts(), [30.0, 30.0])
        self.assertEqual(self.rows().affiliate_id, uma | self.drona)
        before = claim.email_normalized
        self.upgrade()
        self.assertEqual(claim.email_normalized, before)
