"""From the public form to an affiliate: one mail, a link, a button.

Nothing is replaced on the way: forms are posted, mails go over SMTP into a mailbox of
the test, and their links are opened.
"""

import re
from collections import Counter
from datetime import timedelta
from unittest.mock import patch
from urllib.parse import parse_qs, urlsplit

from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.sql_db import Cursor
from odoo.tests import new_test_user, tagged
from odoo.tools import mute_logger

from ..models import affiliate_application
from .mail_common import FORM, ApplicationCase
from .test_patience import locked_address
from .web_common import PASSWORD

JANE = FORM["email"]
MANAGERS = "affiliate_stripe.group_affiliate_manager"
NOISE = ("odoo.addons.mail.models.mail_mail", "odoo.addons.base.models.ir_mail_server")


@tagged("post_install", "-at_install")
class TestConfirmation(ApplicationCase):
    def test_from_the_form_to_the_manager(self):
        self.apply()
        (letter,) = self.run_cron()
        self.assertEqual(letter["To"], JANE)
        path = self.link(letter)
        page = self.get(path).text
        for value in ("Jane Writer", JANE, "https://books.example/jane", "jane-10"):
            self.assertIn(value, page)
        self.assertFalse(self.applied(), "looking changes nothing")
        page = self.press(path)
        self.assertTrue(page.url.endswith(f"{self.program.website_url}/confirmed"))
        self.assertIn("Thank you for your application", page.text)
        affiliate = self.applied()
        self.assertRecordValues(
            affiliate,
            [
                {
                    "program_id": self.program.id,
                    "state": "pending",
                    "name": "Jane Writer",
                    "email": JANE,
                    "website": "https://books.example/jane",
                    "wished_code": "jane-10",
                    "motivation": "I write about books.\nEvery week.",
                }
            ],
        )
        self.assertTrue(affiliate.activity_ids)
        self.assertFalse(affiliate.partner_id.user_ids)
        self.assertEqual(self.applications().state, "confirmed")

    def test_a_manager_of_the_company_is_told(self):
        other = self.env["res.company"].create({"name": "Other company"})
        group = self.env.ref(MANAGERS)
        group.all_user_ids.write(
            {"company_id": other.id, "company_ids": [(6, 0, other.ids)]}
        )
        own = new_test_user(
            self.env,
            "own_manager",
            groups=MANAGERS,
            company_id=self.company.id,
            company_ids=[(6, 0, self.company.ids)],
        )
        self.assertEqual(self.apply_and_confirm().activity_ids.user_id, own)

    def test_accepted_at_once(self):
        self.program.auto_approve_affiliates = True
        affiliate = self.apply_and_confirm()
        self.assertEqual(affiliate.state, "active")
        self.assertEqual(affiliate.code, "JANE-10")
        self.assertTrue(affiliate.partner_id.user_ids._is_portal())
        self.assertFalse(affiliate.activity_ids)
        _confirm, *letters = self.letters()
        self.assertEqual(
            [
                letter["Subject"]
                for letter in letters
                if "account" not in letter["Subject"]
            ],
            ["Welcome to Acme Partners"],
            "nobody reads his application any more",
        )
        self.assertEqual({letter["To"] for letter in letters[-1:]}, {JANE})

    def test_what_is_decided_is_nobodys_task(self):
        for decide in ("action_approve", "action_reject"):
            with self.subTest(decide):
                applicant = self.apply_and_confirm(email=f"{decide}@example.com")
                own = applicant.activity_schedule(
                    "mail.mail_activity_data_todo", summary="Call", automated=False
                )
                getattr(applicant, decide)()
                self.assertEqual(applicant.activity_ids, own, "made by a person")

    def test_scanners_and_foreign_sites_press_nothing(self):
        self.apply()
        path = self.link(self.run_cron()[0])
        for method in ("GET", "HEAD"):
            self.opener.request(method, self.base_url() + path)
        with mute_logger("odoo.http"):
            self.get(path, 400, data={"csrf_token": ""})
        self.assertFalse(self.applied())

    def test_a_link_works_once(self):
        self.apply()
        path = self.link(self.run_cron()[0])
        token = self.csrf_token(self.get(path).text)
        for _time in range(2):
            page = self.get(path, data={"csrf_token": token})
        self.assertIn("This link has been used", page.text)
        self.assertIn("This link has been used", self.get(path).text)
        self.assertEqual(len(self.applied()), 1)
        self.assertFalse(self.run_cron())

    def test_pressed_twice_at_once(self):
        """The second press looks what there is after the first one is through."""
        self.apply()
        path = self.link(self.run_cron()[0])
        page = self.get(path)
        referrals = self.registry["affiliate.referral"]
        lock, waited = referrals._lock_email, []

        def wait(referral, email):
            now = lock(referral, email)
            waited.append(email)
            if len(waited) == 1:
                own = referral.env["affiliate.application"].search([])
                own._enrol()
            return now

        with patch.object(referrals, "_lock_email", wait):
            page = self.get(path, data={"csrf_token": self.csrf_token(page.text)})
        self.assertIn("This link has been used", page.text)
        self.assertEqual(waited, [JANE])
        self.assertEqual(len(self.applied()), 1)
        partners = self.env["res.partner"]
        self.assertEqual(partners.search_count([("email", "=", JANE)]), 1)

    def test_the_button_waits_for_nobody(self):
        self.apply()
        path = self.link(self.run_cron()[0])
        pressed = {"csrf_token": self.csrf_token(self.get(path).text)}
        with locked_address(self, JANE):
            self.get(path, 503, data=pressed)
        self.assertFalse(self.applied())
        self.get(path, data=pressed)
        self.assertEqual(len(self.applied()), 1)

    def test_old_and_made_up_links(self):
        self.apply()
        path = self.link(self.run_cron()[0])
        form = self.get(path).text
        self.applications().mailed_at -= timedelta(days=7)
        for wrong in (path, path[:-1], f"{path}x", "/affiliates/confirm/%00%ff"):
            page = self.get(wrong, 410)
            self.assertIn("This link does not work any more", page.text)
            self.assertNotIn("Jane Writer", page.text)
            self.assertIn('href="/affiliates"', page.text)
            token = self.csrf_token(form)
            self.get(wrong, 410, data={"csrf_token": token})
        self.assertFalse(self.applied())

    def test_the_page_keeps_its_address_to_itself(self):
        self.apply()
        headers = self.get(self.link(self.run_cron()[0])).headers
        self.assertEqual(headers["Referrer-Policy"], "no-referrer")
        self.assertEqual(headers["Cache-Control"], "no-store")

    def test_the_secret_is_in_the_mail_only(self):
        self.apply()
        path = self.link(self.run_cron()[0])
        token = path.rpartition("/")[2]
        self.assertGreaterEqual(len(token), 40)
        self.assertRegex(self.applications().sudo().token_hash, r"^[0-9a-f]{64}$")
        self.assertNotIn(token, str(self.applications().sudo().read()))
        for model in ("mail.mail", "mail.message"):
            self.assertFalse(self.env[model].search([("body", "ilike", token)]))

    def test_a_program_that_closed_meanwhile(self):
        self.apply()
        path = self.link(self.run_cron()[0])
        token = self.csrf_token(self.get(path).text)
        self.program.is_published = False
        for options in ({}, {"data": {"csrf_token": token}}):
            page = self.get(path, **options).text
            self.assertIn("This program takes no applications now", page)
        self.assertFalse(self.applied())

    def test_in_the_language_of_the_form(self):
        self.env["res.lang"]._activate_lang("de_DE")
        website = self.env["website"].get_current_website()
        website.language_ids |= self.env.ref("base.lang_de")
        self.program.with_context(lang="de_DE").name = "Acme-Partner"
        url = self.program.website_url
        token = self.csrf_token(self.get(f"/de{url}").text)
        self.get(f"/de{url}/apply", data={**FORM, "csrf_token": token})
        (letter,) = self.run_cron()
        self.assertIn("Acme-Partner", letter["Subject"])
        self.press(self.link(letter))
        self.assertEqual(self.applied().partner_id.lang, "de_DE")

    def test_unconfirmed_applications_are_forgotten(self):
        self.apply(email="old@books.example")
        self.apply(email="waits@books.example")
        self.run_cron()
        self.apply_and_confirm()
        self.assertEqual(len(self.applications()), 3)
        self.applications()._gc_unconfirmed()
        self.assertEqual(len(self.applications()), 3)
        week = timedelta(days=7)
        for application in self.applications():
            application.write({"mailed_at": application.mailed_at - week})
            self.env.cr.execute(
                "UPDATE affiliate_application SET create_date = %s WHERE id = %s",
                [fields.Datetime.now() - week, application.id],
            )
        self.env.invalidate_all()
        # A mail that had to wait: its link is fresh.
        self.applications()[1].mailed_at = fields.Datetime.now()
        self.applications()._gc_unconfirmed()
        self.assertEqual(
            self.applications().mapped("email"), ["waits@books.example", JANE]
        )


@tagged("post_install", "-at_install")
class TestWhoItIs(ApplicationCase):
    """Point 11: known by login, else by a contact without one; never by an e-mail that
    its owner has not confirmed."""

    def make_login(self, login, **values):
        return new_test_user(
            self.env, login, groups="base.group_portal", password=PASSWORD, **values
        )

    def change_own_email(self, user, email):
        """As a portal user does it: My account, Edit."""
        self.authenticate(user.login, PASSWORD)
        page = self.get("/my/account")
        form = {
            "csrf_token": self.csrf_token(page.text),
            "partner_id": user.partner_id.id,
            "name": user.name,
            "email": email,
            "phone": "+1 555 0100",
            "street": "1 Main Street",
            "city": "Springfield",
            "zip": "12345",
            "country_id": self.env.ref("base.be").id,
        }
        answer = self.url_open("/my/address/submit", data=form).json()
        self.assertIn("redirectUrl", answer, answer)
        self.env.invalidate_all()
        self.assertEqual(user.partner_id.email, email)
        self.authenticate(None, None)

    def test_a_strangers_application_is_not_his_who_took_her_address(self):
        mallory = self.make_login("mallory@evil.example")
        self.change_own_email(mallory, JANE)
        self.program.auto_approve_affiliates = True
        affiliate = self.apply_and_confirm()
        self.assertNotEqual(affiliate.partner_id, mallory.partner_id)
        self.assertEqual(affiliate.partner_id.user_ids.login, JANE)
        own = self.env["affiliate.affiliate"].with_user(mallory)
        self.assertFalse(own.search([]), "nothing of it is in his portal")

    def test_nor_his_who_has_her_address_below_his_company(self):
        """Portal users add addresses to their company, with any e-mail they like, and
        see in their portal what belongs to these."""
        mallory = self.make_login("mallory@evil.example")
        self.env["res.partner"].create(
            {"name": "Jane", "email": JANE, "parent_id": mallory.partner_id.id}
        )
        below = self.env["res.partner"].create(
            {
                "name": "Branch",
                "is_company": True,
                "parent_id": mallory.partner_id.id,
            }
        )
        self.env["res.partner"].create(
            {"name": "Jane", "email": JANE, "parent_id": below.id}
        )
        affiliate = self.apply_and_confirm()
        self.assertFalse(affiliate.partner_id.parent_id)
        own = self.env["affiliate.affiliate"].with_user(mallory)
        self.assertFalse(own.search([]))

    def test_mails_go_to_the_confirmed_address(self):
        """Whoever applies with his own login and a stranger's e-mail in his contact has
        us write to himself."""
        mallory = self.make_login("mallory@evil.example")
        self.change_own_email(mallory, "victim@bank.example")
        self.program.auto_approve_affiliates = True
        affiliate = self.apply_and_confirm(email="mallory@evil.example")
        self.assertEqual(affiliate.partner_id, mallory.partner_id)
        self.assertEqual(affiliate.state, "active")
        self.env["mail.mail"].process_email_queue()
        self.assertEqual(
            {letter["To"] for letter in self.letters()}, {"mallory@evil.example"}
        )

    def test_known_by_login(self):
        self.env["res.partner"].create({"name": "Old contact", "email": JANE})
        user = self.make_login("Jane@Books.example", email="jane@private.example")
        self.program.auto_approve_affiliates = True
        affiliate = self.apply_and_confirm()
        self.assertEqual(affiliate.partner_id, user.partner_id)
        self.assertEqual(affiliate.state, "active")
        self.assertEqual(user.partner_id.email, "jane@private.example")
        self.assertNotEqual(user.name, FORM["name"], "a form renames nobody")

    def test_wildcards_in_an_address_find_nobody_else(self):
        self.make_login("janexb@books.example")
        affiliate = self.apply_and_confirm(email="jane_b@books.example")
        self.assertFalse(affiliate.partner_id.user_ids)

    def test_known_as_a_contact_without_login(self):
        contact = self.env["res.partner"].create(
            {"name": "Jane W.", "email": "JANE@books.example"}
        )
        affiliate = self.apply_and_confirm()
        self.assertEqual(affiliate.partner_id, contact)
        self.assertEqual(contact.name, "Jane W.")

    def test_contacts_of_other_companies_are_not_known(self):
        other = self.env["res.company"].create({"name": "Other company"})
        contact = self.env["res.partner"].create(
            {"name": "Jane", "email": JANE, "company_id": other.id}
        )
        self.assertNotEqual(self.apply_and_confirm().partner_id, contact)

    def test_a_login_of_another_company_is_not_enrolled_twice(self):
        other = self.env["res.company"].create({"name": "Other company"})
        companies = {"company_id": other.id, "company_ids": [(6, 0, other.ids)]}
        user = self.make_login(JANE, **companies)
        user.partner_id.company_id = other
        affiliate = self.apply_and_confirm()
        self.assertNotEqual(affiliate.partner_id, user.partner_id)
        self.applications().mailed_at = fields.Datetime.now() - timedelta(days=1)
        self.apply()
        (letter,) = self.run_cron()
        self.assertIn("You have an account", letter["Subject"])

    def test_who_has_applied_is_known_among_contacts_of_one_address(self):
        affiliate = self.apply_and_confirm()
        older = self.env["res.partner"].search([("email", "=", False)], limit=1)
        self.assertLess(older.id, affiliate.partner_id.id)
        older.email = JANE
        self.applications().mailed_at = fields.Datetime.now() - timedelta(days=1)
        self.apply()
        (letter,) = self.run_cron()
        self.assertIn("You have an account", letter["Subject"])

    def test_an_archived_login_is_for_the_manager(self):
        user = self.make_login(JANE)
        user.active = False
        self.program.auto_approve_affiliates = True
        affiliate = self.apply_and_confirm()
        self.assertEqual(affiliate.partner_id, user.partner_id)
        self.assertEqual(affiliate.state, "pending")
        with self.assertRaisesRegex(UserError, "archived"):
            affiliate.action_approve()

    # --- a login that nobody has proven ---

    def sign_up(self, login):
        """Register where sign-up is open to all: Odoo asks for no proof."""
        website = self.env["website"].get_current_website()
        website.auth_signup_uninvited = "b2c"
        token = self.csrf_token(self.get("/web/signup").text)
        password = {"password": PASSWORD, "confirm_password": PASSWORD}
        self.get(
            "/web/signup",
            data={"login": login, "name": "M", "csrf_token": token, **password},
        )
        user = self.env["res.users"].search([("login", "=", login)])
        self.assertTrue(user)
        self.authenticate(None, None)
        return user

    def test_a_login_that_anybody_can_register_needs_its_password_too(self):
        user = self.sign_up(JANE)
        self.apply()
        letter = next(m for m in self.run_cron() if "confirm" in m["Subject"])
        path = self.link(letter)
        page = self.get(path).text
        self.assertIn("Please sign in to it", page)
        self.assertNotIn("Confirm my application</button>", page)
        sign_in = re.search(r'href="(/web/login\?[^"]*login[^"]*)"', page)[1]
        query = parse_qs(urlsplit(sign_in.replace("&amp;", "&")).query)
        self.assertEqual((query["redirect"], query["login"]), ([path], [JANE]))
        token = self.csrf_token(self.get(self.program.website_url).text)
        self.get(path, data={"csrf_token": token})
        self.assertFalse(self.applied())
        self.make_login("somebody")
        self.authenticate("somebody", PASSWORD)
        self.assertIn("Sign in as another user", self.get(path).text)
        self.authenticate(JANE, PASSWORD)
        self.press(path)
        self.assertEqual(self.applied().partner_id, user.partner_id)

    # --- signed in ---

    def test_the_form_shows_the_login(self):
        user = self.make_login(JANE)
        self.change_own_email(user, "victim@bank.example")
        self.authenticate(JANE, PASSWORD)
        page = self.get(self.program.website_url).text
        self.assertIn(f'value="{JANE}"', page)
        self.assertNotIn("victim@bank.example", page)
        self.make_login("jane", email="jane@elsewhere.example")
        self.authenticate("jane", PASSWORD)
        page = self.get(self.program.website_url).text
        self.assertIn('value="jane@elsewhere.example"', page)

    def test_signed_in_with_the_own_login_needs_no_mail(self):
        user = self.make_login(JANE)
        self.authenticate(JANE, PASSWORD)
        page = self.apply()
        self.assertTrue(page.url.endswith("/confirmed"))
        self.assertFalse(self.applied(), "the request stores a row, as all do")
        (letter,) = self.run_cron()
        self.assertIn("We have", self.text(letter), "it has come, nothing to confirm")
        affiliate = self.applied()
        self.assertEqual(affiliate.partner_id, user.partner_id)
        self.assertEqual(self.applications().state, "confirmed")
        self.assertTrue(affiliate.activity_ids)

    def test_signed_in_with_another_address_needs_one(self):
        self.make_login(JANE)
        self.authenticate(JANE, PASSWORD)
        page = self.apply(email="other@books.example")
        self.assertTrue(page.url.endswith("/thanks"))
        (letter,) = self.run_cron()
        self.assertEqual(letter["To"], "other@books.example")

    def test_signed_in_with_a_registered_login_needs_one(self):
        self.sign_up(JANE)
        self.authenticate(JANE, PASSWORD)
        self.assertTrue(self.apply().url.endswith("/thanks"))
        self.assertIn("confirm", self.run_cron()[-1]["Subject"])


@tagged("post_install", "-at_install")
class TestOnlyOneMail(ApplicationCase):
    """Point 12: strangers cannot make the business send anything but one mail, in its
    own words."""

    def test_nothing_typed_is_in_the_mail(self):
        evil = "URGENT sign in at https://evil.example"
        self.apply(
            name=f"{evil}\r\nBcc: victim@bank.example",
            website="evil.example/login",
            wished_code="EVIL-CODE",
            motivation=f"<a href='https://evil.example'>{evil}</a>",
            email=" =?utf-8?q?evil?= URGENT <jane@books.example>",
        )
        (letter,) = self.run_cron()
        text = self.text(letter)
        for word in ("evil", "URGENT", "EVIL", "victim", "bank", "Jane Writer"):
            self.assertNotIn(word, text)
        self.assertIn("Acme Partners", text)
        self.assertEqual(
            (letter["To"], letter["Cc"], letter["Bcc"]), (JANE, None, None)
        )
        links = re.findall(r"https?://[^\s\"'<>?]+", text)
        # Odoo's own footer, and the company's in it.
        ours = (self.base_url(), "https://www.odoo.com", self.company.website or "-")
        for link in links:
            self.assertTrue(link.startswith(ours), link)

    def test_headers_cannot_be_injected(self):
        for email in (
            "jane@books.example\r\nBcc: victim@bank.example",
            "jane@books.example\nSubject: URGENT",
            "jane@books.example%0aBcc:victim@bank.example",
            '"victim@bank.example,"@books.example',
            "jane@books.example,victim@bank.example",
            "jane@books.example;victim@bank.example",
            "<jane@books.example>,<victim@bank.example>",
            "victim@bank.example <jane@books.example>",
            "=?utf-8?q?jane=40books.example=2Cvictim=40bank.example?=",
            "jane@books.example\x00victim@bank.example",
        ):
            with self.subTest(email):
                self.env["affiliate.rate.limit.log"].search([]).unlink()
                self.applications().unlink()
                url = self.program.website_url
                token = self.csrf_token(self.get(url).text)
                data = {**FORM, "csrf_token": token, "email": email}
                self.url_open(f"{url}/apply", data=data)
                for letter in self.run_cron():
                    (recipient,) = letter["To"].addresses
                    self.assertNotEqual(recipient.domain, "bank.example")
                    self.assertFalse(letter["Bcc"] or letter["Cc"])
                    self.assertNotIn("URGENT", self.text(letter))

    def test_one_a_mailbox_and_day(self):
        other = self.make_program(name="Studio Partners")
        self.apply()
        self.assertEqual(len(self.run_cron()), 1)
        for values in (
            {},
            {"email": "JANE@Books.Example"},
            {"email": "jane+news@books.example"},
            {"program": other},
        ):
            self.assertTrue(self.apply(**values).url.endswith("/thanks"))
            self.assertFalse(self.run_cron())
        self.applications().mailed_at = fields.Datetime.now() - timedelta(days=1)
        letters = self.run_cron()
        self.assertEqual(len(letters), 1, "still one a day, for the first that waits")
        self.applications().mailed_at = fields.Datetime.now() - timedelta(days=1)
        self.assertEqual(len(self.run_cron()), 1, "then for the other program")
        self.applications().mailed_at = fields.Datetime.now() - timedelta(days=1)
        self.assertFalse(self.run_cron())
        self.assertEqual(
            Counter(self.applications().mapped("state")), {"mailed": 3, "replaced": 2}
        )

    def test_dots_and_tags_of_one_mailbox(self):
        self.apply(email="ja.ne+a@googlemail.com")
        self.apply(email="jane@gmail.com")
        self.assertEqual(len(self.run_cron()), 1)

    def test_ten_addresses_and_the_limit_for_all(self):
        self.env["ir.config_parameter"].sudo().set_param(
            "affiliate_stripe.application_mails", "4"
        )
        for number in range(10):
            self.apply(email=f"x{number}@books.example")
        letters = self.run_cron()
        self.assertEqual(
            [letter["To"] for letter in letters],
            [f"x{number}@books.example" for number in range(4)],
        )
        self.assertFalse(self.run_cron())
        self.applications()[:4].mailed_at = fields.Datetime.now() - timedelta(days=1)
        self.assertEqual(len(self.run_cron()), 4, "the next ones, the next day")
        self.assertFalse(self.env["affiliate.affiliate"].search([]))
        self.assertFalse(
            self.env["res.partner"].search([("email", "ilike", "@books.example")])
        )

    def test_limits_are_settings(self):
        model = self.env["res.config.settings"]
        names = (
            "affiliate_stripe_application_mails",
            "affiliate_stripe_application_days",
        )
        settings = model.create({})
        self.assertEqual([settings[name] for name in names], [200, 7])
        for name in names:
            with self.assertRaises(ValidationError):
                model.create({name: 0})
        model.create(dict(zip(names, (1, 3), strict=True))).execute()
        self.apply(email="a@books.example")
        self.apply(email="b@books.example")
        (letter,) = self.run_cron()
        path = self.link(letter)
        self.get(path)
        self.applications()[0].mailed_at -= timedelta(days=3)
        self.get(path, 410)

    def test_the_mail_goes_at_once(self):
        """The request wakes the scheduled action, which does not queue the mail."""
        cron = self.env.ref("affiliate_stripe.ir_cron_applications")
        triggers = self.env["ir.cron.trigger"].search([("cron_id", "=", cron.id)])
        triggers.unlink()
        self.apply()
        trigger = self.env["ir.cron.trigger"].search([("cron_id", "=", cron.id)])
        self.assertLessEqual(trigger.call_at, fields.Datetime.now())
        self.env.flush_all()
        cron.method_direct_trigger()
        self.assertEqual(len(self.letters()), 1)
        self.assertFalse(self.env["mail.mail"].search([("email_to", "=", JANE)]))

    @mute_logger(*NOISE)
    def test_a_mail_server_out_of_reach(self):
        port, self.server.smtp_port = self.server.smtp_port, 1
        for number in range(7):
            self.apply(email=f"x{number}@books.example")
        self.assertFalse(self.run_cron())
        applications = self.applications()
        self.assertEqual(set(applications.mapped("state")), {"waiting"})
        tried = applications.filtered("problem")
        self.assertEqual(len(tried), affiliate_application.MAX_FAILURES)
        self.assertFalse(self.env["mail.mail"].search([("state", "=", "exception")]))
        self.server.smtp_port = port
        self.assertEqual(len(self.run_cron()), 2, "the others wait for an hour")
        tried.next_try = fields.Datetime.now()
        letters = self.run_cron()
        self.assertEqual(len(letters), 5)
        self.press(self.link(letters[0]))
        self.assertTrue(self.applied("x0@books.example"))

    def test_one_that_fails_does_not_keep_the_others_waiting(self):
        model = self.registry["affiliate.application"]
        answer = model._answer

        def fail(application):
            if application.email == JANE:
                application.name = "half done"
                application.flush_recordset()
                raise ValueError("out of order")
            return answer(application)

        self.apply()
        self.apply(email="other@books.example")
        logger = "odoo.addons.affiliate_stripe.models.affiliate_application"
        with patch.object(model, "_answer", fail), self.assertLogs(logger, "ERROR"):
            (letter,) = self.run_cron()
        self.assertEqual(letter["To"], "other@books.example")
        self.assertRecordValues(
            self.applications()[0],
            [{"state": "waiting", "problem": "out of order", "name": FORM["name"]}],
        )


@tagged("post_install", "-at_install")
class TestApplyAgain(ApplicationCase):
    """Point 13: a rejected applicant may come again; others are told what there is."""

    def reject(self):
        affiliate = self.apply_and_confirm()
        affiliate.action_reject()
        # The next day.
        self.applications().mailed_at = fields.Datetime.now() - timedelta(days=1)
        return affiliate

    def test_after_a_rejection(self):
        affiliate = self.reject()
        self.assertFalse(affiliate.activity_ids)
        affiliate.rejected_at = "2026-03-04 12:00:00"
        self.program.auto_approve_affiliates = True
        again = self.apply_and_confirm(website="", motivation="Now with readers.")
        self.assertEqual(again, affiliate)
        self.assertRecordValues(
            affiliate,
            [{"state": "pending", "motivation": "Now with readers.", "website": False}],
        )
        self.assertIn("03/04/2026", affiliate.activity_ids.summary)
        self.assertIn("03/04/2026", "".join(affiliate.message_ids.mapped("body")))
        self.assertEqual(
            affiliate.application_ids.mapped("motivation"),
            ["Now with readers.", FORM["motivation"]],
        )

    def test_refused_for_some_months(self):
        affiliate = self.reject()
        self.program.reapply_months = 3
        affiliate.rejected_at = fields.Datetime.now() - timedelta(days=30)
        page = self.apply()
        self.assertTrue(page.url.endswith("/thanks"), "the same answer as for all")
        (letter,) = self.run_cron()
        until = fields.Datetime.add(affiliate.rejected_at, months=3)
        self.assertIn(f"{until:%m/%d/%Y}", self.text(letter))
        self.assertNotIn("/affiliates/confirm/", self.text(letter))
        self.assertNotIn("Jane Writer", self.text(letter))
        self.assertEqual(affiliate.state, "rejected")
        self.assertEqual(self.applications()[-1].state, "refused")
        self.apply()
        self.assertFalse(self.run_cron(), "once a day")
        self.applications().mailed_at = fields.Datetime.now() - timedelta(days=1)
        affiliate.rejected_at = fields.Datetime.now() - timedelta(days=100)
        (letter,) = self.run_cron()
        self.press(self.link(letter))
        self.assertEqual(affiliate.state, "pending")

    def test_rejected_between_mail_and_button(self):
        affiliate = self.reject()
        self.program.reapply_months = 3
        affiliate.state = "pending"
        affiliate.rejected_at = False
        self.apply(email="x@books.example")
        affiliate.action_reject()
        self.program.reapply_months = 0
        self.apply()
        path = self.link(self.run_cron()[-1])
        self.program.reapply_months = 3
        page = self.press(path)
        self.assertTrue(page.url.endswith("/confirmed"), "the same answer as for all")
        self.assertEqual(affiliate.state, "rejected")
        self.assertEqual(self.applications()[-1].state, "refused")

    def test_who_is_there_already_is_told_by_mail(self):
        affiliate = self.apply_and_confirm()
        for state in ("pending", "active", "suspended"):
            with self.subTest(state):
                affiliate.state = state
                day_ago = fields.Datetime.now() - timedelta(days=1)
                self.applications().mailed_at = day_ago
                page = self.apply(name="URGENT", motivation="Other words")
                self.assertTrue(page.url.endswith("/thanks"))
                (letter,) = self.run_cron()
                text = self.text(letter)
                self.assertIn("You have an account", letter["Subject"])
                self.assertIn("/my/affiliate", text)
                self.assertNotIn("URGENT", text)
                self.apply()
                self.assertFalse(self.run_cron(), "once a day")
                self.assertRecordValues(
                    affiliate,
                    [{"state": state, "motivation": FORM["motivation"]}],
                )
                self.assertEqual(len(affiliate.activity_ids), 1)

    def test_two_links_are_one_application(self):
        self.apply()
        first = self.link(self.run_cron()[0])
        self.applications().mailed_at -= timedelta(days=1)
        self.apply(motivation="The second time")
        second = self.link(self.run_cron()[0])
        self.press(second)
        self.press(first)
        self.assertEqual(self.applied().motivation, "The second time")
        self.assertEqual(self.applications().mapped("state"), ["known", "confirmed"])

    def test_sent_twice_before_the_mail_was_read(self):
        self.apply()
        path = self.link(self.run_cron()[0])
        self.apply()
        self.press(path)
        self.applications().mailed_at = fields.Datetime.now() - timedelta(days=1)
        self.assertFalse(self.run_cron(), "not told that he has an account")
        self.assertEqual(self.applications().mapped("state"), ["confirmed", "replaced"])

    def test_signed_in_and_there_already(self):
        user = new_test_user(
            self.env, JANE, groups="base.group_portal", password=PASSWORD
        )
        self.authenticate(JANE, PASSWORD)
        self.apply()
        self.run_cron()
        self.apply()
        (letter,) = self.run_cron()
        self.assertIn("You have an account", letter["Subject"])
        self.assertEqual(self.applied().partner_id, user.partner_id)


@tagged("post_install", "-at_install")
class TestSameForAll(ApplicationCase):
    """Point 14: neither answer nor time tells who is known here."""

    def statements(self, email):
        """The statements of the request that takes an application, without values."""
        url = self.program.website_url
        token = self.csrf_token(self.get(url).text)
        data = {**FORM, "csrf_token": token, "email": email}
        self.env["affiliate.rate.limit.log"].search([]).unlink()
        self.env.flush_all()
        seen, execute = [], Cursor.execute

        def listen(cursor, query, *args, **kwargs):
            seen.append(re.sub(r"\d+", "N", str(getattr(query, "code", query))))
            return execute(cursor, query, *args, **kwargs)

        with patch.object(Cursor, "execute", listen):
            answer = self.opener.post(
                f"{self.base_url()}{url}/apply", data=data, allow_redirects=False
            )
        self.env.invalidate_all()
        location = re.sub(r"https?://[^/]+", "", answer.headers["Location"])
        return seen, (answer.status_code, location)

    def test_the_same_statements_whoever_it_is(self):
        self.apply_and_confirm(email="applied@books.example")
        accepted = self.apply_and_confirm(email="accepted@books.example")
        accepted.action_approve()
        self.apply_and_confirm(email="rejected@books.example").action_reject()
        self.env["res.partner"].create({"name": "C", "email": "contact@x.example"})
        new_test_user(self.env, "login@x.example", groups="base.group_portal")
        new_test_user(
            self.env, "staff", groups="base.group_user", email="staff@x.example"
        )
        self.statements("warm@up.example")
        unknown = self.statements("nobody@x.example")
        self.assertTrue(any("affiliate_application" in text for text in unknown[0]))
        for email in (
            "applied@books.example",
            "accepted@books.example",
            "rejected@books.example",
            "contact@x.example",
            "login@x.example",
            "staff@x.example",
            "nobody@x.example",
        ):
            with self.subTest(email):
                self.assertEqual(self.statements(email), unknown)
        for word in ("email_normalized", "affiliate_affiliate", "mail_mail"):
            for text in unknown[0]:
                self.assertNotIn(word, text)


@tagged("post_install", "-at_install")
class TestForTheTeam(ApplicationCase):
    def test_who_may_read_them(self):
        self.apply()
        application = self.applications()
        officer = new_test_user(
            self.env, "officer", groups="affiliate_stripe.group_affiliate_officer"
        )
        manager = new_test_user(self.env, "manager", groups=MANAGERS)
        for user in (officer, manager):
            own = application.with_user(user)
            self.assertEqual(own.search([]), application)
            self.assertEqual(own.read(["email", "state"])[0]["email"], JANE)
            for act in (
                lambda own=own: own.write({"state": "confirmed"}),
                lambda own=own: own.unlink(),
                lambda own=own: own.copy(),
                lambda own=own: own.read(["token_hash"]),
                lambda own=own: own.search([("token_hash", "!=", False)]),
            ):
                with self.assertRaises(AccessError):
                    act()
        affiliate = self.make_affiliate("drona")
        for user in (
            affiliate.partner_id.user_ids,
            self.env.ref("base.public_user"),
            new_test_user(self.env, "colleague", groups="base.group_user"),
            new_test_user(
                self.env,
                "accountant",
                groups="affiliate_stripe.group_affiliate_accountant",
            ),
        ):
            with self.assertRaises(AccessError):
                application.with_user(user).read(["email"])

    def test_officers_cannot_read_the_link_in_a_mail_that_waits(self):
        officer = new_test_user(
            self.env, "officer", groups="affiliate_stripe.group_affiliate_officer"
        )
        self.apply()
        application = self.applications()
        with patch.object(type(application), "_deliver", lambda *_args: True):
            self.run_cron()
        mail = self.env["mail.mail"].search([("email_to", "=", JANE)])
        self.assertIn("/affiliates/confirm/", mail.body_html)
        for record, name in ((mail, "body_html"), (mail.mail_message_id, "body")):
            with self.assertRaises(AccessError):
                record.with_user(officer).read([name])

    def test_what_waits_is_no_affiliate(self):
        self.apply()
        self.run_cron()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "affiliate_stripe.action_affiliate_application"
        )
        self.assertIn("search_default_unconfirmed", action["context"])
        views = self.env["affiliate.application"].get_views(
            [(False, "list"), (False, "form"), (False, "search")]
        )["views"]
        for view in ("list", "form"):
            for what in ("create", "edit", "delete"):
                self.assertIn(f'{what}="0"', views[view]["arch"])
        self.assertEqual(self.program.pending_count, 0)
        self.assertFalse(self.env["affiliate.affiliate"].search([]))
