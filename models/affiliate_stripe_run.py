from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools.misc import format_datetime

from ..lib.stripe_lists import STAGES
from ..lib.stripe_objects import KINDS
from ..tools.access import needs

LEDGER_KIND = "commission"
UNDER_WAY = ("running", "paused")
# These are few, and older than what they are sold for: always read as a whole.
CATALOGUE = STAGES[0]
# Differences of a part that are listed; more are counted only.
MAX_LISTED = 1000


class AffiliateStripeRun(models.Model):
    """One walk over the lists of a Stripe account, from its start to its end.

    The walk is divided into parts (a kind of object, a span of its creation). Where
    each part is, is stored with every page, so a run can be killed, paused and shared
    by any number of workers at any moment. How it walks: affiliate_stripe_run_walk.py.
    """

    _name = "affiliate.stripe.run"
    _description = "Reading of a Stripe account"
    _inherit = ["affiliate.protected"]
    _check_company_auto = True
    _order = "id desc"

    account_id = fields.Many2one(
        "affiliate.stripe.account",
        string="Stripe account",
        required=True,
        set_once=True,
        index=True,
        ondelete="cascade",
        check_company=True,
    )
    company_id = fields.Many2one(
        related="account_id.company_id", store=True, index=True
    )
    purpose = fields.Selection(
        [
            ("read", "Read everything"),
            ("preview", "Dry run: read, and only show the commissions"),
            ("compare", "Compare Stripe with what was read"),
            ("nightly", "Nightly check of what is open"),
        ],
        default="read",
        required=True,
    )
    date_from = fields.Date(
        string="From",
        help="Invoices, payments and the like since this day; everything if empty. "
        "What they refer to is read too, however old.",
    )
    state = fields.Selection(
        [
            ("draft", "Not started"),
            ("running", "Running"),
            ("paused", "Paused"),
            ("ready", "To decide"),
            ("done", "Done"),
            ("failed", "Incomplete"),
            ("cancelled", "Cancelled"),
        ],
        default="draft",
        required=True,
        readonly=True,
    )
    problem = fields.Char(readonly=True, help="Why something was not read.")
    started_at = fields.Datetime(string="Started", readonly=True)
    paused_at = fields.Datetime(string="Paused", readonly=True)
    finished_at = fields.Datetime(string="Finished", readonly=True)
    part_ids = fields.One2many("affiliate.stripe.run.part", "run_id", readonly=True)
    # {"affiliate, currency": [rows, amount as text, amount]} of a dry run
    preview = fields.Json(readonly=True)
    preview_text = fields.Text(compute="_compute_preview_text")
    objects = fields.Integer(compute="_compute_progress", string="Objects read")
    progress = fields.Float(compute="_compute_progress", string="Progress (%)")
    time_left = fields.Char(compute="_compute_progress")
    differences = fields.Integer(compute="_compute_differences")
    is_cut = fields.Boolean(compute="_compute_differences")

    _one_at_a_time = models.UniqueIndex(
        "(account_id) WHERE state IN ('running', 'paused')",
        "This account is being read already. Wait until that is done, or cancel it: "
        "Stripe > Inbox > Readings.",
    )

    # === CRUD METHODS === #

    def write(self, vals):
        """What a run is for is decided before it starts."""
        asked = {"purpose", "date_from"} & vals.keys()
        if asked and not self.env.su and any(run.state != "draft" for run in self):
            raise UserError(
                self.env._(
                    "This reading has started. Start another one to read something "
                    "else."
                )
            )
        return super().write(vals)

    # === COMPUTE METHODS === #

    @api.depends("account_id", "started_at")
    def _compute_display_name(self):
        for run in self:
            started = format_datetime(self.env, run.started_at, dt_format="short")
            run.display_name = (
                f"{run.account_id.name}, {started}"
                if started
                else self.env._("Read the Stripe account")
            )

    def _compute_progress(self):
        sums = {
            run.id: (count, done, share)
            for run, count, done, share in self.env[
                "affiliate.stripe.run.part"
            ]._read_group(
                [("run_id", "in", self.ids)],
                ["run_id"],
                ["__count", "objects:sum", "share_done:sum"],
            )
        }
        now = fields.Datetime.now()
        for run in self:
            parts, run.objects, share = sums.get(run.id, (0, 0, 0.0))
            run.progress = 100 * share / parts if parts else 0.0
            run.time_left = False
            if run.state == "running" and run.progress >= 1:
                spent = (now - run.started_at).total_seconds()
                left = spent * (100 - run.progress) / run.progress
                run.time_left = self._say_duration(left)

    @api.model
    def _say_duration(self, seconds):
        minutes = round(seconds / 60)
        if minutes < 1:
            return self.env._("less than a minute")
        if minutes < 90:
            return self.env._("about %s min", minutes)
        return self.env._("about %s h", round(minutes / 60))

    def _compute_differences(self):
        sums = {
            run: (found, most)
            for run, found, most in self.env["affiliate.stripe.run.part"]._read_group(
                [("run_id", "in", self.ids)],
                ["run_id"],
                ["different_count:sum", "different_count:max"],
            )
        }
        for run in self:
            run.differences, most = sums.get(run, (0, 0))
            run.is_cut = most > MAX_LISTED

    @api.depends("preview")
    def _compute_preview_text(self):
        for run in self:
            lines = [
                self.env._(
                    "%(who)s: %(rows)s rows, %(amount)s",
                    who=who,
                    rows=rows,
                    amount=amount,
                )
                for who, (rows, amount, _total) in sorted((run.preview or {}).items())
            ]
            run.preview_text = "\n".join(lines) or self.env._(
                "No new commission: what these payments earn is booked already, or "
                "nobody who paid is mapped to an affiliate."
            )

    # === ACTION METHODS === #

    @needs("write", sudo=True)
    def action_start(self):
        """Divide the work and let the workers begin."""
        for run in self:
            if run.account_id.state != "connected":
                raise UserError(self.env._("Connect the Stripe account first."))
            run._begin()
        self._wake()
        return True

    @needs("write", sudo=True)
    def action_pause(self):
        """Stop for a while. Each night goes on looking at what is open."""
        self.filtered(lambda run: run.state == "running").write(
            {"state": "paused", "paused_at": fields.Datetime.now()}
        )
        return True

    @needs("write", sudo=True)
    def action_resume(self):
        """Go on where the run is; what could not be read is tried again."""
        runs = self.filtered(lambda run: run.state in ("paused", "failed"))
        runs.part_ids.filtered("problem").write({"done": False, "problem": False})
        runs.write({"state": "running", "problem": False, "finished_at": False})
        runs.account_id._update_warning()
        self._wake()
        return True

    @needs("write", sudo=True)
    def action_cancel(self):
        """Stop for good. What was read stays: it is true, and only incomplete."""
        runs = self.filtered(lambda run: run.state in UNDER_WAY + ("ready", "failed"))
        runs.write({"state": "cancelled", "finished_at": fields.Datetime.now()})
        runs.account_id._update_warning()
        return True

    @needs("write", sudo=True)
    def action_book(self):
        """Book what the dry run has shown, as of now."""
        for run in self.filtered(lambda run: run.state == "ready"):
            run.purpose = "read"
            run.part_ids.filtered(lambda part: part.kind == LEDGER_KIND).write(
                {"after": False, "done": False, "share_done": 0}
            )
            run.state = "running"
        self._wake()
        return True

    @needs("write")
    def action_sync_differences(self):
        """Read again, in the background, whatever the comparison found different."""
        self.part_ids.action_sync_again()
        return True

    @needs("read")
    def action_view_differences(self):
        return self.part_ids.action_view_differences()

    @needs("read")
    def action_view_parts(self):
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "affiliate_stripe.action_affiliate_stripe_run_part"
        )
        action["domain"] = [("run_id", "in", self.ids)]
        return action

    # === BUSINESS METHODS === #

    def _begin(self):
        self.ensure_one()
        parts = self._plan()
        self.sudo().write(
            {
                "state": "running",
                "started_at": fields.Datetime.now(),
                "part_ids": [(0, 0, values) for values in parts],
            }
        )
        if not self.account_id.polled_until:
            # From now on the events tell what changes.
            self.account_id.sudo().polled_until = self.started_at

    def _plan(self):
        """Return the values of the parts of this run."""
        if self.purpose == "compare":
            return [
                {
                    "kind": kind,
                    "stage": 0,
                    "params": KINDS[kind].filters[0],
                    "created_from": start,
                    "created_to": end,
                }
                for start, end in self._months()
                for kind in _listed()
            ]
        if self.purpose == "nightly":
            # What is open at Stripe, whole lists at a time.
            return [
                {"kind": "invoice", "stage": 0, "params": {"status": "open"}},
                {"kind": "subscription", "stage": 0},
                {"kind": LEDGER_KIND, "stage": 1},
            ]
        since = self.date_from and self.account_id._start_of(self.date_from)
        parts = [
            {
                "kind": kind,
                "stage": stage,
                "params": params,
                "created_from": since if kind not in CATALOGUE else False,
            }
            for stage, kinds in enumerate(STAGES)
            for kind in kinds
            for params in KINDS[kind].filters
        ]
        return [*parts, {"kind": LEDGER_KIND, "stage": len(STAGES)}]

    def _months(self):
        """Return (first day, first day of the next month) since the oldest object."""
        oldest = min(
            filter(
                None,
                (
                    self.env[KINDS[kind].model]
                    .with_context(active_test=False)
                    .search(
                        [
                            ("account_id", "=", self.account_id.id),
                            ("created", "!=", False),
                        ],
                        order="created",
                        limit=1,
                    )
                    .created
                    for kind in _listed()
                ),
            ),
            default=fields.Datetime.now(),
        )
        start = fields.Datetime.start_of(
            max(oldest, fields.Datetime.to_datetime(self.date_from) or oldest), "month"
        )
        end = fields.Datetime.now()
        # What is older than anything we know is one part of its own.
        months = [] if self.date_from else [(False, start)]
        while start <= end:
            following = fields.Datetime.add(start, months=1)
            months.append((start, following))
            start = following
        months[-1] = (months[-1][0], False)
        return months

    @api.model
    def _wake(self):
        self.env.ref("affiliate_stripe.ir_cron_sync")._trigger()

    def _finish(self):
        """All parts are done: say so, and what could not be read."""
        self.ensure_one()
        problems = sorted(
            {
                f"{part.kind_name}: {part.problem}"
                for part in self.part_ids.filtered("problem")
            }
        )
        if self.purpose == "preview":
            self.write({"state": "ready", "problem": "; ".join(problems)})
            return
        self._end("; ".join(problems))
        account = self.account_id
        if self.purpose == "read" and self.state == "done":
            account.last_sync = fields.Datetime.now()
            missed = account.missed_until
            if missed and not self.date_from and self.started_at >= missed:
                account.missed_until = False

    def _end(self, problem=False):
        """The run is over, with or without a problem that a person has to look at."""
        self.search(
            [
                ("account_id", "=", self.account_id.id),
                ("purpose", "=", self.purpose),
                ("state", "=", "failed"),
            ]
        ).state = "cancelled"  # this one says how it is now
        self.write(
            {
                "state": "failed" if problem else "done",
                "problem": problem,
                "finished_at": fields.Datetime.now(),
            }
        )
        self.account_id._update_warning()

    @api.autovacuum
    def _gc_old(self):
        """Forget what runs did long ago, but the last comparison of each account."""
        limit = fields.Datetime.now() - timedelta(days=90)
        last = self._read_group(
            [("purpose", "=", "compare"), ("state", "=", "done")],
            ["account_id"],
            ["id:max"],
        )
        self.search(
            [
                ("state", "in", ("done", "failed", "cancelled")),
                ("finished_at", "<", limit),
                ("id", "not in", [run_id for _account, run_id in last]),
            ],
            limit=1000,
        ).unlink()


def _listed():
    return [kind.name for kind in KINDS.values() if kind.listed]
