import time
from collections import defaultdict
from contextlib import contextmanager
from datetime import timedelta

from psycopg2.extensions import ISOLATION_LEVEL_READ_COMMITTED, STATUS_READY

from odoo import SUPERUSER_ID, api, models
from odoo.sql_db import Cursor
from odoo.tools import SQL

from ..lib.stripe_client import StripeProblem
from ..lib.stripe_objects import MODELS, guest_id
from ..tools.addresses import email_key

# How long a visitor waits for what somebody else has locked.
PATIENCE = "500ms"
# Whose invoice each payment pays.
_PAID = SQL(
    """(SELECT paid.customer_ref, paid.account_id, payment.payment_intent
          FROM affiliate_stripe_invoice_payment payment
          JOIN affiliate_stripe_invoice paid
            ON paid.account_id = payment.account_id
           AND paid.stripe_id = payment.invoice_ref)"""
)


class AffiliateStripeSync(models.AbstractModel):
    """The engine: read objects from Stripe, store them, tell the business part.

    Webhooks, polling, "Sync now" and the buttons on mirror rows are only callers.
    Reading (affiliate_stripe_sync_reading.py) happens with no transaction open;
    everything read is written in one.
    """

    _name = "affiliate.stripe.sync"
    _description = "Stripe synchronisation"

    # === CURSORS AND CLOCKS === #

    @contextmanager
    def _transaction(self):
        """Yield this model in a READ COMMITTED transaction of its own."""
        with read_committed(self.env.registry) as cr:
            yield self.with_env(
                api.Environment(cr, SUPERUSER_ID, {"active_test": False})
            )

    @contextmanager
    def _statements(self):
        """Yield a cursor on which each statement is a transaction of its own.

        For the reception of webhooks, where BEGIN, COMMIT, an environment and another
        connection would cost more than the statements. READ COMMITTED too, and durable
        at once. The request's own connection does it where it has nothing open yet (it
        has while caches are filled); it stays in this mode until the pool lends it out
        again.
        """
        cr = self.env.cr
        if isinstance(cr, Cursor) and cr.connection.status == STATUS_READY:
            cr.connection.autocommit = True
            yield cr
        else:
            with self.env.registry.cursor() as own:
                if isinstance(own, Cursor):
                    own.connection.autocommit = True
                yield own

    @api.model
    def _hurry(self, cr, statement=None):
        """Execute a statement for a visitor, who waits for no lock longer than
        PATIENCE; nor does what follows on this connection until the pool lends it out
        again.

        :raise psycopg2.errors.LockNotAvailable: it would have to wait longer
        """
        query = SQL("SET lock_timeout = %s", PATIENCE)
        if statement:  # together they are one way to the database
            query = SQL("%s; %s", query, statement)
        cr.execute(query, log_exceptions=False)  # a lock is no error, others are raised

    @api.model
    def _get_api(self, account):
        """Return the account's ``StripeApi`` and leave no transaction open."""
        with self._transaction() as own:
            return account.with_env(own.env)._api()

    @api.model
    def _get_clock(self):
        """Return a function that tells the database's time, also in threads."""
        started, now = time.monotonic(), self._database_now()
        return lambda: now + timedelta(seconds=time.monotonic() - started)

    @api.model
    def _database_now(self):
        """Return the database's clock, UTC: the same for all machines."""
        with self._transaction() as sync:
            sync.env.cr.execute("SELECT clock_timestamp() AT TIME ZONE 'UTC'")
            return sync.env.cr.fetchone()[0]

    # === STORING === #

    @api.model
    def _store(self, account, readings, synced_at, deleted=(), purpose=None):
        """Write what was read, then let the business part react. One transaction.

        :param readings: ``Reading`` of objects of this account
        :param datetime synced_at: database clock when Stripe was asked
        :param deleted: ``{(kind, stripe id)}`` that Stripe says are gone
        :param str purpose: of the run that stores a page: the business part only takes
            note, as more is to come
        """
        self._lock(account)
        rows = _distinct_rows(readings)
        account._activate_currencies({row.values.get("currency") for row in rows})
        new = defaultdict(list)
        for (kind, _weak, _columns), group in _grouped(rows).items():
            model = self.env[MODELS[kind]]
            new[model._name] += model._upsert(account, group, synced_at)
        self._forget_lines(account, rows)
        self._note_moments(account, readings, rows)
        for kind, stripe_id in deleted:
            self.env[MODELS[kind]]._archive_missing(account, [stripe_id], synced_at)
        for model in MODELS.values():
            self.env[model]._link_waiting(account, new)
        self.env.invalidate_all()
        stored = defaultdict(set)
        for kind, stripe_id in {*((row.kind, row.stripe_id) for row in rows), *deleted}:
            stored[kind].add(stripe_id)
        self._after_mirror(account, stored)
        touched = self._touched_customers(account, rows)
        if purpose:
            self._after_store_page(account, touched, purpose)
        else:
            self._after_store(account, touched)

    @api.model
    def _after_mirror(self, account, stored):
        """Hook: these objects were written, or archived; before anything is booked.

        :param dict stored: ``{kind: {Stripe id}}``
        """

    @api.model
    def _forget_lines(self, account, rows):
        """Forget lines that the newest reading of their invoice has no more."""
        invoices = tuple(row.stripe_id for row in rows if row.kind == "invoice")
        if invoices:
            self.env.cr.execute(
                """DELETE FROM affiliate_stripe_invoice_line line
                         USING affiliate_stripe_invoice invoice
                         WHERE line.account_id = %s AND invoice.account_id = %s
                           AND invoice.stripe_id IN %s
                           AND line.invoice_ref = invoice.stripe_id
                           AND line.synced_at < invoice.synced_at""",
                [account.id, account.id, invoices],
            )

    @api.model
    def _note_moments(self, account, readings, rows):
        """Keep what events say about when charges were paid, with the charges."""
        charges = {row.stripe_id for row in rows if row.kind == "charge"}
        if charges:
            told = [told for reading in readings for told in reading.moments]
            self.env["affiliate.stripe.charge"]._note_moments(account, charges, told)

    @api.model
    def _after_store(self, account, customer_refs):
        """Hook: the mirror of these customers (Stripe ids) has changed."""

    @api.model
    def _after_store_page(self, account, customer_refs, purpose):
        """Hook: the same for a page of a run, whose ``_compute_later`` will ask."""

    @api.model
    def _lock(self, account):
        """Be the only writer of this account until the transaction ends.

        In a READ COMMITTED transaction whoever waited here sees all that was written
        before. In a request's own (REPEATABLE READ) one the unique indexes of ledger
        and bindings still refuse anything double.
        """
        self.env.cr.execute(
            "SELECT pg_advisory_xact_lock(hashtext('affiliate_stripe_account'), %s)",
            [account.id],
        )

    @api.model
    def _try_lock(self, account):
        """Be the only writer of this account as by ``_lock``, without waiting.

        :return: whether it was free
        """
        self.env.cr.execute(
            "SELECT pg_try_advisory_xact_lock("
            "hashtext('affiliate_stripe_account'), %s)",
            [account.id],
        )
        return self.env.cr.fetchone()[0]

    @api.model
    def _touched_customers(self, account, rows):
        """Return the Stripe ids of the customers whose facts ``rows`` may change.

        A payment may be in another name than the invoice it pays, and a guest's may
        have been given to a customer: all of them are touched. So is whoever has the
        address of a session without customer.
        """
        touched = {row.stripe_id for row in rows if row.kind == "customer"}
        touched.update(row.values.get("customer_ref") for row in rows)
        touched.update(
            guest_id(row.values["payment_intent"] or row.stripe_id)
            for row in rows
            if row.kind == "charge"
        )
        emails = {
            email_key(row.values["email"]) or None
            for row in rows
            if row.kind == "checkout_session" and not row.values["customer_ref"]
        }
        charges = {row.values.get("charge_ref") for row in rows}
        intents = {row.values.get("payment_intent") for row in rows}
        invoices = {
            row.values["invoice_ref"] for row in rows if row.kind == "invoice_payment"
        }
        charge, invoice, customer = (
            SQL.identifier(f"affiliate_stripe_{kind}")
            for kind in ("charge", "invoice", "customer")
        )
        found = [
            SQL(
                "SELECT %s FROM %s named WHERE account_id = %s AND %s IN %s",
                SQL.identifier(name),
                table,
                account.id,
                SQL.identifier(column),
                tuple(refs - {None}),
            )
            for name, table, column, refs in (
                ("customer_ref", charge, "stripe_id", charges),
                ("customer_ref", charge, "payment_intent", intents),
                ("customer_ref", invoice, "stripe_id", invoices),
                ("customer_ref", _PAID, "payment_intent", intents),
                ("stripe_id", customer, "email_normalized", emails),
            )
            if refs - {None}
        ]
        if found:
            query = SQL(" UNION ").join(found)
            touched.update(ref for (ref,) in self.env.execute_query(query))
        touched.discard(None)
        return touched

    # === READING AND STORING === #

    @api.model
    def _sync_objects(self, account, targets):
        """Read these objects now and store them in one transaction.

        :param targets: ``{(kind, stripe id)}``
        :raise StripeProblem: the first problem that is not "deleted"
        """
        synced_at = self._database_now()
        results = self._read_objects(account, targets)
        readings, deleted = [], set()
        for target, result in results.items():
            if not isinstance(result, StripeProblem):
                readings += result
            elif result.code == "missing":
                deleted.add(target)
            else:
                raise result
        with self._transaction() as sync:
            sync._store(account.with_env(sync.env), readings, synced_at, deleted)


@contextmanager
def read_committed(registry):
    """Yield a cursor in a READ COMMITTED transaction of its own; also in threads.

    Odoo's default, REPEATABLE READ, would show us after waiting for a lock what was
    true before it, and lets two inserts of one row fail. In test mode all cursors are
    one, whose level cannot be changed any more.
    """
    with registry.cursor() as cr:
        if isinstance(cr, Cursor):
            # Part of BEGIN, not a statement of its own: webhooks wait for this.
            cr.connection.set_isolation_level(ISOLATION_LEVEL_READ_COMMITTED)
        yield cr


def _distinct_rows(readings):
    """Return the rows of all readings, one an object, first-hand before weak."""
    rows = {}
    for reading in readings:
        for row in reading.rows:
            key = (row.kind, row.stripe_id)
            if key not in rows or (rows[key].weak and not row.weak):
                rows[key] = row
    return list(rows.values())


def _grouped(rows):
    """Group rows that can be written by one statement, in the order of KINDS: what
    others refer to comes first, so that they find it."""
    groups = defaultdict(list)
    order = {kind: number for number, kind in enumerate(MODELS)}
    for row in sorted(rows, key=lambda row: order[row.kind]):
        groups[row.kind, row.weak, tuple(row.values)].append(row)
    return groups
