import time
from collections import defaultdict
from datetime import datetime, timezone
from functools import cache

from markupsafe import Markup

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL

from ..lib import stripe_promotions
from ..tools.access import needs
from ..tools.people import keep_warnings
from .affiliate_code_promotion import OWNER_KEY

# Codes that are named in one message.
MOST_TOLD = 10


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
    # One of stripe_promotions' reasons, or that its affiliate is suspended.
    off_reason = fields.Char(readonly=True, copy=False)

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
        changed = defaultdict(list)
        for code, reason in self.sudo()._why_off().items():
            was_off = code.state == "error" and code.is_off_at_stripe
            is_followed = was_off or code.state == "synced"
            problem = self._off_text(reason) if reason else False
            if is_followed and code.sync_error != problem:
                changed[reason].append(code.id)
        # Together: the discount that is gone may be behind all codes of a program.
        for reason, code_ids in changed.items():
            self.sudo().browse(code_ids)._note(
                "error" if reason else "synced",
                problem=self._off_text(reason) if reason else False,
                is_off_at_stripe=bool(reason),
                off_reason=reason or False,
            )
        self._look_again_at_their_end()

    def _look_again_at_their_end(self):
        """Have the scheduled action look at these codes when they end by themselves:
        no event tells of it."""
        coupons, now = self._coupons(), int(time.time())
        ends = {
            stripe_promotions.ends_at(
                promotion.data or {},
                coupons.get((promotion.account_id, promotion.coupon_ref)),
            )
            for code in self
            if code.state == "synced"
            for promotion in code.promotion_code_ids
            if promotion.active
        }
        moments = {
            datetime.fromtimestamp(end, timezone.utc).replace(tzinfo=None)
            for end in ends
            if end and end > now
        }
        if not moments:
            return
        cron = self.env.ref("affiliate_stripe.ir_cron_codes").sudo()
        waiting = self.env["ir.cron.trigger"].sudo()
        waiting = waiting.search(
            [("cron_id", "=", cron.id), ("call_at", "in", list(moments))]
        )
        if new := moments - set(waiting.mapped("call_at")):
            cron._trigger(list(new))

    def _note(self, state, problem=False, **values):
        """Write the state of codes, and what goes with it."""
        told = self.filtered("is_off_at_stripe")
        self.write(
            {
                "state": state,
                "sync_error": problem,
                "foreign_promotion_id": False,
                "is_off_at_stripe": False,
                "off_reason": False,
                **values,
            }
        )
        (told | self.filtered("is_off_at_stripe"))._tell_managers()

    def _tell_managers(self):
        """Have one activity while codes are off in Stripe: on the affiliate, or on the
        program where its discount is gone, which all of its codes share."""
        programs = self.sudo().program_id
        off = self.sudo().search(
            [("program_id", "in", programs.ids), ("is_off_at_stripe", "=", True)]
        )
        shared = off.filtered(lambda code: code._lost_shared_discount())
        self._tell_of(programs, shared.grouped("program_id"))
        self._tell_of(self.sudo().affiliate_id, (off - shared).grouped("affiliate_id"))

    def _lost_shared_discount(self):
        return self.off_reason == stripe_promotions.COUPON and not self.adopted_id

    @api.model
    def _tell_of(self, records, off):
        """Have one activity on each of ``records`` about its codes, none where there
        are none.

        :param dict off: ``{record: codes}``
        """
        manager = cache(lambda account: account._manager())
        keep_warnings(
            records,
            self.env._("Tracking code is off in Stripe"),
            {record: off[record]._said() for record in records if record in off},
            lambda record: manager(off[record].stripe_account_id),
            self.env._("This has been resolved."),
        )

    def _said(self):
        """Return what to say of codes that are off."""
        lines = [
            Markup("%s: %s") % (code.code, code.sync_error) for code in self[:MOST_TOLD]
        ]
        if len(self) > MOST_TOLD:
            lines.append(self.env._("And %s more.", len(self) - MOST_TOLD))
        return Markup("<br/>").join(lines)

    @api.model
    def _follow_promotions(self, account, promotions=(), coupons=()):
        """Let the codes follow promotion codes that were just stored.

        A code that somebody else is writing is left to him: he asks Stripe himself, and
        whatever is missed is found by ``_follow_all``. Nobody waits here who may hold
        what the other one waits for.

        :param promotions: Stripe ids of them
        :param coupons: Stripe ids of coupons that were stored: those over them, too
        """
        if not (promotions or coupons):
            return
        mirror = self.env["affiliate.stripe.promotion.code"].sudo()
        mirror.invalidate_model()
        self.env["affiliate.stripe.coupon"].invalidate_model()
        promotions = mirror.with_context(active_test=False).search(
            Domain("account_id", "=", account.id)
            & (
                Domain("stripe_id", "in", list(promotions))
                | Domain("coupon_ref", "in", list(coupons))
            )
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
                           OR (coupon.data->>'max_redemptions')::bigint
                              <= (coupon.data->>'times_redeemed')::bigint
                           OR (promotion.data->>'max_redemptions')::bigint
                              <= promotion.times_redeemed))""",
                now=int(time.time()),
            )
        )
        codes = self.browse(code_id for (code_id,) in found)
        codes.try_lock_for_update()._follow_stripe()


class AffiliateProgram(models.Model):
    """The discount of a program is behind all of its codes, but those taken over."""

    _inherit = "affiliate.program"

    codes_off_count = fields.Integer(compute="_compute_codes_off_count")

    def _compute_codes_off_count(self):
        groups = self.env["affiliate.code"]._read_group(
            [("program_id", "in", self.ids), ("is_off_at_stripe", "=", True)],
            ["program_id"],
            ["__count"],
        )
        counts = {program.id: count for program, count in groups}
        for program in self:
            program.codes_off_count = counts.get(program.id, 0)

    @needs("write", sudo=True)
    def action_renew_codes(self):
        """Have all codes that are off in Stripe made to work again, soon."""
        self.stripe_account_id._refuse_elsewhere()
        codes = self.env["affiliate.code"].search(
            [
                ("program_id", "in", self.ids),
                ("is_off_at_stripe", "=", True),
                ("affiliate_id.state", "=", "active"),
            ]
        )
        codes.write({"state": "draft"})
        codes._schedule_push()
        return True


class AffiliateStripeSync(models.AbstractModel):
    """Codes follow what is mirrored; the mirror knows nothing of them."""

    _inherit = "affiliate.stripe.sync"

    @api.model
    def _after_mirror(self, account, stored):
        """All at once: of a promotion code alone one would not know that it is off
        because its coupon was deleted."""
        result = super()._after_mirror(account, stored)
        self.env["affiliate.code"]._follow_promotions(
            account, stored.get("promotion_code", ()), stored.get("coupon", ())
        )
        return result


class AffiliateStripePromotionCode(models.Model):
    _inherit = "affiliate.stripe.promotion.code"

    @api.model
    def _changed_by_use(self, account, stripe_ids):
        """Those that end after so many uses: no event need tell that one was used."""
        counted = self.with_context(active_test=False).search(
            [("account_id", "=", account.id), ("stripe_id", "in", list(stripe_ids))]
        )
        return {
            promotion.stripe_id
            for promotion in counted
            if stripe_promotions.is_counted(
                promotion.data or {}, promotion.coupon_id.data
            )
        }


class AffiliateStripeCoupon(models.Model):
    _inherit = "affiliate.stripe.coupon"

    @api.model
    def _changed_by_use(self, account, stripe_ids):
        counted = self.with_context(active_test=False).search(
            [("account_id", "=", account.id), ("stripe_id", "in", list(stripe_ids))]
        )
        return {
            coupon.stripe_id
            for coupon in counted
            if (coupon.data or {}).get("max_redemptions")
        }
