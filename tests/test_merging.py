"""Contacts are merged by Odoo in SQL, which knows none of our guards."""

from datetime import date

from odoo.exceptions import UserError
from odoo.tests import tagged

from .test_codes import CodesCase


@tagged("post_install", "-at_install")
class TestMergingContacts(CodesCase):
    def setUp(self):
        super().setUp()
        self.program = self.make_program(discount=10)
        self.drona = self.approve(self.program)
        self.uma = self.approve(self.program, "Uma Iyer")

    def merge(self, first, second):
        """The two contacts, into the first one."""
        wizard = self.env["base.partner.merge.automatic.wizard"].sudo().create({})
        partners = first.partner_id | second.partner_id
        # Logins are no matter of ours.
        second.partner_id.user_ids.sudo().unlink()
        wizard._merge(partners.ids, first.partner_id, extra_checks=False)
        self.env.invalidate_all()

    def assert_refused(self, first, second, *words):
        with self.assertRaises(UserError) as refused, self.env.cr.savepoint():
            self.merge(first, second)
        for word in (*words, "Archive"):
            self.assertIn(word, str(refused.exception))
        self.env.invalidate_all()
        self.assertTrue(second.exists())

    def test_two_affiliates_of_one_program(self):
        self.assert_refused(
            self.drona, self.uma, "Drona Rao", "Uma Iyer", self.program.name
        )

    def test_whatever_their_states_are(self):
        self.uma.action_suspend()
        self.assert_refused(self.drona, self.uma)
        pending = self.env["affiliate.affiliate"].create(
            {
                "partner_id": self.env["res.partner"].create({"name": "New"}).id,
                "program_id": self.program.id,
            }
        )
        self.assert_refused(self.drona, pending)
        pending.action_reject()
        self.assert_refused(pending, self.drona)

    def test_the_way_out(self):
        """Archive the one, then merge: its history goes to the contact that stays."""
        self.push(self.uma)
        code = self.uma.code
        self.shop.buy(self.shop.price(10000), "jane@example.com", code=code)
        self.deliver()
        self.env["res.partner.bank"].sudo().create(
            {
                "acc_number": "DE02120300000000202051",
                "partner_id": self.uma.partner_id.id,
            }
        )
        self.uma.action_archive()
        self.merge(self.drona, self.uma)
        partner = self.drona.partner_id
        both = self.drona | self.uma
        self.assertEqual(both.partner_id, partner)
        self.assertEqual(self.rows().partner_id, partner)
        self.assertEqual(self.amounts(affiliate_id=self.uma.id), [27.00])
        self.assertEqual(len(partner.bank_ids), 1)
        # The customer stays whose he was, and the one enrolment is the contact's.
        self.shop.post(
            "refunds", charge=self.double.all("charge")[0]["id"], amount=4500
        )
        self.deliver()
        self.assertEqual(self.total(affiliate_id=self.uma.id), 13.50)
        self.assertEqual(partner.affiliate_enrolment_ids, self.drona)
        with self.assertRaisesRegex(UserError, "already"), self.env.cr.savepoint():
            self.uma.action_reactivate()

    def earn(self, affiliate, amount=12000, email="jane@example.com"):
        """30 % of what a customer with the affiliate's code pays are due."""
        self.push(affiliate)
        self.shop.buy(self.shop.price(amount), email, code=affiliate.code)
        self.deliver()
        self.rows(affiliate_id=affiliate.id, state="pending").action_approve()

    def settle(self, **values):
        wizard = self.env["affiliate.settlement.wizard"].create(
            {"date_to": "2026-12-31", **values}
        )
        self.env.invalidate_all()
        told = wizard.due_text
        before = self.env["affiliate.settlement"].search([])
        wizard.action_settle()
        return self.env["affiliate.settlement"].search([]) - before, told

    def merged(self):
        """Uma is archived and merged into Drona, as the refusal says."""
        self.uma.action_archive()
        self.merge(self.drona, self.uma)

    def test_what_was_due_is_settled_with_the_one_that_stays(self):
        self.earn(self.uma)
        self.earn(self.drona, email="john@example.com")
        self.merged()
        with self.subTest("it is said on the affiliate"):
            self.assertIn("Uma Iyer", self.drona.message_ids[0].body)
        settlement, told = self.settle(affiliate_ids=self.drona.ids)
        self.assertEqual(settlement.affiliate_id, self.drona)
        self.assertEqual(settlement.amount_total, 64.80)
        self.assertRegex(told, r"64\.80.*\(affiliates: 1\)")
        self.assertEqual(settlement.commission_ids.affiliate_id, self.drona | self.uma)
        self.assertEqual(settlement.move_id.amount_untaxed, 64.80)
        settlement.move_id.action_post()
        self.assertEqual(self.uma.balance_settled, 32.40)
        with self.subTest("a refund and what her customer pays later, too"):
            self.shop.post(
                "refunds", charge=self.double.all("charge")[0]["id"], amount=5400
            )
            jane = self.double.all("customer", email="jane@example.com")[0]
            self.shop.invoice(jane, 10000)
            self.deliver()
            self.rows(state="pending").action_approve()
            settlement, _told = self.settle()
            self.assertEqual(settlement.affiliate_id, self.drona)
            self.assertEqual(settlement.commission_ids.affiliate_id, self.uma)
            self.assertEqual(settlement.amount_total, 13.80)

    def test_the_month_is_settled_for_both(self):
        self.earn(self.uma)
        self.merged()
        settlements = self.env["affiliate.settlement"]
        (affiliates,) = settlements._last_month_ends().values()
        settlement = settlements._collect(date(2026, 12, 31), affiliates)
        self.assertEqual(settlement.affiliate_id, self.drona)

    def test_it_waits_while_the_one_that_stays_is_suspended(self):
        self.earn(self.uma)
        self.merged()
        settlement, _told = self.settle()
        self.drona.action_suspend()
        self.assertFalse(settlement.exists().commission_ids)
        with self.assertRaisesRegex(UserError, "Nothing"), self.env.cr.savepoint():
            self.settle()
        with self.subTest("and the other one may take over"):
            self.drona.action_archive()
            self.uma.action_reactivate()
            settlement, _told = self.settle()
            self.assertEqual(settlement.affiliate_id, self.uma)

    def test_another_program_of_the_contact_pays_for_nothing(self):
        self.earn(self.uma)
        second = self.make_program(name="Agencies", discount=20)
        agency = self.approve(second, "Drona Agency")
        self.uma.action_archive()
        self.merge(agency, self.uma)
        with self.assertRaisesRegex(UserError, "Nothing"), self.env.cr.savepoint():
            self.settle()
        self.uma.action_reactivate()
        self.assertEqual(self.settle()[0].affiliate_id, self.uma)

    def test_one_without_a_history_may_be_deleted_as_well(self):
        self.uma.unlink()
        other = self.env["res.partner"].create({"name": "Uma Iyer"})
        wizard = self.env["base.partner.merge.automatic.wizard"].sudo().create({})
        wizard._merge(
            (self.drona.partner_id | other).ids,
            self.drona.partner_id,
            extra_checks=False,
        )
        self.assertTrue(self.drona.exists())

    def test_affiliates_of_different_programs(self):
        second = self.make_program(name="Agencies", discount=20)
        agency = self.approve(second, "Drona Agency")
        self.push(agency)
        self.shop.buy(self.shop.price(10000), "jane@example.com", code=agency.code)
        self.deliver()
        self.rows().action_approve()
        self.merge(self.drona, agency)
        partner = self.drona.partner_id
        self.assertEqual(agency.partner_id, partner)
        self.assertEqual(partner.affiliate_enrolment_ids, self.drona | agency)
        self.assertEqual(self.rows().partner_id, partner)
        self.assertEqual(agency.display_name, f"Drona Rao ({agency.code})")
        with self.subTest("settled for the contact that stays"):
            self.env["affiliate.settlement.wizard"].create(
                {"date_to": "2026-12-31"}
            ).action_settle()
            settlement = self.rows().settlement_id
            self.assertEqual(settlement.partner_id, partner)
            self.assertEqual(settlement.move_id.partner_id, partner)

    def test_a_contact_of_another_company(self):
        other = self.env["res.company"].sudo().create({"name": "Other Inc"})
        target = (
            self.env["res.partner"]
            .sudo()
            .create({"name": "Uma Iyer", "company_id": other.id})
        )
        wizard = self.env["base.partner.merge.automatic.wizard"].sudo().create({})
        ids = (self.uma.partner_id | target).ids
        self.uma.partner_id.user_ids.sudo().unlink()
        with self.assertRaisesRegex(UserError, "Other Inc"), self.env.cr.savepoint():
            wizard._merge(ids, target, extra_checks=False)
        self.env.invalidate_all()
        self.assertNotEqual(self.uma.partner_id, target)

    def test_contacts_who_are_no_affiliates(self):
        first, second = self.env["res.partner"].create(
            [{"name": "Jane"}, {"name": "Jane"}]
        )
        wizard = self.env["base.partner.merge.automatic.wizard"].sudo().create({})
        wizard._merge((first | second).ids, first, extra_checks=False)
        self.assertTrue(first.exists())
        self.assertFalse(second.exists())
