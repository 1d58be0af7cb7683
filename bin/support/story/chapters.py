"""The story from the first chapter to the last.

Two clocks: Stripe's (the double's) starts ten weeks ago and is moved on, so that the
holds of the first payments are over today; Odoo's is the real one.
"""

from .opening import Opening
from .paying import Paying
from .people import Affiliate, Manager, Stripe
from .sales import Sales
from .visiting import Visiting
from .year import Year


class Story(Opening, Sales, Paying, Visiting, Year):
    """The chapters share the people and what they have made."""

    def __init__(self, tell, options):
        self.tell = tell
        self.odoo_url, self.stripe_url = options.odoo, options.stripe
        self.site_url = options.site
        self.database, self.config = options.database, options.config
        self.manager_login = options.manager.split(":")
        self.manager = Manager(options.odoo)
        login = options.affiliate.split(":")
        self.drona = Affiliate(options.odoo, options.mail, *login)
        self.stripe = Stripe(options.stripe)
        self.shop, self.double = self.stripe.shop, self.stripe.double
        self.seen = 0  # ledger rows that were told of

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
            self.visit,
            self.what_drona_sees,
            self.year,
        ):
            chapter()
