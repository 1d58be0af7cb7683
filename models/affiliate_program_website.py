from odoo import api, models
from odoo.tools import formatLang


class AffiliateProgram(models.Model):
    """What the public page shows of a programme."""

    _inherit = "affiliate.program"

    @api.model
    def _get_public(self, company):
        """Return the programmes a visitor of a company's site may see, as superuser.

        Visitors have no access to programmes at all; this is the one way to them. Who
        works on programmes or on the site sees unpublished ones too.
        """
        domain = [("company_id", "=", company.id)]
        if not (
            self.has_access("read")
            or self.env.user.has_group("website.group_website_designer")
        ):
            domain.append(("is_published", "=", True))
        return self.sudo().search(domain)

    def _get_discount_text(self):
        """Return what a customer saves with a code, in words, or False."""
        self.ensure_one()
        if self.discount_type == "none":
            return False
        percent = self.discount_type == "percent" and self.discount_value
        return discount_text(
            self.env,
            percent,
            self.discount_value,
            self.currency_id,
            self.discount_duration,
            self.discount_months,
        )


class AffiliateCommissionRule(models.Model):
    _inherit = "affiliate.commission.rule"

    def _get_public_text(self):
        """Return what the rule pays in words for people who do not know the terms.

        E.g. "30 % of every payment for Pro, for 12 months".
        """
        self.ensure_one()
        payments = {
            "all": self.env._("every payment"),
            "first": self.env._("the first payment"),
            "renewal": self.env._("every payment after the first"),
        }[self.applies_to]
        if self.rate_type == "percent":
            text = self.env._(
                "%(rate)s %% of %(payments)s", rate=f"{self.rate:g}", payments=payments
            )
        else:
            amount = formatLang(self.env, self.amount, currency_obj=self.currency_id)
            text = self.env._(
                "%(amount)s on %(payments)s", amount=amount, payments=payments
            )
        plans = self.product_ids.mapped("name") if self.scope == "product" else []
        plans = (
            self.price_ids.mapped("display_name") if self.scope == "price" else plans
        )
        if plans:
            text = self.env._(
                "%(text)s for %(plans)s", text=text, plans=", ".join(plans)
            )
        return ", ".join([text, *self._get_public_limits()])

    def _get_public_limits(self):
        limits = []
        if self.billing_interval:
            intervals = self._fields["billing_interval"]._description_selection(
                self.env
            )
            limits.append(dict(intervals)[self.billing_interval].lower())
        if self.duration_months:
            limits.append(self.env._("for %s months", self.duration_months))
        if self.max_count:
            limits.append(self.env._("at most %s payments", self.max_count))
        if not (self.duration_months or self.max_count or self.applies_to == "first"):
            limits.append(self.env._("for as long as the customer pays"))
        return limits


class AffiliateStripeCoupon(models.Model):
    _inherit = "affiliate.stripe.coupon"

    def _get_discount_text(self):
        """Return what a customer saves with the coupon, in words."""
        self.ensure_one()
        return discount_text(
            self.env,
            self.percent_off,
            self.amount_off,
            self.currency_id,
            self.duration,
            self.duration_in_months,
        )


def discount_text(env, percent, amount, currency, duration, months):
    """Return what a discount saves, in words.

    :param float percent: None or 0 for an amount
    :param float amount: in units of ``currency``
    :param str duration: Stripe's word: ``once``, ``repeating`` or ``forever``
    """
    if percent:
        saving = env._("%s %% off", f"{percent:g}")
    else:
        saving = env._("%s off", formatLang(env, amount, currency_obj=currency))
    if duration == "once":
        return env._("%s the first payment", saving)
    if duration == "forever":
        return env._("%s every payment", saving)
    if months == 1:
        return env._("%s for one month", saving)
    return env._("%(saving)s for %(months)s months", saving=saving, months=months)
