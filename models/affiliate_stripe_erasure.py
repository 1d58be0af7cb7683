from psycopg2.extras import Json

from odoo import api, fields, models
from odoo.tools import SQL

from ..lib import erasure
from ..lib.stripe_text import storable_json


class AffiliateStripeCustomer(models.Model):
    """Customers whose personal data are erased stay so, whatever Stripe still tells."""

    _inherit = "affiliate.stripe.customer"

    erased_at = fields.Datetime(
        string="Erased",
        readonly=True,
        copy=False,
        help="The personal data were erased; amounts and ids are left.",
    )

    def _objects(self, kind):
        """Return ``[(id, Stripe id, object)]`` of a kind, of these customers."""
        refs = tuple(self.mapped("stripe_id"))
        if not refs:
            return []
        table = SQL.identifier(f"affiliate_stripe_{kind}")
        if owner := erasure.BELONGS_TO.get(kind):
            which = SQL(
                "%(column)s IN (SELECT stripe_id FROM %(owner)s"
                " WHERE account_id IN %(accounts)s AND customer_ref IN %(refs)s)",
                column=SQL.identifier(f"{owner}_ref"),
                owner=SQL.identifier(f"affiliate_stripe_{owner}"),
                accounts=tuple(self.account_id.ids),
                refs=refs,
            )
        else:
            column = "stripe_id" if kind == "customer" else "customer_ref"
            which = SQL("%s IN %s", SQL.identifier(column), refs)
        return self.env.execute_query(
            SQL(
                "SELECT id, stripe_id, data FROM %s"
                " WHERE account_id IN %s AND %s ORDER BY id",
                table,
                tuple(self.account_id.ids),
                which,
            )
        )

    def _erase(self):
        """Replace what says who these customers are, in all that is mirrored."""
        self.filtered(lambda c: not c.erased_at).erased_at = fields.Datetime.now()
        self.env.flush_all()
        for kind in erasure.KINDS:
            _erase_objects(self.env.cr, kind, self._objects(kind))
        self.env.invalidate_all()

    def _forget_payloads(self):
        """Events hold copies of what they tell of; nothing computed needs them."""
        # A guest is named after his payment.
        _forget_payloads(self, lambda c: c.stripe_id.removeprefix("guest_"))

    @api.autovacuum
    def _gc_payloads_of_erased(self):
        """What came in since, e.g. of kinds that are not mirrored."""
        self.with_context(active_test=False).search(
            [("erased_at", "!=", False)]
        )._forget_payloads()


class AffiliateStripeCheckoutSession(models.Model):
    """Sessions without a customer, whose address is all that says whose they are."""

    _inherit = "affiliate.stripe.checkout.session"

    def _erase(self):
        """Replace what says who completed these sessions, also in the events."""
        self.erased_at = fields.Datetime.now()
        self.env.flush_all()
        objects = [(row.id, row.stripe_id, row.data) for row in self]
        _erase_objects(self.env.cr, "checkout_session", objects)
        _forget_payloads(self, lambda session: session.stripe_id)
        self.env.invalidate_all()


def _erase_objects(cr, kind, objects):
    """Replace the personal data of mirrored objects.

    :param objects: ``[(id, Stripe id, object)]``
    """
    columns = SQL("").join(
        SQL(", %s = NULL", SQL.identifier(column))
        for column in erasure.COLUMNS.get(kind, ())
    )
    for row_id, _ref, raw in objects:
        cr.execute(
            SQL(
                "UPDATE %s SET data = %s%s WHERE id = %s",
                SQL.identifier(f"affiliate_stripe_{kind}"),
                Json(erasure.erase(kind, raw or {}), dumps=storable_json),
                columns,
                row_id,
            )
        )


def _forget_payloads(records, name):
    """Forget what events hold of mirrored objects.

    :param name: of a record: what stands in the payloads of its events
    """
    for account, named in records.grouped("account_id").items():
        records.env.cr.execute(
            """UPDATE affiliate_stripe_event SET payload = NULL
                WHERE account_id = %s AND payload IS NOT NULL
                  AND payload::text LIKE ANY(%s)""",
            [account.id, [f"%{name(record)}%" for record in named]],
        )


class AffiliateStripeSync(models.AbstractModel):
    _inherit = "affiliate.stripe.sync"

    @api.model
    def _after_store(self, account, customer_refs):
        self._erase_again(account, customer_refs)
        return super()._after_store(account, customer_refs)

    @api.model
    def _after_store_page(self, account, customer_refs, purpose):
        self._erase_again(account, customer_refs)
        return super()._after_store_page(account, customer_refs, purpose)

    @api.model
    def _erase_again(self, account, customer_refs):
        """What Stripe told anew of erased customers is gone before anybody sees it:
        this is the transaction that stored it."""
        self.env["affiliate.stripe.customer"].with_context(active_test=False).search(
            [
                ("account_id", "=", account.id),
                ("stripe_id", "in", list(customer_refs)),
                ("erased_at", "!=", False),
            ]
        )._erase()
