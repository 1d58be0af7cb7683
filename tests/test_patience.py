"""Visitors wait for nobody: another transaction has locked what their request needs."""

import json
import time
from contextlib import ExitStack, closing, contextmanager

import psycopg2

from odoo.sql_db import connection_info_for
from odoo.tests import tagged
from odoo.tools import mute_logger

from .foreign_site import ForeignSiteCase
from .test_form import FormCase
from .test_links import SITE, TrackingCase

SOON = 3  # seconds for a request that met a lock: 0.5 for each, and the machine is busy


@contextmanager
def locked(case, *tables):
    """Another connection holds the strongest lock, as an update of the module does.

    Not for tables that this test has used: in a test all requests are one transaction.
    """
    case.env.flush_all()
    _name, info = connection_info_for(case.env.cr.dbname)
    with ExitStack() as stack:
        other = stack.enter_context(closing(psycopg2.connect(**info)))
        cursor = stack.enter_context(other.cursor())
        cursor.execute("SET lock_timeout = '1s'")
        stack.enter_context(mute_logger("odoo.sql_db"))
        for table in tables:
            cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")  # pylint: disable=E8103
        start = time.monotonic()
        yield cursor
        case.assertLess(time.monotonic() - start, SOON)


@contextmanager
def locked_address(case, email):
    """Another request about this address does not come to its end."""
    with locked(case) as cursor:
        cursor.execute(
            "SELECT pg_advisory_lock(hashtext('affiliate_stripe_claim'), hashtext(%s))",
            [email],
        )
        yield


@tagged("post_install", "-at_install")
class TestLinksWaitForNobody(TrackingCase):
    def test_a_link_leads_on_and_the_visit_is_lost(self):
        with locked(self, "affiliate_click"):
            answer = self.follow("DRONA29?to=/plans")
        self.assertEqual(answer.status_code, 302)
        self.assertTrue(answer.headers["Location"].startswith(f"{SITE}/plans?via="))
        self.assertFalse(self.visits())
        self.follow("DRONA29")
        self.assertEqual(len(self.visits()), 1)

    def test_a_script_is_told_that_a_visit_was_not_stored(self):
        body = {"reference": f"DRONA29_{self.new_visitor()}", "url": f"{SITE}/"}
        with locked(self, "affiliate_click"):
            answer = self.send("click", body)
        self.assertEqual(answer.status_code, 503)
        self.assertEqual(answer.headers["Access-Control-Allow-Origin"], SITE)
        self.assertEqual(self.send("click", body).status_code, 200)
        self.assertEqual(len(self.visits()), 1)

    def test_a_lead_that_cannot_be_stored_may_be_sent_again(self):
        reference = self.visit()
        body = {"email": "jane@example.com", "reference": reference}
        with locked_address(self, body["email"]):
            answer = self.send("lead", body)
        self.assertEqual(answer.status_code, 503)
        self.assertIn("Retry-After", answer.headers)
        self.assertEqual(answer.headers["Access-Control-Allow-Origin"], SITE)
        self.assertFalse(self.leads())
        self.assertEqual(self.send("lead", body).status_code, 204)
        self.assertEqual(len(self.leads()), 1)

    def test_whose_visits_nobody_can_look_up_is_told_to_come_again(self):
        """An id with another key may have visits: it is not taken for made up."""
        reference = f"DRONA29_{'x' * 22}"
        body = {"email": "jane@example.com", "reference": reference}
        with locked(self, "affiliate_click"):
            self.assertEqual(self.send("lead", body).status_code, 503)
        self.assertFalse(self.leads())
        self.assertEqual(self.send("lead", body).status_code, 204)
        self.assertTrue(self.leads().without_visit)

    def test_what_is_not_counted_hinders_nobody(self):
        body = {"email": "jane@example.com", "reference": "DRONA29"}
        with locked(self, "affiliate_rate_limit_log"):
            self.assertEqual(self.send("lead", body).status_code, 204)
        self.assertEqual(len(self.leads()), 1)

    def test_a_lead_is_stored_though_it_cannot_be_decided(self):
        body = {"email": "jane@example.com", "reference": "DRONA29"}
        with locked(self, "affiliate_referral_flag"):
            self.program.max_leads_per_hour = 1
            self.assertEqual(self.send("lead", body).status_code, 204)
            again = {**body, "email": "joe@example.com"}
            self.assertEqual(self.send("lead", again).status_code, 204)
        self.assertEqual(len(self.leads()), 2)
        self.assertTrue(any(self.leads().mapped("to_decide")))
        self.env["affiliate.referral"]._cron_decide_late()
        self.assertFalse(any(self.leads().mapped("to_decide")))


@tagged("post_install", "-at_install")
class TestTheFormWaitsForNobody(FormCase):
    def test_who_cannot_be_stored_sends_the_form_again(self):
        page = self.show(via=self.code)
        with locked_address(self, "jane@example.com"):
            refused = self.send("jane@example.com", page=page, status=503)
        self.assertIn("Please try again", self.problem(refused))
        self.assertFalse(self.leads())
        self.assertEqual(self.fields(refused)["email"], "jane@example.com")
        self.send(self.fields(refused)["email"], page=refused)
        self.assertEqual(self.leads().affiliate_id, self.drona)

    def test_a_block_of_the_website_is_told_so(self):
        page = self.show(via=self.code)
        with locked_address(self, "jane@example.com"):
            answer = self.send(
                page=page, status=503, headers={"Accept": "application/json"}
            )
        self.assertIn("Please try again", answer.json()["error"])

    def test_what_is_not_counted_hinders_nobody(self):
        with locked(self, "affiliate_rate_limit_log"):
            self.send(page=self.show(via=self.code))
        self.assertEqual(self.leads().affiliate_id, self.drona)


@tagged("post_install", "-at_install")
class TestPreflight(TrackingCase):
    def preflight(self, what, origin):
        return self.url_open(
            f"/affiliate/v1/{self.program.public_key}/{what}",
            method="OPTIONS",
            headers={
                "Origin": origin,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "content-type",
            },
        )

    def test_a_site_of_the_program_may_send_json(self):
        for what in ("click", "lead", "offer"):
            answer = self.preflight(what, "https://app.acme.io")
            self.assertEqual((answer.status_code, answer.text), (204, ""), what)
            headers = answer.headers
            self.assertEqual(
                headers["Access-Control-Allow-Origin"], "https://app.acme.io"
            )
            self.assertEqual(headers["Access-Control-Allow-Headers"], "Content-Type")
        self.assertFalse(self.visits() or self.leads())

    def test_another_site_may_not(self):
        for what in ("click", "lead"):
            answer = self.preflight(what, "https://evil.example")
            self.assertEqual(answer.status_code, 403)
            self.assertNotIn("Access-Control-Allow-Origin", answer.headers)


class TestPreflightOfABrowser(ForeignSiteCase):
    def test_a_page_sends_json(self):
        self.page(tag=False)
        self.visit(ready=False)
        base = f"{self.base_url()}/affiliate/v1/{self.key}"
        reference = f"{self.code}_{self.new_visitor()}"
        for what, body, taken in (
            ("click", {"reference": reference, "url": self.site.url()}, 200),
            ("lead", {"reference": reference, "email": "jane@example.com"}, 204),
        ):
            status = self.js(
                f"fetch({base + '/' + what!r}, {{method: 'POST', headers: "
                "{'Content-Type': 'application/json'}, "
                f"body: {json.dumps(json.dumps(body))}}})"
                ".then(({status}) => status, String)"
            )
            self.assertEqual(status, taken, what)
        self.leave()
        self.assertEqual(self.env["affiliate.click"].search_count([]), 1)
        lead = self.env["affiliate.referral"].search([("source", "=", "sdk")])
        self.assertEqual(lead.email, "jane@example.com")
