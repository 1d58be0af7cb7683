"""Days and months are those of the Stripe account's time zone."""

from datetime import date, datetime, timedelta
from unittest.mock import patch

import pytz

from odoo import fields
from odoo.tests import BaseCase, new_test_user, tagged

from ..lib import days
from .common import NEW_YEAR, moment
from .money_common import DAY, TrickyCase

LOS_ANGELES = "America/Los_Angeles"
#: 20:00 on 31 January in Los Angeles: 1 February, 04:00 UTC.
EVENING = NEW_YEAR + 31 * DAY + 4 * 3600


@tagged("post_install", "-at_install")
class TestDaysOfZones(BaseCase):
    def test_which_day_a_moment_is(self):
        zones = [[None, "UTC"], ["2026-03-01T00:00:00", LOS_ANGELES]]
        for at, day in (
            (datetime(2026, 2, 1, 4), date(2026, 2, 1)),
            (datetime(2026, 2, 28, 23, 59), date(2026, 2, 28)),
            (datetime(2026, 3, 1, 4), date(2026, 2, 28)),
            (datetime(2026, 3, 1, 8), date(2026, 3, 1)),
            (datetime(2026, 7, 1, 6, 59), date(2026, 6, 30)),
            (datetime(2026, 7, 1, 7), date(2026, 7, 1)),
        ):
            self.assertEqual(days.day_of(at, zones), day, at)
        self.assertEqual(days.day_of(datetime(2026, 1, 1), None), date(2026, 1, 1))

    def test_when_a_day_begins(self):
        for zone, day, begin in (
            (LOS_ANGELES, date(2026, 2, 1), datetime(2026, 2, 1, 8)),
            (LOS_ANGELES, date(2026, 7, 1), datetime(2026, 7, 1, 7)),
            ("Pacific/Kiritimati", date(2026, 1, 1), datetime(2025, 12, 31, 10)),
            # Clocks are set forward at midnight: the day begins at one.
            ("Africa/Cairo", date(2026, 4, 24), datetime(2026, 4, 23, 22)),
        ):
            zones = [[None, zone]]
            self.assertEqual(days.start_of(day, zones), begin)
            self.assertEqual(days.day_of(begin, zones), day)

    def test_a_day_begins_once(self):
        """Also where clocks are set back over midnight, as in Havana."""
        second = timedelta(seconds=1)
        for name in pytz.common_timezones:
            zones = [[None, name]]
            for change in getattr(pytz.timezone(name), "_utc_transition_times", ()):
                for day in range(-1, 2) if 2012 <= change.year <= 2030 else ():
                    day = days.day_of(change, zones) + timedelta(day)
                    begin = days.start_of(day, zones)
                    self.assertEqual(days.day_of(begin, zones), day, name)
                    before = days.day_of(begin - second, zones)
                    self.assertEqual(before, day - timedelta(1), name)

    def test_a_day_that_was_left_out(self):
        begin = days.start_of(date(2011, 12, 30), [[None, "Pacific/Apia"]])
        self.assertEqual(begin, datetime(2011, 12, 30, 10))


class CronCase(TrickyCase):
    def run_cron(self, name):
        self.env.flush_all()
        cron = self.env.ref(f"affiliate_stripe.ir_cron_{name}")
        cron.sudo().method_direct_trigger()
        self.env.invalidate_all()


class DaysCase(CronCase):
    def setUp(self):
        super().setUp()
        self.account.sudo().timezones = [[None, LOS_ANGELES]]
        self.account.sudo().timezone = LOS_ANGELES

    def pretend(self, at):
        """Let Odoo's clock show a moment."""
        clock = patch.object(fields.Datetime, "now", lambda: moment(at))
        self.addCleanup(clock.stop)
        clock.start()


@tagged("post_install", "-at_install")
class TestTheDayIsTheBusiness(DaysCase):
    def setUp(self):
        super().setUp()
        self.program.write({"hold_days": 0, "auto_approve_commissions": True})

    def sell_in_the_evening(self):
        self.double.advance(to=EVENING)
        self.sell(10000)
        self.assertEqual(self.amounts(), [30.00])
        return self.rows()

    def test_an_evening_in_january(self):
        row = self.sell_in_the_evening()
        self.assertEqual(row.date, date(2026, 1, 31))
        self.assertEqual(row.hold_until, date(2026, 1, 31))
        self.assertEqual(row.happened_at, datetime(2026, 2, 1, 4))

    def test_the_sale_without_an_invoice_too(self):
        self.double.advance(to=EVENING)
        self.shop.buy(self.shop.price(5000, interval=None), "jane@example.com")
        self.deliver()
        self.assertEqual(self.rows().date, date(2026, 1, 31))

    def test_the_refund_has_its_own_day(self):
        row = self.sell_in_the_evening()
        self.double.advance(seconds=5 * 3600)
        self.shop.refund(self.mirrored("charge").stripe_id)
        self.deliver()
        self.assertEqual((self.rows() - row).date, date(2026, 2, 1))

    def test_it_is_settled_with_january(self):
        row = self.sell_in_the_evening()
        row.sudo().is_approved = True
        # The first of February in Los Angeles has not begun.
        self.pretend(EVENING + 3600)
        self.settle()
        self.assertFalse(row.settlement_id)
        self.pretend(NEW_YEAR + 31 * DAY + 13 * 3600)
        self.settle()
        self.assertEqual(row.settlement_id.date_to, date(2026, 1, 31))
        bill = row.settlement_id.move_id
        self.assertEqual(bill.invoice_date, date(2026, 2, 1))

    def settle(self):
        self.run_cron("settle")

    def test_the_bill_has_the_day_of_the_business(self):
        row = self.sell_in_the_evening()
        row.sudo().is_approved = True
        self.pretend(EVENING + 3600)
        wizard = self.env["affiliate.settlement.wizard"].create({})
        self.assertEqual(wizard.date_to, date(2026, 1, 31))
        wizard.action_settle()
        bill = row.settlement_id.move_id
        self.assertEqual(bill.invoice_date, date(2026, 1, 31))
        self.assertEqual(bill.date, date(2026, 1, 31))

    def test_a_hold_ends_with_the_day(self):
        self.program.hold_days = 1
        row = self.sell_in_the_evening()
        self.assertEqual(row.hold_until, date(2026, 2, 1))
        row.sudo().is_approved = False
        self.pretend(NEW_YEAR + 32 * DAY - 17 * 3600)  # 31 January, 23:00
        self.run_cron("approve")
        self.assertEqual(row.state, "pending")
        self.pretend(NEW_YEAR + 32 * DAY - 15 * 3600)
        self.run_cron("approve")
        self.assertEqual(row.state, "approved")

    def test_a_lead_waits_whole_days(self):
        """It came on the evening of 31 January and waits a day: all of 1 February."""
        self.program.lead_days = 1
        self.env["affiliate.referral"].sudo().create(
            {
                "email": "lead@example.com",
                "affiliate_id": self.drona.id,
                "source": "server",
                "date": moment(EVENING),
            }
        )
        self.double.advance(to=EVENING + DAY + 3 * 3600)  # 1 February, 23:00
        self.sell(10000, email="lead@example.com")
        self.assertEqual(self.amounts(), [30.00])

    def test_another_time_zone_counts_from_then_on(self):
        row = self.sell_in_the_evening()
        self.pretend(EVENING + 3600)
        self.account.sudo()._set_timezone("Europe/Berlin")
        self.double.advance(seconds=2 * 3600)
        self.sell(5000)
        late = self.rows() - row
        self.assertEqual(late.date, date(2026, 2, 1))
        # Whatever is computed again keeps its day.
        self.shop.refund(row.charge_id.stripe_id or self.charge(), 1000)
        self.deliver()
        self.assertEqual(row.date, date(2026, 1, 31))

    def charge(self):
        return self.mirrored("charge").sorted("id")[0].stripe_id


@tagged("post_install", "-at_install")
class TestKnowingTheTimeZone(CronCase):
    def ask_daily(self):
        self.run_cron("webhooks")

    def test_stripe_tells_it(self):
        self.assertEqual(self.account.timezone, "Etc/UTC")
        self.assertTrue(self.account.is_timezone_told)
        self.double.configure(timezone=LOS_ANGELES)
        self.ask_daily()
        self.assertEqual(self.account.timezone, LOS_ANGELES)
        zones = self.account.sudo().timezones
        self.assertEqual([name for _since, name in zones], ["Etc/UTC", LOS_ANGELES])
        self.ask_daily()
        self.assertEqual(self.account.sudo().timezones, zones)

    def test_all_zones_of_stripe_are_known_by_their_names(self):
        known = {
            key
            for key, _name in self.account._fields["timezone"].selection(self.account)
        }
        self.assertEqual(known, days.NAMES)
        self.assertLessEqual(
            {"Etc/UTC", LOS_ANGELES, "Europe/Kiev", "Asia/Kolkata"}, known
        )


@tagged("post_install", "-at_install")
class TestAskedForTheTimeZone(TrickyCase):
    double_options = {"timezone": None}

    def test_nothing_is_booked_before(self):
        self.assertFalse(self.account.timezone)
        self.assertTrue(self.account.is_timezone_missing)
        self.sell(10000)
        self.assertEqual(self.mirrored("invoice").amount_paid, 100.00)
        self.assertEqual(self.mirrored("customer").referral_ids.state, "customer")
        self.assertEqual(self.amounts(), [])
        self.walk()
        self.assertEqual(self.amounts(), [])
        self.account._update_warning()
        self.assertIn("time zone", self.account.activity_ids.note)
        self.answer(LOS_ANGELES)
        self.walk()
        self.assertEqual(self.amounts(), [30.00])
        self.assertEqual(self.rows().date, date(2025, 12, 31))
        self.assertFalse(self.account.activity_ids)

    def answer(self, zone):
        user = new_test_user(
            self.env,
            "zoned",
            groups="affiliate_stripe.group_affiliate_manager",
            tz="Asia/Tokyo",
        )
        action = self.account.with_user(user).action_choose_timezone()
        wizard = (
            self.env[action["res_model"]]
            .with_user(user)
            .with_context(**action["context"])
            .create({})
        )
        self.assertEqual(wizard.timezone, "Asia/Tokyo")
        wizard.timezone = zone
        wizard.action_confirm()
        self.env.invalidate_all()

    def walk(self):
        self.env.flush_all()
        self.env["affiliate.stripe.run"]._walk_all()
        self.env.invalidate_all()

    def test_connecting_asks(self):
        action = self.env["affiliate.stripe.account"].browse(self.account.id)
        action.sudo().state = "draft"
        self.assertEqual(
            action.action_connect()["res_model"], "affiliate.timezone.wizard"
        )

    def test_a_name_we_do_not_know_is_asked_for(self):
        self.double.configure(timezone="Mars/Olympus_Mons")
        self.account.action_check()
        self.assertFalse(self.account.timezone)
        self.assertFalse(self.account.is_timezone_told)
