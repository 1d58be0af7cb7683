"""Codes as people copy them are understood everywhere alike; links with codes that
nobody has lead to the site all the same."""

import unittest
from urllib.parse import quote

from odoo.tests import tagged

from ..lib import codes, visits
from .foreign_site import ForeignSiteCase
from .money_common import MoneyCase
from .test_links import SITE, TrackingCase

COPIED = (
    *(
        "DRONA29.",
        "DRONA29,",
        "DRONA29/",
        "drona29 ",
        " DRONA29",
        "DRONA29!",
        "DRONA29)",
    ),
    *("DRONA29%20", "DRONA29%2520", "%22DRONA29%22", "DRONA29%E2%80%8B"),
    *("“DRONA29”", "„DRONA29“", "«drona29»", "'DRONA29'", "`DRONA29`", "(DRONA29)"),
    *(
        "DRO\u200bNA29",
        "\ufeffDRONA29",
        "DRONA29\u00a0",
        "DRO\u00adNA29",
        "\u202aDRONA29",
    ),
    *("ＤＲＯＮＡ２９", "𝐃𝐑𝐎𝐍𝐀𝟐𝟗", "DRÓNA29", "DRONA29\r\n", "\tDRONA29", "DRONA29…"),
    *("DRONA29?utm_source=mail", "DRONA29&utm_source=mail", "DRONA29#x=1", "DRO_NA29"),
    *("_DRONA29_", "DRONA29-", "–DRONA29"),
)
HOSTILE = (
    *("//evil.example", "https:evil.example", "https://evil.example", "\\evil.example"),
    *(
        "javascript:alert(1)",
        "<script>alert(1)</script>",
        "@evil.example",
        "evil.example",
    ),
    *(
        "%2F%2Fevil.example",
        "%0d%0aSet-Cookie:x=1",
        "\x00",
        "A" * 3000,
        "%" * 900,
        "%00",
    ),
    *("?to=//evil.example", "' OR 1=1 --", "evil.example%23", "%c0%ae%c0%ae"),
)


class TestReading(unittest.TestCase):
    def test_one_code(self):
        for text in COPIED:
            with self.subTest(text):
                self.assertEqual(codes.normalise(text), "DRONA29")
                self.assertEqual(visits.parse_reference(text).code, "DRONA29")

    def test_with_the_visitor(self):
        visitor = "k3v9" * 8
        for text in COPIED:
            text = text.replace("DRO_NA", "DRONA").replace("_DRONA29_", "DRONA29")
            for core in ("DRONA29", "drona29", "ＤＲＯＮＡ２９"):
                text = text.replace(core, f"{core}_{visitor}")
            with self.subTest(text):
                if visitor in text:
                    reference = visits.parse_reference(text)
                    self.assertEqual(str(reference), f"DRONA29_{visitor}")

    def test_hyphens_of_text_programs(self):
        for dash in "‐‑‒–—―−－":
            self.assertEqual(codes.normalise(f"may{dash}20"), "MAY-20", repr(dash))

    def test_what_is_none(self):
        for text in (None, 7, ["DRONA29"], b"DRONA29", "", "..", "A", "\ud800", "%%%"):
            with self.assertRaises(ValueError):
                visits.parse_reference(text)


@tagged("post_install", "-at_install")
class TestCopiedLinks(TrackingCase):
    def test_links(self):
        for text in COPIED:
            # A browser sends what stands before these as the address.
            path = quote(text, safe="%") if "%" in text else quote(text, safe="")
            with self.subTest(text):
                answer = self.follow(path)
                self.assertEqual(answer.status_code, 302)
                location = answer.headers["Location"]
                self.assertTrue(
                    location.startswith(f"{SITE}/pricing?via=DRONA29_"), location
                )

    def test_a_link_with_a_slash_behind(self):
        for path in ("DRONA29/", "drona29/?utm_source=x"):
            self.assertIn("via=DRONA29_", self.follow(path).headers["Location"])

    def test_the_script(self):
        visitor = None
        for text in COPIED:
            answer = self.send("click", {"reference": text, "url": f"{SITE}/"})
            self.assertEqual(answer.status_code, 200, text)
            code, _mark, visitor = answer.json()["reference"].partition("_")
            self.assertEqual(code, "DRONA29", text)
            offer = self.url_open(
                f"/affiliate/v1/{self.program.public_key}/offer",
                params={"via": text},
            )
            self.assertEqual(offer.json()["name"], "Drona", text)
        answer = self.send(
            "lead", {"email": "jane@example.com", "reference": f"“DRONA29_{visitor}”,"}
        )
        self.assertEqual(answer.status_code, 204)
        self.assertEqual(self.leads().visitor, visitor)

    def test_the_server(self):
        referrals = self.env["affiliate.referral"]
        for number, text in enumerate(COPIED):
            told = referrals.track_lead(f"x{number}@example.com", text)
            self.assertEqual(told["code"], "DRONA29", text)

    def test_unknown_codes_lead_to_the_site(self):
        self.bob.action_suspend()
        for code in ("NOBODY99", "%20", "..x", "ab", "BOB30x"):
            answer = self.follow(f"{code}?utm_source=mail")
            self.assertEqual(answer.status_code, 302, code)
            self.assertEqual(
                answer.headers["Location"], f"{SITE}/pricing?utm_source=mail"
            )
            self.assertNotIn("affiliate_ref", str(answer.headers))
        self.assertFalse(self.visits())

    def test_unknown_codes_keep_the_page(self):
        answer = self.follow(f"NOBODY99?to={SITE}/blog")
        self.assertEqual(answer.headers["Location"], f"{SITE}/blog")

    def test_hostile_codes_stay_on_the_site(self):
        for code in HOSTILE:
            for path in (quote(code, safe="%"), f"NOBODY99?to={quote(code)}"):
                with self.subTest(path):
                    answer = self.follow(path)
                    if answer.status_code in (301, 302):
                        location = answer.headers["Location"]
                        inside = location.startswith((f"{SITE}/", "/a/"))
                        self.assertTrue(inside, location)
                        self.assertNotIn("Set-Cookie: x", str(answer.headers))
                    else:
                        self.assertIn(answer.status_code, (400, 404))

    def nearest(self):
        """Where a link leads whose code nobody has, None for nowhere."""
        self.env.flush_all()
        answer = self.follow("NOBODY99")
        self.assertIn(answer.status_code, (302, 404))
        return answer.headers.get("Location")

    def test_several_programs(self):
        """The oldest published one, else the only one in which somebody takes part."""
        later = self.make_program(name="Later", signup_url="https://later.example/x")
        self.assertEqual(self.nearest(), f"{SITE}/pricing")
        later.is_published = True
        self.assertEqual(self.nearest(), "https://later.example/x")
        self.program.is_published = True
        self.assertEqual(self.nearest(), f"{SITE}/pricing")
        (self.program | later).is_published = False
        self.make_affiliate(later, "Uma Iyer")
        self.assertIsNone(self.nearest(), "nobody says which of the two")
        later.active = False
        self.assertEqual(self.nearest(), f"{SITE}/pricing")
        self.program.signup_url = False
        self.assertIsNone(self.nearest())

    def test_a_program_that_nobody_knows_stays_unknown(self):
        """Its site may be one that is only being built."""
        (self.drona | self.bob).action_suspend()
        self.assertIsNone(self.nearest())
        self.drona.action_reactivate()
        self.assertEqual(self.nearest(), f"{SITE}/pricing")

    def test_a_program_of_another_company_stays_unknown(self):
        self.program.is_published = True
        website = self.env["website"].sudo().get_current_website()
        website.company_id = self.env["res.company"].sudo().create({"name": "Other"})
        self.assertIsNone(self.nearest())


@tagged("post_install", "-at_install")
class TestCopiedToStripe(MoneyCase):
    def test_references_and_metadata(self):
        for number, text in enumerate(COPIED[::3]):
            where = {"client_reference_id": text[:200]}
            if number % 2:
                where = {"metadata": {"affiliate": text}}
            session = self.shop.checkout(
                self.shop.price(10000, interval=None),
                customer_creation="always",
                **where,
            )
            email = f"x{number}@example.com"
            self.double.complete_session(session["id"], email=email)
        self.deliver()
        self.assertEqual(self.amounts(), [30.0] * len(COPIED[::3]))


@tagged("post_install", "-at_install")
class TestCopiedToTheScript(ForeignSiteCase):
    def test_by_the_script(self):
        self.page("/", '<a id="buy" href="https://buy.stripe.com/test_1">Buy</a>')
        code = self.code
        wide = "".join(chr(ord(letter) + 0xFEE0) for letter in code)
        for text in (
            *(f"{code}.", f"{code}%20", f"“{code}”", f"{code}/", f"{code}%E2%80%8B"),
            *(wide, f"{code}?utm_source=mail", f"{code[:3]}_{code[3:]}", f"{code},"),
            # Encoded twice; with the rest of an address; broken.
            *(f"{code}%2520", f"%2522{code}%2522", f"{code}%3Futm_source%3Dmail"),
            *(f"{code}%253Futm_source%253Dmail", f"{code}%26utm_source%3Dmail"),
            *(f"{code}%23x%3D1", f"{code}%", f"{code}%FF", f"{code}%2525&ref=50%"),
        ):
            with self.subTest(text):
                self.visit(f"/?via={text}")
                self.clicks(1)
                reference = visits.parse_reference(self.js("affiliate.referral"))
                link = self.attribute("#buy")
                self.leave()
                self.assertEqual(reference.code, code)
                self.assertRegex(link, r"client_reference_id=[\w-]{20,80}$")
                visit = self.env["affiliate.click"].search([], limit=1, order="id desc")
                self.assertEqual(visit.code_id.code, code)
                self.assertEqual(visit.visitor, reference.visitor)

    def test_what_is_broken_hides_nothing(self):
        """A parameter that cannot be decoded, before the one that counts."""
        self.program.link_parameters = "ref, via"
        self.page("/")
        self.visit(f"/?ref=50%&via={self.code}")
        self.clicks(1)
        self.assertIn(self.code, self.js("affiliate.referral"))

    def test_letters_that_have_no_mark(self):
        self.page("/")
        for text in ("STRA%C3%9FE", "stra%25C3%259Fe"):
            self.visit(f"/?via={text}")
            self.assertEqual(self.js("affiliate.referral"), "STRASSE", text)
            self.leave()

    def test_what_is_inside_of_another_parameter_is_not_ours(self):
        self.page("/")
        self.visit(f"/?next=%2Fx%3Fvia%3D{self.other}&via={self.code}%3Fvia%3D1")
        self.clicks(1)
        self.assertTrue(self.js("affiliate.referral").startswith(self.code))
