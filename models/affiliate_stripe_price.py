from odoo import api, fields, models
from odoo.tools import formatLang

from ..lib.stripe_text import short_id


class AffiliateStripePrice(models.Model):
    _name = "affiliate.stripe.price"
    _description = "Stripe price (plan)"
    _inherit = "affiliate.stripe.mixin"
    _check_company_auto = True
    _stripe_links = {"product_id": "product_ref"}

    product_id = fields.Many2one(
        "affiliate.stripe.product",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )
    product_ref = fields.Char(readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    nickname = fields.Char(readonly=True)
    unit_amount = fields.Monetary(
        readonly=True, help="Empty where the price is tiered or below a cent."
    )
    billing_interval = fields.Char(string="Interval", readonly=True)
    interval_count = fields.Integer(string="Every", readonly=True)
    lookup_key = fields.Char(string="Lookup key", readonly=True)
    odoo_product_id = fields.Many2one(
        "product.product",
        string="Odoo product",
        help="The product that stands for this plan in Odoo.",
        check_company=True,
    )

    _product_idx = models.Index("(account_id, product_ref)")

    @api.depends(
        "stripe_id", "nickname", "product_id.name", "unit_amount", "currency_id"
    )
    def _compute_display_name(self):
        for price in self:
            name = price.product_id.name or short_id(price.stripe_id or "")
            label = price.nickname or price._terms()
            price.display_name = f"{name} – {label}" if label else name

    def _terms(self):
        """Return e.g. ``$ 25.00 / month``; empty where Stripe has no single amount."""
        self.ensure_one()
        if not self.currency_id or not self.unit_amount:
            return ""
        amount = formatLang(self.env, self.unit_amount, currency_obj=self.currency_id)
        return f"{amount} {self._period()}".strip()

    def _period(self):
        """Return e.g. ``/ month``; empty for what is paid once."""
        self.ensure_one()
        if not self.billing_interval:
            return ""
        every = self.interval_count if self.interval_count > 1 else ""
        return f"/ {every} {self.billing_interval}".replace("  ", " ")

    def _plan_name(self):
        """Return the name of the product, with the plan's own where it has one."""
        self.ensure_one()
        name = self.product_id.name
        return " – ".join(filter(None, (name, self.nickname))) or self.display_name

    @api.model
    def _by_stripe_id(self, accounts, refs):
        """Return ``{(account id, Stripe id): price}``, archived ones too."""
        found = self.with_context(active_test=False).search(
            [("account_id", "in", accounts.ids), ("stripe_id", "in", list(refs))]
        )
        return {(price.account_id.id, price.stripe_id): price for price in found}
