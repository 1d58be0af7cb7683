import secrets
from urllib.parse import urlsplit

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from ..lib.stripe_client import StripeApi, StripeProblem, in_parallel
from ..lib.stripe_objects import KINDS
from ..lib.stripe_paths import api_path
from ..tools.access import needs

KEY_PREFIXES = {
    "sk_test_": False,
    "rk_test_": False,
    "sk_live_": True,
    "rk_live_": True,
}
LOOPBACK = ("127.0.0.1", "localhost", "::1")
# What a key must be allowed to write: programmes the first two, the account the last.
WRITE_PERMISSIONS = ("Coupons", "Promotion codes", "Webhook endpoints")
EVENT_RETENTION_DAYS = 30  # Stripe forgets events after that


class AffiliateStripeAccount(models.Model):
    """One Stripe account in one mode (test or live), and the way to it."""

    _name = "affiliate.stripe.account"
    _description = "Stripe account"
    _inherit = ["affiliate.protected", "mail.thread", "mail.activity.mixin"]
    _check_company_auto = True

    name = fields.Char(required=True, default="Stripe")
    active = fields.Boolean(default=True)
    company_id = fields.Many2one(
        "res.company",
        required=True,
        set_once=True,
        index=True,
        default=lambda self: self.env.company,
    )
    state = fields.Selection(
        [
            ("draft", "Not connected"),
            ("connected", "Connected"),
            ("error", "Needs attention"),
        ],
        default="draft",
        required=True,
        readonly=True,
        copy=False,
        tracking=True,
    )
    problem = fields.Char(
        readonly=True, copy=False, help="What went wrong and what to do about it."
    )
    # What a person types. Nothing is ever read back: see _inverse_api_key.
    api_key = fields.Char(
        compute="_compute_api_key",
        inverse="_inverse_api_key",
        copy=False,
        help="A secret (sk_…) or restricted (rk_…) key from Stripe's dashboard, "
        "Developers > API keys. It cannot be read again after saving.",
    )
    api_key_hint = fields.Char(string="Key", readonly=True, copy=False)
    api_key_secret = fields.Char(groups=fields.NO_ACCESS, copy=False)
    stripe_account_id = fields.Char(string="Account ID", readonly=True, copy=False)
    livemode = fields.Boolean(string="Live", readonly=True, copy=False)
    permission_report = fields.Text(readonly=True, copy=False, string="Permissions")

    delivery = fields.Selection(
        [
            ("webhook", "Webhook: Stripe calls this Odoo within seconds"),
            ("polling", "Polling: this Odoo asks Stripe every minute"),
        ],
        string="Updates",
        default="webhook",
        required=True,
        help="Polling needs no public address. Webhooks need one that starts with "
        "https and that Stripe can reach.",
    )
    webhook_token = fields.Char(
        default=lambda self: secrets.token_urlsafe(24),
        readonly=True,
        copy=False,
        groups="affiliate_stripe.group_affiliate_manager",
    )
    webhook_url = fields.Char(
        compute="_compute_webhook_url",
        groups="affiliate_stripe.group_affiliate_manager",
        string="Webhook address",
    )
    webhook_secret = fields.Char(
        string="Signing secret",
        compute="_compute_api_key",
        inverse="_inverse_webhook_secret",
        copy=False,
        help="Only for an endpoint you made by hand in Stripe: paste its signing "
        "secret (whsec_…). It cannot be read again after saving.",
    )
    endpoint_ids = fields.One2many("affiliate.stripe.endpoint", "account_id")

    polled_until = fields.Datetime(readonly=True, copy=False, string="Polled until")

    _webhook_token_uniq = models.UniqueIndex("(webhook_token)")
    _stripe_account_uniq = models.UniqueIndex(
        "(stripe_account_id, livemode) WHERE stripe_account_id IS NOT NULL AND active",
        "This Stripe account is already connected in this mode.",
    )

    # === COMPUTE METHODS === #

    def _compute_api_key(self):
        """Typed values are written away and never shown again."""
        self.api_key = False
        self.webhook_secret = False

    def _inverse_api_key(self):
        for account in self:
            key = (account.api_key or "").strip()
            if not key:
                continue
            prefix = next((p for p in KEY_PREFIXES if key.startswith(p)), None)
            if not prefix:
                raise ValidationError(self._wrong_key_text(key))
            mode = KEY_PREFIXES[prefix]
            if account.stripe_account_id and account.livemode != mode:
                raise ValidationError(
                    self.env._(
                        "This is a key of the other mode. Test and live data never "
                        "mix: make a second Stripe account here for it."
                    )
                )
            account.sudo().write(
                {
                    "api_key_secret": key,
                    "api_key_hint": f"{prefix}…{key[-4:]}",
                    "livemode": mode,
                    "problem": False,
                }
            )
            if account.state == "connected" and not self._is_neutralised():
                # It is used at once: that of another account would mix histories.
                account.sudo()._check_key()
        # Not even the answer to the request that saved it shows it.
        self.invalidate_recordset(["api_key"], flush=False)

    def _wrong_key_text(self, key):
        if key.startswith("pk_"):
            return self.env._(
                "This is a publishable key. Paste the secret key (sk_…) or a "
                "restricted key (rk_…) from Stripe's dashboard, Developers > API keys."
            )
        return self.env._(
            "This does not look like a Stripe API key: it starts with sk_test_, "
            "sk_live_, rk_test_ or rk_live_."
        )

    @api.depends("webhook_token", "public_url")
    def _compute_webhook_url(self):
        """Say it once it is final: an unsaved account has no token of its own yet."""
        for account in self:
            token = account.sudo().webhook_token
            base = account.get_base_url()
            account.webhook_url = (
                f"{base}/affiliate_stripe/webhook/{token}" if account.id else False
            )

    # === ACTION METHODS === #

    @needs("write", sudo=True)
    def action_connect(self):
        """Check the key, make the webhook endpoint and start the first sync."""
        self.ensure_one()
        self._refuse_elsewhere()
        self._check_key()
        if self.state == "draft":
            self._remember_home()
        self._ensure_endpoint()
        self._note_connected()
        self.action_sync_now()
        return self._notify(
            self.env._("Connected. Your Stripe account is being read."), "success"
        )

    @needs("write", sudo=True)
    def action_check(self):
        """Ask Stripe again whether the key works and what it may do."""
        self.ensure_one()
        self._refuse_elsewhere()
        self._check_key()
        self._note_connected()
        # What waited for a working key goes on.
        self.env["affiliate.stripe.event"]._wake()
        self.env["affiliate.stripe.run"]._wake()
        return self._notify(self.env._("The connection works."), "success")

    @needs("write")
    def action_ask_disconnect(self):
        """Open the dialog that says what disconnecting does."""
        return self._ask("disconnect", self.env._("Disconnect?"))

    @needs("write")
    def action_ask_deactivate_codes(self):
        """Open the dialog that says what switching all codes off does."""
        return self._ask("deactivate_codes", self.env._("Deactivate all codes?"))

    def _ask(self, what, title):
        """Return the dialog that asks before something is done to the account.

        :raise UserError: where there is nothing to be done: it is not connected
        """
        self.ensure_one()
        if self.state == "draft":
            raise UserError(self.env._("This account is not connected."))
        view = self.env.ref(f"affiliate_stripe.view_affiliate_stripe_account_{what}")
        return {
            "type": "ir.actions.act_window",
            "name": title,
            "res_model": self._name,
            "res_id": self.id,
            "views": [(view.id, "form")],
            "target": "new",
        }

    @needs("write", sudo=True)
    def action_disconnect(self):
        """Delete our endpoints at Stripe and forget the key; history stays."""
        self._refuse_elsewhere()
        for account in self:
            problem = account._delete_endpoints()
            account.write(
                {
                    "state": "draft",
                    "api_key_secret": False,
                    "api_key_hint": False,
                    "problem": problem,
                    "webhook_problem": False,
                }
            )
            account._update_warning()
            account.run_ids.action_cancel()
        return True

    def _notify(self, message, kind):
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "message": message,
                "type": kind,
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }

    # === STRIPE === #

    def _api(self, **options):
        """Return the ``StripeApi`` of this account.

        :param options: of ``StripeApi``, instead of ours
        :raise UserError: without a key, and in neutralised copies of a database
        """
        self.ensure_one()
        if self._is_neutralised():
            raise UserError(
                self.env._(
                    "This database is a neutralised copy: it never calls Stripe."
                )
            )
        key = self.sudo().api_key_secret
        if not key:
            raise UserError(self.env._("Enter an API key first."))
        options = {
            "base_url": self._api_base(),
            "pace": self._get_pace(),
            "may_write": self._check_may_write,
            **options,
        }
        return StripeApi(key, **options)

    @api.model
    def _is_neutralised(self):
        """A copy of a database, e.g. for tests: never calls Stripe."""
        parameters = self.env["ir.config_parameter"].sudo()
        return bool(parameters.get_param("database.is_neutralized"))

    def _api_base(self):
        """Return another API address, honoured for loopback only (the test double)."""
        base = (
            self.env["ir.config_parameter"]
            .sudo()
            .get_param("affiliate_stripe.api_base")
        )
        return base if base and urlsplit(base).hostname in LOOPBACK else None

    def _check_key(self):
        """Read the account and one object of each kind; note who may do what.

        :raise UserError: with the sentence for a wrong key or no network
        """
        self.ensure_one()
        stripe_api = self._api()
        try:
            stripe_account = stripe_api.get(api_path("account"))
        except StripeProblem as problem:
            # A restricted key may do all we need and not show the account.
            if problem.code != "permission":
                raise UserError(self._problem_text(problem)) from problem
            stripe_account = {}
        permissions = self._check_permissions(stripe_api)
        self._check_same_account(stripe_account.get("id"))
        self.write(
            {
                "stripe_account_id": stripe_account.get("id") or self.stripe_account_id,
                "permission_report": self.env._(
                    "May read: %s.", ", ".join(permissions)
                ),
            }
        )
        self._note_timezone(stripe_account)
        settings = stripe_account.get("settings") or {}
        business = (settings.get("dashboard") or {}).get("display_name")
        if business and self.name == self._fields["name"].default(self):
            self.name = business

    def _note_timezone(self, stripe_account):
        """Hook: what the API shows of the account, empty where the key may not."""

    def _check_permissions(self, stripe_api):
        """Read one object of each kind; return the names of the permissions that takes.

        :raise UserError: where the key may not read all, or there is no answer
        """
        kinds = [kind for kind in KINDS.values() if kind.listed]
        answers = in_parallel(
            lambda kind: stripe_api.get(kind.path, limit=1), kinds, ask_all=True
        )
        refused = {
            kind.permission: answer
            for kind, answer in answers
            if isinstance(answer, StripeProblem)
        }
        for problem in refused.values():
            if problem.code != "permission":
                raise UserError(self._problem_text(problem)) from problem
        if refused:
            raise UserError(
                self.env._(
                    "The key may not read: %(permissions)s. In Stripe's dashboard, "
                    "Developers > API keys, give the restricted key read permission "
                    "for them, and write permission for %(write)s.",
                    permissions=", ".join(sorted(refused)),
                    write=", ".join(WRITE_PERMISSIONS),
                )
            )
        return sorted({kind.permission for kind in kinds})

    def _check_same_account(self, stripe_account_id):
        """Refuse the key of another account: histories would mix."""
        known = self.stripe_account_id
        if known and stripe_account_id and known != stripe_account_id:
            raise UserError(
                self.env._(
                    "This key belongs to another Stripe account (%(new)s, not "
                    "%(known)s). Make a new Stripe account here for it.",
                    new=stripe_account_id,
                    known=known,
                )
            )
        twin = self.sudo().search(
            [
                ("id", "!=", self.id),
                ("stripe_account_id", "=", stripe_account_id),
                ("livemode", "=", self.livemode),
            ],
            limit=1,
        )
        if stripe_account_id and twin:
            raise UserError(
                self.env._(
                    "This Stripe account is already connected in this mode: %s.",
                    twin.name,
                )
            )

    def _activate_currencies(self, codes):
        """Activate currencies seen for the first time: inactive ones are not shown.

        :param codes: as Stripe writes them, or None; unknown ones change nothing
        """
        names = [code.upper() for code in codes if code]
        self.env["res.currency"].sudo().with_context(active_test=False).search(
            [("name", "in", names), ("active", "=", False)]
        ).active = True
