"""What strangers write into Stripe's objects stays text, wherever it is shown.

Stripe takes any text as name, description or metadata, and a customer types his name
himself: HTML, templates of ours and templates of Odoo's mails.
"""

import html
import json
from datetime import date

from odoo.tests import new_test_user, tagged

from .money_common import TrickyCase

MARK = "window.evil"
EVIL = (
    f'<img src="x" class="evil" onerror="{MARK}=1"/>'
    "<script>window.evil=1</script>{{ 7 * 7 }}<t t-out='7 * 7'/>"
)
#: Opens lists and forms; whatever was made of our text by HTML would be an element.
LOOK = """
const pages = %s;
const until = async (what, check) => {
    for (let i = 0; i < 200; i++) {
        if (check()) return;
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`${what} shows nothing`);
};
const shown = () => {
    const place = document.querySelector(".o_action_manager");
    const typed = [...place.querySelectorAll("input, textarea")].map((i) => i.value);
    return [place.textContent, ...typed].join().includes("%s");
};
(async () => {
    const action = odoo.__WOWL_DEBUG__.root.env.services.action;
    for (const [model, id] of pages) {
        for (const view of ["list", "form"]) {
            const views = [[false, view]];
            const what = {
                type: "ir.actions.act_window", res_model: model, res_id: id, views,
            };
            await action.doAction(what, { clearBreadcrumbs: true });
            const at = `.o_${view}_view`;
            await until(`${model} ${view}`, () => document.querySelector(at));
            await until(`${model} ${view}`, shown);
            for (const tab of document.querySelectorAll(".nav-link[name]")) {
                tab.click();
                await new Promise((resolve) => setTimeout(resolve, 100));
            }
            if (document.querySelector(".evil") || window.evil) {
                throw new Error(`${model} ${view} makes elements of it`);
            }
        }
    }
    console.log("test successful");
})();
"""


@tagged("post_install", "-at_install", "browser")
class TestEscaping(TrickyCase):
    def setUp(self):
        super().setUp()
        shop = self.shop
        metadata = {"affiliate": EVIL, "note": EVIL}
        product = shop.product(EVIL, description=EVIL, metadata=metadata)
        price = shop.price(10000, product=product["id"], nickname=EVIL)
        customer = shop.customer(name=EVIL, description=EVIL, metadata=metadata)
        invoice = shop.invoice(
            customer,
            {"amount": 10000, "currency": "usd", "description": EVIL},
            description=EVIL,
            metadata=metadata,
        )
        shop.refund(invoice, 1000, metadata=metadata)
        shop.subscribe(customer, price, description=EVIL, metadata=metadata)
        self.user = new_test_user(
            self.env,
            "stranger",
            groups="base.group_portal",
            password="a long password",
            name=EVIL,
        )
        self.drona.partner_id.name = EVIL
        self.user.partner_id = self.drona.partner_id
        self.deliver()
        self.assertEqual(sorted(self.amounts()), [-3.00, 30.00, 30.00])

    def settle(self):
        self.rows().action_approve()
        settlement = self.env["affiliate.settlement"]._collect(date(2027, 1, 1))
        settlement.action_confirm()
        self.assertEqual(settlement.commission_ids, self.rows())
        return settlement

    def assert_text(self, page, *, is_shown=True):
        """Nothing of it is HTML, and no template was filled in."""
        page = str(page)
        self.assertNotIn('<img src="x"', page)
        self.assertNotIn("<script>window", page)
        self.assertNotIn("<t t-out", page)
        if is_shown:
            self.assertIn(MARK, page)
            self.assertIn("{{ 7 * 7 }}", html.unescape(page))

    def test_portal(self):
        self.authenticate("stranger", "a long password")
        path = f"/my/affiliate/{self.drona.id}"
        self.assert_text(self.url_open(f"{path}/commissions").text)
        self.settle()
        for page in (path, f"{path}/customers", "/my"):
            answer = self.url_open(page)
            self.assertEqual(
                (answer.status_code, answer.url[-len(page) :]), (200, page)
            )
            self.assert_text(answer.text, is_shown=False)

    def test_statement_and_mail(self):
        settlement = self.settle()
        report = "affiliate_stripe.report_settlement"
        page, _type = self.env["ir.actions.report"]._render_qweb_html(
            report, settlement.ids
        )
        self.assert_text(page.decode())
        for name in ("applied", "approved"):
            template = self.env.ref(f"affiliate_stripe.mail_template_affiliate_{name}")
            body = template._render_field("body_html", self.drona.ids)[self.drona.id]
            self.assert_text(body)

    def test_lists_and_forms(self):
        groups = (
            "affiliate_stripe.group_affiliate_manager,"
            "affiliate_stripe.group_affiliate_accountant"
        )
        new_test_user(
            self.env,
            "manager",
            groups=groups,
            password="manager",
            company_id=self.env.company.id,
        )
        pages = [
            [record._name, record.id]
            for record in (
                self.mirrored("customer"),
                self.mirrored("product"),
                self.mirrored("price"),
                self.rows()[:1],
            )
        ]
        code = LOOK % (json.dumps(pages), MARK)
        ready = "odoo.isReady === true"
        self.browser_js("/odoo?debug=1", code, ready, login="manager")
