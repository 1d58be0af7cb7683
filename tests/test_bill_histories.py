"""Random histories of bills: whatever accountants, customers and banks do, and in
whatever order, what is in the books is what the ledger says was billed.

At any time, for each affiliate: posted bills less their reversals, and what is due,
held, pending or on a draft, are together what the ledger says; no commission is on two
bills that live.
"""

import os
import random

import stripe

from odoo.exceptions import RedirectWarning, UserError
from odoo.tests import tagged

from .stripe_double.errors import ApiError
from .test_bills import BillCase

HISTORIES = int(os.environ.get("AFFILIATE_STRIPE_HISTORIES", "3"))
STEPS = 35
FAR = "2099-12-31"


class NothingToDo(Exception):
    """There is nothing of the kind that a step takes."""


class BillHistory:
    """One random history of the bills of two affiliates, made step by step."""

    #: Name of a step and how often it is taken.
    WEIGHTS = {
        "sell": 6,
        "refund": 5,
        "dispute": 3,
        "end_dispute": 2,
        "by_hand": 3,
        "approve": 3,
        "hold": 2,
        "release": 2,
        "collect": 3,
        "settle": 4,
        "confirm": 4,
        "make_bill": 1,
        "cancel_settlement": 1,
        "post": 9,
        "pay": 4,
        "reverse": 3,
        "reverse_part": 2,
        "replace": 3,
        "cancel_bill": 2,
        "reset": 3,
        "edit": 3,
        "restore": 2,
        "adjust": 2,
        "add_line": 1,
        "delete_bill": 1,
        "duplicate": 2,
        "suspend": 1,
        "reactivate": 3,
    }

    def __init__(self, case, seed):
        self.case, self.env, self.random = case, case.env, random.Random(seed)
        self.double, self.shop = case.double, case.shop
        self.done = []

    def step(self):
        """Do one thing there is something for; say what became of it."""
        while True:
            name = self.random.choices(list(self.WEIGHTS), self.WEIGHTS.values())[0]
            try:
                with self.env.cr.savepoint():
                    getattr(self, name)()
                said = name
            except NothingToDo:
                continue
            except (UserError, RedirectWarning) as refused:
                said = f"{name}, refused: {refused.args[0]}"
            except (stripe.StripeError, ApiError) as refused:
                said = f"{name}, refused by Stripe: {refused}"
            break
        self.case.deliver()
        self.env.invalidate_all()
        self.done.append(said)

    # --- what there is -----------------------------------------------------------

    def one(self, things):
        if not things:
            raise NothingToDo
        return self.random.choice(things)

    def affiliate(self, state="active"):
        return self.one([a for a in self.case.affiliates if a.state == state])

    def settlement(self, *states):
        return self.one(
            self.env["affiliate.settlement"].search([("state", "in", states)])
        )

    def move(self, *states):
        partners = [affiliate.partner_id.id for affiliate in self.case.affiliates]
        return self.one(
            self.env["account.move"].search(
                [
                    ("partner_id", "in", partners),
                    ("state", "in", states),
                    ("move_type", "in", ("in_invoice", "in_refund")),
                ]
            )
        )

    def row(self, *domain):
        return self.one(self.env["affiliate.commission"].search(domain))

    def charge(self):
        charges = self.double.all("charge")
        return self.one([c for c in charges if c["status"] == "succeeded"])

    # --- customers and banks -----------------------------------------------------

    def sell(self):
        email = self.random.choice(["jane@example.com", "joe@example.com"])
        amounts = self.random.sample([10000, 4001, 777], self.random.choice([1, 2]))
        self.shop.invoice(self.shop.customer(email), *amounts)

    def refund(self):
        charge = self.charge()
        amount = self.random.choice([None, charge["amount"] // 3])
        refund = self.shop.refund(charge["id"], amount)
        if self.random.random() < 0.3:
            self.case.deliver()
            self.double.refund_status(refund["id"], "failed")

    def dispute(self):
        self.double.open_dispute(self.charge()["id"])

    def end_dispute(self):
        disputes = self.double.all("dispute")
        waiting = [d for d in disputes if d["status"] == "needs_response"]
        outcome = self.random.choice(["won", "lost"])
        self.double.close_dispute(self.one(waiting)["id"], outcome)

    # --- managers ----------------------------------------------------------------

    def by_hand(self):
        amount = self.random.choice([-40, -15.5, 20, 33.33])
        self.case.earn(amount, self.affiliate(), is_approved=False)

    def approve(self):
        self.row(("state", "=", "pending")).action_approve()

    def hold(self):
        self.row(("on_hold", "=", False)).action_hold()

    def release(self):
        self.row(("on_hold", "=", True)).action_release()

    def suspend(self):
        self.affiliate().action_suspend()

    def reactivate(self):
        self.affiliate("suspended").action_reactivate()

    # --- accountants -------------------------------------------------------------

    def collect(self):
        negative = self.random.random() < 0.3
        self.one(self.case.collect(FAR, allow_negative=negative))

    def settle(self):
        self.one(self.case.collect(FAR)).action_confirm()

    def confirm(self):
        self.settlement("draft").action_confirm()

    def make_bill(self):
        self.settlement("confirmed").action_make_bill()

    def cancel_settlement(self):
        self.settlement("draft", "confirmed", "billed").action_cancel()

    def post(self):
        move = self.move("draft")
        move.invoice_date = move.invoice_date or move.date
        move.action_post()

    def pay(self):
        move = self.move("posted")
        if move.amount_residual <= 1:
            raise NothingToDo
        self.case.pay(move, amount=self.random.choice([move.amount_residual, 1]))

    def reverse(self):
        self.case.reverse(self.move("posted"), post=self.random.random() < 0.8)

    def reverse_part(self):
        note = self.case.reverse(self.move("posted"), post=False)
        note.invoice_line_ids[:1].price_unit = self.random.choice([1, 10])
        if self.random.random() < 0.7:
            self.take_over(note)
            note.action_post()

    def replace(self):
        self.case.replace(self.move("posted"))

    def cancel_bill(self):
        self.move("draft", "posted").button_cancel()

    def reset(self):
        self.move("posted", "cancel").button_draft()

    def edit(self):
        line = self.one(self.move("draft").invoice_line_ids)
        line.price_unit = self.random.choice([10, line.price_unit + 5, 0.01])

    def add_line(self):
        line = {"name": "Travel", "price_unit": 15, "tax_ids": False}
        self.move("draft").invoice_line_ids = [(0, 0, line)]

    def wizard(self, move):
        return self.env["affiliate.bill.wizard"].create(
            {"move_id": move.id, "reason": "As agreed"}
        )

    def restore(self):
        self.wizard(self.differing()).action_restore()

    def take_over(self, move):
        if move.affiliate_difference:
            self.wizard(move).action_adjust()

    def differing(self):
        drafts = self.env["account.move"].search([("state", "=", "draft")])
        return self.one(drafts.filtered("affiliate_difference"))

    def adjust(self):
        self.take_over(self.differing())

    def delete_bill(self):
        self.move("draft").unlink()

    def duplicate(self):
        move = self.move("draft", "posted", "cancel")
        move.copy({"invoice_date": move.invoice_date})


@tagged("post_install", "-at_install")
class TestBillHistories(BillCase):
    def setUp(self):
        super().setUp()
        self.program.minimum_payout = 15
        uma = self.make_affiliate(self.program, "Uma Iyer")
        self.lead("joe@example.com", uma)
        self.affiliates = [self.drona, uma]

    def test_random_histories(self):
        for seed in range(HISTORIES):
            with self.subTest(seed=seed), self.env.cr.savepoint() as savepoint:
                self.play(seed)
                savepoint.rollback()
            self.env.invalidate_all()

    def play(self, seed):
        history = BillHistory(self, seed)
        posted = 0  # a history without any bill would prove nothing
        while len(history.done) < STEPS or not posted:
            history.step()
            self.assert_books(history.done)
            posted = self.env["affiliate.settlement"].search_count(
                [("state", "in", ("billed", "paid")), ("move_id", "!=", False)]
            )
        self.assert_pending_empty()

    def assert_books(self, done):
        rows = self.rows()
        for affiliate in self.affiliates:
            theirs = rows.filtered(
                lambda row, a=affiliate: row.affiliate_id == a and row.state != "void"
            )
            billed = theirs.filtered(
                lambda row: row.settlement_id.move_id.state == "posted"
            )
            waiting = theirs - billed
            owed = self.owed(affiliate)
            self.assertAlmostEqual(
                owed + sum(waiting.mapped("amount")),
                sum(theirs.mapped("amount")),
                2,
                "\n".join(done),
            )
            self.assertAlmostEqual(owed, sum(billed.mapped("amount")), 2)
        for settlement in self.env["affiliate.settlement"].search([]):
            self.assert_settlement(settlement, done)

    def assert_settlement(self, settlement, done):
        own = settlement.commission_ids
        self.assertAlmostEqual(
            settlement.amount_total, sum(own.mapped("amount")), 2, "\n".join(done)
        )
        if settlement.state == "cancelled":
            self.assertFalse(own, "\n".join(done))
        if settlement.state in ("draft", "confirmed"):
            self.assertFalse(own.filtered("on_hold"), "\n".join(done))
            self.assertEqual(settlement.affiliate_id.state, "active", "\n".join(done))
        live = self.env["account.move"].search(
            [("affiliate_origin_id", "=", settlement.id), ("state", "=", "posted")]
        )
        for bill in live - settlement.move_id:
            self.assertEqual(bill._affiliate_net(), 0, "\n".join(done))
