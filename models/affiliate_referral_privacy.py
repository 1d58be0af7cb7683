import base64
import json

from odoo import models

from ..lib import erasure, visits
from ..lib.roles import MANAGER
from ..tools.access import needs


class AffiliateReferral(models.Model):
    """A person's right to know what is kept, and to have it erased."""

    _inherit = "affiliate.referral"

    @needs("write", MANAGER)
    def action_export_person(self):
        """Download all that is known about a person, as JSON."""
        self.ensure_one()
        text = json.dumps(self._export_person(), indent=2, default=str)
        wizard = self.env["affiliate.person.wizard"].create(
            {"referral_id": self.id, "file": base64.b64encode(text.encode())}
        )
        return {
            "type": "ir.actions.act_url",
            "url": f"/web/content/{wizard._name}/{wizard.id}/file/person.json"
            "?download=true",
            "target": "download",
        }

    @needs("write", MANAGER)
    def action_erase_person(self):
        """Ask before a person's data are erased."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Erase the person"),
            "res_model": "affiliate.person.wizard",
            "view_mode": "form",
            "target": "new",
            "context": {"default_referral_id": self.id},
        }

    def _of_same_person(self):
        """Return all rows about the same person, bound or not."""
        self.ensure_one()
        return self | self.with_context(active_test=False).search(
            [
                ("stripe_account_id", "=", self.stripe_account_id.id),
                ("email_normalized", "in", list(self._addresses())),
            ]
        )

    def _addresses(self):
        """Return the e-mail addresses of a person, as they are compared."""
        own = self.mapped("email_normalized")
        return {*own, *self.customer_ids.mapped("email_normalized")} - {False}

    def _loose_sessions(self):
        """Return the checkout sessions of a person that made no customer in Stripe."""
        sessions = self.env["affiliate.stripe.checkout.session"].sudo()
        return sessions.with_context(active_test=False).search(
            [
                ("account_id", "in", self.stripe_account_id.ids),
                ("email_normalized", "in", list(self._addresses())),
            ]
        )

    def _visitors(self):
        """Return the ids of the browsers of a person."""
        found = set(self.mapped("visitor")) - {False}
        sessions = self.customer_ids._objects("checkout_session")
        for raw in [raw for _id, _ref, raw in sessions] + [
            session.data for session in self._loose_sessions()
        ]:
            reference = self._reference_of(raw.get("client_reference_id"))
            if reference and reference.visitor:
                found.add(reference.visitor)
        return found

    def _export_person(self):
        """Return what is known, as a dict of plain values."""
        rows = self.sudo()._of_same_person()
        customers = rows.customer_ids
        clicks = self.env["affiliate.click"].sudo()
        clicks = clicks.search([("visitor", "in", list(rows._visitors()))])
        return {
            "referrals": rows.read(
                ["email", "affiliate_id", "code_id", "source", "state", "date"]
                + ["decided_at", "visitor", "sub_id", "evidence"],
                load=None,
            ),
            "visits": clicks.read(
                ["date", "visitor", "landing_url", "referrer", "country_code"]
                + ["sub_id", "search_engine", "ad_network", *visits.UTM],
                load=None,
            ),
            "doubts": rows.flag_ids.read(["note", "state", "create_date"], load=None),
            "moves": rows.move_ids.read(["reason", "since", "create_date"], load=None),
            "commissions": rows.commission_ids.read(
                ["date", "kind", "amount", "state", "explanation"], load=None
            ),
            "stripe": {
                kind: [raw for _id, _ref, raw in customers._objects(kind)]
                + [s.data for s in rows._loose_sessions() if kind == "checkout_session"]
                for kind in erasure.KINDS
            },
        }

    def _erase_person(self):
        """Erase who somebody is; what was earned by him stays."""
        self.ensure_one()
        self.check_access("write")
        rows = self.sudo()._of_same_person()
        self.env["affiliate.stripe.sync"]._lock(rows.stripe_account_id)
        for visitor in rows._visitors():
            # The visits still count in statistics, as somebody's.
            self.env["affiliate.click"].sudo().search(
                [("visitor", "=", visitor)]
            ).write(
                {
                    "visitor": self.env["affiliate.click"]._new_visitor(),
                    "ip_hash": False,
                }
            )
        rows._loose_sessions()._erase()
        rows.customer_ids._erase()
        rows.customer_ids._forget_payloads()
        for row in rows:
            row.write(
                {
                    "email": row.email and f"erased-{row.id}@erased.invalid",
                    "visitor": False,
                    "ip_hash": False,
                    "evidence": row._erased_evidence(),
                }
            )
            row.message_post(
                body=self.env._("Personal data erased by %s.", self.env.user.name)
            )
        rows._decide_people()

    def _erased_evidence(self):
        """Return the evidence a decision stands on, without traces of the person."""
        evidence = self.evidence or {}
        if "kept" not in evidence:
            return False
        anonymous = {
            "evidence": self.code_id.code or "",
            "carrier": "",
            "visitor": "",
            "visit": None,
        }
        return {
            "kept": evidence["kept"] | anonymous,
            "policies": evidence.get("policies"),
        }
