import logging
from datetime import timedelta

from markupsafe import Markup

from odoo import api, fields, models

from ..lib.roles import MANAGER
from ..lib.stripe_client import API_VERSION, MAJOR_API_VERSION
from ..lib.stripe_events import SUBSCRIBED
from ..tools.access import needs
from ..tools.people import first_member, keep_warning

_logger = logging.getLogger(__name__)

# The pause after a passing problem: doubled each time in a row, up to 32 minutes.
FIRST_PAUSE = timedelta(seconds=30)
MAX_DOUBLINGS = 6
# Another API version among so many of the newest events is no accident: a single one
# may have been lost and then polled, and polled events have the account's version.
LOOKED_AT_EVENTS, NO_ACCIDENT = 10, 3
CRONS = tuple(
    f"ir_cron_{name}" for name in ("process", "poll", "webhooks", "sync", "nightly")
)
# A pause of 16 minutes after half an hour of trying: a person should know.
LONG_PAUSE = 6


class AffiliateStripeAccount(models.Model):
    """How an account is: what went wrong, who is told, and when it is tried again."""

    _inherit = "affiliate.stripe.account"

    api_version = fields.Char(compute="_compute_health", string="API version")
    last_event = fields.Datetime(compute="_compute_health", string="Last event")
    pending_events = fields.Integer(compute="_compute_health", string="Waiting events")
    failed_events = fields.Integer(compute="_compute_health", string="Failed events")
    foreign_versions = fields.Char(
        compute="_compute_foreign_versions",
        help="Other API versions in which Stripe sends events to our webhook.",
    )
    inactive_crons = fields.Char(
        compute="_compute_inactive_crons",
        help="Scheduled actions this account needs and that are switched off.",
    )
    refused_at = fields.Datetime(readonly=True, copy=False)
    backoff_until = fields.Datetime(readonly=True, copy=False)
    backoff_count = fields.Integer(readonly=True, copy=False)
    backoff_reason = fields.Char(readonly=True, copy=False)

    # === COMPUTE METHODS === #

    def _compute_health(self):
        # Counted with sudo: officers may not read events, but see that some failed.
        events = self.env["affiliate.stripe.event"].sudo()
        counts = {
            # One by one: each has an index of its own, which is small.
            state: dict(
                events._read_group(
                    [("account_id", "in", self.ids), ("state", "=", state)],
                    ["account_id"],
                    ["__count"],
                )
            )
            for state in ("pending", "failed")
        }
        for account in self:
            account.pending_events = counts["pending"].get(account, 0)
            account.failed_events = counts["failed"].get(account, 0)
            account.last_event = account._newest_events(1).received_at
            account.api_version = API_VERSION

    def _newest_events(self, limit, domain=()):
        """Return the events of this account that arrived last."""
        return (
            self.env["affiliate.stripe.event"]
            .sudo()
            .search(
                [("account_id", "in", self.ids), *domain],
                order="received_at DESC",
                limit=limit,
            )
        )

    @api.depends("delivery")
    def _compute_foreign_versions(self):
        for account in self:
            foreign = []
            if account.delivery == "webhook":
                newest = account._newest_events(
                    LOOKED_AT_EVENTS, [("type", "in", SUBSCRIBED)]
                )
                foreign = [
                    event.api_version
                    for event in newest
                    if self._is_foreign_version(event.api_version)
                ]
            account.foreign_versions = (
                ", ".join(sorted(set(foreign)))
                if len(foreign) >= NO_ACCIDENT
                else False
            )

    @api.model
    def _is_foreign_version(self, api_version):
        """Another API version than ours: only ids of such events are used anyway."""
        return bool(api_version) and api_version.rpartition(".")[2] != MAJOR_API_VERSION

    def _compute_inactive_crons(self):
        crons = self.env["ir.cron"].sudo()
        for xmlid in CRONS:
            crons += self.env.ref(f"affiliate_stripe.{xmlid}").sudo()
        names = crons.filtered(lambda cron: not cron.active).mapped("name")
        self.inactive_crons = ", ".join(f"“{name}”" for name in names)

    # === ACTION METHODS === #

    @needs("read")
    def action_view_events(self):
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "affiliate_stripe.action_affiliate_stripe_event"
        )
        action["domain"] = [("account_id", "in", self.ids)]
        return action

    @needs("read")
    def action_view_failed_events(self):
        return {**self.action_view_events(), "context": {"search_default_failed": 1}}

    # === PROBLEMS === #

    def _problem_text(self, problem):
        """Return the sentence for a ``StripeProblem``: what is wrong, what to do."""
        texts = {
            "key": self.env._(
                "Stripe does not accept the API key. It may have been revoked: create "
                "a new one in Stripe's dashboard, Developers > API keys, paste it "
                "here and connect again."
            ),
            "permission": self.env._(
                "The restricted key lacks a permission. Stripe says: %s",
                str(problem),
            ),
            "throttled": self.env._(
                "Stripe asks us to slow down (%s); we try again soon.",
                problem.reason or self.env._("too many requests"),
            ),
            "unreachable": self.env._(
                "Stripe cannot be reached: %s. Check the network of this server; we "
                "try again by ourselves.",
                str(problem),
            ),
        }
        return texts.get(problem.code) or self.env._("Stripe says: %s", str(problem))

    def _handle_problem(self, problem, is_alone=False):
        """React to a problem that concerns the account, not one object.

        Wrong key or permission: stop and say so. Passing ones: wait, each time in a
        row twice as long. Events are kept either way.

        :param bool is_alone: other requests made beside it were answered, so that this
            one follows no other in a row
        """
        self.ensure_one()
        now = fields.Datetime.now()
        text = self._problem_text(problem)
        if problem.stops_account:
            if self.state != "error" or self.problem != text:
                self.write({"state": "error", "problem": text})
                self._update_warning()
        elif not self.backoff_until or self.backoff_until <= now:
            # Requests that ran side by side fail together: one step, not one each.
            before = 0 if is_alone else self.backoff_count
            pause = FIRST_PAUSE * 2 ** min(before, MAX_DOUBLINGS)
            self.write(
                {
                    "backoff_until": now + pause,
                    "backoff_count": before + 1,
                    "backoff_reason": text,
                }
            )
            _logger.info("Stripe account %s pauses for %s: %s", self.id, pause, text)
            if self.backoff_count >= LONG_PAUSE:
                self._update_warning()

    def _note_success(self):
        """Stripe answers: the next pause is a short one again.

        One that lasts was begun by somebody who asked after us.
        """
        now = fields.Datetime.now()
        self.filtered(
            lambda account: (
                account.backoff_count
                and (not account.backoff_until or account.backoff_until <= now)
            )
        )._end_pause()

    def _end_pause(self):
        long = self.filtered(lambda account: account.backoff_count >= LONG_PAUSE)
        self.write(
            {"backoff_until": False, "backoff_count": 0, "backoff_reason": False}
        )
        long._update_warning()

    def _note_connected(self):
        """The key works: forget what was wrong."""
        self.write({"state": "connected", "problem": False})
        self._end_pause()
        self._update_warning()

    # === TELLING === #

    def _warnings(self):
        """Return the sentences about what a person has to look at."""
        self.ensure_one()
        texts = [self.state == "error" and self.problem, self.webhook_problem]
        if self.backoff_count >= LONG_PAUSE:
            texts.append(self.backoff_reason)
        if self.refused_at:
            texts.append(self._refused_text())
        if self.inactive_crons:
            texts.append(
                self.env._(
                    "Scheduled actions are switched off: %s", self.inactive_crons
                )
            )
        failed = (
            self.env["affiliate.stripe.event"]
            .sudo()
            .search_count([("account_id", "in", self.ids), ("state", "=", "failed")])
        )
        if failed:
            texts.append(
                self.env._(
                    "Events that could not be processed: %s. Open “Failed events”, "
                    "read why, and press “Process again”.",
                    failed,
                )
            )
        return list(filter(None, texts))

    def _refused_text(self):
        return self.env._(
            "A delivery to our webhook was refused, because its signature or its time "
            "was wrong. Compare the clock of this server with the real time; with an "
            "endpoint made by hand, also its signing secret. Whatever was refused is "
            "read by the daily check."
        )

    def _forget_refused(self):
        """Take back the warning when nothing was refused for a day."""
        yesterday = fields.Datetime.subtract(fields.Datetime.now(), days=1)
        self.filtered(
            lambda account: account.refused_at and account.refused_at < yesterday
        ).refused_at = False

    def _update_warning(self):
        """Have one activity while something is wrong, and none when all is well."""
        for account in self.sudo():
            keep_warning(
                account,
                self.env._("Stripe connection needs attention"),
                Markup("<br/>").join(account._warnings()),
                account._manager,
                self.env._("This is solved."),
            )

    def _manager(self):
        """Return whom to tell: a manager of this company, or whoever is there."""
        return first_member(self.env.ref(MANAGER).sudo(), self.company_id)
