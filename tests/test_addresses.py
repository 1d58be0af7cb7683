"""Whose internet address a request has: directly, behind a proxy, behind one that Odoo
is not told of."""

from types import SimpleNamespace
from unittest.mock import patch

from freezegun import freeze_time

from odoo.exceptions import ValidationError
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

    def trust(self, number):
        self.env["ir.config_parameter"].sudo().set_param(
            "affiliate_stripe.trusted_proxies", number
        )

    def told(self, forwarded, trusted=1, peer="203.0.113.9", **headers):
        """The address behind proxies of which Odoo has believed the last."""
        self.trust(trusted)
        headers = {"X_Forwarded_For": forwarded, **headers}
        return self.address(peer, honoured=True, **headers)

    def test_as_many_proxies_as_are_trusted(self):
        for forwarded, trusted, address in (
            ("203.0.113.7", 1, "203.0.113.7"),
            ("203.0.113.7, 198.51.100.1", 2, "203.0.113.7"),
            ("203.0.113.7,198.51.100.1 , 10.0.0.1", 3, "203.0.113.7"),
            ("203.0.113.7:4711, [2001:db8::1]:80", 2, "203.0.113.7"),
            ('"[2001:db8::7]:4711", 198.51.100.1', 2, "2001:db8::7"),
            # What a visitor writes himself stays left of it.
            ("192.0.2.1, 203.0.113.7", 1, "203.0.113.7"),
            ("192.0.2.1, 203.0.113.7, 198.51.100.1", 2, "203.0.113.7"),
            ("192.0.2.1, " * 500 + "203.0.113.7", 1, "203.0.113.7"),
            # Who went around the CDN is whom our own proxy saw.
            ("203.0.113.7", 2, "203.0.113.7"),
            ("unknown, 198.51.100.1", 2, "198.51.100.1"),
            ("<b>", 1, "203.0.113.9"),
            ("", 1, "203.0.113.9"),
        ):
            with self.subTest(forwarded[:40], trusted=trusted):
                self.assertEqual(self.told(forwarded, trusted), address)

    def test_what_a_cdn_tells_beside_it(self):
        for name in visitor.CDN:
            header = {name.replace("-", "_"): "203.0.113.7"}
            # Our own proxy forgot what the CDN has told it in X-Forwarded-For.
            self.assertEqual(
                self.told("198.51.100.1", 2, **header), "203.0.113.7", name
            )
            # There is no CDN: the visitor has written it.
            self.assertEqual(self.told("198.51.100.1", 1, **header), "198.51.100.1")
            self.assertEqual(self.address("198.51.100.1", **header), "198.51.100.1")
            self.assertIsNone(self.address("10.0.0.1", **header), "an unheeded one")

    def test_a_setting_that_is_none(self):
        for number in ("", "x", "-1", "0", "1.5"):
            self.assertEqual(self.told("192.0.2.1, 203.0.113.7", number), "203.0.113.7")
        self.assertEqual(self.told("192.0.2.1, 203.0.113.7", "1"), "203.0.113.7")
        settings = self.env["res.config.settings"].sudo()
        settings.create({"affiliate_trusted_proxies": 2}).execute()
        self.assertEqual(self.env["affiliate.click"]._trusted_proxies(), 2)
        for number in (0, -1, 10):
            with self.assertRaisesRegex(ValidationError, "1 to 9"):
                settings.create({"affiliate_trusted_proxies": number})

    def test_visitors_behind_a_cdn_and_a_proxy(self):
        self.behind_a_proxy()
        chains = [f"203.0.113.{number}, 198.51.100.1" for number in range(12)]
        for chain in chains:
            self.come({**PROXIED, "X-Forwarded-For": chain})
        self.assertEqual(len(set(self.visits().mapped("ip_hash"))), 1)
        settings = self.env["res.config.settings"]
        self.assertEqual(self.program.proxies_missed, 2)
        self.assertEqual(settings.create({}).affiliate_proxies_missed, 2)
        self.trust(2)
        self.env.invalidate_all()
        self.assertEqual(self.program.proxies_missed, 0)
        for chain in chains:
            self.come({**PROXIED, "X-Forwarded-For": chain})
        self.assertEqual(len(set(self.visits().mapped("ip_hash"))), 13)

    def test_a_cdn_whose_address_our_proxy_overwrites_is_seen_too(self):
        self.behind_a_proxy()
        for number in range(12):
            told = {"CF-Connecting-IP": f"203.0.113.{number}"}
            self.come({**PROXIED, "X-Forwarded-For": "198.51.100.1", **told})
        self.assertEqual(self.program.proxies_missed, 2)

    def test_a_few_who_pretend_raise_no_warning(self):
        self.behind_a_proxy()
        for number in range(12):
            self.come({**PROXIED, "X-Forwarded-For": f"203.0.113.{number}"})
        for number in range(11):
            pretended = f"192.0.2.{number}, 203.0.113.99"
            self.come({**PROXIED, "X-Forwarded-For": pretended})
        self.assertEqual(self.program.proxies_missed, 0)
        self.assertEqual(len(set(self.visits().mapped("ip_hash"))), 13)

    def test_the_country_is_that_of_the_address(self):
        self.behind_a_proxy()
        self.trust(2)
        asked = []

        def geo_ip(address):
            asked.append(address)
            return SimpleNamespace(country_code="NZ")

        with patch.object(visitor, "GeoIP", geo_ip):
            self.come({**PROXIED, "X-Forwarded-For": "203.0.113.7, 198.51.100.1"})
        self.assertEqual(asked, ["203.0.113.7"])
        self.assertEqual(self.visits().country_code, "NZ")

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
