import json
import logging

import psycopg2

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL
from odoo.tools.sql import create_index

from ..lib.roles import MANAGER
from ..lib.stripe_client import StripeProblem
from ..lib.stripe_objects import MODELS
from ..lib.stripe_text import storable_json
from ..tools.access import needs

_logger = logging.getLogger(__name__)


class AffiliateStripeMixin(models.AbstractModel):
    """A row that says what Stripe says now about one object.

    Rows are written by :meth:`_upsert` alone: idempotent, and an older fact never
    overwrites a newer one. References to other objects are kept as Stripe ids
    (``*_ref``), so rows may arrive in any order; the many2one fields of
    ``_stripe_links`` are filled as soon as both sides are there.
    """

    _name = "affiliate.stripe.mixin"
    _description = "Mirror of a Stripe object"
    _inherit = ["affiliate.protected"]
    _order = "created desc, id desc"
    _rec_name = "stripe_id"
    # Who wrote is always us, and ``synced_at`` says when: the columns and foreign keys
    # of Odoo's own log would make a third of the work of storing an object.
    _log_access = False

    # {many2one field: column with the Stripe id of its record}
    _stripe_links = {}

    account_id = fields.Many2one(
        "affiliate.stripe.account",
        string="Stripe account",
        required=True,
        readonly=True,
        ondelete="cascade",
    )
    company_id = fields.Many2one(related="account_id.company_id")
    stripe_id = fields.Char(string="Stripe ID", required=True, readonly=True)
    livemode = fields.Boolean(string="Live", readonly=True)
    active = fields.Boolean(
        default=True,
        readonly=True,
        help="Archived or deleted in Stripe where not set.",
    )
    created = fields.Datetime(string="Created in Stripe", readonly=True)
    synced_at = fields.Datetime(
        string="As of",
        readonly=True,
        help="When Stripe was asked; older answers never overwrite newer ones.",
    )
    data = fields.Json(string="Stripe object", readonly=True)
    data_text = fields.Text(string="Stripe object (text)", compute="_compute_data_text")

    _stripe_id_uniq = models.UniqueIndex(
        "(account_id, stripe_id)",
        "This Stripe object is already mirrored.",
    )

    def init(self):  # pylint: disable=missing-return
        super().init()
        for field, column in self._stripe_links.items():
            # Almost empty: only rows that came before what they refer to.
            create_index(
                self.env.cr,
                f"{self._table}_{field}_waiting_idx",
                self._table,
                ["account_id", column],
                where=f"{field} IS NULL AND {column} IS NOT NULL",
            )
        if not self._abstract:
            use_lz4(self.env.cr, self._table, "data")

    @api.depends("data")
    def _compute_data_text(self):
        for record in self:
            record.data_text = json.dumps(record.data or {}, indent=2)

    @api.model
    def _upsert(self, account, rows, synced_at):
        """Write ``rows`` of this model, newer facts winning.

        All of them travel as one JSON document: a hundred objects have thousands of
        values, and each that is a parameter of its own costs more than its storing.

        :param account: the ``affiliate.stripe.account`` they belong to
        :param rows: ``lib.stripe_rows.Row`` of this model's kind; at most one a
            Stripe id, all with the same columns
        :param datetime synced_at: when Stripe was asked (database clock, UTC)
        :return: ids of the rows that are new
        """
        if not rows:
            return []
        # One order of locking for all workers.
        documents = [
            {"stripe_id": row.stripe_id, "data": row.data, **self._row_values(row)}
            for row in sorted(rows, key=lambda row: row.stripe_id)
        ]
        columns = {
            "account_id": SQL("%s", account.id),
            "synced_at": SQL("%s", synced_at),
            "active": SQL("TRUE"),
            **self._columns_of(account, documents[0]),
        }
        written = self.env.execute_query(
            SQL(
                """INSERT INTO %(table)s (%(columns)s)
                   SELECT %(values)s FROM jsonb_to_recordset(%(rows)s) AS row(%(types)s)
                   ON CONFLICT (account_id, stripe_id) DO %(conflict)s
                   RETURNING id, xmax = 0""",
                table=SQL.identifier(self._table),
                columns=SQL(", ").join(map(SQL.identifier, columns)),
                values=SQL(", ").join(columns.values()),
                rows=storable_json(documents),
                types=SQL(", ").join(map(self._typed, documents[0])),
                conflict=(
                    SQL("NOTHING") if rows[0].weak else self._on_conflict(columns)
                ),
            )
        )
        return [row_id for row_id, is_new in written if is_new]

    @api.model
    def _columns_of(self, account, document):
        """Return ``{column: what it takes from a document of _upsert}``."""
        columns = {name: SQL.identifier("row", name) for name in document}
        if "livemode" in columns:
            # Stripe leaves the mode out of some kinds of objects (refunds).
            columns["livemode"] = SQL("COALESCE(row.livemode, %s)", account.livemode)
        if columns.pop("currency", None):
            columns["currency_id"] = SQL(
                "(SELECT id FROM res_currency WHERE name = UPPER(row.currency))"
            )
        for field, column in self._stripe_links.items():
            if column in columns:
                parent = self.env[self._fields[field].comodel_name]
                columns[field] = SQL(
                    "(SELECT id FROM %s WHERE account_id = %s AND stripe_id = %s)",
                    SQL.identifier(parent._table),
                    account.id,
                    SQL.identifier("row", column),
                )
        return columns

    @api.model
    def _typed(self, name):
        """Return the name and type of a column of the documents of ``_upsert``."""
        kind = "varchar" if name == "currency" else self._fields[name].column_type[1]
        return SQL("%s %s", SQL.identifier(name), SQL(kind))

    @api.model
    def _on_conflict(self, columns):
        kept = {"account_id", "stripe_id"}
        update = SQL(", ").join(
            SQL("%s = EXCLUDED.%s", SQL.identifier(name), SQL.identifier(name))
            for name in columns
            if name not in kept
        )
        table = SQL.identifier(self._table)
        return SQL(
            "UPDATE SET %s WHERE %s.synced_at <= EXCLUDED.synced_at", update, table
        )

    @api.model
    def _archive_missing(self, account, stripe_ids, synced_at):
        """Archive rows that Stripe says are deleted; nothing else is forgotten."""
        self.env.cr.execute(
            SQL(
                """UPDATE %s SET active = FALSE, synced_at = %s
                    WHERE account_id = %s AND stripe_id IN %s AND synced_at <= %s""",
                SQL.identifier(self._table),
                synced_at,
                account.id,
                tuple(stripe_ids),
                synced_at,
            )
        )

    @api.model
    def _row_values(self, row):
        """Return ``{column: value}`` of a ``Row``; extend to add columns."""
        return row.values

    @api.model
    def _link_waiting(self, account, new):
        """Link rows that came before what they refer to.

        :param dict new: ``{model name: ids}`` of rows just inserted
        """
        for field, column in self._stripe_links.items():
            parent = self.env[self._fields[field].comodel_name]
            if not (ids := new.get(parent._name)):
                continue
            self.env.cr.execute(
                SQL(
                    """UPDATE %(table)s child SET %(field)s = parent.id
                         FROM %(parent)s parent
                        WHERE parent.id IN %(ids)s
                          AND child.account_id = %(account)s
                          AND child.%(column)s = parent.stripe_id
                          AND child.%(field)s IS NULL
                          AND child.%(column)s IS NOT NULL""",
                    table=SQL.identifier(self._table),
                    parent=SQL.identifier(parent._table),
                    field=SQL.identifier(field),
                    column=SQL.identifier(column),
                    ids=tuple(ids),
                    account=account.id,
                )
            )

    @api.model
    def _mirrored(self, account, stripe_ids):
        """Return which of ``stripe_ids`` are in the mirror already."""
        if not stripe_ids:
            return set()
        rows = self.env.execute_query(
            SQL(
                "SELECT stripe_id FROM %s WHERE account_id = %s AND stripe_id IN %s",
                SQL.identifier(self._table),
                account.id,
                tuple(stripe_ids),
            )
        )
        return {stripe_id for (stripe_id,) in rows}

    @api.model
    def _changed_by_use(self, account, stripe_ids):
        """Return which of ``stripe_ids`` change when something that refers to them
        happens, which no event tells: they are read again each time."""
        return set()

    @needs("read")
    def action_open_in_stripe(self):
        """Open the object in Stripe's dashboard."""
        self.ensure_one()
        mode = "" if self.livemode else "test/"
        return {
            "type": "ir.actions.act_url",
            "url": f"https://dashboard.stripe.com/{mode}search?query={self.stripe_id}",
            "target": "new",
        }

    @needs("read", MANAGER)
    def action_sync_again(self):
        """Read the object again from Stripe, now."""
        for account, records in self.grouped("account_id").items():
            targets = {target for record in records for target in record._sources()}
            try:
                self.env["affiliate.stripe.sync"]._sync_objects(account, targets)
            except StripeProblem as problem:
                raise UserError(account._problem_text(problem)) from problem
        self.env.invalidate_all()

    def _sources(self):
        """Return the ``{(kind, Stripe id)}`` to read for this row."""
        kinds = {model: kind for kind, model in MODELS.items()}
        return {(kinds[self._name], self.stripe_id)}


def use_lz4(cr, table, column):
    """Compress large values with lz4 where PostgreSQL can: faster than its default."""
    try:
        with cr.savepoint(flush=False):
            cr.execute(
                SQL(
                    "ALTER TABLE %s ALTER COLUMN %s SET COMPRESSION lz4",
                    SQL.identifier(table),
                    SQL.identifier(column),
                )
            )
    except psycopg2.Error:
        # Older than 14, or built without it.
        _logger.info("PostgreSQL has no lz4: %s is stored its usual way", table)
