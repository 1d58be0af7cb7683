"""Fields that nobody writes by hand, whatever interface he uses.

``EDITABLE`` is law: a new stored field has to be listed with who may write it, or be
declared ``readonly=True``.
"""

from odoo import Command
from odoo.exceptions import AccessError, UserError
from odoo.models import MAGIC_COLUMNS
from odoo.service.model import call_kw
from odoo.tests import tagged

from .test_doors import ACCOUNTANT, MANAGER, OFFICER, DoorCase
from .test_security import MODULE, lasting_models

TEAM = (OFFICER, MANAGER)
#: Stored fields that people write on purpose, and who. What they may write of them and
#: when is limited further by the models.
EDITABLE = {
    "affiliate.affiliate": {
        TEAM: {
            "active",
            "motivation",
            "parent_id",
            "partner_id",
            "program_id",
            "website",
            "wished_code",
        },
        (MANAGER,): {"trusted"},
    },
    "affiliate.code": {TEAM: {"affiliate_id", "code"}},
    # Rows made by hand, while they are pending.
    "affiliate.commission": {
        (MANAGER,): {
            "affiliate_id",
            "amount",
            "company_id",
            "currency_id",
            "date",
            "explanation",
            "hold_until",
            "program_id",
        },
    },
    "affiliate.commission.rule": {
        (MANAGER,): {
            "active",
            "amount",
            "applies_to",
            "billing_interval",
            "currency_id",
            "date_from",
            "duration_months",
            "max_count",
            "over_base",
            "per_unit",
            "prorations",
            "price_ids",
            "product_ids",
            "program_id",
            "rate",
            "rate_type",
            "scope",
            "sequence",
        },
    },
    "affiliate.program": {
        (MANAGER,): {
            "active",
            "ad_policy",
            "allowed_domains",
            "attribution_model",
            "auto_approve_affiliates",
            "auto_approve_commissions",
            "code_beats_link",
            "code_number_start",
            "code_pattern",
            "company_id",
            "consent_mode",
            "cookie_days",
            "count_out_of_band",
            "currency_id",
            "description",
            "discount_duration",
            "discount_months",
            "discount_type",
            "discount_value",
            "evidence_order",
            "existing_customers",
            "first_time_only",
            "form_button",
            "form_color",
            "form_consent",
            "form_email_parameter",
            "form_radius",
            "form_reference_parameter",
            "form_scheme",
            "form_text",
            "form_title",
            "hold_days",
            "journal_id",
            "lead_days",
            "lead_captcha",
            "link_parameters",
            "max_leads_per_address",
            "max_leads_per_browser",
            "max_leads_per_hour",
            "max_leads_without_visit",
            "minimum_payout",
            "name",
            "no_script_leads",
            "no_visit_policy",
            "product_id",
            "reapply_months",
            "respect_privacy_signals",
            "search_policy",
            "signup_url",
            "stripe_account_id",
            "track_website",
        },
    },
    "affiliate.referral": {
        TEAM: {"affiliate_id", "code_id", "date", "email"},
        (MANAGER,): {"include_history"},
    },
    "affiliate.stripe.account": {
        (MANAGER,): {
            "active",
            "company_id",
            "delivery",
            "name",
            "public_url",
            "rate_limit",
        },
    },
    "affiliate.stripe.price": {(MANAGER,): {"odoo_product_id"}},
    "affiliate.stripe.run": {(MANAGER,): {"account_id", "date_from", "purpose"}},
}
#: Of other modules: theirs to guard. "Published" is a switch of the form.
OTHERS = {
    "is_published",
    "message_main_attachment_id",
    # What search engines and shared links show, in the website's editor.
    "seo_name",
    "website_meta_description",
    "website_meta_keywords",
    "website_meta_og_img",
    "website_meta_title",
}
VALUES = {
    "boolean": True,
    "char": "forged",
    "date": "2001-01-01",
    "datetime": "2001-01-01 00:00:00",
    "float": 12.5,
    "html": "forged",
    "integer": 7,
    "json": {"forged": 1},
    "many2many": [Command.clear()],
    "many2one": False,
    "monetary": 12.5,
    "text": "forged",
}


def stored_fields(model):
    """Fields of ours with a column or a table of their own.

    What is written through a One2many is a row of the other model, with its guard.
    """
    return [
        field
        for field in model._fields.values()
        if field.store
        and field.type != "one2many"
        and field.name not in MAGIC_COLUMNS
        and field.name not in OTHERS
    ]


def forged(record, field):
    if field.type == "selection":
        return field.get_values(record.env)[-1]
    return VALUES[field.type]


class ProtectedCase(DoorCase):
    def as_role(self, role, record):
        return record.with_user(self.users[role])

    def editable(self, model, role):
        return {
            name
            for roles, names in EDITABLE.get(model, {}).items()
            for name in names
            if role in roles
        }


@tagged("post_install", "-at_install")
class TestEveryField(ProtectedCase):
    def test_the_list_names_fields_that_there_are(self):
        for model, roles in EDITABLE.items():
            for names in roles.values():
                self.assertLessEqual(names, set(self.env[model]._fields), model)

    def test_every_model_that_people_write_is_guarded(self):
        guard = self.env.registry["affiliate.protected"]
        lines = self.env["ir.model.access"].sudo().search([])
        written = lines.filtered(lambda a: a.perm_write or a.perm_create)
        for model in set(written.mapped("model_id.model")) & set(
            lasting_models(self.env)
        ):
            with self.subTest(model=model):
                self.assertTrue(issubclass(self.env.registry[model], guard))

    def test_what_is_not_listed_is_refused(self):
        tried = 0
        for model in lasting_models(self.env):
            record = self.record_of(model)
            for role in (OFFICER, MANAGER, ACCOUNTANT):
                own = self.as_role(role, record)
                for field in stored_fields(record):
                    if field.name in self.editable(model, role):
                        continue
                    tried += 1
                    with self.subTest(model=model, field=field.name, role=role):
                        self.assert_refused(own, field)
        self.assertGreater(tried, 900)

    def assert_refused(self, own, field):
        before = own.sudo().read([field.name])
        # A UserError, where the model refuses it for another reason before.
        with self.env.cr.savepoint(), self.assertRaises(UserError):
            call_kw(
                own.browse(), "write", [own.ids, {field.name: forged(own, field)}], {}
            )
        self.env.invalidate_all()
        self.assertEqual(own.sudo().read([field.name]), before)

    def test_what_is_listed_may_be_written(self):
        for model, roles in EDITABLE.items():
            record = self.record_of(model)
            for some, names in roles.items():
                for role in some:
                    own = self.as_role(role, record)
                    own.check_access("write")
                    shown = own.fields_get(list(names), ["readonly"])
                    for name in names:
                        with self.subTest(model=model, field=name, role=role):
                            self.assertTrue(
                                own._has_field_access(own._fields[name], "write")
                            )
                            self.assertFalse(shown[name]["readonly"])

    def test_our_fields_of_bills(self):
        bill = self.settlement.move_id
        for field in stored_fields(bill):
            if MODULE not in field._modules:
                continue
            with self.subTest(field=field.name):
                self.assert_refused(self.as_role(ACCOUNTANT, bill), field)

    # --- when records are made -----------------------------------------------------

    def values_for(self, model):
        """Return what somebody needs to give to make a record."""
        return {
            "affiliate.affiliate": lambda: {
                "partner_id": self.env["res.partner"].sudo().create({"name": "P"}).id,
                "program_id": self.program.id,
            },
            "affiliate.code": lambda: {
                "code": "OTHER99",
                "affiliate_id": self.drona.id,
            },
            "affiliate.commission": lambda: {
                "affiliate_id": self.drona.id,
                "program_id": self.program.id,
                "currency_id": self.program.currency_id.id,
                "amount": 5,
                "explanation": "By hand",
            },
            "affiliate.commission.rule": lambda: {"program_id": self.program.id},
            "affiliate.program": lambda: {
                "name": "Another",
                "stripe_account_id": self.account.id,
            },
            "affiliate.referral": lambda: {
                "email": "new@example.com",
                "affiliate_id": self.drona.id,
            },
            "affiliate.settlement": lambda: {},
            "affiliate.stripe.account": lambda: {"name": "Another"},
            "affiliate.stripe.run": lambda: {"account_id": self.account.id},
        }[model]()

    def test_neither_when_a_record_is_made(self):
        """Given as a value, in the context, or as somebody's own default."""
        made = set()
        for model in lasting_models(self.env):
            for role in (OFFICER, MANAGER, ACCOUNTANT):
                own = self.as_role(role, self.env[model].sudo()).sudo(False)
                if not own.has_access("create"):
                    continue
                made.add(model)
                for field in stored_fields(own):
                    if field.name in self.editable(model, role):
                        continue
                    with self.subTest(model=model, field=field.name, role=role):
                        self.assert_refused_at_creation(own, field)
        self.assertEqual(len(made), 9)

    def assert_refused_at_creation(self, own, field):
        name, value = field.name, forged(own, field)
        with self.env.cr.savepoint(), self.assertRaises(AccessError):
            call_kw(own, "create", [[{**self.values_for(own._name), name: value}]], {})
        if own._name == "affiliate.settlement" or field.type.startswith("many2"):
            return
        plain = self.made(own, name)
        if str(plain) != str(value):
            said = own.with_context(**{f"default_{name}": value})
            self.assertNotEqual(str(self.made(said, name)), str(value))

    def made(self, own, name):
        """Return the value of a field of a record made by a user, and forget it."""
        with self.env.cr.savepoint() as savepoint:
            try:
                value = own.create(self.values_for(own._name)).sudo()[name]
            except AccessError:
                value = None  # what Odoo itself refuses
            savepoint.rollback()
        self.env.invalidate_all()
        return value


@tagged("post_install", "-at_install")
class TestWaysAround(ProtectedCase):
    """Each of these got through, or was next to one that did."""

    def setUp(self):
        super().setUp()
        self.officer = self.env(user=self.users[OFFICER])
        self.manager = self.env(user=self.users[MANAGER])
        self.accountant = self.env(user=self.users[ACCOUNTANT])

    def test_the_state_of_a_code_through_its_affiliate(self):
        drona = self.drona.with_env(self.officer)
        code = drona.code_ids
        for command in (
            Command.update(code.id, {"state": "inactive"}),
            Command.update(code.id, {"promotion_code_ids": [Command.clear()]}),
            Command.create({"code": "FORGED1", "state": "synced"}),
        ):
            with self.subTest(command), self.assertRaises(AccessError):
                drona.write({"code_ids": [command]})
        self.assertEqual(self.drona.code_ids.mapped("state"), ["synced"])

    def test_rules_through_plans(self):
        """A rule changed from the other side would keep no version for old sales."""
        rule = self.program.rule_ids
        price = self.env["affiliate.stripe.price"].with_env(self.manager)
        with self.assertRaises(AccessError):
            price.search([], limit=1).commission_rule_ids = [Command.link(rule.id)]
        with self.assertRaises(AccessError):
            self.program.with_env(self.manager).write(
                {"rule_ids": [Command.update(rule.id, {"date_to": "2020-01-01"})]}
            )

    def test_a_file_that_is_imported(self):
        referrals = self.env["affiliate.referral"].with_env(self.officer)
        for name, value in (("source", "form"), ("state", "customer")):
            done = referrals.load(
                ["email", "affiliate_id/.id", name],
                [["imported@example.com", str(self.drona.id), value]],
            )
            self.assertFalse(done["ids"])
            self.assertIn("set automatically", str(done["messages"]))
        done = referrals.load(
            ["email", "affiliate_id/.id"], [["good@example.com", str(self.drona.id)]]
        )
        self.assertTrue(done["ids"])

    def test_what_somebody_has_as_his_own_default(self):
        defaults = self.officer["ir.default"]
        defaults.set("affiliate.affiliate", "state", "active", user_id=True)
        defaults.set("affiliate.affiliate", "trusted", True, user_id=True)
        affiliate = self.officer["affiliate.affiliate"].create(
            {
                "partner_id": self.env["res.partner"].sudo().create({"name": "P"}).id,
                "program_id": self.program.id,
            }
        )
        self.assertEqual((affiliate.state, affiliate.trusted), ("pending", False))

    def test_duplicates(self):
        """What was decided about a record is not decided about its duplicate."""
        program = self.program.with_env(self.manager)
        twin = program.copy()
        self.assertNotEqual(twin.public_key, program.public_key)
        self.assertFalse(twin.coupon_id)
        self.assertEqual(twin.rule_ids.mapped("rate"), program.rule_ids.mapped("rate"))
        with self.assertRaises(UserError):
            self.settlement.with_env(self.accountant).copy()
        copy = self.rows().with_env(self.manager).copy()
        self.assertEqual((copy.kind, copy.state), ("manual", "pending"))
        self.assertFalse(copy.referral_id or copy.line_ref or copy.stripe_account_id)

    def test_earlier_payments_are_for_managers(self):
        values = {
            "email": "old@example.com",
            "affiliate_id": self.drona.id,
            "include_history": True,
        }
        with self.assertRaisesRegex(AccessError, "Manager"):
            self.officer["affiliate.referral"].create(values)
        del values["include_history"]
        lead = self.officer["affiliate.referral"].create(values)
        with self.assertRaisesRegex(AccessError, "Manager"):
            lead.include_history = True
        self.assertTrue(
            self.manager["affiliate.referral"]
            .create({**values, "email": "other@example.com", "include_history": True})
            .include_history
        )

    def test_a_settlement_stays_whose_it_is_for_everybody(self):
        settlement = self.settlement.sudo()
        other = self.env["res.company"].sudo().create({"name": "Other"})
        for name, value in (
            ("affiliate_id", self.uma.id),
            ("currency_id", self.env.ref("base.EUR").id),
            ("company_id", other.id),
        ):
            before = settlement[name]
            with self.subTest(name):
                with self.assertRaisesRegex(UserError, "cannot be changed"):
                    settlement.write({name: value})
                with self.assertRaises(UserError):
                    settlement.with_env(self.accountant).write({name: value})
                self.assertEqual(settlement[name], before)
                settlement.write({name: before.id})

    def test_where_a_bill_came_from(self):
        for env in (self.accountant, self.env):
            with self.assertRaises(AccessError):
                self.settlement.move_id.with_env(env).affiliate_origin_id = False
            with self.assertRaises(AccessError):
                env["account.move"].create(
                    {
                        "move_type": "in_invoice",
                        "affiliate_origin_id": self.settlement.id,
                    }
                )
        self.assertEqual(self.settlement.move_id.affiliate_origin_id, self.settlement)

    def test_an_id_that_leads_elsewhere_reaches_nothing(self):
        """``x/../../customers`` was a POST to the list of customers."""
        code = self.drona.code_ids
        customers = len(self.double.all("customer"))
        for wrong in ("x/../../customers", "..", "x?expand=1", "x#", ""):
            code.sudo().write({"state": "error", "foreign_promotion_id": wrong})
            with self.subTest(wrong):
                if wrong:
                    with self.assertRaises(UserError):
                        code.action_adopt()
                self.assertEqual(len(self.double.all("customer")), customers)
        asked = self.double.traffic()
        code.sudo().foreign_promotion_id = "x/../../customers"
        with self.assertRaisesRegex(UserError, "nothing at"):
            code.action_adopt()
        self.assertEqual(self.double.traffic(), asked, "not even sent")

    def test_what_a_reading_is_for(self):
        run = self.env["affiliate.stripe.run"].search([], limit=1)
        self.assertNotEqual(run.state, "draft")
        for values in ({"purpose": "compare"}, {"date_from": "2020-01-01"}):
            with self.subTest(values), self.assertRaises(UserError):
                run.with_env(self.manager).write(values)
