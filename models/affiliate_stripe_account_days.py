from odoo import api, fields, models
from odoo.exceptions import UserError

from odoo.addons.base.models.res_partner import _tz_get

from ..lib import days
from ..lib.stripe_client import StripeProblem
from ..lib.stripe_paths import api_path
from ..tools.access import needs


class AffiliateStripeAccount(models.Model):
    """Which day it is for the business: that of its Stripe account's time zone, so that
    months here are those of Stripe's dashboard."""

    _inherit = "affiliate.stripe.account"

    timezone = fields.Selection(
        _tz_get,
        string="Time zone",
        readonly=True,
        copy=False,
        tracking=True,
        help="The time zone of your Stripe account. The days and months of "
        "commissions, settlements and bills follow it. If it changes in "
        "Stripe, new payments follow the new one; what is already booked "
        "keeps its date.",
    )
    # [[since when or None, time zone], …], the oldest first: see lib/days.py.
    timezones = fields.Json(readonly=True, copy=False)
    is_timezone_told = fields.Boolean(
        string="Time zone read from Stripe", readonly=True, copy=False
    )
    is_timezone_missing = fields.Boolean(compute="_compute_is_timezone_missing")

    @api.depends("timezone", "state")
    def _compute_is_timezone_missing(self):
        for account in self:
            account.is_timezone_missing = (
                account.state != "draft" and not account.timezone
            )

    # === DAYS === #

    def _day_of(self, moment):
        """Return the day (date) of the business on which a moment (UTC) is."""
        self.ensure_one()
        return days.day_of(moment, self.sudo().timezones)

    def _today(self):
        """Return which day it is for the business; for several, the earliest."""
        now = fields.Datetime.now()
        return min(
            (account._day_of(now) for account in self),
            default=fields.Date.context_today(self),
        )

    def _start_of(self, day):
        """Return the moment (UTC) at which a day of the business begins."""
        self.ensure_one()
        return days.start_of(day, self.sudo().timezones)

    @api.model
    def _by_today(self):
        """Return ``{day: accounts}``: which day it is for each account there is."""
        everyone = self.sudo().with_context(active_test=False)
        return everyone.search([("state", "!=", False)]).grouped(
            lambda account: account._today()
        )

    @api.model
    def _of_company(self, company):
        """Return the accounts of a company whose days are known."""
        return self.sudo().search(
            [("company_id", "=", company.id), ("timezone", "!=", False)]
        )

    # === KNOWING THE TIME ZONE === #

    def _note_timezone(self, stripe_account):
        """Take over the time zone of a Stripe account as the API shows it."""
        settings = stripe_account.get("settings") or {}
        name = (settings.get("dashboard") or {}).get("timezone")
        # One that is newer than our list of time zones has to be chosen by hand.
        self.is_timezone_told = name in days.NAMES
        if self.is_timezone_told:
            self._set_timezone(name)

    def _refresh_timezone(self):
        """Ask Stripe again; where that fails now, another day will do."""
        self.ensure_one()
        try:
            stripe_account = self._api().get(api_path("account"))
        except (StripeProblem, UserError):
            return
        self._note_timezone(stripe_account)

    def _set_timezone(self, name):
        """Count days by a time zone: all where none was known, else from now on."""
        self.ensure_one()
        if name == self.timezone:
            return
        known, since = self.timezones or [], None
        if known:
            since = fields.Datetime.now().isoformat()
        self.write({"timezone": name, "timezones": [*known, [since, name]]})
        if not known and self.state == "connected":
            # What was read meanwhile waits to be booked.
            self._start_run("nightly")
        self._update_warning()

    @needs("write")
    def action_choose_timezone(self):
        """Open the dialog that asks for the time zone."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Time zone of your Stripe account"),
            "res_model": "affiliate.timezone.wizard",
            "view_mode": "form",
            "target": "new",
            "context": {"default_account_id": self.id},
        }

    @needs("write", sudo=True)
    def action_connect(self):
        """Connect, and ask for the time zone where the key may not read it."""
        done = super().action_connect()
        return done if self.timezone else self.action_choose_timezone()

    def _warnings(self):
        texts = super()._warnings()
        if self.is_timezone_missing:
            texts.append(
                self.env._(
                    "Nothing is booked yet: your API key can't read your Stripe "
                    "account's time zone. Open the account and click “Choose the time "
                    "zone”."
                )
            )
        return texts

    def _check_webhook(self):
        # Daily, and also where nothing is wrong with the webhook.
        self._refresh_timezone()
        return super()._check_webhook()
