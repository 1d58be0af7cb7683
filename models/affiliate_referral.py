import secrets
from collections import defaultdict
from functools import partial

from odoo import Command, api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.tools.misc import format_date

from ..lib import attribution
from ..lib.roles import MANAGER
from ..tools.access import needs
from ..tools.addresses import email_key

# Referral rows somebody made, as opposed to those read from Stripe's objects.
CLAIM_SOURCES = ("manual", *attribution.CLAIMS)
# What a claim says; the binding of a customer is changed by new facts only.
CLAIM_FIELDS = {"email", "affiliate_id", "code_id", "date", "include_history"}


class AffiliateReferral(models.Model):
    """The mapping of one person to one affiliate, and why.

    A row made by a person (form, script, by hand) is a claim until the first payment
    decides; the row that wins owns the person's Stripe customers from then on. Rows
    read from Stripe's objects (codes, references) are made by :meth:`_refresh`.
    """

    _name = "affiliate.referral"
    _description = "Referral"
    _inherit = ["affiliate.protected", "mail.thread"]
    _order = "date desc, id desc"
    _check_company_auto = True

    email = fields.Char(help="E-mail of the person; empty where only Stripe knows it.")
    email_normalized = fields.Char(
        compute="_compute_email_normalized", store=True, index="btree_not_null"
    )
    affiliate_id = fields.Many2one(
        "affiliate.affiliate",
        required=True,
        index=True,
        ondelete="restrict",
        tracking=True,
        check_company=True,
    )
    program_id = fields.Many2one(
        related="affiliate_id.program_id", store=True, index=True, string="Programme"
    )
    company_id = fields.Many2one(
        related="affiliate_id.company_id", store=True, index=True
    )
    stripe_account_id = fields.Many2one(
        related="affiliate_id.program_id.stripe_account_id",
        store=True,
        index=True,
        string="Stripe account",
    )
    code_id = fields.Many2one(
        "affiliate.code", index="btree_not_null", check_company=True
    )
    source = fields.Selection(
        [
            ("manual", "By hand"),
            ("code", "Promotion code"),
            ("client_reference", "Link (client_reference_id)"),
            ("metadata", "Metadata"),
            ("form", "E-mail form"),
            ("server", "Your server"),
            ("sdk", "Script"),
            ("import", "Import"),
        ],
        default="manual",
        required=True,
        readonly=True,
    )
    state = fields.Selection(
        [
            ("lead", "Lead"),
            ("customer", "Customer"),
            ("rejected", "Not counted"),
            ("expired", "Expired"),
        ],
        default="lead",
        required=True,
        readonly=True,
        copy=False,
        tracking=True,
    )
    visitor = fields.Char(
        readonly=True,
        copy=False,
        index="btree_not_null",
        help="Of the browser in which the person left the e-mail; leads to the visits.",
    )
    # Stored with the lead: visits are forgotten one day, and leads are counted by it.
    without_visit = fields.Boolean(
        string="Without a visit",
        readonly=True,
        copy=False,
        help="This e-mail address came by form or script, and our server had recorded "
        "no visit by the affiliate's link before. Anybody could have sent it.",
    )
    # Of the visit that brought the person. Stored: visits are forgotten one day.
    sub_id = fields.Char(
        string="Sub-id",
        readonly=True,
        copy=False,
        help="The sub-id in the affiliate link that brought this person.",
    )
    # Keyed, as of visits.
    ip_hash = fields.Char(readonly=True, copy=False, index="btree_not_null")
    token = fields.Char(
        default=lambda self: secrets.token_urlsafe(16), readonly=True, copy=False
    )
    date = fields.Datetime(
        required=True,
        default=fields.Datetime.now,
        help="When the affiliate brought this person: payments from then on count.",
    )
    include_history = fields.Boolean(
        string="Earlier payments too",
        write_group=MANAGER,
        help="Earn on payments made before the date as well.",
    )
    decided_at = fields.Datetime(
        string="Decided", readonly=True, help="The payment that decided."
    )
    customer_ids = fields.Many2many(
        "affiliate.stripe.customer",
        "affiliate_referral_customer_rel",
        "referral_id",
        "customer_id",
        string="Stripe customers",
        readonly=True,
        copy=False,
        check_company=True,
    )
    evidence = fields.Json(
        readonly=True,
        copy=False,
        help="The evidence that won, and the candidates that lost.",
    )
    evidence_text = fields.Text(
        compute="_compute_evidence_text", string="Why, in short"
    )
    commission_ids = fields.One2many("affiliate.commission", "referral_id")
    taken_note = fields.Char(compute="_compute_taken_note")
    paid_in_all = fields.Char(
        string="Paid in total",
        compute="_compute_paid_in_all",
        help="What this person's Stripe customers have paid by card, bank and the "
        "like, including tax, less refunds, in each currency.",
    )

    _token_uniq = models.UniqueIndex("(token)")
    _affiliate_date_idx = models.Index("(affiliate_id, date)")
    _without_visit_idx = models.Index("(affiliate_id, date) WHERE without_visit")

    def init(self):
        # One binding a customer, for any number of workers.
        self.env.cr.execute(
            """CREATE UNIQUE INDEX IF NOT EXISTS
                   affiliate_referral_customer_rel_customer_uniq
                   ON affiliate_referral_customer_rel (customer_id)"""
        )

    # === COMPUTE METHODS === #

    @api.depends("email")
    def _compute_email_normalized(self):
        for referral in self:
            referral.email_normalized = email_key(referral.email) or False

    @api.depends("email", "customer_ids")
    def _compute_display_name(self):
        for referral in self:
            customer = referral.customer_ids[:1]
            referral.display_name = (
                referral.email or customer.display_name or self.env._("Somebody")
            )

    @api.depends("evidence")
    def _compute_evidence_text(self):
        for referral in self:
            evidence = referral.evidence or {}
            lines = [evidence["winner"]] if evidence.get("winner") else []
            lines += [
                self.env._("Not counted: %s", loser)
                for loser in evidence.get("losers", ())
            ]
            account = referral.stripe_account_id
            referral.evidence_text = "\n".join(account._in_words(lines))

    @api.depends("email", "affiliate_id", "state")
    def _compute_taken_note(self):
        """Say, while a referral is typed, whom this person belongs to already."""
        for referral in self:
            others = self.browse()
            if referral.source == "manual" and referral.state != "customer":
                others = referral._owners_already()
            referral.taken_note = referral._say_taken(others[0]) if others else False

    @api.depends("customer_ids.charge_ids")
    def _compute_paid_in_all(self):
        paid = self.customer_ids._paid_by_currency()
        for referral in self:
            sums = defaultdict(float)
            for customer in referral.customer_ids:
                for currency, amount in paid.get(customer.id, {}).items():
                    sums[currency] += amount
            referral.paid_in_all = self.customer_ids._say_paid(sums)

    def _say_taken(self, owner):
        """Return who has this person, and since when."""
        return self.env._(
            "%(email)s has already paid and has been assigned to %(affiliate)s since "
            "%(date)s.",
            email=self.email,
            affiliate=owner.affiliate_id.display_name,
            date=format_date(self.env, owner.decided_at),
        )

    # === CONSTRAINT METHODS === #

    @api.constrains("email", "source")
    def _check_email(self):
        for referral in self:
            if referral.source in CLAIM_SOURCES and not referral.email_normalized:
                raise ValidationError(
                    self.env._("%s is not an e-mail address.", referral.email or "")
                )

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        referrals = super().create(vals_list)
        claims = referrals.filtered(lambda r: r.source in CLAIM_SOURCES)
        claims._check_not_bound()
        claims.filtered(lambda r: not r.to_decide)._refresh_people()
        return referrals

    def write(self, vals):
        """A person may correct a lead; a customer's binding is not edited."""
        edited = not self.env.su and CLAIM_FIELDS & vals.keys()
        if edited and any(referral.state == "customer" for referral in self):
            raise UserError(
                self.env._(
                    "This customer has paid and belongs to the affiliate for good."
                )
            )
        released = self.browse()
        if edited and "email" in vals:
            # Whoever had the mistaken address is somebody else's again.
            released = self.customer_ids
            self.sudo().write({"customer_ids": [Command.clear()]})
        result = super().write(vals)
        if edited:
            claims = self.filtered(lambda r: r.source in CLAIM_SOURCES)
            claims._check_not_bound()
            claims._refresh_people(released)
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_only_leads(self):
        if any(r.commission_ids or r.state == "customer" for r in self):
            raise UserError(
                self.env._(
                    "This customer has paid, so the referral can't be deleted. You "
                    "can move it to another affiliate instead."
                )
            )

    def _check_not_bound(self):
        """A claim never takes over a customer who belongs to somebody already."""
        for claim in self:
            others = claim._owners_already().filtered(
                lambda r, claim=claim: r.affiliate_id != claim.affiliate_id
            )
            if others and claim.source == "manual":
                raise UserError(claim._say_taken(others[0]))

    def _owners_already(self):
        """Return the referrals that bind the customers with this e-mail."""
        self.ensure_one()
        if not self.email_normalized or not self.affiliate_id:
            return self.browse()
        # Unsaved, it has no stored account yet.
        account = self.affiliate_id.program_id.stripe_account_id
        bound = self._bound_to(account, self.email_normalized)
        return bound.filtered(lambda r: r.state == "customer" and r != self._origin)

    @api.model
    def _bound_to(self, account, email):
        return self.search(
            [
                ("stripe_account_id", "=", account.id),
                ("customer_ids.email_normalized", "=", email),
            ]
        )

    # === ATTRIBUTION === #

    def _refresh_people(self, others=()):
        """Decide again about the people these referrals speak of, and ``others``.

        Once now, for whoever looks at the answer. Once more after the commit: a
        payment stored at the same moment is not visible to this transaction, nor this
        claim to the one that stored it.
        """
        self._decide_people(others)
        self.env.cr.postcommit.add(partial(self._decide_people_anew, self.ids))

    @api.model
    def _decide_people_anew(self, ids):
        with self.env["affiliate.stripe.sync"]._transaction() as own:
            own.env[self._name].browse(ids).exists()._decide_people()

    def _decide_people(self, others=()):
        for account, claims in self.grouped("stripe_account_id").items():
            self.env["affiliate.stripe.sync"]._lock(account)
            claims.sudo()._note_visits()
            customers = self.env["affiliate.stripe.customer"].sudo()
            customers = customers.with_context(active_test=False).search(
                [
                    ("account_id", "=", account.id),
                    "|",
                    ("email_normalized", "in", claims.mapped("email_normalized")),
                    ("id", "in", [*claims.customer_ids.ids, *(c.id for c in others)]),
                ]
            )
            if customers:
                self.sudo()._refresh(account, customers)

    # === ACTION METHODS === #

    @needs("read")
    def action_view_commissions(self):
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "affiliate_stripe.action_affiliate_commission"
        )
        action["domain"] = [("referral_id", "in", self.ids)]
        return action


class AffiliateStripeCustomer(models.Model):
    """The business' view of a mirrored customer; the mirror itself knows nothing."""

    _inherit = "affiliate.stripe.customer"

    referral_ids = fields.Many2many(
        "affiliate.referral",
        "affiliate_referral_customer_rel",
        "customer_id",
        "referral_id",
        readonly=True,
        copy=False,
    )
    affiliate_id = fields.Many2one(related="referral_ids.affiliate_id")


class AffiliateStripeInvoice(models.Model):
    _inherit = "affiliate.stripe.invoice"

    affiliate_id = fields.Many2one(related="customer_id.affiliate_id")


class AffiliateStripeCharge(models.Model):
    _inherit = "affiliate.stripe.charge"

    affiliate_id = fields.Many2one(related="customer_id.affiliate_id")


class AffiliateStripeSync(models.AbstractModel):
    _inherit = "affiliate.stripe.sync"

    @api.model
    def _after_store(self, account, customer_refs):
        result = super()._after_store(account, customer_refs)
        customers = self.env["affiliate.stripe.customer"].search(
            [("account_id", "=", account.id), ("stripe_id", "in", list(customer_refs))]
        )
        self.env["affiliate.referral"]._refresh(account, customers)
        return result
