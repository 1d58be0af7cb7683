import logging

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools.sql import column_exists, create_column, table_exists

from ..tools.access import needs
from ..tools.database import isolated
from ..tools.people import keep_warnings, say_problems

_logger = logging.getLogger(__name__)

# Kinds of rows the engine books and corrects; the others are made by people.
COMPUTED_KINDS = ("earned", "refund", "dispute", "credit_note")
OWN_LEVEL = 1
# Fixed once a row is in the ledger; a row made by hand may be corrected while pending.
LEDGER_FIELDS = {
    "affiliate_id",
    "amount",
    "base_amount",
    "cause_id",
    "currency_id",
    "date",
    "explanation",
    "kind",
    "line_ref",
    "program_id",
    "rate",
    "revision",
}
HOLD_DISPUTE = "dispute"
HOLD_FLAG = "flag"
HOLD_MANUAL = "manual"


class AffiliateCommission(models.Model):
    """The ledger: rows are added, never edited; only their state moves on.

    Computed rows are written by :meth:`_book` alone, as "desired minus booked" of one
    customer's whole history (``lib.commission``).
    """

    _name = "affiliate.commission"
    _description = "Commission"
    _inherit = ["affiliate.protected"]
    _order = "date desc, id desc"
    _rec_name = "explanation"
    _check_company_auto = True

    affiliate_id = fields.Many2one(
        "affiliate.affiliate",
        required=True,
        index=True,
        ondelete="restrict",
        check_company=True,
    )
    partner_id = fields.Many2one(
        related="affiliate_id.partner_id", store=True, index=True
    )
    # Affiliates read their own rows. The name of a linked record would tell them the
    # customer's e-mail: Odoo shows it without asking for access to that record.
    referral_id = fields.Many2one(
        "affiliate.referral",
        readonly=True,
        index="btree_not_null",
        ondelete="restrict",
        groups="base.group_user",
        check_company=True,
    )
    code_id = fields.Many2one(
        "affiliate.code",
        string="Tracking code",
        readonly=True,
        index="btree_not_null",
        ondelete="restrict",
        check_company=True,
        help="The code that brought the customer: typed at checkout, or in a link.",
    )
    program_id = fields.Many2one(
        "affiliate.program",
        required=True,
        index=True,
        ondelete="restrict",
        string="Programme",
        check_company=True,
    )
    company_id = fields.Many2one(
        "res.company",
        required=True,
        set_once=True,
        index=True,
        default=lambda s: s.env.company,
    )
    stripe_account_id = fields.Many2one(
        "affiliate.stripe.account",
        readonly=True,
        string="Stripe account",
        check_company=True,
    )
    rule_id = fields.Many2one(
        "affiliate.commission.rule",
        readonly=True,
        index="btree_not_null",
        ondelete="restrict",
        check_company=True,
    )
    customer_id = fields.Many2one(
        "affiliate.stripe.customer",
        readonly=True,
        index="btree_not_null",
        groups="base.group_user",
        check_company=True,
    )
    invoice_id = fields.Many2one(
        "affiliate.stripe.invoice",
        readonly=True,
        index="btree_not_null",
        check_company=True,
    )
    # Its name is a text of the business, who may name the customer in it.
    invoice_line_id = fields.Many2one(
        "affiliate.stripe.invoice.line",
        string="Invoice line",
        readonly=True,
        groups="base.group_user",
        check_company=True,
    )
    charge_id = fields.Many2one(
        "affiliate.stripe.charge",
        readonly=True,
        index="btree_not_null",
        help="The sale, where it has no invoice.",
        check_company=True,
    )
    line_ref = fields.Char(string="Line", readonly=True)
    sale_ref = fields.Char(string="Sale", readonly=True)
    cause_id = fields.Char(
        readonly=True,
        help="Stripe id of the payment, refund, dispute or credit note.",
    )
    level = fields.Integer(default=OWN_LEVEL, readonly=True)
    revision = fields.Integer(default=1, readonly=True)
    kind = fields.Selection(
        [
            ("earned", "Earned"),
            ("refund", "Refund"),
            ("dispute", "Lost dispute"),
            ("credit_note", "Credit note"),
            ("bonus", "Bonus"),
            ("override", "Override"),
            ("adjustment", "Adjustment of a bill"),
            ("manual", "By hand"),
        ],
        default="manual",
        required=True,
        readonly=True,
    )
    currency_id = fields.Many2one(
        "res.currency",
        required=True,
        default=lambda self: self.env.company.currency_id,
    )
    base_amount = fields.Monetary(
        string="Base", readonly=True, help="Money received, after discounts, no tax."
    )
    rate = fields.Float(string="Rate (%)", digits=(16, 4), readonly=True)
    amount = fields.Monetary(required=True)
    # What sums are made of: a rejected row stays in the lists, and counts for nothing.
    counted_amount = fields.Monetary(
        string="Counts",
        compute="_compute_counted_amount",
        store=True,
        help="The amount, or zero if the commission was rejected.",
    )
    date = fields.Date(required=True, default=fields.Date.context_today, index=True)
    happened_at = fields.Datetime(string="Happened", readonly=True)
    hold_until = fields.Date(index=True, string="On hold until")
    is_approved = fields.Boolean(readonly=True, copy=False)
    on_hold = fields.Boolean(readonly=True, copy=False)
    # Affiliates see that a row waits, not whether it is doubted.
    hold_reason = fields.Selection(
        [
            (HOLD_DISPUTE, "Dispute"),
            (HOLD_FLAG, "Doubt to look at"),
            (HOLD_MANUAL, "By hand"),
        ],
        string="Held because",
        readonly=True,
        copy=False,
        groups="base.group_user",
    )
    void_reason = fields.Char(string="Rejected because", readonly=True, copy=False)
    settlement_id = fields.Many2one(
        "affiliate.settlement",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
        check_company=True,
    )
    origin_id = fields.Many2one(
        "affiliate.commission",
        string="Corrects",
        readonly=True,
        index="btree_not_null",
        check_company=True,
    )
    state = fields.Selection(
        [
            ("pending", "Pending"),
            ("approved", "Due"),
            ("settled", "Settled"),
            ("paid", "Paid"),
            ("void", "Rejected"),
        ],
        compute="_compute_state",
        store=True,
        index=True,
    )
    explanation = fields.Char()

    # A double is impossible for any number of workers.
    _cause_uniq = models.UniqueIndex(
        "(stripe_account_id, line_ref, affiliate_id, level, cause_id, revision)"
        " WHERE line_ref IS NOT NULL",
        "This commission is booked already.",
    )
    _balance_idx = models.Index("(affiliate_id, currency_id, state)")
    _sale_idx = models.Index("(stripe_account_id, sale_ref)")
    _approval_idx = models.Index("(hold_until) WHERE state = 'pending'")
    _due_idx = models.Index(
        "(affiliate_id, currency_id) WHERE state = 'approved' AND settlement_id IS NULL"
    )

    def _auto_init(self):
        """Fill the sums of a ledger that is there already by one statement."""
        cr = self.env.cr
        if table_exists(cr, self._table) and not column_exists(
            cr, self._table, "counted_amount"
        ):
            create_column(cr, self._table, "counted_amount", "numeric")
            cr.execute(
                """UPDATE affiliate_commission
                      SET counted_amount = CASE WHEN COALESCE(void_reason, '') = ''
                                                THEN amount ELSE 0 END"""
            )
        return super()._auto_init()

    # === COMPUTE METHODS === #

    @api.depends("amount", "void_reason")
    def _compute_counted_amount(self):
        for row in self:
            row.counted_amount = 0 if row.void_reason else row.amount

    @api.depends("is_approved", "void_reason", "settlement_id.state")
    def _compute_state(self):
        for row in self:
            row.state = self._state_of(
                row.is_approved, row.void_reason, row.settlement_id.state
            )

    @api.model
    def _state_of(self, is_approved, void_reason, settlement_state=False):
        if void_reason:
            return "void"
        if settlement_state and settlement_state != "cancelled":
            return "paid" if settlement_state == "paid" else "settled"
        return "approved" if is_approved else "pending"

    # === CONSTRAINT METHODS === #

    def _check_company(self, fnames=None):
        """As Odoo does, whose way of looking at each row and field alone takes three
        times as long as storing a thousand rows: it looks only where companies differ.
        """
        names = [
            name
            for name, field in self._fields.items()
            if getattr(field, "check_company", False)
        ]
        if fnames is not None and "company_id" not in fnames:
            names = [name for name in names if name in fnames]
        for company, rows in self.sudo().grouped("company_id").items():
            if any(rows[name].company_id - company for name in names):
                return super()._check_company(fnames)
        return None

    # === ONCHANGE METHODS === #

    @api.onchange("affiliate_id")
    def _onchange_affiliate_id(self):
        if self.affiliate_id:
            self.program_id = self.affiliate_id.program_id
            self.company_id = self.affiliate_id.company_id
            self.currency_id = self.affiliate_id.currency_id
            self.date = self.program_id.sudo().stripe_account_id._today()

    # === CRUD METHODS === #

    def write(self, vals):
        """Amounts and what they stand for are written once; only states move on.

        The engine may tell anew, in other words, what a row is about.
        """
        fixed = LEDGER_FIELDS - {"explanation"} if self.env.su else LEDGER_FIELDS
        if fixed & vals.keys() and any(
            row.kind in COMPUTED_KINDS or row.state != "pending" for row in self
        ):
            raise UserError(
                self.env._(
                    "A ledger row is never edited. Reject it while it is pending, or "
                    "add a correction by hand."
                )
            )
        result = super().write(vals)
        if {"settlement_id", "amount"} & vals.keys():
            self._refresh_totals()
        return result

    def _refresh_totals(self):
        """Let the database add up the settlements, and read them anew."""
        self.flush_recordset(["settlement_id", "amount"])
        self.env["affiliate.settlement"].invalidate_model(["amount_total"])

    @api.ondelete(at_uninstall=False)
    def _unlink_never_counted(self):
        if any(row.state != "pending" or row.kind in COMPUTED_KINDS for row in self):
            raise UserError(
                self.env._(
                    "The ledger is never shortened. Reject a pending commission, or "
                    "add a correction by hand."
                )
            )

    # === APPROVAL === #

    @api.model
    def _cron_approve(self):
        """Approve what has waited out its hold."""
        domain = (
            Domain("state", "=", "pending")
            & Domain("on_hold", "=", False)
            & Domain("program_id.auto_approve_commissions", "=", True)
            & self._held_until_today()
        )
        crons = self.env["ir.cron"]
        crons._commit_progress(remaining=self.search_count(domain))
        last = 0
        while found := self.search(
            [*domain, ("id", ">", last)], order="id", limit=5000
        ):
            last = found[-1].id
            pending = found._with_corrections().filtered(lambda r: r.state == "pending")
            # Half of a pair would be paid out, or taken back, alone.
            waiting = (pending - pending.filtered_domain(domain))._with_corrections()
            (pending - waiting)._approve()
            if not crons._commit_progress(len(found)):
                break

    @api.model
    def _held_until_today(self):
        """Return the domain of rows whose hold is over, by the day of their account."""
        days = self.env["affiliate.stripe.account"]._by_today()
        return Domain.OR(
            Domain("program_id.stripe_account_id", "in", accounts.ids)
            & Domain("hold_until", "<=", today)
            for today, accounts in days.items()
        )

    @needs("write", sudo=True)
    def action_approve(self):
        """Approve by hand, before or without the hold, with all corrections."""
        rows = self._with_corrections().filtered(lambda r: r.state == "pending")
        failed = rows._approve()
        if not failed:
            return True
        problems = [f"{who.display_name}: {why}" for who, why in failed.items()]
        if failed.keys() == set(rows.affiliate_id):
            raise UserError("\n".join(problems))
        return say_problems(
            self.env, self.env._("Some commissions could not be approved"), problems
        )

    def _approve(self):
        """Approve; what is wrong with one affiliate's rows keeps nobody else's back.

        :return: ``{affiliate: why not}``; they have an activity for a manager
        """
        failed = {}
        with isolated(self.env) as problem:
            self.write({"is_approved": True})
        if problem:
            for affiliate, rows in self.grouped("affiliate_id").items():
                with isolated(self.env) as problem:
                    rows.write({"is_approved": True})
                if problem:
                    failed[affiliate] = str(problem)
        keep_warnings(
            self.affiliate_id.sudo(),
            self.env._("Commissions could not be approved"),
            failed,
            lambda affiliate: affiliate.program_id.stripe_account_id._manager(),
            self.env._("They are approved now."),
        )
        return failed

    @needs("write")
    def action_reject(self):
        """Open the wizard that asks why."""
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Reject commissions"),
            "res_model": "affiliate.reject.wizard",
            "view_mode": "form",
            "target": "new",
            "context": {"default_commission_ids": self.ids},
        }

    def _reject(self, reason):
        """Make rows void, with all rows of the same lines: a later refund of a
        rejected sale must not take money from the affiliate."""
        lines = self.filtered("line_ref")
        # A customer who was moved has rows of two affiliates on one line.
        theirs = {row._line_key() for row in lines}
        siblings = self.search(
            [
                ("line_ref", "in", lines.mapped("line_ref")),
                ("stripe_account_id", "in", lines.stripe_account_id.ids),
                ("affiliate_id", "in", lines.affiliate_id.ids),
            ]
        ).filtered(lambda row: row._line_key() in theirs)
        rows = self | siblings
        if rows.filtered(lambda row: row.state not in ("pending", "void")):
            raise UserError(
                self.env._(
                    "Only pending commissions can be rejected. Add a correction by "
                    "hand to take back one that is due, settled or paid."
                )
            )
        rows.check_access("write")
        rows.sudo().write({"void_reason": reason})

    def _line_key(self):
        return self.stripe_account_id, self.line_ref, self.affiliate_id

    @needs("write", sudo=True)
    def action_hold(self):
        """Hold rows that are on no posted bill, with their corrections."""
        rows = self._with_corrections().filtered(
            lambda r: r.state in ("pending", "approved") or r.settlement_id._is_open()
        )
        if self and not rows:
            raise UserError(
                self.env._(
                    "These commissions are on posted bills or were rejected, so there "
                    "is nothing to hold."
                )
            )
        rows.write({"on_hold": True, "hold_reason": HOLD_MANUAL})
        rows.settlement_id._follow_ledger()
        return True

    @needs("write", sudo=True)
    def action_release(self):
        if any(row.hold_reason == HOLD_FLAG for row in self):
            raise UserError(
                self.env._("Look at the doubts about the referral, and accept them.")
            )
        reasons = set(self.mapped("hold_reason"))
        rows = self | self._with_corrections().filtered(
            lambda row: row.hold_reason in reasons
        )
        rows.write({"on_hold": False, "hold_reason": False})
        self._sync_holds_of(self.referral_id)
        return True

    @needs("read")
    def action_view_flags(self):
        """Open the doubts this row waits for."""
        return self.referral_id.action_view_flags()

    @needs("read")
    def action_view_sale(self):
        """Open the invoice or charge in the mirror."""
        self.ensure_one()
        sale = self.invoice_id or self.charge_id
        return {
            "type": "ir.actions.act_window",
            "res_model": sale._name,
            "res_id": sale.id,
            "view_mode": "form",
        }
