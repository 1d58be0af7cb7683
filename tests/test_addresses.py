"""Whose internet address a request has: directly, behind a proxy, behind one that Odoo
is not told of."""

from types import SimpleNamespace
from unittest.mock import patch

from freezegun import freeze_time

from odoo.tests import tagged
from odoo.tools import config

from ..controllers import visitor
from .test_links import SITE, TrackingCase

PROXIED = {
    "X-Forwarded-For": "203.0.113.7",
    "X-Forwarded-Host": "odoo.acme.example",
    "X-Forwarded-Proto": "https",
}


class ProxyCase(TrackingCase):
    """Requests as a proxy on this machine hands them on."""

    def behind_a_proxy(self, known=True):
        """Odoo is told of its proxy, or not."""
        before = config["proxy_mode"]
        self.addCleanup(config.__setitem__, "proxy_mode", before)
        config["proxy_mode"] = known

    def come(self, headers, code="DRONA29"):
        body = {"reference": f"{code}_{self.new_visitor()}", "url": f"{SITE}/"}
        return self.send("click", body, headers=headers).status_code


@tagged("post_install", "-at_install")
class TestAddresses(ProxyCase):
    def address(self, peer, honoured=False, **headers):
        """What we take for the visitor's address, of a request as Odoo has it."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        httprequest = SimpleNamespace(
            remote_addr=peer,
            headers=headers,
            environ={"werkzeug.proxy_fix.orig": {}} if honoured else {},
        )
        seen = SimpleNamespace(httprequest=httprequest, env=self.env)
        with patch.object(visitor, "request", seen):
            return visitor.visitor_address()

    def test_who_comes_directly(self):
        for peer in ("203.0.113.9", "2001:db8::9", "192.168.1.5", "127.0.0.1"):
            self.assertEqual(self.address(peer), peer)

    def test_who_comes_directly_cannot_hide(self):
        for peer in ("203.0.113.9", "2001:db8::9", "::ffff:203.0.113.9"):
            for name in ("X_Forwarded_For", "Forwarded", "X_Forwarded_Host"):
                self.assertEqual(self.address(peer, **{name: "192.0.2.1"}), peer)
        self.assertFalse(self.program.addresses_hidden)

    def test_behind_a_proxy_that_odoo_knows(self):
        for peer in ("203.0.113.9", "192.168.1.5"):
            found = self.address(peer, honoured=True, X_Forwarded_For=peer)
            self.assertEqual(found, peer)

    def test_behind_a_proxy_that_odoo_does_not_heed(self):
        for peer in ("127.0.0.1", "10.0.0.2", "172.17.0.1", "::1", "fd00::2", "", None):
            for name in ("X_Forwarded_For", "Forwarded", "X_Forwarded_Host"):
                self.assertIsNone(self.address(peer, **{name: "203.0.113.9"}))

    def test_a_proxy_that_tells_the_host_only(self):
        self.assertIsNone(
            self.address("10.0.0.2", honoured=True, X_Forwarded_Host="odoo.example")
        )

    def test_requests_of_a_known_proxy(self):
        self.behind_a_proxy()
        for number in range(2):
            self.come({**PROXIED, "X-Forwarded-For": f"203.0.113.{number}"})
        self.assertEqual(len(set(self.visits().mapped("ip_hash"))), 2)
        self.assertFalse(self.program.addresses_hidden)

    def test_a_proxy_without_the_host_is_not_heeded_by_odoo(self):
        self.behind_a_proxy()
        self.come({"X-Forwarded-For": "203.0.113.7"})
        self.assertFalse(self.visits().ip_hash)
        self.assertTrue(self.program.addresses_hidden)

    def test_who_manages_is_warned_while_it_lasts(self):
        settings = self.env["res.config.settings"]
        self.assertFalse(self.program.addresses_hidden)
        self.behind_a_proxy(known=False)
        log = self.registry["affiliate.rate.limit.log"]
        write = log._write_hidden
        with patch.object(log, "_write_hidden", autospec=True) as written:
            written.side_effect = write
            self.come(PROXIED)
            self.come(PROXIED)
        self.assertEqual(written.call_count, 1, "not once a request")
        self.env.invalidate_all()
        self.assertTrue(self.program.addresses_hidden)
        self.assertTrue(settings.create({}).affiliate_addresses_hidden)
        with freeze_time("2999-01-01"):
            self.env.invalidate_all()
            self.assertFalse(self.program.addresses_hidden)

    def test_one_ipv6_network_is_one_visitor(self):
        clicks = self.env["affiliate.click"]
        self.assertEqual(
            clicks._hash("2001:db8:1:2::3"), clicks._hash("2001:db8:1:2:f::9")
        )
        self.assertNotEqual(
            clicks._hash("2001:db8:1:2::3"), clicks._hash("2001:db8:1:3::3")
        )
        self.behind_a_proxy()
        reference = f"DRONA29_{self.new_visitor()}"
        for number in range(2):
            network = {**PROXIED, "X-Forwarded-For": f"2001:db8::{number + 1}"}
            body = {"email": f"x{number}@example.com", "reference": reference}
            self.send("lead", body, headers=network)
        self.assertEqual(len(set(self.leads().mapped("ip_hash"))), 1)
