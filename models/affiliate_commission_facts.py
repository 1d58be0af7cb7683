from collections import defaultdict
from datetime import timezone

from odoo import api, models
from odoo.tools import SQL

from ..lib import paid_moments, sale_facts
from ..lib.evidence import evidence_of
from ..lib.stripe_rows import ref as ref_of


class AffiliateCommission(models.Model):
    """First half of the way from mirror to ledger: what has happened."""

    _inherit = "affiliate.commission"

    @api.model
    def _gather_facts(self, account, customers):
        """Return the ``Facts`` of some customers, with a constant number of queries."""
        return Facts(self.env, account, [c.stripe_id for c in customers])

    @api.model
    def _customers_with_rows(self, customers):
        """Return the ids of those of ``customers`` who have rows in the ledger."""
        rows = self.sudo()._read_group(
            [("customer_id", "in", customers.ids)], ["customer_id"]
        )
        return {customer.id for (customer,) in rows}


class Facts:
    """What the mirror says about some customers, by their Stripe id.

    At first only what tells who brought them. Most customers of a business were brought
    by nobody: their sales, which are most of what there is to read, are left alone.
    """

    def __init__(self, env, account, customer_refs):
        self._mirror = mirror = _Mirror(env, account, customer_refs)
        self.sales, self.evidence = defaultdict(list), defaultdict(list)
        # Names under which their sales may have been booked, also by what is none now.
        self.refs = defaultdict(set)
        for invoice_ref, (customer, raw) in mirror.invoices.items():
            self.refs[customer].add(invoice_ref)
            self.evidence[customer].extend(evidence_of("invoice", raw))
            for line in mirror.discounted[invoice_ref]:
                line = {**line, "created": raw["created"], "metadata": None}
                self.evidence[customer].extend(evidence_of("invoice_line", line))
        for charge_ref, (customer, raw) in mirror.charges.items():
            self.refs[customer] |= {
                charge_ref,
                (mirror.session_of(raw) or raw)["id"],
            }
            if not mirror.pays_an_invoice(raw):
                self.evidence[customer].extend(evidence_of("charge", raw))
        for kind in ("customer", "subscription", "checkout_session"):
            for customer, raw in mirror.carriers(kind):
                self.evidence[customer].extend(evidence_of(kind, raw))

    def add_sales(self, customer_refs):
        """Read what these customers bought, paid and got back."""
        mirror, customers = self._mirror, set(customer_refs)
        mirror.read_sales(customers)
        skipped = {
            ref for ref, raw in mirror.customers.items() if sale_facts.is_skipped(raw)
        }
        for invoice_ref, (customer, raw) in mirror.invoices.items():
            if customer not in customers:
                continue
            payments = mirror.payments[invoice_ref]
            charges = mirror.charges_of(payments)
            self.sales[customer].append(
                sale_facts.invoice_sale(
                    raw,
                    mirror.lines[invoice_ref],
                    mirror.received(payments),
                    reversals=mirror.reversals(charges),
                    credit_notes=mirror.credit_notes(invoice_ref),
                    dispute=mirror.open_dispute(charges),
                    skipped=customer in skipped,
                )
            )
        for charge_ref, (customer, raw) in mirror.charges.items():
            if customer not in customers or mirror.pays_an_invoice(raw):
                continue
            moment = mirror.moments[charge_ref]
            self.sales[customer].append(
                sale_facts.charge_sale(
                    raw,
                    mirror.session_of(raw),
                    reversals=mirror.reversals([charge_ref]),
                    dispute=mirror.open_dispute([charge_ref]),
                    skipped=customer in skipped,
                    paid=moment,
                )
            )
        mirror.add_intervals(self.sales)


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
        self.discounted = self._read_by(
            "invoice_line",
            "invoice_ref",
            tuple(self.invoices),
            # Only those that can tell of a promotion code: most have no discounts.
            SQL("AND data->'discounts' NOT IN ('[]', 'null')"),
        )
        self._by_intent = defaultdict(list)
        for ref, (_customer, raw) in self.charges.items():
            if raw.get("payment_intent"):
                self._by_intent[raw["payment_intent"]].append(ref)
        self._read_carriers(refs)

    def read_sales(self, customers):
        """Read the rest of what belongs to the sales of some of the customers."""
        invoices = tuple(
            ref for ref, (customer, _) in self.invoices.items() if customer in customers
        )
        self.lines = self._read_by("invoice_line", "invoice_ref", invoices)
        self.payments = self._read_by("invoice_payment", "invoice_ref", invoices)
        payments = [raw for raws in self.payments.values() for raw in raws]
        self._read_payers(payments)
        charges = {
            ref for ref, (customer, _) in self.charges.items() if customer in customers
        }
        self._read_moments([c for c in charges if not self.pays_an_invoice_ref(c)])
        self._read_reversals(invoices, tuple(charges.union(self.charges_of(payments))))

    def _read_payers(self, payments):
        """Read the charges that pay invoices in another name: what goes back of them is
        about these sales, not about those of the other."""
        paid_by = [*map(_paid_by, payments)]
        for column, named, known in (
            ("stripe_id", {charge for charge, _intent in paid_by}, self.charges),
            ("payment_intent", {intent for _c, intent in paid_by}, self._by_intent),
        ):
            unknown = tuple(named - known.keys() - {None})
            for ref, _column, raw in self._read("charge", column, unknown):
                self.charges[ref] = (None, raw)
                if raw.get("payment_intent"):
                    self._by_intent[raw["payment_intent"]].append(ref)

    def _read_by(self, kind, column, refs, where=None):
        """Return ``{value of column: objects}``."""
        found = defaultdict(list)
        for _ref, value, raw in self._read(kind, column, refs, where=where):
            found[value].append(raw)
        return found

    def _read(self, kind, column, refs, with_object=True, where=None):
        """Return ``(stripe id, value of column, object)`` in order of Stripe id."""
        if not refs:
            return []
        return self.env.execute_query(
            SQL(
                "SELECT stripe_id, %s%s FROM %s"
                " WHERE account_id = %s AND %s IN %s %s ORDER BY stripe_id",
                SQL.identifier(column),
                SQL(", data") if with_object else SQL(),
                SQL.identifier(f"affiliate_stripe_{kind}"),
                self.account.id,
                SQL.identifier(column),
                tuple(refs),
                where or SQL(),
            )
        )

    def _read_moments(self, charges):
        """Read when these charges were paid. What was booked stays with its moment,
        also where a better one has become known since."""
        self.moments = {}
        if not charges:
            return
        self.env["affiliate.commission"].flush_model(["charge_id", "happened_at"])
        found = self.env.execute_query(
            SQL(
                """SELECT charge.stripe_id, charge.captured_at, charge.succeeded_at,
                          (SELECT MIN(happened_at) FROM affiliate_commission booked
                            WHERE booked.charge_id = charge.id
                              AND booked.cause_id = charge.stripe_id)
                     FROM affiliate_stripe_charge charge
                    WHERE charge.account_id = %s AND charge.stripe_id IN %s""",
                self.account.id,
                tuple(charges),
            )
        )
        for ref, captured_at, succeeded_at, booked_at in found:
            told = {"captured_at": captured_at, "succeeded_at": succeeded_at}
            self.moments[ref] = paid_moments.paid_moment(
                self.charges[ref][1],
                {column: unix(at) for column, at in told.items() if at},
                booked_at and unix(booked_at),
            )

    def _read_reversals(self, invoices, charges):
        self._back = defaultdict(list)
        self._open = {}
        noted = self._read_credit_notes(invoices, charges)
        released = self._released()
        for ref, raw in self._refunds.items():
            charge = self._charge_of(raw)
            if charge not in self.charges or ref in released:
                continue
            reversal = sale_facts.refund_reversal(
                raw,
                self.charges[charge][1],
                explained=self._explained.get(ref, 0),
                noted=noted[charge],
            )
            if reversal:
                self._back[charge].append(reversal)
        for ref, charge, raw in self._read("dispute", "charge_ref", charges):
            reversal = sale_facts.dispute_reversal(
                raw, self.charges[charge][1], noted=noted[charge]
            )
            if reversal:
                self._back[charge].append(reversal)
            elif sale_facts.is_dispute_open(raw):
                self._open[charge] = ref

    def _read_credit_notes(self, invoices, charges):
        """Read the credit notes and all refunds; a refund that a note explains is
        taken back by the note.

        :return: ``{charge: what credit notes take back of it}``
        """
        self._notes = self._read_by("credit_note", "invoice_ref", invoices)
        notes = [raw for raws in self._notes.values() for raw in raws]
        named = {entry["refund"] for raw in notes for entry in raw["refunds"]}
        intents = {self.charges[ref][1].get("payment_intent") for ref in charges}
        self._refunds = {
            ref: raw
            for column, refs, where in (
                ("charge_ref", charges, None),
                # Some name nothing but the payment they are of.
                (
                    "payment_intent",
                    tuple(intents - {None}),
                    SQL("AND charge_ref IS NULL"),
                ),
                ("stripe_id", tuple(named - {None}), None),
            )
            for ref, _column, raw in self._read("refund", column, refs, where=where)
        }
        self._explained = sale_facts.explained_refunds(notes, self._refunds)
        noted = defaultdict(int)
        for ref, amount in self._explained.items():
            noted[self._charge_of(self._refunds.get(ref, {}))] += amount
        return noted

    def _charge_of(self, refund):
        """Return the charge a refund is of: the one it names, else the one that
        collected the payment it names."""
        if refund.get("charge"):
            return refund["charge"]
        collected = [
            (raw.get("status") == "succeeded", raw["created"], ref)
            for ref in self._by_intent.get(refund.get("payment_intent"), ())
            for _customer, raw in [self.charges[ref]]
        ]
        return max(collected)[-1] if collected else None

    def _released(self):
        """Return the refunds that only let go of what was never taken."""
        refunds = defaultdict(dict)
        for ref, raw in self._refunds.items():
            refunds[self._charge_of(raw)][ref] = raw
        return set().union(
            *(
                sale_facts.released(self.charges[charge][1], found)
                for charge, found in refunds.items()
                if charge in self.charges
            )
        )

    def _read_carriers(self, refs):
        self._paying = {
            paying
            for column, names in (
                ("payment_intent", tuple(self._by_intent)),
                ("charge_ref", tuple(self.charges)),
            )
            for _ref, paying in self._read("invoice_payment", column, names, False)
        }
        sessions = self._read("checkout_session", "customer_ref", refs)
        known = {raw.get("payment_intent") for _ref, _customer, raw in sessions}
        alone = tuple(self._by_intent.keys() - self._paying - known)
        sessions += self._read("checkout_session", "payment_intent", alone)
        self._carriers = {
            "subscription": [
                (customer, raw)
                for _ref, customer, raw in self._read(
                    "subscription", "customer_ref", refs
                )
            ],
            "checkout_session": [
                (owner, raw)
                for _ref, customer, raw in sessions
                for owner in dict.fromkeys((customer, self._buyer(raw, customer)))
            ],
            "customer": list(self.customers.items()),
        }
        self._sessions = {
            raw["payment_intent"]: raw
            for _customer, raw in self._carriers["checkout_session"]
            if raw.get("payment_intent") and raw.get("mode") == "payment"
        }

    def _buyer(self, session, customer):
        """Return whose sale a session is. Its own customer may be a guest whose payment
        was given to a customer, of which the session tells nothing."""
        charges = self._by_intent.get(session.get("payment_intent"))
        return self.charges[charges[0]][0] if charges else customer

    def charges_of(self, payments):
        """Return the charges behind invoice payments."""
        found = set()
        for charge, intent in map(_paid_by, payments):
            found.update({charge} & self.charges.keys())
            found.update(self._by_intent.get(intent, ()))
        return sorted(found)

    def received(self, payments):
        """Return the payments that did not come back."""
        return [
            payment
            for payment in payments
            if not sale_facts.is_returned(
                [self.charges[charge][1] for charge in self.charges_of([payment])]
            )
        ]

    def credit_notes(self, invoice):
        found = (
            sale_facts.credit_note(raw, self._refunds) for raw in self._notes[invoice]
        )
        return [note for note in found if note]

    def reversals(self, charges):
        return [reversal for charge in charges for reversal in self._back[charge]]

    def open_dispute(self, charges):
        return next((self._open[c] for c in charges if c in self._open), None)

    def pays_an_invoice(self, charge):
        return charge.get("payment_intent") in self._paying or (
            charge["id"] in self._paying
        )

    def pays_an_invoice_ref(self, charge_ref):
        return self.pays_an_invoice(self.charges[charge_ref][1])

    def session_of(self, charge):
        return self._sessions.get(charge.get("payment_intent"))

    def carriers(self, kind):
        return self._carriers[kind]

    def add_intervals(self, all_sales):
        """Tell each line its billing interval, which rules may ask for."""
        prices = {
            line.price
            for sales in all_sales.values()
            for sale in sales
            for line in sale.lines
        } - {None}
        intervals = {
            ref: (raw.get("recurring") or {}).get("interval")
            for ref, _column, raw in self._read("price", "stripe_id", tuple(prices))
        }
        for sales in all_sales.values():
            for sale in sales:
                sale.lines[:] = [
                    line.replace(interval=intervals.get(line.price))
                    for line in sale.lines
                ]


def unix(moment):
    return int(moment.replace(tzinfo=timezone.utc).timestamp())


def _paid_by(payment):
    """Return the ids of the charge and the intent behind an invoice payment."""
    behind = payment.get("payment") or {}
    return ref_of(behind.get("charge")), ref_of(behind.get("payment_intent"))
