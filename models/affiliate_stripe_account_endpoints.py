from datetime import timedelta
from urllib.parse import urlsplit

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from ..lib.stripe_client import API_VERSION, StripeProblem
from ..lib.stripe_events import SUBSCRIBED
from ..lib.stripe_paths import api_path
from ..tools.access import needs
from .affiliate_stripe_account import LOOPBACK

# Stripe repeats what it could not deliver, signed with the secret of that time.
OLD_SECRET = timedelta(hours=24)
LEAVING_SECONDS = 5
ENDPOINTS = "webhook_endpoints"
# In the metadata of our endpoint: changed daily, so that what it says is known to the
# one database that wrote it last (see affiliate_stripe_account_home.py).
MARK = "odoo_mark"


class AffiliateStripeAccount(models.Model):
    """The account's webhook endpoint at Stripe: made, checked, repaired, rolled.

    Stripe can change neither the secret nor the API version of an endpoint. Both is
    done by a second endpoint: made, its secret committed, then the first one deleted,
    whose secret stays valid for a day.
    """

    _inherit = "affiliate.stripe.account"

    webhook_problem = fields.Char(
        readonly=True,
        copy=False,
        help="Why the webhook does not work. Until it does, events are polled.",
    )

    # === COMPUTE METHODS === #

    def _inverse_webhook_secret(self):
        for account in self:
            secret = (account.webhook_secret or "").strip()
            if not secret:
                continue
            if not secret.startswith("whsec_"):
                raise ValidationError(
                    self.env._("A webhook signing secret starts with whsec_.")
                )
            # A typed secret takes the place of the one typed before.
            typed = account._live_endpoints().filtered(lambda row: not row.stripe_id)
            typed.valid_until = fields.Datetime.now() + OLD_SECRET
            account.sudo().endpoint_ids.create(
                {
                    "account_id": account.id,
                    "secret": secret,
                    "url": account.webhook_url,
                }
            )
        self.invalidate_recordset(["webhook_secret"], flush=False)

    # === CRUD METHODS === #

    def write(self, vals):
        done = super().write(vals)
        if vals.get("delivery") == "webhook":
            # An account that was polled may have no endpoint yet.
            self.env.ref("affiliate_stripe.ir_cron_webhooks")._trigger()
        return done

    # === ACTION METHODS === #

    @needs("write", sudo=True)
    def action_check_webhook(self):
        """Look at our endpoint in Stripe, and repair it."""
        self._check_may_repair()
        repaired = self._check_webhook()
        if self.home_question:
            return self._notify(self.home_question, "danger")
        if self.webhook_problem:
            return self._notify(self.webhook_problem, "danger")
        if repaired is None:
            return self._notify(self.problem or self.backoff_reason, "danger")
        return self._notify(
            " ".join(repaired) or self.env._("The webhook works."), "success"
        )

    @needs("write", sudo=True)
    def action_roll_secret(self):
        """Have a new signing secret; the old one is valid for another day."""
        self._check_may_repair()
        if self.delivery != "webhook":
            raise UserError(self.env._("This account is polled: it has no secret."))
        old = self._own_endpoints()
        if not old:
            raise UserError(
                self.env._(
                    "The endpoint was made by hand: roll its secret in Stripe's "
                    "dashboard and paste the new one here."
                )
            )
        try:
            self._add_endpoint()
            self._retire(old)
        except StripeProblem as problem:
            raise UserError(self._problem_text(problem)) from problem
        text = self.env._(
            "The webhook has a new secret. The old one is accepted for another "
            "24 hours, for what Stripe is still repeating."
        )
        self.message_post(body=text)
        return self._notify(text, "success")

    def _check_may_repair(self):
        self.ensure_one()
        if self.state == "draft":
            raise UserError(self.env._("Connect the account first."))
        self._refuse_elsewhere()

    # === MAKING === #

    def _can_be_called(self):
        """Tell whether Stripe can reach this Odoo. The double on loopback can."""
        address = urlsplit(self.get_base_url())
        if address.hostname in LOOPBACK:
            return bool(self._api_base())
        return address.scheme == "https"

    def _live_endpoints(self):
        """Return the endpoints in use, without those that were retired."""
        return self.sudo().endpoint_ids.filtered(lambda row: not row.valid_until)

    def _own_endpoints(self):
        """Return those that we made in Stripe, newest first."""
        return self._live_endpoints().filtered("stripe_id").sorted("id", reverse=True)

    def _ensure_endpoint(self):
        """Have an endpoint at Stripe, or fall back to polling and say why."""
        self.ensure_one()
        if self.delivery != "webhook" or self._live_endpoints():
            return
        if not self._can_be_called():
            self.delivery = "polling"
            self.message_post(
                body=self.env._(
                    "Stripe cannot reach %s, so updates are polled every minute. Enter "
                    "a public address that starts with https, and choose webhooks, to "
                    "get them within seconds.",
                    self.get_base_url(),
                )
            )
            return
        try:
            self._create_endpoint()
        except StripeProblem as problem:
            if problem.code != "permission":
                raise UserError(self._problem_text(problem)) from problem
            self.delivery = "polling"
            self.message_post(
                body=self.env._(
                    "The key may not create webhook endpoints, so updates are polled "
                    "every minute. Give it write permission for Webhook endpoints, or "
                    "make an endpoint for %s by hand and paste its secret.",
                    self.webhook_url,
                )
            )

    def _create_endpoint(self):
        stripe_api = self._api()
        self._delete_lost_endpoints(stripe_api)
        answer = stripe_api.post(
            api_path(ENDPOINTS),
            {
                "url": self.webhook_url,
                "enabled_events": list(SUBSCRIBED),
                "api_version": API_VERSION,
                "description": f"Odoo affiliate program ({self.env.cr.dbname})",
                "metadata": {
                    "odoo_database": self.env.cr.dbname,
                    MARK: self._plan_mark(),
                },
            },
        )
        return self.sudo().endpoint_ids.create(
            {
                "account_id": self.id,
                "stripe_id": answer["id"],
                "url": answer["url"],
                "api_version": answer.get("api_version"),
                "secret": answer["secret"],
            }
        )

    def _add_endpoint(self):
        """Make a further endpoint, its secret committed before Stripe uses it."""
        with self.env["affiliate.stripe.sync"]._transaction() as own:
            self.with_env(own.env)._create_endpoint()
        self.invalidate_recordset(["endpoint_ids"])

    def _delete_lost_endpoints(self, stripe_api):
        """Delete endpoints of ours whose secret we do not have: an attempt to connect
        was rolled back after Stripe had made them, or they are from before this
        database was restored from a backup."""
        known = self._known_endpoints()
        at_stripe = self._endpoints_at_stripe(stripe_api)
        self._look_for_rival(at_stripe)
        for raw in at_stripe.values():
            ours = self.sudo().webhook_token in raw["url"] and raw["id"] not in known
            if ours and "odoo_database" in raw["metadata"]:
                stripe_api.delete(api_path(ENDPOINTS, raw["id"]))

    def _known_endpoints(self):
        """Return the ids of our endpoints, also of one that ``_add_endpoint`` has just
        committed: this transaction, which began before, does not see it."""
        known = set(self.sudo().endpoint_ids.mapped("stripe_id"))
        with self.env["affiliate.stripe.sync"]._transaction() as own:
            account = own.env[self._name].browse(self.id)
            return known.union(account.exists().endpoint_ids.mapped("stripe_id"))

    # === CHECKING === #

    @api.model
    def _cron_check_webhooks(self):
        """Once a day: endpoints are deleted and disabled by people and by Stripe."""
        crons = self.env["ir.cron"]
        accounts = self.search([("state", "=", "connected")])
        crons._commit_progress(remaining=len(accounts))
        for account in accounts:
            account._check_webhook()
            account._forget_refused()
            account._update_warning()
            crons._commit_progress(1)

    def _check_webhook(self):
        """Repair our endpoint in Stripe; say what was repaired, or why it was not.

        :return: sentences; None where Stripe could not be asked
        """
        self.ensure_one()
        repaired, text = [], False
        if self.delivery == "webhook" and not self._can_be_called():
            text = self.env._(
                "Stripe cannot reach %s. Enter a public address that starts with "
                "https, or choose polling.",
                self.get_base_url(),
            )
        elif self.delivery == "webhook":
            try:
                if self._is_made_by_hand():
                    text = self._look_at_hand_made()
                else:
                    repaired = self._repair_endpoints()
            except StripeProblem as problem:
                if problem.code == "elsewhere":
                    self._update_warning()
                    return None
                if problem.is_passing or problem.code == "key":
                    self._handle_problem(problem)
                    return None
                text = self._webhook_problem_text(problem)
        if self.webhook_problem != text:
            self.webhook_problem = text
            self._update_warning()
        if repaired:
            self.message_post(body=" ".join(repaired))
            self._poll_soon()
        return repaired

    def _webhook_problem_text(self, problem):
        if problem.code == "permission":
            return self.env._(
                "The key may not look after the webhook, so events are polled. Give it "
                "write permission for Webhook endpoints, or choose polling. Stripe "
                "says: %s",
                str(problem),
            )
        return self.env._(
            "The webhook could not be repaired, so events are polled. Stripe says: %s",
            str(problem),
        )

    def _is_made_by_hand(self):
        return bool(self._live_endpoints() and not self._own_endpoints())

    def _look_at_hand_made(self):
        """Say what is wrong with an endpoint that we leave to whoever made it.

        :return: a sentence, or False; also where the key may not look, which may be
            why it was made by hand
        :raise StripeProblem: where Stripe cannot be asked
        """
        token = self.sudo().webhook_token
        try:
            found = self._endpoints_at_stripe(self._api()).values()
        except StripeProblem as problem:
            if problem.code == "permission":
                return False
            raise
        working = [
            raw for raw in found if token in raw["url"] and raw["status"] == "enabled"
        ]
        if not working:
            return self.env._(
                "No enabled webhook endpoint in Stripe has the address %s, so events "
                "are polled. Enable it in Stripe's dashboard, or make it again.",
                self.webhook_url,
            )
        told = {name for raw in working for name in raw["enabled_events"]}
        if "*" not in told and (missing := set(SUBSCRIBED) - told):
            return self.env._(
                "The webhook endpoint you made in Stripe does not send %s, so events "
                "are polled. Add them to it in Stripe's dashboard.",
                ", ".join(sorted(missing)),
            )
        return False

    def _repair_endpoints(self):
        """Have exactly one endpoint at Stripe that is as we need it.

        :return: what was repaired, in sentences
        :raise StripeProblem: where Stripe refuses
        """
        stripe_api = self._api()
        at_stripe = self._endpoints_at_stripe(stripe_api)
        self._look_for_rival(at_stripe)
        own = self._own_endpoints()
        good = own.filtered(
            lambda row: (
                at_stripe.get(row.stripe_id, {}).get("api_version") == API_VERSION
            )
        )[:1]
        repaired = []
        if good:
            repaired += self._repair_endpoint(
                stripe_api, good, at_stripe[good.stripe_id]
            )
        else:
            self._add_endpoint()
            repaired.append(
                self.env._("The webhook had another API version: it was replaced.")
                if own.filtered(lambda row: row.stripe_id in at_stripe)
                else self.env._("The webhook was missing in Stripe: it was made again.")
            )
        self._retire(own - good)
        if self.is_taking_over:
            self._delete_lost_endpoints(stripe_api)
            self.is_taking_over = False
        return repaired

    def _repair_endpoint(self, stripe_api, endpoint, raw):
        """Change at Stripe what differs from what we need; say what that was.

        The mark is changed each time: see ``_look_for_rival``.
        """
        mark = self._plan_mark(seen=raw["metadata"].get(MARK))
        changes, repaired = {"metadata": {MARK: mark}}, []
        if raw["status"] != "enabled":
            changes["disabled"] = False
            repaired.append(
                self.env._("The webhook was disabled in Stripe: it was enabled again.")
            )
        if set(raw["enabled_events"]) != set(SUBSCRIBED):
            changes["enabled_events"] = list(SUBSCRIBED)
            repaired.append(
                self.env._("The list of the webhook's events was put right.")
            )
        if raw["url"] != self.webhook_url:
            changes["url"] = self.webhook_url
            repaired.append(self.env._("The webhook got this Odoo's present address."))
        url = stripe_api.post(api_path(ENDPOINTS, raw["id"]), changes)["url"]
        if endpoint.url != url:
            endpoint.url = url
        return repaired

    def _endpoints_at_stripe(self, stripe_api):
        """Return ``{id: endpoint}`` of all endpoints of this Stripe account."""
        pages = stripe_api.pages(api_path(ENDPOINTS))
        return {raw["id"]: raw for page in pages for raw in page}

    def _poll_soon(self):
        """Have the events since the last poll read: some may not have been delivered.

        Polling takes up accounts that it has not asked for a day.
        """
        if self.polled_until:
            self.polled_until -= timedelta(days=1, minutes=1)
        self.env.ref("affiliate_stripe.ir_cron_poll")._trigger()

    # === TAKING AWAY === #

    def _retire(self, endpoints):
        """Delete endpoints at Stripe; their secrets are accepted for another day."""
        stripe_api = self._api() if endpoints else None
        for endpoint in endpoints:
            self._delete_at_stripe(endpoint, stripe_api)
            endpoint.valid_until = fields.Datetime.now() + OLD_SECRET

    def _delete_at_stripe(self, endpoint, stripe_api):
        try:
            stripe_api.delete(api_path(ENDPOINTS, endpoint.stripe_id))
        except StripeProblem as problem:
            if problem.code != "missing":
                raise

    def _delete_endpoints(self, **patience):
        """Delete our endpoints at Stripe. Return a sentence where that failed.

        :param patience: of ``_api``
        """
        self.ensure_one()
        problem_text = False
        if self.sudo().api_key_secret:
            try:
                stripe_api = self._api(**patience)
                for endpoint in self._own_endpoints():
                    self._delete_at_stripe(endpoint, stripe_api)
            except (StripeProblem, UserError) as problem:
                problem_text = str(problem)
        self.sudo().endpoint_ids.unlink()
        return problem_text

    def _leave_stripe(self):
        """Delete our endpoints while the module is uninstalled.

        A person waits, and Stripe may be out of reach: one try, a few seconds. Without
        the pace of the calls: its table is about to go.

        :return: a sentence where that failed
        """
        return self._delete_endpoints(timeout=LEAVING_SECONDS, retries=0, pace=None)
