"""A shop with an affiliate and a customer he brought: where money tests start."""

import random

from .common import NEW_YEAR, StripeCase, moment

DAY = 86400


class MoneyCase(StripeCase):
    def setUp(self):
        super().setUp()
        self.told = []
        self.setup_program()

    def post_delivery(self, delivery, **request):
        self.told.append(delivery)
        return super().post_delivery(delivery, **request)

    def assert_any_order(self, times=2):
        """All events until now, shuffled and some of them twice, end in this ledger."""
        ordered, told = self.ledger(), list(self.told)
        for seed in range(times):
            chance = random.Random(seed)
            arriving = told + chance.choices(told, k=len(told) // 3)
            chance.shuffle(arriving)
            self.forget()
            for start in range(0, len(arriving), 4):
                self.deliver(arriving[start : start + 4])
            self.assertEqual(self.ledger(), ordered)
            self.assert_pending_empty()

    def setup_program(self, **values):
        self.program = self.make_program(**values)
        self.drona = self.make_affiliate(self.program)
        self.bind("jane@example.com")

    def bind(self, email, affiliate=None, at=NEW_YEAR - DAY):
        """Map an e-mail to an affiliate, as the manager does by hand."""
        return self.env["affiliate.referral"].create(
            {
                "email": email,
                "affiliate_id": (affiliate or self.drona).id,
                "date": moment(at),
            }
        )

    def sell(self, *amounts, email="jane@example.com", tax=0, **params):
        """A paid invoice of a new customer, delivered and processed."""
        if tax:
            params["default_tax_rates"] = [self.shop.tax_rate(tax)["id"]]
        customer = params.pop("customer", None) or self.shop.customer(email)
        invoice = self.shop.invoice(customer, *amounts, **params)
        self.deliver()
        return invoice

    def overpaid(self, *amounts, excess, customer=None):
        """A paid invoice for which ``excess`` more came in than was due."""
        customer = customer or self.shop.customer()
        invoice = self.shop.invoice(customer, *amounts, pay=False)
        self.double.pay_invoice(invoice["id"], invoice["amount_remaining"] + excess)
        self.deliver()
        return self.shop.get(f"invoices/{invoice['id']}")


class TrickyCase(MoneyCase):
    def mirrored(self, kind, **domain):
        model = self.env[f"affiliate.stripe.{kind}"].with_context(active_test=False)
        return model.search([(name, "=", value) for name, value in domain.items()])

    def with_discount(self, name="Uma Iyer", **values):
        """An affiliate of a programme of its own, whose code takes something off."""
        values = {"discount": 10, "first_time_only": False, **values}
        return self.make_affiliate(self.make_program(**values), name)

    def discounts(self, affiliate):
        return [{"promotion_code": self.promotion(affiliate)}]

    def open_invoice(self, *amounts, **params):
        return self.shop.invoice(self.shop.customer(), *amounts, pay=False, **params)

    def assert_owner(self, affiliate, *amounts):
        self.assertEqual(self.rows().affiliate_id, affiliate)
        self.assertEqual(self.amounts(), list(amounts))
