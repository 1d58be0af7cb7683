"""Copies, moves and restores of a database: who may act for a Stripe account."""

from unittest.mock import patch

from odoo.exceptions import UserError, ValidationError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..lib import stripe_client
from .common import KEY
from .test_codes import CodesCase
from .test_endpoints import PATH, EndpointCase

WRITES = ("POST", "DELETE")


class HomeCase(EndpointCase, CodesCase):
    """Afterwards things happen that only the home may have done in Stripe."""

    def setUp(self):
        super().setUp()
        self.polled_now()
        self.parameters = self.env["ir.config_parameter"].sudo()
        self.program = self.make_program(discount=10)
        self.drona = self.make_affiliate(self.program)
        self.env.flush_all()

    # --- what makes a copy ------------------------------------------------------------

    def duplicate(self):
        """What Odoo does when it duplicates a database, or restores it as a copy."""
        self.env["ir.config_parameter"].init(force=True)
        self.parameters.set_param("web.base.url", self.base_url())

    def rename(self):
        """What `createdb -T` and `pg_restore` leave as it was, but the name."""
        self.account.sudo().home_database = "production"

    def open_elsewhere(self, url="http://10.0.0.5:8069"):
        """What Odoo does when an administrator logs in by another address."""
        self.parameters.set_param("web.base.url", url)
        self.env.invalidate_all()

    def other_database(self):
        """What the daily check of another database with our webhook does."""
        (endpoint,) = self.at_stripe()
        self.shop.post(f"{PATH}/{endpoint['id']}", metadata={"odoo_mark": "other"})

    def later(self):
        """Long enough after we have seen our mark."""
        self.env.cr.execute("UPDATE affiliate_stripe_mark SET read_at = '2020-01-01'")
        self.env.flush_all()

    # --- what is asked ----------------------------------------------------------------

    def answer(self, answer, **values):
        action = self.account.action_answer_home()
        wizard = (
            self.env[action["res_model"]]
            .with_context(**action["context"])
            .create({"answer": answer, **values})
        )
        return wizard.action_confirm()

    def writes(self):
        return [entry for method in WRITES for entry in self.double.request_log(method)]

    def everything(self):
        """All that the buttons and scheduled actions would do in Stripe."""
        account, code = self.account, self.drona.code_ids
        for act in (
            self.drona.action_suspend,
            code.action_deactivate,
            code.action_push,
            code.action_activate,
            code.action_propose_other,
            account.action_deactivate_codes,
            account.action_check,
            account.action_connect,
            account.action_check_webhook,
            account.action_roll_secret,
            account.action_disconnect,
            lambda: self.approve(self.program, "Uma Iyer"),
        ):
            with (
                self.subTest(act=getattr(act, "__name__", "approve")),
                self.assertRaisesRegex(UserError, "may be a copy"),
            ):
                act()
        self.program.discount_value = 20
        self.run_cron()
        self.check()


@tagged("post_install", "-at_install")
class TestCopies(HomeCase):
    def test_nothing_is_written_to_stripe_and_nobody_told_of_success(self):
        for become_another in (self.duplicate, self.rename, self.open_elsewhere):
            with self.subTest(become_another.__name__), self.env.cr.savepoint() as undo:
                become_another()
                self.env.flush_all()
                before, at_stripe = len(self.writes()), self.at_stripe()
                self.assertTrue(self.account.home_question)
                self.everything()
                self.assertEqual(self.writes()[before:], [])
                self.assertEqual(self.at_stripe(), at_stripe)
                self.assertEqual(self.drona.state, "active")
                # It waits, and says why.
                self.assertEqual(self.drona.code_ids.state, "draft")
                note = self.account.activity_ids.note
                self.assertIn("may be a copy", note)
                undo.rollback()
                self.env.invalidate_all()

    def test_reading_goes_on(self):
        self.duplicate()
        self.shop.buy(self.shop.price(10000), "jane@example.com", code="DRONA29")
        self.deliver()
        self.assertEqual(self.total(), 27.00)

    def test_a_home_is_asked_nothing(self):
        self.assertFalse(self.account.home_question)
        self.open_elsewhere(self.account.public_url)
        self.assertFalse(self.account.home_question)
        self.check()
        self.check()
        self.assertFalse(self.account.activity_ids)

    def test_an_account_that_is_not_connected_has_no_home(self):
        self.account.action_disconnect()
        self.duplicate()
        self.assertFalse(self.account.home_question)
        self.account.api_key = KEY
        self.account.action_connect()
        self.assert_healthy()
        self.assertFalse(self.account.home_question)

    def test_this_is_a_copy(self):
        self.duplicate()
        before, at_stripe = len(self.writes()), self.at_stripe()
        token = self.account.webhook_token
        self.answer("copy")
        self.assertEqual(self.writes()[before:], [])
        self.assertEqual(self.at_stripe(), at_stripe)
        account = self.account
        self.assertEqual((account.state, account.api_key_hint), ("draft", False))
        self.assertFalse(account.sudo().api_key_secret)
        self.assertFalse(account.endpoint_ids)
        self.assertNotEqual(account.webhook_token, token)
        self.assertFalse(account.activity_ids)
        self.check()
        self.assertEqual(self.writes()[before:], [])

    def test_this_is_the_new_home(self):
        """A database that was moved: all of it works as before, and nothing twice."""
        uma = self.make_affiliate(self.program, "Uma Iyer")
        self.duplicate()
        self.account.sudo().home_database = "production"
        promotions = self.promotions()
        self.assertTrue(self.account.home_question)
        self.answer("home")
        self.assertFalse(self.account.home_question)
        self.check()
        self.assert_healthy()
        self.assertFalse(self.account.activity_ids)
        for affiliate in (self.drona, uma):
            affiliate.action_suspend()
            self.assertEqual(affiliate.code_ids.state, "inactive")
            affiliate.action_reactivate()
        self.run_cron()
        self.assertEqual(self.drona.code_ids.state, "synced")
        self.assertEqual(self.promotions(), promotions)
        self.program.discount_value = 20
        self.run_cron()
        self.assertEqual(
            sorted(promo["code"] for promo in self.promotions(active=True)),
            ["DRONA29", "UMA30"],
        )

    def test_officers_do_not_decide(self):
        self.duplicate()
        officer = self.env["res.users"].create(
            {
                "name": "Officer",
                "login": "home_officer",
                "group_ids": [
                    (4, self.env.ref("affiliate_stripe.group_affiliate_officer").id)
                ],
            }
        )
        wizard = self.env["affiliate.stripe.home.wizard"].with_user(officer)
        self.assertFalse(wizard.has_access("create"))


@tagged("post_install", "-at_install")
class TestSecondDatabase(HomeCase):
    """Copies that Odoo cannot tell: the same id, the same name, the same address."""

    def test_the_mark_changes_daily(self):
        marks = set()
        for _day in range(3):
            marks.add(self.at_stripe()[0]["metadata"]["odoo_mark"])
            self.check()
        self.assertEqual(len(marks), 3)

    def test_the_daily_check_finds_it(self):
        self.other_database()
        at_stripe = self.at_stripe()
        self.check()
        self.assertIn("Another database", self.account.home_question)
        self.assertIn("Another database", self.account.activity_ids.note)
        self.assertEqual(self.at_stripe(), at_stripe)

    def test_the_first_write_finds_it(self):
        """A backup, restored a moment ago: no daily check has been yet."""
        self.other_database()
        self.later()
        before = len(self.writes())
        uma = self.approve(self.program, "Uma Iyer")
        code = self.push(uma)
        self.assertEqual(self.writes()[before:], [])
        self.assertEqual(code.state, "draft")
        self.assertIn("may be a copy", code.sync_error)
        self.assertTrue(self.account.rival_seen)

    def test_it_is_remembered_though_the_button_was_refused(self):
        self.other_database()
        self.later()
        with self.assertRaisesRegex(UserError, "may be a copy"):
            self.account.action_roll_secret()
            self.env.flush_all()
        self.env.cr.postrollback.run()
        self.env.invalidate_all()
        self.assertTrue(self.account.rival_seen)
        self.assertIn("Another database", self.account.home_question)

    def test_one_look_is_enough_for_many_codes(self):
        affiliates = [self.approve(self.program, f"Uma {n}") for n in range(3)]
        self.later()
        before = len(self.double.request_log("GET", f"/v1/{PATH}"))
        for affiliate in affiliates:
            self.push(affiliate)
        looks = len(self.double.request_log("GET", f"/v1/{PATH}")) - before
        self.assertEqual(looks, 1)

    def test_an_answer_that_was_lost_is_no_other_database(self):
        """Stripe changed the mark, then our transaction was rolled back."""
        mark = self.account._plan_mark()
        self.shop.post(
            f"{PATH}/{self.at_stripe()[0]['id']}", metadata={"odoo_mark": mark}
        )
        self.check()
        self.assertFalse(self.account.home_question)

    def test_a_key_that_may_not_write_is_no_other_database(self):
        """Each day a mark is noted and refused; the one that is there stays known."""
        self.double.add_key(KEY, permissions=["webhook_read", "event_read"])
        for _day in range(8):
            self.later()
            self.check()
        self.assertIn("may not look after", self.account.webhook_problem)
        self.assertFalse(self.account.home_question)

    def test_the_new_home_takes_the_webhook_over(self):
        self.other_database()
        self.check()
        self.answer("home")
        self.check()
        self.assert_healthy()
        self.assertFalse(self.account.home_question)
        mark = self.at_stripe()[0]["metadata"]["odoo_mark"]
        self.assertEqual(mark, self.account._read_known_marks()[0][0])
        self.shop.product("Next")
        self.deliver()
        self.assertIn("Next", self.names())

    def test_an_endpoint_newer_than_the_backup_is_replaced(self):
        """The secret was rolled after the backup: nobody here knows the new one."""
        token, own = self.account.webhook_token, self.at_stripe()[0]
        self.shop.delete(f"{PATH}/{own['id']}")
        self.shop.post(
            PATH,
            url=own["url"],
            enabled_events=["invoice.paid"],
            metadata={"odoo_mark": "newer", "odoo_database": self.env.cr.dbname},
        )
        self.check()
        self.assertTrue(self.account.home_question)
        self.assertEqual(len(self.at_stripe()), 1)
        self.answer("home")
        self.check()
        self.assert_healthy()
        self.assertEqual(self.account.webhook_token, token)

    def test_without_the_permission_nobody_can_know(self):
        self.later()
        self.restrict("promotion_code_read", "coupon_read", "coupon_write")
        self.double.add_key(
            KEY,
            permissions=[
                f"{name}_{way}"
                for name in ("promotion_code", "coupon")
                for way in ("read", "write")
            ],
        )
        uma = self.approve(self.program, "Uma Iyer")
        self.assertEqual(self.push(uma).state, "synced")


@tagged("post_install", "-at_install")
class TestRestored(HomeCase):
    """A backup: rows made after it are lost here, and their ids are given out again."""

    def restore(self, affiliate):
        """The affiliate's rows are gone; the next code has the id of the lost one."""
        lost = affiliate.code_ids.id
        self.env.flush_all()
        self.env.cr.execute("DELETE FROM affiliate_code WHERE id = %s", [lost])
        self.env.cr.execute("SELECT setval('affiliate_code_id_seq', %s, false)", [lost])
        self.env.invalidate_all()
        return lost

    def test_a_wished_code_does_not_become_anothers(self):
        lost = self.restore(self.drona)
        uma = self.approve(self.program, "Uma Iyer", wished_code="DRONA29")
        # Stripe's mirror may not know the promotion code either.
        self.env["affiliate.stripe.promotion.code"].sudo().search([]).unlink()
        code = uma.code_ids
        code.sudo().code = "DRONA29"
        self.assertEqual(code.id, lost)
        self.push(uma)
        self.assertEqual(code.state, "error")
        self.assertFalse(code.promotion_code_ids)
        wizard = self.look_at_foreign(code)
        self.assertEqual(wizard.made_for, "Drona Rao")
        self.assertTrue(wizard.is_lost)
        self.assertEqual(wizard.discount, "10 % off the first payment")
        self.assertFalse(code.promotion_code_ids)
        wizard.action_adopt()
        self.assertEqual(code.state, "synced")
        self.assertEqual(len(self.promotions()), 1)

    def test_an_old_idempotency_key_does_not_answer_for_another_code(self):
        self.restore(self.drona)
        uma = self.approve(self.program, "Uma Iyer")
        code = self.push(uma)
        self.assertEqual((code.state, code.sync_error), ("synced", False))
        self.assertNotEqual(code.code, "DRONA29")
        promotion = code.promotion_code_ids
        self.assertEqual(promotion.code, code.code)
        self.assertEqual(len(self.promotions()), 2)

    def test_the_same_row_finds_its_code_again(self):
        """Made in Stripe just before the backup, noted just after it."""
        self.drona.code_ids.sudo().write(
            {"promotion_code_ids": [(5,)], "state": "draft"}
        )
        self.duplicate()
        self.answer("home")
        self.check()
        self.run_cron()
        self.assertEqual(self.drona.code_ids.state, "synced")
        self.assertEqual(len(self.promotions()), 1)


@tagged("post_install", "-at_install")
class TestPublicAddress(HomeCase):
    def addresses(self):
        program, code = self.program, self.drona.code_ids
        script = self.url_open(f"/affiliate/sdk/{program.public_key}.js").text
        return [
            self.account.webhook_url,
            code.short_link,
            program.script_tag,
            program.form_url,
            program.frame_tag,
            script,
            self.drona.get_base_url(),
        ]

    def test_an_internal_login_changes_no_address(self):
        public = self.base_url()
        self.assertEqual(self.account.public_url, public)
        self.env.invalidate_all()
        self.open_elsewhere()
        for address in self.addresses():
            self.assertIn(public, address)
            self.assertNotIn("10.0.0.5", address)
        self.check()
        self.assertTrue(self.at_stripe()[0]["url"].startswith(public))

    def test_it_is_said_and_confirmed_once(self):
        self.open_elsewhere()
        self.assertIn("10.0.0.5", self.account.home_question)
        self.check()
        self.assertIn("10.0.0.5", self.account.activity_ids.note)
        self.answer("home")
        self.assertFalse(self.account.home_question)
        self.assertEqual(self.account.public_url, self.base_url())
        self.check()
        self.assertFalse(self.account.activity_ids)
        # Neither address is a question any more.
        self.open_elsewhere(self.base_url())
        self.assertFalse(self.account.home_question)
        self.open_elsewhere()
        self.assertFalse(self.account.home_question)
        self.open_elsewhere("http://10.9.9.9:8069")
        self.assertTrue(self.account.home_question)
        self.answer("home")
        for url in ("http://10.0.0.5:8069", "http://10.9.9.9:8069", self.base_url()):
            self.open_elsewhere(url)
            self.assertFalse(self.account.home_question)

    def test_a_new_address_is_taken_when_a_person_says_so(self):
        self.open_elsewhere("https://odoo.new.example")
        self.answer("home", public_url="odoo.new.example/")
        self.assertEqual(self.account.public_url, "https://odoo.new.example")
        self.env.flush_all()
        for address in self.addresses():
            self.assertIn("https://odoo.new.example", address)
        self.check()
        (made,) = self.at_stripe()
        self.assertTrue(made["url"].startswith("https://odoo.new.example/"))

    def test_what_is_no_address_is_refused(self):
        for wrong in ("javascript:alert(1)", "https://", "a b", "https://x y.example"):
            with (
                self.subTest(wrong),
                self.assertRaisesRegex(ValidationError, "not the address"),
            ):
                self.account.public_url = wrong


@tagged("post_install", "-at_install")
class TestLeaving(HomeCase):
    """What uninstalling does in Stripe; the rest is seen by a real uninstallation."""

    def test_the_endpoint_is_deleted(self):
        self.assertFalse(self.account._leave_stripe())
        self.assertEqual(self.at_stripe(), [])

    def test_a_copy_leaves_the_endpoint_alone(self):
        self.duplicate()
        self.assertIn("may be a copy", self.account._leave_stripe())
        self.assertEqual(len(self.at_stripe()), 1)

    @mute_logger("odoo.addons.affiliate_stripe.models.affiliate_stripe_account")
    def test_stripe_out_of_reach_is_asked_once(self):
        self.double.disturb("status", f"DELETE /v1/{PATH}", times=9, status=500)
        before = len(self.double.request_log("DELETE"))
        with patch.object(stripe_client, "NETWORK_RETRIES", 2):
            self.assertTrue(self.account._leave_stripe())
        self.assertEqual(len(self.double.request_log("DELETE")) - before, 1)
