from odoo import Command, fields, models
from odoo.exceptions import UserError

NET_TRIES = 12  # steps towards a price; each leaves a small part of the difference


class AffiliateSettlement(models.Model):
    """How a settlement becomes a draft vendor bill."""

    _inherit = "affiliate.settlement"

    def _bill(self):
        """Confirm, and make the draft bill (a credit note where the sum is negative);
        one that is there already is written again."""
        self.ensure_one()
        if self.step == "draft":
            self.sudo().step = "confirmed"
        if self.step != "confirmed" or self.move_id.state == "posted":
            return
        if self.currency_id.is_zero(self.amount_total):
            self._close()
            return
        self._set_problem(self._bill_problem(self.program_id.journal_id))
        if self.problem:
            return
        if self.move_id:
            self._restore_bill()
        else:
            self._make_bill()

    def _make_bill(self):
        # As the user: whoever makes a bill needs the right to.
        move = (
            self.env["account.move"]
            .with_company(self.company_id)
            .create(self._prepare_invoice())
        )
        self._keep_net(move.invoice_line_ids)
        move.sudo().affiliate_origin_id = self
        self.sudo().move_id = move
        self._attach_statement()

    def _close(self):
        """A sum of 0.00 is settled without a bill."""
        self.sudo().step = "closed"
        self._set_problem(False)
        if self.move_id.state == "draft":
            self.move_id.button_cancel()

    def _bill_problem(self, journal=None):
        """Return why no bill can be made or posted, and what to do; or False.

        :param journal: where the bill is going to be; where it is, if None
        """
        self.ensure_one()
        if self.affiliate_id.state != "active":
            return self.env._(
                "%s is not active, so no bill can be made or posted. Reactivate the "
                "affiliate or cancel this settlement.",
                self.affiliate_id.display_name,
            )
        if not self.currency_id.active:
            return self.env._(
                "The currency %s is archived. Activate it under Accounting > "
                "Configuration > Currencies, then make or post the bill.",
                self.currency_id.name,
            )
        if not self._has_rate():
            return self.env._(
                "There is no exchange rate for %(currency)s on %(date)s. Enter one "
                "under Accounting > Configuration > Currencies, then make the bill.",
                currency=self.currency_id.name,
                date=fields.Date.to_string(self._today()),
            )
        journal = journal or self.move_id.journal_id or self._get_journal()
        if not journal:
            return self.env._(
                "%s has no purchase journal. Choose one in the program.",
                self.company_id.name,
            )
        if not journal.active:
            return self.env._(
                "The journal %s is archived. Unarchive it under Accounting > "
                "Configuration > Journals, or choose another one in the program, then "
                "make the bill.",
                journal.name,
            )
        return False

    def _today(self):
        """Return which day it is for the business."""
        return self.program_id.sudo().stripe_account_id._today()

    def _has_rate(self):
        """Tell whether Odoo has a rate: without one it would silently take 1.0."""
        self.ensure_one()
        if self.currency_id == self.company_id.currency_id:
            return True
        return bool(
            self.env["res.currency.rate"]
            .sudo()
            .search_count(
                [
                    ("currency_id", "=", self.currency_id.id),
                    ("company_id", "in", (False, self.company_id.root_id.id)),
                    ("name", "<=", self._today()),
                ],
                limit=1,
            )
        )

    # === NET === #

    def _keep_net(self, line, net=None):
        """Give a bill's line the price at which its amount without tax is the total.

        Commissions are net. Where taxes are included in prices, the price has them on
        top; Odoo then takes off again what it finds in it, so the last fraction is
        looked for.

        :param float net: the amount without tax, where it is not the total
        :raise UserError: where the taxes leave no such price
        """
        self.ensure_one()
        currency = self.currency_id
        net = abs(self.amount_total) if net is None else net

        def is_net():
            return currency.is_zero(abs(line.amount_currency) - net)

        if line.price_unit == net and line.quantity == 1 and is_net():
            return
        price = net + self._tax_in_price(line, net)
        line.write({"quantity": 1, "discount": 0, "price_unit": currency.round(price)})
        for _try in range(NET_TRIES):
            if is_net():
                return
            line.price_unit = price
            price += (net - abs(line.amount_currency)) * (price / net)
        raise UserError(
            self.env._(
                "With taxes %(taxes)s, no price gives a bill of exactly %(net)s "
                "before tax. Choose other taxes on the program's product.",
                taxes=", ".join(line.tax_ids.mapped("name")),
                net=currency.format(net),
            )
        )

    def _tax_in_price(self, line, net):
        """Return how much tax belongs into the price of what costs ``net``."""
        found = line.tax_ids.compute_all(
            net,
            currency=self.currency_id,
            product=line.product_id,
            partner=line.move_id.partner_id,
            is_refund=line.move_id.move_type == "in_refund",
            handle_price_include=False,
            rounding_method="round_globally",
        )
        return sum(tax["amount"] for tax in found["taxes"] if tax["price_include"])

    # === WHAT THE BILL SAYS === #

    def _write_bill(self):
        """Let the draft bill come to what the settlement comes to now.

        Only the line of the commissions is written. What an accountant has added is
        seen when the bill is posted, unless an adjustment has taken it over: then it is
        part of the total.
        """
        self.ensure_one()
        bill = self.move_id
        if self.currency_id.is_zero(self.amount_total):
            self._close()
            return
        if bill.move_type != self._get_move_type():
            self._make_anew()
            return
        before = bill.amount_untaxed
        line = self._get_bill_line()
        if line:
            net = abs(self.amount_total) - self._net_taken_over(line)
            if self.currency_id.compare_amounts(net, 0) > 0:
                self._keep_net(line, net)
                self._refresh_statement()
            else:
                self._restore_bill()
            bill.message_post(
                body=self.env._(
                    "The commissions of settlement %(name)s have changed, so this "
                    "bill was updated: %(after)s without tax instead of %(before)s.",
                    name=self.name,
                    after=bill.currency_id.format(bill.amount_untaxed),
                    before=bill.currency_id.format(before),
                )
            )
        self._set_problem(self._bill_problem())

    def _net_taken_over(self, line):
        """Return what the bill's lines but that of the commissions come to, where the
        difference of this bill was taken over; nothing otherwise."""
        # One from another bill, which was undone, is older than this settlement.
        adjustments = self.commission_ids.filtered(
            lambda row: row.kind == "adjustment" and row.create_date >= self.create_date
        )
        if not adjustments:
            return 0
        bill = self.move_id
        return bill.amount_untaxed - line.amount_currency * bill.direction_sign

    def _restore_bill(self):
        """Let the draft bill be what the settlement says, as when it was made."""
        self.ensure_one()
        bill = self.move_id
        if (
            bill.move_type != self._get_move_type()
            or bill.company_id != self.company_id
        ):
            self._make_anew()
            return
        values = self._prepare_invoice()
        kept = ("move_type", "company_id", "journal_id", "invoice_date", "date")
        if not bill.journal_id.active or not bill.posted_before:
            kept = kept[:2]
        bill.write(
            {
                **{name: value for name, value in values.items() if name not in kept},
                "invoice_cash_rounding_id": False,
                "invoice_line_ids": [
                    Command.delete(i) for i in bill.invoice_line_ids.ids
                ]
                + values["invoice_line_ids"],
            }
        )
        self._keep_net(bill.invoice_line_ids)
        self._refresh_statement()
        self._set_problem(self._bill_problem())

    def _make_anew(self):
        """Put a new draft bill in the place of one that has become of another kind."""
        bill = self.move_id
        # First, or cancelling it would give the rows back.
        self.sudo().move_id = False
        bill.button_cancel()
        self._bill()

    def _get_bill_line(self):
        """Return the line of the commissions, which an accountant may have removed."""
        lines = self.move_id.invoice_line_ids.filtered(
            lambda line: line.display_type == "product"
        ).sorted("id")
        product = self.program_id.product_id
        return (lines.filtered(lambda line: line.product_id == product) or lines)[:1]

    def _get_move_type(self):
        return "in_refund" if self.amount_total < 0 else "in_invoice"

    def _get_journal(self):
        """Return the programme's journal, else a self-billing or purchase journal."""
        self.ensure_one()
        journals = self.env["account.journal"].search(
            [
                *self.env["account.journal"]._check_company_domain(self.company_id),
                ("type", "=", "purchase"),
            ]
        )
        return (
            self.program_id.journal_id
            or journals.filtered("is_self_billing")[:1]
            or journals[:1]
        )

    def _prepare_invoice(self):
        """Return the values of the vendor bill; extend to add to it."""
        self.ensure_one()
        today = self._today()
        return {
            "move_type": self._get_move_type(),
            "partner_id": self.partner_id.id,
            "company_id": self.company_id.id,
            "currency_id": self.currency_id.id,
            "journal_id": self._get_journal().id,
            "invoice_date": today,
            "date": today,
            "ref": self.name,
            "invoice_line_ids": [Command.create(self._prepare_invoice_line())],
        }

    def _prepare_invoice_line(self):
        self.ensure_one()
        return {
            "product_id": self.program_id.product_id.id,
            "name": self.env._(
                "Affiliate commissions %(settlement)s, %(program)s, until %(date)s",
                settlement=self.name,
                program=self.program_id.name,
                date=fields.Date.to_string(self.date_to),
            ),
            "quantity": 1,
            "price_unit": abs(self.amount_total),
        }

    # === THE STATEMENT === #

    def _statements(self):
        """Return the statements attached to the bill."""
        self.ensure_one()
        return (
            self.env["ir.attachment"]
            .sudo()
            .search(
                [
                    ("res_model", "=", "account.move"),
                    ("res_id", "=", self.move_id.id),
                    ("name", "=like", f"{self._statement_name()}.%"),
                ]
            )
        )

    def _statement_name(self):
        return self.name.replace("/", "-")

    def _refresh_statement(self):
        """Take a statement that is not true any more off the draft bill.

        Making one takes seconds and must not keep payments waiting: the bill gets the
        new one when it is posted.
        """
        self._statements().unlink()

    def _complete_statement(self):
        """Put the statement on posted bills that have none."""
        for settlement in self:
            if settlement.move_id.state == "posted" and not settlement._statements():
                settlement._attach_statement()

    def _attach_statement(self):
        """Put the statement PDF on the bill.

        Without the program that makes PDFs there is a bill all the same.
        """
        self.ensure_one()
        report = "affiliate_stripe.action_report_settlement"
        try:
            content, extension = self.env["ir.actions.report"]._render_qweb_pdf(
                report, self.ids
            )
        except UserError as error:
            self.message_post(
                body=self.env._(
                    "The statement could not be made for the bill: %s", str(error)
                )
            )
            return
        self.env["ir.attachment"].create(
            {
                "name": f"{self._statement_name()}.{extension}",
                "raw": content,
                "res_model": "account.move",
                "res_id": self.move_id.id,
            }
        )
