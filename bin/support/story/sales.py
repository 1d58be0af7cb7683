"""Customers pay and get refunds in Stripe; Odoo hears of it and books commissions."""

import time

from .tell import Broken, minor

JANE, BOB = "jane@example.com", "bob.stone@example.com"
GUEST = "guest@example.com"


class Sales:
    """Chapters from the first sale to the last."""

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
        self.settle_events()
        rows = self.manager.rows()
        new = rows[self.seen :]
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
        self.tell.wait("Odoo's scheduled action on the events", self.all_processed)

    def all_processed(self):
        if not self.manager.events("pending"):
            return True
        domain = [("state", "=", "pending"), ("error", "!=", False)]
        stuck = self.manager.one("affiliate.stripe.event", domain, ["type", "error"])
        if stuck:
            raise Broken(f"Odoo cannot process {stuck['type']}: {stuck['error']}")
        return False

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
