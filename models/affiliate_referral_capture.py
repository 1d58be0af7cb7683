from odoo import api, fields, models

from ..lib import attribution, visits
from .affiliate_referral_candidates import Policies, unix

BATCH = 200


class AffiliateReferral(models.Model):
    """E-mail addresses that visitors leave in a form or by the script."""

    _inherit = "affiliate.referral"

    @api.model
    def _capture(self, program_id, email, reference, source, address=None):
        """Map an e-mail address to the affiliate who brought the visitor.

        In a transaction of its own; safe to repeat. A claim like any other: it never
        takes over a customer who has paid before.

        :param int program_id: the programme of form or script
        :param str email: normalised address
        :param Reference reference: who brought the visitor, None where nobody did
        :param str source: ``form`` or ``sdk``
        :param address: of the visitor, None where it is not known
        :return: whether it is mapped now; never to be told to the visitor
        """
        if not reference:
            return False
        sync = self.env["affiliate.stripe.sync"]
        with sync._transaction() as own:
            program = own.env["affiliate.program"].browse(program_id)
            own._lock(program.stripe_account_id)
            referrals = own.env[self._name]
            # The clock by which visits are recorded.
            own.env.cr.execute("SELECT clock_timestamp() AT TIME ZONE 'UTC'")
            now = own.env.cr.fetchone()[0].replace(microsecond=0)
            winner = referrals._brought_by(program, reference, now)
            if not winner:
                return False
            known = referrals.search(
                [
                    ("stripe_account_id", "=", program.stripe_account_id.id),
                    ("email_normalized", "=", email),
                    ("affiliate_id", "=", winner.affiliate),
                ],
                limit=1,
            )
            if not known:
                lead = referrals.create(
                    {
                        "email": email,
                        "affiliate_id": winner.affiliate,
                        "code_id": winner.code,
                        "source": source,
                        "visitor": reference.visitor or False,
                        "date": now,
                        "ip_hash": own.env["affiliate.click"]._hash(address),
                    }
                )
                referrals._flag([(lead, [email], winner)])
                lead._flag_crowd()
        return True

    @api.model
    def _brought_by(self, program, reference, now):
        """Return the Candidate that brought a visitor, by his visits or by the
        reference; None where it is nobody."""
        named = self.env["affiliate.code"]._active(program, reference.code)
        policies = Policies()
        lead = attribution.Candidate(
            affiliate=named.affiliate_id.id,
            source=attribution.FORM,
            at=unix(now),
            evidence="",
            code=named.id,
            policy=policies.of(program),
            visitor=reference.visitor,
        )
        clicks = self._clicks_of(program.stripe_account_id, {reference.visitor} - {""})
        decision = attribution.decide(
            [],
            attribution.led_by_visits(
                [lead],
                {
                    visitor: [click._to_visit(policies) for click in found]
                    for visitor, found in clicks.items()
                },
            ),
        )
        return decision and decision.winner

    @api.model
    def _reference_of(self, text):
        """Return the ``Reference`` in a text a browser sent, or None."""
        try:
            return visits.parse_reference(text)
        except ValueError:
            return None

    @api.model
    def _cron_decide_late(self):
        """Decide again where visits became known after the e-mail address or the
        payment, e.g. those of a browser that had another id on its way here."""
        known = self.env.context.get("lastcall") or fields.Datetime.subtract(
            fields.Datetime.now(), days=1
        )
        late = self.env["affiliate.click"]._search([("write_date", ">=", known)])
        ids = self.search(
            [
                ("visitor", "in", late.subselect("visitor")),
                ("state", "in", ("lead", "customer")),
            ]
        ).ids
        for start in range(0, len(ids), BATCH):
            self._decide_people_anew(ids[start : start + BATCH])

    @api.autovacuum
    def _gc_leads(self):
        """Say of leads who waited in vain that they are over; a payment heard of late
        still counts."""
        waiting = [("source", "in", attribution.CLAIMS), ("state", "=", "lead")]
        for (program,) in self._read_group(waiting, ["program_id"]):
            limit = fields.Datetime.subtract(
                fields.Datetime.now(), days=program.lead_days
            )
            over = [*waiting, ("program_id", "=", program.id), ("date", "<", limit)]
            self.search(over, limit=10_000).state = "expired"
