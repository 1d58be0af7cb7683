"""Our mails leave as soon as what they tell of is stored. What a mail server does then
breaks nothing."""

import re
from datetime import timedelta

from odoo import fields
from odoo.tests import tagged
from odoo.tools import mute_logger

from .mail_common import FORM, ApplicationCase

NOISE = ("odoo.addons.mail.models.mail_mail", "odoo.addons.base.models.ir_mail_server")
REASON = "We look for people\nwho write about accounting & <tax>."


@tagged("post_install", "-at_install")
class TestMails(ApplicationCase):
    def subjects(self):
        return [letter["Subject"] for letter in self.letters()]

    def applicant(self, **values):
        partner = self.env["res.partner"].create(
            {"name": "Jo Bell", "email": "jo@partners.example", **values}
        )
        return self.env["affiliate.affiliate"].create(
            {"partner_id": partner.id, "program_id": self.program.id}
        )

    def reject(self, affiliate, **values):
        wizard = self.env["affiliate.application.wizard"].create(
            {"affiliate_id": affiliate.id, **values}
        )
        wizard.action_reject()

    def visible(self, page):
        """A page without what differs each time."""
        return re.sub(r'csrf_token: "\w+"|data-\w+="\d+"', "", page.text)

    def test_none_waits_for_the_queue(self):
        affiliate = self.apply_and_confirm()
        self.assertEqual(self.subjects()[-1], "Your application for Acme Partners")
        self.assertIn("We have", self.text(self.letters()[-1]))
        affiliate.action_approve()
        self.assertIn("Welcome to Acme Partners", self.subjects())
        self.assertEqual(self.letters()[-1]["To"], FORM["email"])
        waiting = self.env["mail.mail"].search([("state", "=", "outgoing")])
        self.assertFalse(waiting.mapped("subject"))

    def test_rejected_with_a_reason(self):
        affiliate = self.applicant()
        self.reject(affiliate, reason=f" {REASON}\n")
        self.assertEqual(affiliate.state, "rejected")
        self.assertEqual(affiliate.rejection_reason, REASON)
        (letter,) = self.letters()
        self.assertEqual(letter["Subject"], "Your application for Acme Partners")
        self.assertIn("<jo@partners.example>", letter["To"])
        text = self.text(letter)
        self.assertIn("who write about accounting &amp; &lt;tax&gt;.", text)
        self.assertIn("apply again if your situation changes", text)

    def test_rejected_without_a_word(self):
        affiliate = self.applicant()
        self.reject(affiliate, tell=False)
        self.assertEqual(affiliate.state, "rejected")
        self.assertFalse(affiliate.rejection_reason)
        self.assertFalse(self.letters())

    def test_rejected_and_told_when_to_apply_again(self):
        self.program.reapply_months = 3
        affiliate = self.applicant()
        self.reject(affiliate)
        until = fields.Datetime.add(affiliate.rejected_at, months=3)
        self.assertIn(f"{until:%m/%d/%Y}", self.text(self.letters()[-1]))

    def test_rejected_is_told_to_the_address_that_applied(self):
        affiliate = self.apply_and_confirm()
        affiliate.partner_id.email = "victim@bank.example"
        self.reject(affiliate)
        self.assertEqual(self.letters()[-1]["To"], FORM["email"])

    def test_in_the_language_of_the_reader(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        for name in ("approved", "rejected", "applied"):
            template = self.env.ref(f"affiliate_stripe.mail_template_affiliate_{name}")
            template.with_context(lang="fr_FR").subject = f"En français : {name}"
        self.applicant(lang="fr_FR").action_approve()
        self.assertIn("En français : approved", self.subjects())
        # His contact says nothing, the page he applied on does.
        affiliate = self.apply_and_confirm()
        affiliate.application_ids.lang = "fr_FR"
        affiliate.partner_id.lang = False
        self.reject(affiliate)
        self.assertEqual(self.subjects()[-1], "En français : rejected")

    def test_a_bad_mail_server_breaks_nothing(self):
        affiliate = self.applicant()
        other = self.applicant(email="other@partners.example")
        self.server.smtp_port = 1  # nobody is there
        with mute_logger(*NOISE):
            affiliate.action_approve()
            self.reject(other, reason="No.")
        self.assertEqual((affiliate + other).mapped("state"), ["active", "rejected"])
        failed = self.env["mail.mail"].search([("state", "=", "exception")])
        self.assertIn("Welcome to Acme Partners", failed.mapped("subject"))
        self.assertIn("Your application for Acme Partners", failed.mapped("subject"))

    def test_who_is_an_affiliate_is_told_by_mail_only(self):
        affiliate = self.apply_and_confirm()
        affiliate.action_approve()
        self.applications().mailed_at = fields.Datetime.now() - timedelta(days=1)
        known = self.apply()
        stranger = self.apply(email="stranger@books.example")
        self.assertEqual(known.url, stranger.url)
        self.assertEqual(self.visible(known), self.visible(stranger))
        told = {letter["To"]: letter["Subject"] for letter in self.run_cron()}
        self.assertIn("You have an account", told[FORM["email"]])
        self.assertIn("Please confirm", told["stranger@books.example"])

    def test_all_fit_on_a_phone(self):
        templates = self.env["ir.model.data"].search(
            [("module", "=", "affiliate_stripe"), ("model", "=", "mail.template")]
        )
        templates = self.env["mail.template"].browse(templates.mapped("res_id"))
        self.assertGreaterEqual(len(templates), 6)
        self.assertEqual(
            set(templates.mapped("email_layout_xmlid")),
            {"affiliate_stripe.mail_layout"},
        )
        affiliate = self.applicant()
        self.reject(affiliate)
        text = self.text(self.letters()[-1])
        self.assertIn("max-width: 600px", text)
        self.assertNotIn("min-width", text)
