"""Who may do what. The lists here are law: a new model or method has to be added."""

from odoo.exceptions import AccessError, UserError
from odoo.service.model import get_public_method
from odoo.tests import TransactionCase, new_test_user, tagged
from odoo.tools import mute_logger

from .web_common import AffiliateData

MODULE = "affiliate_stripe"
OPERATIONS = ("read", "write", "create", "unlink")
# What affiliates may read of their own in the portal.
PORTAL_MODELS = {
    "affiliate.affiliate",
    "affiliate.code",
    "affiliate.commission",
    "affiliate.settlement",
}
SECRETS = {
    "affiliate.application": "token_hash",
    "affiliate.stripe.account": "api_key_secret",
    "affiliate.stripe.endpoint": "secret",
}
MIRROR = ("action_open_in_stripe", "action_sync_again")
PLAN = (*MIRROR, "action_assign_commission")
VIEWS = ("action_view_commissions",)
# All that can be called from outside, by RPC and the JSON-2 API, beside the methods
# that every model of Odoo has. Each checks by itself who may call it.
PUBLIC_METHODS = {
    "account.move": {
        "action_view_affiliate_difference",
        "action_view_affiliate_settlement",
    },
    "affiliate.adopt.wizard": {"action_adopt"},
    "affiliate.affiliate": {
        "action_approve",
        "action_reactivate",
        "action_reject",
        "action_suspend",
        "action_view_flags",
        "action_view_referrals",
        "action_view_settlements",
        "action_view_visits",
        *VIEWS,
    },
    "affiliate.bill.wizard": {"action_adjust", "action_restore"},
    "affiliate.code": {
        "action_activate",
        "action_adopt",
        "action_deactivate",
        "action_make_main",
        "action_propose_other",
        "action_push",
    },
    "affiliate.commission": {
        "action_approve",
        "action_hold",
        "action_reject",
        "action_release",
        "action_view_flags",
        "action_view_sale",
    },
    "affiliate.application.wizard": {"action_reject"},
    "affiliate.person.wizard": {"action_erase"},
    "affiliate.plan.wizard": {"action_fetch"},
    "affiliate.program": {
        "action_open_form",
        "action_renew_codes",
        "action_view_affiliates",
        "get_form_choices",
        *VIEWS,
    },
    "affiliate.move.wizard": {"action_move"},
    "affiliate.referral": {
        "action_add_history",
        "action_erase_person",
        "action_export_person",
        "action_move",
        "action_view_flags",
        "track_customer",
        "track_lead",
        *VIEWS,
    },
    "affiliate.referral.flag": {
        "action_accept",
        "action_refuse",
        "action_view_referral",
    },
    "affiliate.reject.wizard": {"action_reject"},
    "affiliate.rule.wizard": {"action_assign"},
    "affiliate.settlement": {
        "action_cancel",
        "action_confirm",
        "action_make_bill",
        "action_view_bill",
        *VIEWS,
    },
    "affiliate.settlement.wizard": {"action_settle"},
    "affiliate.stripe.home.wizard": {"action_confirm"},
    "affiliate.timezone.wizard": {"action_confirm"},
    "affiliate.stripe.account": {
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
        "action_view_events",
        "action_view_failed_events",
        "action_view_run",
        "action_view_runs",
    },
    "affiliate.stripe.balance.transaction": {*MIRROR},
    "affiliate.stripe.charge": {*MIRROR},
    "affiliate.stripe.checkout.session": {*MIRROR},
    "affiliate.stripe.coupon": {*MIRROR},
    "affiliate.stripe.credit.note": {*MIRROR},
    "affiliate.stripe.customer": {*MIRROR},
    "affiliate.stripe.dispute": {*MIRROR},
    "affiliate.stripe.event": {"action_retry"},
    "affiliate.stripe.invoice": {*MIRROR},
    "affiliate.stripe.invoice.line": {*MIRROR},
    "affiliate.stripe.invoice.payment": {*MIRROR},
    "affiliate.stripe.mixin": {*MIRROR},
    "affiliate.stripe.payout": {*MIRROR},
    "affiliate.stripe.price": {*PLAN},
    "affiliate.stripe.product": {*PLAN},
    "affiliate.stripe.promotion.code": {*MIRROR},
    "affiliate.stripe.refund": {*MIRROR},
    "affiliate.stripe.run": {
        "action_book",
        "action_cancel",
        "action_pause",
        "action_resume",
        "action_start",
        "action_sync_differences",
        "action_view_differences",
        "action_view_parts",
    },
    "affiliate.stripe.run.difference": {"action_sync_again"},
    "affiliate.stripe.run.part": {"action_sync_again", "action_view_differences"},
    "affiliate.stripe.subscription": {*MIRROR},
    "res.config.settings": {"action_affiliate_stripe_account"},
    "res.partner": {"action_view_affiliate_enrolments"},
}


def own_models(env):
    """Return the names of the models that this module makes."""
    return sorted(
        name
        for name, model in env.registry.items()
        if model._original_module == MODULE and not model._abstract
    )


def filled(model, values, make):
    """Make a record with whatever it cannot be without.

    :param dict values: given to fields that the model has
    :param make: ``f(name of a model) -> record``, for required links
    """
    samples = {"char": f"{model._name}_1", "integer": 1}
    samples |= dict.fromkeys(("date", "datetime"), "2026-01-01")
    values = {name: value for name, value in values.items() if name in model._fields}
    for field in model._fields.values():
        if not field.required or field.name in values or field.default:
            continue
        if field.type == "selection":
            values[field.name] = field.get_values(model.env)[0]
        elif field.type == "many2one":
            values[field.name] = make(field.comodel_name).id
        elif field.type in samples:
            values[field.name] = samples[field.type]
    return model.create(values)


def lasting_models(env):
    return [name for name in own_models(env) if not env[name]._transient]


@tagged("post_install", "-at_install")
class TestEveryModel(TransactionCase):
    """What must hold for each model, also for those that are still to come."""

    def test_there_are_models(self):
        self.assertIn("affiliate.program", lasting_models(self.env))
        self.assertGreater(len(lasting_models(self.env)), 20)

    def test_every_model_has_access_lines(self):
        lines = self.env["ir.model.access"].search([])
        with_access = set(lines.mapped("model_id.model"))
        self.assertEqual(set(own_models(self.env)) - with_access, set())

    def test_access_is_given_to_groups_only(self):
        lines = self.env["ir.model.access"].search(
            [("model_id.model", "in", own_models(self.env))]
        )
        self.assertFalse(lines.filtered(lambda line: not line.group_id).mapped("name"))

    def test_every_model_of_a_company_has_a_company_rule(self):
        rules = self.env["ir.rule"].search([("groups", "=", False)])
        guarded = {
            rule.model_id.model
            for rule in rules
            if "company_id" in rule.domain_force and "company_ids" in rule.domain_force
        }
        for name in lasting_models(self.env):
            with self.subTest(model=name):
                self.assertIn("company_id", self.env[name]._fields)
                self.assertIn(name, guarded)
                company = self.env[name]._fields["company_id"]
                # The mirror's rows are found by their account, which has an index.
                self.assertTrue(
                    company.store or company.related == "account_id.company_id"
                )

    def test_every_wizard_is_for_who_opened_it(self):
        rules = self.env["ir.rule"].search([("groups", "=", False)])
        guarded = {r.model_id.model for r in rules if "create_uid" in r.domain_force}
        lines = self.env["ir.model.access"].search([("perm_create", "=", True)])
        wizards = set(own_models(self.env)) - set(lasting_models(self.env))
        wizards &= set(lines.mapped("model_id.model"))
        self.assertGreater(len(wizards), 9)
        self.assertEqual(wizards - guarded, set())

    def test_what_affiliates_read_is_narrowed_to_their_own(self):
        portal = self.env.ref("base.group_portal")
        lines = self.env["ir.model.access"].search(
            [
                ("model_id.model", "in", own_models(self.env)),
                ("group_id", "=", portal.id),
            ]
        )
        self.assertEqual(set(lines.mapped("model_id.model")), PORTAL_MODELS)
        rules = self.env["ir.rule"].search([("groups", "in", portal.ids)])
        self.assertLessEqual(PORTAL_MODELS, set(rules.mapped("model_id.model")))

    def test_public_methods_are_the_listed_ones(self):
        found = {}
        for name in self.env.registry:
            methods = {
                method
                for method in self._own_methods(name)
                if self._is_callable_from_outside(name, method)
            }
            if methods:
                found[name] = methods
        self.assertEqual(found, PUBLIC_METHODS)

    def _own_methods(self, name):
        """Methods our classes add to a model, or to the base of all; not overrides."""
        bases = type(self.env[name]).__mro__
        ours = [cls for cls in bases if f"addons.{MODULE}" in cls.__module__]
        others = [cls for cls in bases if cls not in ours]
        return {
            method
            for cls in ours
            for method, value in vars(cls).items()
            if callable(value)
            and not any(method in vars(other) for other in others[1:])
        }

    def _is_callable_from_outside(self, name, method):
        try:
            get_public_method(self.env[name], method)
        except (AccessError, AttributeError):
            return False
        return True


class SecurityCase(AffiliateData):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.drona = cls.make_affiliate("drona")
        cls.nora = cls.make_affiliate("nora")
        cls.referral = cls.make_referral(cls.drona, "maria@secret-shop.example")
        cls.rows = {}
        for affiliate in cls.drona | cls.nora:
            row = cls.make_commission(affiliate, 10)
            settlement = cls.env["affiliate.settlement"].create(
                {
                    "affiliate_id": affiliate.id,
                    "currency_id": cls.usd.id,
                    "company_id": cls.company.id,
                    "date_to": row.date,
                }
            )
            cls.rows[affiliate] = {
                "affiliate.affiliate": affiliate,
                "affiliate.code": affiliate.code_ids,
                "affiliate.commission": row,
                "affiliate.settlement": settlement,
            }

    @classmethod
    def user_of(cls, affiliate):
        return affiliate.partner_id.user_ids

    @classmethod
    def make_user(cls, login, *groups, **values):
        return new_test_user(
            cls.env,
            login,
            groups=",".join(groups or ["base.group_user"]),
            company_id=cls.company.id,
            company_ids=[(6, 0, cls.company.ids)],
            **values,
        )


@tagged("post_install", "-at_install")
class TestRoles(SecurityCase):
    def assert_only(self, user, allowed):
        """``user`` may do on our models what ``allowed`` says, and nothing else.

        :param dict allowed: ``{model: operations}``
        """
        for name in own_models(self.env):
            model = self.env[name].with_user(user)
            may = {operation for operation in OPERATIONS if model.has_access(operation)}
            with self.subTest(model=name, user=user.login):
                self.assertEqual(may, set(allowed.get(name, ())))

    def test_public_user_may_nothing(self):
        self.assert_only(self.env.ref("base.public_user"), {})

    def test_people_without_our_groups_may_nothing(self):
        self.assert_only(self.make_user("colleague"), {})

    def test_affiliates_may_read_their_own(self):
        user = self.user_of(self.drona)
        self.assert_only(user, dict.fromkeys(PORTAL_MODELS, ["read"]))
        for name in PORTAL_MODELS:
            own, other = self.rows[self.drona][name], self.rows[self.nora][name]
            with self.subTest(model=name):
                model = self.env[name].with_user(user)
                self.assertEqual(model.search([]), own)
                self.assertEqual(model.search_count([("id", "=", other.id)]), 0)
                own.with_user(user).check_access("read")
                for operation in OPERATIONS:
                    with self.assertRaises(AccessError):
                        other.with_user(user).check_access(operation)
                with self.assertRaises(AccessError):
                    other.with_user(user).read(["create_date"])

    def test_affiliates_change_nothing(self):
        user = self.user_of(self.drona)
        values = {
            "affiliate.affiliate": {"state": "active"},
            "affiliate.code": {"code": "OTHER1"},
            "affiliate.commission": {"amount": 1000},
            "affiliate.settlement": {"step": "confirmed"},
        }
        for name, vals in values.items():
            record = self.rows[self.drona][name].with_user(user)
            for act in (
                lambda record=record, vals=vals: record.write(vals),
                lambda record=record: record.unlink(),
                lambda record=record: record.copy(),
            ):
                with self.subTest(model=name), self.assertRaises(AccessError):
                    act()

    def test_affiliates_cannot_act(self):
        """The buttons of the team, called over RPC by an affiliate on his own."""
        user = self.user_of(self.drona)
        own = self.rows[self.drona]
        for state, method in {
            "pending": "action_approve",
            "rejected": "action_approve",
            "active": "action_suspend",
            "suspended": "action_reactivate",
        }.items():
            self.drona.state = state
            with self.subTest(method=method), self.assertRaises(AccessError):
                getattr(self.drona.with_user(user), method)()
        self.drona.state = "active"
        calls = {
            "affiliate.code": ("action_push", "action_deactivate", "action_activate"),
            "affiliate.commission": ("action_approve", "action_hold", "action_release"),
            "affiliate.settlement": ("action_confirm", "action_cancel"),
        }
        for name, methods in calls.items():
            for method in methods:
                with self.subTest(method=method), self.assertRaises(AccessError):
                    getattr(own[name].with_user(user), method)()

    def test_affiliates_cannot_read_who_their_customers_are(self):
        """Odoo shows the name of a linked record without access to it."""
        customer = self.env["affiliate.stripe.customer"].create(
            {
                "account_id": self.account.id,
                "company_id": self.company.id,
                "stripe_id": "cus_1",
                "name": "Maria Customer",
                "email": "maria@secret-shop.example",
            }
        )
        row = self.rows[self.drona]["affiliate.commission"]
        row.write({"referral_id": self.referral.id, "customer_id": customer.id})
        self.env.flush_all()
        user = self.user_of(self.drona)
        for name in PORTAL_MODELS:
            record = self.rows[self.drona][name].with_user(user)
            self.env.invalidate_all()
            text = str(self._read_all(record))
            with self.subTest(model=name):
                self.assertNotIn("maria", text.lower())
                self.assertNotIn("secret-shop", text)
        rows = self.env["affiliate.commission"].with_user(user)
        for domain in (
            [("referral_id.email", "=like", "m%")],
            [("customer_id.email", "=like", "m%")],
            [("affiliate_id.referral_ids.email", "=like", "m%")],
            [("invoice_id.customer_ref", "=like", "c%")],
        ):
            with self.subTest(domain=domain), self.assertRaises(AccessError):
                rows.search(domain)

    def _read_all(self, record):
        """Read field by field: what is refused is refused alone."""
        values = {}
        for name in record.fields_get():
            try:
                values[name] = record.read([name])
            except AccessError:
                continue
        self.assertIn("display_name", values)
        return values

    def test_officers_cannot_change_terms(self):
        officer = self.make_user("officer", "affiliate_stripe.group_affiliate_officer")
        rule = self.program.rule_ids
        for record, vals in (
            (self.program, {"hold_days": 0}),
            (self.program, {"is_published": False}),
            (rule, {"rate": 90}),
            (self.account, {"name": "Other"}),
            (self.account, {"api_key": "sk_test_other"}),
            (self.rows[self.drona]["affiliate.commission"], {"amount": 1000}),
            (self.rows[self.drona]["affiliate.settlement"], {"step": "confirmed"}),
        ):
            with self.subTest(record=record), self.assertRaises(AccessError):
                record.with_user(officer).write(vals)
        for name in ("affiliate.program", "affiliate.commission.rule"):
            self.assertFalse(self.env[name].with_user(officer).has_access("create"))
        for method in ("action_approve", "action_hold"):
            row = self.rows[self.drona]["affiliate.commission"].with_user(officer)
            with self.subTest(method=method), self.assertRaises(AccessError):
                getattr(row, method)()
        with self.assertRaises(AccessError):
            self.account.with_user(officer).read(["webhook_token"])

    def test_officers_look_after_affiliates(self):
        officer = self.make_user("officer", "affiliate_stripe.group_affiliate_officer")
        self.nora.with_user(officer).action_suspend()
        self.assertEqual(self.nora.state, "suspended")
        self.nora.with_user(officer).action_reactivate()
        self.assertEqual(self.nora.state, "active")

    def test_managers_pay_nobody(self):
        manager = self.make_user("manager", "affiliate_stripe.group_affiliate_manager")
        settlement = self.rows[self.drona]["affiliate.settlement"].with_user(manager)
        for operation in ("write", "create", "unlink"):
            self.assertFalse(settlement.has_access(operation))
        self.assertFalse(
            self.env["affiliate.settlement.wizard"]
            .with_user(manager)
            .has_access("create")
        )


@tagged("post_install", "-at_install")
class TestSecrets(SecurityCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.account.api_key = "sk_test_topsecret1234"
        cls.endpoint = cls.env["affiliate.stripe.endpoint"].create(
            {"account_id": cls.account.id, "secret": "whsec_topsecret"}
        )
        cls.application = cls.env["affiliate.application"].create(
            {
                "program_id": cls.program.id,
                "name": "Jane",
                "email": "jane@books.example",
                "mailbox": "jane@books.example",
                "token_hash": "topsecret",
            }
        )
        cls.env.flush_all()

    def readers(self):
        return [
            self.env.ref("base.user_admin"),
            self.make_user(
                "all_of_it",
                "base.group_system",
                "affiliate_stripe.group_affiliate_manager",
                "affiliate_stripe.group_affiliate_accountant",
            ),
            self.make_user("officer", "affiliate_stripe.group_affiliate_officer"),
            self.user_of(self.drona),
            self.env.ref("base.public_user"),
        ]

    @mute_logger("odoo.models")
    def test_nobody_reads_a_secret(self):
        records = {
            "affiliate.application": self.application,
            "affiliate.stripe.account": self.account,
            "affiliate.stripe.endpoint": self.endpoint,
        }
        readers = self.readers()
        for name, secret in SECRETS.items():
            for user in readers:
                record = records[name].with_user(user)
                model = record.browse()
                for way in (
                    lambda record=record, secret=secret: record.read([secret]),
                    lambda record=record, secret=secret: record[secret],
                    lambda record=record, secret=secret: record.mapped(secret),
                    lambda record=record, secret=secret: record.export_data([secret]),
                    lambda model=model, secret=secret: model.search_read([], [secret]),
                    lambda model=model, secret=secret: model.web_search_read(
                        [], {secret: {}}
                    ),
                    lambda model=model, secret=secret: model.search(
                        [(secret, "=like", "sk%")]
                    ),
                    lambda model=model, secret=secret: model.search([], order=secret),
                    lambda model=model, secret=secret: model.formatted_read_group(
                        [], [secret], ["__count"]
                    ),
                    lambda model=model, secret=secret: model.formatted_read_group(
                        [], [], [f"{secret}:array_agg"]
                    ),
                ):
                    with (
                        self.subTest(field=secret, user=user.login),
                        # Of export: "you may not export" comes first for some.
                        self.assertRaises(UserError),
                    ):
                        way()

    @mute_logger("odoo.models")
    def test_secrets_are_not_reached_through_others(self):
        admin = self.env.ref("base.user_admin")
        programs = self.env["affiliate.program"].with_user(admin)
        for domain in (
            [("stripe_account_id.api_key_secret", "=like", "sk%")],
            [("stripe_account_id.endpoint_ids.secret", "=like", "wh%")],
        ):
            with self.subTest(domain=domain), self.assertRaises(AccessError):
                programs.search(domain)
        with self.assertRaises(AccessError):
            self.program.with_user(admin).export_data(
                ["stripe_account_id/api_key_secret"]
            )

    def test_secrets_are_not_described(self):
        readers = self.readers()[:2]
        for name, secret in SECRETS.items():
            for user in readers:
                self.assertNotIn(secret, self.env[name].with_user(user).fields_get())

    def test_typed_keys_are_not_given_back(self):
        admin = self.env.ref("base.user_admin")
        values = self.account.with_user(admin).read()[0]
        self.assertNotIn("topsecret", str(values))
        self.assertFalse(values["api_key"])
        self.assertTrue(values["api_key_hint"])
        self.assertNotIn("topsecret", str(self.endpoint.with_user(admin).read()))

    def test_copies_have_no_secrets(self):
        copy = self.account.copy()
        self.assertFalse(copy.sudo().api_key_secret)
        self.assertNotEqual(copy.webhook_token, self.account.webhook_token)
        self.assertFalse(copy.endpoint_ids)

    def test_secrets_are_kept_all_the_same(self):
        self.assertEqual(self.account.sudo().api_key_secret, "sk_test_topsecret1234")

    def test_chatter_knows_no_secret(self):
        self.account.with_context(tracking_disable=False).api_key = "sk_test_topother99"
        self.env.flush_all()
        messages = self.account.message_ids
        tracked = messages.tracking_value_ids.mapped("new_value_char")
        self.assertNotIn("topother", str([messages.mapped("body"), tracked]))


@tagged("post_install", "-at_install")
class TestCompanies(SecurityCase):
    def test_companies_see_their_own_only(self):
        other = self.env["res.company"].create({"name": "Other company"})
        foreign = new_test_user(
            self.env,
            "foreign_manager",
            groups=",".join(
                f"affiliate_stripe.group_affiliate_{role}"
                for role in ("manager", "accountant")
            ),
            company_id=other.id,
            company_ids=[(6, 0, other.ids)],
        )
        self._fill_mirror()
        self.env.flush_all()
        for name in lasting_models(self.env):
            records = self.env[name].with_context(active_test=False).search([])
            model = self.env[name].with_user(foreign).with_context(active_test=False)
            with self.subTest(model=name):
                self.assertTrue(records, "the test needs a record of each model")
                self.assertFalse(model.search([]))
                with self.assertRaises(AccessError):
                    records[0].with_user(foreign).check_access("read")

    def _fill_mirror(self):
        """One record of each model that has none yet."""
        for name in lasting_models(self.env):
            self._fill(name)

    def _fill(self, name):
        model = self.env[name].with_context(active_test=False)
        values = {"account_id": self.account.id, "company_id": self.company.id}
        return model.search([], limit=1) or filled(model, values, self._fill)
