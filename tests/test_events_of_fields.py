"""Whatever is read of Stripe's objects, an event tells when it changes.

``stripe_fields.py`` says which event tells of which field. These tests find the fields
that readers and money maths look at, so that none is forgotten, and compare the events
with those that the installed package knows and those we ask for.
"""

import unittest
from typing import get_args

from stripe.params._webhook_endpoint_create_params import WebhookEndpointCreateParams

from odoo.tests import tagged

from ..lib import evidence, paid_moments, sale_facts
from ..lib.stripe_events import OBJECT_NAMES, SUBSCRIBED
from ..lib.stripe_lists import understand
from ..lib.stripe_objects import KINDS
from .stripe_double import contract
from .stripe_double.testing import DAY, DoubleCase
from .stripe_fields import FIELDS, NO_EVENT, TELLS_NOTHING_NEW, missing_events

KNOWN = frozenset(
    get_args(get_args(WebhookEndpointCreateParams.__annotations__["enabled_events"])[0])
)


WITH_EVIDENCE = ("customer", "subscription", "checkout_session", "invoice", "charge")


class Noted(dict):
    """A JSON object that notes which of its fields somebody looks at."""

    def __init__(self, raw, seen):
        super().__init__(raw)
        self.seen = seen

    def get(self, key, default=None):
        self.seen.add(key)
        return super().get(key, default)

    def __getitem__(self, key):
        self.seen.add(key)
        return super().__getitem__(key)


@tagged("post_install", "-at_install")
class TestEveryFieldHasAnEvent(DoubleCase):
    def setUp(self):
        super().setUp()
        self.seen = {kind: set() for kind in KINDS}
        self.trade()

    def trade(self):
        """A little of everything, so that there is an object of each kind."""
        code = self.shop.code("SUMMER20")
        price = self.shop.price(10000)
        self.shop.buy(price, "jane@example.com", code="SUMMER20")
        self.double.advance(days=1)
        self.shop.buy(self.shop.price(5000, interval=None), "guest@example.com")
        self.shop.buy(
            self.shop.price(5000, interval=None),
            "guest2@example.com",
            code=code["code"],
        )
        customer = self.shop.customer("bob@example.com")["id"]
        invoice = self.shop.invoice(customer, 10000, pay=False)
        self.double.pay_invoice(invoice["id"], 4000)
        self.shop.post(f"invoices/{invoice['id']}/pay", paid_out_of_band=True)
        invoice = self.shop.invoice(customer, 10000)
        charge = self.shop.charge_of(invoice)
        self.shop.post(
            "credit_notes", invoice=invoice["id"], amount=1000, refund_amount=1000
        )
        self.shop.refund(charge, 2000)
        dispute = self.double.open_dispute(charge, 3000)
        self.double.close_dispute(dispute["id"], "lost")
        held = self.double.authorize(10000, customer)
        self.double.advance(days=2)
        self.double.capture(held["id"], 4000, api_version="2025-02-24.acacia")
        self.double.pay_by_debit(10000, customer)
        self.double.advance(seconds=3 * DAY)
        self.double.pay_out()

    def read_everything(self):
        """Let all that reads Stripe's objects read all there are."""
        api = _Nothing()
        kept = {kind: {} for kind in KINDS}
        for name, kind in KINDS.items():
            for raw in self.objects(kind):
                reading = understand(api, kind, Noted(raw, self.seen[name]))
                for row in reading.rows:
                    if row.kind in kept:
                        data = Noted(row.data, self.seen[row.kind])
                        kept[row.kind][row.stripe_id] = (row, data)
                        if row.kind in WITH_EVIDENCE:
                            list(evidence.evidence_of(row.kind, data))
        self.assertFalse([kind for kind, found in kept.items() if not found])
        self.compute(kept)

    def objects(self, kind):
        path = kind.path.removeprefix("/v1/")
        for params in kind.filters:
            yield from self.shop.pages(path, **kind.list_params(), **params)

    def compute(self, kept):
        """What the ledger is made of."""
        data = {
            kind: {ref: raw for ref, (_row, raw) in found.items()}
            for kind, found in kept.items()
        }
        for invoice in data["invoice"].values():
            payments = list(data["invoice_payment"].values())
            sale_facts.invoice_sale(invoice, [], payments)
        for note in data["credit_note"].values():
            sale_facts.credit_note(note, data["refund"])
            sale_facts.explained_refunds([note], data["refund"])
        for charge in data["charge"].values():
            paid_moments.is_told_by_events(charge)
            sale_facts.is_returned([charge])
            for session in (None, *data["checkout_session"].values()):
                sale_facts.charge_sale(charge, session)
            sale_facts.released(charge, data["refund"])
            for refund in data["refund"].values():
                sale_facts.refund_reversal(refund, charge)
            for dispute in data["dispute"].values():
                sale_facts.dispute_reversal(dispute, charge)
                sale_facts.is_dispute_open(dispute)
        for kind in ("customer", "subscription", "invoice", "charge"):
            sale_facts.is_skipped(*data[kind].values())

    def test_the_table_names_what_is_read(self):
        self.read_everything()
        for kind, seen in self.seen.items():
            with self.subTest(kind=kind):
                declared = {*FIELDS.get(kind, ()), *NO_EVENT.get(kind, ())}
                # Evidence is looked for under all names that any kind has.
                own = set(contract.fields(contract.resource_class(OBJECT_NAMES[kind])))
                told = (seen & own) - {"id", "object", "created", "livemode"}
                self.assertEqual(told - declared, set())
                self.assertLessEqual(declared, own | {"deleted"})


class TestTheEvents(unittest.TestCase):
    def test_every_event_of_the_table_exists(self):
        for kind, fields in FIELDS.items():
            for field, needed in fields.items():
                with self.subTest(kind=kind, field=field):
                    types = {one for entry in needed for one in entry.split("|")}
                    self.assertTrue(types)
                    self.assertLessEqual(types, KNOWN)

    def test_we_are_told_of_every_change(self):
        self.assertEqual(missing_events(SUBSCRIBED), {})

    def test_a_field_whose_event_is_taken_away_is_found(self):
        for taken, of in (
            ("charge.captured", ("charge", "amount_captured")),
            ("charge.expired", ("charge", "captured")),
            ("checkout.session.expired", ("checkout_session", "status")),
            ("refund.failed", ("refund", "status")),
            ("invoice.marked_uncollectible", ("invoice", "status")),
            ("credit_note.voided", ("credit_note", "status")),
            ("customer.subscription.deleted", ("subscription", "status")),
        ):
            with self.subTest(taken=taken):
                kind, field = of
                left = [one for one in SUBSCRIBED if one != taken]
                self.assertIn(taken, missing_events(left)[kind][field])

    def test_what_we_do_not_ask_for_tells_nothing_new(self):
        """Every type Stripe knows about what we mirror is asked for, or explained."""
        ours = tuple(f"{name}." for name in OBJECT_NAMES.values()) + (
            "customer.",
            "charge.",
            "payment_intent.",
            "invoice",
        )
        about = {one for one in KNOWN if one.startswith(ours)}
        self.assertEqual(about - set(SUBSCRIBED), set(TELLS_NOTHING_NEW))
        self.assertLessEqual(set(SUBSCRIBED), KNOWN)


class _Nothing:
    """There is nothing more to read: the double answers whole objects."""

    def complete(self, raw, _lists, _expand=()):
        return raw
