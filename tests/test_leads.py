"""E-mail addresses left again, later, elsewhere, and while a reading has the account:
each says what is new, and none waits."""

from contextlib import closing, contextmanager
from datetime import timedelta
from unittest.mock import patch

import psycopg2

from odoo import fields
from odoo.sql_db import connection_info_for
from odoo.tests import tagged

from ..lib import visits
from .common import NEW_YEAR, moment
from .test_attribution import DAY
from .test_links import TrackingCase
from .test_policy import VisitCase

EMAIL = "jane@example.com"


class LeadCase(VisitCase):
    def leave(self, affiliate, day, visitor=None, email=EMAIL, source="form"):
        """Leave the address in the form, that many days after New Year.

        :param str visitor: "" for one of whom no visit is known
        """
        visitor = self.visitor if visitor is None else visitor
        reference = visits.Reference(affiliate.code, visitor)
        self.env.flush_all()
        referrals = self.registry["affiliate.referral"]
        now = moment(NEW_YEAR + int(day * DAY))
        with patch.object(referrals, "_clock", lambda _self: now):
            self.env["affiliate.referral"]._capture(
                self.program.id, email, reference, source, "203.0.113.7"
            )
        self.env.invalidate_all()
        return self.claims()

    def claims(self, email=EMAIL):
        return self.env["affiliate.referral"].search(
            [("email", "=", email), ("source", "in", ("form", "sdk"))], order="id"
        )


@tagged("post_install", "-at_install")
class TestLeftAgain(LeadCase):
    def test_nothing_new_adds_nothing(self):
        self.visit(self.drona, 0)
        for day in (0, 1, 1, 30):
            self.assertEqual(len(self.leave(self.drona, day)), 1)
        for _time in range(2):
            self.assertEqual(len(self.leave(self.drona, 40, "")), 2, "another browser")

    def last_contact(self, model):
        """A: lead on day 1. B: visit 10, lead 11. A: visit 20, lead again 21."""
        self.program.attribution_model = model
        self.visit(self.drona, 1)
        self.leave(self.drona, 1)
        self.visit(self.uma, 10)
        self.leave(self.uma, 11)
        self.visit(self.drona, 20)
        self.leave(self.drona, 21)
        self.pay(25)

    def test_the_last_contact_was_a_lead_left_again(self):
        self.last_contact("last")
        self.assert_owner(self.drona, 30.00, source="form")

    def test_the_first_contact_stays_the_first(self):
        self.last_contact("first")
        self.assert_owner(self.drona, 30.00, source="form")

    def test_last_contact_where_no_visit_was_recorded(self):
        self.program.attribution_model = "last"
        for affiliate, day in ((self.drona, 1), (self.uma, 11), (self.drona, 21)):
            self.leave(affiliate, day, "")
        self.pay(25)
        self.assert_owner(self.drona, 30.00, source="form")

    def test_a_lead_that_waited_too_long_does_not_stand_in_the_way(self):
        self.program.lead_days = 30
        self.leave(self.drona, 0, "")
        self.leave(self.drona, 29, "")
        self.assertEqual(len(self.claims()), 1, "it still waits")
        self.assertEqual(len(self.leave(self.drona, 31, "")), 2)
        self.pay(45)
        self.assert_owner(self.drona, 30.00, source="form")

    def test_a_lead_that_is_over_does_not_stand_in_the_way(self):
        self.leave(self.drona, 0, "").sudo().state = "expired"
        self.assertEqual(len(self.leave(self.drona, 1, "")), 2)
        self.pay(2)
        self.assert_owner(self.drona, 30.00, source="form")

    def test_a_rejected_lead_stays_rejected(self):
        self.leave(self.drona, 0, "").sudo().state = "rejected"
        self.assertEqual(len(self.leave(self.drona, 1)), 1)

    def test_a_customer_needs_no_lead(self):
        self.leave(self.drona, 0)
        self.pay(1)
        self.visit(self.drona, 5)
        self.assertEqual(len(self.leave(self.drona, 6)), 1)
        self.assertEqual(self.claims().state, "customer")

    def test_one_of_them_waits_and_none_when_he_is_a_customer(self):
        self.last_contact("last")
        states = [(c.affiliate_id, c.state) for c in self.claims()]
        self.assertEqual(
            states,
            [
                (self.drona, "expired"),
                (self.uma, "rejected"),
                (self.drona, "customer"),
            ],
        )

    def test_there_is_an_end_to_it(self):
        for number in range(60):
            self.leave(self.drona, number, self.new_visitor())
        self.assertEqual(len(self.claims()), 20)

    def test_one_person_is_no_crowd(self):
        self.program.write({"max_leads_per_address": 2, "max_leads_per_hour": 2})
        for number in range(5):
            self.leave(self.drona, number / 1000, self.new_visitor())
        self.assertFalse(self.claims().flag_ids)

    def test_a_doubt_is_one_of_the_person(self):
        """Whichever of his rows binds him, what he earns is held, and once."""
        self.program.attribution_model = "last"
        own = self.drona.partner_id.email
        self.leave(self.drona, 0, email=own)
        self.visit(self.drona, 5)
        self.leave(self.drona, 6, email=own)
        claims = self.claims(own)
        self.assertEqual(claims.flag_ids.mapped("kind"), ["self"])
        self.pay(7, own)
        self.assertEqual(self.bound(), claims[-1])
        self.assertEqual(self.bound().flag_ids.mapped("state"), ["open"])
        self.assertTrue(self.rows().on_hold)
        self.bound().flag_ids.action_accept()
        self.assertFalse(self.rows().on_hold)
        self.visit(self.drona, 8)
        self.until(40)
        self.deliver()
        self.assertEqual(self.rows().mapped("on_hold"), [False, False])


class BusyAccount:
    """Another process has the account's lock: who asks is refused, who waits fails."""

    @contextmanager
    def busy(self):
        sync = self.registry["affiliate.stripe.sync"]
        self.env.flush_all()
        with (
            patch.object(sync, "_try_lock", lambda _self, _account: False),
            patch.object(sync, "_lock", side_effect=AssertionError("it waits")),
        ):
            yield

    def decide(self):
        self.env.flush_all()
        self.env["affiliate.referral"]._cron_decide_late()
        self.env.invalidate_all()


@tagged("post_install", "-at_install")
class TestNobodyWaits(BusyAccount, TrackingCase):
    """The address is kept at once; what follows from it is seen when it can be."""

    def test_a_lead_does_not_wait(self):
        self.program.max_leads_per_address = 1
        with self.busy():
            for number in range(2):
                body = {"email": f"x{number}@example.com", "reference": "DRONA29"}
                self.assertEqual(self.send("lead", body).status_code, 204)
            self.assertEqual(len(self.leads()), 2)
            self.assertEqual(self.leads().mapped("to_decide"), [True, True])
            self.assertFalse(self.leads().flag_ids)
        self.decide()
        self.assertEqual(self.leads().mapped("to_decide"), [False, False])
        self.assertEqual(self.leads().flag_ids.mapped("kind"), ["address"] * 2)


@tagged("post_install", "-at_install")
class TestDecidedLater(BusyAccount, LeadCase):
    def test_a_lock_that_another_process_has(self):
        """In a test all cursors are one, which has the locks of its accounts: so here
        is one that nobody has but another connection."""
        nobody = self.account.browse(2_000_000_000)
        sync = self.env["affiliate.stripe.sync"]
        _name, info = connection_info_for(self.env.cr.dbname)
        with closing(psycopg2.connect(**info)) as other, other.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_xact_lock("
                "hashtext('affiliate_stripe_account'), %s)",
                [nobody.id],
            )
            self.assertFalse(sync._try_lock(nobody))
        self.env.cr.execute("SET LOCAL lock_timeout = '5s'")
        sync._lock(nobody)
        self.assertTrue(sync._try_lock(nobody))

    def test_the_background_is_told(self):
        cron = self.env.ref("affiliate_stripe.ir_cron_decide_late")
        triggers = self.env["ir.cron.trigger"].sudo()
        triggers.search([("cron_id", "=", cron.id)]).unlink()
        self.leave(self.drona, 0)
        self.assertFalse(triggers.search([("cron_id", "=", cron.id)]))
        with self.busy():
            self.leave(self.uma, 0)
        self.assertTrue(triggers.search([("cron_id", "=", cron.id)]))

    def test_who_has_paid_already_is_bound_later(self):
        self.visit(self.drona, 0)
        self.pay(1)
        with self.busy():
            lead = self.leave(self.drona, 2)
        self.assert_nobody()
        self.decide()
        self.assert_owner(self.drona, 30.00, source="form")
        self.assertEqual(self.bound(), lead)

    def test_who_pays_meanwhile_is_bound(self):
        with self.busy():
            self.leave(self.drona, 0)
        self.pay(1)
        self.assert_owner(self.drona, 30.00, source="form")
        self.decide()
        self.assert_owner(self.drona, 30.00, source="form")


@tagged("post_install", "-at_install")
class TestRetention(LeadCase):
    def test_addresses_are_forgotten_with_the_visits(self):
        parameters = self.env["ir.config_parameter"].sudo()
        parameters.set_param("affiliate_stripe.click_days", "30")
        emails = ("old@example.com", "new@example.com")
        for email in emails:
            self.leave(self.drona, 0, email=email)
        old, new = map(self.claims, emails)
        self.assertTrue(old.ip_hash and new.ip_hash)
        old.date = fields.Datetime.now() - timedelta(days=31)
        new.date = fields.Datetime.now() - timedelta(days=29)
        self.env["affiliate.referral"].sudo()._gc_addresses()
        self.assertFalse(old.ip_hash)
        self.assertTrue(new.ip_hash)
