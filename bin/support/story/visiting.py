"""A visitor of the sample site: link, e-mail form, normal sign-up, payment."""

import json
import time

from .browser import Browser
from .tell import Broken, minor

CAROL = "carol@example.com"


class Visiting:
    """The chapter on a foreign site; what it prepares is there to be played with."""

    def open_the_site(self):
        """Tell the sample site where Odoo is, what it sells and by which key."""
        program = self.manager.read("affiliate.program", self.program, ["public_key"])
        self.manager.write(
            "affiliate.program",
            self.program,
            {"signup_url": f"{self.site_url}/", "allowed_domains": "127.0.0.1"},
        )
        self.key = program["public_key"]
        plans = {"starter": self.starter, "pro": self.pro, "lifetime": self.lifetime}
        links = {name: self.shop.link(price) for name, price in plans.items()}
        settings = {
            "odoo": self.odoo_url,
            "key": self.key,
            **{name: link["url"] for name, link in links.items()},
        }
        page = Browser(self.site_url).open("/_settings", json.dumps(settings).encode())
        if page.status != 204:
            raise Broken(f"the sample site answers {page.status}.")

    def visit(self):
        tell, manager = self.tell, self.manager
        tell.chapter("Carol follows Drona's link to the site, and signs up")
        self.open_the_site()
        carol = Browser(self.odoo_url)
        page = carol.open(f"/a/{self.code}?sub=blog&to=/pricing")
        tell.check("the short link leads to", page.status, 200, page.url)
        script = f"{self.odoo_url}/affiliate/sdk/{self.key}.js"
        tell.check("  the page has our script", script in page.text, True)
        tell.check("  which is served", carol.open(script).status, 200)
        fields = ["affiliate_id", "sub_id", "visitor"]
        visit = manager.one("affiliate.click", [], fields) or {}
        tell.check("visit", visit.get("sub_id"), "blog", visit["affiliate_id"][1])
        tell.text("She presses “Sign up” and leaves her address in the form.")
        reference = f"{self.code}_{visit['visitor']}"
        onward = f"{self.site_url}/signup"
        form = f"/affiliate/form/{self.key}?reference={reference}&to={onward}"
        page = carol.submit(carol.open(form), {"email": f" {CAROL.upper()} "})
        tell.check("goes on to the site", page.url.startswith(onward), True, page.url)
        domain = [("email", "ilike", CAROL)]
        fields = ["state", "affiliate_id", "without_visit"]
        lead = manager.one("affiliate.referral", domain, fields)
        if not lead:
            raise Broken("the form has left no lead in Odoo.")
        tell.check("in Odoo", lead["state"], "lead", lead["affiliate_id"][1])
        tell.check("  a visit is behind it", not lead["without_visit"], True)
        # Odoo's clock is the real one: the payment must not be before the lead.
        self.double.advance(to=int(time.time()) + 1)
        invoice = self.stripe.checkout(self.pro, CAROL, "Carol Quinn")
        tell.fact("she subscribes, no code", invoice["number"] or "", invoice["id"])
        tell.money("  she pays", minor(invoice["amount_paid"]), "100.00")
        self.earned("30.00", "commission")
        page = self.drona.open("/my/affiliate")
        tell.check("  Drona sees her visit", "1 visit" in page.text, True)
