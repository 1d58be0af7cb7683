from datetime import timedelta
from functools import partial

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain
from odoo.tools.misc import format_date

from ..lib.stripe_objects import KINDS
from ..lib.stripe_pace import Pace
from ..tools.access import needs
from .affiliate_stripe_account import EVENT_RETENTION_DAYS
from .affiliate_stripe_run import UNDER_WAY
from .affiliate_stripe_sync import read_committed

# What may still change at Stripe without a payment: read again each night.
OPEN = {
    "invoice": Domain("status", "=", "open"),
    "subscription": Domain("status", "not in", ("canceled", "incomplete_expired")),
    # A bank may still have to answer, or the money is only set aside: what was let go
    # is never captured, but counts as refunded.
    "charge": Domain("status", "=", "pending")
    | (
        Domain("status", "=", "succeeded")
        & Domain("captured", "=", False)
        & Domain("amount_refunded", "<=", 0)
    ),
    "checkout_session": Domain("status", "=", "open")
    | (Domain("status", "=", "complete") & Domain("payment_status", "=", "unpaid")),
    "dispute": Domain(
        "status", "not in", ("won", "lost", "warning_closed", "prevented")
    ),
    "refund": Domain("status", "in", ("pending", "requires_action")),
    "payout": Domain("status", "in", ("pending", "in_transit")),
}
# What nobody answers after that many days stays as it is: banks answer, and set money
# aside, for a month at most, a checkout is open for a day, and one whose payment failed
# stays unpaid for ever.
PATIENT_DAYS = 35


class AffiliateStripeAccount(models.Model):
    """Reading the whole account, and how fast."""

    _inherit = "affiliate.stripe.account"

    rate_limit = fields.Integer(
        string="Calls a second",
        default=20,
        help="How often all workers together call Stripe at most. Stripe allows 25 a "
        "second for each kind of list. 0 is no limit.",
    )
    run_ids = fields.One2many(
        "affiliate.stripe.run", "account_id", string="Readings", readonly=True
    )
    run_id = fields.Many2one(
        "affiliate.stripe.run", compute="_compute_run", string="Last reading"
    )
    run_state = fields.Char(compute="_compute_run")
    is_syncing = fields.Boolean(compute="_compute_run")
    sync_done = fields.Integer(string="Objects read", compute="_compute_run")
    sync_time_left = fields.Char(compute="_compute_run")
    last_sync = fields.Datetime(string="Last full sync", readonly=True, copy=False)
    missed_until = fields.Datetime(
        readonly=True,
        copy=False,
        help="Stripe has forgotten events before this moment that were never seen "
        "here: until all lists were read since, something may be missing.",
    )

    @api.depends("run_ids.state")
    def _compute_run(self):
        for account in self:
            shown = account.sudo().run_ids.filtered(
                lambda run: run.purpose != "nightly"
            )
            active = shown.filtered(lambda run: run.state in UNDER_WAY)
            # Whoever may read the account sees how far it is, if not the run itself.
            run = (active or shown)[:1]
            account.run_id = run
            account.run_state = run.state
            account.is_syncing = run.state == "running"
            account.sync_done = run.objects
            account.sync_time_left = run.time_left

    @api.constrains("rate_limit")
    def _check_rate_limit(self):
        if any(account.rate_limit < 0 for account in self):
            raise ValidationError(self.env._("Calls a second cannot be negative."))

    @needs("write", sudo=True)
    def action_sync_now(self):
        """Read the whole account again, in the background; safe at any time."""
        self._start_run("read")
        return True

    @needs("write", sudo=True)
    def action_compare(self):
        """Compare all that is at Stripe with what was read, in the background."""
        return self._start_run("compare").get_formview_action()

    @needs("write")
    def action_read(self):
        """Open the dialog that asks since when, and whether only to try."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Read the Stripe account"),
            "res_model": "affiliate.stripe.run",
            "views": [
                (
                    self.env.ref("affiliate_stripe.view_affiliate_stripe_run_new").id,
                    "form",
                )
            ],
            "target": "new",
            "context": {"default_account_id": self.id},
        }

    @needs("read")
    def action_view_run(self):
        """Open the last reading: how far it is, and what can be done about it."""
        return self.run_id.get_formview_action()

    @needs("read")
    def action_view_runs(self):
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "affiliate_stripe.action_affiliate_stripe_run"
        )
        action["domain"] = [
            ("account_id", "in", self.ids),
            ("state", "!=", "draft"),
        ]
        return action

    def _start_run(self, purpose):
        """Start a run unless one is under way; return the run of each account."""
        runs = self.env["affiliate.stripe.run"]
        for account in self:
            if account.state == "draft":
                raise UserError(self.env._("Connect the account first."))
            active = runs.search(
                [
                    ("account_id", "=", account.id),
                    ("state", "in", UNDER_WAY),
                ]
            )
            if not active:
                active = active.create({"account_id": account.id, "purpose": purpose})
                active._begin()
            runs |= active
        runs._wake()
        return runs

    def _note_polled(self, at):
        """All events until this moment are in the inbox, but those Stripe forgot."""
        self.ensure_one()
        remembered = fields.Datetime.subtract(at, days=EVENT_RETENTION_DAYS - 1)
        if self.polled_until and self.polled_until < remembered:
            self.missed_until = remembered
        self.polled_until = at
        if self.missed_until:
            self._start_run("read")

    def _reread_open(self, before):
        """Have read one by one what is open here and was last read before a moment."""
        for kind in OPEN:
            found = self.env[KINDS[kind].model].search(self._open_domain(kind, before))
            self.env["affiliate.stripe.event"]._put_objects(
                self, [(kind, ref) for ref in found.mapped("stripe_id")]
            )
        self.env["affiliate.stripe.event"]._wake()

    def _open_domain(self, kind, before):
        domain = (
            Domain("account_id", "=", self.id)
            & Domain("active", "=", True)
            & Domain("synced_at", "<", before)
            & OPEN[kind]
        )
        if kind in ("charge", "checkout_session"):
            since = fields.Datetime.subtract(before, days=PATIENT_DAYS)
            domain &= Domain("created", ">=", since)
        return domain

    def _warnings(self):
        texts = super()._warnings()
        yesterday = fields.Datetime.subtract(fields.Datetime.now(), days=1)
        for run in self.sudo().run_ids.filtered(lambda run: run.state == "paused"):
            if run.paused_at <= yesterday:
                texts.append(
                    self.env._(
                        "A reading is paused since %s. Open “Readings” and press “Go "
                        "on” or “Cancel” there: no other can begin before.",
                        format_date(self.env, run.paused_at),
                    )
                )
        for run in self.sudo().run_ids.filtered(lambda run: run.state == "failed"):
            texts.append(
                self.env._(
                    "A reading is incomplete. %s. Open “Readings” and press “Go on” "
                    "there to try again.",
                    run.problem,
                )
            )
        return texts

    def _get_pace(self):
        """Return the ``Pace`` all workers share, or None where there is no limit."""
        self.ensure_one()
        if not self.rate_limit:
            return None
        interval = 1 / self.rate_limit
        return Pace(partial(reserve, self.env.registry, self.id, interval), interval)

    def init(self):  # pylint: disable=missing-return
        super().init()
        # No model: nobody reads it, and it is written in transactions of its own, also
        # for an account that is not committed yet.
        self.env.cr.execute(
            """CREATE UNLOGGED TABLE IF NOT EXISTS affiliate_stripe_pace (
                   account_id integer PRIMARY KEY, free_at timestamptz NOT NULL)"""
        )


def reserve(registry, account_id, interval, calls):
    """Take the next slots of an account's pace (see ``lib.stripe_pace``); in threads.

    A statement of its own: nobody waits for anybody's transaction. Time not used is
    lost but for one second of it.

    :return: seconds until the first of them
    """
    with read_committed(registry) as cr:
        cr.execute(
            """INSERT INTO affiliate_stripe_pace AS pace (account_id, free_at)
               VALUES (%(account)s, clock_timestamp() + %(span)s)
               ON CONFLICT (account_id) DO UPDATE
                  SET free_at = %(span)s + GREATEST(
                      pace.free_at, clock_timestamp() - interval '1 second')
            RETURNING EXTRACT(EPOCH FROM free_at - %(span)s - clock_timestamp())""",
            {"account": account_id, "span": timedelta(seconds=calls * interval)},
        )
        return float(cr.fetchone()[0])
