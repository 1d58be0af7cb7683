"""A program is published only when its codes work somewhere."""

from odoo.exceptions import UserError, ValidationError
from odoo.tests import Form, tagged

from ..lib import visits
from .common import StripeCase

# True before it is published, and of one that is.
NOWHERE = (
    "The codes of Partners don't work anywhere. A published program needs a site, .* "
    "or a customer discount, .* Add one of them, or unpublish the program."
)


@tagged("post_install", "-at_install")
class TestPublishing(StripeCase):
    def setUp(self):
        super().setUp()
        self.program = self.make_program(signup_url=False)

    def test_codes_that_work_nowhere_are_not_published(self):
        for publish in (
            lambda: self.program.website_publish_button(),
            lambda: self.program.write({"is_published": True}),
            lambda: self.program.write({"website_published": True}),
            lambda: self.make_program(signup_url=False, is_published=True),
        ):
            with self.assertRaisesRegex(ValidationError, NOWHERE):
                publish()

    def test_a_site_or_a_discount_is_the_way_out(self):
        self.program.signup_url = "acme.example"
        self.program.website_publish_button()
        self.assertTrue(self.program.is_published)
        self.program.website_publish_button()
        self.assertFalse(self.program.is_published)
        self.program.write(
            {"signup_url": False, "discount_type": "percent", "discount_value": 10}
        )
        self.program.website_publish_button()
        self.assertTrue(self.program.is_published)

    def test_what_is_public_keeps_working(self):
        self.program.write({"signup_url": "acme.example", "is_published": True})
        with self.assertRaisesRegex(ValidationError, NOWHERE):
            self.program.signup_url = False
        self.program.write({"is_published": False, "signup_url": False})

    def test_a_discount_needs_stripe(self):
        account = self.env["affiliate.stripe.account"].create({"name": "Acme (new)"})
        program = self.make_program(
            discount=10, signup_url=False, stripe_account_id=account.id
        )
        with self.assertRaisesRegex(ValidationError, r"First connect Acme \(new\)"):
            program.website_publish_button()
        program.write({"signup_url": "acme.example", "is_published": True})
        self.assertTrue(program.is_published, "its links work")

    def test_without_an_account_it_says_what_to_do_first(self):
        company = self.env["res.company"].create({"name": "No Stripe Ltd"})
        self.env.user.company_ids |= company
        programs = self.env["affiliate.program"].with_company(company)
        with self.assertRaisesRegex(UserError, "First connect"):
            programs.create({"name": "Partners", "company_id": company.id})

    def test_the_form_follows_the_switch(self):
        with Form(self.program) as form:
            self.assertFalse(form.is_published)
            form.signup_url = "acme.example"
        self.program.website_publish_button()
        with Form(self.program) as form:
            self.assertTrue(form.is_published)
        view = self.env["affiliate.program"].get_view(view_type="form")["arch"]
        self.assertEqual(view.count('name="website_publish_button"'), 2)
        self.assertIn("don't work anywhere yet", view)

    def test_sites_on_the_own_machine_are_not_encrypted(self):
        for typed, site in (
            ("localhost", "http://localhost"),
            ("localhost:8069/shop", "http://localhost:8069/shop"),
            ("LOCALHOST:8069", "http://LOCALHOST:8069"),
            ("127.0.0.1:3000", "http://127.0.0.1:3000"),
            ("[::1]:8069/x?y=1", "http://[::1]:8069/x?y=1"),
            ("shop.local", "http://shop.local"),
            ("shop.localhost:5000", "http://shop.localhost:5000"),
            ("192.168.1.5:8069", "http://192.168.1.5:8069"),
            ("https://localhost:8443", "https://localhost:8443"),
            ("//localhost:3000", "http://localhost:3000"),
            ("acme.example:8443", "https://acme.example:8443"),
            ("localhost.example", "https://localhost.example"),
            ("mylocal", "https://mylocal"),
            ("8.8.8.8", "https://8.8.8.8"),
        ):
            with self.subTest(typed):
                self.program.signup_url = f" {typed} "
                self.assertEqual(self.program.signup_url, site)
                self.assertTrue(visits.host_of(site))

    def test_addresses_that_begin_wrongly(self):
        for typed, site in (
            ("https:/acme.com", "https://acme.com"),
            ("https:acme.com/x", "https://acme.com/x"),
            ("HTTP:///acme.com", "http://acme.com"),
            ("acme.com/go?to=https://app.acme.com", None),
            ("acme.com/go?to=a:b", None),
        ):
            with self.subTest(typed):
                self.program.signup_url = typed
                self.assertEqual(self.program.signup_url, site or f"https://{typed}")
        for typed in ("ftp:/acme.com", "htps:/acme.com", "mailto:jane@acme.com", "a:b"):
            with self.subTest(typed), self.assertRaisesRegex(ValidationError, "web ad"):
                self.program.signup_url = typed

    def test_a_page_on_the_own_machine(self):
        self.program.signup_url = "localhost:8069"
        code = self.make_affiliate(self.program).code_ids
        link, _short = code._make_link("localhost:8069/shop")
        self.assertTrue(link.startswith("http://localhost:8069/shop?via="), link)
