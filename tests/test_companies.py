"""Rows of one company never point at rows of another."""

from odoo import Command
from odoo.exceptions import UserError
from odoo.models import BaseModel
from odoo.tests import TransactionCase, tagged

from .test_doors import DoorCase
from .test_security import MODULE, lasting_models, own_models

#: Relations by which a row knows whose company it is of: they cannot disagree.
OWN_COMPANY = {
    "affiliate.adopt.wizard": "code_id",
    "affiliate.affiliate": "program_id",
    "affiliate.application": "program_id",
    "affiliate.bill.wizard": "move_id",
    "affiliate.application.wizard": "affiliate_id",
    "affiliate.code": "affiliate_id",
    "affiliate.commission.rule": "program_id",
    "affiliate.link.wizard": "affiliate_id",
    "affiliate.move.wizard": "referral_id",
    "affiliate.person.wizard": "referral_id",
    "affiliate.plan.wizard": "account_id",
    "affiliate.referral": "affiliate_id",
    "affiliate.referral.flag": "affiliate_id",
    "affiliate.referral.move": "referral_id",
    "affiliate.rule.wizard": "price_ids",
    "affiliate.stripe.endpoint": "account_id",
    "affiliate.stripe.home.wizard": "account_id",
    "affiliate.timezone.wizard": "account_id",
    "affiliate.stripe.event": "account_id",
    "affiliate.stripe.run": "account_id",
    "affiliate.stripe.run.difference": "part_id",
    "affiliate.stripe.run.part": "run_id",
}
#: Written by one statement that takes all of it from the code (``RECORD``).
BY_SQL = {"affiliate.click"}
#: What is rejected is checked row by row, and may be of several companies.
MIXED = {("affiliate.reject.wizard", "commission_ids")}


def relations(env, model):
    """Stored relations of ours to rows that are of a company."""
    return [
        field
        for field in env[model]._fields.values()
        if field.type in ("many2one", "many2many")
        and field.store
        and MODULE in field._modules
        and field.name != "company_id"
        and "company_id" in env[field.comodel_name]._fields
        and field.comodel_name != "res.users"
        and not field.related
        and (model, field.name) not in MIXED
    ]


@tagged("post_install", "-at_install")
class TestEveryRelation(TransactionCase):
    def test_it_is_checked(self):
        checked = 0
        for model in [*own_models(self.env), "account.move"]:
            if self.is_mirror(model) or model in BY_SQL:
                continue
            for field in relations(self.env, model):
                checked += 1
                with self.subTest(model=model, field=field.name):
                    self.assertTrue(field.check_company)
                    self.assertTrue(self.env[model]._check_company_auto)
        self.assertGreater(checked, 35)

    def is_mirror(self, model):
        """Mirror rows are written by SQL within one account; beside that, a plan has
        a product of Odoo, which a person chooses."""
        mirror = self.env.registry["affiliate.stripe.mixin"]
        return issubclass(self.env.registry[model], mirror)


@tagged("post_install", "-at_install")
class TestForeignRows(DoorCase):
    """Tried as superuser, of whom no company rule keeps anything."""

    def setUp(self):
        super().setUp()
        models = [m for m in own_models(self.env) if m not in BY_SQL]
        self.ours = {
            model: self.record_of(model)
            for model in [*models, "account.move"]
            if relations(self.env, model)
        }
        self.make_other_company()

    def make_other_company(self):
        """The same in another company: an account, a program, what they led to."""
        company = self.env["res.company"].sudo().create({"name": "Other"})
        self.other = self.env(su=True)["res.company"].browse(company.id)
        env = self.env(
            su=True, context={**self.env.context, "allowed_company_ids": company.ids}
        )
        account = env["affiliate.stripe.account"].create(
            {"name": "Other", "company_id": company.id}
        )

        def mirrored(model):
            values = {
                "account_id": account.id,
                "stripe_id": "other_1",
                "name": "Other",
            }
            known = env[model]._fields
            return {name: v for name, v in values.items() if name in known}

        rows = {
            "affiliate.stripe.account": account,
            **{
                model: env[model].create(mirrored(model))
                for model in lasting_models(self.env)
                if issubclass(
                    self.env.registry[model],
                    self.env.registry["affiliate.stripe.mixin"],
                )
            },
            "product.product": env["product.product"].create(
                {"name": "Other", "company_id": company.id}
            ),
            "account.journal": env["account.journal"].create(
                {
                    "name": "Other",
                    "code": "OTH",
                    "type": "purchase",
                    "company_id": company.id,
                }
            ),
            "res.partner": env["res.partner"].create(
                {"name": "Other", "company_id": company.id}
            ),
        }
        program = env["affiliate.program"].create(
            {
                "name": "Other",
                "company_id": company.id,
                "stripe_account_id": account.id,
                "currency_id": self.program.currency_id.id,
                "rule_ids": [Command.create({"rate": 10})],
                "product_id": False,
            }
        )
        affiliate = env["affiliate.affiliate"].create(
            {"partner_id": rows["res.partner"].id, "program_id": program.id}
        )
        self.foreign = {
            **rows,
            "affiliate.program": program,
            "affiliate.commission.rule": program.rule_ids,
            "affiliate.affiliate": affiliate,
            "affiliate.code": env["affiliate.code"].create(
                {"code": "OTHER1", "affiliate_id": affiliate.id}
            ),
            "affiliate.referral": env["affiliate.referral"].create(
                {"email": "other@example.com", "affiliate_id": affiliate.id}
            ),
            "affiliate.commission": env["affiliate.commission"].create(
                {
                    "affiliate_id": affiliate.id,
                    "program_id": program.id,
                    "company_id": company.id,
                    "currency_id": program.currency_id.id,
                    "amount": 5,
                }
            ),
            "affiliate.settlement": env["affiliate.settlement"].create(
                {
                    "affiliate_id": affiliate.id,
                    "company_id": company.id,
                    "currency_id": program.currency_id.id,
                    "date_to": "2026-12-31",
                }
            ),
        }
        self.foreign["affiliate.stripe.run"] = env["affiliate.stripe.run"].create(
            {"account_id": account.id}
        )
        self.foreign["affiliate.stripe.run.part"] = env[
            "affiliate.stripe.run.part"
        ].create(
            {
                "run_id": self.foreign["affiliate.stripe.run"].id,
                "kind": "invoice",
                "stage": 0,
            }
        )

    def test_a_row_of_another_company_is_refused(self):
        tried = 0
        for model, record in self.ours.items():
            for field in relations(self.env, model):
                if not field.check_company or OWN_COMPANY.get(model) == field.name:
                    continue
                tried += 1
                with self.subTest(model=model, field=field.name):
                    self.assert_refused(record, field)
        self.assertGreater(tried, 25)

    def assert_refused(self, record, field):
        foreign = self.foreign.get(field.comodel_name)
        if foreign is None:
            foreign = self.foreign_bill()
        self.assertNotEqual(foreign.company_id, record.company_id)
        value = foreign.id
        if field.type == "many2many":
            value = [Command.set(foreign.ids)]
        before = record[field.name]
        with self.assertRaisesRegex(UserError, "company"), self.env.cr.savepoint():
            # Without our own guards, some of which would come first.
            BaseModel.write(record, {field.name: value})
        self.env.invalidate_all()
        self.assertEqual(record[field.name], before)

    def foreign_bill(self):
        return self.env(su=True)["account.move"].create(
            {
                "move_type": "in_invoice",
                "company_id": self.other.id,
                "journal_id": self.foreign["account.journal"].id,
            }
        )
