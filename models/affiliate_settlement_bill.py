from odoo import Command, fields, models
from odoo.exceptions import UserError


class AffiliateSettlement(models.Model):
    """How a settlement becomes a draft vendor bill."""

    _inherit = "affiliate.settlement"

    def _make_bills(self):
        """Make one draft bill each (a credit note where the sum is negative)."""
        for settlement in self:
            if settlement.move_id and settlement.state != "cancelled":
                continue
            if settlement.currency_id.is_zero(settlement.amount_total):
                settlement.sudo().step = "closed"
                continue
            settlement.sudo().problem = settlement._bill_problem()
            if settlement.problem:
                continue
            # As the user: whoever makes a bill needs the right to.
            move = (
                self.env["account.move"]
                .with_company(settlement.company_id)
                .create(settlement._prepare_invoice())
            )
            move.sudo().affiliate_origin_id = settlement
            settlement.sudo().move_id = move
            settlement._attach_statement()

    def _bill_problem(self):
        """Return why no bill can be made, or False."""
        self.ensure_one()
        if not self._has_rate():
            return self.env._(
                "There is no exchange rate for %(currency)s on %(date)s. Enter one "
                "under Accounting > Configuration > Currencies, then make the bill.",
                currency=self.currency_id.name,
                date=fields.Date.to_string(self._today()),
            )
        if not self._get_journal():
            return self.env._(
                "%s has no purchase journal. Choose one in the programme.",
                self.company_id.name,
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
        refund = self.amount_total < 0
        today = self._today()
        return {
            "move_type": "in_refund" if refund else "in_invoice",
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
        sign = -1 if self.amount_total < 0 else 1
        return {
            "product_id": self.program_id.product_id.id,
            "name": self.env._(
                "Affiliate commissions %(settlement)s, %(program)s, until %(date)s",
                settlement=self.name,
                program=self.program_id.name,
                date=fields.Date.to_string(self.date_to),
            ),
            "quantity": 1,
            "price_unit": sign * self.amount_total,
        }

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
                "name": f"{self.name.replace('/', '-')}.{extension}",
                "raw": content,
                "res_model": "account.move",
                "res_id": self.move_id.id,
            }
        )
