"""Deleting loses nothing: no history here, and nothing stays alive in Stripe."""

from unittest.mock import patch

from odoo.exceptions import UserError
from odoo.tests import TransactionCase, tagged

from ..lib import stripe_client
from ..models.affiliate_affiliate import HISTORY
from .test_codes import CodesCase
from .test_security import MODULE, lasting_models

#: What is deleted with something else, by the database and without asking anybody, and
#: why that is right. A new ``ondelete="cascade"`` has to be decided on here.
CASCADES = {
    ("affiliate.application", "affiliate_id"): "what a person wrote who is deleted",
    ("affiliate.application", "program_id"): "a program with affiliates stays",
    ("affiliate.commission.rule", "program_id"): "a program with affiliates stays, and "
    "a rule that has earned something",
    ("affiliate.referral.flag", "referral_id"): "a doubt about a lead that is deleted",
    ("affiliate.referral.move", "referral_id"): "a lead that is deleted; what has "
    "earned something stays",
    ("affiliate.stripe.endpoint", "account_id"): "a connected account stays",
    ("affiliate.stripe.event", "account_id"): "an account with a program stays",
    ("affiliate.stripe.run", "account_id"): "an account with a program stays",
    ("affiliate.stripe.run.difference", "part_id"): "what a reading has found",
    ("affiliate.stripe.run.part", "run_id"): "a part of a reading",
}
#: Models with a guard of their own which such a deletion goes around, all the same.
AROUND_A_GUARD = {("affiliate.commission.rule", "program_id")}


def cascades(env):
    mirror = env.registry["affiliate.stripe.mixin"]
    for model in lasting_models(env):
        for field in env[model]._fields.values():
            if (
                field.type == "many2one"
                and field.store
                and MODULE in field._modules
                and field.ondelete == "cascade"
                # The mirror goes with its account, which stays while a program uses it.
                and not (
                    field.name == "account_id"
                    and issubclass(env.registry[model], mirror)
                )
            ):
                yield model, field.name


def has_guard(env, model):
    """Whether a model of ours refuses deletions, or does something about them."""
    ours = [cls for cls in env.registry[model].mro() if MODULE in cls.__module__]
    return any(
        name == "unlink" or hasattr(value, "_ondelete")
        for cls in ours
        for name, value in vars(cls).items()
    )


@tagged("post_install", "-at_install")
class TestEveryCascade(TransactionCase):
    def test_it_was_decided_on(self):
        self.assertEqual(set(cascades(self.env)), set(CASCADES))

    def test_it_goes_around_no_guard(self):
        around = {
            (model, name)
            for model, name in cascades(self.env)
            if has_guard(self.env, model)
        }
        self.assertEqual(around, AROUND_A_GUARD)

    def test_guards_are_seen(self):
        for model in ("affiliate.code", "affiliate.affiliate", "affiliate.settlement"):
            self.assertTrue(has_guard(self.env, model), model)
        self.assertFalse(has_guard(self.env, "affiliate.click"))

    def test_whatever_names_an_affiliate_is_history(self):
        """Or it goes with the affiliate: its codes and its applications."""
        pointing = {
            (model, field.name)
            for model in lasting_models(self.env)
            for field in self.env[model]._fields.values()
            if field.type == "many2one"
            and field.store
            and field.comodel_name == "affiliate.affiliate"
            and MODULE in field._modules
        }
        gone = {
            ("affiliate.application", "affiliate_id"),
            ("affiliate.code", "affiliate_id"),
        }
        self.assertEqual(pointing - gone, set(HISTORY))
        for model, name in HISTORY:
            with self.subTest(model=model, field=name):
                field = self.env[model]._fields[name]
                self.assertEqual(field.ondelete, "restrict")


@tagged("post_install", "-at_install")
class TestDeletingAffiliates(CodesCase):
    def setUp(self):
        super().setUp()
        self.program = self.make_program(discount=10)
        self.drona = self.approve(self.program)

    def active(self):
        return self.promotions(active=True)

    def assert_kept(self, affiliate, *what):
        with self.assertRaises(UserError) as refused, self.env.cr.savepoint():
            affiliate.unlink()
        for words in (*what, "rchive the affiliate"):
            self.assertIn(words, str(refused.exception))
        self.env.invalidate_all()
        self.assertTrue(affiliate.exists())

    def visit(self, code):
        self.env["affiliate.click"].sudo().create(
            {
                "visitor": self.new_visitor(),
                "code_id": code.id,
                "affiliate_id": code.affiliate_id.id,
                "program_id": code.program_id.id,
                "company_id": code.company_id.id,
                "date": "2026-01-01 00:00:00",
            }
        )

    def test_without_a_history_it_is_switched_off_in_stripe_first(self):
        self.push(self.drona)
        code = self.drona.code_ids
        self.assertEqual(len(self.active()), 1)
        self.drona.unlink()
        self.assertEqual(self.active(), [])
        self.assertFalse(code.exists())

    def test_several_at_once(self):
        uma = self.approve(self.program, "Uma Iyer")
        self.push(self.drona)
        self.push(uma)
        (self.drona | uma).unlink()
        self.assertEqual(self.active(), [])

    def test_what_a_lost_answer_made_is_switched_off_as_well(self):
        self.double.disturb("lost", "POST /v1/promotion_codes", times=1)
        code = self.push_unreachable(self.drona)
        self.assertFalse(code.promotion_code_ids)
        self.assertEqual(len(self.active()), 1)
        self.drona.unlink()
        self.assertEqual(self.active(), [])

    def test_while_stripe_is_away_nothing_is_deleted(self):
        self.push(self.drona)
        self.double.disturb("status", "POST /v1/promotion_codes", times=9, status=500)
        with patch.object(stripe_client, "NETWORK_RETRIES", 0):
            self.assert_kept(self.drona)
        self.assertEqual(self.drona.code_ids.state, "synced")
        self.double.calm()
        self.drona.unlink()
        self.assertEqual(self.active(), [])

    def test_one_that_cannot_be_switched_off_keeps_all(self):
        uma = self.approve(self.program, "Uma Iyer")
        self.push(self.drona)
        self.push(uma)
        both = self.drona | uma
        last = self.promotion(uma)
        self.double.disturb(
            "status", f"POST /v1/promotion_codes/{last}", times=9, status=500
        )
        with (
            patch.object(stripe_client, "NETWORK_RETRIES", 0),
            self.assertRaises(UserError),
            self.env.cr.savepoint(),
        ):
            both.unlink()
        self.env.invalidate_all()
        self.assertEqual(len(both.exists()), 2)
        self.double.calm()
        # What was done at Stripe before is heard of, and said.
        self.deliver()
        self.assertEqual(self.drona.code_ids.state, "error")
        both.unlink()
        self.assertEqual(self.active(), [])

    def test_a_copy_of_the_database_changes_nothing_in_stripe(self):
        self.push(self.drona)
        self.account.sudo().home_uuid = "another database"
        with self.assertRaisesRegex(UserError, "copy"), self.env.cr.savepoint():
            self.drona.unlink()
        self.env.invalidate_all()
        self.assertTrue(self.drona.exists())
        self.assertEqual(len(self.active()), 1)

    def test_a_disconnected_account_is_named(self):
        self.push(self.drona)
        self.account.action_disconnect()
        self.assert_kept(self.drona, "Acme")

    def test_codes_for_links_need_no_stripe(self):
        self.program.discount_type = "none"
        uma = self.approve(self.program, "Uma Iyer")
        self.push(uma)
        before = len(self.double.request_log())
        uma.unlink()
        self.assertEqual(len(self.double.request_log()), before)

    def test_an_applicant_can_be_deleted(self):
        partner = self.env["res.partner"].create({"name": "No", "email": "n@o.example"})
        pending = self.env["affiliate.affiliate"].create(
            {"partner_id": partner.id, "program_id": self.program.id}
        )
        pending.unlink()
        self.assertFalse(pending.exists())

    # --- history ----------------------------------------------------------------------

    def test_customers_and_commissions(self):
        self.push(self.drona)
        self.shop.buy(self.shop.price(10000), "jane@example.com", code=self.drona.code)
        self.deliver()
        self.assert_kept(self.drona, "1 commission", "1 customer or lead")
        self.assertEqual(len(self.active()), 1)

    def test_a_lead(self):
        self.env["affiliate.referral"].create(
            {"email": "jane@example.com", "affiliate_id": self.drona.id}
        )
        self.assert_kept(self.drona, "1 customer or lead")

    def test_visits(self):
        self.visit(self.drona.code_ids)
        self.assert_kept(self.drona, "1 visit")
        with self.assertRaisesRegex(UserError, "Deactivate it instead"):
            self.drona.code_ids.unlink()

    def test_whom_he_recruited(self):
        uma = self.approve(self.program, "Uma Iyer")
        uma.parent_id = self.drona
        self.assert_kept(self.drona, "1 recruited affiliate")
        uma.unlink()
        self.drona.unlink()

    def test_a_code_that_customers_have_used(self):
        """Of which we have not heard yet: Stripe knows."""
        self.push(self.drona)
        self.shop.buy(self.shop.price(10000), "jane@example.com", code=self.drona.code)
        self.assert_kept(self.drona, self.drona.code)
        self.assertEqual(len(self.active()), 1)

    # --- archiving --------------------------------------------------------------------

    def test_archiving_switches_off_and_keeps_everything(self):
        self.push(self.drona)
        self.shop.buy(self.shop.price(10000), "jane@example.com", code=self.drona.code)
        self.deliver()
        self.drona.action_archive()
        self.assertEqual((self.drona.active, self.drona.state), (False, "suspended"))
        self.assertEqual(self.active(), [])
        # A customer of an archived affiliate stays his.
        sale = self.rows().invoice_id
        self.shop.post(
            "refunds", charge=self.double.all("charge")[0]["id"], amount=4500
        )
        self.deliver()
        self.assertEqual(self.total(), 13.50)
        self.assertTrue(sale)
        self.drona.action_reactivate()
        self.run_cron()
        self.assertEqual((self.drona.active, self.drona.state), (True, "active"))
        self.assertEqual(len(self.active()), 1)

    def test_only_what_is_decided_is_archived(self):
        with self.assertRaisesRegex(UserError, "suspended or rejected"):
            self.drona.active = False
        partner = self.env["res.partner"].create({"name": "No", "email": "n@o.example"})
        pending = self.env["affiliate.affiliate"].create(
            {"partner_id": partner.id, "program_id": self.program.id}
        )
        with self.assertRaisesRegex(UserError, "suspended or rejected"):
            pending.action_archive()
        pending.action_reject()
        pending.action_archive()
        self.assertFalse(pending.active)
        # A second thought.
        pending.action_approve()
        self.assertEqual((pending.active, pending.state), (True, "active"))

    def test_programs_know_their_archived_affiliates(self):
        self.drona.action_archive()
        with self.assertRaisesRegex(UserError, "archived, not deleted"):
            self.program.unlink()
        with self.assertRaisesRegex(UserError, "new programme"):
            other = self.env["affiliate.stripe.account"].create({"name": "Other"})
            self.program.stripe_account_id = other

    # --- accounts ---------------------------------------------------------------------

    def test_a_connected_account_is_disconnected_first(self):
        """Its webhook would go on calling us."""
        other = self.env["affiliate.stripe.account"].create({"name": "Empty"})
        other.unlink()
        self.program.affiliate_ids.unlink()
        self.program.unlink()
        with self.assertRaisesRegex(UserError, "Disconnect"):
            self.account.unlink()
        self.account.action_disconnect()
        self.account.unlink()
        self.assertEqual(self.double.all("webhook_endpoint"), [])
