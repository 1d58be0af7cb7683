import json

from psycopg2.extras import Json

from odoo import api, fields, models
from odoo.tools import SQL

from ..lib.stripe_objects import MODELS, storable, storable_json


class AffiliateStripeMixin(models.AbstractModel):
    """A row that says what Stripe says now about one object.

    Rows are written by :meth:`_upsert` alone: idempotent, and an older fact never
    overwrites a newer one. References to other objects are kept as Stripe ids
    (``*_ref``), so rows may arrive in any order; the many2one fields of
    ``_stripe_links`` are filled as soon as both sides are there.
    """

    _name = "affiliate.stripe.mixin"
    _description = "Mirror of a Stripe object"
    _order = "created desc, id desc"
    _rec_name = "stripe_id"

    # {many2one field: column with the Stripe id of its record}
    _stripe_links = {}

    account_id = fields.Many2one(
        "affiliate.stripe.account",
        string="Stripe account",
        required=True,
        readonly=True,
        ondelete="cascade",
    )
    company_id = fields.Many2one(
        "res.company", required=True, readonly=True, index=True
    )
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

    @api.depends("data")
    def _compute_data_text(self):
        for record in self:
            record.data_text = json.dumps(record.data or {}, indent=2)

    @api.model
    def _upsert(self, account, rows, synced_at):
        """Write ``rows`` of this model, newer facts winning.

        :param account: the ``affiliate.stripe.account`` they belong to
        :param rows: ``lib.stripe_objects.Row`` of this model's kind; at most one a
            Stripe id, all with the same columns
        :param datetime synced_at: when Stripe was asked (database clock, UTC)
        :return: ids of the rows written
        """
        if not rows:
            return []
        # One order of locking for all workers.
        rows = sorted(rows, key=lambda row: row.stripe_id)
        weak = rows[0].weak
        columns = [
            "account_id",
            "company_id",
            "stripe_id",
            "synced_at",
            "data",
            "create_uid",
            "write_uid",
            "create_date",
            "write_date",
            *self._columns(rows[0].values),
        ]
        if "active" not in rows[0].values:
            columns.append("active")
        fixed = (account.id, account.company_id.id)
        values = SQL(", ").join(
            SQL(
                "(%s)",
                SQL(", ").join(
                    SQL("%s", value)
                    for value in (
                        *fixed,
                        row.stripe_id,
                        synced_at,
                        Json(row.data, dumps=storable_json),
                        self.env.uid,
                        self.env.uid,
                        synced_at,
                        synced_at,
                        *self._column_values(account, row.values),
                        *(() if "active" in row.values else (True,)),
                    )
                ),
            )
            for row in rows
        )
        kept = {"account_id", "company_id", "stripe_id", "create_uid", "create_date"}
        table = SQL.identifier(self._table)
        update = SQL(", ").join(
            SQL("%s = EXCLUDED.%s", SQL.identifier(name), SQL.identifier(name))
            for name in columns
            if name not in kept
        )
        on_conflict = (
            SQL("NOTHING")
            if weak
            else SQL(
                "UPDATE SET %s WHERE %s.synced_at <= EXCLUDED.synced_at", update, table
            )
        )
        written = self.env.execute_query(
            SQL(
                """INSERT INTO %s (%s) VALUES %s
                   ON CONFLICT (account_id, stripe_id) DO %s
                   RETURNING id""",
                table,
                SQL(", ").join(map(SQL.identifier, columns)),
                values,
                on_conflict,
            )
        )
        return [row_id for (row_id,) in written]

    @api.model
    def _columns(self, values):
        return ["currency_id" if name == "currency" else name for name in values]

    @api.model
    def _column_values(self, account, values):
        currencies = account._currency_ids()
        # Stripe leaves the mode out of some kinds of objects (refunds).
        if values["livemode"] is None:
            values = {**values, "livemode": account.livemode}
        return [
            currencies[value.upper()]
            if name == "currency" and value
            else storable(value)
            if isinstance(value, str)
            else value
            for name, value in values.items()
        ]

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
    def _link(self, account, written):
        """Fill the many2one fields of rows just written, on either side.

        :param dict written: ``{model name: ids}`` of everything written together
        """
        for field, column in self._stripe_links.items():
            parent = self.env[self._fields[field].comodel_name]
            for side, ids in (
                ("child", written.get(self._name)),
                ("parent", written.get(parent._name)),
            ):
                if not ids:
                    continue
                self.env.cr.execute(
                    SQL(
                        """UPDATE %(table)s child SET %(field)s = parent.id
                             FROM %(parent)s parent
                            WHERE %(side)s.id IN %(ids)s
                              AND child.account_id = %(account)s
                              AND parent.account_id = %(account)s
                              AND parent.stripe_id = child.%(column)s
                              AND child.%(field)s IS DISTINCT FROM parent.id""",
                        table=SQL.identifier(self._table),
                        parent=SQL.identifier(parent._table),
                        field=SQL.identifier(field),
                        column=SQL.identifier(column),
                        side=SQL.identifier(side),
                        ids=tuple(ids),
                        account=account.id,
                    )
                )

    @api.model
    def _mirrored(self, account, stripe_ids):
        """Return which of ``stripe_ids`` are in the mirror already."""
        if not stripe_ids:
            return set()
        found = self.env.execute_query(
            SQL(
                "SELECT stripe_id FROM %s WHERE account_id = %s AND stripe_id IN %s",
                SQL.identifier(self._table),
                account.id,
                tuple(stripe_ids),
            )
        )
        return {stripe_id for (stripe_id,) in found}

    def action_open_in_stripe(self):
        """Open the object in Stripe's dashboard."""
        self.ensure_one()
        mode = "" if self.livemode else "test/"
        return {
            "type": "ir.actions.act_url",
            "url": f"https://dashboard.stripe.com/{mode}search?query={self.stripe_id}",
            "target": "new",
        }

    def action_sync_again(self):
        """Read the object again from Stripe, now."""
        for account, records in self.grouped("account_id").items():
            targets = {target for record in records for target in record._sources()}
            self.env["affiliate.stripe.sync"]._sync_objects(account, targets)
        self.env.invalidate_all()

    def _sources(self):
        """Return the ``{(kind, Stripe id)}`` to read for this row."""
        kinds = {model: kind for kind, model in MODELS.items()}
        return {(kinds[self._name], self.stripe_id)}
