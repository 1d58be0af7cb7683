"""The script on Odoo's own website, and what its cookie bar says."""

from odoo.tests import tagged

from .foreign_site import ForeignSiteCase

BAR = "document.querySelector('#website_cookies_bar .modal.show')"


@tagged("post_install", "-at_install")
class TestSdkOnOdoo(ForeignSiteCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        website = cls.env["website"].get_current_website()
        website.cookies_bar = True
        cls.program.write({"track_website": True, "consent_mode": "required"})

    def arrive(self, address="/"):
        self.visit(f"{self.base_url()}{address}")
        self.visitor.until("document.readyState === 'complete'")

    def decide(self, what):
        self.visitor.until(BAR)
        self.js(f"document.querySelector('#cookies-consent-{what}').click()")
        self.visitor.until(f"!{BAR} && document.cookie.includes('website_cookies_bar')")

    def test_who_agrees_is_remembered(self):
        self.arrive(f"/?via={self.code}")
        reference = self.js("affiliate.referral")
        self.assertTrue(reference.startswith(self.code))
        self.assertIsNone(self.cookie())
        self.decide("all")
        self.assertEqual(self.cookie(), reference)
        self.arrive("/contactus")
        self.assertEqual(self.js("affiliate.referral"), reference)
        self.arrive(f"/?via={self.other}")
        stores = [click["store"] for click in self.clicks(3)]
        self.assertEqual(stores[:2], [False, True], "before and after he agreed")

    def test_who_agreed_before_is_remembered_at_once(self):
        self.arrive()
        self.decide("all")
        self.arrive(f"/?via={self.code}")
        self.assertTrue(self.cookie())
        self.assertEqual([click["store"] for click in self.clicks(1)], [True])

    def test_only_essentials(self):
        self.program.consent_mode = "none"
        self.arrive(f"/?via={self.code}")
        self.assertTrue(self.cookie(), "the programme does not ask")
        self.decide("essential")
        self.assertIsNone(self.cookie())
        self.arrive(f"/?via={self.code}")
        self.assertIsNone(self.cookie())
        self.assertIs(self.clicks(2)[1]["store"], False)

    def test_a_decision_of_an_older_odoo(self):
        self.arrive()
        self.js("document.cookie = 'website_cookies_bar=true; path=/'")
        self.arrive(f"/?via={self.code}")
        self.assertIsNone(self.cookie())
