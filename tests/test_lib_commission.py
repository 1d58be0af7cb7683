"""The commission of one customer, as a pure function: no database."""

import unittest
from datetime import date, datetime, timezone
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from odoo.addons.affiliate_stripe.lib.commission import (
    CreditNote,
    Line,
    Payment,
    Reversal,
    Rule,
    Sale,
    Terms,
    add_months,
    corrections,
    foreign_rules,
    ledger,
    why_nothing,
)
from odoo.addons.affiliate_stripe.lib.money import round_half_up

from .lib_common import for_all

THIRTY = Rule(1, rate=Fraction(30, 100))


def at(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp())


def sale(*nets, created=0, paid=None, total=None, ref=None, **values):
    """A paid sale; ``nets`` are amounts or Lines."""
    ref = ref or f"in_{created}"
    lines = [
        net if isinstance(net, Line) else Line(f"il_{ref}_{index}", net)
        for index, net in enumerate(nets)
    ]
    total = sum(line.net for line in lines) if total is None else total
    values.setdefault(
        "payments",
        [Payment(f"pay_{ref}", total if paid is None else paid, created, ref)],
    )
    values.setdefault("currency", "usd")
    return Sale(
        ref=ref, number=ref, created=created, total=total, lines=lines, **values
    )


def refund(ref, number, share, kind="refund"):
    return Reversal(f"{kind}_{number}", kind, number, ref, Fraction(share))


def note(ref, number, amount, lines=None, outside=0, **values):
    """A credit note after payment; ``lines`` are {index: net}, the rest names none."""
    named = {f"il_{ref}_{index}": net for index, net in (lines or {}).items()}
    back = ((None, outside),) if outside else ()
    if amount > outside:
        back += ((ref, amount - outside),)
    values.setdefault("unnamed", amount - sum(named.values()))
    return CreditNote(f"cn_{number}", number, amount, named, back=back, **values)


class TestCommission(unittest.TestCase):
    def earn(self, *sales, rules=(THIRTY,), **terms):
        entries = ledger(list(sales), Terms(tuple(rules), **terms))
        return [entry.amount for entry in entries]

    def test_net_and_share_received(self):
        self.assertEqual(self.earn(sale(2500, total=2625)), [750])
        # 60.00 of 120.00 came from the balance: half was received.
        self.assertEqual(self.earn(sale(10000, total=12000, paid=6000)), [1500])
        # Paid too much: the share is never more than the whole.
        self.assertEqual(self.earn(sale(10000, paid=20000)), [3000])

    def test_what_earns_nothing(self):
        for nothing in (
            sale(10000, paid=0),
            sale(0),
            sale(10000, total=0),
            sale(-10000),
            sale(10000, payments=[]),
            Sale(**{**sale(10000).__dict__, "paid": False}),
            Sale(**{**sale(10000).__dict__, "skipped": True}),
            Sale(**{**sale(10000).__dict__, "difference": 3}),
        ):
            with self.subTest(nothing):
                self.assertEqual(self.earn(nothing), [])
        self.assertEqual(self.earn(sale(10000), rules=()), [])

    def test_each_line_is_rounded_once_half_up(self):
        third = Rule(1, rate=Fraction("0.3333"))
        self.assertEqual(self.earn(sale(999, 999, 999), rules=[third]), [333] * 3)
        tenth = Rule(1, rate=Fraction(1, 10))
        self.assertEqual(self.earn(sale(5, 4, 15), rules=[tenth]), [1, 2])

    def test_lines_count_with_their_sign_but_a_sale_never_below_nought(self):
        self.assertEqual(self.earn(sale(-1500, 4500)), [-450, 1350])
        self.assertEqual(self.earn(sale(-4500, 1500, total=1500, paid=1500)), [])

    def test_the_first_matching_rule_decides(self):
        rules = [
            Rule(1, scope="price", prices=frozenset(["p1"]), rate=Fraction(1, 2)),
            Rule(2, scope="product", products=frozenset(["A"]), rate=Fraction(0)),
            Rule(3, interval="year", rate=Fraction(1, 10)),
            Rule(4, interval="one_time", rate=Fraction(1, 4)),
            Rule(5, rate=Fraction(1, 5)),
        ]
        sold = sale(
            Line("a", 1000, price="p1", product="A", interval="month"),
            Line("b", 1000, price="p2", product="A"),
            Line("c", 1000, price="p3", product="B", interval="year"),
            Line("d", 1000, product="B"),
            Line("e", 1000, product="C", interval="month"),
        )
        entries = ledger([sold], Terms(tuple(rules)))
        self.assertEqual(
            [(entry.line, entry.rule, entry.amount) for entry in entries],
            [("a", 1, 500), ("c", 3, 100), ("d", 4, 250), ("e", 5, 200)],
        )

    def test_first_and_renewal(self):
        rules = [
            Rule(1, rate=Fraction(1, 2), applies_to="first"),
            Rule(2, rate=Fraction(1, 10), applies_to="renewal"),
        ]
        sales = [sale(1000, created=n * 86400) for n in (3, 1, 2)]
        self.assertEqual(self.earn(*sales, rules=rules), [500, 100, 100])

    def test_free_and_skipped_sales_use_up_nothing(self):
        rules = [Rule(1, rate=Fraction(1, 2), applies_to="first", max_count=1)]
        free = sale(0, created=1)
        skipped = Sale(**{**sale(1000, created=2).__dict__, "skipped": True})
        self.assertEqual(
            self.earn(free, skipped, sale(1000, created=3), rules=rules), [500]
        )

    def test_a_refund_never_changes_who_was_first(self):
        rules = [Rule(1, rate=Fraction(1, 2), max_count=1)]
        first = sale(1000, created=1, reversals=[refund("in_1", 9, 1)])
        self.assertEqual(
            self.earn(first, sale(1000, created=2), rules=rules), [500, -500]
        )

    def test_months_are_calendar_months_of_utc_days(self):
        yearly = [Rule(1, rate=Fraction(1, 10), duration_months=12)]
        for first, last, over in (
            ("2024-02-29T23:59:59", "2025-02-27T23:59:59", "2025-02-28T00:00:00"),
            ("2025-01-31T00:00:00", "2026-01-30T23:59:59", "2026-01-31T00:00:00"),
        ):
            with self.subTest(first):
                sales = [sale(1000, created=at(day)) for day in (first, last, over)]
                self.assertEqual(self.earn(*sales, rules=yearly), [100, 100])
        monthly = [Rule(1, rate=Fraction(1, 10), duration_months=1)]
        sales = [
            sale(1000, created=at(day))
            for day in (
                "2025-01-31T12:00:00",
                "2025-02-27T12:00:00",
                "2025-02-28T00:00:00",
            )
        ]
        self.assertEqual(self.earn(*sales, rules=monthly), [100, 100])

    def test_a_late_payment_loses_no_month(self):
        """The invoice's day counts, not that of the dunning retry."""
        rules = [Rule(1, rate=Fraction(1, 10), duration_months=1)]
        late = sale(
            1000,
            created=at("2025-01-31"),
            payments=[Payment("pay", 1000, at("2025-06-01"), "in")],
        )
        self.assertEqual(
            self.earn(sale(1000, created=at("2025-01-15")), late, rules=rules),
            [100, 100],
        )

    def test_months_added(self):
        for day, months, result in (
            (date(2024, 2, 29), 12, date(2025, 2, 28)),
            (date(2024, 2, 29), 48, date(2028, 2, 29)),
            (date(2025, 12, 31), 2, date(2026, 2, 28)),
            (date(2025, 1, 31), 1, date(2025, 2, 28)),
            (date(2025, 11, 30), 1, date(2025, 12, 30)),
        ):
            with self.subTest(day=day, months=months):
                self.assertEqual(add_months(day, months), result)

    def test_a_fixed_amount_once_a_sale_and_never_above_the_base(self):
        fixed = Rule(1, rate_type="fixed", amount=500, currency="usd")
        many = Line("a", 10000, quantity=3)
        self.assertEqual(self.earn(sale(many), rules=[fixed]), [500])
        self.assertEqual(self.earn(sale(300), rules=[fixed]), [300])
        unit = Rule(1, rate_type="fixed", amount=500, currency="usd", per_unit=True)
        self.assertEqual(self.earn(sale(many), rules=[unit]), [1500])
        over = Rule(1, rate_type="fixed", amount=500, currency="usd", over_base=True)
        self.assertEqual(self.earn(sale(300), rules=[over]), [500])
        # Half was received, half is earned; a credit line earns nothing fixed.
        self.assertEqual(self.earn(sale(1000, paid=500), rules=[fixed]), [250])
        self.assertEqual(self.earn(sale(-100, 1000), rules=[fixed]), [500])
        # On three lines, by what they are worth.
        self.assertEqual(
            self.earn(sale(5000, 4000, 1000), rules=[fixed]), [250, 200, 50]
        )
        self.assertEqual(self.earn(sale(100, 100, 100), rules=[fixed]), [100] * 3)
        self.assertEqual(self.earn(sale(900, -600), rules=[fixed]), [300])

    def test_a_fixed_amount_is_not_for_prorations(self):
        fixed = Rule(1, rate_type="fixed", amount=200, currency="usd", per_unit=True)
        both = Rule(**{**fixed.__dict__, "prorations": True})
        month = Line("a", 3000, quantity=3)
        seats = Line("b", 1000, quantity=5, proration=True)
        unused = Line("c", -500, quantity=3, proration=True)
        sold = sale(month, seats, unused)
        self.assertEqual(self.earn(sold, rules=[fixed]), [600])
        self.assertEqual(self.earn(sold, rules=[both]), [1200, 400])
        # It decides them all the same: the next rule gets nothing of them.
        self.assertEqual(self.earn(sold, rules=[fixed, THIRTY]), [600])
        # A change alone is not commissionable: it uses up nothing.
        once = [Rule(**{**fixed.__dict__, "max_count": 1})]
        changed = sale(seats, created=1, ref="in_1")
        self.assertEqual(self.earn(changed, sale(month, created=2), rules=once), [600])

    @for_all
    @given(
        st.lists(st.integers(-3000, 9000), min_size=1, max_size=5),
        st.integers(1, 20000),
        st.lists(st.integers(1, 1000), max_size=5),
        st.booleans(),
        st.sampled_from([1, 5, 100]),
    )
    def test_a_fixed_amount_sums_to_its_share(self, nets, amount, parts, over, step):
        """However a sale is refunded, its rows sum to one amount, rounded once."""
        fixed = Rule(
            1, rate_type="fixed", amount=amount, currency="usd", over_base=over
        )
        terms = {"rules": [fixed], "step": lambda currency: step}
        whole = sum(parts) + 1
        reversals = [
            refund("in", number, Fraction(part, whole))
            for number, part in enumerate(parts, 1)
        ]
        sold = sale(*nets, ref="in", reversals=reversals)
        earned = sum(self.earn(sold, **terms))
        if sum(nets) <= 0:
            self.assertEqual(earned, 0)
            return
        due = round_half_up(amount if over else min(amount, sum(nets)), step)
        kept = 1 - Fraction(sum(parts), whole)
        self.assertEqual(earned, round_half_up(due * kept, step))
        lines = {}
        for entry in ledger([sold], Terms((fixed,), step=terms["step"])):
            lines[entry.line] = lines.get(entry.line, 0) + entry.amount
            self.assertEqual(entry.laid.whole, due)
            self.assertEqual(entry.amount % step, 0)
        self.assertFalse([kept for kept in lines.values() if kept < 0])

    def test_an_old_debt_and_an_overpayment(self):
        owing = {"paid": 15000, "debt": 5000, "ref": "in"}
        self.assertEqual(self.earn(sale(10000, **owing)), [3000])
        half = [refund("in", 1, Fraction(1, 2))]
        self.assertEqual(self.earn(sale(10000, **owing, reversals=half)), [3000, -1500])
        over = {**owing, "paid": 20000}
        self.assertEqual(self.earn(sale(10000, **over, reversals=half)), [3000, -1000])
        # What the balance paid was not received by paying more than the rest.
        helped = sale(10000, paid=8000, from_balance=4000)
        self.assertEqual(self.earn(helped), [1800])

    def test_why_there_is_nothing(self):
        first = sale(1000, created=at("2025-01-01"), ref="in_1")
        second = sale(1000, created=at("2025-03-01"), ref="in_2")

        def why(sold=second, cause="pay_in_2", line="il_in_2_0", **rule):
            rule = Rule(1, **{"rate": Fraction(1, 10), **rule})
            return why_nothing([first, sold], Terms((rule,)), sold.ref, line, cause)

        def changed(**values):
            return Sale(**{**second.__dict__, **values})

        self.assertEqual(why(), "nothing")
        self.assertEqual(why(cause="re_gone"), "cause")
        self.assertEqual(why(line="il_gone"), "cause")
        self.assertEqual(why(duration_months=2), "months")
        self.assertEqual(why(max_count=1), "payments")
        self.assertEqual(why(applies_to="first"), "no_rule")
        self.assertEqual(why(rate=Fraction(0)), "no_rule")
        self.assertEqual(why(changed(skipped=True)), "skipped")
        self.assertEqual(why(changed(difference=5)), "unclear")
        self.assertEqual(why(changed(paid=False)), "unpaid")

    def test_a_fixed_amount_in_another_currency_does_not_match(self):
        euro = Rule(1, rate_type="fixed", amount=500, currency="eur")
        self.assertEqual(self.earn(sale(10000), rules=[euro]), [])
        terms = Terms((euro, THIRTY))
        self.assertEqual(foreign_rules(sale(10000), terms), {1})
        self.assertEqual(self.earn(sale(10000), rules=[euro, THIRTY]), [3000])

    def test_off_stripe_payments_count_where_the_programme_says_so(self):
        cash = sale(1000, payments=[Payment("p", 1000, 0, "in", off_stripe=True)])
        self.assertEqual(self.earn(cash), [300])
        self.assertEqual(self.earn(cash, count_off_stripe=False), [])

    def test_cash_that_counted_for_nothing_goes_back_for_nothing(self):
        card, cash = Payment("p", 600, 0, "in"), Payment("q", 400, 0, "q", True)

        def left(*notes, **terms):
            sold = sale(1000, ref="in", payments=[card, cash], credit_notes=notes)
            return sum(self.earn(sold, **terms))

        self.assertEqual(left(note("in", 5, 400, outside=400)), 180)
        only_card = {"count_off_stripe": False}
        self.assertEqual(left(**only_card), 180)
        for back, kept in ((300, 180), (400, 180), (500, 150), (1000, 0)):
            self.assertEqual(left(note("in", 5, back, outside=back), **only_card), kept)
        # What goes back to the card is money that counted.
        self.assertEqual(left(note("in", 5, 300), **only_card), 90)
        twice = [note("in", second, 300, outside=300) for second in (5, 6)]
        self.assertEqual(left(*twice, **only_card), 120)

    def test_a_currency_that_odoo_rounds_coarser(self):
        step = {"step": lambda currency: 100 if currency == "isk" else 1}
        self.assertEqual(self.earn(sale(99900, currency="isk"), **step), [30000])
        self.assertEqual(self.earn(sale(99900), **step), [29970])

    def test_refund_and_lost_dispute_of_the_same_money_count_once(self):
        sold = sale(
            8000,
            ref="in",
            reversals=[refund("in", 5, 1), refund("in", 6, 1, "dispute")],
        )
        self.assertEqual(self.earn(sold), [2400, -2400])

    def test_a_refund_of_a_foreign_charge_takes_nothing(self):
        sold = sale(8000, ref="in", reversals=[refund("other", 5, 1)])
        self.assertEqual(self.earn(sold), [2400])

    def test_a_credit_note_takes_back_on_its_lines(self):
        def left(*notes, **values):
            sold = sale(10000, 5000, ref="in", credit_notes=list(notes), **values)
            kept = {line.ref: 0 for line in sold.lines}
            for entry in ledger([sold], Terms((THIRTY,))):
                kept[entry.line] += entry.amount
            return list(kept.values())

        self.assertEqual(left(note("in", 5, 3000, {0: 3000})), [2100, 1500])
        # No line is named: all of them in proportion, as by a refund.
        self.assertEqual(left(note("in", 5, 3000)), [2400, 1200])
        # With 20 % tax the note of 36.00 is 30.00 net.
        taxed = note("in", 5, 3600, {0: 3000}, unnamed=0)
        self.assertEqual(left(taxed, total=18000), [2100, 1500])
        # Half came from the balance, all that came by card goes back on one line:
        # what that line has no more of leaves the other.
        over = note("in", 5, 7500, {0: 7500})
        self.assertEqual(left(over, paid=7500), [0, 0])
        half = note("in", 5, 6000, {0: 6000})
        self.assertEqual(left(half, paid=7500), [0, 450])
        # Money given back outside of Stripe is as good as a refund.
        self.assertEqual(left(note("in", 5, 3000, {1: 3000}, 3000)), [3000, 600])

    def test_a_credit_note_and_reversals_of_one_charge(self):
        def earn(*reversals, **values):
            notes = [note("in", 5, 3000, {0: 3000})]
            sold = sale(
                10000, 5000, ref="in", reversals=reversals, credit_notes=notes, **values
            )
            entries = ledger([sold], Terms((THIRTY,)))
            self.assertEqual(
                {entry.kind for entry in entries if entry.cause == "cn_5"},
                {"credit_note"},
            )
            return sum(entry.amount for entry in entries)

        self.assertEqual(earn(), 3600)
        # Half of the other 120.00, before the note or after it.
        for second in (3, 9):
            self.assertEqual(earn(refund("in", second, Fraction(1, 2))), 1800)
            self.assertEqual(earn(refund("in", second, 1, "dispute")), 0)

    def test_a_rule_is_valid_in_its_time(self):
        old = Rule(1, rate=Fraction(1, 10), valid_to=100)
        new = Rule(2, rate=Fraction(2, 10), valid_from=100)
        sales = [sale(1000, created=99), sale(1000, created=100)]
        self.assertEqual(self.earn(*sales, rules=[old, new]), [100, 200])

    @for_all
    @given(
        st.lists(st.integers(1, 10**7), min_size=1, max_size=5),
        st.lists(st.integers(1, 1000), min_size=1, max_size=8),
        st.fractions(0, 1, max_denominator=10000),
        st.integers(0, 3000),
    )
    def test_refunds_always_sum_to_the_whole(self, nets, parts, rate, tax):
        """However a sale is refunded, the rows say what the kept part earns."""
        whole = sum(parts)
        reversals = [
            refund("in", number, Fraction(part, whole))
            for number, part in enumerate(parts, 1)
        ]
        rules = (Rule(1, rate=rate),)
        for count in range(len(parts) + 1):
            sold = sale(
                *nets,
                ref="in",
                total=sum(nets) + tax,
                reversals=reversals[:count],
            )
            entries = ledger([sold], Terms(rules))
            kept = 1 - Fraction(sum(parts[:count]), whole)
            for line in sold.lines:
                booked = sum(e.amount for e in entries if e.line == line.ref)
                self.assertEqual(
                    booked,
                    round_half_up(
                        line.net * kept * Fraction(sold.total, sold.total) * rate
                    ),
                )
            keys = [(entry.line, entry.cause) for entry in entries]
            self.assertEqual(len(keys), len(set(keys)), "one row a line and cause")
        self.assertEqual(sum(entry.amount for entry in entries), 0)
        self.assertNotIn(0, [entry.amount for entry in entries])

    @for_all
    @given(
        st.lists(st.integers(-3000, 9000), min_size=1, max_size=4),
        st.lists(
            st.tuples(
                st.integers(1, 9),
                st.integers(1, 5000),
                st.integers(0, 3),
                st.integers(0, 5000),
                st.booleans(),
            ),
            max_size=5,
        ),
        st.lists(st.tuples(st.integers(1, 9), st.fractions(0, 1)), max_size=3),
        st.randoms(use_true_random=False),
    )
    def test_what_is_kept_is_never_more_than_what_came(self, nets, notes, back, rng):
        """Whatever goes back, and in whatever order we hear of it."""
        total = sum(nets)
        made = [
            note(
                "in",
                second * 10 + index,
                amount,
                {line: min(net, amount)} if line < len(nets) else None,
                amount if outside else 0,
            )
            for index, (second, amount, line, net, outside) in enumerate(notes)
        ]
        reversals = [
            refund("in", second * 10 + index, share)
            for index, (second, share) in enumerate(back)
        ]
        sold = sale(*nets, ref="in", reversals=reversals, credit_notes=made)
        rules = (Rule(1, rate=Fraction(1)),)
        entries = ledger([sold], Terms(rules))
        given_back = sum(each.amount for each in made)
        kept = sum(entry.amount for entry in entries)
        self.assertGreaterEqual(kept, 0)
        if total > 0:
            # One rounding a line.
            self.assertLessEqual(kept, max(0, total - given_back) + len(nets))
        if given_back >= total or any(share == 1 for _second, share in back):
            self.assertEqual(kept, 0)
        rng.shuffle(made)
        rng.shuffle(reversals)
        again = sale(*nets, ref="in", reversals=reversals, credit_notes=made)
        self.assertEqual(
            [(e.line, e.cause, e.amount) for e in ledger([again], Terms(rules))],
            [(e.line, e.cause, e.amount) for e in entries],
        )

    @for_all
    @given(
        st.lists(
            st.tuples(st.integers(-5000, 9000), st.integers(0, 400)),
            min_size=1,
            max_size=5,
        ),
        st.randoms(use_true_random=False),
    )
    def test_the_order_of_facts_never_matters(self, sold, rng):
        rules = (
            Rule(1, rate=Fraction(1, 3), applies_to="first"),
            Rule(2, rate=Fraction(1, 7), duration_months=6, max_count=3),
        )
        sales = [
            sale(
                net,
                created=day * 86400,
                ref=f"in_{index}",
                reversals=[
                    refund(f"in_{index}", 1, Fraction(1, 3)),
                    refund(f"in_{index}", 2, Fraction(1, 7)),
                ],
            )
            for index, (net, day) in enumerate(sold)
        ]
        first = ledger(list(sales), Terms(rules))
        rng.shuffle(sales)
        for one in sales:
            rng.shuffle(one.reversals)
            rng.shuffle(one.payments)
        self.assertEqual(ledger(sales, Terms(rules)), first)

    @for_all
    @given(
        st.dictionaries(st.integers(0, 9), st.tuples(st.integers(), st.integers())),
        st.dictionaries(st.integers(0, 9), st.tuples(st.integers(), st.integers())),
    )
    def test_corrections_turn_the_booked_into_the_desired(self, desired, booked):
        after = dict(booked)
        for key, amount, base in corrections(desired, booked):
            self.assertTrue(amount)
            old = after.get(key, (0, 0))
            after[key] = (old[0] + amount, old[1] + base)
        for key in {*desired, *after}:
            self.assertEqual(
                after.get(key, (0, 0))[0], desired.get(key, (0, 0))[0], key
            )
        self.assertEqual(corrections(desired, after), [])
