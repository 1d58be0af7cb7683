from odoo import api, fields, models
from odoo.tools.misc import format_date


class AffiliateStripeRunPart(models.Model):
    """One list of Stripe between two moments, and how far it was walked.

    Of a comparison: one kind in one month, and what was found.
    """

    _name = "affiliate.stripe.run.part"
    _description = "Part of the reading of a Stripe account"
    _inherit = ["affiliate.protected"]
    _check_company_auto = True
    _order = "stage, kind, created_from desc, id"

    run_id = fields.Many2one(
        "affiliate.stripe.run",
        required=True,
        readonly=True,
        index=True,
        ondelete="cascade",
        check_company=True,
    )
    company_id = fields.Many2one(
        related="run_id.account_id.company_id", store=True, index=True
    )
    kind = fields.Char(required=True, readonly=True)
    stage = fields.Integer(required=True, readonly=True)
    kind_name = fields.Char(string="Object", compute="_compute_names")
    month = fields.Char(compute="_compute_names")
    params = fields.Json(readonly=True)
    # The span, its end not included; open where empty. Lists run from new to old.
    created_from = fields.Datetime(string="From", readonly=True)
    created_to = fields.Datetime(string="To", readonly=True)
    # The last object stored, and when it was created.
    after = fields.Char(readonly=True)
    reached = fields.Datetime(readonly=True)
    objects = fields.Integer(default=0, readonly=True)
    share_done = fields.Float(default=0, readonly=True)  # 0 to 1, by time span
    done = fields.Boolean(default=False, readonly=True)
    leased_until = fields.Datetime(readonly=True)
    leased_by = fields.Char(readonly=True)
    problem = fields.Char(readonly=True, help="Why this list could not be read.")

    _open_idx = models.Index("(run_id, stage) WHERE NOT done")

    @api.depends("kind", "created_from")
    def _compute_names(self):
        for part in self:
            part.kind_name = part.kind.replace("_", " ").capitalize()
            part.month = (
                format_date(self.env, part.created_from, date_format="MMMM y")
                if part.created_from
                else self.env._("Before")
            )
