import hashlib
import logging
import secrets
from contextlib import contextmanager

from odoo import SUPERUSER_ID, api, fields, models
from odoo.fields import Domain
from odoo.tools.sql import escape_psql

from ..lib.domains import mailbox, one_spelling, spellings
from .affiliate_stripe_sync import read_committed

_logger = logging.getLogger(__name__)

# Defaults of the settings.
LINK_DAYS = 7  # how long the link in a mail can be used
MAILS_A_DAY = 200  # to all mailboxes together
# A mail server that refuses so many in one run is left alone until the next run.
MAX_FAILURES = 5
BATCH = 1000
CRON = "affiliate_stripe.ir_cron_applications"


class AffiliateApplication(models.Model):
    """What a visitor typed into the public form, until its owner has confirmed the
    e-mail address, and afterwards as the history of the affiliate.

    Anybody can type anybody's address. So nothing follows from this row but one mail
    in our own words; the link in it leads to a button, and only the button makes an
    affiliate (``_enrol``).
    """

    _name = "affiliate.application"
    _description = "Affiliate application"
    # Mails show it: what a stranger typed must not be the name of this record.
    _rec_name = "program_id"
    _order = "id desc"
    _check_company_auto = True

    program_id = fields.Many2one(
        "affiliate.program",
        required=True,
        readonly=True,
        index=True,
        ondelete="cascade",
        check_company=True,
    )
    company_id = fields.Many2one(
        related="program_id.company_id", store=True, index=True
    )
    email = fields.Char(required=True, readonly=True)
    # Where mail to the address arrives: one mailbox has many spellings.
    mailbox = fields.Char(required=True, readonly=True)
    name = fields.Char(required=True, readonly=True)
    website = fields.Char(readonly=True)
    wished_code = fields.Char(string="Wished code", readonly=True)
    motivation = fields.Text(string="Application", readonly=True)
    lang = fields.Char(string="Language", readonly=True)
    user_id = fields.Many2one(
        "res.users",
        string="Signed in as",
        readonly=True,
        index="btree_not_null",
        # Without the login, a mail has to prove the address.
        ondelete="set null",
        help="The applicant was signed in with this address, so no mail had to prove "
        "that it is theirs.",
    )
    create_date = fields.Datetime(string="Applied")
    state = fields.Selection(
        [
            ("waiting", "Mail to be sent"),
            ("mailed", "Waiting for confirmation"),
            ("confirmed", "Confirmed"),
            ("known", "Has an account already"),
            ("refused", "Rejected lately"),
            ("replaced", "Replaced by a newer one"),
        ],
        default="waiting",
        required=True,
        readonly=True,
    )
    mailed_at = fields.Datetime(string="Mail sent", readonly=True)
    confirmed_at = fields.Datetime(string="Confirmed", readonly=True)
    affiliate_id = fields.Many2one(
        "affiliate.affiliate",
        readonly=True,
        index="btree_not_null",
        ondelete="cascade",
        check_company=True,
    )
    tries = fields.Integer(readonly=True)
    next_try = fields.Datetime(readonly=True)
    problem = fields.Char(
        readonly=True, help="Why the mail could not be sent; it is tried again."
    )
    # The link's secret itself is in the mail only.
    token_hash = fields.Char(groups=fields.NO_ACCESS, copy=False)

    _token_uniq = models.UniqueIndex("(token_hash)")
    _waiting_idx = models.Index("(id) WHERE state = 'waiting'")
    _mailed_idx = models.Index("(mailed_at, mailbox)")

    # === RECEPTION === #

    @api.model
    def _receive(self, program, values, lang=None, user=None):
        """Note what was typed, and wake the scheduled action. The request does nothing
        else, so that nobody learns from answer or time who is known here.

        :param program: a published ``affiliate.program``
        :param dict values: ``name``, ``email`` (normalized) and optionally ``website``,
            ``wished_code``, ``motivation``; other keys are ignored
        :param str lang: the language of the page
        :param user: whose login is known to be the owner's of the address (``_proves``)
        """
        names = ("name", "email", "website", "wished_code", "motivation")
        self.create(
            {
                **{name: values.get(name) or False for name in names},
                "mailbox": mailbox(values["email"]),
                "program_id": program.id,
                "lang": lang,
                "user_id": user and user.id,
            }
        )
        self.env.ref(CRON)._trigger()

    @api.model
    def _proves(self, user, email):
        """Tell whether being signed in as a user proves that a mailbox is his.

        It does where the login is the address and somebody of ours made it. Where
        sign-up is open to all, Odoo lets people register any address unseen.
        """
        return _is_login(user, email) and not _is_self_made(user)

    # === MAILS === #

    @api.model
    def _cron_process(self):
        """Send each waiting applicant one mail, as far as the limits allow."""
        self._mark_replaced()
        failures = 0
        while failures < MAX_FAILURES:
            went_well = self._process_next()
            if went_well is None:
                return
            failures += not went_well

    @api.model
    def _mark_replaced(self):
        """Of what waits for one mailbox and program, the newest counts."""
        with self._own_transaction() as own:
            own.env.cr.execute(
                """UPDATE affiliate_application old SET state = 'replaced'
                     FROM affiliate_application new
                    WHERE old.state = 'waiting' AND old.user_id IS NULL
                      AND new.state = 'waiting' AND new.id > old.id
                      AND new.mailbox = old.mailbox
                      AND new.program_id = old.program_id"""
            )

    @api.model
    def _process_next(self):
        """Bring the oldest application that can be answered a step on.

        What follows from it is committed before the mail leaves: after a crash Odoo's
        queue sends the mail within the hour, and never twice.

        :return: whether it went well, None where nothing can be answered now
        """
        with self._own_transaction() as own:
            # Two runs at once would both see room for one more mail.
            own.env.cr.execute(
                "SELECT pg_advisory_xact_lock(hashtext('affiliate_stripe_application'))"
            )
            application = own.search(own._can_be_answered(), order="id", limit=1)
            if not application:
                return None
            try:
                with own.env.cr.savepoint():
                    mail_id = application._answer().id
            except Exception as error:
                # It must not keep the others waiting.
                _logger.exception("Application %s failed", application.id)
                application._put_off(str(error))
                return False
            application_id = application.id
        return not mail_id or self.browse(application_id)._deliver(mail_id)

    @api.model
    def _can_be_answered(self):
        now = fields.Datetime.now()
        due = Domain("next_try", "=", False) | Domain("next_try", "<=", now)
        may_be = Domain("user_id", "!=", False) | self._has_room()
        return Domain("state", "=", "waiting") & due & may_be

    @api.model
    def _has_room(self):
        """Return the domain of applications that may be mailed to: one mail a mailbox
        and day, and a limit for all."""
        day_ago = fields.Datetime.subtract(fields.Datetime.now(), days=1)
        lately = Domain("mailed_at", ">", day_ago)
        settings = self.env["affiliate.stripe.event"]
        limit = settings._retention_days("application_mails", MAILS_A_DAY)
        if self.search_count(lately, limit=limit) >= limit:
            return Domain.FALSE
        return Domain("mailbox", "not in", self._search(lately).subselect("mailbox"))

    def _answer(self):
        """Do what is to be done about a waiting application.

        :return: the mail to be sent, which may be none
        """
        self.ensure_one()
        outcome = self._foresee()
        if outcome != "confirmed":
            return self._close(outcome)
        if self.user_id:
            self._enrol()
            return self.env["mail.mail"]
        token = secrets.token_urlsafe(32)
        self.write({"state": "mailed", "token_hash": _hash(token)})
        base = self.program_id.get_base_url()
        link = f"{base}/affiliates/confirm/{token}"
        return self._mail("confirm", link=link, days=self._link_days())

    def _close(self, outcome):
        """Nothing comes of it: tell the owner of the mailbox, and nobody else.

        :return: the mail to be sent, none where the limits do not allow one
        """
        affiliate = self._find_affiliate()
        self.write({"state": outcome, "affiliate_id": affiliate.id})
        if not self.search(Domain("id", "=", self.id) & self._has_room()):
            return self.env["mail.mail"]
        return self._mail(outcome, until=affiliate._refused_until())

    def _mail(self, name, **context):
        """Make one of our mails: nothing in it was typed by the applicant."""
        self.mailed_at = fields.Datetime.now()
        template = self.env.ref(
            f"affiliate_stripe.mail_template_application_{name}"
        ).with_context(**context)
        # A mail about a record can be read by whoever reads the record.
        unbound = {"model": False, "res_id": False}
        mail_id = template.send_mail(self.id, email_values=unbound)
        return self.env["mail.mail"].browse(mail_id)

    def _deliver(self, mail_id):
        """Send a mail now, not with the hourly queue; tell whether it went well."""
        try:
            with self._own_transaction() as own:
                mail = own.env["mail.mail"].browse(mail_id)
                mail.send()
                failed = mail.exists().filtered(lambda m: m.state == "exception")
                if failed:
                    own.browse(self.id)._put_off(failed.failure_reason)
                    failed.unlink()
                return not failed
        except Exception:
            # E.g. the mail server hung up: the mail is still in the queue.
            _logger.exception("The mail of application %s waits", self.id)
            return False

    def _put_off(self, problem):
        """Try again later, and each time later still."""
        wait = 2 ** min(self.tries, 6)
        self.write(
            {
                "state": "waiting",
                "tries": self.tries + 1,
                "next_try": fields.Datetime.add(fields.Datetime.now(), hours=wait),
                "problem": problem,
                "mailed_at": False,
                "token_hash": False,
            }
        )

    # === CONFIRMATION === #

    @api.model
    def _find(self, token):
        """Return the application of a link, which may be none."""
        return self.search([("token_hash", "=", _hash(token))], limit=1)

    def _look(self, user):
        """Return what the link of this application leads to.

        :param user: who presses it
        :return: ``open``, ``login`` (open, but the owner of the login of this address
            has to sign in), ``used``, ``closed`` (the program is not public any more)
            or ``gone``
        """
        if not self or (self.state == "mailed" and self.mailed_at <= self._expiry()):
            return "gone"
        if self.state != "mailed":
            return "used"
        if not (self.program_id.active and self.program_id.is_published):
            return "closed"
        owner = self._find_user().filtered("active")
        if owner and owner.id != user.id and _is_self_made(owner):
            return "login"
        return "open"

    def _confirm(self, user):
        """The owner of the mailbox has pressed the button: make the application count.

        In a transaction of its own, after all others for the same address: a button
        pressed twice at once would make two contacts else.

        :return: what the link led to, see ``_look``
        """
        if not self:
            return self._look(user)
        mail_id = False
        with self._own_transaction() as own:
            own.env["affiliate.stripe.sync"]._hurry(own.env.cr)
            own.env["affiliate.referral"]._lock_email(self.email)
            application = own.browse(self.id).exists()
            found = application._look(user)
            if found == "open":
                outcome = application._foresee()
                if outcome == "confirmed":
                    application._enrol()
                else:
                    mail_id = application._close(outcome).id
        if mail_id:
            self._deliver(mail_id)
        return found

    def _foresee(self):
        """Return what becomes of it once it is confirmed: ``confirmed``, ``known`` or
        ``refused``."""
        affiliate = self._find_affiliate()
        if affiliate and affiliate.state != "rejected":
            return "known"
        return "refused" if affiliate._refused_until() else "confirmed"

    def _enrol(self):
        """Make the affiliate, or reopen the rejected one; tell the manager."""
        self.ensure_one()
        affiliate = self._find_affiliate()
        values = {name: self[name] for name in ("website", "wished_code", "motivation")}
        self.write({"state": "confirmed", "confirmed_at": fields.Datetime.now()})
        # Sent again before the mail was read: that was the same wish.
        self.search(
            [
                ("state", "=", "waiting"),
                ("mailbox", "=", self.mailbox),
                ("program_id", "=", self.program_id.id),
            ]
        ).state = "replaced"
        if affiliate:
            self.affiliate_id = affiliate
            affiliate._apply_again(values)
            return
        partner = self._find_partners()[:1] or self.env["res.partner"].create(
            {"name": self.name, "email": self.email, "lang": self.lang}
        )
        self.affiliate_id = self.env["affiliate.affiliate"].create(
            {"partner_id": partner.id, "program_id": self.program_id.id, **values}
        )
        self.affiliate_id._handle_application()

    def _find_affiliate(self):
        """Return what the owner of the mailbox is in the program already."""
        affiliates = self.env["affiliate.affiliate"].with_context(active_test=False)
        return affiliates.search(
            [
                ("partner_id", "in", self._find_partners().ids),
                ("program_id", "=", self.program_id.id),
            ],
            order="active desc, id desc",
            limit=1,
        )

    def _find_partners(self):
        """Return the contacts that are the owner of the mailbox, the first one to be
        enrolled if none is; there may be none.

        He is known by his login, which he cannot change himself; else by contacts of
        this address without any login. The e-mail of a contact proves nothing: whoever
        has a login writes what he likes into his own and into those below his company,
        and sees in his portal what belongs to them.
        """
        companies = (self.env["res.company"], self.company_id)
        user = self.user_id or self._find_user()
        if user and user.partner_id.company_id in companies:
            return user.partner_id
        partners = self.env["res.partner"].search(
            [
                ("email_normalized", "in", spellings(self.email)),
                ("company_id", "in", (False, self.company_id.id)),
            ],
            order="id",
        )
        return partners.filtered(lambda partner: not _is_seen(partner))

    def _find_user(self):
        """Return the user whose login is the address, archived or not."""
        users = self.env["res.users"].with_context(active_test=False)
        logins = [("login", "=ilike", escape_psql(s)) for s in spellings(self.email)]
        found = users.search(
            Domain.OR([Domain(*login) for login in logins]), order="id"
        )
        # A login may be one of a single website.
        here = (self.env["res.company"], self.company_id)
        found = found.filtered(lambda u: u.website_id.company_id in here)
        return found.sorted(lambda u: (u.login != self.email, not u.active))[:1]

    # === UPKEEP === #

    @api.model
    def _link_days(self):
        settings = self.env["affiliate.stripe.event"]
        return settings._retention_days("application_days", LINK_DAYS)

    @api.model
    def _expiry(self):
        """Return the time before which links were sent that are over now."""
        now = fields.Datetime.now()
        return fields.Datetime.subtract(now, days=self._link_days())

    @contextmanager
    def _own_transaction(self):
        """Yield this model as superuser in a READ COMMITTED transaction of its own."""
        with read_committed(self.env.registry) as cr:
            yield self.with_env(api.Environment(cr, SUPERUSER_ID, {}))

    @api.autovacuum
    def _gc_unconfirmed(self):
        """Forget what nobody has confirmed, as soon as its link is over."""
        limit = self._expiry()
        forgotten = self.search(
            [
                ("confirmed_at", "=", False),
                ("create_date", "<=", limit),
                "|",
                ("mailed_at", "=", False),
                ("mailed_at", "<=", limit),
            ],
            limit=BATCH,
        )
        forgotten.unlink()
        return len(forgotten), len(forgotten) == BATCH


def _hash(token):
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def _is_login(user, email):
    return one_spelling(user.login) == one_spelling(email)


def _is_self_made(user):
    """Tell whether a visitor made this login himself, without having been invited."""
    return not user.create_uid._is_internal()


def _is_seen(partner):
    """Tell whether somebody with a login sees in his portal what is this contact's."""
    above, ids = partner, []
    while above:
        ids.append(above.id)
        above = above.parent_id
    users = partner.env["res.users"].with_context(active_test=False)
    return bool(
        users.search_count([("partner_id.commercial_partner_id", "in", ids)], limit=1)
    )
