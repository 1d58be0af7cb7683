"""Who brought this customer: a pure function of facts and their times."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from odoo.addons.affiliate_stripe.lib.attribution import (
    CODE,
    FORM,
    IMPORT,
    MANUAL,
    METADATA,
    REFERENCE,
    SDK,
    Candidate,
    decide,
)
from odoo.addons.affiliate_stripe.lib.commission import Line, Payment, Sale

from .lib_common import for_all

DAY = 86400
A, B = 1, 2


def sale(at, ref=None, paid=True, created=None):
    ref = ref or f"in_{at}"
    payments = [Payment(f"pay_{ref}", 1000, at, ref)] if paid else []
    return Sale(
        ref=ref,
        number=ref,
        created=at if created is None else created,
        currency="usd",
        total=1000,
        lines=[Line("il_1", 1000)],
        payments=payments,
        paid=paid,
    )


def saw(affiliate, source, at, **values):
    values.setdefault("evidence", f"{source} {affiliate} {at}")
    return Candidate(affiliate, source, at, **values)


class TestAttribution(unittest.TestCase):
    def assert_owner(self, decision, affiliate, *refs):
        self.assertEqual(decision.winner.affiliate, affiliate)
        self.assertEqual(set(decision.covered), set(refs))

    def test_nobody_without_evidence(self):
        self.assertIsNone(decide([sale(10)], []))
        self.assertIsNone(decide([], []))

    def test_before_the_first_payment_the_best_candidate_only_leads(self):
        decision = decide([sale(50, paid=False)], [saw(A, FORM, 10)])
        self.assertEqual(decision.winner.affiliate, A)
        self.assertIsNone(decision.decided_at)
        self.assertFalse(decision.covered)

    def test_the_first_valid_binding_lasts_over_other_codes(self):
        sales = [sale(100), sale(200), sale(300)]
        decision = decide(sales, [saw(A, CODE, 100), saw(B, CODE, 200)])
        self.assert_owner(decision, A, "in_100", "in_200", "in_300")
        self.assertEqual([loser.affiliate for loser in decision.losers], [B])

    def test_a_payment_before_the_evidence_is_not_covered(self):
        decision = decide([sale(100), sale(200)], [saw(A, CODE, 150)])
        self.assert_owner(decision, A, "in_200")
        self.assertEqual(decision.decided_at, 200)

    def test_strongest_first(self):
        order = [MANUAL, CODE, REFERENCE, METADATA, FORM, SDK, IMPORT]
        for strong, weak in zip(order, order[1:], strict=False):
            with self.subTest(strong=strong, weak=weak):
                decision = decide([sale(100)], [saw(B, weak, 1), saw(A, strong, 90)])
                self.assert_owner(decision, A, "in_100")

    def test_link_before_code_where_the_programme_says_so(self):
        link = saw(A, REFERENCE, 90, code_beats_link=False)
        code = saw(B, CODE, 10, code_beats_link=False)
        self.assert_owner(decide([sale(100)], [code, link]), A, "in_100")

    def test_among_equals_the_earliest(self):
        decision = decide([sale(100)], [saw(B, FORM, 20), saw(A, FORM, 10)])
        self.assert_owner(decision, A, "in_100")

    def test_among_claims_the_latest_where_the_programme_says_so(self):
        claims = [saw(A, FORM, 10, last_wins=True), saw(B, FORM, 20, last_wins=True)]
        self.assert_owner(decide([sale(100)], claims), B, "in_100")
        codes = [saw(A, CODE, 10, last_wins=True), saw(B, CODE, 20, last_wins=True)]
        self.assert_owner(decide([sale(100)], codes), A, "in_100")

    def test_a_claim_after_a_payment_does_not_bind(self):
        for source in (FORM, SDK, IMPORT):
            with self.subTest(source):
                sales = [sale(100), sale(200)]
                self.assertIsNone(decide(sales, [saw(A, source, 150)]))

    def test_a_claim_by_hand_binds_from_its_date(self):
        decision = decide([sale(100), sale(200)], [saw(A, MANUAL, 150)])
        self.assert_owner(decision, A, "in_200")

    def test_a_claim_by_hand_with_history_takes_all(self):
        decision = decide([sale(100), sale(200)], [saw(A, MANUAL, 999, history=True)])
        self.assert_owner(decision, A, "in_100", "in_200")

    def test_a_claim_expires_after_a_year(self):
        old, young = saw(A, FORM, 0), saw(A, FORM, 1)
        self.assert_owner(decide([sale(365 * DAY)], [old]), A, f"in_{365 * DAY}")
        late = [sale(365 * DAY + 1)]
        self.assertIsNone(decide(late, [old]))
        self.assertEqual(decide(late, [young]).winner, young)

    def test_a_late_payment_of_an_early_invoice_counts_when_it_came_in(self):
        decision = decide([sale(200, created=100)], [saw(A, FORM, 150)])
        self.assert_owner(decision, A, "in_200")

    def test_a_free_invoice_decides_nothing(self):
        free = sale(50)
        free = Sale(**{**free.__dict__, "total": 0, "payments": []})
        decision = decide([free, sale(100)], [saw(A, CODE, 90)])
        self.assert_owner(decision, A, "in_100")

    candidates = st.lists(
        st.builds(
            saw,
            st.integers(1, 4),
            st.sampled_from([MANUAL, CODE, REFERENCE, METADATA, FORM, SDK]),
            st.integers(0, 6),
            code=st.one_of(st.none(), st.integers(1, 2)),
            claim=st.one_of(st.none(), st.integers(1, 9)),
            history=st.booleans(),
            code_beats_link=st.booleans(),
            last_wins=st.booleans(),
            evidence=st.sampled_from(["x", "y"]),
        ),
        max_size=7,
    )
    sales = st.lists(
        st.builds(
            sale,
            st.integers(0, 6),
            ref=st.sampled_from(["in_a", "in_b", "in_c", "in_d"]),
            paid=st.booleans(),
        ),
        max_size=4,
        unique_by=lambda sale: sale.ref,
    )

    @for_all
    @given(sales, candidates, st.randoms(use_true_random=False))
    def test_the_order_of_arrival_never_matters(self, sales, candidates, rng):
        first = decide(sales, candidates)
        for _time in range(3):
            rng.shuffle(sales)
            rng.shuffle(candidates)
            self.assertEqual(decide(sales, candidates), first)

    @for_all
    @given(sales, candidates, st.randoms(use_true_random=False))
    def test_repeated_evidence_changes_nothing(self, sales, candidates, rng):
        first = decide(sales, candidates)
        again = decide(sales, candidates + rng.sample(candidates, len(candidates)))
        if first is None:
            self.assertIsNone(again)
        else:
            self.assertEqual(again.winner, first.winner)
            self.assertEqual(again.covered, first.covered)

    @for_all
    @given(sales, candidates, st.integers(0, 6))
    def test_evidence_that_comes_later_moves_no_decided_payment(
        self, sales, candidates, later
    ):
        """What is found at a later time never takes an earlier decision away."""
        now = [s for s in sales if s.created <= later]
        known = [c for c in candidates if c.at <= later and not c.history]
        first = decide(now, known)
        if first is None or first.decided_at is None:
            return
        future = [c for c in candidates if c.at > later and not c.history]
        after = decide(sales, known + future)
        self.assertEqual(after.winner, first.winner)
        self.assertLessEqual(first.covered, after.covered)
