"""Whoever lacks the right changes nothing, here or at Stripe, whatever he calls.

The test of every public method finds the ones that are still to come: one that is not
listed in ``WHO``, or begins with anything but its check of access, makes it fail.
"""

from odoo.exceptions import AccessError, UserError
from odoo.service.model import call_kw, get_public_method
from odoo.tests import new_test_user, tagged
from odoo.tools import SQL

from .common import StripeCase
from .test_security import MODULE, PUBLIC_METHODS, filled

OFFICER, MANAGER, ACCOUNTANT = "officer", "manager", "accountant"
ELSEWHERE = "all roles in another company"
#: Whoever may read the record. What he may read is said in test_security.
READER = "reader"
#: Who may call what, of ``PUBLIC_METHODS``; managers are officers, too. What only opens
#: a list or a form (``action_view_…``, ``action_open_…``) is for readers.
WHO = {
    "affiliate.adopt.wizard": {OFFICER: {"action_adopt"}},
    "affiliate.affiliate": {
        OFFICER: {
            "action_approve",
            "action_reactivate",
            "action_reject",
            "action_suspend",
        },
    },
    "affiliate.bill.wizard": {ACCOUNTANT: {"action_adjust", "action_restore"}},
    "affiliate.application.wizard": {OFFICER: {"action_reject"}},
    "affiliate.code": {
        OFFICER: {
            "action_activate",
            "action_adopt",
            "action_deactivate",
            "action_make_main",
            "action_propose_other",
            "action_push",
        },
    },
    "affiliate.commission": {
        MANAGER: {"action_approve", "action_hold", "action_reject", "action_release"},
    },
    "affiliate.move.wizard": {MANAGER: {"action_move"}},
    "affiliate.person.wizard": {MANAGER: {"action_erase"}},
    "affiliate.plan.wizard": {MANAGER: {"action_fetch"}},
    # Editors of the website may, too: they place the form.
    "affiliate.program": {
        READER: {"get_form_choices"},
        MANAGER: {"action_renew_codes"},
    },
    "affiliate.referral": {
        OFFICER: {"track_customer", "track_lead"},
        MANAGER: {
            "action_add_history",
            "action_erase_person",
            "action_export_person",
            "action_move",
        },
    },
    "affiliate.referral.flag": {MANAGER: {"action_accept", "action_refuse"}},
    "affiliate.reject.wizard": {MANAGER: {"action_reject"}},
    "affiliate.rule.wizard": {MANAGER: {"action_assign"}},
    "affiliate.settlement": {
        ACCOUNTANT: {"action_cancel", "action_confirm", "action_make_bill"},
    },
    "affiliate.settlement.wizard": {ACCOUNTANT: {"action_settle"}},
    "affiliate.stripe.account": {
        MANAGER: {
            "action_answer_home",
            "action_ask_deactivate_codes",
            "action_ask_disconnect",
            "action_check",
            "action_check_webhook",
            "action_compare",
            "action_choose_timezone",
            "action_connect",
            "action_deactivate_codes",
            "action_disconnect",
            "action_read",
            "action_roll_secret",
            "action_sync_now",
        },
    },
    "affiliate.stripe.event": {MANAGER: {"action_retry"}},
    "affiliate.stripe.home.wizard": {MANAGER: {"action_confirm"}},
    "affiliate.timezone.wizard": {MANAGER: {"action_confirm"}},
    "affiliate.stripe.run": {
        MANAGER: {
            "action_book",
            "action_cancel",
            "action_pause",
            "action_resume",
            "action_start",
            "action_sync_differences",
        },
    },
    "res.config.settings": {READER: {"action_affiliate_stripe_account"}},
}
#: Of any model, where ``WHO`` says nothing else.
WHO_OF_ALL = {MANAGER: {"action_assign_commission", "action_sync_again"}}
ARGUMENTS = {
    "track_customer": ["cus_1", "DRONA29"],
    "track_lead": ["somebody@example.com", "DRONA29"],
}
#: Tables of other modules that an action of ours may write.
OTHER_TABLES = ("account_move", "ir_cron_trigger", "mail_activity", "mail_message")


def who_may(model, method):
    """Return the role that may call a method, or None where nobody has said."""
    for roles in (WHO.get(model, {}), WHO_OF_ALL):
        for role, methods in roles.items():
            if method in methods:
                return role
    opens = method.startswith(("action_view_", "action_open_"))
    return READER if opens else None


class DoorCase(StripeCase):
    """Real records of every model, and a user of each kind."""

    def setUp(self):
        super().setUp()
        self.make_world()
        self.users = self.make_users()

    def make_world(self):
        """A sale by a code, settled and billed; and a doubt, a move, a comparison."""
        self.program = self.make_program(discount=10, hold_days=0)
        self.drona = self.make_affiliate(self.program)
        self.uma = self.make_affiliate(self.program, "Uma Iyer")
        self.shop.buy(self.shop.price(10000), "jane@example.com", code=self.drona.code)
        self.deliver()
        self.assertTrue(self.rows())
        self.referral = self.rows().referral_id
        self.rows().action_approve()
        wizard = self.env["affiliate.settlement.wizard"].create(
            {"date_to": "2026-12-31"}
        )
        wizard.action_settle()
        self.settlement = self.rows().settlement_id
        self.assertTrue(self.settlement.move_id)
        self.env["affiliate.referral.flag"].sudo().create(
            {
                "referral_id": self.referral.id,
                "affiliate_id": self.drona.id,
                "kind": "self",
                "note": "Looks odd.",
            }
        )
        self.env["affiliate.referral.move"].sudo().create(
            {
                "referral_id": self.referral.id,
                "affiliate_id": self.drona.id,
                "reason": "To have one.",
            }
        )
        self.env.flush_all()

    def make_users(self):
        """Return ``{kind of user: user}``."""
        other = self.env["res.company"].sudo().create({"name": "Another company"})
        ours, theirs = self.env.company, other

        def user(name, company, *groups):
            return new_test_user(
                self.env(su=True),
                f"door_{name}",
                groups=",".join(groups),
                company_id=company.id,
                company_ids=[(6, 0, company.ids)],
            )

        roles = {
            role: f"{MODULE}.group_affiliate_{role}"
            for role in (OFFICER, MANAGER, ACCOUNTANT)
        }
        return {
            "public": self.env.ref("base.public_user"),
            "affiliate": self.drona.partner_id.user_ids,
            "other portal user": user("portal", ours, "base.group_portal"),
            "colleague": user("colleague", ours, "base.group_user"),
            **{role: user(role, ours, group) for role, group in roles.items()},
            ELSEWHERE: user("elsewhere", theirs, *roles.values()),
        }

    def record_of(self, model):
        """Return a record of a model, as superuser; a new one of a wizard."""
        records = self.env[model].sudo().with_context(active_test=False)
        make = {
            "account.move": lambda: self.settlement.move_id,
            "affiliate.affiliate": lambda: self.drona,
            "affiliate.code": lambda: self.drona.code_ids,
            "affiliate.settlement": lambda: self.settlement,
            "affiliate.stripe.account": lambda: self.account,
            "res.partner": lambda: self.drona.partner_id,
            "affiliate.adopt.wizard": lambda: records.create(
                {
                    "code_id": self.drona.code_ids.id,
                    "promotion_id": self.drona.code_ids.promotion_code_ids.id,
                }
            ),
            "affiliate.stripe.home.wizard": lambda: records.create(
                {"account_id": self.account.id, "answer": "copy"}
            ),
            "affiliate.timezone.wizard": lambda: records.create(
                {"account_id": self.account.id}
            ),
            "affiliate.application.wizard": lambda: records.create(
                {"affiliate_id": self.drona.id}
            ),
            "affiliate.move.wizard": lambda: records.create(
                {
                    "referral_id": self.referral.id,
                    "affiliate_id": self.uma.id,
                    "reason": "A try.",
                }
            ),
            "affiliate.bill.wizard": lambda: records.create(
                {"move_id": self.settlement.move_id.id, "reason": "A try."}
            ),
            "affiliate.person.wizard": lambda: records.create(
                {"referral_id": self.referral.id}
            ),
            "affiliate.plan.wizard": lambda: records.create(
                {
                    "account_id": self.account.id,
                    "plan_id": self.env["affiliate.stripe.price"]
                    .search([], limit=1)
                    .stripe_id,
                }
            ),
            "affiliate.reject.wizard": lambda: records.create(
                {"commission_ids": [(6, 0, self.rows().ids)], "reason": "A try."}
            ),
            "affiliate.rule.wizard": lambda: records.create(
                {
                    "price_ids": [
                        (6, 0, self.env["affiliate.stripe.price"].search([]).ids)
                    ]
                }
            ),
            "affiliate.settlement.wizard": lambda: records.create(
                {"date_to": "2026-12-31"}
            ),
            "res.config.settings": lambda: records.create({}),
        }
        if model in make:
            return make[model]().sudo()
        values = {"account_id": self.account.id, "company_id": self.env.company.id}
        return records.search([], limit=1) or filled(records, values, self.record_of)

    def tables(self):
        """Return a fingerprint of all rows of ours, and of others we may write."""
        self.env.flush_all()
        found = self.env.execute_query(
            SQL("SELECT tablename FROM pg_tables WHERE tablename LIKE 'affiliate%%'")
        )
        names = sorted({name for (name,) in found} | set(OTHER_TABLES))
        return dict(
            self.env.execute_query(
                SQL(" UNION ALL ").join(
                    SQL(
                        "SELECT %s, (SELECT md5(string_agg(md5(t::text), ''"
                        " ORDER BY md5(t::text))) FROM %s t)",
                        name,
                        SQL.identifier(name),
                    )
                    for name in names
                )
            )
        )


@tagged("post_install", "-at_install")
class TestPublicMethods(DoorCase):
    def test_everybody_is_told_who_may_call_what(self):
        for model, methods in PUBLIC_METHODS.items():
            for method in methods:
                with self.subTest(model=model, method=method):
                    self.assertTrue(who_may(model, method))

    def test_every_public_method_begins_with_its_check(self):
        """Also where a class of ours extends the method of another."""
        for model, methods in PUBLIC_METHODS.items():
            for method in methods:
                get_public_method(self.env[model], method)
                for cls in type(self.env[model]).__mro__:
                    if MODULE in cls.__module__ and method in vars(cls):
                        with self.subTest(model=model, method=method, cls=cls):
                            self.assertTrue(
                                getattr(vars(cls)[method], "needs_access", None)
                            )

    def test_without_the_right_nothing_happens_here_or_at_stripe(self):
        tried = 0
        for model, methods in sorted(PUBLIC_METHODS.items()):
            if self.env[model]._abstract:
                continue
            record = self.record_of(model)
            for method in sorted(methods):
                before = self.tables()
                role = who_may(model, method)
                for kind, user in self.users.items():
                    if self.may(record, user, kind, role):
                        continue
                    tried += 1
                    with self.subTest(model=model, method=method, user=kind):
                        self.assert_refused(record, user, method, before)
        self.assertGreater(tried, 400)

    def may(self, record, user, kind, role):
        if role == READER:
            return record.with_user(user).has_access("read")
        return kind == role or (kind == MANAGER and role == OFFICER)

    def assert_refused(self, record, user, method, before):
        """Call a method as by RPC; nothing is rolled back before we look."""
        model = record.with_user(user).browse()
        arguments = ARGUMENTS.get(method, [])
        of_model = getattr(get_public_method(model, method), "_api_model", False)
        if not of_model:
            arguments = [record.ids, *arguments]
        asked, refused = self.double.traffic(), False
        with self.env.cr.savepoint() as savepoint:
            try:
                answer = call_kw(model, method, arguments, {})
            except AccessError:
                refused = True
            except UserError:
                # It acts on rows of his own company, and found none.
                refused = of_model and user == self.users[ELSEWHERE]
            else:
                refused = method == "get_form_choices" and answer == []
            # Before anything is rolled back, as assertRaises would do.
            after = self.tables()
            savepoint.rollback()
            self.env.invalidate_all()
        self.assertTrue(refused)
        self.assertEqual(
            {name for name in before if before[name] != after[name]}, set()
        )
        self.assertEqual(self.double.traffic(), asked, "Stripe was asked")
