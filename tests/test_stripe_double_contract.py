"""The double is honest: what it takes and answers is what the package declares."""

import stripe

from .stripe_double import contract, params, routing
from .stripe_double.errors import ApiError
from .stripe_double.testing import DoubleCase


class Declared(DoubleCase):
    def test_every_route_exists_in_the_package(self):
        unknown = [f"{r.method} {r.path}" for r in routing.ROUTES if r.spec is None]
        self.assertEqual(unknown, [])

    def test_includable_fields_exist(self):
        for kind, names in contract.INCLUDABLE.items():
            known = contract.fields(contract.resource_class(kind))
            self.assertLessEqual(names, set(known), kind)

    def test_every_parameter_class_can_be_read(self):
        for method, path in params.package_routes():
            self.assertTrue(params.spec(method, path).fields is not None)

    def test_ends_at_the_version_of_the_package(self):
        customer = self.v1.customers.create({"email": "a@example.com"})
        headers = customer.last_response.headers
        self.assertEqual(headers["Stripe-Version"], stripe.api_version)
        self.assertTrue(customer.last_response.request_id.startswith("req_"))


class RemovedParameters(DoubleCase):
    """Parameters of older versions, and of nobody, are refused as Stripe does."""

    def refused(self, path, name, **values):
        with self.assertRaises(stripe.InvalidRequestError) as caught:
            self.shop.post(path, **values)
        self.assertEqual(caught.exception.http_status, 400)
        self.assertEqual(caught.exception.code, "parameter_unknown")
        self.assertEqual(caught.exception.param, name)

    def test_removed(self):
        self.refused("subscriptions", "coupon", customer="c", coupon="x")
        self.refused(
            "subscriptions", "promotion_code", customer="c", promotion_code="x"
        )
        self.refused("customers", "coupon", email="a@b.c", coupon="x")
        self.refused(
            "checkout/sessions",
            "payment_method_types",
            mode="payment",
            payment_method_types=["card"],
        )
        self.refused("promotion_codes", "coupon", coupon="x", code="A")
        self.refused(
            "subscriptions",
            "items[0][coupon]",
            customer="c",
            items=[{"price": "p", "coupon": "x"}],
        )

    def test_immutable(self):
        code = self.shop.code("FIXED")
        path = f"promotion_codes/{code['id']}"
        for name, value in (
            ("code", "OTHER"),
            ("expires_at", 1),
            ("max_redemptions", 3),
            ("customer", "cus_x"),
        ):
            self.refused(path, name, **{name: value})
        price = self.shop.price(100)
        self.refused(f"prices/{price['id']}", "unit_amount", unit_amount=5)

    def test_required_and_mistyped(self):
        for path, values, code, param in (
            ("promotion_codes", {"code": "A"}, "parameter_missing", "promotion"),
            (
                "promotion_codes",
                {"promotion": {"coupon": "x"}},
                "parameter_missing",
                "promotion[type]",
            ),
            (
                "coupons",
                {"percent_off": 5, "max_redemptions": "many"},
                "parameter_invalid_integer",
                "max_redemptions",
            ),
            ("coupons", {"percent_off": 5, "duration": "always"}, None, "duration"),
            ("products", {"name": "x", "active": "maybe"}, None, "active"),
        ):
            with self.assertRaises(stripe.InvalidRequestError) as caught:
                self.shop.post(path, **values)
            self.assertEqual(
                (caught.exception.code, caught.exception.param), (code, param)
            )

    def test_what_the_double_lacks_is_said_aloud(self):
        with self.assertRaises(stripe.APIError) as caught:
            self.shop.customer(test_clock="clock_1")
        self.assertEqual(caught.exception.http_status, 501)


class Checker(DoubleCase):
    """The checker itself finds what it should."""

    def coupon(self, **changes):
        coupon = self.double.get("coupon", self.shop.coupon(10)["id"])
        coupon.update(changes)
        return contract.check(coupon)

    def test_good(self):
        self.assertEqual(self.coupon(), [])

    def test_bad(self):
        for changes, word in (
            ({"surprise": 1}, "unknown field"),
            ({"duration": "sometimes"}, "one of"),
            ({"times_redeemed": "3"}, "is not"),
            ({"times_redeemed": True}, "is not"),
            ({"metadata": {"a": 1}}, "is not"),
            ({"valid": None}, "is not"),
            ({"object": "cupon"}, "object is"),
        ):
            kind = "coupon" if changes.get("object") else None
            if kind:
                problems = contract.check({"object": "cupon", "id": "x"}, "coupon")
            else:
                problems = self.coupon(**changes)
            self.assertTrue(problems and word in problems[0], problems)

    def test_missing(self):
        coupon = self.double.get("coupon", self.shop.coupon(10)["id"])
        del coupon["duration"]
        self.assertEqual(contract.check(coupon), ["coupon.duration: missing"])

    def test_nested(self):
        invoice = self.shop.invoice(self.shop.customer(), 100)
        del invoice["lines"]["data"][0]["period"]["end"]
        problems = contract.check(invoice)
        self.assertEqual(problems, ["invoice.lines.data[0].period.end: missing"])

    def test_a_wrong_object_never_leaves_a_strict_double(self):
        world = self.double.world()
        bad = world.build("coupon", id="bad", duration="once")
        with self.assertRaises(contract.ContractError):
            world.add(bad)

    def test_decoding(self):
        tree = params.decode(
            [("items[0][price]", "p"), ("items[1][price]", "q"), ("expand[]", "a")]
        )
        self.assertEqual(
            tree,
            {
                "items": {"0": {"price": "p"}, "1": {"price": "q"}},
                "expand": {"": ["a"]},
            },
        )
        spec = params.spec("POST", "/v1/subscriptions")
        parsed = spec.parse({**tree, "customer": "c"})
        self.assertEqual(parsed["items"], [{"price": "p"}, {"price": "q"}])
        self.assertEqual(parsed["expand"], ["a"])
        with self.assertRaises(ApiError):
            spec.parse({"items": "x"})


class Typed(DoubleCase):
    """Every kind of answer builds the package's typed object without trouble."""

    def test_all_kinds_through_the_typed_client(self):
        shop, v1 = self.shop, self.v1
        shop.code("TYPED", 10)
        price = shop.price(1000)
        session = shop.buy(price, "jane@example.com", code="typed")
        invoice = v1.invoices.retrieve(
            session["invoice"],
            {"expand": ["payments", "discounts.promotion_code"]},
        )
        self.assertIsInstance(invoice, stripe.Invoice)
        self.assertIsInstance(invoice.discounts[0].promotion_code, stripe.PromotionCode)
        intent = invoice.payments.data[0].payment.payment_intent
        charge = v1.charges.retrieve(v1.payment_intents.retrieve(intent).latest_charge)
        refund = v1.refunds.create({"charge": charge.id, "amount": 100})
        dispute = self.double.open_dispute(charge.id, amount=500)
        lists = {
            v1.products: "product",
            v1.prices: "price",
            v1.coupons: "coupon",
            v1.promotion_codes: "promotion_code",
            v1.customers: "customer",
            v1.subscriptions: "subscription",
            v1.invoices: "invoice",
            v1.invoice_payments: "invoice_payment",
            v1.invoice_items: "invoiceitem",
            v1.payment_intents: "payment_intent",
            v1.charges: "charge",
            v1.refunds: "refund",
            v1.disputes: "dispute",
            v1.checkout.sessions: "checkout.session",
            v1.payment_links: "payment_link",
            v1.balance_transactions: "balance_transaction",
            v1.credit_notes: "credit_note",
            v1.payouts: "payout",
            v1.events: "event",
            v1.webhook_endpoints: "webhook_endpoint",
            v1.tax_rates: "tax_rate",
        }
        for service, kind in lists.items():
            for obj in service.list({"limit": 100}).data:
                self.assertEqual(obj.object, kind)
                self.assertEqual(contract.check(self.double.get(kind, obj.id)), [])
        self.assertEqual(refund.charge, charge.id)
        self.assertEqual(v1.disputes.retrieve(dispute["id"]).amount, 500)
        self.assertEqual(v1.accounts.retrieve_current().object, "account")
