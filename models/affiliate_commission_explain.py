from odoo import api, models
from odoo.tools import SQL
from odoo.tools.misc import split_every

from ..lib import money
from ..lib.stripe_text import ID_IN_TEXT
from .affiliate_commission import COMPUTED_KINDS

BATCH = 1000
# What was sold, by line of an invoice or of a checkout: product and interval. The texts
# that stand beside them in Stripe (descriptions, nicknames) may name the customer.
ITEMS = """
    SELECT line.stripe_id, product.name, price.billing_interval, price.interval_count
      FROM affiliate_stripe_invoice_line line
 LEFT JOIN affiliate_stripe_price price ON price.id = line.price_id
 LEFT JOIN affiliate_stripe_product product
        ON product.id = COALESCE(price.product_id, line.product_id)
     WHERE line.account_id IN %(accounts)s AND line.stripe_id IN %(lines)s
     UNION ALL
    SELECT item ->> 'id', product.name,
           item #>> '{price,recurring,interval}',
           (item #>> '{price,recurring,interval_count}')::int
      FROM affiliate_stripe_checkout_session session
CROSS JOIN jsonb_array_elements(session.data #> '{line_items,data}') item
      JOIN affiliate_stripe_product product
        ON product.account_id = session.account_id
       AND product.stripe_id = COALESCE(item #>> '{price,product,id}',
                                        item #>> '{price,product}')
     WHERE session.account_id IN %(accounts)s AND session.stripe_id IN %(sales)s
       AND jsonb_typeof(session.data #> '{line_items,data}') = 'array'
"""


class AffiliateCommission(models.Model):
    """Why this amount, in a sentence that affiliates may read.

    It says product and interval of what was sold, and never a text that somebody typed
    into Stripe for one customer.
    """

    _inherit = "affiliate.commission"

    @api.model
    def _items_sold(self, account, line_refs, sale_refs):
        """Return ``{Stripe id of a line: product and plan}``, of those with a product.

        :param line_refs: Stripe ids of lines
        :param sale_refs: Stripe ids of their sales
        """
        if not line_refs or not account:
            return {}
        rows = self.env.execute_query(
            SQL(
                ITEMS,
                accounts=tuple(account.ids),
                lines=tuple(set(line_refs)),
                sales=tuple(set(sale_refs)) or ("",),
            )
        )
        return {
            line: self._item_name(name, interval, count)
            for line, name, interval, count in rows
            if name
        }

    @api.model
    def _item_name(self, name, interval, count):
        """Return e.g. ``Pro, monthly``."""
        plans = {
            ("day", 1): self.env._("daily"),
            ("week", 1): self.env._("weekly"),
            ("month", 1): self.env._("monthly"),
            ("year", 1): self.env._("yearly"),
        }
        several = {
            "day": self.env._("every %s days", count),
            "week": self.env._("every %s weeks", count),
            "month": self.env._("every %s months", count),
            "year": self.env._("every %s years", count),
        }
        plan = plans.get((interval, count or 1)) or several.get(interval)
        return f"{name}, {plan}" if plan else name

    @api.model
    def _explain(self, values):
        """Return the sentence that says why this amount; takes out of the values what
        is only for it.

        :param dict values: of a row, ``currency`` as a code, and ``_item``: what was
            sold; ``_number`` of the sale; ``_rate_type``, None: what was booked no
            longer holds
        """
        code = values["currency"]
        figures = {
            "amount": f"{values['amount']:,} {code}",
            "base": f"{values['base_amount']:,} {code}",
            "rate": f"{values['rate'] or 0:g}",
            "sale": self._sale_words(values.pop("_number", None), values["sale_ref"]),
            "line": values.pop("_item", None) or self.env._("an item"),
        }
        kind, rate_type = values["kind"], values.pop("_rate_type", None)
        if not rate_type:
            return self.env._(
                "%(amount)s: what was booked for %(line)s on %(sale)s no longer holds "
                "(the payment came back, the refund failed, a credit note says what "
                "it was for, or the customer belongs to another affiliate).",
                **figures,
            )
        if rate_type == "fixed":
            return self._explain_fixed(kind) % figures
        return self._explain_percent(kind) % figures

    @api.model
    def _sale_words(self, number, sale_ref):
        """Return what a sale is called in a sentence: never by an id of Stripe.

        :param str number: of its invoice; where it has none, the maths gives an id
        """
        if number and not ID_IN_TEXT.fullmatch(number):
            return number
        if (sale_ref or "").startswith("in_"):
            return self.env._("an invoice")
        if (sale_ref or "").startswith("cs_"):
            return self.env._("a checkout")
        return self.env._("a payment without an invoice")

    def _sale_name(self):
        """Return what the sale of a row is called where there is room for a word: the
        number of its invoice, or what kind of sale it is."""
        self.ensure_one()
        if number := self.invoice_id.number:
            return number
        if not self.sale_ref:
            return dict(self._fields["kind"]._description_selection(self.env))[
                self.kind
            ]
        if self.sale_ref.startswith("cs_"):
            return self.env._("Checkout")
        return self.env._("Payment")

    @api.model
    def _explain_fixed(self, kind):
        return {
            "earned": self.env._("%(amount)s fixed for %(line)s on %(sale)s."),
            "refund": self.env._(
                "%(amount)s: refund of %(line)s on %(sale)s takes back its share "
                "of the fixed commission."
            ),
            "credit_note": self.env._(
                "%(amount)s: credit note about %(line)s on %(sale)s takes back its "
                "share of the fixed commission."
            ),
            "dispute": self.env._(
                "%(amount)s: lost dispute of %(line)s on %(sale)s takes back its "
                "share of the fixed commission."
            ),
        }[kind]

    @api.model
    def _explain_percent(self, kind):
        return {
            "earned": self.env._(
                "%(rate)s %% of %(base)s received without tax for %(line)s on "
                "%(sale)s = %(amount)s."
            ),
            "refund": self.env._(
                "Refund of %(line)s on %(sale)s: %(rate)s %% of %(base)s = %(amount)s."
            ),
            "credit_note": self.env._(
                "Credit note about %(line)s on %(sale)s: %(rate)s %% of %(base)s given "
                "back = %(amount)s."
            ),
            "dispute": self.env._(
                "Lost dispute about %(line)s on %(sale)s: %(rate)s %% of %(base)s = "
                "%(amount)s."
            ),
        }[kind]

    # === ROWS OF BEFORE === #

    @api.model
    def _explain_all_anew(self):
        """Write the sentences of all computed rows once more, from what the rows hold.

        Rows booked before 19.0.1.0.1 carry descriptions as somebody typed them into
        Stripe. What people wrote about rows of their own stays.
        """
        ids = self.sudo().search([("kind", "in", COMPUTED_KINDS)], order="id").ids
        for batch in split_every(BATCH, ids, self.sudo().browse):
            for account, rows in batch.grouped("stripe_account_id").items():
                items = self._items_sold(
                    account, rows.mapped("line_ref"), rows.mapped("sale_ref")
                )
                for row in rows:
                    row.explanation = self._explain(row._as_booked(items))
            batch.flush_recordset(["explanation"])
            batch.invalidate_recordset()

    def _as_booked(self, items):
        """Return the values of a row as they were when it was booked; see _explain."""
        self.ensure_one()
        code = self.currency_id.name
        number = self.invoice_id.number
        holds = self.revision == 1 or (self.amount > 0) == (self.kind == "earned")
        return {
            "kind": self.kind,
            "amount": _exact(self.amount, code),
            "base_amount": _exact(self.base_amount, code),
            "rate": self.rate,
            "currency": code,
            "sale_ref": self.sale_ref,
            "_item": items.get(self.line_ref),
            "_number": holds and number,
            "_rate_type": holds and (self.rule_id.rate_type or "percent"),
        }


def _exact(amount, currency):
    """Return an amount with the decimals of Stripe's currency."""
    return money.to_major(money.nearest_minor(amount, currency), currency)
