"""A company with books, its Stripe account, a programme and an affiliate."""

from .browser import Browser
from .people import KEY
from .tell import Broken


class Opening:
    """Chapters before the first sale."""

    def books(self):
        tell, manager = self.tell, self.manager
        tell.chapter("A company with books")
        manager.login(*self.manager_login)
        for key, value in (
            ("web.base.url", self.odoo_url),
            ("web.base.url.freeze", "True"),
            # Honoured for loopback addresses only.
            ("affiliate_stripe.api_base", self.stripe_url),
        ):
            manager.call("ir.config_parameter", "set_param", key, value)
        company = manager.one("res.company", [], ["chart_template", "currency_id"])
        manager.write("res.company", company["id"], {"name": "Acme Inc."})
        if not company["chart_template"]:
            settings = manager.create(
                "res.config.settings", {"chart_template": "generic_coa"}
            )
            manager.call("res.config.settings", "execute", [settings])
        accounts = manager.call("account.account", "search_count", [])
        journal = manager.one(
            "account.journal", [("type", "=", "purchase")], ["name", "code"]
        )
        tell.fact("company", "Acme Inc.", company["currency_id"][1])
        tell.fact("chart of accounts", f"{accounts} accounts")
        tell.fact("vendor bills go to", f"{journal['name']} ({journal['code']})")
        tell.fact("Stripe's clock", f"{self.stripe.today}", "ten weeks ago")

    def connect(self):
        tell, manager = self.tell, self.manager
        starter = self.shop.product("Starter")["id"]
        pro = self.shop.product("Pro")["id"]
        lifetime = self.shop.product("Lifetime deal")["id"]
        self.starter = self.shop.price(2500, product=starter)
        self.pro = self.shop.price(10000, product=pro)
        self.lifetime = self.shop.price(29900, product=lifetime, interval=None)
        tell.chapter("Connect Stripe")
        refused = manager.refusal(
            "affiliate.stripe.account", "create", {"api_key": "pk_test_no"}
        )
        tell.fact("a wrong kind of key", "is refused")
        tell.quote(refused)
        account = manager.create("affiliate.stripe.account", {"api_key": KEY})
        self.account = account
        manager.call("affiliate.stripe.account", "action_connect", [account])
        fields = ["name", "state", "api_key", "api_key_hint", "delivery", "problem"]
        seen = manager.read("affiliate.stripe.account", account, fields)
        tell.check("state", seen["state"], "connected", seen["problem"] or "")
        tell.check("updates by", seen["delivery"], "webhook")
        note = "all that can be read of it again"
        tell.fact("the key", seen["api_key_hint"], note)
        tell.check("the key itself, read", seen["api_key"], False)
        endpoint = self.shop.get("webhook_endpoints")["data"][0]
        tell.fact("endpoint in Stripe", endpoint["id"], endpoint["api_version"])
        # The last part of the address is a secret.
        tell.fact("  it calls", endpoint["url"].rpartition("/")[0] + "/…")

    def plans(self):
        tell, manager = self.tell, self.manager
        tell.chapter("Plans come over from Stripe")

        def read_once():
            fields = ["last_sync", "sync_done"]
            account = manager.read("affiliate.stripe.account", self.account, fields)
            return account["last_sync"] and account

        read = tell.wait("the first reading of the Stripe account", read_once)
        tell.fact("objects read", read["sync_done"])
        # One plan is made only now; the manager knows its ID from a colleague.
        self.plus = self.shop.price(
            25000, product=self.pro["product"], nickname="Pro with support"
        )
        wizard = manager.create("affiliate.plan.wizard", {"plan_id": self.plus["id"]})
        action = manager.call("affiliate.plan.wizard", "action_fetch", [wizard])
        plan = self.plan(action["res_id"])
        tell.money(
            "one by its Plan ID", plan["unit_amount"], "250.00", plan["stripe_id"]
        )
        prices = manager.find("affiliate.stripe.price", [], ["stripe_id"])
        self.price_ids = {price["stripe_id"]: price["id"] for price in prices}
        tell.check("plans in Odoo", len(prices), 4)
        for price in (self.starter, self.pro, self.lifetime, self.plus):
            plan = self.plan(self.price_ids[price["id"]])
            tell.fact("  plan", plan["display_name"], plan["stripe_id"])

    def plan(self, plan_id):
        fields = ["display_name", "stripe_id", "unit_amount"]
        return self.manager.read("affiliate.stripe.price", plan_id, fields)

    def programme(self):
        tell, manager = self.tell, self.manager
        tell.chapter("A programme, and a commission put on a plan")
        program = manager.create(
            "affiliate.program",
            {
                "name": "Acme Partners",
                "stripe_account_id": self.account,
                "signup_url": "https://acme.example/pricing",
                "description": "<p>Recommend Acme and earn on every payment.</p>",
                "discount_type": "percent",
                "discount_value": 20,
                "discount_duration": "once",
                "code_number_start": 29,
                "hold_days": 30,
                "minimum_payout": 50,
                # The story wants to see them wait; chapter "holds" switches it on.
                "auto_approve_commissions": False,
                "rule_ids": [(0, 0, {"scope": "all", "rate": 20})],
                "website_published": True,
            },
        )
        self.program = program
        plans = [self.price_ids[self.pro["id"]], self.price_ids[self.lifetime["id"]]]
        tell.text("On the plans Pro and Lifetime: “Assign a commission”, 30 %.")
        action = manager.call(
            "affiliate.stripe.price", "action_assign_commission", plans
        )
        wizard = manager.create(
            action["res_model"],
            {"program_id": program, "rate": 30},
            **action["context"],
        )
        manager.call(action["res_model"], "action_assign", [wizard])
        rules = manager.find(
            "affiliate.commission.rule", [("program_id", "=", program)], ["summary"]
        )
        for rule in rules:
            tell.fact("  rule", rule["summary"])
        tell.fact("customers save", "20 % of the first payment", "with a code")
        tell.fact("hold, minimum", "30 days, 50.00 USD")
        tell.check("rules", len(rules), 2)

    def application(self):
        tell, manager = self.tell, self.manager
        tell.chapter("Drona applies, confirms his address, and is approved")
        visitor = Browser(self.odoo_url)
        page = visitor.open("/affiliates")
        tell.fact("public page", page.url)
        page = visitor.submit(
            page,
            {
                "name": "Drona Rao",
                "email": self.drona.email,
                "website": "https://drona.example",
                "motivation": "I teach teams like yours.",
            },
        )
        tell.check("the form answers", page.status, 200, page.url)
        domain = [("program_id", "=", self.program)]
        # Anybody could have typed his address: until the owner of the mailbox has
        # pressed the button behind the link, there is no affiliate.
        link = tell.wait("the mail that asks to confirm", self.drona.confirmation)
        page = visitor.open(link)
        tell.check("  the link shows the form", "Drona Rao" in page.text, True)
        seen = manager.call("affiliate.affiliate", "search_count", domain)
        tell.check("  affiliates by then", seen, 0)
        page = visitor.submit(page, page.form("csrf_token").fields)
        tell.check("the button answers", page.status, 200, page.url)
        fields = ["display_name", "state", "code", "link"]
        found = manager.one("affiliate.affiliate", domain, fields)
        if not found:
            raise Broken("the application did not reach Odoo.")
        self.affiliate = found["id"]
        tell.check("in Odoo", found["state"], "pending", found["display_name"])
        manager.call("affiliate.affiliate", "action_approve", [self.affiliate])
        self.code_in_stripe()
        self.portal_access()

    def code_in_stripe(self):
        tell, manager = self.tell, self.manager

        def synced():
            domain = [("affiliate_id", "=", self.affiliate), ("state", "!=", "draft")]
            return manager.one(
                "affiliate.code", domain, ["code", "state", "sync_error"]
            )

        code = tell.wait("the code in Stripe (a scheduled action makes it)", synced)
        if code["state"] != "synced":
            raise Broken(code["sync_error"])
        tell.check("tracking code", code["code"], "DRONA29")
        self.code = code["code"]
        found = self.shop.get(
            "promotion_codes",
            code=self.code,
            active=True,
            expand=["data.promotion.coupon"],
        )["data"]
        if not found:
            raise Broken(f"Stripe has no promotion code {self.code}.")
        tell.check("promotion codes in Stripe", len(found), 1, found[0]["id"])
        coupon = found[0]["promotion"]["coupon"]
        tell.check("  its coupon, % off", coupon["percent_off"], 20.0, coupon["id"])
        affiliate = manager.read("affiliate.affiliate", self.affiliate, ["link"])
        tell.fact("tracking link", affiliate["link"])

    def portal_access(self):
        tell = self.tell
        link = tell.wait("the mail with the invitation", self.drona.invitation)
        tell.fact("mail to Drona", "an invitation to the portal")
        page = self.drona.accept(link)
        tell.check("chooses a password", page.status, 200, page.url)
