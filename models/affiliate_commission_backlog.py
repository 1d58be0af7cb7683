import logging

from odoo import api, fields, models
from odoo.tools import SQL
from odoo.tools.misc import formatLang

_logger = logging.getLogger(__name__)

# Customers computed in one transaction: what one worker may lose when it is killed.
BATCH = 200


class AffiliateStripeCustomer(models.Model):
    _inherit = "affiliate.stripe.customer"

    # Pages of a run have changed what this customer may have earned somebody.
    ledger_due = fields.Boolean(readonly=True, copy=False)

    _ledger_due_idx = models.Index("(account_id, id) WHERE ledger_due")


class AffiliateCommission(models.Model):
    """What would be booked, without booking it."""

    _inherit = "affiliate.commission"

    @api.model
    def _rehearse(self, account, act):
        """Return what ``act`` would book, and forget it.

        :param act: called with an environment of a transaction of its own
        :return: ``[(affiliate's name, rows, sum with currency)]``
        """
        self.env.flush_all()
        with self.env["affiliate.stripe.sync"]._transaction() as own:
            ledger = own.env[self._name]
            last = ledger._last_id()
            act(own.env)
            own.env.flush_all()
            told = [
                (affiliate.display_name, count, currency.format(amount))
                for affiliate, currency, count, amount in ledger._sums_after(
                    last, account
                )
            ]
            own.env.cr.rollback()
        return told

    @api.model
    def _last_id(self):
        self.env.cr.execute("SELECT COALESCE(MAX(id), 0) FROM affiliate_commission")
        return self.env.cr.fetchone()[0]

    @api.model
    def _sums_after(self, last, account):
        """Return ``[(affiliate, currency, rows, sum)]`` of an account's ledger rows
        after one."""
        return self._read_group(
            [("id", ">", last), ("stripe_account_id", "=", account.id)],
            ["affiliate_id", "currency_id"],
            ["__count", "amount:sum"],
        )


class AffiliateStripeSync(models.AbstractModel):
    _inherit = "affiliate.stripe.sync"

    @api.model
    def _after_store_later(self, account, customer_refs):
        result = super()._after_store_later(account, customer_refs)
        if customer_refs:
            self.env.cr.execute(
                """UPDATE affiliate_stripe_customer SET ledger_due = TRUE
                    WHERE account_id = %s AND stripe_id IN %s
                      AND ledger_due IS NOT TRUE""",
                [account.id, tuple(customer_refs)],
            )
        return result


class AffiliateStripeRun(models.Model):
    """The last stage of a run: each customer's ledger once, not once a page."""

    _inherit = "affiliate.stripe.run"

    @api.model
    def _compute_later(self, after):
        account = self.account_id
        self.env["affiliate.stripe.sync"]._lock(account)
        customers = self._due(account, int(after or 0))
        if self.purpose == "preview":
            self._preview(account, customers)
        else:
            # Flags are cleared with the rows they stand for, in one transaction.
            self._clear_due(self._refresh_each(account, customers))
        return len(customers), str(customers[-1:].id) if customers else None

    def _refresh_each(self, account, customers):
        """Compute the ledger of these customers; return those that could be computed.

        One that cannot stays due for the next run, and does not hold up the others.
        """
        try:
            with self.env.cr.savepoint():
                self.env["affiliate.referral"]._refresh(account, customers)
                self.env.flush_all()
            return customers
        except Exception:
            self.env.invalidate_all(flush=False)
            if len(customers) == 1:
                _logger.exception(
                    "The ledger of customer %s cannot be computed", customers.id
                )
                return customers.browse()
        return customers.browse().union(
            *(self._refresh_each(account, customer) for customer in customers)
        )

    def _preview(self, account, customers):
        """Compute a batch, note what would be booked, and forget it."""
        preview = dict(self.preview or {})
        with self.env.cr.savepoint() as savepoint:
            last = self.env["affiliate.commission"]._last_id()
            self._refresh_each(account, customers)
            found = self.env["affiliate.commission"]._sums_after(last, account)
            savepoint.rollback()
        self.env.invalidate_all(flush=False)
        for affiliate, currency, rows, amount in found:
            name = f"{affiliate.display_name}, {currency.name}"
            before = preview.get(name, [0, "", 0.0])
            total = currency.round(before[2] + amount)
            shown = formatLang(self.env, total, currency_obj=currency)
            preview[name] = [before[0] + rows, shown, total]
        self.preview = preview

    def _due(self, account, after=0):
        """Return the next customers to compute, and keep them for us."""
        self.env.cr.execute(
            """SELECT id FROM affiliate_stripe_customer
                WHERE account_id = %s AND ledger_due AND id > %s
             ORDER BY id LIMIT %s FOR UPDATE""",
            [account.id, after, BATCH],
        )
        ids = [row_id for (row_id,) in self.env.cr.fetchall()]
        return self.env["affiliate.stripe.customer"].browse(ids)

    def _clear_due(self, customers):
        if customers:
            self.env.cr.execute(
                SQL(
                    "UPDATE affiliate_stripe_customer SET ledger_due = NULL"
                    " WHERE id IN %s",
                    tuple(customers.ids),
                )
            )
