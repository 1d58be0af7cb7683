"""What happens in the story, chapter by chapter, with the amounts that must come out.

Two clocks: Stripe's (the double's) starts ten weeks ago and is moved on, so that the
holds of the first payments are over today; Odoo's is the real one.
"""

import time
from decimal import Decimal

from .browser import Browser
from .people import KEY, Affiliate, Manager, Stripe
from .tell import Broken, cents, minor

DAY = 86400
JANE, BOB = "jane@example.com", "bob.stone@example.com"
GUEST = "guest@example.com"


class Story:
    """The chapters share the people and what they have made."""

    def __init__(self, tell, options):
        self.tell = tell
        self.odoo_url = options.odoo
        self.logins = options.manager.split(":"), options.affiliate.split(":")
        self.manager = Manager(options.odoo)
        self.drona = Affiliate(options.odoo, options.mail, *self.logins[1])
        self.stripe = Stripe(options.stripe)
        self.stripe_url = options.stripe
        self.shop = self.stripe.shop
        self.double = self.stripe.double

    def play(self):
        for chapter in (
            self.books,
            self.connect,
            self.plans,
            self.programme,
            self.application,
            self.subscribe,
            self.lifetime_deal,
            self.renewal,
            self.refund,
            self.by_hand,
            self.holds,
            self.settlement,
            self.bill,
            self.what_drona_sees,
        ):
            chapter()

    # -- the ground

    def books(self):
        tell, manager = self.tell, self.manager
        tell.chapter("A company with books")
        manager.login(*self.logins[0])
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

    # -- the programme and its affiliate

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
        wizard = manager.create(action["res_model"], {"rate": 30}, **action["context"])
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
        tell.chapter("Drona applies, and is approved")
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
        fields = ["display_name", "state", "code", "link"]
        found = manager.one(
            "affiliate.affiliate", [("program_id", "=", self.program)], fields
        )
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

    # -- sales

    def subscribe(self):
        tell = self.tell
        tell.chapter("Jane subscribes with the code")
        vat = self.shop.tax_rate(20)
        tell.text(
            "She types DRONA29 at Stripe's checkout and pays with 20 % VAT on top."
        )
        invoice = self.stripe.checkout(
            self.pro, JANE, "Jane Miller", code=self.code.lower(), tax=vat
        )
        self.jane = invoice["customer"]
        tell.fact("invoice", invoice["number"] or "", invoice["id"])
        tell.money("  she pays", minor(invoice["amount_paid"]), "96.00")
        self.earned("24.00", "commission")
        referral = self.manager.one(
            "affiliate.referral",
            [],
            ["display_name", "source", "state", "evidence_text"],
        )
        tell.check("mapped for good by", referral["source"], "code")
        tell.quote(referral["evidence_text"])

    def earned(self, expected, label):
        """Wait until Odoo is through with Stripe's events, and look at the new row."""
        before = getattr(self, "seen", 0)
        self.settle_events()
        rows = self.manager.rows()
        new = rows[before:]
        self.seen = len(rows)
        if len(new) != 1:
            self.tell.check("new ledger rows", len(new), 1)
        for row in new:
            held = f"{row['state']}, hold until {row['hold_until']}"
            self.tell.money(label, row["amount"], expected, held)
            self.tell.quote(row["explanation"])
        return new

    def settle_events(self):
        """Every webhook is delivered, and every event processed."""
        self.tell.wait(
            "Stripe's webhooks", lambda: self.double.wait_delivered(timeout=0)
        )
        self.tell.wait(
            "Odoo's scheduled action on the events",
            lambda: self.manager.events("pending") == 0,
        )

    def lifetime_deal(self):
        tell = self.tell
        self.double.advance(days=3)
        tell.chapter("A lifetime deal over a payment link, half of it refunded")
        link = self.shop.link(self.lifetime)
        tell.text(
            "A guest follows Drona's link (client_reference_id=DRONA29) and pays "
            "without a code, an account or an invoice."
        )
        charge = self.stripe.buy_by_link(link, GUEST, self.code)
        tell.fact("payment link, charge", link["id"], charge["id"])
        tell.money("  the guest pays", minor(charge["amount_captured"]), "299.00")
        self.earned("89.70", "commission")
        self.double.advance(days=5)
        refund = self.shop.refund(charge["id"], 14950)
        tell.fact("refund", refund["id"], f"on {self.stripe.today}")
        tell.money("  back to the guest", minor(refund["amount"]), "149.50")
        self.earned("-44.85", "correction")

    def renewal(self):
        tell = self.tell
        tell.chapter("A month later Jane's subscription renews")
        self.double.advance(days=32 - 8)
        invoice = self.last_invoice()
        tell.fact("invoice", invoice["number"] or "", invoice["id"])
        tell.money("  she pays", minor(invoice["amount_paid"]), "120.00")
        tell.text("No code this time: she belongs to Drona since her first payment.")
        self.earned("30.00", "commission")
        self.renewed = invoice

    def last_invoice(self):
        return self.shop.get("invoices", customer=self.jane, limit=1)["data"][0]

    def refund(self):
        tell = self.tell
        tell.chapter("Jane gets a third of it back")
        self.double.advance(days=5)
        refund = self.shop.refund(self.renewed["id"], 4000)
        tell.fact("refund", refund["id"], f"on {self.stripe.today}")
        tell.money("  back to Jane", minor(refund["amount"]), "40.00")
        self.earned("-10.00", "correction")
        tell.text("The row above it stays as it is; the ledger only grows.")

    def by_hand(self):
        tell, manager = self.tell, self.manager
        tell.chapter("Stripe's clock reaches today; Bob is mapped by hand")
        self.double.advance(to=int(time.time()))
        invoice = self.last_invoice()
        tell.fact("Jane renewed again", invoice["number"] or "", invoice["id"])
        self.earned("30.00", "commission")
        typed = " Bob.Stone@Example.com "
        tell.text(f"Drona wrote that she brought “{typed}”; the manager enters it.")
        referral = manager.create(
            "affiliate.referral", {"email": typed, "affiliate_id": self.affiliate}
        )
        seen = manager.read("affiliate.referral", referral, ["state"])
        tell.check("referral", seen["state"], "lead")
        # The mapping has the real time: the payment must not be a second before it.
        self.double.advance(to=int(time.time()) + 1)
        tax = self.shop.tax_rate(5)
        invoice = self.stripe.checkout(self.starter, BOB, "Bob Stone", tax=tax)
        tell.fact("Bob subscribes", invoice["number"] or "", invoice["id"])
        tell.money("  he pays", minor(invoice["amount_paid"]), "26.25")
        self.earned("5.00", "commission")
        seen = manager.read("affiliate.referral", referral, ["state"])
        tell.check("referral", seen["state"], "customer")

    # -- paying

    def holds(self):
        tell, manager = self.tell, self.manager
        tell.chapter("Holds pass: what is due today")
        manager.write(
            "affiliate.program", self.program, {"auto_approve_commissions": 1}
        )
        tell.text(
            "The manager lets commissions be approved by themselves after their hold, "
            "and Odoo's scheduled action does it."
        )
        manager.run_cron("ir_cron_approve")
        sums = {"approved": Decimal(), "pending": Decimal()}
        for row in manager.rows():
            state = {"approved": "due", "pending": "on hold"}[row["state"]]
            sums[row["state"]] += cents(row["amount"])
            note = f"{state}, hold until {row['hold_until']}"
            amount = f"{cents(row['amount']):>12,.2f}"
            tell.fact(f"  {row['date']} {row['kind']}", amount, note)
        tell.money("due", sums["approved"], "88.85")
        tell.money("on hold", sums["pending"], "35.00")

    def settlement(self):
        tell, manager = self.tell, self.manager
        tell.chapter("The accountant settles")
        wizard = manager.create("affiliate.settlement.wizard", {})
        fields = ["date_to", "due_text"]
        seen = manager.read("affiliate.settlement.wizard", wizard, fields)
        tell.fact(f"due up to {seen['date_to']}", seen["due_text"])
        manager.call("affiliate.settlement.wizard", "action_settle", [wizard])
        fields = ["name", "amount_total", "state", "move_id", "problem"]
        fields += ["commission_count"]
        found = manager.one("affiliate.settlement", [], fields)
        self.settled = found
        tell.fact("settlement", found["name"], f"{found['commission_count']} rows")
        tell.money("  total", found["amount_total"], "88.85", found["problem"] or "")
        tell.check("  state", found["state"], "confirmed")
        wizard = manager.create("affiliate.settlement.wizard", {})
        again = manager.refusal(
            "affiliate.settlement.wizard", "action_settle", [wizard]
        )
        tell.check("settled a second time", bool(again), False if not again else True)
        if again:
            tell.quote(again)

    def bill(self):
        tell, manager = self.tell, self.manager
        tell.chapter("The vendor bill")
        if not self.settled["move_id"]:
            raise Broken(f"there is no bill: {self.settled['problem']}")
        move = self.settled["move_id"][0]
        fields = [
            "state",
            "ref",
            "amount_untaxed",
            "amount_total",
            "partner_id",
            "name",
        ]
        seen = manager.read("account.move", move, fields)
        tell.check("made as", seen["state"], "draft", f"for {seen['partner_id'][1]}")
        tell.check("reference", seen["ref"], self.settled["name"])
        tell.money("without tax", seen["amount_untaxed"], "88.85")
        manager.call("account.move", "action_post", [move])
        seen = manager.read("account.move", move, fields)
        tell.check("posted", seen["state"], "posted", seen["name"])
        lines = manager.find(
            "account.move.line",
            [("move_id", "=", move), ("account_id", "!=", False)],
            ["account_id", "debit", "credit"],
            order="debit desc",
        )
        tell.fact("  account", f"{'debit':>32}{'credit':>12}")
        for line in lines:
            debit, credit = cents(line["debit"]), cents(line["credit"])
            tell.write(
                f"      {line['account_id'][1]:<38}{debit:>12,.2f}{credit:>12,.2f}"
            )
        balance = sum(cents(line["debit"]) - cents(line["credit"]) for line in lines)
        tell.money("debit − credit", balance, "0.00")
        settlement = manager.read("affiliate.settlement", self.settled["id"], ["state"])
        tell.check("the settlement now", settlement["state"], "billed")

    def what_drona_sees(self):
        tell, manager = self.tell, self.manager
        tell.chapter("What Drona sees")
        page = self.drona.open("/my/affiliate")
        tell.check("her portal page", page.status, 200, page.url)
        for label, text in (("her code", self.code), ("her settled sum", "88.85")):
            tell.check(f"  {label} is on it", text in page.text, True)
        tell.check("  Jane's address is on it", JANE in page.text, False)
        done, failed = manager.events("done"), manager.events("failed")
        ignored = manager.events("ignored")
        tell.fact("signed webhooks", f"{done} processed, {ignored} ignored")
        tell.check("  failed", failed, 0)
