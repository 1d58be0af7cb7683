from collections import defaultdict

from odoo import api, models
from odoo.tools.misc import format_date

from ..lib.stripe_objects import MODELS
from ..lib.stripe_text import ID_IN_TEXT, short_id

# How ids begin; what a person knows such an object by is the name of its mirror row.
KINDS_OF_IDS = {
    "ch": "charge",
    "py": "charge",
    "cn": "credit_note",
    "cs": "checkout_session",
    "cus": "customer",
    "dp": "dispute",
    "du": "dispute",
    "in": "invoice",
    "il": "invoice_line",
    "po": "payout",
    "price": "price",
    "prod": "product",
    "promo": "promotion_code",
    "pyr": "refund",
    "re": "refund",
    "sub": "subscription",
    "txn": "balance_transaction",
}


class AffiliateStripeMixin(models.AbstractModel):
    """What people call a row whose object has no name or number in Stripe."""

    _inherit = "affiliate.stripe.mixin"

    @api.depends(lambda self: self._named_by())
    def _compute_display_name(self):
        amount = self._amount_field()
        for record in self:
            if self._rec_name != "stripe_id":
                named = record[self._rec_name]
            else:
                currency = record.currency_id if amount else None
                money = currency and currency.format(record[amount])
                day = format_date(self.env, record.created)
                named = ", ".join(filter(None, (money, day)))
            record.display_name = named or short_id(record.stripe_id or "")

    @api.model
    def _named_by(self):
        """Return the fields that a row's name is made of."""
        if self._rec_name != "stripe_id":
            return [self._rec_name, "stripe_id"]
        amount = self._amount_field()
        return ["stripe_id", "created", *([amount, "currency_id"] if amount else ())]

    @api.model
    def _amount_field(self):
        """Return which field says how much money an object is about, or None."""
        names = ("amount", "amount_total", "amount_paid")
        return next(
            (
                name
                for name in names
                if name in self._fields and self._fields[name].type == "monetary"
            ),
            None,
        )


class AffiliateStripeAccount(models.Model):
    _inherit = "affiliate.stripe.account"

    def _in_words(self, texts):
        """Return texts for people: ids of Stripe in them give way to what people know
        the objects by, and where nothing is known, to their two ends.

        :param texts: a list; one query a kind of object that is named in them
        """
        found = defaultdict(set)
        for text in texts:
            for match in ID_IN_TEXT.finditer(text or ""):
                if kind := KINDS_OF_IDS.get(match["kind"]):
                    found[kind].add(match[0])
        names = {}
        for kind, refs in found.items():
            rows = self.env[MODELS[kind]].sudo().with_context(active_test=False)
            for row in rows.search(
                [("account_id", "in", self.ids), ("stripe_id", "in", list(refs))]
            ):
                names[row.stripe_id] = row.display_name

        def named(match):
            known = names.get(match[0])
            if not known and match["kind"] not in KINDS_OF_IDS:
                return match[0]  # looks like an id, and may be anything
            return known or short_id(match[0])

        return [ID_IN_TEXT.sub(named, text or "") for text in texts]
