import logging
import re
from datetime import timedelta

from psycopg2.errors import LockNotAvailable

from odoo import api, fields, models
from odoo.tools import email_normalize

from ..lib import attribution, visits
from ..tools.addresses import email_key
from .affiliate_click import CLICK_DAYS
from .affiliate_referral_candidates import Policies, unix

_logger = logging.getLogger(__name__)

BATCH = 200
MAX_EMAIL = 254
MAX_CLAIMS = 20  # of one affiliate for one address; more say nothing that we need


class AffiliateReferral(models.Model):
    """E-mail addresses that visitors leave in a form or by the script."""

    _inherit = "affiliate.referral"

    # Who owns the person is decided under the account's lock, for which no visitor
    # waits: a reading may hold it for long.
    to_decide = fields.Boolean(readonly=True, copy=False)

    _to_decide_idx = models.Index("(stripe_account_id, id) WHERE to_decide")

    @api.model
    def _capture(self, program_id, email, reference, source, address=None):
        """Map an e-mail address to the affiliate who brought the visitor.

        In a transaction of its own; safe to repeat. A claim like any other: it never
        takes over a customer who has paid before. What follows from it is worked out
        at once where the account is free, else by the cron.

        :param int program_id: the programme of form or script
        :param str email: normalised address
        :param Reference reference: who brought the visitor, None where nobody did. An
            id that our server has not issued is left out.
        :param str source: ``form``, ``sdk`` or ``server``
        :param address: of the visitor, None where it is not known
        :return: whether it is mapped now; never to be told to the visitor
        :raise psycopg2.errors.LockNotAvailable: nothing is stored, because somebody has
            locked what it needs; to be tried again
        """
        if not reference:
            return False
        reference = self.env["affiliate.click"]._believed(reference)
        sync = self.env["affiliate.stripe.sync"]
        with sync._transaction() as own:
            sync._hurry(own.env.cr)
            program = own.env["affiliate.program"].browse(program_id)
            account = program.stripe_account_id
            referrals = own.env[self._name]
            now = referrals._lock_email(email)
            winner = referrals._brought_by(program, reference, now)
            if not winner:
                return False
            weak = source in attribution.LEADS and not winner.visit
            claims = referrals._claims_for(account, email)
            if claims._say(winner, reference.visitor, now, weak):
                return True
            # Of an affiliate's claims for an address one waits: the newest, but one
            # without a visit leaves a better one in its place.
            waiting = claims.filtered(
                lambda c: c.affiliate_id.id == winner.affiliate and c.state == "lead"
            )
            better = waiting.filtered(lambda c: weak and not c.without_visit)
            (waiting - better).state = "expired"
            lead = referrals.create(
                {
                    "state": "expired" if better else "lead",
                    "email": email,
                    "affiliate_id": winner.affiliate,
                    "code_id": winner.code,
                    "source": source,
                    "visitor": reference.visitor or False,
                    "without_visit": weak,
                    "date": now,
                    "ip_hash": own.env["affiliate.click"]._hash(address),
                    "to_decide": True,
                }
            )
        self._decide_soon(account.id, lead.id)
        return True

    @api.model
    def _decide_soon(self, account_id, lead_id):
        """Work out what follows from a claim: now, or soon where that would wait."""
        sync = self.env["affiliate.stripe.sync"]
        try:
            with sync._transaction() as own:
                sync._hurry(own.env.cr)
                account = own.env["affiliate.stripe.account"].browse(account_id)
                if own._try_lock(account):
                    own.env[self._name].browse(lead_id)._decide_new()
                else:
                    own.env.ref("affiliate_stripe.ir_cron_decide_late")._trigger()
        except LockNotAvailable:
            # The claim is stored and marked; the cron comes within the hour.
            _logger.info("Lead %s is decided later: something is locked.", lead_id)

    @api.model
    def _lock_email(self, email):
        """Let nobody else store a claim or an application for this address until the
        transaction ends; return the time."""
        self.env.cr.execute(
            "SELECT pg_advisory_xact_lock("
            "hashtext('affiliate_stripe_claim'), hashtext(%s))",
            [email_key(email)],
        )
        return self._clock()

    @api.model
    def _clock(self):
        """Return the time, by the clock by which visits are recorded."""
        self.env.cr.execute("SELECT clock_timestamp() AT TIME ZONE 'UTC'")
        return self.env.cr.fetchone()[0].replace(microsecond=0)

    @api.model
    def _claims_for(self, account, email):
        """Return all rows about an address, the newest first."""
        return self.search(
            [
                ("stripe_account_id", "=", account.id),
                ("email_normalized", "=", email_key(email)),
            ]
        )

    def _say(self, winner, visitor, now, weak=False):
        """Tell whether these rows of one address, the newest first, say already what
        a new claim would.

        Only the newest contact can make a repeated one needless, and only while the
        visitor has not come again since; a claim that waited too long is over. A lead
        without a visit (``weak``) never stands in the way of a claim with more behind
        it.
        """
        own = self.filtered(lambda r: r.affiliate_id.id == winner.affiliate)
        settled = own.filtered(
            lambda r: r.state in ("customer", "rejected") or r.source == "manual"
        )
        alike = own.filtered(lambda r: r.without_visit <= weak)
        if settled or len(alike) >= MAX_CLAIMS:
            return True
        newest = self.filtered(lambda r: r.source in attribution.CLAIMS)[:1]
        # One without a visit may stand back for a better one.
        waits = newest if not weak else own
        over = "lead" not in waits.mapped("state") or newest._has_waited_until(now)
        if over or newest not in alike or (newest.visitor or "") != visitor:
            return False
        return not self.env["affiliate.click"].search_count(
            [
                ("visitor", "=", visitor),
                ("program_id.stripe_account_id", "=", newest.stripe_account_id.id),
                ("date", ">=", newest.date + timedelta(seconds=1)),
            ],
            limit=1,
        )

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
        return self._led(program.stripe_account_id, lead, policies)

    @api.model
    def _led(self, account, lead, policies):
        """Return the Candidate that decides for a lead alone, or None."""
        clicks = self._clicks_of(account, {lead.visitor} - {""})
        return self._led_by(clicks, lead, policies)

    @api.model
    def _led_by(self, clicks, lead, policies):
        """As ``_led``, with ``{visitor: visits}``."""
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

    def _decide_new(self):
        """Work out what follows from new claims of one account, whose lock is held."""
        new = self.exists().filtered("to_decide")
        new._note_visits()
        policies = Policies()
        for lead in new:
            candidate = lead._to_candidate(policies)
            winner = self._led(lead.stripe_account_id, candidate, policies)
            if winner:
                self._flag([(lead, [lead.email], winner)])
            lead._flag_crowd()
        new._decide_people()
        new.to_decide = False

    @api.model
    def _decide_all_new(self):
        """Work out what follows from claims that came while their account was busy."""
        waiting = [("to_decide", "=", True)]
        for (account,) in self._read_group(waiting, ["stripe_account_id"]):
            new = [*waiting, ("stripe_account_id", "=", account.id)]
            done = True
            while done:
                with self.env["affiliate.stripe.sync"]._transaction() as own:
                    own._lock(account.with_env(own.env))
                    done = own.env[self._name].search(new, limit=BATCH, order="id")
                    done._decide_new()

    @api.model
    def _reference_of(self, text):
        """Return the ``Reference`` in a text a browser sent, or None."""
        try:
            return visits.parse_reference(text)
        except ValueError:
            return None

    @api.model
    def _cron_decide_late(self):
        """Decide what is left to decide, and again where visits became known after the
        e-mail address or the payment, e.g. those of a browser that had another id on
        its way here."""
        self._decide_all_new()
        known = self.env.context.get("lastcall") or fields.Datetime.subtract(
            fields.Datetime.now(), days=1
        )
        late = self.env["affiliate.click"]._search([("write_date", ">=", known)])
        ids = self.search(
            [
                ("visitor", "in", late.subselect("visitor")),
                ("state", "in", ("lead", "customer", "expired")),
            ]
        ).ids
        for start in range(0, len(ids), BATCH):
            self._decide_people_anew(ids[start : start + BATCH])

    def _note_visits(self):
        """Take the mark of those whose visits have become known since they were left,
        and note by which of the affiliate's links they came.

        The lock of their account is held.
        """
        waiting = self.filtered(lambda lead: lead.state == "lead" and not lead.sub_id)
        for account, leads in (
            (self.filtered("without_visit") | waiting)
            .grouped("stripe_account_id")
            .items()
        ):
            clicks = self._clicks_of(account, set(leads.mapped("visitor")) - {False})
            leads.filtered(
                lambda lead, clicks=clicks: (
                    lead.without_visit
                    and any(
                        unix(click.date) <= unix(lead.date)
                        for click in clicks.get(lead.visitor, ())
                    )
                )
            ).without_visit = False
            (leads & waiting)._note_sub_id(clicks)

    def _note_sub_id(self, clicks):
        """Note by which of the affiliate's links leads came.

        :param clicks: ``{visitor: visits}``
        """
        policies = Policies()
        sub_ids = {c.id: c.sub_id for found in clicks.values() for c in found}
        for lead in self.filtered(lambda lead: lead.visitor in clicks):
            winner = self._led_by(clicks, lead._to_candidate(policies), policies)
            if winner and winner.affiliate == lead.affiliate_id.id:
                if sub_id := sub_ids.get(winner.visit):
                    lead.sub_id = sub_id

    def _has_waited_until(self, now):
        """Tell whether a claim had waited too long for a payment at a moment."""
        day_of, program = self.stripe_account_id._day_of, self.program_id
        return bool(self) and day_of(now) - day_of(self.date) > timedelta(
            program.lead_days
        )

    @api.autovacuum
    def _gc_leads(self):
        """Say of leads who waited in vain that they are over; a payment heard of late
        still counts."""
        waiting = [("source", "in", attribution.CLAIMS), ("state", "=", "lead")]
        for (program,) in self._read_group(waiting, ["program_id"]):
            account = program.stripe_account_id
            limit = account._start_of(account._today() - timedelta(program.lead_days))
            over = [*waiting, ("program_id", "=", program.id), ("date", "<", limit)]
            self.search(over, limit=10_000).state = "expired"

    @api.autovacuum
    def _gc_addresses(self):
        """Forget from where addresses were left, as of visits."""
        days = self.env["affiliate.stripe.event"]._retention_days(
            "click_days", CLICK_DAYS
        )
        limit = fields.Datetime.subtract(fields.Datetime.now(), days=days)
        old = [("ip_hash", "!=", False), ("date", "<", limit)]
        self.search(old, limit=10_000).ip_hash = False


def email_address(text):
    """Return the normalised address, or None. Mail to a host without a dot is lost."""
    address = email_normalize(text) or "" if isinstance(text, str) else ""
    # Half a character, which JSON can carry, is none.
    unfit = r"@\s\x00-\x1f\x7f\ud800-\udfff"
    fits = re.fullmatch(rf"[^{unfit}]+@[^{unfit}]+\.[^.{unfit}]{{2,}}", address)
    return address if fits and len(address) <= MAX_EMAIL else None
