"""Those who act: the manager in Odoo, the affiliate on its pages, the merchant and the
customers in Stripe."""

import re
from datetime import datetime, timezone

from stripe_double import DoubleClient, Shop

from ..demo_mail import read_letters
from .browser import Browser, Odoo, Refused

KEY = "sk_test_demo_4eC39HqLyjWDarjtT1zdp7dc"
ROW_FIELDS = [
    "amount",
    "base_amount",
    "currency_id",
    "date",
    "hold_until",
    "state",
    "kind",
    "explanation",
    "affiliate_id",
    "invoice_id",
    "charge_id",
    "cause_id",
]


class Manager(Odoo):
    """Whoever runs the programme; short names for what is asked often."""

    def rows(self, **domain):
        """Ledger rows, oldest first."""
        terms = [(name, "=", value) for name, value in domain.items()]
        return self.find("affiliate.commission", terms, ROW_FIELDS, order="id")

    def events(self, *states):
        domain = [("state", "in", states)]
        return self.call("affiliate.stripe.event", "search_count", domain)

    def refusal(self, model, method, *args, **kwargs):
        """The sentence with which Odoo refuses a call, or None if it does not."""
        try:
            self.call(model, method, *args, **kwargs)
        except Refused as refused:
            return refused.sentence
        return None

    def run_cron(self, name):
        """Settings > Technical > Scheduled Actions > Run Manually."""
        cron = self.xml_id(f"affiliate_stripe.{name}")
        self.call("ir.cron", "method_direct_trigger", [cron])


class Affiliate(Odoo):
    """Drona, who has a browser and a mailbox."""

    def __init__(self, base, mailbox, login, password):
        super().__init__(base)
        self.mailbox = mailbox
        self.email, self.password = login, password

    def invitation(self):
        """The link in the mail that grants access to the portal, or None."""
        return self.link_in_mail(r"/web/signup\?")

    def confirmation(self):
        """The link in the mail that asks to confirm the application, or None."""
        return self.link_in_mail("/affiliates/confirm/")

    def link_in_mail(self, part):
        for letter in read_letters(self.mailbox):
            if self.email not in str(letter["To"]):
                continue
            body = letter.get_body(("html", "plain")).get_content()
            link = re.search(rf"https?://[^\s\"'<>]*{part}[^\s\"'<>]*", body)
            if link:
                return link[0].replace("&amp;", "&")
        return None

    def accept(self, link):
        """Open the link of the mail and choose a password."""
        page = self.open(link)
        chosen = {"password": self.password, "confirm_password": self.password}
        return self.submit(page, chosen)


class Stripe:
    """The merchant's Stripe account: the real package, and what customers do there."""

    def __init__(self, url):
        self.double = DoubleClient(url)
        self.shop = Shop(self.double, KEY)

    @property
    def today(self):
        return day(self.double.now())

    def checkout(self, price, email, name, code=None, tax=None):
        """A customer subscribes on Stripe's page; returns the paid invoice."""
        data = {"default_tax_rates": [tax["id"]]} if tax else {}
        session = self.shop.checkout(price, subscription_data=data)
        session = self.double.complete_session(
            session["id"], email=email, name=name, promotion_code=code
        )
        return self.shop.get(f"invoices/{session['invoice']}")

    def buy_by_link(self, link, email, code):
        """A guest follows a payment link that carries a code, and pays."""
        session = self.double.open_payment_link(
            link["id"], client_reference_id=code, email=email
        )
        session = self.double.complete_session(session["id"], email=email)
        intent = self.shop.get(f"payment_intents/{session['payment_intent']}")
        return self.shop.get(f"charges/{intent['latest_charge']}")


def visitor(base):
    return Browser(base)


def day(timestamp):
    return datetime.fromtimestamp(timestamp, timezone.utc).date()
