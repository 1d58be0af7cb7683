from collections import Counter, defaultdict
from datetime import timedelta
from decimal import Decimal

from odoo import api, fields, models
from odoo.tools import SQL

from ..lib import erasure, money
from ..lib.stripe_client import ACCOUNT_PROBLEMS, StripeProblem
from ..lib.stripe_lists import created_at, next_filter, next_places
from ..lib.stripe_objects import KINDS, MODELS
from ..lib.stripe_text import storable

# Parts of an invoice have no list that says when they were created: they are compared
# with their invoice. Its lines are all there; of its payments Stripe names the newest.
WHOLE_PARTS, PARTS = ("invoice_line",), ("invoice_line", "invoice_payment")
# Signed anew with each answer.
NOT_COMPARED = {"hosted_url"}
AMOUNTS = {"amount", "amount_total"}
# What Stripe tells by no event: of these kinds, new objects (all, or those in a state),
# and changes of these columns. A comparison takes them over where it meets them: that
# they are not here yet is no fault of anybody.
UNTOLD_NEW = {
    "balance_transaction": lambda values: True,
    "checkout_session": lambda values: values["status"] != "complete",
    "invoice": lambda values: values["status"] == "draft",
}
UNTOLD_COLUMNS = {
    # It becomes available as time passes.
    "balance_transaction": {"status", "available_on"},
    # They run out.
    "coupon": {"active"},
    "promotion_code": {"active", "times_redeemed"},
    "checkout_session": {"status"},
}


class AffiliateStripeRun(models.Model):
    """Checks: Stripe against the mirror, and each night whatever is open."""

    _inherit = "affiliate.stripe.run"

    # === STRIPE AGAINST MIRROR === #

    def _places_after(self, place, page, busy):
        """A month of a kind is one row of the report: it is not divided."""
        if self.purpose != "compare":
            return super()._places_after(place, page, busy)
        return next_places(place, page, split=False) or next_filter(place)

    def _take_page(self, part_id, token, place, page, places):
        if self.purpose != "compare":
            return super()._take_page(part_id, token, place, page, places)
        untold = self._read_untold(self.part_ids.browse(part_id), page)
        with self.env["affiliate.stripe.sync"]._transaction() as own:
            part_ids = own.env[self._name]._move_on(part_id, token, page, places)
            if part_ids is None:
                return []
            account = self.account_id.with_env(own.env)
            account._note_success()
            if untold:
                own._store(account, untold, page.asked_at, purpose=self.purpose)
            own.env["affiliate.stripe.run.part"].browse(part_id)._note(place, page)
            return part_ids

    def _read_untold(self, part, page):
        """Return the readings of what of a page no event could tell, and what it leads
        to; nothing where that cannot be read, which then is a difference."""
        untold = part._untold(page)
        if not untold:
            return []
        try:
            return untold + self.env["affiliate.stripe.sync"]._read_needed(
                self.account_id, untold, lookups=False
            )
        except StripeProblem as problem:
            if problem.code in ACCOUNT_PROBLEMS:
                raise
            return []

    # === WHAT IS OPEN === #

    @api.model
    def _cron_nightly(self):
        """Check what is open of every account, also while another run is under way."""
        accounts = self.env["affiliate.stripe.account"].search(
            [("state", "=", "connected")]
        )
        for account in accounts:
            # Events that were missed for good: then only the lists tell.
            run = account._start_run("read" if account.missed_until else "nightly")
            if not run._checks_open():
                with self.env["affiliate.stripe.sync"]._transaction() as own:
                    account.with_env(own.env)._reread_open(fields.Datetime.now())
        accounts._update_warning()

    def _checks_open(self):
        """Tell whether this run, when it ends, has read all that is open at Stripe."""
        return self.state == "running" and (
            self.purpose == "nightly" or (self.purpose == "read" and not self.date_from)
        )

    def _finish(self):
        if self.purpose == "nightly":
            # What was in no list of this walk is not open at Stripe any more.
            self.account_id._reread_open(self.started_at)
        return super()._finish()


class AffiliateStripeRunPart(models.Model):
    """A comparison goes page by page and keeps sums: memory does not grow with a month.

    What is here and not on a page, although created between its newest and its oldest
    object, is missing at Stripe. Only of the second in which a page ends it is not
    known yet: that second belongs to the next page, and the ids seen of it are kept.
    """

    _inherit = "affiliate.stripe.run.part"

    def _mirror(self):
        return self.env[KINDS[self.kind].model]

    def _note(self, place, page):
        """Note what one page of Stripe's list and its time are here."""
        self.ensure_one()
        seen = set(self.seen or ()) if place.reached else set()
        readings = [r for r in page.readings if r.rows[0].stripe_id not in seen]
        # None for what nobody understands.
        rows = {raw["id"]: None for raw in page.unreadable if raw["id"] not in seen}
        rows |= {reading.rows[0].stripe_id: reading.rows[0] for reading in readings}
        here = {
            stripe_id: row
            for stripe_id, row in self._read_mirror(place, page, rows).items()
            if stripe_id in rows or stripe_id not in seen
        }
        self._add_differences(
            {
                **self._differing_parts(readings, here, page.asked_at),
                **self._differences(rows, here, page.asked_at),
            }
        )
        kept = [row for ref, row in here.items() if row["active"] or ref in rows]
        understood = [row.values for row in rows.values() if row]
        self.write(
            {
                "stripe_count": self.stripe_count + len(rows),
                "mirror_count": self.mirror_count + len(kept),
                "stripe_sums": _added(self.stripe_sums, understood),
                "mirror_sums": _added(self.mirror_sums, kept),
                "seen": _seen_at_the_end(seen, place, page),
            }
        )
        if self.done and not (self.stripe_count or self.mirror_count):
            # A month without any: nothing to report.
            self.unlink()

    def _untold(self, page):
        """Return the readings of a page that are news here and come by no event."""
        self.ensure_one()
        kind = self.kind
        if not {kind} & (UNTOLD_NEW.keys() | UNTOLD_COLUMNS.keys()):
            return []
        refs = [reading.rows[0].stripe_id for reading in page.readings]
        here = self._select(kind, SQL("stripe_id = ANY(%s)", refs))
        return [
            reading
            for reading in page.readings
            if _is_untold(kind, reading.rows[0], here.get(reading.rows[0].stripe_id))
        ]

    def _differences(self, rows, here, asked_at):
        """Return ``{stripe id: (what, {column: [here, at Stripe]})}``."""
        found = {}
        for stripe_id in {*rows, *here}:
            row, mine = rows.get(stripe_id), here.get(stripe_id)
            columns = {}
            if mine and mine["synced_at"] > asked_at:
                continue  # it changed here since Stripe was asked
            if stripe_id not in rows:
                what = "missing_there" if mine["active"] else None
            elif row is None:
                what = "unreadable"
            elif mine is None:
                what = "missing_here"
            else:
                columns = _differing(self.kind, row, mine)
                what = "amount" if AMOUNTS & columns.keys() else columns and "other"
            if what:
                found[stripe_id] = (what, columns)
        return found

    def _differing_parts(self, readings, here, asked_at):
        """Return invoices whose lines or payments differ, as in ``_differences``."""
        parts = defaultdict(dict)
        for row in (row for reading in readings for row in reading.rows):
            if row.kind in PARTS:
                parts[row.kind][row.stripe_id] = row
        owners = set()
        for kind in PARTS if self.kind == "invoice" else ():
            rows = parts[kind]
            mine = self._select(
                kind,
                SQL("stripe_id = ANY(%s) OR invoice_ref = ANY(%s)", [*rows], [*here]),
            )
            for ref, row in rows.items():
                if ref not in mine or _differing(kind, row, mine[ref]):
                    if ref not in mine or mine[ref]["synced_at"] <= asked_at:
                        owners.add(row.values["invoice_ref"])
            if kind in WHOLE_PARTS:
                owners |= {mine[ref]["invoice_ref"] for ref in mine.keys() - rows}
        return {
            ref: ("parts", {})
            for ref in owners
            if ref in here and here[ref]["synced_at"] <= asked_at
        }

    def _read_mirror(self, place, page, rows):
        """Return ``{stripe id: columns}`` of the mirror for the time of a page."""
        second = timedelta(seconds=1)
        start, end = place.start or "-infinity", place.end or "infinity"
        if page.has_more:
            start = page.reached + second if page.reached else end
        if place.reached:
            end = place.reached + second
        where = SQL("TRUE")
        if "active" in place.params:
            where = SQL("active = %s", place.params["active"])
        return self._select(
            self.kind,
            SQL(
                "(created >= %s AND created < %s AND %s) OR stripe_id = ANY(%s)",
                start,
                end,
                where,
                list(rows),
            ),
        )

    def _select(self, kind, where):
        """Return ``{stripe id: columns}`` of a kind in the mirror, without guests."""
        model = self.env[MODELS[kind]]
        if "is_guest" in model._fields:
            where = SQL("(%s) AND is_guest IS NOT TRUE", where)
        columns = [
            SQL.identifier(name)
            for name, column in model._fields.items()
            if column.store and column.column_type and name != "data"
        ]
        if "currency_id" in model._fields:
            columns.append(
                SQL(
                    "(SELECT LOWER(name) FROM res_currency"
                    " WHERE id = mirror.currency_id) AS currency"
                )
            )
        person = "customer_ref" if "customer_ref" in model._fields else "stripe_id"
        person = SQL("mirror.%s", SQL.identifier(person))
        if owner := erasure.BELONGS_TO.get(kind):
            person = SQL(
                "(SELECT customer_ref FROM %s owner"
                " WHERE owner.account_id = mirror.account_id"
                " AND owner.stripe_id = mirror.%s)",
                SQL.identifier(f"affiliate_stripe_{owner}"),
                SQL.identifier(f"{owner}_ref"),
            )
        columns.append(
            SQL(
                "EXISTS (SELECT FROM affiliate_stripe_customer customer"
                " WHERE customer.account_id = mirror.account_id"
                " AND customer.stripe_id = %s"
                " AND customer.erased_at IS NOT NULL) AS erased",
                person,
            )
        )
        found = self.env.execute_query_dict(
            SQL(
                "SELECT %s FROM %s mirror WHERE account_id = %s AND (%s)",
                SQL(", ").join(columns),
                SQL.identifier(model._table),
                self.run_id.account_id.id,
                where,
            )
        )
        return {row["stripe_id"]: row for row in found}


def _is_untold(kind, row, mine):
    """Tell whether a row is news here of which Stripe sends no event."""
    if not mine:
        return kind in UNTOLD_NEW and UNTOLD_NEW[kind](row.values)
    columns = _differing(kind, row, mine).keys()
    if kind == "checkout_session" and row.values["status"] == "complete":
        return False  # that is told
    return bool(columns) and columns <= UNTOLD_COLUMNS.get(kind, set())


def _seen_at_the_end(seen, place, page):
    """Return the ids seen of the second in which a page ends, if the list goes on."""
    if not page.has_more:
        return False
    earlier = seen if place.reached == page.reached else set()
    at_the_end = {raw["id"] for raw in page.raws if created_at(raw) == page.reached}
    return sorted(earlier | at_the_end)


def _differing(kind, row, mine):
    """Return ``{column: [here, at Stripe]}`` of what is not the same, as texts."""
    ignored = set(NOT_COMPARED)
    if mine["erased"] or mine.get("erased_at"):
        ignored.update(erasure.COLUMNS.get(kind, ()))
    if row.values.get("livemode") is None:
        ignored.add("livemode")  # the account's: some kinds of objects name none
    return {
        name: [_text(mine.get(name)), _text(value)]
        for name, value in row.values.items()
        if name not in ignored and _plain(value) != _plain(mine.get(name))
    }


def _plain(value):
    if isinstance(value, str):
        return storable(value) or None
    if _is_number(value):
        return Decimal(str(value)).normalize() or None
    return value or None


def _text(value):
    if _is_number(value):
        return f"{Decimal(str(value)).normalize():f}"
    return None if value in (None, "") else str(value)


def _is_number(value):
    return isinstance(value, float | int | Decimal) and not isinstance(value, bool)


def _added(sums, rows):
    """Return running sums of each currency with these rows added, as texts."""
    total = Counter({code: Decimal(amount) for code, amount in (sums or {}).items()})
    for values in rows:
        column = next(iter(AMOUNTS & values.keys()), None)
        if column and values.get("currency"):
            amount = values[column] or 0
            total[values["currency"].upper()] += Decimal(str(amount))
    return {code: str(amount) for code, amount in total.items()}


def shown_sums(sums):
    return "\n".join(
        f"{Decimal(amount):,.{money.exponent(code)}f} {code}"
        for code, amount in sorted((sums or {}).items())
    )
