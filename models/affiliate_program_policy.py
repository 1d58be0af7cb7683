from odoo import fields, models

from ..lib import attribution

DAY = attribution.DAY


class AffiliateProgram(models.Model):
    """How the programme weighs who brought a customer.

    Who is bound already stays with what counted when he was (``Case.kept``).
    """

    _inherit = "affiliate.program"

    existing_customers = fields.Selection(
        [
            (attribution.UNPAID, "Who had not paid before the click"),
            (attribution.CREATED_AFTER, "Who is in Stripe only since the click"),
            (attribution.ANY, "Everybody, from then on"),
        ],
        default=attribution.UNPAID,
        required=True,
        string="Links and leads bind",
        help="Whom an affiliate can claim by a link, form or script. A promotion code "
        "is typed by the customer himself and always counts.",
    )
    lead_days = fields.Integer(
        string="Days a lead waits",
        default=365,
        help="Days between leaving an e-mail address and the first payment.",
    )
    ad_policy = fields.Selection(
        [
            (attribution.ALLOW, "Allow"),
            (attribution.HOLD, "Hold the commission until somebody has looked"),
            (attribution.BLOCK, "Do not count the visit"),
        ],
        default=attribution.HOLD,
        required=True,
        string="Visits from paid advertising",
        help="Affiliates who advertise on your own name sell you your own customers. "
        "Such visits are recognised by what Google, Microsoft, Meta and others add to "
        "addresses (gclid, gbraid, msclkid, fbclid…).",
    )

    _lead_days_positive = models.Constraint(
        "CHECK (lead_days > 0)", "A lead waits for one day at least."
    )

    def _get_policy(self):
        """Return the ``lib.attribution.Policy`` of this programme."""
        self.ensure_one()
        return attribution.Policy(
            code_beats_link=self.code_beats_link,
            last_wins=self.attribution_model == "last",
            window=self.cookie_days * DAY,
            expiry=self.lead_days * DAY,
            existing=self.existing_customers,
            ads=self.ad_policy,
        )
