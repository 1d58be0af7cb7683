"""What makes storing safe, whatever comes first and whoever else is at work."""

from datetime import timedelta

from odoo.tests import tagged

from ..lib.stripe_lists import Page
from ..lib.stripe_objects import KINDS, MODELS
from .common import StripeCase


@tagged("post_install", "-at_install")
class TestEngine(StripeCase):
    def setUp(self):
        super().setUp()
        self.sync = self.env["affiliate.stripe.sync"]

    def reading(self, kind, stripe_id):
        """What reading one object gives, without what it leads to."""
        api = self.sync._get_api(self.account)
        path, params = KINDS[kind].request(stripe_id)
        return KINDS[kind].read(api.get(path, **params))

    def store(self, *readings, seconds=0):
        at = self.sync._database_now() + timedelta(seconds=seconds)
        self.sync._store(self.account, readings, at)
        self.env.invalidate_all()

    def mirrored(self, kind, stripe_id):
        return (
            self.env[MODELS[kind]]
            .with_context(active_test=False)
            .search([("stripe_id", "=", stripe_id)])
        )

    def test_what_came_too_early_finds_what_it_refers_to(self):
        customer = self.shop.customer("jane@example.com")
        invoice = self.shop.invoice(customer, 10000)
        charge = self.shop.get("charges")["data"][0]
        self.store(self.reading("charge", charge["id"]))
        self.assertFalse(self.mirrored("charge", charge["id"]).customer_id)
        self.store(self.reading("invoice", invoice["id"]))
        self.store(self.reading("customer", customer["id"]))
        person = self.mirrored("customer", customer["id"])
        self.assertTrue(person)
        self.assertEqual(self.mirrored("charge", charge["id"]).customer_id, person)
        self.assertEqual(self.mirrored("invoice", invoice["id"]).customer_id, person)

    def test_a_line_that_is_gone_is_forgotten(self):
        customer = self.shop.customer("jane@example.com")
        draft, (item, _other) = self.shop.draft(customer, 1000, 2000)
        self.store(self.reading("invoice", draft["id"]))
        lines = self.mirrored("invoice", draft["id"]).line_ids
        self.assertEqual(sorted(lines.mapped("amount")), [10.0, 20.0])
        self.shop.delete(f"invoiceitems/{item['id']}")
        self.store(self.reading("invoice", draft["id"]), seconds=1)
        self.assertEqual(
            self.mirrored("invoice", draft["id"]).line_ids.mapped("amount"), [20.0]
        )

    def test_who_lost_his_lease_stores_nothing(self):
        product = self.shop.product("Plan")
        self.account.action_sync_now()
        runs = self.env["affiliate.stripe.run"]
        self.env.flush_all()
        run, parts = runs._claim("slow")
        part = parts.filtered(lambda part: part.kind == "product")
        reading = self.reading("product", product["id"])
        page = Page(self.sync._database_now(), [product], [reading], [], False)
        part.sudo().leased_by = "quick"
        self.env.flush_all()
        self.assertEqual(run._store_readings(part.id, "slow", page, [], [reading]), [])
        self.assertFalse(self.mirrored("product", product["id"]))
        self.assertFalse(part.done)
        run._store_readings(part.id, "quick", page, [], [reading])
        self.env.invalidate_all()
        self.assertTrue(self.mirrored("product", product["id"]))
        self.assertTrue(part.done)

    def test_what_was_deleted_is_archived(self):
        product = self.shop.product("Plan")
        self.store(self.reading("product", product["id"]))
        self.shop.delete(f"products/{product['id']}")
        self.sync._sync_objects(self.account, {("product", product["id"])})
        self.env.invalidate_all()
        self.assertFalse(self.mirrored("product", product["id"]).active)
