from odoo import api, fields, models
from odoo.http import request
from odoo.tools import formatLang


class AffiliateProgram(models.Model):
    """What the public page shows of a programme."""

    _name = "affiliate.program"
    _inherit = ["affiliate.program", "website.seo.metadata"]

    # Core computes it from what is typed; nobody types it.
    is_seo_optimized = fields.Boolean(readonly=True)

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

    def _get_public_terms(self):
        """Return what the program pays now, a sentence a rule, in the order in which
        they are tried; rules that never come to their turn are left out."""
        self.ensure_one()
        now = fields.Datetime.now()
        sentences, before = [], self.env["affiliate.commission.rule"]
        for rule in self.rule_ids.sorted(lambda rule: (rule.sequence, rule.id)):
            if rule.date_from and rule.date_from > now:
                continue
            if rule.date_to and rule.date_to <= now:
                continue
            if rule._is_never_reached(before):
                continue
            sentences.append(rule._get_public_text(before))
            before |= rule
        return list(dict.fromkeys(sentences))

    def _get_discount_terms(self):
        """Return what a customer saves and who may, in words, or False."""
        text = self._get_discount_text()
        if text and self.first_time_only:
            return self.env._("%s, for new customers", text)
        return text

    def _default_website_meta(self):
        """Return what is shown where somebody shares the page: this program."""
        meta = super()._default_website_meta()
        terms = " · ".join(self._get_public_terms())
        if terms:
            meta["default_meta_description"] = terms
            meta["default_opengraph"]["og:description"] = terms
            meta["default_twitter"]["twitter:description"] = terms
        if not request.website.has_social_default_image and self.company_id.logo:
            logo = request.website.image_url(self.company_id, "logo")
            meta["default_opengraph"]["og:image"] = logo
            meta["default_twitter"]["twitter:image"] = logo
            meta["default_twitter"]["twitter:card"] = "summary"
        return meta

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

    def _get_public_text(self, before=()):
        """Return what the rule pays in words for people who do not know the terms.

        E.g. "30 % of every payment for Pro, for 12 months".

        :param before: the rules that are tried before this one
        """
        self.ensure_one()
        before = self.browse().union(*before)
        what = self._get_public_what(before)
        if not (self.rate if self.rate_type == "percent" else self.amount):
            return self._get_public_nothing(before, what)
        words = {
            "earns": self._get_public_rate(),
            "payments": self._get_public_payments(before),
            "what": what,
        }
        if self.rate_type == "percent" and what:
            text = self.env._("%(earns)s of %(payments)s for %(what)s", **words)
        elif self.rate_type == "percent":
            text = self.env._("%(earns)s of %(payments)s", **words)
        elif what:
            text = self.env._("%(earns)s on %(payments)s for %(what)s", **words)
        else:
            text = self.env._("%(earns)s on %(payments)s", **words)
        return ", ".join([text, *self._get_public_limits()])

    def _get_public_nothing(self, before, what):
        """Return on what nothing is paid: where that are some payments only, another
        rule pays something on the others."""
        some = {
            "first": self.env._("the first payment"),
            "renewal": self.env._("payments after the first"),
        }.get(self._get_public_applies(before))
        payments = self._add_currency(some or self.env._("payments"), before)
        if not some and payments == self.env._("payments"):
            payments = ""
        if payments and what:
            return self.env._(
                "No commission on %(payments)s for %(what)s",
                payments=payments,
                what=what,
            )
        if payments or what:
            return self.env._("No commission on %s", payments or what)
        return self.env._("No commission")

    def _get_public_rate(self):
        """Return e.g. "30 %" or "$ 25.00"."""
        if self.rate_type == "percent":
            return self.env._("%s %%", f"{self.rate:g}")
        text = formatLang(self.env, self.amount, currency_obj=self.currency_id)
        return self.env._("%s for each unit", text) if self.per_unit else text

    def _get_public_payments(self, before):
        """Return which payments, in words."""
        applies = self._get_public_applies(before)
        if self._is_once():
            text = self.env._("the payment")
        elif self.max_count == 1:
            text = {
                "all": self.env._("one payment"),
                "first": self.env._("the first payment"),
                "renewal": self.env._("one payment after the first"),
            }[applies]
        else:
            text = {
                "all": self.env._("every payment"),
                "first": self.env._("the first payment"),
                "renewal": self.env._("every payment after the first"),
            }[applies]
        return self._add_currency(text, before)

    def _get_public_applies(self, before):
        """Return which payments: those that earlier rules about the same leave."""
        taken = self._get_taken(before) - {"all"}
        if self.applies_to == "all" and len(taken) == 1:
            return "renewal" if "first" in taken else "first"
        return self.applies_to

    def _get_taken(self, before):
        """Return which payments are decided by earlier rules about the same."""
        return {rule.applies_to for rule in before if rule._covers(self)}

    def _add_currency(self, payments, before):
        """Return words for payments with their currency, where it matters."""
        if self.rate_type == "fixed" and self._is_one_of_several_currencies():
            # Nothing is converted: in another currency another rule decides.
            return self.env._(
                "%(payments)s in %(currency)s",
                payments=payments,
                currency=self.currency_id.name,
            )
        if "all" in self._get_taken(before) and self.rate_type == "percent":
            return self.env._("%s in other currencies", payments)
        return payments

    def _get_public_what(self, before):
        """Return what the rule is about; empty: everything."""
        names = {
            "product": self.product_ids.mapped("name"),
            "price": self.price_ids.mapped("display_name"),
        }.get(self.scope)
        if names:
            intervals = self._fields["billing_interval"]._description_selection(
                self.env
            )
            interval = dict(intervals).get(self.billing_interval)
            text = ", ".join(names)
            return f"{text} ({interval.lower()})" if interval else text
        rest = any(not rule._covers(self) for rule in before)
        if rest:
            return {
                "day": self.env._("all other plans billed daily"),
                "week": self.env._("all other plans billed weekly"),
                "month": self.env._("all other plans billed monthly"),
                "year": self.env._("all other plans billed yearly"),
                "one_time": self.env._("all other one-off purchases"),
            }.get(self.billing_interval) or self.env._("everything else")
        return {
            "day": self.env._("plans billed daily"),
            "week": self.env._("plans billed weekly"),
            "month": self.env._("plans billed monthly"),
            "year": self.env._("plans billed yearly"),
            "one_time": self.env._("one-off purchases"),
        }.get(self.billing_interval, "")

    def _get_public_limits(self):
        if self._is_once():
            return [self.env._("once")]
        if self.applies_to == "first" or self.max_count == 1:
            return []  # said by the words for the payment
        limits = []
        if self.duration_months == 1:
            limits.append(self.env._("for one month"))
        elif self.duration_months:
            limits.append(self.env._("for %s months", self.duration_months))
        if self.max_count:
            limits.append(self.env._("at most %s payments", self.max_count))
        limits = limits or [self.env._("for as long as the customer pays")]
        if names := self._get_once_names():
            once = self.env._("once for %s", ", ".join(names))
            limits[-1] = f"{limits[-1]} ({once})"
        return limits

    def _get_once_names(self):
        """Return what is paid once, of a rule that is also about what goes on."""
        if self.applies_to != "all" or self.billing_interval:
            return []
        if self.scope == "price":
            once = self.price_ids.filtered(lambda price: not price.billing_interval)
            return once.mapped("display_name")
        once = self.product_ids.filtered(
            lambda product: (
                product.price_ids
                and not any(product.price_ids.mapped("billing_interval"))
            )
        )
        return once.mapped("name") if self.scope == "product" else []

    def _is_once(self):
        """Tell whether the rule is about things that are paid once, not again and
        again."""
        if self.applies_to != "all":
            return False
        if self.billing_interval:
            return self.billing_interval == "one_time"
        prices = self.price_ids if self.scope == "price" else self.product_ids.price_ids
        return (
            self.scope != "all"
            and bool(prices)
            and not any(prices.mapped("billing_interval"))
        )

    def _is_one_of_several_currencies(self):
        """Tell whether it has to be said that a fixed amount is for payments in its
        currency."""
        rules = self.program_id.rule_ids
        fixed = rules.filtered(lambda rule: rule.rate_type == "fixed")
        others = rules.filtered(lambda rule: rule.rate_type == "percent")
        return len(fixed.currency_id | self.program_id.currency_id) > 1 or (
            self.applies_to == "all" and any(map(self._covers, others))
        )

    # --- rules that are tried one after the other (``lib.commission.Rule``) ---

    def _covers(self, other):
        """Tell whether the rule is about all that another one is about, apart from
        first payments and others, and from currencies."""
        if self.billing_interval not in (False, other.billing_interval):
            return False
        if self.scope == "price":
            prices = other.price_ids
            return other.scope == "price" and prices <= self.price_ids
        if self.scope == "product":
            products = other.product_ids
            if other.scope == "price":
                products = other.price_ids.product_id
            return other.scope != "all" and products <= self.product_ids
        return True

    def _is_never_reached(self, before):
        """Tell whether the rules that are tried before leave nothing to this one."""
        taken = {
            rule.applies_to
            for rule in before
            if rule._covers(self)
            and (
                rule.rate_type == "percent"
                or (rule.rate_type, rule.currency_id)
                == (self.rate_type, self.currency_id)
            )
        }
        return bool(taken & {"all", self.applies_to}) or {"first", "renewal"} <= taken


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
