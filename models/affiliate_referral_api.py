from odoo import api, models
from odoo.exceptions import UserError

from ..lib import attribution
from ..lib.stripe_client import StripeProblem
from ..lib.stripe_text import is_stripe_id
from ..tools.access import needs
from ..tools.addresses import email_key
from .affiliate_program_tracking import is_key
from .affiliate_referral_capture import email_address


class AffiliateReferral(models.Model):
    """For businesses that track on their own server: JSON-2 instead of our script.

    ``POST /json/2/affiliate.referral/track_lead`` and ``…/track_customer`` with the API
    key of a user who is an affiliate officer. Safe to repeat. What your own server says
    is believed as it is: it needs no visit (``attribution.LEADS``).
    """

    _inherit = "affiliate.referral"

    @api.model
    @needs("create")
    def track_lead(self, email, reference, program=None):
        """Map an e-mail address to the affiliate who brought the person.

        :param str email: of the person who signed up
        :param str reference: a tracking code (``DRONA29``), or what the script calls
            ``affiliate.referral`` (``DRONA29_k3v9…``)
        :param str program: its public key; not needed where there is one only
        :return: dict with ``id`` of the referral, ``affiliate`` (id), ``code`` and
            ``state``
        :raise UserError: what is wrong with the arguments
        """
        program = self._api_program(program)
        address = email_address(email)
        if not address:
            raise UserError(self.env._("%s is not an e-mail address.", _shown(email)))
        known = self._reference_of(reference)
        if not known or not self._capture(
            program.id, address, known, attribution.SERVER
        ):
            raise UserError(
                self.env._(
                    "%(reference)s is no active tracking code of %(program)s.",
                    reference=_shown(reference),
                    program=program.name,
                )
            )
        # In a transaction of its own: this one began before the row was there.
        with self.env["affiliate.stripe.sync"]._transaction() as own:
            found = own.env[self._name].search(
                [
                    ("stripe_account_id", "=", program.stripe_account_id.id),
                    ("email_normalized", "=", email_key(address)),
                ],
                order="decided_at, id",
            )
            # Who has paid belongs to somebody; whom else would be said at best once.
            found = found.filtered(lambda r: r.state == "customer")[:1] or found[-1:]
            return {
                "id": found.id,
                "affiliate": found.affiliate_id.id,
                "code": found.code_id.code or "",
                "state": found.state,
            }

    @api.model
    @needs("create")
    def track_customer(self, customer, reference, program=None):
        """As ``track_lead``, for a customer who is in Stripe already.

        :param str customer: Stripe customer id, ``cus_…``
        """
        account = self._api_program(program).stripe_account_id
        if not is_stripe_id(customer) or not customer.startswith("cus_"):
            raise UserError(
                self.env._("%s is no Stripe customer id.", _shown(customer))
            )
        try:
            self.env["affiliate.stripe.sync"]._sync_objects(
                account, {("customer", customer)}
            )
        except StripeProblem as problem:
            raise UserError(account.sudo()._problem_text(problem)) from problem
        with self.env["affiliate.stripe.sync"]._transaction() as own:
            email = (
                own.env["affiliate.stripe.customer"]
                .search([("account_id", "=", account.id), ("stripe_id", "=", customer)])
                .email
            )
        if not email:
            raise UserError(
                self.env._(
                    "Stripe knows no e-mail address of %s, or no such customer.",
                    customer,
                )
            )
        return self.track_lead(email, reference, program)

    @api.model
    def _api_program(self, key):
        programs = self.env["affiliate.program"]
        if not key or is_key(key):
            programs = programs.search(
                [("public_key", "=", key)] if key else [], limit=2
            )
        if len(programs) != 1:
            raise UserError(
                self.env._("There is no programme with this key.")
                if key
                else self.env._(
                    "Name the programme by its public key; there are several."
                )
            )
        return programs


def _shown(value):
    """Return what was sent as an answer can carry it: half characters cannot."""
    return str(value or "")[:100].encode(errors="replace").decode()
