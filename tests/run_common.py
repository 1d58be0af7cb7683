"""A programme whose past is at Stripe and was never delivered."""

from unittest.mock import patch

from odoo import fields

from odoo.addons.affiliate_stripe.models import (
    affiliate_stripe_run_walk as run_walk,
)

from .common import NEW_YEAR, StripeCase, moment

DAY = 86400


class RunCase(StripeCase):
    def setUp(self):
        super().setUp()
        self.program = self.make_program(rate=30)
        self.drona = self.make_affiliate(self.program)
        self.env["affiliate.referral"].create(
            {
                "email": "jane@example.com",
                "affiliate_id": self.drona.id,
                "date": moment(NEW_YEAR - DAY),
            }
        )
        self.walk()
        self.account.run_ids.sudo().unlink()

    def sell(self, months=0):
        self.shop.subscribe("jane@example.com", self.shop.price(10000))
        if months:
            self.double.advance(months=months)
        self.forget()

    def forget(self):
        """Nothing was delivered: what is read comes from lists."""
        for delivery in self.double.deliveries():
            delivery.drop()

    def walk(self, keep_going=lambda _count: True):
        self.env.flush_all()
        self.env["affiliate.stripe.run"]._walk_all(keep_going)
        self.env.invalidate_all()

    def start(self, purpose="read", **values):
        run = self.env["affiliate.stripe.run"].create(
            {"account_id": self.account.id, "purpose": purpose, **values}
        )
        run.action_start()
        return run

    def nightly(self):
        self.account.sudo().polled_until = fields.Datetime.now()
        self.env["affiliate.stripe.run"]._cron_nightly()
        self.walk()
        self.process()

    def deleting_the_cursor(self):
        """Have the last customer of the first page deleted before the next is read."""
        read, deleted = run_walk.read_page, []

        def read_page(stripe_api, place, clock):
            page = read(stripe_api, place, clock)
            if place.kind == "customer" and page.raws and not deleted:
                deleted.append(page.raws[-1]["id"])
                self.shop.delete(f"customers/{deleted[0]}")
            return page

        return patch.object(run_walk, "read_page", read_page)
