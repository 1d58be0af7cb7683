import logging

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL
from odoo.tools.misc import formatLang

from ..tools.access import needs

_logger = logging.getLogger(__name__)

# Customers computed in one transaction: what one worker may lose when it is killed.
BATCH = 200
# What a page of a run makes of the customers it may have changed, and of which of them.
MAKES_DUE = {
    "read": (SQL("ledger_due = TRUE, ledger_dry = NULL"), SQL("TRUE")),
    "preview": (SQL("ledger_dry = TRUE"), SQL("ledger_dry IS NOT TRUE")),
    "nightly": (SQL("ledger_due = TRUE"), SQL("ledger_dry IS NOT TRUE")),
    # A comparison books nothing itself: the nightly check computes whom it marks.
    "compare": (SQL("ledger_due = TRUE"), SQL("ledger_dry IS NOT TRUE")),
}


class AffiliateStripeCustomer(models.Model):
    _inherit = "affiliate.stripe.customer"

    # Pages of a run have changed what this customer may have earned somebody. The run
    # computes it in its last stage; where it cannot, the next one does.
    ledger_due = fields.Boolean(readonly=True, copy=False)
    # Only a dry run has read what he may have earned. It is booked when the dry run is,
    # when a person has everything read, or when an event tells that something happened
    # to him; the nightly check, which nobody asked for, leaves him alone.
    ledger_dry = fields.Boolean(readonly=True, copy=False)

    ledger_problem = fields.Char(
        string="Commissions cannot be computed",
        readonly=True,
        copy=False,
        help="Tried again each night; payments of other customers go on.",
    )

    _ledger_due_idx = models.Index("(account_id, id) WHERE ledger_due")
    _ledger_dry_idx = models.Index("(account_id, id) WHERE ledger_dry")
    _ledger_problem_idx = models.Index("(account_id) WHERE ledger_problem IS NOT NULL")


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
    def _customers_after(self, last, account):
        """Return the customers of an account's ledger rows after one."""
        return self.search(
            [("id", ">", last), ("stripe_account_id", "=", account.id)]
        ).customer_id

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
    def _after_store(self, account, customer_refs):
        """Whom an event had computed is due no more, whoever made him so."""
        result = super()._after_store(account, customer_refs)
        if customer_refs and account.timezone:
            self.env.cr.execute(
                """UPDATE affiliate_stripe_customer
                      SET ledger_due = NULL, ledger_dry = NULL, ledger_problem = NULL
                    WHERE account_id = %s AND stripe_id IN %s
                      AND (ledger_due OR ledger_dry)""",
                [account.id, tuple(customer_refs)],
            )
        return result

    @api.model
    def _after_store_page(self, account, customer_refs, purpose):
        result = super()._after_store_page(account, customer_refs, purpose)
        change, where = MAKES_DUE[purpose]
        if customer_refs:
            self.env.cr.execute(
                SQL(
                    """UPDATE affiliate_stripe_customer SET %s
                        WHERE account_id = %s AND stripe_id IN %s
                          AND ledger_due IS NOT TRUE AND %s""",
                    change,
                    account.id,
                    tuple(customer_refs),
                    where,
                )
            )
        return result


class AffiliateStripeAccount(models.Model):
    _inherit = "affiliate.stripe.account"

    def _open_domain(self, kind, before):
        """Nothing is asked of people whom only a dry run has read: see ledger_dry."""
        domain = super()._open_domain(kind, before)
        if kind == "payout":
            return domain
        way = "charge_id." if kind in ("dispute", "refund") else ""
        return domain & ~Domain(f"{way}customer_id.ledger_dry", "=", True)

    def _warnings(self):
        texts = super()._warnings()
        count = (
            self.env["affiliate.stripe.customer"]
            .sudo()
            .with_context(active_test=False)
            .search_count(
                [("account_id", "=", self.id), ("ledger_problem", "!=", False)]
            )
        )
        if count:
            texts.append(
                self.env._(
                    "Customers whose commissions cannot be computed: %s. Open "
                    "“Customers”, filter by “Cannot be computed”, and read why.",
                    count,
                )
            )
        return texts


class AffiliateStripeRun(models.Model):
    """The last stage of a run: each customer's ledger once, not once a page."""

    _inherit = "affiliate.stripe.run"

    @needs("write", sudo=True)
    def action_book(self):
        """What dry runs have found is due now, as after any reading."""
        ready = self.filtered(lambda run: run.state == "ready")
        self.env["affiliate.stripe.customer"].sudo().with_context(
            active_test=False
        ).search(
            [("account_id", "in", ready.account_id.ids), ("ledger_dry", "=", True)]
        ).write({"ledger_due": True, "ledger_dry": False})
        return super().action_book()

    @api.model
    def _compute_later(self, after):
        account = self.account_id
        self.env["affiliate.stripe.sync"]._lock(account)
        customers = self._due(account, int(after or 0))
        if self.purpose == "preview":
            self._preview(account, customers, int(after or 0))
        else:
            # Flags are cleared with the rows they stand for, in one transaction.
            computed = self._refresh_each(account, customers)
            if account.timezone:  # else they wait for it
                self._clear_due(computed)
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
        except Exception as error:
            self.env.invalidate_all(flush=False)
            if len(customers) == 1:
                _logger.exception(
                    "The ledger of customer %s cannot be computed", customers.id
                )
                customers.ledger_problem = f"{type(error).__name__}: {error}"[:500]
                return customers.browse()
        return customers.browse().union(
            *(self._refresh_each(account, customer) for customer in customers)
        )

    def _preview(self, account, customers, after):
        """Compute a batch, note what would be booked, and forget it."""
        referrals = self.env["affiliate.referral"]
        ledger = self.env["affiliate.commission"]
        # Who has several customers was shown with the first of them that is due.
        for person in referrals._people(account, customers):
            if any(c.id <= after and (c.ledger_due or c.ledger_dry) for c in person):
                customers -= person
        with self.env.cr.savepoint() as savepoint:
            last = ledger._last_id()
            computed = self._refresh_each(account, customers)
            found = ledger._sums_after(last, account)
            earning = ledger._customers_after(last, account)
            savepoint.rollback()
        self.env.invalidate_all(flush=False)
        held = earning.union(*referrals._people(account, earning))
        self._hold(held, computed - held)
        preview = dict(self.preview or {})
        for affiliate, currency, rows, amount in found:
            name = f"{affiliate.display_name}, {currency.name}"
            before = preview.get(name, [0, "", 0.0])
            total = currency.round(before[2] + amount)
            shown = formatLang(self.env, total, currency_obj=currency)
            preview[name] = [before[0] + rows, shown, total]
        self.preview = preview

    def _hold(self, held, others):
        """Leave to a person whether ``held`` are booked.

        ``others`` earn nothing new: whichever run is next may compute them.
        """
        held.filtered(lambda c: not c.ledger_due).ledger_dry = True
        others.write({"ledger_due": True, "ledger_dry": False})
        self.env.flush_all()

    def _due(self, account, after=0):
        """Return the next customers to compute, and keep them for us."""
        dry = SQL("OR ledger_dry") if self.purpose == "preview" else SQL()
        self.env.cr.execute(
            SQL(
                """SELECT id FROM affiliate_stripe_customer
                    WHERE account_id = %s AND (ledger_due %s) AND id > %s
                 ORDER BY id LIMIT %s FOR UPDATE""",
                account.id,
                dry,
                after,
                BATCH,
            )
        )
        ids = [row_id for (row_id,) in self.env.cr.fetchall()]
        return self.env["affiliate.stripe.customer"].browse(ids)

    def _clear_due(self, customers):
        customers.write(
            {"ledger_due": False, "ledger_dry": False, "ledger_problem": False}
        )
        self.env.flush_all()
