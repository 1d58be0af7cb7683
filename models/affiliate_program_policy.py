from itertools import permutations

from odoo import api, fields, models

from ..lib import attribution

DAY = attribution.DAY


class AffiliateProgram(models.Model):
    """How the programme weighs who brought a customer.

    Who is bound already stays with what counted when he was (``Case.kept``).
    """

    _inherit = "affiliate.program"

    evidence_order = fields.Selection(
        lambda self: self._selection_evidence_order(),
        default=",".join(attribution.KINDS),
        required=True,
        string="Order of evidence",
        help="Which evidence decides where several kinds speak of the same customer: a "
        "promotion code he typed in, a link he came by, what your site wrote into "
        "Stripe's metadata, or his e-mail address in form or script. What a person "
        "mapped by hand comes before all of them.",
    )
    code_beats_link = fields.Boolean(
        compute="_compute_code_beats_link",
        inverse="_inverse_code_beats_link",
        store=True,
        help="A customer who came over one affiliate's link and pays with another's "
        "code belongs to the code. Follows from the order of evidence.",
        string="A code beats a link",
    )
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
    search_policy = fields.Selection(
        [
            (attribution.ALLOW, "Allow"),
            (attribution.HOLD, "Hold the commission until somebody has looked"),
            (attribution.BLOCK, "Do not count the visit"),
        ],
        default=attribution.ALLOW,
        required=True,
        string="Visits from search engines",
        help="Whoever looks for your name, or for a coupon of yours, is on his way to "
        "you: some affiliates live on being found instead. People who find an "
        "affiliate's honest review come by his page, not directly from the search.",
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
        "addresses (gclid, gbraid, msclkid, fbclid, yclid…), and by a utm_medium that "
        "says so (cpc, ppc, paid…).",
    )

    no_visit_policy = fields.Selection(
        [
            (attribution.ALLOW, "Accept"),
            (attribution.HOLD, "Hold the commission until somebody has looked"),
            (attribution.BLOCK, "Ignore the lead"),
        ],
        default=attribution.HOLD,
        required=True,
        string="Leads without a visit",
        help="E-mail addresses that come by form or script although our server has "
        "recorded no visit before: an affiliate could send those of people he never "
        "brought. Such a lead comes after all other evidence and never takes a "
        "customer who was in Stripe before it. Choose what else happens to it.",
    )

    _lead_days_positive = models.Constraint(
        "CHECK (lead_days > 0)", "A lead waits for one day at least."
    )

    @api.model
    def _selection_evidence_order(self):
        """Return every order of the kinds of evidence, those with codes first."""
        names = {
            attribution.CODE: self.env._("Code"),
            attribution.REFERENCE: self.env._("Link"),
            attribution.METADATA: self.env._("Metadata"),
            attribution.FORM: self.env._("E-mail"),
        }
        return [
            (",".join(order), " › ".join(names[kind] for kind in order))
            for order in permutations(attribution.KINDS)
        ]

    @api.depends("evidence_order")
    def _compute_code_beats_link(self):
        for program in self:
            order = program.evidence_order or ""
            program.code_beats_link = order == attribution.code_first(order)

    def _inverse_code_beats_link(self):
        for program in self:
            change = attribution.link_first
            if program.code_beats_link:
                change = attribution.code_first
            program.evidence_order = change(program.evidence_order)

    def _get_policy(self):
        """Return the ``lib.attribution.Policy`` of this programme."""
        self.ensure_one()
        return attribution.Policy(
            order=self.evidence_order,
            last_wins=self.attribution_model == "last",
            window=self.cookie_days * DAY,
            expiry=self.lead_days * DAY,
            zone=self.sudo().stripe_account_id.timezone or "",
            existing=self.existing_customers,
            search=self.search_policy,
            ads=self.ad_policy,
            weak=self.no_visit_policy,
        )
