"""The script for foreign sites as it is served, and the offer it shows."""

import gzip
import json
import time
from unittest.mock import patch

from odoo.tests import tagged
from odoo.tools.translate import code_translations

from .web_common import PageCase

LIMIT = 4096  # bytes, gzip, as served


@tagged("post_install", "-at_install")
class TestServed(PageCase):
    def fetch(self, part="", **options):
        part = part if ".js" in part else f"{part}.js"
        return self.get(f"/affiliate/sdk/{self.program.public_key}{part}", **options)

    def test_small(self):
        self.program.allowed_domains = "acme.io, app.acme.com, acme.co.uk, localhost"
        self.program.link_parameters = "via, ref, aff, partner"
        self.env.flush_all()
        self.assertLessEqual(len(gzip.compress(self.fetch().content)), LIMIT)
        self.assertLessEqual(len(gzip.compress(self.fetch().content, 1)), LIMIT)

    def test_nobody_elses_server(self):
        for part in ("", "/popup", "/debug", "/compat"):
            text = self.fetch(part).text
            self.assertNotIn("http:", text.replace(self.base_url(), ""))
            self.assertIn(
                text.count("https:"),
                (0, 1 if "buy.stripe.com" in text else 0) if part else range(1, 4),
            )
            self.assertNotIn("eval(", text)
            self.assertNotIn("innerHTML", text)

    def test_cached_until_it_changes(self):
        answer = self.fetch()
        self.assertEqual(answer.headers["Cache-Control"], "public, max-age=600")
        self.assertIn("javascript", answer.headers["Content-Type"])
        self.assertNotIn("Set-Cookie", answer.headers)
        same = {"If-None-Match": answer.headers["ETag"]}
        self.assertFalse(self.fetch(status=304, headers=same).content)
        self.program.cookie_days = 30
        self.env.flush_all()
        self.assertIn('"days":30', self.fetch(headers=same).text)

    def test_unknown(self):
        for path in ("unknown.js", "unknown/debug.js"):
            self.get(f"/affiliate/sdk/{path}", status=404)
        self.fetch("/other", status=404)

    def test_the_popups_own_words(self):
        """In the visitor's language, and nothing of what an address says."""
        self.env["res.lang"]._activate_lang("de_DE")
        german = {"Sign up": "Anmelden", "Close": "Schließen"}

        def translated(_module, lang):
            return german if lang == "de_DE" else {}

        with patch.object(code_translations, "get_python_translations", translated):
            for lang, close in (
                ("de", "Schließen"),
                ("de-CH", "Schließen"),
                ("en-GB", "Close"),
                ("", "Close"),
                ("');alert(1)//", "Close"),
            ):
                text = self.fetch(f"/popup.js?lang={lang}").text
                words = json.loads(text[text.rindex("({") + 1 : text.rindex(")")])
                self.assertEqual(words["close"], close, lang)
                self.assertNotIn("alert(", text)

    def test_says_nothing_else_of_the_programme(self):
        text = self.fetch().text
        config = json.loads(text[text.rindex("({") + 1 : text.rindex(")")])
        self.assertEqual(
            set(config),
            {"key", "base", "first", "days", "parameters", "domains"},
        )
        self.program.write(
            {"consent_mode": "required", "respect_privacy_signals": True}
        )
        self.env.flush_all()
        for setting in ("consent", "privacy"):
            self.assertIn(f'"{setting}":true', self.fetch().text)


@tagged("post_install", "-at_install")
class TestOffer(PageCase):
    def offer(self, code, lang="", origin="https://acme.example"):
        answer = self.get(
            f"/affiliate/v1/{self.program.public_key}/offer?via={code}&lang={lang}",
            headers={"Origin": origin} if origin else {},
        )
        self.assertEqual(answer.headers["Cache-Control"], "public, max-age=600")
        return answer.json()

    def setUp(self):
        super().setUp()
        self.program.write({"discount_type": "percent", "discount_value": 20})
        self.jane = self.make_affiliate("jane")
        self.jane.partner_id.name = "Jane Doe"
        self.code = self.jane.code_ids.code
        self.accept(self.jane)
        self.env.flush_all()

    def test_who_and_what(self):
        said = {"name": "Jane", "offer": "20 % off the first payment"}
        self.assertEqual(self.offer(self.code), said)
        self.assertEqual(self.offer(self.code.lower(), "en-GB"), said)
        self.assertEqual(self.offer(f"{self.code}_{self.new_visitor()}"), said)
        self.jane.partner_id.write({"name": "Doe Media", "is_company": True})
        self.program.discount_type = "none"
        self.env.flush_all()
        self.assertEqual(self.offer(self.code), {"name": "Doe Media", "offer": ""})

    def test_nothing_is_promised_that_checkout_refuses(self):
        promotion = self.jane.code_ids.promotion_code_ids
        yesterday = int(time.time()) - 86400
        for change in (
            {"active": False},
            {"data": {"expires_at": yesterday}},
            {"data": {"max_redemptions": 3, "times_redeemed": 3}},
        ):
            with self.subTest(change):
                promotion.write({"active": True, "data": {}})
                self.env.flush_all()
                self.assertTrue(self.offer(self.code)["offer"])
                promotion.write(change)
                self.env.flush_all()
                self.assertEqual(self.offer(self.code), {"name": "Jane", "offer": ""})
        promotion.write({"active": True, "data": {}})
        for state in ("draft", "error"):
            self.jane.code_ids.state = state
            self.env.flush_all()
            self.assertEqual(self.offer(self.code)["offer"], "")

    def test_in_the_visitors_language(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        self.assertEqual(self.offer(self.code, "fr")["name"], "Jane")
        self.assertEqual(self.offer(self.code, "xx<script>")["name"], "Jane")

    def test_nobody(self):
        other = self.make_program(name="Other")
        cleo = self.make_affiliate("cleo", program=other)
        for code in ("", "NOBODY", "<b>", "x" * 500, cleo.code_ids.code):
            self.assertEqual(self.offer(code), {})
        self.jane.state = "suspended"
        self.env.flush_all()
        self.assertEqual(self.offer(self.code), {})
        self.get("/affiliate/v1/unknown/offer?via=JANE1", status=404)
