from collections import defaultdict

from odoo import fields, models
from odoo.tools.misc import format_date

from ..lib.chart import bars
from ..lib.masking import mask_email

CHART_MONTHS = 12


class AffiliateAffiliate(models.Model):
    """What an affiliate sees in the portal: plain values of a record that was checked.

    Affiliates may not read referrals and nothing of the mirror, so what the pages show
    of them is put together here, with e-mail addresses masked.
    """

    _inherit = "affiliate.affiliate"

    def _get_portal_figures(self):
        """Return the key figures and the months of each currency earned in.

        The programme's currency comes first; it is there also where all is nought.
        """
        self.ensure_one()
        balances = {
            currency_id: states
            for (_affiliate, currency_id), states in self._get_balances().items()
        }
        own = self.currency_id
        currencies = self.env["res.currency"].browse(balances).sorted("name")
        if own.id in balances or not balances:
            currencies = own | currencies
        months = self._get_portal_months()
        return [
            {
                "currency": currency,
                "earned": sum(balances.get(currency.id, {}).values()),
                **{
                    state: balances.get(currency.id, {}).get(state, 0)
                    for state in ("pending", "approved", "settled", "paid")
                },
                "chart": self._get_portal_chart(months[currency.id]),
            }
            for currency in currencies
        ]

    def _today(self):
        """Return which day it is for the business."""
        return self.program_id.sudo().stripe_account_id._today()

    def _get_portal_months(self):
        """Return ``{currency id: {first day of month: earned}}`` of the last year."""
        since = _month(self._today(), 1 - CHART_MONTHS)
        groups = self.env["affiliate.commission"]._read_group(
            [
                ("affiliate_id", "in", self.ids),
                ("state", "!=", "void"),
                ("date", ">=", since),
            ],
            ["currency_id", "date:month"],
            ["amount:sum"],
        )
        months = defaultdict(dict)
        for currency, month, amount in groups:
            months[currency.id][month] = amount
        return months

    def _get_portal_chart(self, months):
        """Return bars and labels of the last twelve months, or None for no money."""
        if not any(months.values()):
            return None
        today = self._today()
        days = [_month(today, offset) for offset in range(1 - CHART_MONTHS, 1)]
        drawn, zero = bars([months.get(day, 0) for day in days])
        return {
            "zero": zero,
            "bars": drawn,
            "top": max(bar.value for bar in drawn),
            "labels": [
                {
                    "short": format_date(self.env, day, date_format="LLL"),
                    "long": format_date(self.env, day, date_format="LLLL y"),
                }
                for day in days
            ],
        }

    def _get_portal_referrals(self, offset=0, limit=10):
        """Return the latest customers and leads as dicts, whose e-mails are masked."""
        self.ensure_one()
        referrals = (
            self.env["affiliate.referral"]
            .sudo()
            .search([("affiliate_id", "=", self.id)], offset=offset, limit=limit)
        )
        earned = defaultdict(list)
        for referral, currency, amount in (
            self.env["affiliate.commission"]
            .sudo()
            ._read_group(
                [
                    ("affiliate_id", "=", self.id),
                    ("referral_id", "in", referrals.ids),
                    ("state", "!=", "void"),
                ],
                ["referral_id", "currency_id"],
                ["amount:sum"],
            )
        ):
            earned[referral.id].append((currency, amount))
        labels = dict(referrals._fields["state"]._description_selection(self.env))
        return [
            {
                "who": mask_email(referral.email or referral.customer_ids[:1].email),
                "state": referral.state,
                "label": labels[referral.state],
                "date": referral.date,
                "earned": earned[referral.id],
            }
            for referral in referrals
        ]

    def _get_portal_visit_count(self):
        """Return how many visits his links brought in the last 30 days."""
        self.ensure_one()
        since = fields.Datetime.subtract(fields.Datetime.now(), days=30)
        return (
            self.env["affiliate.click"]
            .sudo()
            .search_count([("affiliate_id", "=", self.id), ("date", ">=", since)])
        )

    def _get_portal_referral_count(self):
        self.ensure_one()
        return (
            self.env["affiliate.referral"]
            .sudo()
            .search_count([("affiliate_id", "=", self.id)])
        )


def _month(day, offset):
    """Return the first day of the month ``offset`` months from ``day``."""
    return fields.Date.add(fields.Date.start_of(day, "month"), months=offset)
