from collections import defaultdict

from odoo import api, models
from odoo.tools import SQL
from odoo.tools.misc import split_every

from ..lib import commission, money, paid_moments
from ..lib.stripe_text import ID_IN_TEXT
from .affiliate_commission import COMPUTED_KINDS

BATCH = 1000
# Why there is nothing any more; the others are those of ``commission.why_nothing``.
MOVED = "moved"
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
        """Return the sentences that say why this amount, and why this day where that is
        not plain; takes out of the values what is only for them. See _explain_amount.
        """
        day = self._explain_day(values["kind"], values.pop("_dated_by", None))
        return " ".join(filter(None, (self._explain_amount(values), day)))

    @api.model
    def _explain_day(self, kind, dated_by):
        """Say what a payment is dated by, where no event of Stripe's tells any more."""
        if kind != "earned" or not dated_by:
            return None
        return {
            paid_moments.BOOKED: self.env._(
                "Stripe no longer says when the money was collected, so the date is "
                "that of its balance transaction."
            ),
            paid_moments.AVAILABLE: self.env._(
                "Stripe no longer says when the bank paid, so the date is the day the "
                "money became available."
            ),
            paid_moments.CREATED: self.env._(
                "Stripe no longer says when this was paid, so the date is the day the "
                "payment was started."
            ),
        }[dated_by]

    @api.model
    def _explain_amount(self, values):
        """Return the sentence that says why this amount.

        :param dict values: of a row, ``currency`` as a code, and ``_item``: what was
            sold; ``_told``, what it is about, all of it optional: ``number`` of the
            sale; ``rate_type``, without which what was booked no longer holds, and
            ``why`` that is so; ``laid``, see ``commission.Laid``; and of a row that
            corrects an earlier one ``before``, what was booked, ``now``: (what
            it is instead, of which base), both in minor units, and ``another_rule``
        """
        told, code = values.pop("_told"), values["currency"]
        figures = {
            "amount": f"{values['amount']:,} {code}",
            "base": f"{values['base_amount']:,} {code}",
            "rate": f"{values['rate'] or 0:g}",
            "sale": self._sale_words(told.get("number"), values["sale_ref"]),
            "line": values.pop("_item", None) or self.env._("an item"),
        }
        kind, laid = values["kind"], told.get("laid")
        if not told.get("rate_type"):
            return self._explain_gone(kind, told.get("why"), figures)
        if laid:
            figures |= self._laid_figures(laid, code)
        if told.get("before"):
            now, base = told["now"]
            figures |= {
                "now": _shown(now, code),
                "before": _shown(told["before"], code),
                "base": _shown(base, code),
            }
            return self._explain_correction(kind, told, figures)
        if told["rate_type"] == "percent":
            return self._explain_percent(kind) % figures
        return self._explain_fixed(kind, laid, figures)

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
    def _laid_figures(self, laid, code):
        return {
            "part": _shown(laid.part, code),
            "whole": _shown(laid.whole, code),
            "each": _shown(laid.each, code),
            "units": f"{float(laid.units or 0):g}",
        }

    @api.model
    def _explain_correction(self, kind, told, figures):
        """Say what a row is instead of what was booked before, and why."""
        corrected = {
            "earned": self.env._(
                "Correction of %(line)s on %(sale)s: %(now)s instead of %(before)s, a "
                "change of %(amount)s.",
                **figures,
            ),
            "refund": self.env._(
                "Correction of the refund of %(line)s on %(sale)s: %(now)s instead of "
                "%(before)s, a change of %(amount)s.",
                **figures,
            ),
            "credit_note": self.env._(
                "Correction of the credit note for %(line)s on %(sale)s: %(now)s "
                "instead of %(before)s, a change of %(amount)s.",
                **figures,
            ),
            "dispute": self.env._(
                "Correction of the lost dispute about %(line)s on %(sale)s: %(now)s "
                "instead of %(before)s, a change of %(amount)s.",
                **figures,
            ),
        }[kind]
        if told["rate_type"] == "percent":
            how = self.env._("It is now %(rate)s %% of %(base)s without tax", **figures)
        elif told.get("laid"):
            how = self._explain_laid(told["laid"], figures)
        else:
            how = self.env._("It is now a share of a fixed amount")
        if told.get("another_rule"):
            how = self.env._(
                "%s. Another rule applies now, for example because an earlier payment "
                "has been found",
                how,
            )
        return f"{corrected} {how}."

    @api.model
    def _explain_laid(self, laid, figures):
        """Say how much of a fixed amount lies on a line, without a full stop."""
        if laid.part == laid.whole:
            text = self.env._("%(whole)s fixed for %(line)s on %(sale)s", **figures)
        else:
            text = self.env._(
                "%(part)s of the fixed %(whole)s for %(sale)s, allocated to %(line)s",
                **figures,
            )
        if laid.units is not None:
            each = self.env._("%(each)s for each of %(units)s units", **figures)
            text = f"{text} ({each})"
        if laid.capped:
            text = self.env._("%s, never more than what was paid", text)
        return text

    @api.model
    def _explain_fixed(self, kind, laid, figures):
        if kind == "earned":
            if not laid:
                return self.env._(
                    "%(amount)s fixed for %(line)s on %(sale)s.", **figures
                )
            text = self._explain_laid(laid, figures)
            if figures["amount"] == figures["part"]:
                return f"{text}."
            return self.env._(
                "%(amount)s: %(fixed)s; this is the part for which payment has been "
                "received.",
                fixed=text,
                **figures,
            )
        text = {
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
        }[kind] % figures
        if laid and laid.part != laid.whole:
            lies = self.env._(
                "%(part)s of the %(whole)s are allocated to this item.", **figures
            )
            text = f"{text} {lies}"
        return text

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

    @api.model
    def _explain_gone(self, kind, why, figures):
        """Say that what was booked no longer holds, and why."""
        if not why:
            return self.env._(
                "%(amount)s: what was booked for %(line)s on %(sale)s no longer "
                "applies (the payment was returned, the refund failed, a credit note "
                "now covers it, or the customer now belongs to another affiliate).",
                **figures,
            )
        figures["why"] = self._why_gone(kind, why)
        return {
            "earned": self.env._(
                "%(amount)s: %(line)s on %(sale)s no longer earns anything: %(why)s.",
                **figures,
            ),
            "refund": self.env._(
                "%(amount)s: the refund of %(line)s on %(sale)s no longer takes "
                "anything back: %(why)s.",
                **figures,
            ),
            "credit_note": self.env._(
                "%(amount)s: the credit note for %(line)s on %(sale)s no longer takes "
                "anything back: %(why)s.",
                **figures,
            ),
            "dispute": self.env._(
                "%(amount)s: the dispute about %(line)s on %(sale)s no longer takes "
                "anything back: %(why)s.",
                **figures,
            ),
        }[kind]

    @api.model
    def _why_gone(self, kind, why):
        if why == commission.CAUSE:
            return {
                "earned": self.env._("the payment was returned"),
                "refund": self.env._(
                    "it did not go through, or a credit note now covers it"
                ),
                "credit_note": self.env._("it no longer applies"),
                "dispute": self.env._("it is no longer lost"),
            }[kind]
        return {
            MOVED: self.env._("the customer now belongs to another affiliate"),
            commission.UNPAID: self.env._(
                "the payment was returned, or the invoice was voided"
            ),
            commission.SKIPPED: self.env._(
                "the sale is marked as earning no commission"
            ),
            commission.UNCLEAR: self.env._("the amounts of the sale do not add up"),
            commission.MONTHS: self.env._(
                "the months of the rule are over, counted from an earlier payment "
                "that has been found"
            ),
            commission.PAYMENTS: self.env._(
                "the payments of the rule were used up by earlier ones that have been "
                "found"
            ),
            commission.NO_RULE: self.env._(
                "no program rule pays a commission on it anymore, for example because "
                "an earlier payment now counts as the first"
            ),
            commission.NOTHING: self.env._("it now comes to zero"),
        }[why]

    # === ROWS OF BEFORE === #

    @api.model
    def _explain_all_anew(self):
        """Write the sentences of all computed rows once more, from what the rows hold.

        Rows booked before 19.0.1.0.2 carry descriptions as somebody typed them into
        Stripe. What people wrote about rows of their own stays.
        """
        ids = self.sudo().search([("kind", "in", COMPUTED_KINDS)], order="id").ids
        for batch in split_every(BATCH, ids, self.sudo().browse):
            for account, rows in batch.grouped("stripe_account_id").items():
                items = self._items_sold(
                    account, rows.mapped("line_ref"), rows.mapped("sale_ref")
                )
                for row, values in rows._as_booked(items):
                    row.explanation = self._explain(values)
            batch.flush_recordset(["explanation"])
            batch.invalidate_recordset()

    def _as_booked(self, items):
        """Return ``[(row, values as they were when it was booked)]``; see _explain."""
        earlier = self._earlier_sums()
        return [(row, row._values_as_booked(items, *earlier[row])) for row in self]

    def _earlier_sums(self):
        """Return ``{row: (rows of the same key before it, their sum, sum with it)}``,
        the sums in minor units."""
        corrected = self.filtered(lambda row: row.revision > 1)
        family = defaultdict(self.browse)
        if corrected:
            for row in self.search(
                [
                    ("stripe_account_id", "in", corrected.stripe_account_id.ids),
                    ("line_ref", "in", corrected.mapped("line_ref")),
                ],
                order="revision",
            ):
                family[row._key_as_booked()] |= row
        sums = {}
        for row in self:
            before = family[row._key_as_booked()].filtered(
                lambda other, row=row: other.revision < row.revision
            )
            code = row.currency_id.name
            have = sum(money.nearest_minor(r.amount, code) for r in before)
            sums[row] = before, have, have + money.nearest_minor(row.amount, code)
        return sums

    def _key_as_booked(self):
        return (
            self.stripe_account_id,
            self.line_ref,
            self.affiliate_id,
            self.level,
            self.cause_id,
        )

    def _values_as_booked(self, items, before, have, now):
        self.ensure_one()
        code = self.currency_id.name
        told = {"number": self.invoice_id.number}
        if now or not before:
            base = sum(
                money.nearest_minor(row.base_amount, code) for row in before | self
            )
            told |= {
                "rate_type": self.rule_id.rate_type or "percent",
                "before": have,
                "now": (now, base),
                "another_rule": before
                and self._is_another_rule(self.rule_id.id, before[-1].rule_id.id),
            }
        return {
            "kind": self.kind,
            "amount": _exact(self.amount, code),
            "base_amount": _exact(self.base_amount, code),
            "rate": self.rate,
            "currency": code,
            "sale_ref": self.sale_ref,
            "_item": items.get(self.line_ref),
            "_told": told,
        }


def _exact(amount, currency):
    """Return an amount with the decimals of Stripe's currency."""
    return money.to_major(money.nearest_minor(amount, currency), currency)


def _shown(minor, currency):
    return f"{money.to_major(minor, currency):,} {currency}"
