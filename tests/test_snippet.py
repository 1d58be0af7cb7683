"""The e-mail form as a block of the website: in the editor and on the page."""

from odoo.tests import HttpCase, new_test_user, tagged

from odoo.addons.web.tests import test_js

from .test_form import FormCase

PAGE = """<t name="Landing" t-name="affiliate.landing">
    <t t-call="website.layout"><div id="wrap" class="oe_structure oe_empty"/></t>
</t>"""


class SnippetCase(FormCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.beta = cls.make_program(name="Beta")
        cls.page = cls.env["website.page"].create(
            {
                "name": "Landing",
                "url": "/affiliate-landing",
                "type": "qweb",
                "arch": PAGE,
                "key": "affiliate.landing",
                "is_published": True,
                "website_id": cls.env["website"].get_current_website().id,
            }
        )
        # May edit the website, and nothing of ours.
        cls.editor = new_test_user(
            cls.env,
            "editor",
            "base.group_user,website.group_website_designer",
            password="editor editor",
        )

    def edit(self, tour):
        url = self.env["website"].get_client_action_url("/affiliate-landing")
        self.start_tour(url, tour, login="editor")
        self.env.invalidate_all()


@tagged("post_install", "-at_install")
class TestEditor(SnippetCase):
    def test_an_editor_drops_the_form_and_a_visitor_uses_it(self):
        uma = self.make_affiliate("uma", program=self.beta)
        self.edit("affiliate_form_edit")
        self.start_tour(f"/affiliate-landing?via={uma.code}", "affiliate_form_use")
        lead = self.leads()
        self.assertEqual(lead.email, "jane@example.com")
        self.assertEqual(lead.affiliate_id, uma)


@tagged("post_install", "-at_install")
class TestInBrowser(HttpCase):
    """The tests in static/tests/interactions, as Odoo runs its own."""

    browser_size = "1366x768"

    def hoot(self, preset):
        suite = test_js.HOOTCommon._generate_hash(self, "@affiliate_stripe")
        self.browser_js(
            f"/web/tests?headless&loglevel=2&preset={preset}&timeout=15000&id={suite}",
            "",
            login="admin",
            timeout=300,
            success_signal="[HOOT] Test suite succeeded",
            error_checker=test_js.unit_test_error_checker,
        )

    def test_desktop(self):
        self.hoot("desktop")
