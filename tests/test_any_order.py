"""Random histories: however events arrive, the ledger ends the same, to the cent.

Each history is played twice against one double. First live, every event delivered in
order as it happens. Then the database forgets everything but its affiliates, their
claims and visits, and the same events arrive in random order, some twice, some never,
some visits become known last, and the claims after all that, left to the background as
when the account is busy. Then both ledgers must be equal. Some claims are leads without
a visit, which give way to everything else.
"""

import os
import random
from contextlib import contextmanager
from fractions import Fraction

import stripe

from odoo.tests import tagged

from .common import NEW_YEAR, StripeCase, moment
from .stripe_double.billing.amounts import half_up
from .stripe_double.errors import ApiError

DAY = 86400
HISTORIES = int(os.environ.get("AFFILIATE_STRIPE_HISTORIES", "8"))
STEPS = 18
# What may happen next, and how often it does.
WEIGHTS = {
    "subscribe": 4,
    "upgrade": 2,
    "one_off": 3,
    "bill": 3,
    "in_parts": 2,
    "in_another_name": 2,
    "old_debt": 2,
    "pay_too_much": 2,
    "set_aside": 2,
    "take": 3,
    "debit": 2,
    "answer": 2,
    "given_away": 1,
    "refund": 4,
    "credit_note": 5,
    "void_note": 1,
    "dispute": 2,
    "decline": 1,
    "give_up": 2,
    "wait": 5,
}


class History:
    """One random history of a small shop, made step by step."""

    def __init__(self, case, seed):
        self.case, self.double, self.shop = case, case.double, case.shop
        self.random = random.Random(seed)
        self.seed = seed
        self.people, self.subscriptions, self.debits = [], [], []
        self.steps = 0
        rate = self.shop.tax_rate(19)
        self.tax = [[], [rate["id"]]]
        self.prices = [
            self.shop.price(amount, interval=interval)
            for amount, interval in ((1999, "month"), (4733, "month"), (50000, "year"))
        ]
        self.deal = self.shop.price(29900, interval=None)

    def step(self):
        """Do one thing that customers, the bank or time would do."""
        self.steps += 1
        name = self.random.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        try:
            getattr(self, name)()
        except (stripe.StripeError, ApiError) as refused:
            # E.g. refunding what is refunded already: Stripe says no, nothing happens.
            return f"{name}: {refused}"
        return name

    def email(self):
        """A new address, a claimed one, or one that is a customer already."""
        fresh = f"p{len(self.people)}.s{self.seed}@example.com"
        email = self.random.choice([fresh, *self.case.claimed, *self.people[-2:]])
        self.people.append(email)
        return email

    def discounts(self):
        code = self.random.choice([None, *self.case.promotions])
        return {"discounts": [{"promotion_code": code}]} if code else {}

    def subscribe(self):
        params = self.discounts() | {
            "default_tax_rates": self.random.choice(self.tax),
            "trial_period_days": self.random.choice([0, 0, 14]),
        }
        price = self.random.choice(self.prices)
        self.subscriptions.append(self.shop.subscribe(self.email(), price, **params))

    def upgrade(self):
        if self.subscriptions:
            subscription = self.random.choice(self.subscriptions)
            self.shop.switch(subscription, self.random.choice(self.prices[:2]))

    def one_off(self):
        reference = self.random.choice([None, *self.case.codes, *self.case.references])
        link = self.shop.link(self.deal)
        session = self.double.open_payment_link(link["id"], reference)
        self.double.complete_session(session["id"], email=self.email())

    def bill(self):
        """An invoice by hand, or the payment of the last one that is still open."""
        if waiting := self.double.all("invoice", status="open"):
            self.shop.post(f"invoices/{waiting[-1]['id']}/pay")
            return
        customer = self.shop.customer(
            self.email(), balance=self.random.choice([0, 500, -500])
        )
        rate = self.random.choice(self.tax)
        self.shop.invoice(customer, 7001, 2999, -777, pay=False, default_tax_rates=rate)

    def in_parts(self):
        """An invoice in some currency, paid in three parts, the last one in cash."""
        customer = self.shop.customer(self.email())
        currency = self.random.choice(["usd", "jpy", "kwd"])
        invoice = self.shop.invoice(customer, 7001, 2999, pay=False, currency=currency)
        for days in self.random.sample([0, 1, 40], 2):
            self.double.pay_invoice(invoice["id"], 3333)
            self.double.advance(days=days)
        self.shop.post(f"invoices/{invoice['id']}/pay", paid_out_of_band=True)

    def in_another_name(self):
        """An invoice paid by somebody else, or by nobody Stripe knows."""
        customer = self.shop.customer(self.email())
        invoice = self.shop.invoice(customer, 4004, 333, pay=False)
        payer = self.shop.customer(self.email())["id"]
        params = self.random.choice([{}, {"customer": payer}])
        intent = self.shop.post(
            "payment_intents",
            amount=invoice["total"],
            currency="usd",
            confirm=True,
            **params,
        )
        path = f"invoices/{invoice['id']}/attach_payment"
        self.shop.post(path, payment_intent=intent["id"])

    def given_away(self):
        """A guest's payment becomes that of a customer."""
        if guests := [c for c in self.charges() if not c["customer"]]:
            charge = self.random.choice(guests)["id"]
            customer = self.shop.customer(self.email())["id"]
            events = ["charge.updated"]
            self.double.alter("charge", charge, events, customer=customer)

    def credit_note(self):
        """Of some lines or of none; refunded, explaining a refund, to the balance, out
        of band, or all of it before the payment."""
        invoices = [
            invoice
            for invoice in self.double.all("invoice")
            if invoice["status"] in ("open", "paid") and invoice["total"] > 0
        ]
        if not invoices:
            return
        invoice = self.random.choice(invoices)
        params, whole = self.credited(invoice)
        waiting = invoice["amount_remaining"] if invoice["status"] == "open" else 0
        params |= self.placed(invoice, whole - min(whole, waiting))
        self.shop.post("credit_notes", invoice=invoice["id"], **params)

    def credited(self, invoice):
        """What a note is about, and its amount with tax."""
        line = self.random.choice(invoice["lines"]["data"])
        if line["amount"] <= 0 or self.random.random() < 0.3:
            amount = self.random.choice([invoice["total"], 333])
            return {"amount": amount}, amount
        amount = self.random.choice([line["amount"], line["amount"] // 3, 100])
        share = Fraction(amount, line["amount"])
        off = [-part["amount"] for part in line["discount_amounts"]]
        taxes = [tax["amount"] for tax in line["taxes"]]
        whole = amount + sum(half_up(part * share) for part in off + taxes)
        kind = "invoice_line_item"
        return {"lines": [{"type": kind, kind: line["id"], "amount": amount}]}, whole

    def placed(self, invoice, after):
        """Where the part of a credit note that was paid already goes."""
        if not after or not invoice["amount_paid"]:
            return {}
        charge = self.shop.charge_of(invoice)
        refunds = self.double.all("refund", charge=charge)
        how = self.random.choice(["refund", "balance", "outside", "mixed", "explain"])
        if how == "explain" and refunds:
            refund = self.random.choice(refunds)
            amount = min(refund["amount"], after)
            entry = {"refund": refund["id"], "amount_refunded": amount}
            return {"refunds": [entry], "credit_amount": after - amount}
        if how == "mixed":
            part = after // 3
            rest = after - 2 * part
            return {
                "refund_amount": part,
                "credit_amount": part,
                "out_of_band_amount": rest,
            }
        name = {"balance": "credit", "outside": "out_of_band"}.get(how, "refund")
        return {f"{name}_amount": after}

    def void_note(self):
        for note in self.double.all("credit_note", status="issued"):
            if note["type"] == "pre_payment":
                self.shop.post(f"credit_notes/{note['id']}/void")
                return

    def charges(self):
        return [c for c in self.double.all("charge") if c["status"] == "succeeded"]

    def refund(self):
        if charges := self.charges():
            charge = self.random.choice(charges)
            amount = self.random.choice([None, charge["amount"] // 3, 777])
            refund = self.shop.refund(charge["id"], amount)
            if self.random.random() < 0.2:
                self.double.refund_status(refund["id"], "failed")

    def dispute(self):
        if charges := self.charges():
            charge = self.random.choice(charges)
            made = self.double.open_dispute(charge["id"])
            outcome = self.random.choice([None, "won", "lost"])
            if outcome:
                self.double.close_dispute(made["id"], outcome)

    def decline(self):
        """A card stops working; the open invoice is voided or written off."""
        if not self.subscriptions:
            return
        customer = self.random.choice(self.subscriptions)["customer"]
        self.double.card_declines(customer)
        self.double.advance(months=1)
        for invoice in self.double.all("invoice", customer=customer, status="open"):
            end = self.random.choice(["void", "mark_uncollectible"])
            self.shop.post(f"invoices/{invoice['id']}/{end}")
        self.double.card_declines(customer, False)

    def wait(self):
        self.double.advance(days=self.random.choice([3, 10, 31]))

    def old_debt(self):
        """An invoice that is paid with what was owed before, at once or in parts."""
        customer = self.shop.customer(self.email(), balance=2500)
        rate = self.random.choice(self.tax)
        invoice = self.shop.invoice(
            customer, 6001, 2999, pay=False, default_tax_rates=rate
        )
        if self.random.random() < 0.5:
            self.double.pay_invoice(invoice["id"], 5000)
            self.double.advance(days=1)
        self.double.pay_invoice(invoice["id"])

    def pay_too_much(self):
        """By one payment, with or without a balance on either side."""
        balance = self.random.choice([-1500, 0, 1500])
        customer = self.shop.customer(self.email(), balance=balance)
        invoice = self.shop.invoice(customer, 5005, 1111, pay=False)
        self.double.pay_invoice(invoice["id"], invoice["amount_remaining"] + 1234)

    def give_up(self):
        """Paid in part, the rest uncollectible; some pay it after all."""
        customer = self.shop.customer(self.email())
        invoice = self.shop.invoice(customer, 3333, 3333, 3334, pay=False)
        self.double.pay_invoice(invoice["id"], self.random.choice([3333, 7001]))
        self.double.advance(days=2)
        path = f"invoices/{invoice['id']}"
        self.shop.post(f"{path}/mark_uncollectible")
        end = self.random.choice([None, None, "pay", "void"])
        if end:
            self.double.advance(days=20)
            self.shop.post(f"{path}/{end}")

    def set_aside(self):
        """Money is set aside on a card, to be taken later."""
        customer = self.shop.customer(self.email())["id"]
        self.double.authorize(self.random.choice([5000, 12345]), customer)

    def take(self):
        """All or a part of it is taken, or it is let go; some by an integration of old,
        at which Stripe keeps a refund of what was let go."""
        waiting = [c for c in self.charges() if not c["captured"]]
        if not waiting:
            return
        charge = self.random.choice(waiting)["id"]
        version = self.random.choice([None, "2025-02-24.acacia"])
        amount = self.random.choice([None, 1234, 4000])
        if self.random.random() < 0.2:
            self.double.release(charge, api_version=version)
        else:
            self.double.capture(charge, amount, api_version=version)

    def debit(self):
        """A bank is asked, and answers another day."""
        customer = self.shop.customer(self.email())["id"]
        intent = self.double.pay_by_debit(self.random.choice([3000, 7777]), customer)
        self.debits.append((intent["id"], self.double.now()))

    def answer(self):
        """A bank says yes or no to what it was asked a week ago or before."""
        for intent, asked in self.debits:
            if self.double.now() >= asked + 7 * DAY:
                self.double.settle_payment(intent, self.random.random() < 0.8)
                self.debits.remove((intent, asked))
                return


class RandomHistories(StripeCase):
    """A program, two affiliates, and what is known of the people they may bring."""

    def setUp(self):
        super().setUp()
        self.program = self.make_program(
            discount=10,
            discount_duration="forever",
            first_time_only=False,
            rules=[
                {"rate": 33.33, "applies_to": "first"},
                {"rate": 20, "duration_months": 3},
            ],
        )
        self.affiliates = [
            self.make_affiliate(self.program, name)
            for name in ("Drona Rao", "Uma Iyer")
        ]
        self.promotions = [self.promotion(affiliate) for affiliate in self.affiliates]
        self.codes = [affiliate.code for affiliate in self.affiliates]
        self.make_leads()
        self.make_visits()
        self.env.flush_all()

    def make_leads(self):
        """Some have visits, which are known last at times; others nobody can prove,
        also for somebody whom another affiliate has brought."""
        known, other, nobody = "visitor000000001", "visitor000000002", False
        leads = (
            ("lead@example.com", 0, -1, known),
            ("late@example.com", 1, 20, known),
            ("blind@example.com", 0, -1, nobody),
            ("blind.late@example.com", 1, 20, nobody),
            ("both@example.com", 1, -3, nobody),
            ("both@example.com", 0, 3, other),
            ("both.late@example.com", 0, 1, nobody),
            ("both.late@example.com", 1, 31, other),
        )
        self.claimed = list(dict.fromkeys(email for email, *_lead in leads))
        for email, number, day, visitor in leads:
            self.env["affiliate.referral"].sudo().create(
                {
                    "email": email,
                    "affiliate_id": self.affiliates[number].id,
                    "date": moment(NEW_YEAR + day * DAY),
                    "source": "form",
                    "visitor": visitor,
                    "without_visit": True,
                }
            )

    def make_visits(self):
        """Two visitors: one came by both affiliates' links, also before the leads."""
        self.references = []
        for visitor, number, day in (
            ("visitor000000001", 1, -6),
            ("visitor000000001", 0, -4),
            ("visitor000000001", 1, 8),
            ("visitor000000002", 0, 2),
            ("visitor000000002", 1, 30),
        ):
            affiliate = self.affiliates[number]
            self.references.append(f"{affiliate.code}_{visitor}")
            self.env["affiliate.click"].sudo().create(
                {
                    "visitor": visitor,
                    "code_id": affiliate.code_ids.id,
                    "affiliate_id": affiliate.id,
                    "program_id": self.program.id,
                    "company_id": self.program.company_id.id,
                    "date": moment(NEW_YEAR + day * DAY),
                }
            )

    def choose_rules(self, chance):
        """The rates of the program, or fixed amounts beside them."""
        fixed = {
            "rate_type": "fixed",
            "amount": chance.choice([0.5, 7.77, 25]),
            "currency_id": self.env.ref("base.USD").id,
            "per_unit": chance.random() < 0.5,
            "over_base": chance.random() < 0.3,
            "prorations": chance.random() < 0.5,
        }
        first, others = chance.choice(
            [
                ({}, {}),
                (fixed | {"applies_to": "first"}, {}),
                ({"applies_to": "first"}, fixed),
                ({**fixed, "billing_interval": "month", "applies_to": "all"}, {}),
            ]
        )
        rules = self.program.rule_ids.sorted("id")
        rules[0].write(first)
        rules[1].write(others)


@tagged("post_install", "-at_install")
class TestAnyOrder(RandomHistories):
    def play(self, seed):
        history = History(self, seed)
        self.choose_rules(random.Random(seed))
        self.program.write(
            {
                "attribution_model": history.random.choice(["first", "last"]),
                "cookie_days": history.random.choice([7, 60]),
                "existing_customers": history.random.choice(
                    ["unpaid", "created_after", "any"]
                ),
                "no_visit_policy": history.random.choice(["allow", "hold", "block"]),
            }
        )
        events = []
        # A history without any commission would prove nothing.
        while history.steps < STEPS or not self.ledger():
            history.step()
            deliveries = self.double.deliveries()
            events += deliveries
            self.deliver(deliveries)
        ordered = self.ledger()
        self.assert_pending_empty()
        self.forget()
        visits = self.env["affiliate.click"].sudo().search([])
        late = visits.filtered(lambda _visit: history.random.random() < 0.4)
        known = {visit: visit.visitor for visit in late}
        late.visitor = "not known yet"
        claims = self.env["affiliate.referral"].search([("source", "=", "form")])
        with self.not_there(claims):
            self.deliver_at_random(events, history.random)
            for visit, visitor in known.items():
                visit.visitor = visitor
            self.reconcile()
        self.env["affiliate.referral"]._cron_decide_late()
        self.env.invalidate_all()
        self.assert_pending_empty()
        self.assertEqual(self.ledger(), ordered)

    @contextmanager
    def not_there(self, claims):
        """Claims whose transaction nobody sees until it ends, and nobody decided."""
        emails = {claim: claim.email for claim in claims.sudo()}
        claims.sudo().email = "nobody@example.com"
        self.env.flush_all()
        yield
        for claim, email in emails.items():
            claim.write({"email": email, "to_decide": True})
        self.env.flush_all()

    def deliver_at_random(self, events, chance):
        arriving = [d for d in events if chance.random() > 0.2]
        arriving += [d for d in events if chance.random() < 0.2]
        chance.shuffle(arriving)
        while arriving:
            batch = chance.randint(1, 15)
            self.deliver(arriving[:batch])
            del arriving[:batch]


def _history_test(seed):
    def test(self):
        self.play(seed)

    return test


for _seed in range(HISTORIES):
    setattr(TestAnyOrder, f"test_history_{_seed:02}", _history_test(_seed))
