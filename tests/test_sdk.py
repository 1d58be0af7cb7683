"""The script for foreign sites, in a real browser."""

import gzip

from odoo.tests import tagged

from .foreign_site import ForeignSiteCase

LIMIT = 4096  # bytes, gzip, as served


@tagged("post_install", "-at_install")
class TestSdk(ForeignSiteCase):
    def test_smoke(self):
        self.page("/", '<a id="buy" href="https://buy.stripe.com/x?a=1#z">Buy</a>')
        self.visit(f"/?via={self.code}")
        import pprint

        pprint.pprint(self.visitor.requests)
        print(
            self.attribute("#buy"),
            self.cookie(),
            self.js("affiliate.referral"),
            self.js("affiliate.core.log"),
            self.js("violations"),
        )
        self.clicks(1)
        self.leave()
        r = self.url_open(f"/affiliate/sdk/{self.key}.js")
        print(r.status_code, r.headers, len(gzip.compress(r.content)), r.text[-300:])
