from collections import defaultdict

from odoo import Command, api, models
from odoo.tools import SQL

from .affiliate_referral import CLAIM_SOURCES
from .affiliate_referral_candidates import moment


class AffiliateReferral(models.Model):
    """Binding: all evidence about some people is gathered, decided and written."""

    _inherit = "affiliate.referral"

    @api.model
    def _refresh(self, account, customers):
        """Bind ``customers`` by all evidence there is, and correct their ledger.

        A pure recomputation: called for whatever changed, in any order, any number of
        times, it ends in the same bindings and the same ledger.

        :param customers: ``affiliate.stripe.customer`` of one account
        """
        people = self._people(account, customers)
        if not people:
            return
        facts = self.env["affiliate.commission"]._gather_facts(
            account, [c for person in people for c in person]
        )
        cases = self._cases(account, people, facts)
        self._bind(cases)
        self._flag_people(cases)
        if not account.timezone:
            # On which day is not known yet: booked when it is.
            people = self.env["affiliate.stripe.customer"].sudo()
            people.union(*(case.person for case in cases)).ledger_due = True
            return
        self.env["affiliate.commission"]._book(cases, self._programs(account), facts)

    @api.model
    def _refresh_users_of(self, account, promotion_id):
        """Decide again about customers who used a promotion code before it was ours."""
        carriers = ("invoice", "invoice_line", "subscription", "checkout_session")
        pattern = f"%{promotion_id}%"
        used = SQL(" UNION ").join(
            SQL(
                "SELECT %s FROM %s WHERE account_id = %s AND data::text LIKE %s",
                SQL.identifier(
                    "invoice_ref" if kind == "invoice_line" else "customer_ref"
                ),
                SQL.identifier(f"affiliate_stripe_{kind}"),
                account.id,
                pattern,
            )
            for kind in carriers
        )
        refs = {ref for (ref,) in self.env.execute_query(used) if ref}
        invoices = self.env["affiliate.stripe.invoice"].search(
            [("account_id", "=", account.id), ("stripe_id", "in", list(refs))]
        )
        refs.update(invoices.mapped("customer_ref"))
        self.env["affiliate.stripe.sync"]._lock(account)
        customers = self.env["affiliate.stripe.customer"].sudo()
        self.sudo()._refresh(
            account,
            customers.with_context(active_test=False).search(
                [("account_id", "=", account.id), ("stripe_id", "in", list(refs))]
            ),
        )

    @api.model
    def _programs(self, account):
        return (
            self.env["affiliate.program"]
            .with_context(active_test=False)
            .search([("stripe_account_id", "=", account.id)])
        )

    @api.model
    def _people(self, account, customers):
        """Return the persons behind ``customers``: recordsets of customers that belong
        together by e-mail or by an earlier binding.

        A customer who is bound elsewhere already never joins by e-mail: who changes
        his address keeps his affiliate.
        """
        model = self.env["affiliate.stripe.customer"].with_context(active_test=False)
        emails = [email for email in customers.mapped("email_normalized") if email]
        same = model.search(
            [("account_id", "=", account.id), ("email_normalized", "in", emails)]
        )
        # A claim keeps its person, also after he changed his address.
        claims = self.with_context(active_test=False).search(
            [
                ("stripe_account_id", "=", account.id),
                ("source", "in", CLAIM_SOURCES),
                ("email_normalized", "in", emails),
                ("customer_ids", "!=", False),
            ],
            order="id",
        )
        everyone = customers | same | claims.customer_ids
        everyone |= everyone.referral_ids.customer_ids
        groups = defaultdict(model.browse)
        by_email = {}
        for claim in claims:
            by_email.setdefault(claim.email_normalized, ("referral", claim.id))
        for customer in everyone.sorted("id"):
            if customer.referral_ids:
                key = ("referral", customer.referral_ids[0].id)
                by_email.setdefault(customer.email_normalized, key)
                groups[key] |= customer
        for customer in everyone.sorted("id"):
            if not customer.referral_ids:
                email = customer.email_normalized
                key = by_email.get(email) if email else ("customer", customer.id)
                groups[key or ("email", email)] |= customer
        # Read together what is asked of any of them.
        return [person.with_prefetch(everyone._ids) for person in groups.values()]

    @api.model
    def _bind(self, cases):
        """Make the decisions the bindings of people.

        :param cases: ``[Case]``; each gets its ``referral``, where there is a decision
        """
        decided = [case for case in cases if case.decision]
        former, lost = {}, self.browse()
        for case in decided:
            current = case.person.referral_ids[:1]
            case.referral = (
                self.browse(case.decision.winner.claim)
                if case.decision.winner.claim
                else current.filtered(lambda r: r.source not in CLAIM_SOURCES)
            )
            former[case.person] = case.person.referral_ids - case.referral
            if case.decision.decided_at:
                lost |= self.browse([c.claim for c in case.decision.losers if c.claim])
        if freed := self.browse().union(*former.values()):
            freed.write({"customer_ids": [Command.clear()], "state": "rejected"})
            # The unique index sees each statement: these customers are free now.
            self.env.flush_all()
        self._write_bindings(decided)
        for case in decided:
            again = self._same_claims(case)
            if case.decision.decided_at:
                again.filtered(lambda r: r.state == "lead").state = "expired"
            if others := former[case.person] | again:
                self._succeed(others, case.referral)
        lost.filtered(lambda r: r.state == "lead").state = "rejected"
        self._note_evidence(cases)

    @api.model
    def _write_bindings(self, decided):
        """Have a row that says so for each decision: the case's own, or a new one."""
        known = self.browse().union(*(case.referral for case in decided))
        new = [case for case in decided if not case.referral]
        sub_ids = self.env["affiliate.click"]._sub_ids(
            case.decision.winner.visit for case in decided
        )
        created = self.create(
            [
                {
                    **self._binding(case, sub_ids),
                    "email": next(filter(None, case.person.mapped("email")), False),
                }
                for case in new
            ]
        )
        for case in decided:
            if case.referral:
                case.referral = case.referral.with_prefetch(known._ids)
                case.referral._write_changed(self._binding(case, sub_ids))
        for case, referral in zip(new, created, strict=True):
            case.referral = referral

    @api.model
    def _same_claims(self, case):
        """Return what else the affiliate to whom a person is bound claimed of him."""
        claims = self.browse(case.claim_ids) - case.referral
        return claims.filtered(lambda r: r.affiliate_id == case.referral.affiliate_id)

    @api.model
    def _binding(self, case, sub_ids):
        """Return the values of the referral that binds a person.

        :param sub_ids: ``{visit: sub-id}`` of the visits that are known
        """
        decision, winner = case.decision, case.decision.winner
        values = {
            "affiliate_id": case.owner,
            "code_id": winner.code if case.owner == winner.affiliate else False,
            "state": "customer" if decision.decided_at else "lead",
            "decided_at": moment(decision.decided_at),
            "evidence": case.evidence | case.kept,
            "customer_ids": [Command.set(case.person.ids)],
            "sub_id": self._sub_id_of(case, sub_ids),
        }
        if not winner.claim:
            values.update(
                source=winner.source, date=moment(winner.at), visitor=winner.visitor
            )
        return values

    @api.model
    def _sub_id_of(self, case, sub_ids):
        """Return by which of the affiliate's links the person came; once the visit is
        forgotten or erased, what was known of it stays."""
        winner, bound = case.decision.winner, case.referral
        if case.owner != winner.affiliate:
            return False
        if winner.visit in sub_ids:
            return sub_ids[winner.visit]
        stays = bound and (bound.affiliate_id.id, bound.source) == (
            winner.affiliate,
            winner.source,
        )
        return bound.sub_id if stays else False

    @api.model
    def _note_evidence(self, cases):
        """Let those who own nobody say why, too."""
        everybody = self.browse(id_ for case in cases for id_ in case.claim_ids)
        for case in cases:
            others = everybody.filtered(lambda r, case=case: r.id in case.claim_ids)
            others |= case.person.referral_ids
            for other in others - (case.referral or others.browse()):
                evidence = {**(other.evidence or {}), **case.evidence}
                other._write_changed({"evidence": evidence})

    def _write_changed(self, values):
        """Write what differs, so that nothing is tracked for nothing."""
        if changed := self._changed(values):
            self.write(changed)

    def _changed(self, values):
        """Return the values that differ."""
        self.ensure_one()
        changed = {}
        for name, value in values.items():
            present = self[name]
            if isinstance(present, models.BaseModel):
                if name == "customer_ids":
                    present, wanted = set(present.ids), set(value[0][2])
                else:
                    present, wanted = present.id or None, value or None
            else:
                present, wanted = present or None, value or None
            if present != wanted:
                changed[name] = value
        return changed

    @api.model
    def _note_sub_ids(self):
        """Have referrals of before know their sub-id, as far as visits are known: of
        the visit that decided, else of the first or last one, as the program counts."""
        self.env.cr.execute(
            """UPDATE affiliate_referral referral
                  SET sub_id = visit.sub_id
                 FROM (SELECT r.id, COALESCE(
                           (r.evidence->'kept'->>'visit')::int,
                           (SELECT led.id
                              FROM affiliate_click led
                              JOIN affiliate_program program
                                ON program.id = led.program_id
                             WHERE r.state = 'lead'
                               AND led.visitor = r.visitor
                               AND led.affiliate_id = r.affiliate_id
                               AND led.date <= r.date
                          ORDER BY CASE program.attribution_model
                                   WHEN 'last' THEN -EXTRACT(EPOCH FROM led.date)
                                   ELSE EXTRACT(EPOCH FROM led.date) END, led.id
                             LIMIT 1)) AS visit
                         FROM affiliate_referral r) led
                 JOIN affiliate_click visit ON visit.id = led.visit
                WHERE led.id = referral.id
                  AND referral.sub_id IS NULL
                  AND visit.sub_id IS NOT NULL
                  AND visit.affiliate_id = referral.affiliate_id"""
        )
        self.invalidate_model(["sub_id"])
