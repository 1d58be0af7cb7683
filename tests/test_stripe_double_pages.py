"""The customer's pages: pay with a code, ask for money back, quarrel about it."""

import urllib.error
import urllib.parse
import urllib.request
from html.parser import HTMLParser

from .stripe_double import contract
from .stripe_double.testing import DoubleCase

REFUND, DISPUTE = "Ask for a refund", "Dispute the payment"
FOR_CUSTOMER, FOR_SHOP = "For the customer", "For the shop"


class Forms(HTMLParser):
    """Text of a button -> (where its form goes, the fields it sends)."""

    def __init__(self, html):
        super().__init__()
        self.buttons, self.fields, self.pressed, self.shown = {}, {}, None, []
        self.feed(html)
        self.text = " ".join(" ".join(self.shown).split())

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag == "form":
            self.action, self.fields = values.get("action", ""), {}
        elif tag == "input":
            self.fields[values["name"]] = values.get("value", "")
        elif tag == "button":
            self.pressed = {values["name"]: values["value"]} if "name" in values else {}

    def handle_data(self, data):
        if self.pressed is not None:
            form = (self.action, {**self.fields, **self.pressed})
            self.buttons.setdefault(data, form)  # the first of this text
            self.pressed = None
        self.shown.append(data)


class PagesCase(DoubleCase):
    """A browser in which one page is open."""

    def open(self, url, **form):
        """Go there: POST with ``form``, redirects are followed."""
        data = urllib.parse.urlencode(form).encode() if form else None
        try:
            with urllib.request.urlopen(url, data, timeout=5) as answer:
                found = answer.url, answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                found = error.url, error.status, error.read()
        self.url, self.status, html = found
        self.page = Forms(html.decode())
        return self.url, html.decode()

    def press(self, button, **typed):
        action, values = self.page.buttons[button]
        url = urllib.parse.urljoin(self.url, action)
        return self.open(url, **{**values, **typed})

    def offered(self):
        return set(self.page.buttons)

    def pay(self, amount=4900, code=None, **params):
        """A customer pays on the page; his session."""
        session = self.shop.checkout(self.shop.price(amount, **params))
        self.open(session["url"])
        self.press(
            "Pay", email="jane@example.com", name="Jane", promotion_code=code or ""
        )
        self.assertEqual(self.status, 200)
        return self.shop.get(f"checkout/sessions/{session['id']}")

    def charges(self):
        return self.shop.get("charges")["data"]


class TestCheckoutPage(PagesCase):
    def test_payment_link_to_thanks(self):
        self.shop.code("PAGE", 50)
        link = self.shop.link(self.shop.price(1000))
        url, html = self.open(link["url"] + "?client_reference_id=aff-1")
        self.assertIn("/c/pay/cs_test_", url)
        self.assertIn("promotion_code", html)
        url, html = self.open(url, email="p@example.com", promotion_code="nonsense")
        self.assertIn("This code is invalid", html)
        url, html = self.open(url, email="p@example.com", promotion_code="page")
        self.assertIn("Thank you", html)
        session = self.shop.get("checkout/sessions", status="complete")["data"][0]
        self.assertEqual(session["client_reference_id"], "aff-1")
        self.assertEqual(session["amount_total"], 500)
        self.assertIn("Thank you", self.open(url)[1])

    def test_success_url(self):
        session = self.shop.checkout(
            self.shop.price(1000),
            success_url=self.double.url + "/nowhere?s={CHECKOUT_SESSION_ID}",
        )
        url, _html = self.open(session["url"], email="<b>@example.com")
        self.assertEqual(url, f"{self.double.url}/nowhere?s={session['id']}")

    def test_unknown(self):
        for path in ("/buy/none", "/c/pay/none", "/", "/_double/none", "/c/none/none"):
            self.assertTrue(self.open(self.double.url + path)[1])
            self.assertEqual(self.status, 404)

    def test_amounts_are_in_the_currency(self):
        for currency, shown in (
            ("usd", "Total 12.34 USD"),
            ("jpy", "Total 1234 JPY"),
            ("kwd", "Total 1.234 KWD"),
        ):
            session = self.shop.checkout(self.shop.price(1234, currency))
            self.open(session["url"])
            self.assertIn(shown, self.page.text)


class TestReceipt(PagesCase):
    def setUp(self):
        super().setUp()
        self.shop.endpoint("http://127.0.0.1:9/hook")

    def doing(self, act):
        """(type, object) of the events an act logs and queues for the webhook."""
        logged, queued = len(self.double.events()), len(self.double.deliveries())
        act()
        news = [
            (event["type"], event["data"]["object"])
            for event in self.double.events()[logged:]
        ]
        sent = [d.event["type"] for d in self.double.deliveries()[queued:]]
        self.assertEqual(sent, [kind for kind, _obj in news])
        for _kind, obj in news:
            self.assertEqual(contract.check(obj), [])
        return news

    def test_refund_in_parts(self):
        self.shop.code("DRONA29", 20)
        session = self.pay(code="drona29")
        self.assertEqual(session["amount_total"], 3920)
        self.assertEqual(self.url, f"{self.double.url}/c/pay/{session['id']}")
        self.assertIn("Thank you", self.page.text)
        self.assertIn("Discount -9.80 USD Total 39.20 USD", self.page.text)
        self.assertIn("39.20 USD Paid", self.page.text)
        self.assertEqual(self.offered(), {REFUND, DISPUTE})

        news = self.doing(lambda: self.press(REFUND, amount="10"))
        self.assertEqual(
            [kind for kind, _obj in news], ["refund.created", "charge.refunded"]
        )
        (_kind, refund), (_kind, charge) = news
        self.assertEqual((refund["amount"], refund["status"]), (1000, "succeeded"))
        self.assertEqual(refund["reason"], "requested_by_customer")
        self.assertEqual(refund["charge"], charge["id"])
        self.assertEqual((charge["amount_refunded"], charge["refunded"]), (1000, False))
        self.assertEqual(self.status, 200)
        self.assertIn("Refunded 10.00 USD of 39.20 USD", self.page.text)
        self.assertEqual(self.page.buttons[REFUND][1]["amount"], "29.20")
        self.assertEqual(self.offered(), {REFUND, DISPUTE})

        news = self.doing(lambda: self.press(REFUND))  # what is left is filled in
        self.assertEqual(news[0][1]["amount"], 2920)
        self.assertEqual(news[1][1]["refunded"], True)
        self.assertIn("Refunded 39.20 USD of 39.20 USD", self.page.text)
        self.assertEqual(self.offered(), set())
        found = self.shop.get("refunds", charge=charge["id"])["data"]
        self.assertEqual([refund["amount"] for refund in found], [2920, 1000])

    def test_the_same_events_as_the_api(self):
        self.pay()
        mine = self.doing(lambda: self.press(REFUND))
        self.pay()
        theirs = self.doing(lambda: self.shop.refund(self.charges()[0]["id"]))
        self.assertEqual([kind for kind, _obj in mine], [kind for kind, _obj in theirs])
        self.pay()
        mine = self.doing(lambda: self.press(DISPUTE))
        self.pay()
        theirs = self.doing(lambda: self.double.open_dispute(self.charges()[0]["id"]))
        self.assertEqual([kind for kind, _obj in mine], [kind for kind, _obj in theirs])

    def test_dispute_for_the_customer(self):
        self.pay()
        news = self.doing(lambda: self.press(DISPUTE))
        self.assertEqual(news[0][0], "charge.dispute.created")
        self.assertIn("charge.dispute.funds_withdrawn", [kind for kind, _obj in news])
        self.assertEqual(news[0][1]["amount"], 4900)
        self.assertEqual(news[0][1]["charge"], self.charges()[0]["id"])
        self.assertIn("49.00 USD Disputed", self.page.text)
        self.assertEqual(self.offered(), {FOR_CUSTOMER, FOR_SHOP})
        news = self.doing(lambda: self.press(FOR_CUSTOMER))
        self.assertEqual(news[-1][0], "charge.dispute.closed")
        self.assertEqual(news[-1][1]["status"], "lost")
        self.assertIn("the bank decided for the customer", self.page.text)
        self.assertEqual(self.offered(), set())

    def test_dispute_for_the_shop(self):
        """The money is back, so it may be refunded; the bank is not asked again."""
        self.pay()
        self.press(REFUND, amount="9,00")
        news = self.doing(lambda: self.press(DISPUTE))
        self.assertEqual(news[0][1]["amount"], 4000)
        self.assertEqual(self.offered(), {FOR_CUSTOMER, FOR_SHOP})
        news = self.doing(lambda: self.press(FOR_SHOP))
        self.assertIn("charge.dispute.funds_reinstated", [kind for kind, _obj in news])
        self.assertEqual(news[-1][1]["status"], "won")
        self.assertIn("the bank decided for the shop", self.page.text)
        self.assertEqual(self.offered(), {REFUND})
        self.press(REFUND)
        self.assertTrue(self.charges()[0]["refunded"])
        self.assertEqual(self.offered(), set())

    def test_each_payment_of_a_subscription(self):
        session = self.pay()
        first = self.charges()[0]["id"]
        self.double.advance(months=1)
        second = self.charges()[0]["id"]
        self.open(f"{self.double.url}/c/pay/{session['id']}")
        self.assertIn("Paid on 1 February 2026", self.page.text)
        self.assertIn("Paid on 1 January 2026", self.page.text)
        address = f"{self.double.url}/c/refund/{session['id']}"
        self.open(address, payment=first, amount="1.00")
        self.open(address, amount="2.00")  # unnamed: the newest
        refunded = {c["id"]: c["amount_refunded"] for c in self.charges()}
        self.assertEqual(refunded, {first: 100, second: 200})

    def test_without_invoice(self):
        self.pay(1000, interval=None)
        self.press(REFUND, amount="4.00")
        self.assertIn("Refunded 4.00 USD of 10.00 USD", self.page.text)

    def test_no_decimals(self):
        self.pay(1234, currency="jpy")
        self.press(REFUND, amount="34.5")
        self.assertEqual(self.status, 400)
        self.press(REFUND, amount="34")
        self.assertIn("Refunded 34 JPY of 1234 JPY", self.page.text)

    def test_refunds_that_do_not_arrive(self):
        self.double.configure(refund_status_at_creation="pending")
        self.pay()
        self.press(REFUND)
        self.assertIn("49.00 USD refunded, on its way", self.page.text)
        refund = self.shop.get("refunds")["data"][0]
        self.double.refund_status(refund["id"], "failed")
        self.open(self.url)
        self.assertIn("could not be refunded", self.page.text)
        self.assertEqual(self.offered(), {REFUND, DISPUTE})

    # -- what is refused

    def refused(self, status, text, path, **form):
        """A POST that changes nothing and says why."""
        before = len(self.double.events()), self.charges()
        form = form or {"x": "x"}  # else it is no POST
        self.open(f"{self.double.url}/c/{path}", **form)
        self.assertEqual(self.status, status)
        self.assertIn(text, self.page.text)
        self.assertEqual((len(self.double.events()), self.charges()), before)

    def test_amounts(self):
        session = self.pay()
        path = f"refund/{session['id']}"
        for amount in ("ten", "-1", "1e3", "nan", "1.001", "1,234.00", "9" * 5000, "٣"):
            with self.subTest(amount=amount[:9]):
                self.refused(400, "like 1.00", path, amount=amount)
        for amount in ("0", "49.01", "1000"):
            with self.subTest(amount=amount):
                self.refused(400, "up to 49.00 USD", path, amount=amount)
        self.assertEqual(self.offered(), {REFUND, DISPUTE}, "one can correct it")

    def test_above_what_is_left(self):
        session = self.pay()
        self.press(REFUND, amount="40")
        self.refused(400, "up to 9.00 USD", f"refund/{session['id']}", amount="9.01")

    def test_refunded_already(self):
        session = self.pay()
        self.press(REFUND)
        for path in ("refund", "dispute"):
            self.refused(400, "been refunded", f"{path}/{session['id']}")

    def test_disputed_already(self):
        session = self.pay()
        self.press(DISPUTE)
        for _when in ("open", "lost"):
            self.refused(400, "taken this payment back", f"refund/{session['id']}")
            self.refused(400, "been disputed", f"dispute/{session['id']}")
            if FOR_CUSTOMER in self.offered():
                self.press(FOR_CUSTOMER)
        path = f"decide/{session['id']}"
        self.refused(400, "no dispute to decide", path, decision="shop")

    def test_decisions(self):
        session = self.pay()
        path = f"decide/{session['id']}"
        self.refused(400, "no dispute to decide", path, decision="shop")
        self.press(DISPUTE)
        self.refused(400, "for the customer or for the shop", path, decision="x")
        self.refused(400, "no dispute", path, decision="shop", dispute="du_other")

    def test_orders(self):
        session = self.shop.checkout(self.shop.price(1000))
        for act in ("refund", "dispute", "decide"):
            self.refused(404, "No such checkout.session: '<b>'", f"{act}/<b>")
        for act in ("refund", "dispute"):
            self.refused(400, "not paid", f"{act}/{session['id']}")
        other = self.pay()
        charge = self.charges()[0]["id"]
        mine = self.pay()
        self.refused(404, "no payment", f"refund/{mine['id']}", payment=charge)
        self.refused(404, "no payment", f"dispute/{other['id']}", payment="ch_none")

    def test_delayed_payment(self):
        session = self.shop.checkout(self.shop.price(1000, interval=None))
        self.double.complete_session(session["id"], email="j@example.com", delayed=True)
        self.open(f"{self.double.url}/c/pay/{session['id']}")
        self.assertIn("has not confirmed", self.page.text)
        self.assertEqual(self.offered(), set())
        self.refused(400, "not paid", f"refund/{session['id']}")
        self.double.settle_session(session["id"], succeed=False)
        self.refused(400, "not paid", f"dispute/{session['id']}")

    def test_free(self):
        self.shop.code("FREE", 100)
        session = self.pay(code="FREE")
        self.assertIn("Nothing had to be paid", self.page.text)
        self.refused(400, "not paid", f"refund/{session['id']}")

    def test_looking_changes_nothing(self):
        """A GET of an address that acts leads to the receipt."""
        session = self.pay()
        events = len(self.double.events())
        for act in ("refund", "dispute", "decide"):
            url, _html = self.open(f"{self.double.url}/c/{act}/{session['id']}")
            self.assertEqual(url, f"{self.double.url}/c/pay/{session['id']}")
        self.assertEqual(len(self.double.events()), events)
