import logging
from datetime import timedelta

from odoo import api, fields, models
from odoo.tools import SQL

from ..lib import commission, money
from .affiliate_commission import COMPUTED_KINDS, OWN_LEVEL
from .affiliate_commission_explain import MOVED

_logger = logging.getLogger(__name__)

_EPOCH = fields.Datetime.to_datetime("1970-01-01 00:00:00")


class AffiliateCommission(models.Model):
    """Second half of the way from mirror to ledger: what should be, as new rows."""

    _inherit = "affiliate.commission"

    @api.model
    def _book(self, cases, programs, facts):
        """Make the ledger of some people what it should be, by new rows only.

        :param cases: ``[Case]``, bound; see ``affiliate.referral._refresh``
        :param programs: programmes whose terms may be needed
        """
        terms = {}
        desired, entries, holders, disputes = {}, {}, {}, {}
        sale_refs = set()
        affiliates = self.env["affiliate.affiliate"].browse(
            {affiliate for case in cases for affiliate in case.owners}
        )
        for case in cases:
            sale_refs.update(sale.ref for sale in case.sales)
            for customer in case.person:
                sale_refs |= facts.refs[customer.stripe_id]
            for sale in case.sales:
                # Each attempt to pay a session is a sale of the same name.
                disputes[sale.ref] = disputes.get(sale.ref) or sale.dispute
            # Who is first and for how long counts over all affiliates of a person.
            everybodys = frozenset().union(*case.owners.values())
            covered = [sale for sale in case.sales if sale.ref in everybodys]
            for affiliate in affiliates.filtered(lambda a, c=case: a.id in c.owners):
                program = affiliate.program_id
                if program not in terms:
                    terms[program] = program.sudo()._get_terms()
                _log_foreign(covered, terms[program])
                for entry in commission.ledger(covered, terms[program]):
                    if entry.sale.ref not in case.owners[affiliate.id]:
                        continue
                    key = (entry.line, affiliate.id, OWN_LEVEL, entry.cause)
                    desired[key] = (entry.amount, entry.base)
                    entries[key] = entry
                    holders[key] = (case, program)
        booked = self._booked(programs.stripe_account_id, sale_refs)
        # What was rejected is not taken back once more when nothing is desired.
        sums = {
            key: (row["amount"], row["base"])
            for key, row in booked.items()
            if key in desired or not row["void_reason"]
        }
        changes = commission.corrections(desired, sums)
        items = self._items_sold(
            programs.stripe_account_id, [key[0] for key, *_sums in changes], sale_refs
        )
        case_of = {sale.ref: case for case in cases for sale in case.sales}
        values = [
            self._row_values(key, amount, base, entries.get(key), holders, booked)
            | self._told(key, entries.get(key), booked.get(key), case_of, terms)
            | {"_item": items.get(key[0])}
            for key, amount, base in changes
        ]
        for vals in values:
            vals["explanation"] = self._explain(vals)
        # What a correction corrects must exist before it: earnings first.
        values.sort(key=lambda vals: (vals["kind"] != "earned", vals["happened_at"]))
        self._insert_rows(values, booked)
        self._sync_disputes(programs.stripe_account_id, disputes)

    @api.model
    def _booked(self, account, sale_refs):
        """Return what is booked for these sales, in minor units.

        :return: ``{key: {amount, base, revision, ...}}``, key as in ``corrections``
        """
        if not sale_refs or not account:
            return {}
        self.flush_model()
        rows = self.env.execute_query_dict(
            SQL(
                """SELECT c.line_ref, c.affiliate_id, c.level, c.cause_id,
                          SUM(c.amount) AS amount, SUM(c.base_amount) AS base,
                          MAX(c.revision) AS revision, MIN(c.id) AS id,
                          MIN(c.kind) AS kind, MIN(c.rule_id) AS rule_id,
                          (ARRAY_AGG(c.rule_id ORDER BY c.revision DESC))[1]
                              AS last_rule_id,
                          MIN(c.referral_id) AS referral_id, MIN(c.rate) AS rate,
                          MIN(c.code_id) AS code_id,
                          MIN(c.customer_id) AS customer_id,
                          MIN(c.invoice_id) AS invoice_id,
                          MIN(c.invoice_line_id) AS invoice_line_id,
                          MIN(c.charge_id) AS charge_id, MIN(c.sale_ref) AS sale_ref,
                          MIN(c.program_id) AS program_id,
                          MIN(c.happened_at) AS happened_at,
                          MIN(c.hold_until) AS hold_until,
                          BOOL_OR(c.is_approved) AS is_approved,
                          BOOL_OR(c.on_hold) AS on_hold,
                          MAX(c.hold_reason) AS hold_reason,
                          MAX(c.void_reason) AS void_reason,
                          MIN(currency.name) AS currency
                     FROM affiliate_commission c
                     JOIN res_currency currency ON currency.id = c.currency_id
                    WHERE c.stripe_account_id IN %s AND c.sale_ref IN %s
                      AND c.kind IN %s
                 GROUP BY c.line_ref, c.affiliate_id, c.level, c.cause_id""",
                tuple(account.ids),
                tuple(sale_refs),
                COMPUTED_KINDS,
            )
        )
        booked = {}
        for row in rows:
            key = (
                row["line_ref"],
                row["affiliate_id"],
                row["level"],
                row["cause_id"],
            )
            row["amount"] = money.nearest_minor(row["amount"], row["currency"])
            row["base"] = money.nearest_minor(row["base"] or 0, row["currency"])
            booked[key] = row
        return booked

    @api.model
    def _row_values(self, key, amount, base, entry, holders, booked):
        """Return the values of one new row: what ``key`` is short of."""
        line_ref, affiliate_id, level, cause = key
        before = booked.get(key)
        values = {
            "line_ref": line_ref,
            "affiliate_id": affiliate_id,
            "level": level,
            "cause_id": cause,
            "revision": before["revision"] + 1 if before else 1,
        }
        if entry:
            values |= self._entry_values(entry, *holders[key])
            # Not the code of somebody else, from whom the customer was moved.
            winner = holders[key][0].decision.winner
            values["code_id"] = winner.affiliate == affiliate_id and winner.code
        else:
            # The cause is no more, or the customer was moved: take back what it gave.
            values |= {
                name: before[name]
                for name in (
                    "kind",
                    "rule_id",
                    "referral_id",
                    "code_id",
                    "rate",
                    "customer_id",
                    "invoice_id",
                    "invoice_line_id",
                    "charge_id",
                    "sale_ref",
                    "program_id",
                    "happened_at",
                    "hold_until",
                )
            }
        currency = entry.sale.currency if entry else before["currency"]
        values |= {
            "currency": currency.upper(),
            "amount": money.to_major(amount, currency),
            "base_amount": money.to_major(base, currency),
        }
        return values

    @api.model
    def _entry_values(self, entry, case, program):
        happened = fields.Datetime.add(_EPOCH, seconds=entry.at)
        earned = fields.Datetime.add(_EPOCH, seconds=entry.earned_at)
        return {
            "kind": entry.kind,
            "rule_id": entry.rule,
            "referral_id": case.referral.id,
            "program_id": program.id,
            "rate": float(entry.rate * 100) if entry.rate_type == "percent" else 0.0,
            "customer_id": case.person[:1].id,
            "sale_ref": entry.sale.ref,
            "happened_at": happened,
            "hold_until": program.stripe_account_id._day_of(earned)
            + timedelta(days=program.hold_days),
            "_charge": entry.sale.charge,
            "_origin": entry.origin,
            "_dated_by": entry.sale.dated_by,
        }

    @api.model
    def _told(self, key, entry, before, case_of, terms):
        """Return what only the sentence of a row is told, see ``_explain``.

        :param case_of: ``{Stripe id of a sale: Case}``
        :param terms: ``{program: Terms}``
        """
        if not entry:
            return {"_told": self._told_gone(key, before["sale_ref"], case_of, terms)}
        told = {
            "number": entry.sale.number,
            "rate_type": entry.rate_type,
            "laid": entry.laid,
            "now": (entry.amount, entry.base),
        }
        if before:
            told |= {
                "before": before["amount"],
                "another_rule": self._is_another_rule(
                    entry.rule, before["last_rule_id"]
                ),
            }
        return {"_told": told}

    @api.model
    def _is_another_rule(self, *rule_ids):
        """Tell whether rules are more than versions of one."""
        rules = self.env["affiliate.commission.rule"].sudo().browse(rule_ids)
        return len({(rule.replaced_by_id or rule).id for rule in rules}) > 1

    @api.model
    def _told_gone(self, key, sale_ref, case_of, terms):
        """Return why there is nothing any more where something was booked."""
        line_ref, affiliate_id, _level, cause = key
        case = case_of.get(sale_ref)
        if not case:
            return {}
        own = [sale for sale in case.sales if sale.ref == sale_ref]
        told = {"number": own[-1].number}
        owners = {owner for owner, refs in case.owners.items() if sale_ref in refs}
        if owners and affiliate_id not in owners:
            return {**told, "why": MOVED}
        program = self.env["affiliate.affiliate"].browse(affiliate_id).program_id
        if program not in terms:
            terms[program] = program.sudo()._get_terms()
        everybodys = frozenset().union(*case.owners.values())
        covered = [sale for sale in case.sales if sale.ref in everybodys or sale in own]
        why = commission.why_nothing(covered, terms[program], sale_ref, line_ref, cause)
        return {**told, "why": why}

    @api.model
    def _insert_rows(self, values_list, booked):
        """Create ledger rows: references resolved, corrections tied to their origin."""
        if not values_list:
            return
        account = (
            self.env["affiliate.program"]
            .browse(values_list[0]["program_id"])
            .stripe_account_id
        )
        refs = _References(self.env, account, values_list)
        today = account._today()
        origins = self._origins(booked)
        earned = [values for values in values_list if values["kind"] == "earned"]
        corrections = [values for values in values_list if values["kind"] != "earned"]
        for batch in (earned, corrections):
            for values in batch:
                refs.resolve(values)
                values |= {
                    "stripe_account_id": account.id,
                    "company_id": account.company_id.id,
                    "date": account._day_of(values["happened_at"]),
                }
                self._correct(values, booked, origins)
                if "origin_id" not in values:
                    # A correction waits for what it corrects: never half of a pair.
                    values["is_approved"] = self._is_due(values, today)
                values |= self._stored(values)
            created = self.create(batch)
            created.origin_id.settlement_id._follow_ledger()
            for row in created.filtered(lambda row: row.kind == "earned"):
                line = (row.line_ref, row.affiliate_id.id, row.level)
                for key in (line, (*line, row.cause_id)):
                    origins.setdefault(key, row._as_origin())

    @api.model
    def _correct(self, values, booked, origins):
        """Tie a row to the one it corrects: an earlier one of its own cause, else that
        of the payment it is about, else the first of its line."""
        line = (values["line_ref"], values["affiliate_id"], values["level"])
        first, payment = origins.get(line), values.pop("_origin", None)
        origin = booked.get((*line, values["cause_id"]))
        if not origin and values["kind"] != "earned":
            origin = origins.get((*line, payment), first)
        if origin:
            # What is wrong with a row is wrong with what corrects it.
            values["origin_id"] = origin["id"]
            values["code_id"] = origin["code_id"]
            for name in ("hold_until", "on_hold", "hold_reason"):
                values[name] = origin[name]
        values["is_approved"] = bool(origin and origin["is_approved"])
        # The whole line is rejected, whatever becomes of it.
        rejected = origin or first
        values["void_reason"] = rejected and rejected["void_reason"]

    @api.model
    def _stored(self, values):
        """Return what Odoo would compute, and write again, after it made the row."""
        affiliate = self.env["affiliate.affiliate"].browse(values["affiliate_id"])
        return {
            "partner_id": affiliate.partner_id.id,
            "state": self._state_of(values["is_approved"], values["void_reason"]),
        }

    def _as_origin(self):
        return {
            "id": self.id,
            "code_id": self.code_id.id,
            "is_approved": self.is_approved,
            "hold_until": self.hold_until,
            "on_hold": self.on_hold,
            "hold_reason": self.hold_reason,
            "void_reason": self.void_reason,
        }

    @api.model
    def _origins(self, booked):
        """Return the earned rows, which others correct, by line and cause, and by line
        alone the first of them."""
        origins = {}
        for key, row in sorted(booked.items(), key=lambda item: item[1]["id"]):
            if row["kind"] == "earned":
                origins[key] = row
                origins.setdefault(key[:-1], row)
        return origins

    @api.model
    def _is_due(self, values, today):
        program = self.env["affiliate.program"].browse(values["program_id"])
        return program.auto_approve_commissions and values["hold_until"] <= today


def _log_foreign(sales, terms):
    """Say which fixed amounts were passed over, and why."""
    for sale in sales:
        if rules := commission.foreign_rules(sale, terms):
            _logger.info(
                "%s is in %s: rules %s, fixed in another currency, do not match",
                sale.number,
                sale.currency.upper(),
                sorted(rules),
            )


class _References:
    """Mirror records of new ledger rows, looked up together."""

    def __init__(self, env, account, values_list):
        self.lines = self._find(
            env["affiliate.stripe.invoice.line"],
            account,
            {values["line_ref"] for values in values_list},
            "invoice_id",
        )
        self.charges = self._find(
            env["affiliate.stripe.charge"],
            account,
            {values.get("_charge") for values in values_list} - {None},
            "id",
        )
        codes = {values["currency"] for values in values_list}
        currencies = (
            env["res.currency"]
            .sudo()
            .with_context(active_test=False)
            .search([("name", "in", list(codes))])
        )
        # Screens show amounts in archived ones without symbol and with two decimals.
        currencies.filtered(lambda currency: not currency.active).active = True
        self.currencies = {currency.name: currency.id for currency in currencies}

    def _find(self, model, account, refs, column):
        if not refs:
            return {}
        rows = model.env.execute_query(
            SQL(
                "SELECT stripe_id, id, %s FROM %s"
                " WHERE account_id = %s AND stripe_id IN %s",
                SQL.identifier(column),
                SQL.identifier(model._table),
                account.id,
                tuple(refs),
            )
        )
        return {stripe_id: (row_id, other) for stripe_id, row_id, other in rows}

    def resolve(self, values):
        """Replace the Stripe ids in ``values`` by records."""
        charge = values.pop("_charge", None)
        if charge in self.charges:
            values["charge_id"] = self.charges[charge][0]
        if values["line_ref"] in self.lines:
            line_id, invoice_id = self.lines[values["line_ref"]]
            values |= {"invoice_line_id": line_id, "invoice_id": invoice_id}
        values["currency_id"] = self.currencies[values.pop("currency")]
