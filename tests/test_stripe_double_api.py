"""The API's manners: errors, keys, idempotency, paging, expansion."""

import stripe

from .stripe_double.testing import DoubleCase


class Errors(DoubleCase):
    def caught(self, error, call, *args, **kwargs):
        with self.assertRaises(error) as context:
            call(*args, **kwargs)
        return context.exception

    def test_missing_objects(self):
        error = self.caught(
            stripe.InvalidRequestError, self.shop.get, "customers/cus_none"
        )
        self.assertEqual(
            (error.http_status, error.code, error.param),
            (404, "resource_missing", "id"),
        )
        self.assertEqual(error.user_message, "No such customer: 'cus_none'")
        error = self.caught(
            stripe.InvalidRequestError,
            self.shop.code,
            "X",
            coupon="none",
        )
        self.assertEqual(
            (error.http_status, error.code, error.param),
            (400, "resource_missing", "promotion[coupon]"),
        )

    def test_unknown_url(self):
        error = self.caught(stripe.InvalidRequestError, self.shop.get, "nothing/here")
        self.assertEqual(error.http_status, 404)

    def test_known_but_not_implemented(self):
        """What Stripe has and the double has not is a 501, never an empty answer."""
        error = self.caught(stripe.APIError, self.shop.get, "quotes")
        self.assertEqual(error.http_status, 501)

    def test_connected_accounts(self):
        self.double.add_key("sk_test_two", account="acct_two")
        self.double.client("sk_test_two").v1.customers.create({"email": "two@b.c"})
        v1 = self.double.client("sk_test_double", stripe_account="acct_two").v1
        self.assertEqual(v1.customers.list().data[0].email, "two@b.c")
        v1 = self.double.client("sk_test_double", stripe_account="acct_none").v1
        error = self.caught(stripe.PermissionError, v1.customers.list)
        self.assertEqual(error.json_body["error"]["code"], "account_invalid")

    def test_keys(self):
        for key, status in (("sk_test_dead", "revoked"), ("sk_test_old", "expired")):
            self.double.add_key(key, state=status)
            client = self.double.client(key)
            self.caught(stripe.AuthenticationError, client.v1.customers.list)
        self.caught(
            stripe.AuthenticationError, self.double.client("nonsense").v1.customers.list
        )
        self.double.only_known_keys()
        self.caught(
            stripe.AuthenticationError,
            self.double.client("sk_test_new").v1.customers.list,
        )

    def test_restricted_key(self):
        self.double.add_key("rk_test_r", permissions=["coupon_write", "customer_read"])
        v1 = self.double.client("rk_test_r").v1
        v1.customers.list()
        coupon = v1.coupons.create({"percent_off": 5})
        v1.coupons.retrieve(coupon.id)
        error = self.caught(stripe.PermissionError, v1.customers.create, {"name": "x"})
        self.assertEqual(error.http_status, 403)
        self.assertIn("rak_customer_write", error.user_message)
        self.assertNotIn("rk_test_r'", error.user_message)
        self.caught(stripe.PermissionError, v1.promotion_codes.list)

    def test_expansion_needs_the_permission_of_the_object(self):
        invoice = self.shop.invoice(self.shop.customer(), 100)
        self.double.add_key("rk_test_i", permissions=["invoice_read"])
        v1 = self.double.client("rk_test_i").v1
        v1.invoices.retrieve(invoice["id"])
        self.caught(
            stripe.PermissionError,
            v1.invoices.retrieve,
            invoice["id"],
            {"expand": ["customer"]},
        )

    def test_modes_and_accounts_do_not_mix(self):
        customer = self.shop.customer()
        self.double.add_key("sk_test_two", account="acct_two")
        for key in ("sk_live_double", "sk_test_two"):
            v1 = self.double.client(key).v1
            self.assertEqual(v1.customers.list().data, [])
            self.caught(
                stripe.InvalidRequestError, v1.customers.retrieve, customer["id"]
            )
        live = self.double.client("sk_live_double").v1.customers.create({})
        self.assertTrue(live.livemode)
        self.assertEqual(
            self.double.client("sk_test_two").v1.accounts.retrieve_current().id,
            "acct_two",
        )

    def test_codes_are_unique_without_case(self):
        first = self.shop.code("Drona29")
        error = self.caught(stripe.InvalidRequestError, self.shop.code, "DRONA29")
        self.assertIn(
            "An active promotion code with `code: DRONA29` already exists",
            error.user_message,
        )
        self.caught(stripe.InvalidRequestError, self.shop.code, "under_score")
        self.shop.post(f"promotion_codes/{first['id']}", active=False)
        second = self.shop.code("DRONA29")
        found = self.shop.get("promotion_codes", code="drona29", active=True)["data"]
        self.assertEqual([p["id"] for p in found], [second["id"]])
        customer = self.shop.customer()["id"]
        self.shop.code("DRONA29", customer=customer)

    def test_refund_limits(self):
        invoice = self.shop.invoice(self.shop.customer(), 1000)
        charge = self.shop.charge_of(invoice)
        self.caught(stripe.InvalidRequestError, self.shop.refund, charge, 1001)
        self.shop.refund(charge)
        error = self.caught(stripe.InvalidRequestError, self.shop.refund, charge)
        self.assertEqual(error.code, "charge_already_refunded")

    def test_deleted(self):
        coupon = self.shop.coupon(10)
        code = self.shop.code("GONE", coupon=coupon["id"])
        subscription = self.shop.subscribe(
            "a@example.com",
            self.shop.price(1000),
            discounts=[{"promotion_code": code["id"]}],
        )
        gone = self.shop.delete(f"coupons/{coupon['id']}")
        self.assertEqual(
            gone, {"id": coupon["id"], "object": "coupon", "deleted": True}
        )
        self.caught(
            stripe.InvalidRequestError, self.shop.get, f"coupons/{coupon['id']}"
        )
        code = self.shop.get(f"promotion_codes/{code['id']}")
        self.assertFalse(code["active"])
        self.double.advance(months=1)
        renewal = self.shop.get(
            "invoices", limit=1, expand=["data.discounts.source.coupon"]
        )["data"][0]
        self.assertEqual(renewal["total"], 900)
        self.assertTrue(renewal["discounts"][0]["source"]["coupon"]["deleted"])
        key = subscription["customer"]
        self.shop.delete(f"customers/{key}")
        self.assertEqual(
            self.shop.get(f"customers/{key}"),
            {"id": key, "object": "customer", "deleted": True},
        )
        self.assertEqual(
            self.shop.get(f"subscriptions/{subscription['id']}")["status"], "canceled"
        )


class Idempotency(DoubleCase):
    def test_same_key_same_answer(self):
        options = {"idempotency_key": "k1"}
        one = self.v1.coupons.create({"percent_off": 5}, options)
        two = self.v1.coupons.create({"percent_off": 5}, options)
        self.assertEqual(one.id, two.id)
        self.assertEqual(two.last_response.headers["Idempotent-Replayed"], "true")
        self.assertEqual(len(self.v1.coupons.list().data), 1)
        with self.assertRaises(stripe.IdempotencyError):
            self.v1.coupons.create({"percent_off": 6}, options)

    def test_a_refusal_is_not_stored(self):
        options = {"idempotency_key": "k2"}
        with self.assertRaises(stripe.InvalidRequestError):
            self.v1.coupons.create({"percent_off": 500}, options)
        self.v1.coupons.create({"percent_off": 50}, options)

    def test_answer_lost_after_the_write(self):
        self.double.disturb("lost", "POST /v1/coupons")
        client = self.double.client(max_network_retries=2)
        coupon = client.v1.coupons.create({"percent_off": 5})
        self.assertEqual([c.id for c in self.v1.coupons.list().data], [coupon.id])
        posts = self.double.request_log("POST", "/v1/coupons")
        self.assertEqual(len(posts), 2)
        self.assertEqual(len({p["idempotency_key"] for p in posts}), 1)


class Paging(DoubleCase):
    def setUp(self):
        super().setUp()
        self.ids = []
        for number in range(25):
            self.double.advance(seconds=60)
            self.ids.append(self.shop.customer(f"c{number}@example.com")["id"])

    def test_forwards(self):
        page = self.shop.get("customers")
        self.assertEqual(page["url"], "/v1/customers")
        self.assertEqual([c["id"] for c in page["data"]], self.ids[:14:-1])
        self.assertTrue(page["has_more"])
        self.assertEqual(
            [c.id for c in self.v1.customers.list({"limit": 7}).auto_paging_iter()],
            self.ids[::-1],
        )

    def test_backwards(self):
        """``ending_before`` walks from old to new."""
        page = self.v1.customers.list({"limit": 4, "ending_before": self.ids[2]})
        self.assertEqual([c.id for c in page.data], self.ids[6:2:-1])
        self.assertTrue(page.has_more)
        self.assertEqual([c.id for c in page.auto_paging_iter()], self.ids[3:])
        last = self.v1.customers.list({"ending_before": self.ids[-1]})
        self.assertEqual((last.data, last.has_more), ([], False))

    def test_windows(self):
        moment = self.double.get("customer", self.ids[10])["created"]
        for created, expected in (
            ({"gte": moment}, self.ids[10:]),
            ({"gt": moment}, self.ids[11:]),
            ({"lt": moment}, self.ids[:10]),
            ({"lte": moment, "gte": moment}, [self.ids[10]]),
        ):
            found = self.shop.pages("customers", created=created, limit=5)
            self.assertEqual([c["id"] for c in found][::-1], expected)

    def test_refused(self):
        for params in (
            {"limit": 101},
            {"limit": 0},
            {"starting_after": "cus_none"},
            {"starting_after": self.ids[0], "ending_before": self.ids[1]},
        ):
            with self.assertRaises(stripe.InvalidRequestError):
                self.shop.get("customers", **params)

    def test_a_deleted_object_is_no_cursor(self):
        self.shop.delete(f"customers/{self.ids[20]}")
        with self.assertRaises(stripe.InvalidRequestError) as caught:
            self.shop.get("customers", starting_after=self.ids[20], limit=2)
        refused = caught.exception
        self.assertEqual(
            (refused.http_status, refused.code, refused.param),
            (400, "resource_missing", "starting_after"),
        )

    def test_small_pages(self):
        self.double.hostility(page_size=2)
        found = self.v1.customers.list({"limit": 100}).auto_paging_iter()
        self.assertEqual([c.id for c in found], self.ids[::-1])

    def test_filters(self):
        found = self.shop.get("customers", email="c7@example.com")["data"]
        self.assertEqual([c["id"] for c in found], [self.ids[7]])
        customer = self.ids[3]
        self.shop.invoice(customer, 100)
        self.shop.invoice(self.ids[4], 100, pay=False)
        found = self.shop.get("invoices", customer=customer)["data"]
        self.assertEqual(len(found), 1)
        self.assertEqual(
            len(self.shop.get("invoices", status="open", limit=1)["data"]), 1
        )


class Expansion(DoubleCase):
    def setUp(self):
        super().setUp()
        code = self.shop.code("EXPAND")
        self.session = self.shop.buy(
            self.shop.price(1000), "jane@example.com", code="EXPAND"
        )
        self.code = code

    def test_levels(self):
        path = f"invoices/{self.session['invoice']}"
        invoice = self.shop.get(
            path, expand=["discounts.promotion_code.promotion.coupon", "customer"]
        )
        promo = invoice["discounts"][0]["promotion_code"]
        self.assertEqual(promo["promotion"]["coupon"]["percent_off"], 20)
        self.assertEqual(invoice["customer"]["email"], "jane@example.com")
        with self.assertRaises(stripe.InvalidRequestError):
            self.shop.get("invoices", expand=["data.payments.data.payment.charge"])

    def test_includable_fields_only_when_asked(self):
        path = f"invoices/{self.session['invoice']}"
        plain = self.shop.get(path)
        self.assertNotIn("payments", plain)
        self.assertNotIn("amount_paid_off_stripe", plain)
        self.assertEqual(
            len(self.shop.get(path, expand=["payments"])["payments"]["data"]), 1
        )
        listed = self.shop.get("invoices", expand=["data.payments"])["data"][0]
        self.assertEqual(len(listed["payments"]["data"]), 1)

    def test_impossible(self):
        for path, expand in (
            (f"invoices/{self.session['invoice']}", "nothing"),
            (f"invoices/{self.session['invoice']}", "status"),
            ("invoices", "customer"),
            ("products", "data.nothing"),
            ("refunds", "data.nothing"),
        ):
            with self.assertRaises(stripe.InvalidRequestError):
                self.shop.get(path, expand=[expand])

    def test_payment_to_invoice(self):
        """The key path: from a refund's payment intent to invoice and code."""
        refund = self.shop.refund(self.session["invoice"], 100)
        found = self.shop.get(
            "invoice_payments",
            payment={
                "type": "payment_intent",
                "payment_intent": refund["payment_intent"],
            },
            expand=["data.invoice.discounts.promotion_code"],
        )["data"]
        self.assertEqual(len(found), 1)
        promo = found[0]["invoice"]["discounts"][0]["promotion_code"]
        self.assertEqual(promo["id"], self.code["id"])

    def test_session_items(self):
        session = self.shop.get(
            f"checkout/sessions/{self.session['id']}",
            expand=["line_items.data.price.product", "subscription", "customer"],
        )
        product = session["line_items"]["data"][0]["price"]["product"]
        self.assertEqual(product["object"], "product")
        self.assertEqual(session["subscription"]["status"], "active")

    def test_what_lists_leave_out(self):
        """Cancelled subscriptions, archived prices and prices made in passing."""
        subscription = self.session["subscription"]
        self.shop.delete(f"subscriptions/{subscription}")
        price = self.shop.price(700, active=False)

        def listed(path, **params):
            return [obj["id"] for obj in self.shop.pages(path, **params)]

        self.assertNotIn(subscription, listed("subscriptions"))
        self.assertIn(subscription, listed("subscriptions", status="all"))
        self.assertIn(subscription, listed("subscriptions", status="canceled"))
        self.assertNotIn(price["id"], listed("prices"))
        self.assertEqual(listed("prices", active=False), [price["id"]])
        product = self.shop.product("Old", active=False)
        self.assertIn(product["id"], listed("products"))

    def test_legacy_prices(self):
        """``plan_…`` ids of old subscriptions are prices today."""
        world = self.double.world()
        old = world.build(
            "price",
            id="plan_Old123",
            **{
                k: v
                for k, v in self.shop.price(500).items()
                if k not in ("id", "object", "created", "livemode")
            },
        )
        world.add(old, tiers=[])
        self.assertEqual(self.shop.get("prices/plan_Old123")["unit_amount"], 500)
