"""What looks wrong about who was brought: without a database."""

import unittest

from odoo.addons.affiliate_stripe.lib.domains import mailbox, registrable
from odoo.addons.affiliate_stripe.lib.quality import (
    AD,
    COMPANY,
    DISPOSABLE,
    NO_VISIT,
    SEARCH,
    SELF,
    doubts,
    is_disposable,
    is_same_company,
)


def is_shared(domain):
    return domain in ("gmail.com", "example.com")


class TestQuality(unittest.TestCase):
    def test_where_an_address_leads_to(self):
        for email, leads_to in (
            ("Jane.Doe@Acme.io", "jane.doe@acme.io"),
            (" jane+news@acme.io ", "jane@acme.io"),
            ("Ja.n.e+x@gmail.com", "jane@gmail.com"),
            ("jane@googlemail.com", "jane@gmail.com"),
            ("jane@me.com", "jane@icloud.com"),
            ("jane+x@mac.com", "jane@icloud.com"),
            ("ja.ne@icloud.com", "ja.ne@icloud.com"),
            ("jane@pm.me", "jane@proton.me"),
            ("ja.n-e_@protonmail.com", "jane@proton.me"),
            ("jane@ya.ru", "jane@yandex.ru"),
            ("jane-doe@yandex.com", "jane.doe@yandex.ru"),
            ("jane@Bücher.example", "jane@xn--bcher-kva.example"),
            ("jane@xn--bcher-kva.example", "jane@xn--bcher-kva.example"),
            ("+jane@acme.io", "+jane@acme.io"),
            ("...@gmail.com", "...@gmail.com"),
            ("nobody", ""),
            ("", ""),
            (None, ""),
        ):
            with self.subTest(email):
                self.assertEqual(mailbox(email), leads_to)

    def test_what_may_be_two_mailboxes_is_not_made_one(self):
        for one, other in (
            ("jane@hotmail.com", "jane@outlook.com"),
            ("jane@live.com", "jane@outlook.com"),
            ("jane@yahoo.com", "jane@ymail.com"),
            ("jane@gmx.de", "jane@gmx.net"),
            ("jane@tuta.com", "jane@tutanota.com"),
            ("jane@mail.ru", "jane@inbox.ru"),
            ("jane@yandex.ru", "jane@mail.ru"),
        ):
            self.assertNotEqual(mailbox(one), mailbox(other))

    def test_what_somebody_has_registered(self):
        for domain, owned in (
            ("mail.acme.co.uk", "acme.co.uk"),
            ("Acme.github.io", "acme.github.io"),
            ("www.bücher.example", "xn--bcher-kva.example"),
            ("acme.io.", "acme.io"),
            ("co.uk", ""),
            ("github.io", ""),
            ("localhost", ""),
            ("127.0.0.1", ""),
            ("::1", ""),
            ("", ""),
        ):
            with self.subTest(domain):
                self.assertEqual(registrable(domain), owned)

    def test_throw_away_addresses(self):
        for email in ("x@mailinator.com", "x@EU.Mailinator.com", "x@guerrillamail.com"):
            self.assertTrue(is_disposable(email), email)
        for email in ("x@gmail.com", "x@acme.io", "x@com", "mailinator.com", "", None):
            self.assertFalse(is_disposable(email) and "@" in (email or ""), email)

    def test_the_same_company(self):
        for one, other, same in (
            ("jane@acme.io", "bob@acme.io", True),
            ("jane@acme.io", "bob@mail.acme.io", True),
            ("jane@mail.acme.io", "bob@acme.io", True),
            ("jane@acme.io", "bob@notacme.io", False),
            ("jane@shop.acme.io", "bob@mail.acme.io", True),
            ("jane@acme.co.uk", "bob@other.co.uk", False),
            ("jane@mail.acme.co.uk", "bob@acme.co.uk", True),
            ("jane@one.github.io", "bob@two.github.io", False),
            ("jane@bücher.example", "bob@xn--bcher-kva.example", True),
            ("jane@gmail.com", "bob@gmail.com", False),
            ("jane@x.gmail.com", "bob@gmail.com", False),
            ("", "bob@acme.io", False),
            ("", "", False),
        ):
            with self.subTest(one=one, other=other):
                self.assertEqual(is_same_company(one, other, is_shared), same)

    def doubts(self, *emails, own=("drona@acme.io",), **values):
        return set(doubts(emails, own, is_shared, **values))

    def test_doubts(self):
        self.assertEqual(self.doubts("jane@other.io"), set())
        self.assertEqual(self.doubts("drona+2@acme.io"), {SELF})
        self.assertEqual(self.doubts("jane@acme.io"), {COMPANY})
        self.assertEqual(self.doubts("jane@acme.io", trusted=True), set())
        self.assertEqual(self.doubts("drona@acme.io", trusted=True), set())
        self.assertEqual(self.doubts("x@mailinator.com", trusted=True), {DISPOSABLE})
        self.assertEqual(self.doubts("jane@other.io", ad="Google Ads"), {AD})
        weak = self.doubts("jane@other.io", weak=True, trusted=True)
        self.assertEqual(weak, {NO_VISIT})
        self.assertEqual(
            self.doubts("d.rona@gmail.com", own=["drona@googlemail.com"]), {SELF}
        )
        self.assertEqual(self.doubts("drona@pm.me", own=["drona@proton.me"]), {SELF})
        self.assertEqual(self.doubts("jane@other.io", search="Bing"), {SEARCH})
        self.assertEqual(self.doubts("jane@gmail.com", own=["drona@gmail.com"]), set())
        self.assertEqual(self.doubts(own=[]), set())
