from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from odoo import api, fields, models
from odoo.tools import SQL

from ..lib import money
from ..lib.stripe_lists import next_places, read_page
from ..lib.stripe_objects import KINDS, storable
from .affiliate_stripe_run_walk import PARALLEL_LISTS

# Kept as ids of a difference; more are counted only.
MAX_IDS = 1000


class AffiliateStripeRun(models.Model):
    """Checks: Stripe against the mirror, and each night whatever is open."""

    _inherit = "affiliate.stripe.run"

    # === STRIPE AGAINST MIRROR === #

    def _compare(self, parts, token, keep_going):
        """Compare whole months, several kinds at a time. Return False at the end."""
        sync = self.env["affiliate.stripe.sync"]
        stripe_api, clock = sync._get_api(self.account_id), sync._get_clock()

        def read(place):
            return _read_month(stripe_api, place, clock)

        with ThreadPoolExecutor(PARALLEL_LISTS) as pool:
            months = pool.map(read, [part._to_place() for part in parts])
            for part, (asked_at, rows) in zip(parts, months, strict=True):
                with sync._transaction() as own:
                    own.env[parts._name].browse(part.id)._note(asked_at, rows, token)
                if not keep_going(len(rows)):
                    return False
        return True

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
    _inherit = "affiliate.stripe.run.part"

    def _note(self, asked_at, rows, token):
        """Note what one month of one kind is here and at Stripe.

        :param dict rows: ``{stripe id: Row}`` of Stripe's objects
        """
        self.ensure_one()
        if self.leased_by != token or self.run_id.state != "running":
            return
        here = self._read_mirror(rows)
        different = [
            stripe_id
            for stripe_id in sorted({*rows, *here})
            if stripe_id not in here
            or (stripe_id not in rows and here[stripe_id]["active"])
            or (stripe_id in rows and not _is_same(rows[stripe_id], here[stripe_id]))
        ]
        # What changed here since Stripe was asked is no difference.
        different = [
            stripe_id
            for stripe_id in different
            if stripe_id not in here or here[stripe_id]["synced_at"] <= asked_at
        ]
        if not (rows or here):
            # A month without any: nothing to report.
            self.unlink()
            return
        kept = [
            row for row in here.values() if row["active"] or row["stripe_id"] in rows
        ]
        self.write(
            {
                "stripe_count": len(rows),
                "mirror_count": len(kept),
                "stripe_sum": _sums(
                    (row.values.get("currency"), _amount(row.values))
                    for row in rows.values()
                ),
                "mirror_sum": _sums((row["currency"], _amount(row)) for row in kept),
                "different": different[:MAX_IDS] or False,
                "different_count": len(different),
                "objects": len(rows),
                "share_done": 1,
                "done": True,
            }
        )

    def _read_mirror(self, rows):
        """Return ``{stripe id: columns}`` of the mirror for the span of this part."""
        model = self.env[KINDS[self.kind].model]
        guests = (
            SQL("AND is_guest IS NOT TRUE") if "is_guest" in model._fields else SQL()
        )
        currency = (
            SQL("(SELECT name FROM res_currency WHERE id = mirror.currency_id)")
            if "currency_id" in model._fields
            else SQL("NULL")
        )
        columns = [
            name
            for name, column in model._fields.items()
            if column.store and column.column_type and name != "data"
        ]
        found = self.env.execute_query_dict(
            SQL(
                """SELECT %(columns)s, LOWER(%(currency)s) AS currency
                     FROM %(table)s mirror
                    WHERE account_id = %(account)s %(guests)s
                      AND ((created >= %(start)s AND created < %(end)s)
                           OR stripe_id = ANY(%(ids)s))""",
                columns=SQL(", ").join(map(SQL.identifier, columns)),
                currency=currency,
                table=SQL.identifier(model._table),
                account=self.run_id.account_id.id,
                guests=guests,
                start=self.created_from or datetime(1970, 1, 1),
                end=self.created_to or datetime(9999, 1, 1),
                ids=list(rows),
            )
        )
        return {row["stripe_id"]: row for row in found}


def _read_month(stripe_api, place, clock):
    """Return (when asked, {stripe id: Row}) of a whole span; runs in a thread."""
    asked_at, rows = clock(), {}
    for params in KINDS[place.kind].filters:
        ahead = [replace(place, params=params)]
        while ahead:
            page = read_page(stripe_api, ahead[0], clock)
            for reading in page.readings:
                # Only what is compared: a month of it is held at once.
                row = reading.rows[0]
                rows[row.stripe_id] = replace(row, data={})
            for raw in page.unreadable:
                rows.setdefault(raw["id"], None)
            ahead = next_places(ahead[0], page, split=False)
    return asked_at, rows


def _is_same(row, here):
    """Tell whether the columns of Stripe's object are those of the mirror."""
    return row is not None and all(
        _plain(value) == _plain(here.get(name)) for name, value in row.values.items()
    )


def _plain(value):
    if isinstance(value, str):
        return storable(value) or None
    if isinstance(value, float | int | Decimal) and not isinstance(value, bool):
        return Decimal(str(value)).normalize() or None
    return value or None


def _amount(values):
    return values.get("amount_total", values.get("amount")) or 0


def _sums(pairs):
    """Return the sums of each currency, as text."""
    sums = Counter()
    for currency, amount in pairs:
        if currency:
            sums[currency.upper()] += Decimal(str(amount))
    return ", ".join(
        f"{amount:,.{money.exponent(code)}f} {code}"
        for code, amount in sorted(sums.items())
    )
