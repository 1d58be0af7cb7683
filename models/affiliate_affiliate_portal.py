from collections import defaultdict

from odoo import fields, models
from odoo.tools import SQL
from odoo.tools.misc import format_date

from ..lib.chart import bars
from ..lib.masking import mask_email

CHART_MONTHS = 12
# What came by each sub-id; "" for links without one. What was moved here from another
# affiliate, or came by a code, has none.
SUB_IDS = """
    WITH came AS (
        SELECT COALESCE(sub_id, '') AS sub_id, COUNT(*) AS visits
          FROM affiliate_click WHERE affiliate_id = %(affiliate)s GROUP BY 1
    ), brought AS (
        SELECT COALESCE(sub_id, '') AS sub_id,
               COUNT(*) FILTER (WHERE state = 'lead') AS leads,
               COUNT(*) FILTER (WHERE state = 'customer') AS customers
          FROM affiliate_referral
         WHERE affiliate_id = %(affiliate)s AND state IN ('lead', 'customer')
      GROUP BY 1
    ), amounts AS (
        SELECT COALESCE(referral.sub_id, '') AS sub_id, row.currency_id,
               SUM(row.amount) AS amount
          FROM affiliate_commission row
     LEFT JOIN affiliate_referral referral
            ON referral.id = row.referral_id
           AND referral.affiliate_id = row.affiliate_id
         WHERE row.affiliate_id = %(affiliate)s AND row.state != 'void'
      GROUP BY 1, 2
    ), earned AS (
        SELECT sub_id, jsonb_object_agg(currency_id, amount) AS earned
          FROM amounts GROUP BY 1
    )
    SELECT sub_id, COALESCE(visits, 0), COALESCE(leads, 0), COALESCE(customers, 0),
           COALESCE(earned, '{}'), COUNT(*) OVER ()
      FROM came FULL JOIN brought USING (sub_id) FULL JOIN earned USING (sub_id)
  ORDER BY sub_id = '', COALESCE(customers, 0) DESC, COALESCE(leads, 0) DESC,
           COALESCE(visits, 0) DESC, sub_id
     LIMIT %(limit)s OFFSET %(offset)s
"""


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

    def _get_portal_sub_ids(self, offset=0, limit=20):
        """Return how many there are, and what came by each of the affiliate's sub-ids,
        the most successful first; what came without one is the last.

        :return: (number, dicts with ``sub_id visits leads customers earned``); visits
            are those not forgotten yet, ``earned`` is ``[(currency, amount)]``
        """
        self.ensure_one()
        for model in ("affiliate.click", "affiliate.referral", "affiliate.commission"):
            self.env[model].flush_model()
        values = {"affiliate": self.id, "limit": limit, "offset": offset}
        rows = self.env.execute_query(SQL(SUB_IDS, **values))
        ids = {int(currency) for row in rows for currency in row[4]}
        currencies = self.env["res.currency"].browse(ids).sorted("name")
        return (rows[0][5] if rows else 0), [
            {
                "sub_id": sub_id,
                "visits": visits,
                "leads": leads,
                "customers": customers,
                "earned": [
                    (currency, earned[str(currency.id)])
                    for currency in currencies
                    if str(currency.id) in earned
                ],
            }
            for sub_id, visits, leads, customers, earned, _number in rows
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
