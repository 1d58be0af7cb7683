"""Plans: Stripe's products and prices here, with the commission on them."""

from odoo.exceptions import UserError
from odoo.tests import Form, tagged

from .common import StripeCase


@tagged("post_install", "-at_install")
class TestPlans(StripeCase):
    @property
    def prices(self):
        return self.env["affiliate.stripe.price"].search([], order="id")

    @property
    def products(self):
        return self.env["affiliate.stripe.product"].search([], order="id")

    def archived(self, model):
        return self.env[model].with_context(active_test=False).search([])

    def fetch(self, plan_id):
        """What the wizard "Fetch a plan" does."""
        wizard = self.env["affiliate.plan.wizard"].create({"plan_id": plan_id})
        self.assertEqual(wizard.account_id, self.account)
        action = wizard.action_fetch()
        return self.env[action["res_model"]].browse(action["res_id"])

    def buy(self, price, email="jane@example.com", **params):
        self.shop.subscribe(email, price, **params)
        self.deliver()

    def bind(self, affiliate, email="jane@example.com"):
        self.env["affiliate.referral"].create(
            {
                "email": email,
                "affiliate_id": affiliate.id,
                "date": "2025-12-31 00:00:00",
            }
        )

    # --- the mirror -------------------------------------------------------------------

    def test_products_and_prices_come_by_events(self):
        product = self.shop.product("Pro")
        made = [
            self.shop.price(2500, product=product["id"], nickname="Pro monthly"),
            self.shop.price(990, "jpy", interval="year", product=product["id"]),
            self.shop.price(1234, "kwd", interval=None, product=product["id"]),
        ]
        self.deliver()
        self.assertEqual(self.products.name, "Pro")
        by_id = {price.stripe_id: price for price in self.prices}
        monthly, yearly, once = (by_id[price["id"]] for price in made)
        self.assertEqual(self.prices.product_id, self.products)
        self.assertEqual((monthly.unit_amount, monthly.billing_interval), (25, "month"))
        self.assertEqual((yearly.unit_amount, yearly.currency_id.name), (990, "JPY"))
        self.assertEqual((once.unit_amount, once.billing_interval), (1.234, False))
        self.assertEqual(monthly.display_name, "Pro – Pro monthly")
        self.assertIn("990", yearly.display_name)
        self.assertIn("year", yearly.display_name)
        self.assertTrue(yearly.currency_id.active)

    def test_changes_follow(self):
        product = self.shop.product("Old")
        price = self.shop.price(2500, product=product["id"])
        self.deliver()
        self.shop.post(f"products/{product['id']}", name="New")
        self.shop.post(f"prices/{price['id']}", nickname="Monthly")
        self.deliver()
        self.assertEqual(self.prices.display_name, "New – Monthly")

    def test_archived_and_deleted_ones_are_archived(self):
        gone, kept = self.shop.product("Gone"), self.shop.product("Kept")
        price = self.shop.price(2500, product=kept["id"])
        self.deliver()
        self.shop.delete(f"products/{gone['id']}")
        self.shop.post(f"prices/{price['id']}", active=False)
        self.deliver()
        self.assertEqual(self.products.mapped("name"), ["Kept"])
        self.assertFalse(self.prices)
        self.shop.post(f"products/{kept['id']}", active=False)
        self.deliver()
        self.assertFalse(self.products)
        self.assertEqual(
            sorted(self.archived("affiliate.stripe.product").mapped("name")),
            ["Gone", "Kept"],
        )
        self.shop.post(f"prices/{price['id']}", active=True)
        self.deliver()
        self.assertEqual(self.prices.stripe_id, price["id"])

    def test_a_price_without_a_single_amount(self):
        product = self.shop.product("Metered")
        price = self.shop.price(1, product=product["id"])
        raw = self.double.world().get("price", price["id"])
        raw.update(
            unit_amount=None, unit_amount_decimal="0.05", billing_scheme="tiered"
        )
        self.deliver()
        self.assertFalse(self.prices.unit_amount)
        self.assertEqual(self.prices.display_name, "Metered")

    # --- one by its id ----------------------------------------------------------------

    def test_a_plan_is_fetched_by_its_id(self):
        price = self.shop.price(2500)
        found = self.fetch(f"  {price['id']} ")
        self.assertEqual(found.stripe_id, price["id"])
        self.assertEqual(found.product_id.name, "Plan 2500 usd")
        self.assertEqual(found.unit_amount, 25)

    def test_an_old_plan_id_works_too(self):
        price = self.shop.price(2500)
        world = self.double.world()
        old = {**world.get("price", price["id"]), "id": "plan_Old1"}
        world.add(old)
        self.assertEqual(self.fetch("plan_Old1").stripe_id, "plan_Old1")
        gold = {**world.get("price", price["id"]), "id": "gold"}
        world.add(gold)
        self.assertEqual(self.fetch("gold").stripe_id, "gold")

    def test_a_wrong_plan_id_is_told(self):
        for plan_id, sentence in (
            ("price_nowhere", "Stripe has no plan price_nowhere in Acme"),
            ("prod 1", "not a Plan ID"),
            ("../account", "not a Plan ID"),
            ("price_1?x=1", "not a Plan ID"),
            ("<b>", "not a Plan ID"),
            ("..", "(not a Plan ID|no plan)"),
        ):
            with self.subTest(plan_id), self.assertRaisesRegex(UserError, sentence):
                self.fetch(plan_id)
        self.assertFalse(self.archived("affiliate.stripe.price"))

    def test_a_product_id_is_not_a_plan_id(self):
        product = self.shop.product("Pro")
        with self.assertRaisesRegex(UserError, "Stripe has no plan prod_"):
            self.fetch(product["id"])

    def test_fetching_needs_a_working_key(self):
        price = self.shop.price(2500)
        self.double.add_key("sk_test_double", state="revoked")
        with self.assertRaisesRegex(UserError, "does not accept the API key"):
            self.fetch(price["id"])

    def test_one_row_is_read_again_on_request(self):
        price = self.shop.price(2500, nickname="Old")
        self.deliver()
        self.shop.post(f"prices/{price['id']}", nickname="New")
        self.prices.action_sync_again()
        self.assertEqual(self.prices.nickname, "New")

    # --- a commission on it -----------------------------------------------------------

    def assign(self, records, **values):
        action = records.action_assign_commission()
        self.assertEqual(action["res_model"], "affiliate.rule.wizard")
        form = Form(self.env["affiliate.rule.wizard"].with_context(**action["context"]))
        for name, value in values.items():
            form[name] = value
        form.save().action_assign()
        self.env.invalidate_all()

    def test_a_commission_is_assigned_from_the_plan(self):
        program = self.make_program(rate=30)
        self.bind(self.make_affiliate(program))
        cheap, dear = self.shop.price(1000), self.shop.price(5000)
        self.deliver()
        self.assign(self.prices.filtered(lambda p: p.stripe_id == dear["id"]), rate=10)
        program.invalidate_recordset(["rule_ids"])
        rule = program.rule_ids[0]
        self.assertEqual((rule.scope, rule.rate), ("price", 10))
        self.assertEqual(rule.price_ids.stripe_id, dear["id"])
        self.buy(cheap)
        self.buy(dear)
        self.assertEqual(self.amounts(), [3.00, 5.00])

    def test_a_commission_is_assigned_from_the_product(self):
        program = self.make_program(rate=30)
        self.bind(self.make_affiliate(program))
        product = self.shop.product("Pro")
        monthly = self.shop.price(1000, product=product["id"])
        yearly = self.shop.price(10000, interval="year", product=product["id"])
        self.deliver()
        self.assign(self.products, rate=20)
        self.assertEqual(program.rule_ids[0].scope, "product")
        self.buy(monthly)
        self.buy(yearly)
        self.assertEqual(self.amounts(), [2.00, 20.00])

    def test_a_fixed_commission_in_the_currency_of_the_plan(self):
        program = self.make_program(rate=30)
        self.bind(self.make_affiliate(program))
        euro = self.shop.price(1000, "eur")
        self.deliver()
        self.assign(self.prices, rate_type="fixed", amount=2.5)
        self.assertEqual(program.rule_ids[0].currency_id.name, "EUR")
        self.buy(euro)
        self.assertEqual(self.amounts(), [2.50])
        self.assertEqual(self.rows().currency_id.name, "EUR")

    def test_the_first_payment_only(self):
        program = self.make_program(rate=30)
        self.bind(self.make_affiliate(program))
        price = self.shop.price(1000)
        self.deliver()
        self.assign(self.prices, rate=50, applies_to="first")
        self.buy(price)
        self.double.advance(months=2)
        self.deliver()
        self.assertEqual(self.amounts(), [5.00, 3.00, 3.00])

    def test_a_rule_names_its_plans(self):
        program = self.make_program()
        with self.assertRaisesRegex(UserError, "Choose the plans"):
            program.rule_ids = [(0, 0, {"scope": "price", "rate": 10})]
        with self.assertRaisesRegex(UserError, "Choose the products"):
            program.rule_ids = [(0, 0, {"scope": "product", "rate": 10})]

    def test_an_archived_plan_keeps_its_commission(self):
        """Subscribers of a plan that is no longer sold go on paying."""
        program = self.make_program(rate=30)
        self.bind(self.make_affiliate(program))
        price = self.shop.price(1000)
        self.deliver()
        self.assign(self.prices, rate=10)
        self.buy(price)
        self.shop.post(f"prices/{price['id']}", active=False)
        self.double.advance(months=1)
        self.deliver()
        self.assertEqual(self.amounts(), [1.00, 1.00])

    # --- Odoo's product ---------------------------------------------------------------

    def test_the_link_to_an_odoo_product_survives_syncs(self):
        price = self.shop.price(2500, nickname="Old")
        self.deliver()
        self.prices.odoo_product_id = self.product_a
        self.env.flush_all()
        self.shop.post(f"prices/{price['id']}", nickname="New")
        self.deliver()
        self.fetch(price["id"])
        self.env["affiliate.stripe.run"]._walk_all()
        self.account.action_sync_now()
        self.env["affiliate.stripe.run"]._walk_all()
        self.env.invalidate_all()
        self.assertEqual(self.prices.nickname, "New")
        self.assertEqual(self.prices.odoo_product_id, self.product_a)
