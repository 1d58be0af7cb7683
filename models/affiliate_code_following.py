import time

from markupsafe import Markup

from odoo import api, fields, models
from odoo.tools import SQL

from ..lib import stripe_promotions
from ..tools.people import keep_warning
from .affiliate_code_promotion import OWNER_KEY


class AffiliateCode(models.Model):
    """A code follows its promotion codes: what Stripe refuses is not active here."""

    _inherit = "affiliate.code"

    is_off_at_stripe = fields.Boolean(
        string="Off in Stripe",
        readonly=True,
        copy=False,
        help="It was active, and Stripe does not accept it any more. It becomes active "
        "by itself where somebody switches it on in Stripe.",
    )

    # === WHAT STRIPE SAYS === #

    def _why_off(self):
        """Return why Stripe's checkout refuses each code, ``{code: why not or None}``.

        One of its promotion codes is enough; those of an old discount are off. Codes
        for links only are never refused.
        """
        coupons = self._coupons()
        now = int(time.time())
        found = {}
        for code in self:
            reasons = [
                stripe_promotions.why_off(
                    {**(promotion.data or {}), "active": promotion.active},
                    coupons.get((promotion.account_id, promotion.coupon_ref)),
                    now,
                )
                for promotion in code.promotion_code_ids.sorted("id", reverse=True)
            ]
            is_on = code.link_only or None in reasons
            # The newest one is what the code is now.
            found[code] = (
                None if is_on else next(iter(reasons), stripe_promotions.SWITCHED_OFF)
            )
        return found

    def _is_accepted(self):
        """Tell whether Stripe's checkout takes the code now."""
        self.ensure_one()
        return self.state == "synced" and not self._why_off()[self]

    def _coupons(self):
        """Return the coupons of all of them, ``{(account, Stripe id): dict}``."""
        promotions = self.promotion_code_ids
        coupons = self.env["affiliate.stripe.coupon"].with_context(active_test=False)
        return {
            (coupon.account_id, coupon.stripe_id): {
                **(coupon.data or {}),
                # Not set for a deleted one, of which Stripe tells nothing else.
                "valid": coupon.active,
            }
            for coupon in coupons.search(
                [
                    ("account_id", "in", promotions.account_id.ids),
                    ("stripe_id", "in", promotions.mapped("coupon_ref")),
                ]
            )
        }

    @api.model
    def _off_text(self, reason):
        texts = {
            stripe_promotions.COUPON: self.env._(
                "The discount behind this code was deleted in Stripe or is no longer "
                "valid, so customers cannot use the code. “Try again” makes it anew."
            ),
            stripe_promotions.EXPIRED: self.env._(
                "This code has expired in Stripe, so customers cannot use it. “Try "
                "again” makes it anew."
            ),
            stripe_promotions.USED_UP: self.env._(
                "This code was used as often as Stripe allows, so customers cannot use "
                "it any more. “Try again” makes it anew."
            ),
            stripe_promotions.SWITCHED_OFF: self.env._(
                "This code was switched off in Stripe, so customers cannot use it. "
                "“Try again” switches it on."
            ),
        }
        return texts[reason]

    # === FOLLOWING === #

    def _follow_stripe(self):
        """Have these codes in the state in which Stripe has them.

        Only active codes, and those that were until Stripe refused them: what is being
        made, or was switched off here, is for its own button or scheduled action.
        """
        for code, reason in self.sudo()._why_off().items():
            was_off = code.state == "error" and code.is_off_at_stripe
            if was_off and not reason:
                code._note("synced")
            elif reason and (was_off or code.state == "synced"):
                text = self._off_text(reason)
                if code.sync_error != text:
                    code._note("error", problem=text, is_off_at_stripe=True)

    def _note(self, state, problem=False, **values):
        """Write the state of codes, and what goes with it."""
        told = self.filtered("is_off_at_stripe")
        self.write(
            {
                "state": state,
                "sync_error": problem,
                "foreign_promotion_id": False,
                "is_off_at_stripe": False,
                **values,
            }
        )
        (told | self.filtered("is_off_at_stripe"))._tell_managers()

    def _tell_managers(self):
        """Have one activity on an affiliate while codes of his are off in Stripe."""
        summary = self.env._("Tracking code is off in Stripe")
        for affiliate in self.affiliate_id.sudo():
            off = affiliate.code_ids.filtered("is_off_at_stripe")
            keep_warning(
                affiliate,
                summary,
                Markup("<br/>").join(
                    Markup("%s: %s") % (code.code, code.sync_error) for code in off
                ),
                affiliate.program_id.stripe_account_id._manager,
                self.env._("This is solved."),
            )

    @api.model
    def _follow_promotions(self, account, domain):
        """Let the codes follow promotion codes that were just stored.

        A code that somebody else is writing is left to him: he asks Stripe himself, and
        whatever is missed is found by ``_follow_all``. Nobody waits here who may hold
        what the other one waits for.

        :param domain: of ``affiliate.stripe.promotion.code``
        """
        promotions = self.env["affiliate.stripe.promotion.code"].sudo()
        promotions.invalidate_model()
        self.env["affiliate.stripe.coupon"].invalidate_model()
        promotions = promotions.with_context(active_test=False).search(
            [("account_id", "=", account.id), *domain]
        )
        if not promotions:
            return
        self._own_lost(account, promotions)
        self.sudo().with_context(active_test=False).search(
            [("promotion_code_ids", "in", promotions.ids)]
        ).try_lock_for_update()._follow_stripe()

    @api.model
    def _own_lost(self, account, promotions):
        """Give codes back what Stripe made for them before our transaction was rolled
        back: payments with it count."""
        marks = {
            promotion: mark
            for promotion in promotions
            if (mark := ((promotion.data or {}).get("metadata") or {}).get(OWNER_KEY))
        }
        if not marks:
            return
        codes = self.sudo().search(
            [
                ("stripe_account_id", "=", account.id),
                ("code", "in", [(promo.code or "").upper() for promo in marks]),
            ]
        )
        for promotion, mark in marks.items():
            for code in codes:
                lost = promotion not in code.promotion_code_ids
                if lost and code.stripe_mark == mark:
                    code.write({"promotion_code_ids": [(4, promotion.id)]})

    @api.model
    def _follow_all(self):
        """Find codes that are not in the state in which Stripe has them: no event tells
        that a date has passed."""
        self.env.flush_all()
        found = self.env.execute_query(
            SQL(
                """SELECT DISTINCT code.id
                     FROM affiliate_code code
                     JOIN affiliate_code_promotion_code_rel rel ON rel.code_id = code.id
                     JOIN affiliate_stripe_promotion_code promotion
                       ON promotion.id = rel.promotion_code_id
                LEFT JOIN affiliate_stripe_coupon coupon
                       ON coupon.account_id = promotion.account_id
                      AND coupon.stripe_id = promotion.coupon_ref
                    WHERE code.is_off_at_stripe
                       OR (code.state = 'synced' AND (
                           NOT promotion.active OR coupon.active IS FALSE
                           OR (promotion.data->>'expires_at')::bigint <= %(now)s
                           OR (coupon.data->>'redeem_by')::bigint <= %(now)s
                           OR (promotion.data->>'max_redemptions')::bigint
                              <= promotion.times_redeemed))""",
                now=int(time.time()),
            )
        )
        codes = self.browse(code_id for (code_id,) in found)
        codes.try_lock_for_update()._follow_stripe()


class AffiliateStripePromotionCode(models.Model):
    """Codes follow what is mirrored; the mirror knows nothing of them."""

    _inherit = "affiliate.stripe.promotion.code"

    @api.model
    def _upsert(self, account, rows, synced_at):
        new = super()._upsert(account, rows, synced_at)
        self._tell_codes(account, [row.stripe_id for row in rows])
        return new

    @api.model
    def _archive_missing(self, account, stripe_ids, synced_at):
        done = super()._archive_missing(account, stripe_ids, synced_at)
        self._tell_codes(account, stripe_ids)
        return done

    @api.model
    def _tell_codes(self, account, stripe_ids):
        self.env["affiliate.code"]._follow_promotions(
            account, [("stripe_id", "in", list(stripe_ids))]
        )


class AffiliateStripeCoupon(models.Model):
    """The same, for codes whose promotion codes are over a coupon."""

    _inherit = "affiliate.stripe.coupon"

    @api.model
    def _upsert(self, account, rows, synced_at):
        new = super()._upsert(account, rows, synced_at)
        self._tell_codes(account, [row.stripe_id for row in rows])
        return new

    @api.model
    def _archive_missing(self, account, stripe_ids, synced_at):
        done = super()._archive_missing(account, stripe_ids, synced_at)
        self._tell_codes(account, stripe_ids)
        return done

    @api.model
    def _tell_codes(self, account, stripe_ids):
        self.env["affiliate.code"]._follow_promotions(
            account, [("coupon_ref", "in", list(stripe_ids))]
        )
