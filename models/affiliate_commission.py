import logging
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from ..lib import commission, money, sale_facts
from ..lib.evidence import evidence_of

_logger = logging.getLogger(__name__)

# Kinds of rows the engine books and corrects; the others are made by people.
COMPUTED_KINDS = ("earned", "refund", "dispute", "credit_note")
OWN_LEVEL = 1
# Fixed once a row is in the ledger; a row made by hand may be corrected while pending.
LEDGER_FIELDS = {
    "affiliate_id",
    "amount",
    "base_amount",
    "cause_id",
    "currency_id",
    "date",
    "kind",
    "line_ref",
    "program_id",
    "rate",
    "revision",
}
HOLD_DISPUTE = "dispute"
HOLD_MANUAL = "manual"
_EPOCH = fields.Datetime.to_datetime("1970-01-01 00:00:00")


@dataclass
class Facts:
    """What the mirror says about some customers, by their Stripe id."""

    sales: dict = field(default_factory=lambda: defaultdict(list))
    evidence: dict = field(default_factory=lambda: defaultdict(list))
    open_disputes: dict = field(default_factory=dict)  # {sale ref: dispute id}


class AffiliateCommission(models.Model):
    """The ledger: rows are added, never edited; only their state moves on.

    Computed rows are written by :meth:`_book` alone, as "desired minus booked" of one
    customer's whole history (``lib.commission``).
    """

    _name = "affiliate.commission"
    _description = "Commission"
    _order = "date desc, id desc"
    _rec_name = "explanation"
    _check_company_auto = True

    affiliate_id = fields.Many2one(
        "affiliate.affiliate", required=True, index=True, ondelete="restrict"
    )
    partner_id = fields.Many2one(
        related="affiliate_id.partner_id", store=True, index=True
    )
    # Affiliates read their own rows. The name of a linked record would tell them the
    # customer's e-mail: Odoo shows it without asking for access to that record.
    referral_id = fields.Many2one(
        "affiliate.referral",
        index="btree_not_null",
        ondelete="restrict",
        groups="base.group_user",
    )
    program_id = fields.Many2one(
        "affiliate.program",
        required=True,
        index=True,
        ondelete="restrict",
        string="Programme",
    )
    company_id = fields.Many2one(
        "res.company", required=True, index=True, default=lambda s: s.env.company
    )
    stripe_account_id = fields.Many2one(
        "affiliate.stripe.account", readonly=True, string="Stripe account"
    )
    rule_id = fields.Many2one(
        "affiliate.commission.rule",
        readonly=True,
        index="btree_not_null",
        ondelete="restrict",
    )
    customer_id = fields.Many2one(
        "affiliate.stripe.customer",
        readonly=True,
        index="btree_not_null",
        groups="base.group_user",
    )
    invoice_id = fields.Many2one(
        "affiliate.stripe.invoice", readonly=True, index="btree_not_null"
    )
    invoice_line_id = fields.Many2one("affiliate.stripe.invoice.line", readonly=True)
    charge_id = fields.Many2one(
        "affiliate.stripe.charge",
        readonly=True,
        index="btree_not_null",
        help="The sale, where it has no invoice.",
    )
    line_ref = fields.Char(string="Line", readonly=True)
    sale_ref = fields.Char(string="Sale", readonly=True)
    cause_id = fields.Char(
        readonly=True,
        help="Stripe id of the payment, refund, dispute or credit note.",
    )
    level = fields.Integer(default=OWN_LEVEL, readonly=True)
    revision = fields.Integer(default=1, readonly=True)
    kind = fields.Selection(
        [
            ("earned", "Earned"),
            ("refund", "Refund"),
            ("dispute", "Lost dispute"),
            ("credit_note", "Credit note"),
            ("bonus", "Bonus"),
            ("override", "Override"),
            ("manual", "By hand"),
        ],
        default="manual",
        required=True,
        readonly=True,
    )
    currency_id = fields.Many2one(
        "res.currency",
        required=True,
        default=lambda self: self.env.company.currency_id,
    )
    base_amount = fields.Monetary(
        string="Base", readonly=True, help="Money received, after discounts, no tax."
    )
    rate = fields.Float(string="Rate (%)", digits=(16, 4), readonly=True)
    amount = fields.Monetary(required=True)
    date = fields.Date(required=True, default=fields.Date.context_today, index=True)
    happened_at = fields.Datetime(string="Happened", readonly=True)
    hold_until = fields.Date(index=True, string="On hold until")
    is_approved = fields.Boolean(readonly=True, copy=False)
    on_hold = fields.Boolean(readonly=True, copy=False)
    hold_reason = fields.Char(readonly=True, copy=False)
    void_reason = fields.Char(string="Rejected because", readonly=True, copy=False)
    settlement_id = fields.Many2one(
        "affiliate.settlement",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
        check_company=True,
    )
    origin_id = fields.Many2one(
        "affiliate.commission", string="Corrects", readonly=True, index="btree_not_null"
    )
    state = fields.Selection(
        [
            ("pending", "Pending"),
            ("approved", "Due"),
            ("settled", "Settled"),
            ("paid", "Paid"),
            ("void", "Rejected"),
        ],
        compute="_compute_state",
        store=True,
        index=True,
    )
    explanation = fields.Char(readonly=True)

    # A double is impossible for any number of workers (money.md section 5).
    _cause_uniq = models.UniqueIndex(
        "(stripe_account_id, line_ref, affiliate_id, level, cause_id, revision)"
        " WHERE line_ref IS NOT NULL",
        "This commission is booked already.",
    )
    _balance_idx = models.Index("(affiliate_id, currency_id, state)")
    _sale_idx = models.Index("(stripe_account_id, sale_ref)")
    _approval_idx = models.Index("(hold_until) WHERE state = 'pending'")
    _due_idx = models.Index(
        "(affiliate_id, currency_id) WHERE state = 'approved' AND settlement_id IS NULL"
    )

    # === COMPUTE METHODS === #

    @api.depends("is_approved", "void_reason", "settlement_id.state")
    def _compute_state(self):
        settled = {"draft": "settled", "confirmed": "settled", "billed": "settled"}
        for row in self:
            if row.void_reason:
                row.state = "void"
            elif row.settlement_id and row.settlement_id.state != "cancelled":
                row.state = settled.get(row.settlement_id.state, "paid")
            else:
                row.state = "approved" if row.is_approved else "pending"

    # === ONCHANGE METHODS === #

    @api.onchange("affiliate_id")
    def _onchange_affiliate_id(self):
        if self.affiliate_id:
            self.program_id = self.affiliate_id.program_id
            self.company_id = self.affiliate_id.company_id
            self.currency_id = self.affiliate_id.currency_id

    # === CRUD METHODS === #

    def write(self, vals):
        """Amounts and what they stand for are written once; only states move on."""
        if LEDGER_FIELDS & vals.keys() and any(
            row.kind in COMPUTED_KINDS or row.state != "pending" for row in self
        ):
            raise UserError(
                self.env._(
                    "A ledger row is never edited. Reject it while it is pending, or "
                    "add a correction by hand."
                )
            )
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_never_counted(self):
        if any(row.state != "pending" or row.kind in COMPUTED_KINDS for row in self):
            raise UserError(
                self.env._(
                    "The ledger is never shortened. Reject a pending commission, or "
                    "add a correction by hand."
                )
            )

    # === FACTS === #

    @api.model
    def _gather_facts(self, account, customers):
        """Return the ``Facts`` of some customers, with a constant number of queries."""
        mirror = _Mirror(self.env, account, [c.stripe_id for c in customers])
        facts = Facts()
        skipped = {
            ref for ref, raw in mirror.customers.items() if sale_facts.is_skipped(raw)
        }
        for invoice_ref, (customer, raw) in mirror.invoices.items():
            lines, payments = mirror.lines[invoice_ref], mirror.payments[invoice_ref]
            charges = mirror.charges_of(payments)
            facts.sales[customer].append(
                sale_facts.invoice_sale(
                    raw,
                    lines,
                    payments,
                    reversals=mirror.reversals(charges),
                    dispute=mirror.open_dispute(charges),
                    skipped=customer in skipped,
                )
            )
            for evidence in evidence_of("invoice", raw):
                facts.evidence[customer].append(evidence)
            for line in lines:
                line = {**line, "created": raw["created"], "metadata": None}
                facts.evidence[customer].extend(evidence_of("invoice_line", line))
        for charge_ref, (customer, raw) in mirror.charges.items():
            if mirror.pays_an_invoice(raw):
                continue
            session = mirror.session_of(raw)
            facts.sales[customer].append(
                sale_facts.charge_sale(
                    raw,
                    session,
                    reversals=mirror.reversals([charge_ref]),
                    dispute=mirror.open_dispute([charge_ref]),
                    skipped=customer in skipped,
                )
            )
            facts.evidence[customer].extend(evidence_of("charge", raw))
        for kind in ("customer", "subscription", "checkout_session"):
            for customer, raw in mirror.carriers(kind):
                facts.evidence[customer].extend(evidence_of(kind, raw))
        mirror.add_intervals(facts)
        return facts

    # === BOOKING === #

    @api.model
    def _book(self, ledgers, programs, facts):
        """Make the ledger of some people what it should be, by new rows only.

        :param ledgers: ``[(person, referral, decision, sales)]``; see
            ``affiliate.referral._refresh``
        :param programs: programmes whose terms may be needed
        """
        terms = {}
        desired, entries, holders, disputes = {}, {}, {}, {}
        sale_refs = set()
        for person, referral, decision, sales in ledgers:
            sale_refs.update(sale.ref for sale in sales)
            disputes.update({sale.ref: sale.dispute for sale in sales})
            if not decision or not decision.decided_at:
                continue
            program = referral.program_id
            if program not in terms:
                terms[program] = program.sudo()._get_terms()
            covered = [sale for sale in sales if sale.ref in decision.covered]
            for entry in commission.ledger(covered, terms[program]):
                key = (entry.line, referral.affiliate_id.id, OWN_LEVEL, entry.cause)
                desired[key] = (entry.amount, entry.base)
                entries[key] = entry
                holders[key] = (person, referral)
        booked = self._booked(programs.stripe_account_id, sale_refs)
        sums = {key: (row["amount"], row["base"]) for key, row in booked.items()}
        values = [
            self._row_values(key, amount, base, entries.get(key), holders, booked)
            for key, amount, base in commission.corrections(desired, sums)
        ]
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
                          MAX(c.revision) AS revision, MIN(c.id) AS first_id,
                          MIN(c.kind) AS kind, MIN(c.rule_id) AS rule_id,
                          MIN(c.referral_id) AS referral_id, MIN(c.rate) AS rate,
                          MIN(c.customer_id) AS customer_id,
                          MIN(c.invoice_id) AS invoice_id,
                          MIN(c.invoice_line_id) AS invoice_line_id,
                          MIN(c.charge_id) AS charge_id, MIN(c.sale_ref) AS sale_ref,
                          MIN(c.program_id) AS program_id,
                          MIN(c.happened_at) AS happened_at,
                          MIN(c.hold_until) AS hold_until,
                          BOOL_OR(c.is_approved) AS is_approved,
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
            person, referral = holders[key]
            values |= self._entry_values(entry, person, referral)
        else:
            # The cause is no more, or the customer was moved: take back what it gave.
            values |= {
                name: before[name]
                for name in (
                    "kind",
                    "rule_id",
                    "referral_id",
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
        values["explanation"] = self._explain(values, entry)
        return values

    @api.model
    def _entry_values(self, entry, person, referral):
        happened = fields.Datetime.add(_EPOCH, seconds=entry.at)
        earned = fields.Datetime.add(_EPOCH, seconds=entry.earned_at)
        program = referral.program_id
        return {
            "kind": entry.kind,
            "rule_id": entry.rule,
            "referral_id": referral.id,
            "program_id": program.id,
            "rate": float(entry.rate * 100) if entry.rate_type == "percent" else 0.0,
            "customer_id": person[:1].id,
            "sale_ref": entry.sale.ref,
            "happened_at": happened,
            "hold_until": earned.date() + timedelta(days=program.hold_days),
            "_charge": entry.sale.charge,
            "_number": entry.sale.number,
        }

    @api.model
    def _explain(self, values, entry):
        """Return the sentence that says why this amount."""
        code = values["currency"]
        figures = {
            "amount": f"{values['amount']:,} {code}",
            "base": f"{values['base_amount']:,} {code}",
            "rate": f"{values['rate'] or 0:g}",
            "sale": values.pop("_number", None) or values["sale_ref"],
            "line": (entry.label if entry else "") or values["line_ref"],
        }
        if not entry:
            return self.env._(
                "%(amount)s: what was booked for %(line)s on %(sale)s no longer holds "
                "(the refund failed, or the customer belongs to another affiliate).",
                **figures,
            )
        if entry.rate_type == "fixed":
            text = {
                "earned": self.env._("%(amount)s fixed for %(line)s on %(sale)s."),
                "refund": self.env._(
                    "%(amount)s: refund of %(line)s on %(sale)s takes back its share "
                    "of the fixed commission."
                ),
                "dispute": self.env._(
                    "%(amount)s: lost dispute of %(line)s on %(sale)s takes back its "
                    "share of the fixed commission."
                ),
            }[entry.kind]
            return text % figures
        text = {
            "earned": self.env._(
                "%(rate)s %% of %(base)s received without tax for %(line)s on "
                "%(sale)s = %(amount)s."
            ),
            "refund": self.env._(
                "Refund of %(line)s on %(sale)s: %(rate)s %% of %(base)s = %(amount)s."
            ),
            "dispute": self.env._(
                "Lost dispute about %(line)s on %(sale)s: %(rate)s %% of %(base)s = "
                "%(amount)s."
            ),
        }[entry.kind]
        return text % figures

    @api.model
    def _insert_rows(self, values_list, booked):
        """Create ledger rows: references resolved, corrections tied to their origin."""
        if not values_list:
            return self.browse()
        account = (
            self.env["affiliate.program"]
            .browse(values_list[0]["program_id"])
            .stripe_account_id
        )
        refs = _References(self.env, account, values_list)
        today = fields.Date.context_today(self)
        origins = self._origins(booked)
        rows = self.browse()
        for kind in ("earned", "correction"):
            batch = [
                v for v in values_list if (v["kind"] == "earned") == (kind == "earned")
            ]
            for values in batch:
                origin = origins.get(
                    (values["line_ref"], values["affiliate_id"], values["level"])
                )
                refs.resolve(values)
                values |= {
                    "stripe_account_id": account.id,
                    "company_id": account.company_id.id,
                    "date": values["happened_at"].date(),
                    "is_approved": bool(origin and origin["is_approved"])
                    or self._is_due(values, today),
                    "void_reason": origin and origin["void_reason"],
                }
                if values["kind"] != "earned" and origin:
                    values["origin_id"] = origin["id"]
                    values["hold_until"] = origin["hold_until"]
            created = self.create(batch)
            rows |= created
            for row in created:
                key = (row.line_ref, row.affiliate_id.id, row.level)
                if row.kind == "earned":
                    origins.setdefault(key, row._as_origin())
        return rows

    def _as_origin(self):
        return {
            "id": self.id,
            "is_approved": self.is_approved,
            "hold_until": self.hold_until,
            "void_reason": self.void_reason,
        }

    @api.model
    def _origins(self, booked):
        """Return the first earned row of each line, which later rows correct."""
        origins = {}
        for (line_ref, affiliate_id, level, _cause), row in sorted(
            booked.items(), key=lambda item: item[1]["first_id"]
        ):
            if row["kind"] == "earned":
                origins.setdefault(
                    (line_ref, affiliate_id, level), {**row, "id": row["first_id"]}
                )
        return origins

    @api.model
    def _is_due(self, values, today):
        program = self.env["affiliate.program"].browse(values["program_id"])
        return program.auto_approve_commissions and values["hold_until"] <= today

    @api.model
    def _sync_disputes(self, account, disputes):
        """Put the rows of disputed sales on hold, and release those that are over.

        A held row leaves a settlement that is still a draft.

        :param dict disputes: ``{sale ref: id of an open dispute or None}``
        """
        if not disputes or not account:
            return
        rows = self.search(
            [
                ("stripe_account_id", "in", account.ids),
                ("sale_ref", "in", list(disputes)),
                ("kind", "in", COMPUTED_KINDS),
            ]
        )
        held, released = self.browse(), self.browse()
        for row in rows:
            dispute = disputes[row.sale_ref]
            if dispute and not row.on_hold:
                held |= row
            elif not dispute and row.on_hold and row.hold_reason == HOLD_DISPUTE:
                released |= row
        held.write({"on_hold": True, "hold_reason": HOLD_DISPUTE})
        held.filtered(lambda row: row.settlement_id.state == "draft").write(
            {"settlement_id": False}
        )
        released.write({"on_hold": False, "hold_reason": False})

    # === APPROVAL === #

    @api.model
    def _cron_approve(self):
        """Approve what has waited out its hold."""
        domain = [
            ("state", "=", "pending"),
            ("on_hold", "=", False),
            ("hold_until", "<=", fields.Date.context_today(self)),
            ("program_id.auto_approve_commissions", "=", True),
        ]
        crons = self.env["ir.cron"]
        crons._commit_progress(remaining=self.search_count(domain))
        while rows := self.search(domain, limit=5000):
            rows.write({"is_approved": True})
            if not crons._commit_progress(len(rows)):
                break

    def action_approve(self):
        """Approve by hand, before or without the hold."""
        self.filtered(lambda r: r.state == "pending").write({"is_approved": True})
        return True

    def action_reject(self):
        """Open the wizard that asks why."""
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Reject commissions"),
            "res_model": "affiliate.reject.wizard",
            "view_mode": "form",
            "target": "new",
            "context": {"default_commission_ids": self.ids},
        }

    def _reject(self, reason):
        """Make rows void, with all rows of the same lines: a later refund of a
        rejected sale must not take money from the affiliate."""
        lines = self.filtered("line_ref")
        siblings = self.search(
            [
                ("line_ref", "in", lines.mapped("line_ref")),
                ("stripe_account_id", "in", lines.stripe_account_id.ids),
                ("affiliate_id", "in", lines.affiliate_id.ids),
            ]
        )
        rows = self | siblings
        if rows.filtered(lambda row: row.state not in ("pending", "void")):
            raise UserError(
                self.env._(
                    "Only pending commissions can be rejected. Add a correction by "
                    "hand to take back one that is due, settled or paid."
                )
            )
        rows.write({"void_reason": reason})

    def action_hold(self):
        self.filtered(lambda r: r.state in ("pending", "approved")).write(
            {"on_hold": True, "hold_reason": HOLD_MANUAL}
        )
        return True

    def action_release(self):
        self.write({"on_hold": False, "hold_reason": False})
        return True

    def action_view_sale(self):
        """Open the invoice or charge in the mirror."""
        self.ensure_one()
        sale = self.invoice_id or self.charge_id
        return {
            "type": "ir.actions.act_window",
            "res_model": sale._name,
            "res_id": sale.id,
            "view_mode": "form",
        }


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
        self.currencies = {
            currency.name: currency.id
            for currency in env["res.currency"]
            .with_context(active_test=False)
            .search([("name", "in", list(codes))])
        }

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


class _Mirror:
    """The mirrored objects of some customers, read with one query a kind."""

    def __init__(self, env, account, customer_refs):
        self.env, self.account = env, account
        refs = tuple(customer_refs)
        self.customers = {
            ref: raw for ref, _c, raw in self._read("customer", "stripe_id", refs)
        }
        self.invoices = {
            ref: (customer, raw)
            for ref, customer, raw in self._read("invoice", "customer_ref", refs)
        }
        self.charges = {
            ref: (customer, raw)
            for ref, customer, raw in self._read("charge", "customer_ref", refs)
        }
        invoice_refs = tuple(self.invoices)
        self.lines, self.payments = defaultdict(list), defaultdict(list)
        for _ref, invoice, raw in self._read(
            "invoice_line", "invoice_ref", invoice_refs
        ):
            self.lines[invoice].append(raw)
        for _ref, invoice, raw in self._read(
            "invoice_payment", "invoice_ref", invoice_refs
        ):
            self.payments[invoice].append(raw)
        self._read_reversals()
        self._read_carriers(refs)

    def _read(self, kind, column, refs):
        """Yield ``(stripe id, value of column, object)`` in order of Stripe id."""
        if not refs:
            return []
        return self.env.execute_query(
            SQL(
                "SELECT stripe_id, %s, data FROM %s"
                " WHERE account_id = %s AND %s IN %s ORDER BY stripe_id",
                SQL.identifier(column),
                SQL.identifier(f"affiliate_stripe_{kind}"),
                self.account.id,
                SQL.identifier(column),
                tuple(refs),
            )
        )

    def _read_reversals(self):
        self._by_intent = defaultdict(list)
        for ref, (_customer, raw) in self.charges.items():
            if raw.get("payment_intent"):
                self._by_intent[raw["payment_intent"]].append(ref)
        self._back = defaultdict(list)
        self._open = {}
        charge_refs = tuple(self.charges)
        for _ref, charge, raw in self._read("refund", "charge_ref", charge_refs):
            reversal = sale_facts.refund_reversal(raw, self.charges[charge][1])
            if reversal:
                self._back[charge].append(reversal)
        for ref, charge, raw in self._read("dispute", "charge_ref", charge_refs):
            reversal = sale_facts.dispute_reversal(raw, self.charges[charge][1])
            if reversal:
                self._back[charge].append(reversal)
            elif sale_facts.is_dispute_open(raw):
                self._open[charge] = ref

    def _read_carriers(self, refs):
        self._carriers = {
            kind: [
                (customer, raw)
                for _ref, customer, raw in self._read(kind, "customer_ref", refs)
            ]
            for kind in ("subscription", "checkout_session")
        }
        self._carriers["customer"] = list(self.customers.items())
        self._sessions = {
            raw["payment_intent"]: raw
            for _customer, raw in self._carriers["checkout_session"]
            if raw.get("payment_intent") and raw.get("mode") == "payment"
        }
        self._paying = set()
        intents = tuple(self._by_intent)
        for _ref, intent, _raw in self._read(
            "invoice_payment", "payment_intent", intents
        ):
            self._paying.add(intent)
        for _ref, charge, _raw in self._read(
            "invoice_payment", "charge_ref", tuple(self.charges)
        ):
            self._paying.add(charge)

    def charges_of(self, payments):
        """Return the charges behind invoice payments."""
        found = []
        for payment in payments:
            behind = payment.get("payment") or {}
            charge = behind.get("charge")
            if isinstance(charge, str) and charge in self.charges:
                found.append(charge)
            intent = behind.get("payment_intent")
            intent = intent.get("id") if isinstance(intent, dict) else intent
            found += self._by_intent.get(intent, ())
        return sorted(set(found))

    def reversals(self, charges):
        return [reversal for charge in charges for reversal in self._back[charge]]

    def open_dispute(self, charges):
        return next((self._open[c] for c in charges if c in self._open), None)

    def pays_an_invoice(self, charge):
        return charge.get("payment_intent") in self._paying or (
            charge["id"] in self._paying
        )

    def session_of(self, charge):
        return self._sessions.get(charge.get("payment_intent"))

    def carriers(self, kind):
        return self._carriers[kind]

    def add_intervals(self, facts):
        """Tell each line its billing interval, which rules may ask for."""
        prices = {
            line.price
            for sales in facts.sales.values()
            for sale in sales
            for line in sale.lines
        } - {None}
        intervals = {
            ref: (raw.get("recurring") or {}).get("interval")
            for ref, _column, raw in self._read("price", "stripe_id", tuple(prices))
        }
        for sales in facts.sales.values():
            for sale in sales:
                sale.lines[:] = [
                    line.replace(interval=intervals.get(line.price))
                    for line in sale.lines
                ]
