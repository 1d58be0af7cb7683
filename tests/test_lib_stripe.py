"""Signatures, events and texts as they come from Stripe: no database."""

import json
import re
import time
import unittest
from fractions import Fraction
from pathlib import Path

import stripe
from hypothesis import given
from hypothesis import strategies as st
from stripe import WebhookSignature

from odoo.addons.affiliate_stripe.lib.sale_facts import (
    charge_sale,
    credit_note,
    explained_refunds,
    invoice_difference,
    invoice_sale,
    is_returned,
    line_net,
)
from odoo.addons.affiliate_stripe.lib.stripe_events import (
    EVENT_TYPES,
    SUBSCRIBED,
    event_target,
)
from odoo.addons.affiliate_stripe.lib.stripe_lists import STAGES
from odoo.addons.affiliate_stripe.lib.stripe_objects import KINDS
from odoo.addons.affiliate_stripe.lib.stripe_paths import api_path, is_api_path
from odoo.addons.affiliate_stripe.lib.stripe_text import (
    is_stripe_id,
    storable,
    storable_json,
)
from odoo.addons.affiliate_stripe.lib.stripe_webhook import is_signed

from .lib_common import for_all

BODY = b'{"id": "evt_1", "object": "event"}'
OURS, OTHER = "whsec_ours", "whsec_other"


def sign(body=BODY, secret=OURS, at=None):
    return WebhookSignature.generate_signature_header(body.decode(), secret, at)


class TestSignature(unittest.TestCase):
    def test_what_is_accepted(self):
        stamp, good = sign().split(",")
        for name, header, secrets in (
            ("ours", sign(), [OURS]),
            ("the second of two secrets", sign(), [OTHER, OURS]),
            ("rolled", f"{stamp},v1={'0' * 64},{good},v0={'1' * 64}", [OURS]),
            ("nearly old", sign(at=int(time.time()) - 290), [OURS]),
        ):
            with self.subTest(name):
                self.assertTrue(is_signed(BODY, header, secrets))

    def test_what_is_refused(self):
        stamp, good = sign().split(",")
        for name, body, header, secrets in (
            ("another secret", BODY, sign(secret=OTHER), [OURS]),
            ("no secret", BODY, sign(), []),
            ("empty secrets", BODY, sign(), ["", " "]),
            ("another body", BODY + b" ", sign(), [OURS]),
            ("no header", BODY, None, [OURS]),
            ("empty header", BODY, "", [OURS]),
            ("only v0", BODY, f"{stamp},{good.replace('v1', 'v0')}", [OURS]),
            ("no time", BODY, good, [OURS]),
            ("a space", BODY, f"{stamp}, {good}", [OURS]),
            ("not ascii", BODY, f"{stamp},v1=é", [OURS]),
            ("not a number", BODY, f"t=x,{good}", [OURS]),
            ("not utf-8", b"\xff\xfe", sign(), [OURS]),
        ):
            with self.subTest(name):
                self.assertFalse(is_signed(body, header, secrets))

    def test_what_is_too_old_is_refused_and_told_to_the_log(self):
        logger = "odoo.addons.affiliate_stripe.lib.stripe_webhook"
        with self.assertLogs(logger, "WARNING") as log:
            self.assertFalse(is_signed(BODY, sign(at=int(time.time()) - 301), [OURS]))
        self.assertEqual(len(log.output), 1)

    @for_all
    @given(st.binary(max_size=200), st.text(max_size=200))
    def test_nothing_forged_is_accepted_or_breaks(self, body, header):
        self.assertFalse(is_signed(body, header, [OURS]))


class TestEvents(unittest.TestCase):
    def test_each_type_we_ask_for_has_a_target(self):
        objects = {"customer.subscription": "subscription", "charge.dispute": "dispute"}
        for family, changes in EVENT_TYPES.items():
            if family == "payment_intent":
                continue  # its charge, see below
            kind = objects.get(family, family)
            event = {"data": {"object": {"id": "x_1", "object": kind}}}
            expected = (kind.replace(".", "_"), "x_1")
            self.assertEqual(event_target(event), expected, family)
            for change in changes:
                thin = {
                    "type": f"v1.{family}.{change}",
                    "related_object": {"id": "x_1", "type": kind},
                }
                if not change.startswith(("discount", "refund")):
                    self.assertEqual(event_target(thin), expected, thin["type"])

    def test_a_payment_intent_leads_to_its_charge(self):
        intent = {"id": "pi_1", "object": "payment_intent", "latest_charge": "ch_1"}
        event = {"data": {"object": intent}}
        self.assertEqual(event_target(event), ("charge", "ch_1"))
        intent["latest_charge"] = None
        self.assertEqual(event_target(event), (None, None))

    def test_we_ask_for_each_type_once(self):
        self.assertEqual(len(set(SUBSCRIBED)), len(SUBSCRIBED))

    def test_a_discount_leads_to_what_carries_it(self):
        for carrier, target in (
            ({"subscription": "sub_1", "customer": "cus_1"}, ("subscription", "sub_1")),
            ({"subscription": None, "customer": "cus_1"}, ("customer", "cus_1")),
            ({"customer": {"id": "cus_1"}}, ("customer", "cus_1")),
            ({}, (None, None)),
        ):
            raw = {"id": "di_1", "object": "discount", **carrier}
            self.assertEqual(event_target({"data": {"object": raw}}), target)

    def test_what_can_be_an_id(self):
        for good in ("evt_1", "gold", "plan-A.1", "x" * 255):
            self.assertTrue(is_stripe_id(good), good)
        for bad in ("", "x" * 256, "a\0b", "a\nb", "ü", "\ud800", None, 7, [], {}):
            self.assertFalse(is_stripe_id(bad), bad)

    json_values = st.recursive(
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(),
            st.floats(allow_nan=False, allow_infinity=False),
            st.text(st.characters(exclude_categories=())),
        ),
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.dictionaries(st.text(max_size=9), inner, max_size=4),
        ),
        max_leaves=12,
    )

    @for_all
    @given(
        st.dictionaries(
            st.sampled_from(["type", "data", "related_object", "account", "livemode"]),
            st.one_of(
                json_values,
                st.fixed_dictionaries({"object": json_values, "id": json_values}),
                st.fixed_dictionaries(
                    {
                        "object": st.fixed_dictionaries(
                            {
                                "object": st.sampled_from(
                                    ["invoice", "discount", "customer"]
                                ),
                                "id": json_values,
                                "customer": json_values,
                            }
                        )
                    }
                ),
            ),
        )
    )
    def test_any_event_has_a_good_target_or_none(self, event):
        kind, target = event_target(event)
        self.assertEqual(kind is None, target is None)
        if kind:
            self.assertTrue(is_stripe_id(target))

    def test_texts_the_database_cannot_hold(self):
        for text, kept in (
            ("plain", "plain"),
            ("a\0b\0", "ab"),
            ("\ud83d alone", "? alone"),
            ("\ud83d\ude00", "??"),
            ("Ünïcødé 李 🎉", "Ünïcødé 李 🎉"),
            ("written \\u0000", "written \\u0000"),
            ("\\\0", "\\"),
            ("\\\\u0000\0\0\\", "\\\\u0000\\"),
        ):
            with self.subTest(text):
                self.assertEqual(storable(text), kept)
                self.assertEqual(json.loads(storable_json([text])), [kept])
                self.assertEqual(json.loads(storable_json({text: 1})), {kept: 1})

    @for_all
    @given(json_values)
    def test_any_json_can_be_stored(self, value):
        text = storable_json(value)
        text.encode()
        again = json.loads(text)
        self.assertNotIn("\0", _texts(again))
        self.assertEqual(json.loads(storable_json(again)), again)


class TestLists(unittest.TestCase):
    def test_nothing_is_left_out_of_what_sync_walks(self):
        """The package says of two lists that they show a part unless asked."""
        for name, kind in KINDS.items():
            text = _resource(name).list.__doc__ or ""
            partial = "active" in text or "not been canceled" in text
            self.assertEqual(kind.filters != ({},), partial, text)
        self.assertEqual(KINDS["price"].filters, ({"active": True}, {"active": False}))
        self.assertEqual(KINDS["subscription"].filters, ({"status": "all"},))

    def test_every_list_is_walked_in_some_stage(self):
        walked = [kind for stage in STAGES for kind in stage]
        self.assertCountEqual(walked, [k.name for k in KINDS.values() if k.listed])


def _resource(name):
    if name == "checkout_session":
        return stripe.checkout.Session
    return getattr(stripe, "".join(part.title() for part in name.split("_")))


class TestCreditNote(unittest.TestCase):
    def note(self, *lines, before=0, after=0, **values):
        return {
            "id": "cn_1",
            "created": 5,
            "currency": "usd",
            "status": "issued",
            "pre_payment_amount": before,
            "post_payment_amount": after,
            "total": before + after,
            "lines": {"data": list(lines)},
            **values,
        }

    def test_parts(self):
        taxes = [{"amount": 200, "tax_behavior": "exclusive"}]
        named = {"amount": 1000, "invoice_line_item": "il_1", "taxes": taxes}
        other = {"amount": 300, "invoice_line_item": None}
        entries = [
            {"refund": "re_1", "amount_refunded": 500},
            {"refund": "re_gone", "amount_refunded": 100},
            {"refund": "re_unknown", "amount_refunded": 50},
            {"refund": None, "amount_refunded": 10, "type": "payment_record_refund"},
        ]
        refunds = {
            "re_1": {"status": "pending", "payment_intent": "pi_1", "charge": "ch_1"},
            "re_gone": {"status": "failed", "charge": "ch_2"},
        }
        raw = self.note(
            named,
            other,
            after=1500,
            total_taxes=taxes,
            refunds=entries,
            out_of_band_amount=40,
        )
        made = credit_note(raw, refunds)
        self.assertEqual((made.amount, made.lines), (1500, {"il_1": 1000}))
        self.assertEqual((made.unnamed, made.before), (300, 0))
        self.assertEqual(made.back, (("pi_1", 500), (None, 50), (None, 10), (None, 40)))
        self.assertEqual(
            explained_refunds([raw, raw], refunds), {"re_1": 1000, "re_unknown": 100}
        )
        self.assertIsNone(credit_note({**raw, "status": "void"}, refunds))
        self.assertEqual(explained_refunds([{**raw, "status": "void"}], refunds), {})

    def test_lines_that_do_not_add_up_name_nothing(self):
        line = {"amount": 1000, "invoice_line_item": "il_1"}
        made = credit_note(self.note(line, after=1500), {})
        self.assertEqual((made.lines, made.unnamed), ({}, 1500))
        # A cent of rounded tax is no riddle.
        made = credit_note(self.note(line, after=1001), {})
        self.assertEqual((made.lines, made.unnamed), ({"il_1": 1000}, 1))

    def test_before_the_payment_the_sale_is_smaller(self):
        line = {"amount": 400, "invoice_line_item": "il_1"}
        note = credit_note(self.note(line, before=300, after=100), {})
        invoice = {"id": "in_1", "created": 1, "currency": "usd", "total": 1500}
        lines = [{"id": "il_1", "amount": 1000}, {"id": "il_2", "amount": 500}]
        sale = invoice_sale(invoice, lines, [], credit_notes=[note])
        self.assertEqual(sale.total, 1200)
        self.assertEqual([line.net for line in sale.lines], [700, 500])
        whole = credit_note(self.note(before=300), {})
        sale = invoice_sale(invoice, lines, [], credit_notes=[whole])
        self.assertEqual([line.net for line in sale.lines], [800, 400])
        more = [whole, whole, whole, credit_note(self.note(line, before=400), {})]
        sale = invoice_sale(invoice, lines, [], credit_notes=more)
        self.assertEqual(sale.total, 200)
        self.assertEqual(sum(line.net for line in sale.lines), 200)

    @for_all
    @given(
        st.lists(st.integers(1, 9000), min_size=1, max_size=4),
        st.lists(st.tuples(st.integers(0, 4), st.integers(1, 4000)), max_size=4),
    )
    def test_what_is_left_to_pay_lies_on_the_lines(self, amounts, credits):
        lines = [
            {"id": f"il_{number}", "amount": amount}
            for number, amount in enumerate(amounts)
        ]
        room, notes = dict(enumerate(amounts)), []
        for second, (number, amount) in enumerate(credits):
            left = sum(room.values())
            if number in room:
                amount = min(amount, int(room[number]))
                room[number] -= amount
                parts = [{"amount": amount, "invoice_line_item": f"il_{number}"}]
            else:
                amount, parts = min(amount, int(left)), []
                for each in room:
                    room[each] -= Fraction(amount) * room[each] / left if left else 0
            raw = self.note(*parts, before=amount, id=f"cn_{second}", created=second)
            notes += filter(None, [credit_note(raw, {})])
        total = sum(amounts)
        invoice = {"id": "in", "created": 1, "currency": "usd", "total": total}
        sale = invoice_sale(invoice, lines, [], credit_notes=notes)
        self.assertEqual([line.net for line in sale.lines], list(room.values()))
        self.assertEqual(sum(room.values()), sale.total)


class TestSaleFacts(unittest.TestCase):
    def test_quantities(self):
        for raw, quantity in (
            ({}, 1),
            ({"quantity": None}, 1),
            ({"quantity": 3}, 3),
            ({"quantity": 0, "quantity_decimal": "0.5"}, 0.5),
            ({"quantity": 2, "quantity_decimal": "2.25"}, 2.25),
        ):
            invoice = {"id": "in", "created": 1, "currency": "usd", "total": 10}
            sale = invoice_sale(invoice, [{"id": "il", "amount": 10, **raw}], [])
            self.assertEqual(sale.lines[0].quantity, quantity, raw)

    def test_what_the_bank_took_back(self):
        declined = {"status": "failed", "failure_balance_transaction": None}
        returned = {**declined, "failure_balance_transaction": "txn_1"}
        for charges, gone in (
            ([], False),
            ([declined], False),
            ([returned], True),
            ([declined, returned], True),
            ([returned, {"status": "succeeded"}], False),
        ):
            with self.subTest(charges):
                self.assertEqual(is_returned(charges), gone)

    def test_lines_in_another_currency_than_the_charge(self):
        charge = {
            "id": "ch_1",
            "created": 1,
            "currency": "eur",
            "amount": 920,
            "amount_captured": 920,
        }
        items = [
            {"id": "li_1", "amount_total": 600},
            {"id": "li_2", "amount_total": 500, "amount_tax": 100},
        ]
        session = {
            "id": "cs_1",
            "currency": "usd",
            "amount_total": 1100,
            "total_details": {"amount_tax": 100},
            "line_items": {"data": items},
        }
        sale = charge_sale(charge, session)
        self.assertEqual((sale.currency, sale.total, sale.difference), ("eur", 920, 0))
        self.assertEqual(
            [round(float(line.net), 2) for line in sale.lines], [501.82, 334.55]
        )


class TestInvoiceAmounts(unittest.TestCase):
    def test_the_net_of_a_line(self):
        for raw, net in (
            ({"amount": 1000}, 1000),
            ({"amount": 1000, "discount_amounts": [{"amount": 100}]}, 900),
            ({"amount": -1500, "discount_amounts": [{"amount": -150}]}, -1350),
            (
                {
                    "amount": 1200,
                    "taxes": [
                        {"amount": 200, "tax_behavior": "inclusive"},
                        {"amount": 100, "tax_behavior": "exclusive"},
                    ],
                },
                1000,
            ),
            (
                {
                    "amount": 1000,
                    "discount_amounts": [{"amount": 100}],
                    "pretax_credit_amounts": [
                        {"amount": 100, "type": "discount"},
                        {"amount": 300, "type": "credit_balance_transaction"},
                    ],
                },
                600,
            ),
            ({"amount": 5, "taxes": None, "discount_amounts": None}, 5),
        ):
            with self.subTest(raw):
                self.assertEqual(line_net(raw), net)

    def test_what_an_invoice_leaves_unexplained(self):
        lines = [{"amount": 1000}, {"amount": 500}]
        taxed = {"total": 1800, "total_taxes": [{"amount": 300}]}
        self.assertEqual(invoice_difference(taxed, lines), 0)
        self.assertEqual(invoice_difference({"total": 1501}, lines), 1)
        shipped = {
            "total": 2100,
            "total_taxes": [{"amount": 100}],
            "shipping_cost": {
                "amount_subtotal": 500,
                "amount_tax": 100,
                "amount_total": 600,
            },
        }
        self.assertEqual(invoice_difference(shipped, lines), 0)


def _texts(value):
    if isinstance(value, dict):
        return "".join(key + _texts(inner) for key, inner in value.items())
    if isinstance(value, list):
        return "".join(map(_texts, value))
    return value if isinstance(value, str) else ""


class TestPaths(unittest.TestCase):
    def test_ids_are_quoted(self):
        for segments, path in (
            (("account",), "/v1/account"),
            (("coupons", "10 % off?"), "/v1/coupons/10%20%25%20off%3F"),
            (("coupons", "a/b#c"), "/v1/coupons/a%2Fb%23c"),
            (("coupons", "größe"), "/v1/coupons/gr%C3%B6%C3%9Fe"),
        ):
            with self.subTest(path):
                self.assertEqual(api_path(*segments), path)
                self.assertTrue(is_api_path(path))

    def test_paths_that_lead_elsewhere_are_not_sent(self):
        for path in (
            "/v1/promotion_codes/x/../../customers",
            api_path("promotion_codes", "x/../../customers"),
            "/v1/promotion_codes/%2e%2E/customers",
            "/v1/promotion_codes/./x",
            "/v1/promotion_codes//x",
            "/v1/promotion_codes/",
            api_path("promotion_codes", ""),
            api_path("promotion_codes", ".."),
            "/v1/promotion_codes?code=x",
            "/v1/promotion_codes#x",
            "/v1/promotion_codes/x y",
            "/v1/promotion_codes/x\n",
            "/v1/promotion_codes/%zz",
            "/v3/promotion_codes",
            "/v1",
            "//evil.example/v1/customers",
            "https://evil.example/v1/customers",
            "",
            None,
        ):
            with self.subTest(path):
                self.assertFalse(is_api_path(path))

    def test_paths_are_made_in_one_place(self):
        """No other file puts an id into a path by itself."""
        root = Path(__file__).parents[1]
        by_hand = re.compile(r"""f["']\S*/v1/|/v1/[^"']*["']\s*(\+|%|\.format)""")
        found = [
            str(file.relative_to(root))
            for folder in ("controllers", "lib", "models", "tools", "wizards")
            for file in (root / folder).glob("**/*.py")
            if by_hand.search(file.read_text())
        ]
        self.assertEqual(found, [])
