from markupsafe import escape

from odoo import models
from odoo.exceptions import UserError
from odoo.tools import SQL

from ..tools.people import keep_warning


class AffiliateSettlement(models.Model):
    """Until its bill is posted a settlement follows the ledger; then it follows its
    bill, which must say what the settlement says."""

    _inherit = "affiliate.settlement"

    # === THE LEDGER === #

    def _is_open(self):
        """Tell whether its rows may still change: it has no posted bill."""
        return self.step in ("draft", "confirmed") and self.move_id.state != "posted"

    def _follow_ledger(self):
        """Let held rows leave, corrections of the other rows join, and have the draft
        bills written again. Does nothing to settlements whose bill is posted.

        One whose bill cannot be written says so, and the rest goes on.
        """
        # Those with a posted bill first of all: nobody is to wait for a lock of theirs.
        settlements = self.sudo().filtered(lambda s: s._is_open())
        settlements = settlements._lock().filtered(lambda s: s._is_open())
        changed = settlements._let_go() | settlements._take_in()
        model = self.env.registry[self._name]
        for settlement in changed:
            settlement._try(model._settle_anew)

    def _lock(self):
        """Wait for whoever posts the bills or changes the totals, and read anew.

        :return: the settlements
        """
        if not self:
            return self
        self.env["affiliate.commission"].flush_model(["settlement_id", "amount"])
        self.flush_recordset()
        self.move_id.flush_recordset(["state"])
        for query in (
            """SELECT FROM affiliate_settlement WHERE id IN %s
               ORDER BY id FOR NO KEY UPDATE""",
            """SELECT FROM account_move WHERE id IN (
                   SELECT move_id FROM affiliate_settlement WHERE id IN %s)
               ORDER BY id FOR NO KEY UPDATE""",
        ):
            self.env.execute_query(SQL(query, tuple(self.ids)))
        self.invalidate_recordset()
        self.move_id.invalidate_recordset(["state"])
        return self

    def _let_go(self):
        """Take held rows out.

        :return: the settlements that had some
        """
        held = self.commission_ids.filtered("on_hold")
        settlements = held.settlement_id
        held.write({"settlement_id": False})
        return settlements

    def _take_in(self):
        """Add what corrects a row that is in.

        :return: the settlements that got some
        """
        changed = self.browse()
        while corrections := self.env["affiliate.commission"].search(
            [
                ("origin_id.settlement_id", "in", self.ids),
                ("settlement_id", "=", False),
                ("state", "=", "approved"),
                ("on_hold", "=", False),
            ]
        ):
            for settlement, rows in corrections.grouped(
                lambda row: row.origin_id.settlement_id
            ).items():
                rows.write({"settlement_id": settlement.id})
                changed |= settlement
        return changed

    def _settle_anew(self):
        """Write the draft bill again, or give the rows back where they no longer reach
        the minimum: they are carried over, as if they were collected only now."""
        self.ensure_one()
        if not self.commission_ids or not self._reaches_minimum(
            self.program_id, self.currency_id, self.amount_total, self.allow_negative
        ):
            self._dissolve(
                self.env._(
                    "The remaining amount is below the minimum and is carried over."
                )
            )
        elif self.move_id:
            self._write_bill()

    def _dissolve(self, why):
        """Give rows back; nothing stays of what was not even confirmed."""
        drafts = self.filtered(lambda s: s.step == "draft" and not s.move_id)
        (self - drafts)._give_back(why)
        drafts.unlink()

    def _give_back(self, why):
        """Make rows due again, for the next settlement, and cancel draft bills.

        :param str why: told in the history
        """
        for settlement in self:
            rows = settlement.commission_ids.sudo()
            total = settlement.amount_total
            # First, so that the bill's state changes nothing more here.
            settlement.sudo().write({"step": "cancelled"})
            rows.write({"settlement_id": False})
            settlement._set_problem(False)
            settlement.message_post(
                body=self.env._(
                    "%(why)s Its commissions of %(total)s are due again.",
                    why=why,
                    total=settlement.currency_id.format(total),
                )
            )
            if settlement.move_id.state == "draft":
                settlement.move_id.button_cancel()

    # === THE BILL === #

    def _follow_bill(self):
        """Free the rows of bills that were cancelled or fully reversed, paid or not;
        catch up with the ledger where a bill became a draft again."""
        for settlement in self.sudo():
            bill = settlement.move_id
            if settlement.step != "confirmed" or not bill:
                continue
            if bill.state == "cancel":
                settlement._give_back(self.env._("The bill was cancelled."))
            elif bill.state == "draft":
                settlement._follow_ledger()
            elif bill._is_affiliate_bill_reversed():
                settlement._give_back(self.env._("The bill was reversed."))

    def _replace_bill(self, bill):
        """Let another draft bill take the place of one that is reversed."""
        self.ensure_one()
        self.sudo().move_id = bill
        # Core leaves it to be typed from the vendor's paper, which there is none of.
        bill.invoice_date = bill.invoice_date or self._prepare_invoice()["invoice_date"]
        self._attach_statement()

    def _bill_difference(self, posting=None):
        """Return in what the bill differs from the settlement.

        :param posting: a move that is not posted yet but counts as if it were: the bill
            itself, or a credit note that reverses part of it
        :return: what differs, in sentences, empty where nothing does; and by how much
            the bill is higher, or None where an adjustment cannot make up for it
        """
        self.ensure_one()
        bill, said = self.move_id, []
        if bill.company_id != self.company_id:
            said.append(
                self.env._(
                    "The bill belongs to %(other)s, the settlement to %(company)s.",
                    other=bill.company_id.name,
                    company=self.company_id.name,
                )
            )
        vendor, affiliate = bill.partner_id, self.partner_id
        if vendor.commercial_partner_id != affiliate.commercial_partner_id:
            said.append(
                self.env._(
                    "The bill's vendor is %(vendor)s; the settlement is for "
                    "%(affiliate)s.",
                    vendor=vendor.display_name or self.env._("nobody"),
                    affiliate=affiliate.display_name,
                )
            )
        net = bill._affiliate_net(posting)
        currencies = (bill | (posting or bill)).currency_id - self.currency_id
        if currencies or net is None:
            said.append(
                self.env._(
                    "The bill is in %(other)s; the settlement is in %(currency)s.",
                    other=", ".join(currencies.mapped("name")),
                    currency=self.currency_id.name,
                )
            )
        if said:
            return " ".join(said), None
        more = self.currency_id.round(net - self.amount_total)
        if self.currency_id.is_zero(more):
            return "", 0
        return (
            self.env._(
                "Without tax, the bill comes to %(net)s; the settlement is %(total)s.",
                net=self.currency_id.format(net),
                total=self.currency_id.format(self.amount_total),
            ),
            more,
        )

    def _adjust(self, amount, reason):
        """Take the difference of a bill over into the ledger.

        :param float amount: what the bill is more than the settlement
        :param str reason: the affiliate reads it
        :return: the new row
        """
        self.ensure_one()
        row = (
            self.env["affiliate.commission"]
            .sudo()
            .create(
                {
                    "affiliate_id": self.affiliate_id.id,
                    "program_id": self.program_id.id,
                    "company_id": self.company_id.id,
                    "stripe_account_id": self.program_id.stripe_account_id.id,
                    "currency_id": self.currency_id.id,
                    "kind": "adjustment",
                    "amount": amount,
                    "date": self._today(),
                    "explanation": reason,
                    "is_approved": True,
                    "settlement_id": self.id,
                }
            )
        )
        self._refresh_statement()
        self.message_post(
            body=self.env._(
                "An adjustment of %(amount)s was added: %(reason)s",
                amount=self.currency_id.format(amount),
                reason=reason,
            )
        )
        return row

    # === WHAT IS ALLOWED === #

    def _check_bills(self, moves):
        """Refuse what would pay commissions twice, or something else than they are.

        In the books, each bill ever made for a settlement and its reversals must come
        to nothing together, posted or not; only the present one, posted, comes to the
        settlement's total.

        :param moves: the bills that somebody posts, cancels or resets to draft now
        :raise UserError: says what to do instead
        """
        bills = (
            self.env["account.move"]
            .sudo()
            .search([("affiliate_origin_id", "in", self.ids)])
        )
        for bill in bills:
            settlement = bill.affiliate_origin_id
            if (
                settlement.step == "confirmed"
                and settlement.move_id == bill
                and bill.state == "posted"
            ):
                settlement._check_agreed(moves)
            elif bill._affiliate_net() != 0:
                raise UserError(settlement._say_refused(bill, moves))

    def _check_agreed(self, moves):
        """Refuse what leaves a posted bill and its settlement different.

        :param moves: as in ``_check_bills``, or credit notes that go
        """
        for settlement in self:
            if settlement.step == "confirmed" and settlement.move_id.state == "posted":
                if why := settlement._bill_difference()[0]:
                    raise UserError(settlement._say_difference(why, moves))

    def _say_difference(self, why, moves):
        """Return why it is refused, and the way out."""
        self.ensure_one()
        if "posted" not in moves.mapped("state"):
            return self.env._(
                "Settlement %(name)s was adjusted to fit %(moves)s. Without that, the "
                "bill would differ: %(why)s\n\nKeep it posted, or post it. To pay the "
                "amount all the same, add a commission by hand, which the next "
                "settlement takes.",
                name=self.name,
                moves=", ".join(moves.mapped("display_name")),
                why=why,
            )
        return self.env._(
            "The bill would not match settlement %(name)s. %(why)s\n\nOpen the draft "
            "and use “Choose what to do”: an accountant of the affiliate program can "
            "add the difference to the settlement, with a reason, or restore the bill.",
            name=self.name,
            why=why,
        )

    def _say_refused(self, bill, moves):
        """Return why a bill that is not the settlement's (any more) is refused."""
        self.ensure_one()
        if bill.state != "posted":
            notes = bill._affiliate_reversals() - bill
            return self.env._(
                "%(bill)s is reversed by %(notes)s, so one can't be posted without "
                "the other. To take back the rest of the bill, add a credit note for "
                "the remaining amount.",
                bill=bill.name,
                notes=", ".join(notes.mapped("name")),
            )
        if bill not in moves:
            return self.env._(
                "%(bill)s of settlement %(name)s was reversed, so its commissions are "
                "due again or on another bill. Undoing the reversal would pay them "
                "twice. To pay them, settle commissions again.",
                bill=bill.name,
                name=self.name,
            )
        if self.step == "cancelled":
            return self.env._(
                "Settlement %s of this bill was cancelled, and its commissions go to "
                "another settlement. Post the bill of that settlement instead.",
                self.name,
            )
        if self.step == "closed":
            return self.env._(
                "Settlement %s of this bill had a total of zero and was closed "
                "without a bill.",
                self.name,
            )
        if not self.move_id:
            return self.env._(
                "Settlement %s has no bill now; this is only a copy of an earlier "
                "one. Open the settlement and press “Make the bill”.",
                self.name,
            )
        return self.env._(
            "Settlement %(name)s now has another bill (%(bill)s). Post that one "
            "instead. For anything else, create a new bill instead of copying this "
            "one.",
            name=self.name,
            bill=self.move_id.display_name,
        )

    # === WHAT IS IN THE WAY === #

    def _set_problem(self, problem):
        """Say on the settlement, and to an accountant, what is in its bill's way.

        :param problem: what, and what to do; falsy where nothing is
        """
        self.ensure_one()
        settlement = self.sudo()
        if (settlement.problem or "") == (problem or ""):
            return
        settlement.problem = problem
        keep_warning(
            settlement,
            self.env._("The bill needs your attention"),
            escape(problem or ""),
            lambda: self._accountant_of(settlement),
            self.env._("This has been resolved."),
        )

    def _look_again(self):
        """Find out what is in the bills' way since a journal or currency changed."""
        for settlement in self.sudo():
            if settlement._is_open() and (
                settlement.problem or settlement.step == "confirmed"
            ):
                settlement._set_problem(settlement._bill_problem())
