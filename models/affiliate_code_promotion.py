import secrets
from dataclasses import replace

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..lib import stripe_promotions
from ..lib.stripe_client import StripeProblem
from ..lib.stripe_objects import KINDS
from ..lib.stripe_paths import api_path
from ..lib.stripe_promotions import Terms
from ..tools.access import needs
from .affiliate_affiliate import SUSPENDED

# In the metadata of our promotion codes: which row made it, and for whom.
OWNER_KEY, OWNER_NAME = "odoo_affiliate_code", "odoo_affiliate"


class AffiliateCode(models.Model):
    """A code as a promotion code of Stripe: made, found again, switched off."""

    _inherit = "affiliate.code"

    # By it the row knows its promotion codes again in Stripe. Random, unlike an id: a
    # database restored from a backup gives ids out a second time.
    stripe_mark = fields.Char(
        default=lambda self: secrets.token_hex(8), readonly=True, copy=False
    )
    adopted_id = fields.Many2one(
        "affiliate.stripe.promotion.code",
        string="Keeps the discount of",
        readonly=True,
        copy=False,
        ondelete="restrict",
        check_company=True,
        help="The promotion code that was taken over from Stripe. The tracking "
        "code keeps its discount, even if the program's discount is different.",
    )

    @needs("write", sudo=True)
    def action_adopt(self):
        """Show the promotion code of the same text that is in Stripe already, and whose
        it is, before it is taken over."""
        self.ensure_one()
        self.stripe_account_id._refuse_elsewhere()
        wizard = self.env["affiliate.adopt.wizard"].create(
            {"code_id": self.id, "promotion_id": self._read_foreign().id}
        )
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Use a promotion code that is in Stripe"),
            "res_model": wizard._name,
            "res_id": wizard.id,
            "view_mode": "form",
            "target": "new",
        }

    def _read_foreign(self):
        """Return the promotion code in our way, with its coupon, as they are now."""
        account = self.stripe_account_id
        stripe_api = account._api()
        try:
            raw = stripe_api.get(api_path("promotion_codes", self.foreign_promotion_id))
            self._read_coupon(stripe_api, stripe_promotions.coupon_of(raw))
        except StripeProblem as problem:
            raise UserError(account._problem_text(problem)) from problem
        return self._mirror(account, "promotion_code", raw)

    def _read_coupon(self, stripe_api, coupon):
        """Read a coupon with all of its terms into the mirror.

        :param str coupon: its Stripe id
        :return: Stripe's coupon (dict)
        :raise StripeProblem: ``missing``, where it was deleted
        """
        path, params = KINDS["coupon"].request(coupon)
        raw = stripe_api.get(path, **params)
        self._mirror(self.stripe_account_id, "coupon", raw)
        return raw

    def _adopt_foreign(self, promotion):
        """Take a promotion code over: what is paid with it earns for this affiliate.

        What a customer saves with it stays as it is, then and later.

        :param promotion: the ``affiliate.stripe.promotion.code`` that a person saw
        """
        self.ensure_one()
        account = self.stripe_account_id
        try:
            raw = account._api().post(
                api_path("promotion_codes", promotion.stripe_id),
                {"metadata": self._owner()},
            )
        except StripeProblem as problem:
            raise UserError(account._problem_text(problem)) from problem
        self.adopted_id = self._keeps_terms_of(promotion) and promotion
        self._adopt(account, raw)
        self.env["affiliate.referral"].sudo()._refresh_users_of(account, raw["id"])

    def _keeps_terms_of(self, promotion):
        """Tell whether a promotion code gives something else than the program does."""
        program = self.program_id
        own = Terms(program.coupon_id.stripe_id, first_time=program.first_time_only)
        return program.discount_type == "none" or Terms.of(promotion.data) != own

    def _schedule_push(self):
        """Make the codes in Stripe soon, outside the request that asked for it."""
        self.env.ref("affiliate_stripe.ir_cron_codes")._trigger()

    @api.model
    def _cron_push(self):
        """Make all codes in Stripe that are not there yet, and switch off those of
        suspended affiliates that could not be reached then; one commit each.

        Before that, see which have gone off in Stripe without an event.
        """
        self._follow_all()
        connected = self.env["affiliate.stripe.account"].search(
            [("state", "=", "connected")]
        )
        waiting = self.search(
            [
                # A copy of the database leaves them to the home.
                (
                    "stripe_account_id",
                    "in",
                    connected.filtered(lambda a: not a._home_differences()).ids,
                ),
                "|",
                "&",
                ("state", "=", "draft"),
                ("affiliate_id.state", "=", "active"),
                "&",
                ("state", "!=", "inactive"),
                ("affiliate_id.state", "=", "suspended"),
            ],
            limit=200,
        )
        crons = self.env["ir.cron"]
        crons._commit_progress(remaining=len(waiting))
        for code in waiting:
            locked = code.try_lock_for_update()
            if locked.affiliate_id.state == "suspended":
                locked._deactivate(SUSPENDED)
            else:
                locked._push()
            if not crons._commit_progress(1):
                break

    def _push(self):
        """Have each code in Stripe as an active promotion code. Safe to repeat."""
        for code in self.sudo().filtered(lambda code: code.state == "draft"):
            try:
                if code.link_only:
                    code._deactivate_promotions(code.promotion_code_ids)
                else:
                    code._push_promotion()
                code._note("synced")
                # Whatever we asked for: what Stripe answered counts.
                code._follow_stripe()
            except _ForeignCode as foreign:
                # Known from now on, so that nobody is offered this text again.
                code._mirror(code.stripe_account_id, "promotion_code", foreign.raw)
                code._note(
                    "error",
                    problem=self.env._(
                        "Stripe has an active promotion code %(code)s already that "
                        "was not made for this affiliate. Look at it and use it for "
                        "this affiliate, or take another code.",
                        code=code.code,
                    ),
                    foreign_promotion_id=foreign.raw["id"],
                )
            except StripeProblem as problem:
                code._note_push_problem(problem)

    def _note_push_problem(self, problem):
        self.ensure_one()
        if problem.stops_account:
            self.stripe_account_id._handle_problem(problem)
        if problem.is_passing or problem.code == "elsewhere":
            # Stays a draft: the scheduled action tries again.
            self.sync_error = self.stripe_account_id._problem_text(problem)
            return
        self._note(
            "error",
            problem=self.stripe_account_id._problem_text(problem),
            foreign_promotion_id=self.foreign_promotion_id,
            is_off_at_stripe=self.is_off_at_stripe,
            off_reason=self.off_reason,
        )

    def _push_promotion(self):
        """Find or make the promotion code; deactivate those of other terms.

        The search comes first and the idempotency key is derived from the record's
        mark, so a crash at any point, or a second worker, never makes a second one.
        """
        self.ensure_one()
        account = self.stripe_account_id
        stripe_api = account._api()
        terms = self._terms()
        # Where its coupon is no more, the promotion code of the one that replaces it.
        wanted = {terms, replace(terms, coupon=self._next_coupon())}
        current = None
        for raw in self._active_at_stripe(stripe_api):
            if (raw.get("metadata") or {}).get(OWNER_KEY) != self.stripe_mark:
                raise _ForeignCode(raw)
            if Terms.of(raw) in wanted:
                current = raw
            else:
                # Another discount: free the text for the new promotion code.
                raw = stripe_api.post(
                    api_path("promotion_codes", raw["id"]), {"active": False}
                )
                self._adopt(account, raw)
        current = current or self._reactivated(stripe_api, terms)
        self._adopt(account, current or self._create_promotion(stripe_api, terms))

    def _active_at_stripe(self, stripe_api):
        """Yield the promotion codes of this text that customers can use."""
        for page in stripe_api.pages(
            api_path("promotion_codes"), code=self.code, active=True
        ):
            yield from page

    def _terms(self):
        """Return what a customer is to get with the code, as ``Terms``: what the
        program promises today, or what was taken over."""
        if self.adopted_id:
            return Terms.of(self.adopted_id.data)
        program = self.program_id
        return Terms(program._ensure_coupon(), first_time=program.first_time_only)

    def _is_for_new_customers(self):
        """Tell whether Stripe takes the code for a customer's first payment only."""
        code = self.sudo()
        if code.adopted_id:
            return Terms.of(code.adopted_id.data).first_time
        return code.program_id.first_time_only

    def _reactivated(self, stripe_api, terms):
        """Return a promotion code of ours with these terms, switched on again; None
        where Stripe can switch on none of them."""
        for promotion in self.promotion_code_ids:
            if Terms.of(promotion.data) != terms:
                continue
            try:
                raw = stripe_api.post(
                    api_path("promotion_codes", promotion.stripe_id), {"active": True}
                )
            except StripeProblem as problem:
                # Expired, used up, or of a coupon that was deleted and made again.
                if problem.code not in ("refused", "missing"):
                    raise
                continue
            if raw.get("active"):
                return raw
        return None

    def _create_promotion(self, stripe_api, terms):
        if self.adopted_id:
            terms = replace(terms, coupon=self._living_coupon(stripe_api))
        try:
            return self._post_promotion(stripe_api, terms)
        except StripeProblem as problem:
            if problem.code != "missing":
                raise
        # Its coupon was deleted, of which we have not heard yet.
        account, sync = self.stripe_account_id, self.env["affiliate.stripe.sync"]
        self.env["affiliate.stripe.coupon"].sudo()._archive_missing(
            account, [terms.coupon], sync._database_now()
        )
        sync._after_mirror(account, {"coupon": {terms.coupon}})
        return self._post_promotion(stripe_api, self._terms())

    def _post_promotion(self, stripe_api, terms):
        params = {"code": self.code, "metadata": self._owner(), **terms.params()}
        key = f"odoo-code-{self.stripe_mark}-{self.code}-{terms.coupon}"
        if self.promotion_code_ids:
            # The one made before cannot be switched on: its old answer is of no use.
            key += f"-{len(self.promotion_code_ids)}"
        if terms.first_time:
            key += "-first"
        return stripe_api.post(api_path("promotion_codes"), params, idempotency_key=key)

    def _living_coupon(self, stripe_api):
        """Return the id of a coupon with the discount that was taken over: that one,
        or where it is no more, one that gives the same."""
        kept = self.adopted_id.coupon_ref
        try:
            raw = self._read_coupon(stripe_api, kept)
            if raw.get("valid"):
                return kept
        except StripeProblem as problem:
            if problem.code != "missing":
                raise
        coupons = self.env["affiliate.stripe.coupon"].with_context(active_test=False)
        known = coupons.search(
            [
                ("account_id", "=", self.stripe_account_id.id),
                ("stripe_id", "=", kept),
            ]
        )
        coupon = self._next_coupon()
        self.program_id._find_or_make_coupon(
            stripe_api,
            coupon,
            stripe_promotions.same_discount(known.data or {}),
            idempotency_key=f"{coupon}-after-{kept}",
        )
        self._read_coupon(stripe_api, coupon)
        return coupon

    def _next_coupon(self):
        """Return the id of the coupon that takes the place of the one taken over.

        It is numbered, as the one after it may be deleted, too.
        """
        start = f"odoo-code-{self.stripe_mark}-"
        kept = self.adopted_id.coupon_ref or ""
        number = kept.removeprefix(start) if kept.startswith(start) else "0"
        return f"{start}{int(number) + 1}"

    def _adopt(self, account, raw):
        """Mirror a promotion code and remember it as one of this code's."""
        self.ensure_one()
        found = self._mirror(account, "promotion_code", raw)
        self.write({"promotion_code_ids": [(4, found.id)]})
        if raw.get("active"):
            if self.adopted_id:
                # It may have been made anew: its terms are kept from now on.
                self.adopted_id = found
            self._note("synced")

    def _owner(self):
        """Return the metadata that say whose a promotion code is."""
        name = self.affiliate_id.partner_id.name or ""
        return {OWNER_KEY: self.stripe_mark, OWNER_NAME: name[:100]}

    def _deactivate(self, reason=False):
        """Switch the codes off in Stripe. A problem is shown, the state stays.

        :param str reason: kept in ``off_reason``
        """
        for code in self.sudo().filtered(lambda code: code.state != "inactive"):
            before = {
                "state": code.state,
                "is_off_at_stripe": code.is_off_at_stripe,
                "off_reason": code.off_reason,
            }
            # First, so that what Stripe answers is no news to be told (_follow_stripe).
            code._note("inactive", off_reason=reason)
            try:
                code._deactivate_promotions(code.promotion_code_ids)
            except StripeProblem as problem:
                code._note(
                    problem=code.stripe_account_id._problem_text(problem), **before
                )

    def _withdraw(self):
        """Delete codes, and switch them off in Stripe before.

        :raise UserError: where that cannot be done now, or customers have used one of
            them; nothing is deleted then
        """
        if len(self.try_lock_for_update()) < len(self):
            raise UserError(
                self.env._(
                    "A tracking code is being created in Stripe right now. Please try "
                    "again in a moment."
                )
            )
        for account, codes in self.grouped("stripe_account_id").items():
            at_stripe = codes.filtered(lambda code: code._may_be_at_stripe())
            if at_stripe:
                account._refuse_elsewhere()
            try:
                for code in at_stripe:
                    code._withdraw_promotions()
            except StripeProblem as problem:
                raise UserError(
                    self.env._(
                        "The tracking code could not be switched off in Stripe, so "
                        "nothing was deleted. %(problem)s Try again later, or archive "
                        "the affiliate instead.",
                        problem=account._problem_text(problem),
                    )
                ) from problem
        self.promotion_code_ids = False
        self.unlink()

    def _may_be_at_stripe(self):
        """Tell whether customers may be able to use the code, as far as we know."""
        self.ensure_one()
        if self.promotion_code_ids.filtered("active"):
            return True
        is_made = not self.link_only and self.state != "inactive"
        return is_made and self.stripe_account_id.state != "draft"

    def _withdraw_promotions(self):
        """Switch off all that Stripe has of a code, also what we have not heard of."""
        self.ensure_one()
        account = self.stripe_account_id
        if account.state == "draft":
            raise UserError(
                self.env._(
                    "The Stripe account “%(account)s” is disconnected, so %(code)s "
                    "cannot be switched off in Stripe. Connect the account again, or "
                    "archive the affiliate instead.",
                    account=account.name,
                    code=self.code,
                )
            )
        stripe_api = account._api()
        ours = [
            raw
            for raw in self._active_at_stripe(stripe_api)
            if (raw.get("metadata") or {}).get(OWNER_KEY) == self.stripe_mark
        ]
        if any(raw.get("times_redeemed") for raw in ours):
            raise UserError(
                self.env._(
                    "Customers have used %s. Archive the affiliate instead: its codes "
                    "are switched off, and all records are kept.",
                    self.code,
                )
            )
        # First, so that what Stripe answers is no news to be told (_follow_stripe).
        self._note("inactive")
        for raw in ours:
            raw = stripe_api.post(
                api_path("promotion_codes", raw["id"]), {"active": False}
            )
            self._mirror(account, "promotion_code", raw)

    def _deactivate_promotions(self, promotions):
        self.ensure_one()
        account = self.stripe_account_id
        for promotion in promotions.filtered("active"):
            raw = account._api().post(
                api_path("promotion_codes", promotion.stripe_id), {"active": False}
            )
            self._mirror(account, "promotion_code", raw)

    @api.model
    def _mirror(self, account, kind, raw):
        """Put the answer of a call of ours into the mirror, in this transaction.

        :return: the row
        """
        model = self.env[KINDS[kind].model].sudo()
        sync = self.env["affiliate.stripe.sync"]
        model._upsert(account, KINDS[kind].read(raw).rows, sync._database_now())
        model.invalidate_model()
        sync._after_mirror(account, {kind: {raw["id"]}})
        return (
            self.env[model._name]
            .with_context(active_test=False)
            .search([("account_id", "=", account.id), ("stripe_id", "=", raw["id"])])
        )


class AffiliateStripeAccount(models.Model):
    _inherit = "affiliate.stripe.account"

    @needs("write", sudo=True)
    def action_deactivate_codes(self):
        """Deactivate all promotion codes of ours at Stripe (before disconnecting)."""
        self._refuse_elsewhere()
        codes = self.env["affiliate.code"].search(
            [
                ("affiliate_id.program_id.stripe_account_id", "in", self.ids),
                # Also those that wait for another discount, or have a problem: an
                # earlier promotion code of theirs may work.
                ("state", "!=", "inactive"),
            ]
        )
        codes._deactivate()
        left = codes.filtered(lambda code: code.state != "inactive")
        if left:
            return self._notify(
                self.env._(
                    "%(count)s codes are still active. %(problem)s",
                    count=len(left),
                    problem=left[0].sync_error or "",
                ),
                "danger",
            )
        return self._notify(
            self.env._("%s codes were deactivated in Stripe.", len(codes)), "success"
        )


class _ForeignCode(Exception):
    """The text of the code belongs to a promotion code that is not ours."""

    def __init__(self, raw):
        super().__init__(raw["id"])
        self.raw = raw
