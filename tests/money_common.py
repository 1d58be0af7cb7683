"""A shop with an affiliate and a customer he brought: where money tests start."""

from .common import NEW_YEAR, StripeCase, moment

DAY = 86400


class MoneyCase(StripeCase):
    def setUp(self):
        super().setUp()
        self.setup_program()

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
