from odoo import api, fields, models
from odoo.exceptions import UserError

from ..models.affiliate_code_promotion import OWNER_KEY, OWNER_NAME
from ..tools.access import needs


class AffiliateAdoptWizard(models.TransientModel):
    """Show a promotion code that is in Stripe already, then use it for an affiliate."""

    _name = "affiliate.adopt.wizard"
    _description = "Use a promotion code that is in Stripe"
    _check_company_auto = True

    company_id = fields.Many2one(related="code_id.company_id")
    code_id = fields.Many2one(
        "affiliate.code", required=True, readonly=True, check_company=True
    )
    affiliate_id = fields.Many2one(related="code_id.affiliate_id")
    promotion_id = fields.Many2one(
        "affiliate.stripe.promotion.code",
        required=True,
        readonly=True,
        check_company=True,
    )
    made_at = fields.Datetime(related="promotion_id.created", string="Made on")
    times_redeemed = fields.Integer(related="promotion_id.times_redeemed")
    discount = fields.Char(compute="_compute_promotion", string="Customers save")
    made_for = fields.Char(compute="_compute_promotion", string="Made for")
    is_lost = fields.Boolean(compute="_compute_promotion")
    keeps_discount = fields.Boolean(compute="_compute_promotion")
    program_discount = fields.Char(compute="_compute_promotion")

    @api.depends("promotion_id", "code_id")
    def _compute_promotion(self):
        for wizard in self:
            coupon = wizard.promotion_id.coupon_id
            wizard.discount = coupon._get_discount_text()
            code = wizard.code_id.sudo()
            wizard.keeps_discount = code._keeps_terms_of(wizard.promotion_id)
            wizard.program_discount = code.program_id._get_discount_text() or (
                self.env._("nothing")
            )
            metadata = (wizard.promotion_id.data or {}).get("metadata") or {}
            wizard.is_lost = OWNER_KEY in metadata
            wizard.made_for = metadata.get(OWNER_NAME) or (
                self.env._("An affiliate whose name is not known")
                if wizard.is_lost
                else self.env._("Nobody: it was made in Stripe itself")
            )

    @needs("write")
    def action_adopt(self):
        """Use it: what is paid with it earns for the affiliate."""
        self.ensure_one()
        self.code_id.check_access("write")
        code = self.code_id.sudo()
        if code.foreign_promotion_id != self.promotion_id.stripe_id:
            raise UserError(
                self.env._("This has changed meanwhile. Look at the code once more.")
            )
        code._adopt_foreign(self.promotion_id)
        return {"type": "ir.actions.act_window_close"}
