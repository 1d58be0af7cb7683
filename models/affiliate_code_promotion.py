import secrets

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..lib.stripe_client import StripeProblem
from ..lib.stripe_objects import KINDS
from ..lib.stripe_paths import api_path
from ..tools.access import needs

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
            coupon = stripe_api.get(api_path("coupons", _coupon_of(raw)))
            self._mirror(account, "coupon", coupon)
        except StripeProblem as problem:
            raise UserError(account._problem_text(problem)) from problem
        return self._mirror(account, "promotion_code", raw)

    def _adopt_foreign(self, promotion):
        """Take a promotion code over: what is paid with it earns for this affiliate.

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
        self._adopt(account, raw)
        self.env["affiliate.referral"].sudo()._refresh_users_of(account, raw["id"])

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
                ("state", "=", "synced"),
                ("affiliate_id.state", "=", "suspended"),
            ],
            limit=200,
        )
        crons = self.env["ir.cron"]
        crons._commit_progress(remaining=len(waiting))
        for code in waiting:
            locked = code.try_lock_for_update()
            if locked.affiliate_id.state == "suspended":
                locked._deactivate()
            else:
                locked._push()
            if not crons._commit_progress(1):
                break

    def _push(self):
        """Have each code in Stripe as an active promotion code. Safe to repeat."""
        for code in self.sudo().filtered(lambda code: code.state == "draft"):
            try:
                if code.program_id.discount_type == "none":
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
        )

    def _push_promotion(self):
        """Find or make the promotion code; deactivate those of an old discount.

        The search comes first and the idempotency key is derived from the record's
        mark, so a crash at any point, or a second worker, never makes a second one.
        """
        self.ensure_one()
        account = self.stripe_account_id
        coupon = self.program_id._ensure_coupon()
        stripe_api = account._api()
        current = None
        for page in stripe_api.pages(
            api_path("promotion_codes"), code=self.code, active=True
        ):
            for raw in page:
                if (raw.get("metadata") or {}).get(OWNER_KEY) != self.stripe_mark:
                    raise _ForeignCode(raw)
                if self._has_terms(raw, coupon):
                    current = raw
                else:
                    # Another discount: free the text for the new promotion code.
                    raw = stripe_api.post(
                        api_path("promotion_codes", raw["id"]), {"active": False}
                    )
                    self._adopt(account, raw)
        current = current or self._reactivated(stripe_api, coupon)
        self._adopt(account, current or self._create_promotion(stripe_api, coupon))

    def _reactivated(self, stripe_api, coupon):
        """Return a promotion code of ours with this coupon, switched on again; None
        where Stripe can switch on none of them."""
        for promotion in self.promotion_code_ids:
            if not self._has_terms(promotion.data, coupon):
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

    def _has_terms(self, raw, coupon):
        """Tell whether a promotion code gives what the programme promises today.

        Neither its coupon nor this restriction can be changed.
        """
        first_time = (raw.get("restrictions") or {}).get("first_time_transaction")
        return (
            _coupon_of(raw) == coupon
            and bool(first_time) == self.program_id.first_time_only
        )

    def _create_promotion(self, stripe_api, coupon):
        params = {
            "code": self.code,
            "promotion": {"type": "coupon", "coupon": coupon},
            "metadata": self._owner(),
        }
        key = f"odoo-code-{self.stripe_mark}-{self.code}-{coupon}"
        if self.promotion_code_ids:
            # The one made before cannot be switched on: its old answer is of no use.
            key += f"-{len(self.promotion_code_ids)}"
        if self.program_id.first_time_only:
            params["restrictions"] = {"first_time_transaction": True}
            key += "-first"
        return stripe_api.post(api_path("promotion_codes"), params, idempotency_key=key)

    def _adopt(self, account, raw):
        """Mirror a promotion code and remember it as one of this code's."""
        self.ensure_one()
        found = self._mirror(account, "promotion_code", raw)
        self.write({"promotion_code_ids": [(4, found.id)]})
        if raw.get("active"):
            self._note("synced")

    def _owner(self):
        """Return the metadata that say whose a promotion code is."""
        name = self.affiliate_id.partner_id.name or ""
        return {OWNER_KEY: self.stripe_mark, OWNER_NAME: name[:100]}

    def _deactivate(self):
        """Switch the codes off in Stripe. A problem is shown, the state stays."""
        for code in self.sudo().filtered(lambda code: code.state != "inactive"):
            state, is_off = code.state, code.is_off_at_stripe
            # First, so that what Stripe answers is no news to be told (_follow_stripe).
            code._note("inactive")
            try:
                code._deactivate_promotions(code.promotion_code_ids)
            except StripeProblem as problem:
                code._note(
                    state,
                    problem=code.stripe_account_id._problem_text(problem),
                    is_off_at_stripe=is_off,
                )

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
        now = self.env["affiliate.stripe.sync"]._database_now()
        rows = KINDS[kind].read(raw).rows
        model._upsert(account, rows, now)
        model.invalidate_model()
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
                ("state", "=", "synced"),
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


def _coupon_of(raw):
    coupon = (raw.get("promotion") or {}).get("coupon")
    return coupon.get("id") if isinstance(coupon, dict) else coupon
