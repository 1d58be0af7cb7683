from odoo import api, fields, models

from ..lib import visits


class AffiliateReferral(models.Model):
    """E-mail addresses that visitors leave in a form or by the script."""

    _inherit = "affiliate.referral"

    @api.model
    def _capture(self, program_id, email, reference, source):
        """Map an e-mail address to the affiliate who brought the visitor.

        In a transaction of its own; safe to repeat. A claim like any other: it never
        takes over a customer who has paid before.

        :param int program_id: the programme of form or script
        :param str email: normalised address
        :param Reference reference: who brought the visitor, None where nobody did
        :param str source: ``form`` or ``sdk``
        :return: whether it is mapped now; never to be told to the visitor
        """
        if not reference:
            return False
        sync = self.env["affiliate.stripe.sync"]
        with sync._transaction() as own:
            program = own.env["affiliate.program"].browse(program_id)
            own._lock(program.stripe_account_id)
            referrals = own.env[self._name]
            code = referrals._code_of(program, reference)
            if not code:
                return False
            known = referrals.search(
                [
                    ("stripe_account_id", "=", program.stripe_account_id.id),
                    ("email_normalized", "=", email),
                    ("affiliate_id", "=", code.affiliate_id.id),
                ],
                limit=1,
            )
            if not known:
                referrals.create(
                    {
                        "email": email,
                        "affiliate_id": code.affiliate_id.id,
                        "code_id": code.id,
                        "source": source,
                        "visitor": reference.visitor or False,
                    }
                )
        return True

    @api.model
    def _code_of(self, program, reference):
        """Return the code that brought a visitor, by his visits or by the reference.

        Of several within the window, the first or the last as the programme says.
        """
        if reference.visitor:
            since = fields.Datetime.subtract(
                fields.Datetime.now(), days=program.cookie_days
            )
            click = self.env["affiliate.click"].search(
                [
                    ("visitor", "=", reference.visitor),
                    ("program_id", "=", program.id),
                    ("date", ">=", since),
                ],
                order="date" if program.attribution_model == "first" else "date desc",
                limit=1,
            )
            if click:
                return click.code_id
        return self.env["affiliate.code"].search(
            [
                ("code", "=", reference.code),
                ("program_id", "=", program.id),
                ("affiliate_id.state", "=", "active"),
                ("state", "!=", "inactive"),
            ],
            limit=1,
        )

    @api.model
    def _reference_of(self, text):
        """Return the ``Reference`` in a text a browser sent, or None."""
        try:
            return visits.parse_reference(text)
        except ValueError:
            return None
