import secrets
from datetime import timedelta
from functools import partial

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from ..lib import visits
from ..lib.stripe_client import StripeProblem
from ..tools.access import needs
from .affiliate_stripe_account_endpoints import MARK

MARK_BYTES, KEPT_MARKS = 8, 5
# Whoever has read the mark within that time need not read it again before he writes.
MARK_FRESH = timedelta(minutes=10)


class AffiliateStripeAccount(models.Model):
    """Which database acts for the account: a copy of it must change nothing in Stripe.

    When it is connected, the account remembers its home: Odoo's id of the database, its
    name, and the address at which the world reaches it. Where one of them differs, or
    our endpoint in Stripe bears a mark that we did not write, nothing is changed in
    Stripe (``StripeApi``'s ``may_write``) until a person has said what this database
    is: the home, or a copy. Reading goes on meanwhile.
    """

    _inherit = "affiliate.stripe.account"

    public_url = fields.Char(
        string="Public address",
        copy=False,
        help="Where the world reaches this Odoo, e.g. https://odoo.acme.com. Webhook, "
        "script and links use it. Somebody who logs in by another address, e.g. from "
        "inside your network, does not change it.",
    )
    home_uuid = fields.Char(readonly=True, copy=False)
    home_database = fields.Char(readonly=True, copy=False)
    home_urls = fields.Char(
        readonly=True,
        copy=False,
        help="Other addresses of this Odoo that a person has confirmed.",
    )
    rival_seen = fields.Datetime(
        string="Another database seen",
        readonly=True,
        copy=False,
        help="When we found that another database had changed our webhook in Stripe.",
    )
    is_taking_over = fields.Boolean(
        readonly=True,
        copy=False,
        help="A person said that this is the home: the next check of the webhook takes "
        "it over from the other database.",
    )
    home_question = fields.Text(compute="_compute_home_question")

    # === COMPUTE METHODS === #

    @api.depends(
        *("state", "public_url", "home_uuid", "home_database", "home_urls"),
        "rival_seen",
    )
    def _compute_home_question(self):
        for account in self:
            account.home_question = "\n".join(account._home_differences())

    def _home_differences(self):
        """Return sentences on why this database may not be the account's home."""
        self.ensure_one()
        account = self.sudo()
        if account.state == "draft" or not account.home_uuid:
            return []
        told = []
        if account.home_uuid != self._database_uuid():
            told.append(
                self.env._("This database was duplicated, or restored from a backup.")
            )
        if account.home_database != self.env.cr.dbname:
            told.append(
                self.env._(
                    "This database is named %(now)s; the account was connected in "
                    "%(before)s.",
                    now=self.env.cr.dbname,
                    before=account.home_database,
                )
            )
        present = account._present_url()
        known = (account.public_url, *(account.home_urls or "").split())
        if account.public_url and present not in known:
            told.append(
                self.env._(
                    "An administrator opened this Odoo at %(now)s; its public address "
                    "is %(before)s.",
                    now=present,
                    before=account.public_url,
                )
            )
        if account.rival_seen:
            told.append(
                self.env._(
                    "Another database, or a later state of this one, has changed our "
                    "webhook in Stripe since."
                )
            )
        return told

    @api.model
    def _database_uuid(self):
        return self.env["ir.config_parameter"].sudo().get_param("database.uuid")

    # === CONSTRAINT METHODS === #

    @api.constrains("public_url")
    def _check_public_url(self):
        for account in self:
            url = account.public_url
            if url and visits.origin_of(url) != url:
                raise ValidationError(
                    self.env._(
                        "%s is not the address of a server. Example: "
                        "https://odoo.acme.com",
                        url,
                    )
                )

    # === CRUD METHODS === #

    def write(self, vals):
        if "public_url" not in vals:
            return super().write(vals)
        address = vals["public_url"] and _origin(vals["public_url"])
        moved = any(account.public_url not in (False, address) for account in self)
        done = super().write({**vals, "public_url": address})
        # The script as served holds the address.
        self.env.registry.clear_cache()
        if moved:
            self.env.ref("affiliate_stripe.ir_cron_webhooks")._trigger()
        return done

    # === ADDRESS === #

    def get_base_url(self):
        """Return the address kept when the account was connected.

        Odoo's own changes when an administrator logs in by another one.
        """
        kept = len(self) == 1 and self.sudo().public_url
        return kept or super().get_base_url()

    def _present_url(self):
        """Return the address that Odoo has now."""
        # pylint: disable-next=super-method-mismatch
        return _origin(super().get_base_url())

    # === ACTION METHODS === #

    @needs("write")
    def action_answer_home(self):
        """Open the dialog that asks whether this is the account's home, or a copy."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Is this the database your business works with?"),
            "res_model": "affiliate.stripe.home.wizard",
            "view_mode": "form",
            "target": "new",
            "context": {"default_account_id": self.id},
        }

    # === BUSINESS METHODS === #

    def _remember_home(self, public_url=None):
        """Note that this database, at its present address, acts for the account."""
        uuid, name = self._database_uuid(), self.env.cr.dbname
        for account in self.sudo():
            present, known = account._present_url(), ""
            if (account.home_uuid, account.home_database) == (uuid, name):
                known = account.home_urls or ""
            account.write(
                {
                    "home_uuid": uuid,
                    "home_database": name,
                    "home_urls": " ".join(dict.fromkeys([present, *known.split()])),
                    "public_url": public_url or account.public_url or present,
                    "rival_seen": False,
                }
            )

    def _become_home(self, public_url):
        """Act for the account from here: take the webhook over, read what was missed.

        For accounts of a database that was moved, or restored from a backup. What it
        has to do in Stripe is done in the background.
        """
        self.ensure_one()
        self._remember_home(public_url)
        self.sudo().is_taking_over = True
        self._update_warning()
        for name in ("webhooks", "codes"):
            self.env.ref(f"affiliate_stripe.ir_cron_{name}")._trigger()
        self._poll_soon()
        if self.state == "connected":
            self._start_run("read")
        self.message_post(
            body=self.env._(
                "This database acts for the Stripe account now, at %s.",
                self.public_url,
            )
        )

    def _become_copy(self):
        """Forget how to reach Stripe, and change nothing there: the home needs it."""
        self.ensure_one()
        account = self.sudo()
        account.run_ids.action_cancel()
        account.endpoint_ids.unlink()
        account.write(
            {
                "state": "draft",
                "api_key_secret": False,
                "api_key_hint": False,
                "problem": False,
                "webhook_problem": False,
                # Whoever connects here again makes a webhook of his own.
                "webhook_token": secrets.token_urlsafe(24),
                "public_url": False,
                "home_uuid": False,
                "rival_seen": False,
            }
        )
        account._end_pause()
        account._update_warning()
        account.message_post(
            body=self.env._(
                "This database is a copy: it was cut off from Stripe. Nothing was "
                "changed in Stripe."
            )
        )

    def _refuse_elsewhere(self):
        """Refuse what would tell of a success in Stripe that a copy cannot have.

        :raise UserError: where a person has to say first what this database is
        """
        for account in self:
            if told := account._home_differences():
                raise UserError(account._home_text(told))

    def _home_text(self, told):
        return self.env._(
            "This database may be a copy, so nothing is changed in Stripe. %(why)s "
            "Open the Stripe account “%(account)s” and answer the question there.",
            why=" ".join(told),
            account=self.sudo().name,
        )

    def _check_may_write(self, stripe_api):
        """Let a request change something in Stripe, or refuse it.

        :raise StripeProblem: ``elsewhere``, where this database may be a copy
        """
        told = self._home_differences()
        if not told and self._is_mark_due():
            self._read_marks(stripe_api)
        if told:
            raise StripeProblem("elsewhere", self._home_text(told))

    # === MARKS === #

    def _is_mark_due(self):
        """Tell whether it was long ago that we saw our endpoint bear our own mark."""
        if self.is_taking_over or not self._own_endpoints():
            return False
        marks, read_at = self._read_known_marks()
        return bool(marks) and read_at < fields.Datetime.now() - MARK_FRESH

    def _read_marks(self, stripe_api):
        try:
            self._look_for_rival(self._endpoints_at_stripe(stripe_api))
        except StripeProblem as problem:
            # Without the permission nobody can know.
            if problem.code != "permission":
                raise
        self._note_marks()

    def _read_known_marks(self):
        """Return (our marks, the newest first; when we last read or wrote one).

        As they are committed now: this transaction may have begun before others of
        ours noted some.
        """
        with self.env["affiliate.stripe.sync"]._transaction() as own:
            own.env.cr.execute(
                """SELECT marks, read_at FROM affiliate_stripe_mark
                    WHERE account_id = %s""",
                [self.id],
            )
            marks, read_at = own.env.cr.fetchone() or ("", None)
            return marks.split(), read_at

    def _plan_mark(self, seen=None):
        """Return the mark for the next write to Stripe, noted before it is sent.

        :param str seen: the mark that is there now; it stays known, also where Stripe
            refuses each new one
        """
        mark = secrets.token_hex(MARK_BYTES)
        self._note_marks(mark, seen)
        return mark

    def _note_marks(self, *marks):
        """Note that marks are ours, the newest first, or just that we have read ours.

        In a transaction of its own: it stays noted whatever comes of what follows.
        """
        with self.env["affiliate.stripe.sync"]._transaction() as own:
            own.env.cr.execute(
                """INSERT INTO affiliate_stripe_mark AS known
                          (account_id, marks, read_at)
                   VALUES (%(account)s, %(marks)s, clock_timestamp() AT TIME ZONE 'UTC')
                   ON CONFLICT (account_id) DO UPDATE
                      SET marks = left(
                              concat_ws(' ', NULLIF(%(marks)s, ''), known.marks),
                              %(kept)s),
                          read_at = excluded.read_at""",
                {
                    "account": self.id,
                    "marks": " ".join(filter(None, marks)),
                    "kept": KEPT_MARKS * (2 * MARK_BYTES + 1),
                },
            )

    def init(self):  # pylint: disable=missing-return
        super().init()
        # No model: it is read and written in transactions of its own, also for an
        # account that is not committed yet.
        self.env.cr.execute(
            """CREATE TABLE IF NOT EXISTS affiliate_stripe_mark (
                   account_id integer PRIMARY KEY, marks text NOT NULL,
                   read_at timestamp NOT NULL)"""
        )

    def _look_for_rival(self, at_stripe):
        """Note, and say, that another database works with our webhook.

        A copy knows the webhook's address; but of the marks, which are changed daily,
        only those from before it was made.

        :param at_stripe: ``{id: endpoint}`` of the Stripe account
        :raise StripeProblem: ``elsewhere``
        """
        if self.state == "draft" or self.is_taking_over:
            return
        known, _read_at = self._read_known_marks()
        token = self.sudo().webhook_token
        marks = {
            raw["metadata"].get(MARK)
            for raw in at_stripe.values()
            if token in raw["url"]
        }
        if marks - {None, *known}:
            self._note_rival()
            raise StripeProblem("elsewhere", self._home_text(self._home_differences()))

    def _note_rival(self):
        """Remember it, also where the refusal undoes this transaction."""
        self._write_rival()
        self.env.cr.postrollback.add(partial(self._write_rival_anew, self.id))

    def _write_rival(self):
        self.sudo().rival_seen = fields.Datetime.now()
        self._update_warning()

    @api.model
    def _write_rival_anew(self, account_id):
        with self.env["affiliate.stripe.sync"]._transaction() as own:
            own.env[self._name].browse(account_id)._write_rival()

    def _warnings(self):
        texts = super()._warnings()
        if told := self._home_differences():
            texts.append(self._home_text(told))
        return texts


def _origin(address):
    """Return a typed address as it is compared: without path and slash at its end."""
    address = visits.completed(address.strip())
    return visits.origin_of(address) or address
