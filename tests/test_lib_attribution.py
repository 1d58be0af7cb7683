"""Who brought this customer: a pure function of facts and their times."""

import unittest
from dataclasses import replace
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from odoo.addons.affiliate_stripe.lib.attribution import (
    CODE,
    FORM,
    IMPORT,
    KINDS,
    MANUAL,
    METADATA,
    REFERENCE,
    SDK,
    SERVER,
    Candidate,
    Move,
    Policy,
    Visit,
    code_first,
    decide,
    explain,
    keep,
    last_owner,
    led_by_visits,
    link_first,
    owners,
    policy_from_json,
)
from odoo.addons.affiliate_stripe.lib.commission import Line, Payment, Sale

from .lib_common import for_all

DAY = 86400
A, B = 1, 2
LINK_FIRST = Policy(order=link_first(Policy().order))
LAST = Policy(last_wins=True)


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


def saw(affiliate, source, at, after=0, **values):
    values.setdefault("seen", at + after)
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
        order = [MANUAL, CODE, REFERENCE, METADATA, FORM, SERVER, SDK, IMPORT]
        for strong, weak in zip(order, order[1:], strict=False):
            with self.subTest(strong=strong, weak=weak):
                decision = decide([sale(100)], [saw(B, weak, 1), saw(A, strong, 90)])
                self.assert_owner(decision, A, "in_100")

    def test_link_before_code_where_the_programme_says_so(self):
        link = saw(A, REFERENCE, 90, policy=LINK_FIRST)
        code = saw(B, CODE, 10, policy=LINK_FIRST)
        self.assert_owner(decide([sale(100)], [code, link]), A, "in_100")

    def test_among_equals_the_earliest(self):
        decision = decide([sale(100)], [saw(B, FORM, 20), saw(A, FORM, 10)])
        self.assert_owner(decision, A, "in_100")

    def test_among_claims_the_latest_where_the_programme_says_so(self):
        claims = [saw(A, FORM, 10, policy=LAST), saw(B, FORM, 20, policy=LAST)]
        self.assert_owner(decide([sale(100)], claims), B, "in_100")
        codes = [saw(A, CODE, 10, policy=LAST), saw(B, CODE, 20, policy=LAST)]
        self.assert_owner(decide([sale(100)], codes), A, "in_100")

    def test_a_claim_after_a_payment_does_not_bind(self):
        for source in (FORM, SERVER, SDK, IMPORT):
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

    def brought(self, day, *visits, source=FORM, affiliate=None, **values):
        """Evidence of a visitor, and his visits: ``(affiliate, day)``."""
        evidence = saw(affiliate, source, day * DAY, visitor="v", **values)
        return led_by_visits(
            [evidence],
            {
                "v": [
                    Visit(
                        number, who, who, at * DAY, f"visit {number}", evidence.policy
                    )
                    for number, (who, at) in enumerate(visits, start=1)
                ]
            },
        )

    def reasons(self, sales, candidates, **values):
        decision = decide(sales, candidates, **values)
        return [why for _c, why in explain(sales, candidates, decision, **values)]

    def test_example_10(self):
        clicks = ((A, 0), (B, 10))
        for policy, owner in (
            (Policy(), A),
            (LAST, B),
            (Policy(window=15 * DAY), B),
            (Policy(window=15 * DAY, last_wins=True), B),
        ):
            with self.subTest(policy):
                found = self.brought(20, *clicks, policy=policy)
                sales = [sale(25 * DAY), sale(400 * DAY)]
                decision = decide(sales, found)
                self.assertEqual(decision.winner.affiliate, owner)
                self.assertEqual(len(decision.covered), 2)
        late = self.brought(61, (A, 0))
        self.assertIsNone(decide([sale(62 * DAY)], late))
        self.assertEqual(self.reasons([sale(62 * DAY)], late), ["outside_window"])

    def test_visits_take_the_place_of_their_evidence(self):
        found = self.brought(20, (B, 3), (B, 30), affiliate=A)
        self.assertEqual([(c.affiliate, c.at) for c in found], [(B, 3 * DAY)])
        self.assertEqual((found[0].seen, found[0].until), (20 * DAY, 20 * DAY))
        unseen = self.brought(20, (B, 30), affiliate=A)
        self.assertEqual([(c.affiliate, c.at) for c in unseen], [(A, 20 * DAY)])
        self.assertEqual(self.brought(20, (B, 30)), [])

    def test_the_window_ends_where_the_visitor_was_first_seen(self):
        evidence = [
            saw(A, FORM, 20 * DAY, visitor="v"),
            saw(A, REFERENCE, 70 * DAY, visitor="v"),
        ]
        found = led_by_visits(evidence, {"v": [Visit(1, A, A, 0, "visit")]})
        self.assertEqual({c.until for c in found}, {20 * DAY})
        self.assert_owner(decide([sale(70 * DAY)], found), A, f"in_{70 * DAY}")

    def test_a_payment_ends_the_window_too(self):
        found = self.brought(65, (A, 0))
        self.assert_owner(decide([sale(10 * DAY)], found), A, f"in_{10 * DAY}")

    def test_what_decided_stands_in_for_forgotten_visits(self):
        found = self.brought(20, (A, 0), (B, 10), affiliate=B, claim=7)
        winner = decide([sale(25 * DAY)], found).winner
        stored = Candidate.from_json(winner.to_json())
        self.assertEqual(stored, winner)
        forgotten = self.brought(20, affiliate=B, claim=7)
        self.assertEqual(keep([stored], forgotten), [winner])
        self.assertEqual(set(keep([stored], found)), set(found))

    def test_what_stood_for_itself_gives_way_to_visits(self):
        bare = self.brought(20, affiliate=B, source=REFERENCE)
        kept = [decide([sale(25 * DAY)], bare).winner]
        known = self.brought(20, (A, 0), affiliate=B, source=REFERENCE)
        self.assertEqual(keep(kept, known), known)

    def test_existing_customers(self):
        for existing, paid_before, since, owner in (
            ("unpaid", False, 0, A),
            ("unpaid", True, 0, None),
            ("created_after", False, 0, None),
            ("created_after", False, 160, A),
            ("any", True, 0, A),
        ):
            with self.subTest(existing=existing, paid=paid_before, since=since):
                sales = [sale(100)] * paid_before + [sale(200)]
                for source in (REFERENCE, METADATA, FORM, SDK, IMPORT):
                    claim = saw(A, source, 150, policy=Policy(existing=existing))
                    decision = decide(sales, [claim], since)
                    self.assertEqual(decision and decision.winner.affiliate, owner)
                typed = saw(A, CODE, 150, policy=Policy(existing=existing))
                self.assertEqual(decide(sales, [typed], since).winner, typed)

    def test_advertising(self):
        for ads, owner in (("allow", A), ("hold", A), ("block", None)):
            click = saw(A, REFERENCE, 50, policy=Policy(ads=ads), ad="Google Ads")
            decision = decide([sale(100)], [click])
            self.assertEqual(decision and decision.winner.affiliate, owner)
        self.assertEqual(self.reasons([sale(100)], [click]), ["advertised"])

    def test_search_engines(self):
        for search, owner in (("allow", A), ("hold", A), ("block", None)):
            click = saw(A, REFERENCE, 50, policy=Policy(search=search), search="Bing")
            decision = decide([sale(100)], [click])
            self.assertEqual(decision and decision.winner.affiliate, owner)
        self.assertEqual(self.reasons([sale(100)], [click]), ["searched"])
        self.assertEqual(policy_from_json({"ads": "block"}).search, "allow")

    # --- leads without a visit ---

    def test_a_lead_without_a_visit_comes_after_everything_else(self):
        """Whatever the program's settings and the times say."""
        for policy in (
            Policy(),
            LAST,
            Policy(order="form,code,client_reference,metadata"),
            Policy(weak="allow"),
        ):
            for source in (CODE, REFERENCE, METADATA, FORM, SERVER, SDK, IMPORT):
                for at, seen in ((1, 1), (90, 90), (90, 300)):
                    with self.subTest(policy=policy, source=source, at=at, seen=seen):
                        weak = saw(A, FORM, 50, policy=policy, weak=True)
                        other = saw(B, source, at, policy=policy, seen=seen)
                        for both in ([weak, other], [other, weak]):
                            decision = decide([sale(100)], both)
                            self.assert_owner(decision, B, "in_100")
                            reasons = dict(explain([sale(100)], both, decision))
                            self.assertEqual(reasons, {other: None, weak: "weak"})
                        waiting = decide([], [weak, other])
                        self.assertEqual(waiting.winner, other)

    def test_among_leads_without_a_visit_the_first(self):
        leads = [saw(A, FORM, 10, weak=True), saw(B, FORM, 20, weak=True)]
        self.assert_owner(decide([sale(100)], leads), A, "in_100")

    def test_an_earlier_payment_still_decides(self):
        """A code typed at a later payment takes nobody away, as ever."""
        evidence = [saw(A, FORM, 10, weak=True), saw(B, CODE, 200)]
        self.assert_owner(
            decide([sale(100), sale(200)], evidence), A, "in_100", "in_200"
        )

    def test_a_lead_without_a_visit_takes_nobody_who_was_in_stripe_before(self):
        for existing in ("unpaid", "created_after", "any"):
            policy = Policy(existing=existing, weak="allow")
            for since, owner in ((49, None), (50, A), (51, A), (None, A)):
                with self.subTest(existing=existing, since=since):
                    lead = saw(A, SDK, 50, policy=policy, weak=True)
                    for sales in ([sale(100)], []):
                        decision = decide(sales, [lead], since)
                        self.assertEqual(decision and decision.winner.affiliate, owner)
        policy = Policy(existing="any")
        lead = saw(A, SDK, 50, policy=policy, weak=True)
        self.assertEqual(
            self.reasons([sale(100)], [lead], since=49), ["created_before"]
        )
        self.assertEqual(
            decide([sale(100)], [replace(lead, weak=False)], 49).winner.affiliate, A
        )

    def test_leads_without_a_visit_are_ignored_where_the_program_says_so(self):
        for weak, owner in (("allow", A), ("hold", A), ("block", None)):
            lead = saw(A, FORM, 50, policy=Policy(weak=weak), weak=True)
            decision = decide([sale(100)], [lead])
            self.assertEqual(decision and decision.winner.affiliate, owner)
        self.assertEqual(self.reasons([sale(100)], [lead]), ["unvisited"])
        self.assertIsNone(decide([], [lead]))
        visited = replace(lead, weak=False)
        self.assertEqual(decide([sale(100)], [visited]).winner, visited)

    def test_a_visit_makes_a_lead_a_strong_one(self):
        lead = {"weak": True, "affiliate": A}
        self.assertEqual([c.weak for c in self.brought(20, **lead)], [True])
        self.assertEqual([c.weak for c in self.brought(20, (A, 30), **lead)], [True])
        self.assertEqual([c.weak for c in self.brought(20, (B, 3), **lead)], [False])

    def test_a_visit_that_becomes_known_later_takes_the_person(self):
        lead = self.brought(20, affiliate=A, claim=7, weak=True)
        kept = [decide([sale(25 * DAY)], lead).winner]
        self.assertTrue(kept[0].weak)
        visit = Visit(1, B, B, 10 * DAY, "visit")
        known = led_by_visits([saw(B, FORM, 40 * DAY, visitor="w")], {"w": [visit]})
        decision = decide([sale(25 * DAY)], keep(kept, [*lead, *known]))
        self.assert_owner(decision, B, f"in_{25 * DAY}")

    def test_who_was_bound_before_there_were_weak_leads_stays_so(self):
        """What was kept then knows nothing of them."""
        kept = saw(A, FORM, 10, claim=7).to_json()
        del kept["weak"], kept["policy"]["weak"]
        kept = Candidate.from_json(kept)
        self.assertEqual((kept.weak, kept.policy.weak), (False, "allow"))
        now = [saw(A, FORM, 10, claim=7, weak=True), saw(B, FORM, 5, claim=8)]
        later = keep([kept], [now[0], replace(now[1], at=50, seen=50, until=50)])
        self.assert_owner(decide([sale(100)], later, since=1), A, "in_100")

    def test_why_the_others_lost(self):
        winner = saw(A, REFERENCE, 50)
        for other, why in (
            (saw(B, FORM, 50), "weaker"),
            (saw(B, REFERENCE, 60), "not_first"),
            (saw(B, REFERENCE, 150), "after_payment"),
            (saw(B, REFERENCE, 40, seen=150), "seen_later"),
            (saw(B, METADATA, 10, refused="undated"), "undated"),
            (saw(B, FORM, -366 * DAY), "expired"),
        ):
            with self.subTest(other=other):
                both = [winner, other]
                found = explain([sale(100)], both, decide([sale(100)], both))
                self.assertEqual(dict(found), {winner: None, other: why})
        last = [saw(A, REFERENCE, 60, policy=LAST), saw(B, REFERENCE, 50, policy=LAST)]
        self.assertEqual(self.reasons([sale(100)], last), ["not_last", None])
        unpaid = [saw(A, FORM, 150)]
        self.assertEqual(self.reasons([sale(100)], unpaid), ["known_before"])

    def test_payments_that_were_moved(self):
        sales = [sale(100), sale(200), sale(300)]
        decision = decide(sales, [saw(A, CODE, 150)])
        self.assertEqual(owners(sales, decision), {A: {"in_200", "in_300"}})
        later = Move(1, B, at=900, since=300)
        self.assertEqual(
            owners(sales, decision, [later]), {A: {"in_200"}, B: {"in_300"}}
        )
        whole = Move(2, B, at=950)
        self.assertEqual(
            owners(sales, decision, [whole, later]), {B: {"in_100", "in_200", "in_300"}}
        )
        back = Move(3, A, at=990, since=200)
        self.assertEqual(
            owners(sales, decision, [back, later, whole]),
            {B: {"in_100"}, A: {"in_200", "in_300"}},
        )
        self.assertEqual(last_owner(decision), A)
        self.assertEqual(last_owner(decision, [whole, later]), B)

    def test_the_programme_puts_evidence_in_order(self):
        for order in permutations(KINDS):
            policy = Policy(order=",".join(order))
            seen = [saw(n, kind, 0, policy=policy) for n, kind in enumerate(order)]
            self.assertEqual(decide([sale(1)], seen[::-1]).winner.source, order[0])
            by_hand = saw(9, MANUAL, 0, policy=policy)
            winner = decide([sale(1)], [*seen, by_hand]).winner
            self.assertEqual(winner.source, MANUAL)
            for claim in (SDK, IMPORT):
                claims = [saw(1, claim, 0, policy=policy), seen[order.index(FORM)]]
                self.assertEqual(decide([sale(1)], claims).winner.source, FORM)

    def test_codes_and_links_change_places(self):
        for order, with_code, with_link in (
            (
                "code,client_reference,metadata,form",
                None,
                "client_reference,metadata,code,form",
            ),
            (
                "client_reference,metadata,code,form",
                "code,client_reference,metadata,form",
                None,
            ),
            (
                "form,metadata,client_reference,code",
                "form,code,metadata,client_reference",
                None,
            ),
            (
                "metadata,code,client_reference,form",
                None,
                "metadata,client_reference,code,form",
            ),
        ):
            self.assertEqual(code_first(order), with_code or order)
            self.assertEqual(link_first(order), with_link or order)

    def test_policies_of_customers_who_were_bound_before_there_was_an_order(self):
        self.assertEqual(policy_from_json({}), Policy())
        for code_beats_link, known in ((True, Policy()), (False, LINK_FIRST)):
            kept = policy_from_json({"code_beats_link": code_beats_link})
            self.assertEqual(kept, replace(known, weak="allow"))
        kept = {"order": "form,metadata,client_reference,code", "last_wins": True}
        self.assertEqual(policy_from_json(kept).order, kept["order"])

    candidates = st.lists(
        st.builds(
            saw,
            st.integers(1, 4),
            st.sampled_from([MANUAL, CODE, REFERENCE, METADATA, FORM, SDK]),
            st.integers(0, 6),
            code=st.one_of(st.none(), st.integers(1, 2)),
            claim=st.one_of(st.none(), st.integers(1, 9)),
            history=st.booleans(),
            policy=st.builds(
                Policy,
                order=st.permutations(KINDS).map(",".join),
                last_wins=st.booleans(),
                window=st.integers(1, 5),
                existing=st.sampled_from(["unpaid", "created_after", "any"]),
                weak=st.sampled_from(["allow", "hold", "block"]),
            ),
            after=st.integers(0, 5),
            evidence=st.sampled_from(["x", "y"]),
            weak=st.booleans(),
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
        """What is found at a later time never takes an earlier decision away, but from
        a lead without a visit."""
        now = [s for s in sales if s.created <= later]
        known = [c for c in candidates if c.seen <= later and not c.history]
        first = decide(now, known)
        if first is None or first.decided_at is None:
            return
        future = [c for c in candidates if c.seen > later and not c.history]
        after = decide(sales, known + future)
        if not first.winner.weak or after.winner.weak:
            self.assertEqual(after.winner, first.winner)
        self.assertLessEqual(first.covered, after.covered)
