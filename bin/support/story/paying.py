"""What is due becomes a settlement, a vendor bill and a page in the portal."""

from decimal import Decimal

from .sales import JANE
from .tell import Broken, cents


class Paying:
    """Chapters after the last sale."""

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
            state, until = row["state"], row["hold_until"]
            sums[state] += cents(row["amount"])
            over = (
                "due: the hold was over on" if state == "approved" else "on hold until"
            )
            note = f"{over} {until}"
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
        model = "affiliate.settlement.wizard"
        wizard = manager.create(model, {})
        again = manager.refusal(model, "action_settle", [wizard])
        tell.check("once more", "refused" if again else "settled twice", "refused")
        tell.quote(again or "")

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
        if len(lines) > 2:
            tell.text("Tax: what the chart of accounts puts on purchases by default.")
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
