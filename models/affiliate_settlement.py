from collections import defaultdict

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from ..lib.roles import ACCOUNTANT
from ..tools.access import needs
from ..tools.database import isolated
from ..tools.people import first_member, keep_warnings, say_problems


class AffiliateSettlement(models.Model):
    """A statement for one affiliate, currency and company, up to a date.

    It gathers due commissions and becomes one draft vendor bill; from there on core
    accounting does everything, and the state follows the bill.
    """

    _name = "affiliate.settlement"
    _description = "Affiliate settlement"
    _inherit = [
        "affiliate.protected",
        "mail.thread",
        "mail.activity.mixin",
        "portal.mixin",
        "affiliate.address.mixin",
    ]
    _order = "date_to desc, id desc"
    _check_company_auto = True

    name = fields.Char(
        required=True,
        readonly=True,
        copy=False,
        default=lambda self: self.env._("New"),
    )
    affiliate_id = fields.Many2one(
        "affiliate.affiliate",
        required=True,
        readonly=True,
        set_once=True,
        index=True,
        ondelete="restrict",
        check_company=True,
    )
    partner_id = fields.Many2one(
        related="affiliate_id.partner_id", store=True, index=True
    )
    program_id = fields.Many2one(
        related="affiliate_id.program_id", store=True, string="Programme"
    )
    company_id = fields.Many2one(
        "res.company", required=True, readonly=True, set_once=True, index=True
    )
    currency_id = fields.Many2one(
        "res.currency", required=True, readonly=True, set_once=True
    )
    date_from = fields.Date(string="From", readonly=True)
    date_to = fields.Date(string="Up to", required=True, readonly=True)
    # Whoever knows it may read the statement without a login.
    access_token = fields.Char(readonly=True)
    commission_ids = fields.One2many(
        "affiliate.commission", "settlement_id", string="Commissions"
    )
    commission_count = fields.Integer(compute="_compute_commission_count")
    # Kept by a trigger of the database (see init), never written by Odoo.
    amount_total = fields.Monetary(string="Total", readonly=True, copy=False)
    move_id = fields.Many2one(
        "account.move",
        string="Vendor bill",
        readonly=True,
        copy=False,
        index="btree_not_null",
        check_company=True,
        ondelete="set null",
    )
    step = fields.Selection(
        [
            ("draft", "Draft"),
            ("confirmed", "Confirmed"),
            ("closed", "Closed without a bill"),
            ("cancelled", "Cancelled"),
        ],
        default="draft",
        required=True,
        readonly=True,
        copy=False,
    )
    state = fields.Selection(
        [
            ("draft", "Draft"),
            ("confirmed", "Confirmed"),
            ("billed", "Billed"),
            ("paid", "Paid"),
            ("cancelled", "Cancelled"),
        ],
        compute="_compute_state",
        store=True,
        index=True,
        tracking=True,
    )
    allow_negative = fields.Boolean(
        string="Credit note for a negative sum",
        readonly=True,
        help="An accountant asked for it when the commissions were settled.",
    )
    problem = fields.Char(
        readonly=True,
        copy=False,
        help="Why the bill cannot be made or posted yet, and what to do.",
    )

    def init(self):
        """Let the database keep the total equal to the sum of the rows."""
        self.env.cr.execute(
            """
            CREATE OR REPLACE FUNCTION affiliate_settlement_sum() RETURNS trigger AS $$
            BEGIN
                UPDATE affiliate_settlement settlement
                   SET amount_total = COALESCE((
                       SELECT SUM(amount) FROM affiliate_commission
                        WHERE settlement_id = settlement.id), 0)
                 WHERE settlement.id IN (
                     SELECT settlement_id FROM changed
                      WHERE settlement_id IS NOT NULL);
                RETURN NULL;
            END $$ LANGUAGE plpgsql;
            """
        )
        for event, transition in (
            ("INSERT", "NEW TABLE AS changed"),
            ("DELETE", "OLD TABLE AS changed"),
        ):
            self._create_trigger(event.lower(), event, transition)
        # An update may move a row from one settlement to another: both sums change.
        self._create_trigger("update_new", "UPDATE", "NEW TABLE AS changed")
        self._create_trigger("update_old", "UPDATE", "OLD TABLE AS changed")

    def _create_trigger(self, name, event, transition):
        trigger = SQL.identifier(f"affiliate_settlement_sum_{name}")
        self.env.cr.execute(
            SQL("DROP TRIGGER IF EXISTS %s ON affiliate_commission", trigger)
        )
        self.env.cr.execute(
            SQL(
                "CREATE TRIGGER %s AFTER %s ON affiliate_commission REFERENCING %s"
                " FOR EACH STATEMENT EXECUTE FUNCTION affiliate_settlement_sum()",
                trigger,
                SQL(event),
                SQL(transition),
            )
        )

    # === COMPUTE METHODS === #

    @api.depends("step", "move_id.state", "move_id.payment_state")
    def _compute_state(self):
        for settlement in self:
            settlement.state = settlement._state_of_bill() or (
                "paid" if settlement.step == "closed" else settlement.step
            )

    def _state_of_bill(self):
        """Return what the bill says, or None where it says nothing yet."""
        move = self.move_id
        if not move or self.step != "confirmed" or move.state != "posted":
            return None
        # Netted with a credit note is what core calls reversed, too; a settlement whose
        # bill is really undone is cancelled itself (``_follow_bill``).
        is_paid = move.payment_state in ("paid", "in_payment", "reversed")
        return "paid" if is_paid else "billed"

    @api.depends("commission_ids")
    def _compute_commission_count(self):
        counts = dict(
            self.env["affiliate.commission"]._read_group(
                [("settlement_id", "in", self.ids)], ["settlement_id"], ["__count"]
            )
        )
        for settlement in self:
            settlement.commission_count = counts.get(settlement, 0)

    def _compute_access_url(self):
        result = super()._compute_access_url()
        for settlement in self:
            settlement.access_url = f"/my/affiliate/settlement/{settlement.id}"
        return result

    def _address_account(self):
        return self.program_id.stripe_account_id

    def _get_report_base_filename(self):
        """Name of the statement's file in the portal, without ending."""
        self.ensure_one()
        return self.name

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            vals["name"] = (
                self.env["ir.sequence"]
                .with_company(vals.get("company_id"))
                .next_by_code("affiliate.settlement")
            )
        return super().create(vals_list)

    @api.ondelete(at_uninstall=False)
    def _unlink_only_draft(self):
        if any(settlement.step != "draft" or settlement.move_id for settlement in self):
            raise UserError(self.env._("Only a draft settlement can be deleted."))
        self.commission_ids.sudo().write({"settlement_id": False})

    # === COLLECTING === #

    @api.model
    def _collect(self, date_to, affiliates=None, company=None, allow_negative=False):
        """Make draft settlements of all due commissions up to a date.

        One for each affiliate, currency and company whose sum reaches the minimum;
        the others are carried over by simply staying due. Running it again settles
        nothing twice: a row belongs to one settlement.

        :param date date_to: last day of the period
        :param affiliates: only these; all where None
        :param company: only this one; all where None
        :param bool allow_negative: settle negative sums too, as vendor credit notes
        :return: the settlements made
        """
        return self._collect_each(date_to, affiliates, company, allow_negative)[0]

    @api.model
    def _collect_each(self, date_to, affiliates, company, allow_negative=False):
        """As ``_collect``, and say what could not be settled.

        Each group is settled by itself: what is wrong with one is told to an accountant
        and keeps nobody else from being paid.

        :return: the settlements made, and ``{affiliate: why not}``
        """
        self.check_access("create")
        rows = self._get_due(date_to, affiliates, company)
        settled_with = self.env["affiliate.affiliate"]._settled_with()
        groups = defaultdict(rows.browse)
        for row in rows:
            affiliate = settled_with.get(row.affiliate_id, row.affiliate_id)
            groups[affiliate, row.currency_id, row.company_id] |= row
        settlements, failed = self.browse(), {}
        for (affiliate, currency, row_company), group in groups.items():
            with isolated(self.env) as problem:
                settlements |= self._collect_group(
                    group,
                    {
                        "affiliate_id": affiliate.id,
                        "currency_id": currency.id,
                        "company_id": row_company.id,
                        "date_from": min(group.mapped("date")),
                        "date_to": date_to,
                    },
                    allow_negative,
                )
            if problem:
                failed[affiliate] = str(problem)
        self._tell_accountants(groups, failed)
        return settlements, failed

    @api.model
    def _collect_group(self, rows, values, allow_negative):
        """Settle rows of one affiliate, currency and company that reach the minimum.

        Some may be of archived affiliates that are settled with this one.

        :return: the settlement, or an empty recordset
        """
        currency = rows.currency_id
        total = currency.round(sum(rows.mapped("amount")))
        if not self._reaches_minimum(
            rows.affiliate_id.program_id, currency, total, allow_negative
        ):
            return self.browse()
        settlement = self.sudo().create({**values, "allow_negative": allow_negative})
        rows.write({"settlement_id": settlement.id})
        return settlement.with_env(self.env)

    @api.model
    def _tell_accountants(self, groups, failed):
        """Have an activity on each affiliate who could not be settled, and none on
        those who could.

        :param groups: ``(affiliate, currency, company)`` of what was tried
        :param failed: ``{affiliate: why not}``
        """
        tried = self.env["affiliate.affiliate"].union(*(key[0] for key in groups))
        keep_warnings(
            tried.sudo(),
            self.env._("Commissions could not be settled"),
            failed,
            self._accountant_of,
            self.env._("They are settled now."),
        )

    @api.model
    def _accountant_of(self, record):
        """Return whom to tell about a record of a company."""
        return first_member(self.env.ref(ACCOUNTANT).sudo(), record.company_id)

    @api.model
    def _get_due(self, date_to, affiliates, company):
        """Return the commissions that can be settled and that nobody else settles."""
        # Whoever settles need not be able to change commissions otherwise.
        commissions = self.env["affiliate.commission"].search(
            self._due_domain(date_to, affiliates, company)
        )
        return commissions.sudo().try_lock_for_update()

    @api.model
    def _due_domain(self, date_to, affiliates, company):
        """Return which commissions a run looks at; see ``_collect``."""
        settled_with = self.env["affiliate.affiliate"]._settled_with()
        domain = [
            ("state", "=", "approved"),
            ("on_hold", "=", False),
            ("settlement_id", "=", False),
            ("date", "<=", date_to),
            "|",
            ("affiliate_id.state", "=", "active"),
            ("affiliate_id", "in", [former.id for former in settled_with]),
        ]
        if affiliates is not None:
            # Also those that are settled with them.
            wanted = affiliates.union(
                *(former for former, now in settled_with.items() if now in affiliates)
            )
            domain.append(("affiliate_id", "in", wanted.ids))
        if company:
            domain.append(("company_id", "=", company.id))
        return domain

    @api.model
    def _reaches_minimum(self, program, currency, total, allow_negative):
        if currency.is_zero(total):
            return True
        if currency.compare_amounts(total, 0) < 0:
            return allow_negative
        # A minimum is in the programme's currency; in others there is none.
        minimum = program.minimum_payout if currency == program.currency_id else 0
        return currency.compare_amounts(total, minimum) >= 0

    @api.model
    def _cron_settle(self):
        """Settle the last month: called on the first of each month."""
        last_days = self._last_month_ends()
        if not last_days:
            return
        for date_to, affiliates in last_days.items():
            self._collect(date_to, affiliates)
        # With those that an earlier run had no time or no way to confirm.
        settlements = self.search(
            [("step", "=", "draft"), ("date_to", "<=", max(last_days))]
        )
        self.env["ir.cron"]._commit_progress(remaining=len(settlements))
        for settlement in settlements:
            settlement._try(self.env.registry[self._name]._bill)
            if not self.env["ir.cron"]._commit_progress(1):
                break

    @api.model
    def _last_month_ends(self):
        """Return ``{last day of the last month: affiliates}``: which month is over
        depends on the time zone of the Stripe account."""
        ends = {}
        for today, accounts in self.env["affiliate.stripe.account"]._by_today().items():
            end = fields.Date.subtract(fields.Date.start_of(today, "month"), days=1)
            found = (
                self.env["affiliate.affiliate"]
                .with_context(active_test=False)
                .search([("program_id.stripe_account_id", "in", accounts.ids)])
            )
            ends[end] = ends.get(end, found) | found
        return ends

    def _try(self, step):
        """Do something with this settlement; where that fails, undo it and note why.

        :param step: ``f(settlement)``
        :return: why it failed or what is in its way, or an empty text
        """
        self.ensure_one()
        with isolated(self.env) as problem:
            step(self)
        if problem:
            self._set_problem(str(problem))
        # A draft that came to nothing is gone.
        return self.exists().problem or ""

    def _try_each(self, step, title):
        """Do something with each settlement, so that one bad one stops no other.

        :param step: ``f(settlement)``
        :param str title: what to say above the problems
        :return: ``True``, or a message that names those which failed
        :raise: as ``step`` does, where there is one settlement only
        """
        if len(self) == 1:
            step(self)
            return True
        problems = []
        for settlement in self:
            with isolated(self.env) as problem:
                step(settlement)
            if problem:
                problems.append(
                    f"{settlement.affiliate_id.display_name}: {problem}",
                )
        return say_problems(self.env, title, problems) if problems else True

    # === ACTION METHODS === #

    @needs("write")
    def action_confirm(self):
        """Confirm and make the draft vendor bills."""
        return self.filtered(lambda s: s.step == "draft")._bill_each()

    @needs("write")
    def action_make_bill(self):
        """Make the bill, or write the draft again, once nothing is in the way."""
        return self.filtered(lambda s: s.step == "confirmed")._bill_each()

    def _bill_each(self):
        if len(self) == 1:
            self._bill()
            return True
        model = self.env.registry[self._name]
        problems = [
            f"{settlement.affiliate_id.display_name}: {why}"
            for settlement in self
            if (why := settlement._try(model._bill))
        ]
        if not problems:
            return True
        return say_problems(
            self.env, self.env._("Some bills could not be made"), problems
        )

    @needs("write")
    def action_cancel(self):
        """Give the commissions back to the next settlement."""
        return self._try_each(
            self.env.registry[self._name]._cancel,
            self.env._("Some settlements could not be cancelled"),
        )

    def _cancel(self):
        self.ensure_one()
        if self.step == "cancelled":
            return
        if self.move_id.state == "posted":
            raise UserError(
                self.env._(
                    "The bill of %s is posted. Cancel or reverse the bill instead; "
                    "its commissions are then due again.",
                    self.name,
                )
            )
        if self.step == "closed":
            raise UserError(
                self.env._(
                    "%s had a total of zero and was closed without a bill, so there "
                    "is nothing to cancel.",
                    self.name,
                )
            )
        self._give_back(self.env._("Cancelled by hand."))

    @needs("read")
    def action_view_bill(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "account.move",
            "res_id": self.move_id.id,
            "view_mode": "form",
        }

    @needs("read")
    def action_view_commissions(self):
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "affiliate_stripe.action_affiliate_commission"
        )
        action["domain"] = [("settlement_id", "in", self.ids)]
        return action
