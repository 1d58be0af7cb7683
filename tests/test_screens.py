"""What people read on the screens of the back office."""

from lxml import etree

from odoo.exceptions import UserError
from odoo.tests import Form, tagged

from .common import StripeCase


class ScreenCase(StripeCase):
    def setUp(self):
        super().setUp()
        self.program = self.make_program(discount=10, discount_duration="forever")
        self.drona = self.make_affiliate(self.program)
        self.uma = self.make_affiliate(self.program, "Uma Iyer")

    def arch(self, name):
        view = self.env.ref(f"affiliate_stripe.{name}")
        model = self.env[view.model]
        return etree.fromstring(model.get_view(view.id, view.type)["arch"])

    def sell(self, email="jane@example.com", code=None, amount=10000, **price):
        plan = self.shop.price(amount, **price)
        session = self.shop.buy(plan, email, code=code)
        self.deliver()
        return session

    def customer(self, email="jane@example.com"):
        return self.env["affiliate.stripe.customer"].search([("email", "=", email)])


@tagged("post_install", "-at_install")
class TestReferralScreens(ScreenCase):
    def test_a_row_to_look_at_opens_the_person_with_the_reason(self):
        self.sell(code=self.drona.code)
        referral = self.rows().referral_id
        doubt = (
            self.env["affiliate.referral.flag"]
            .sudo()
            .create(
                {
                    "referral_id": referral.id,
                    "affiliate_id": self.drona.id,
                    "kind": "self",
                    "note": "Looks odd.",
                }
            )
        )
        rows = self.arch("view_affiliate_referral_flag_list")
        self.assertEqual(rows.get("type"), "object")
        opened = getattr(doubt.sudo(False), rows.get("action"))()
        self.assertEqual(
            (opened["res_model"], opened["res_id"]), (referral._name, referral.id)
        )
        form = self.arch("view_affiliate_referral_form")
        self.assertEqual(form.find(".//notebook/page").get("name"), "why")

    def test_duplicating_a_referral_is_not_offered(self):
        for name in ("list", "form"):
            arch = self.arch(f"view_affiliate_referral_{name}")
            self.assertEqual(arch.get("duplicate"), "0")

    def test_what_cannot_be_duplicated_is_not_offered_anywhere(self):
        """Where a form does not offer it, the lists of the same records do not."""
        data = self.env["ir.model.data"].sudo()
        views = self.env["ir.ui.view"].sudo()
        roots = [
            (view.model, view.type, etree.fromstring(view.arch))
            for found in data.search(
                [("module", "=", "affiliate_stripe"), ("model", "=", "ir.ui.view")]
            )
            for view in [views.browse(found.res_id)]
            if view.model and view.mode == "primary"
        ]
        unique = {
            model
            for model, kind, root in roots
            if kind == "form" and root.get("duplicate") == "0"
        }
        self.assertLessEqual(
            {"affiliate.affiliate", "affiliate.code", "affiliate.referral"}, unique
        )
        for model, kind, root in roots:
            if model in unique and kind == "list":
                with self.subTest(model=model):
                    self.assertIn("0", (root.get("create"), root.get("duplicate")))

    def test_whoever_has_paid_is_not_deleted(self):
        """Also where the payment has earned nothing."""
        self.program.rule_ids.rate = 0
        self.sell(code=self.drona.code)
        self.assertFalse(self.rows())
        referral = self.customer().referral_ids
        self.assertEqual(referral.state, "customer")
        with self.assertRaisesRegex(UserError, "referral can't be deleted"):
            referral.unlink()
        lead = self.env["affiliate.referral"].create(
            {"email": "lead@example.com", "affiliate_id": self.drona.id}
        )
        lead.unlink()

    def test_a_referral_by_hand_says_before_saving_who_has_the_person(self):
        self.sell(code=self.drona.code)
        form = Form(self.env["affiliate.referral"])
        form.affiliate_id = self.uma
        form.email = "nobody@example.com"
        self.assertFalse(form.taken_note)
        form.email = " Jane@Example.com"
        self.assertIn("assigned to Drona Rao", form.taken_note)
        with self.assertRaisesRegex(UserError, "assigned to Drona Rao"):
            form.save()
        form.affiliate_id = self.drona
        self.assertIn("assigned to Drona Rao", form.taken_note)
        form.email = "new@example.com"
        self.assertFalse(form.taken_note)
        self.assertFalse(form.save().taken_note)
        self.assertFalse(self.customer().referral_ids.taken_note, "that is his own")


@tagged("post_install", "-at_install")
class TestSums(ScreenCase):
    def test_sums_of_commissions_leave_out_rejected_rows(self):
        self.program.hold_days = 9999
        self.sell(code=self.drona.code)
        self.sell("john@example.com", code=self.drona.code)
        rejected, kept = self.rows()
        self.assertEqual((rejected.amount, kept.amount), (27.0, 27.0))
        self.env["affiliate.reject.wizard"].create(
            {"commission_ids": [(6, 0, rejected.ids)], "reason": "No."}
        ).action_reject()
        self.assertEqual((rejected + kept).mapped("counted_amount"), [0.0, 27.0])
        self.assertEqual(self.sums([]), {False: 27.0})
        self.assertEqual(self.sums(["state"]), {"void": 0.0, "pending": 27.0})
        self.assertEqual(self.drona.balance_total, 27.0)
        self.assertEqual(self.drona._get_portal_figures()[0]["earned"], 27.0)

    def sums(self, groupby):
        """As lists, pivots and charts ask for them."""
        groups = self.env["affiliate.commission"].formatted_read_group(
            [], groupby, ["counted_amount:sum"]
        )
        return {
            group.get("state", False): group["counted_amount:sum"] for group in groups
        }

    def test_no_view_adds_up_what_was_rejected(self):
        seen = 0
        data = self.env["ir.model.data"].sudo()
        views = self.env["ir.ui.view"].sudo()
        for found in data.search(
            [("module", "=", "affiliate_stripe"), ("model", "=", "ir.ui.view")]
        ):
            view = views.browse(found.res_id)
            if view.type not in ("list", "form", "pivot", "graph") or not view.model:
                continue
            arch = etree.fromstring(view.arch)
            for node in arch.iter("field"):
                inside = [a.get("name") for a in node.iterancestors("field")]
                ledger = (
                    "commission_ids" in inside
                    or view.model == "affiliate.commission"
                    and not inside
                )
                if not ledger or view.model == "affiliate.settlement":
                    continue  # a settlement never holds a rejected row
                adds_up = node.get("sum") or node.get("type") == "measure"
                seen += bool(adds_up)
                with self.subTest(view=view.name, field=node.get("name")):
                    self.assertFalse(adds_up and node.get("name") != "counted_amount")
        self.assertGreaterEqual(seen, 4)

    def test_customers_and_referrals_say_what_was_paid_in_all(self):
        first = self.sell(code=self.drona.code, interval=None)
        self.sell(amount=5000, interval=None, currency="eur")
        self.shop.refund(
            self.double.all("charge", payment_intent=first["payment_intent"])[0], 1000
        )
        self.deliver()
        paid = "$ 80.00"
        customers = self.env["affiliate.stripe.customer"].search([])
        texts = [c.paid_in_all.replace("\N{NO-BREAK SPACE}", " ") for c in customers]
        self.assertIn(paid, " ".join(texts).replace("$80.00", paid))
        self.assertIn("50.00", " ".join(texts))
        referral = self.rows().referral_id
        self.assertIn("80.00", referral.paid_in_all)

    def test_figures_of_many_rows_cost_no_query_a_row(self):
        for number in range(6):
            self.shop.subscribe(f"c{number}@example.com", self.shop.price(2500))
        self.deliver()
        customers = self.env["affiliate.stripe.customer"].search([])
        subscriptions = self.env["affiliate.stripe.subscription"].search([])

        def queries(records, name):
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.cr.sql_log_count
            records.mapped(name)
            return self.cr.sql_log_count - before

        for records, name in (
            (customers, "paid_in_all"),
            (subscriptions, "plan"),
            (self.drona + self.uma, "applied_at"),
        ):
            few, many = queries(records[:2], name), queries(records, name)
            self.assertLessEqual(many, few + 1, name)

    def test_subscriptions_say_plan_and_amount(self):
        product = self.shop.product("Gold product")["id"]
        price = self.shop.price(2500, product=product, nickname="Gold")
        customer = self.shop.customer("jane@example.com")
        self.shop.post(
            "subscriptions",
            customer=customer["id"],
            items=[{"price": price["id"], "quantity": 3}],
        )
        self.deliver()
        subscription = self.env["affiliate.stripe.subscription"].search([])
        self.assertEqual(subscription.plan, "3 × Gold product – Gold")
        self.assertIn("75.00", subscription.amount)
        self.assertIn("/ month", subscription.amount)
        shown = self.arch("view_affiliate_stripe_subscription_list").xpath(
            "//field/@name"
        )
        self.assertLessEqual({"plan", "amount"}, set(shown))


@tagged("post_install", "-at_install")
class TestOtherScreens(ScreenCase):
    def test_the_list_of_applications_shows_what_was_written(self):
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "affiliate_stripe.action_affiliate_affiliate_pending"
        )
        lists = [
            dict(action["views"])[view_id]
            for view_id, _kind in action["views"]
            if _kind == "list"
        ]
        self.assertEqual(lists, ["list"])
        view_id = next(v for v, kind in action["views"] if kind == "list")
        pending = self.env["affiliate.affiliate"].get_view(view_id, "list")["arch"]
        written = {"applied_at", "website", "wished_code", "motivation", "state"}
        shown = {
            node.get("name")
            for node in etree.fromstring(pending).iter("field")
            if node.get("optional") != "hide"
        }
        self.assertLessEqual(written, shown)
        unconfirmed = self.arch("view_affiliate_application_list")
        shown = {
            node.get("name")
            for node in unconfirmed.iter("field")
            if node.get("optional") != "hide"
        }
        written = {"create_date", "website", "wished_code", "motivation", "state"}
        self.assertLessEqual(written, shown)

    def test_the_webhook_address_is_shown_when_it_is_final(self):
        form = Form(self.env["affiliate.stripe.account"])
        form.name = "Second"
        self.assertFalse(form.webhook_url)
        account = form.save()
        self.assertFalse(account.public_url)
        shown = self.arch("view_affiliate_stripe_account_form").xpath(
            "//field[@name='webhook_url']"
        )[0]
        self.assertIn("not public_url", shown.get("invisible"))
        form = Form(account)
        form.public_url = "https://odoo.acme.example"
        self.assertFalse(form.webhook_url, "it is not saved yet")
        account = form.save()
        address = account.webhook_url
        self.assertTrue(address.startswith("https://odoo.acme.example/"))
        account.api_key = "sk_test_other"
        self.double.add_key("sk_test_other", account="acct_other")
        account.action_connect()
        self.assertEqual(account.webhook_url, address)

    def test_nothing_random_of_an_unsaved_program_is_shown(self):
        form = self.arch("view_affiliate_program_form")
        for name in ("script_tag", "form_url", "frame_tag", "public_key"):
            for node in form.xpath(f"//field[@name='{name}']"):
                hidden = [node, *node.iterancestors()]
                hidden = " ".join(n.get("invisible") or "" for n in hidden)
                self.assertRegex(hidden, "not id|True|1", name)

    def test_destructive_actions_of_an_account_are_in_the_menu_and_ask(self):
        form = self.arch("view_affiliate_stripe_account_form")
        header = [b.get("name") for b in form.find("header").iter("button")]
        self.assertEqual(header[:2], ["action_connect", "action_check"])
        dangerous = {"action_disconnect", "action_deactivate_codes"}
        self.assertFalse(dangerous & set(form.xpath("//button/@name")))
        bound = self.env["ir.actions.actions"].get_bindings(self.account._name)
        names = {action["name"] for action in bound["action"]}
        self.assertLessEqual({"Disconnect", "Deactivate all codes"}, names)
        for ask, act in (
            (self.account.action_ask_disconnect, "action_disconnect"),
            (self.account.action_ask_deactivate_codes, "action_deactivate_codes"),
        ):
            asked = ask()
            self.assertEqual(asked["target"], "new")
            arch = self.account.get_view(asked["views"][0][0], "form")["arch"]
            self.assertIn(act, arch)
        self.account.action_disconnect()
        with self.assertRaisesRegex(UserError, "not connected"):
            self.account.action_ask_disconnect()
