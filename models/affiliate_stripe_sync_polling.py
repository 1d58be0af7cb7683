from odoo import api, fields, models

from ..lib.stripe_client import StripeProblem
from ..lib.stripe_paths import api_path


class AffiliateStripeSync(models.AbstractModel):
    """Asking Stripe for its events, where it cannot call us or a call was lost."""

    _inherit = "affiliate.stripe.sync"

    @api.model
    def _cron_poll(self):
        """Fetch the events of accounts that Stripe cannot call or whose webhook is
        broken, and once a day of the others too: so a lost webhook heals by itself."""
        yesterday = fields.Datetime.subtract(fields.Datetime.now(), days=1)
        accounts = self.env["affiliate.stripe.account"].search(
            [
                ("state", "=", "connected"),
                "|",
                ("backoff_until", "=", False),
                ("backoff_until", "<=", fields.Datetime.now()),
                "|",
                ("delivery", "=", "polling"),
                "|",
                ("webhook_problem", "!=", False),
                "|",
                ("polled_until", "=", False),
                ("polled_until", "<", yesterday),
            ]
        )
        crons = self.env["ir.cron"]
        crons._commit_progress(remaining=len(accounts))
        for account in accounts:
            try:
                self._poll_events(account)
                account._note_success()
            except StripeProblem as problem:
                account._handle_problem(problem)
            crons._commit_progress(1)

    @api.model
    def _poll_events(self, account):
        """Put all events since the last poll into the inbox; seen ones are ignored.

        Events arrive a little late in Stripe's list, so the last minutes are read
        again each time. Where the last poll is so long ago that Stripe has forgotten
        what happened after it, all lists are read.

        :return: how many events were new
        """
        events = self.env["affiliate.stripe.event"]
        started = self._database_now()
        params = {}
        if account.polled_until:
            overlap = int(account.polled_until.timestamp()) - 300
            params["created"] = {"gte": overlap}
        new, asked_at = 0, None
        stripe_api = self._get_api(account)
        for page in stripe_api.pages(api_path("events"), **params):
            # By Stripe's clock: if ours is ahead, the next events would be too old.
            asked_at = asked_at or stripe_api.clock
            with self._transaction() as sync:
                new += sync.env[events._name]._insert(account.id, page)
        with self._transaction() as sync:
            account.with_env(sync.env)._note_polled(min(started, asked_at or started))
        account.invalidate_recordset()
        if new:
            events._wake()
        return new
