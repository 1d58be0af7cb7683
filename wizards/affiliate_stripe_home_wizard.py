from odoo import api, fields, models

from ..tools.access import needs

HOME, COPY = "home", "copy"


class AffiliateStripeHomeWizard(models.TransientModel):
    """A person says what this database is to a Stripe account: its home, or a copy."""

    _name = "affiliate.stripe.home.wizard"
    _description = "Home or copy"
    _check_company_auto = True

    company_id = fields.Many2one(related="account_id.company_id")
    account_id = fields.Many2one(
        "affiliate.stripe.account", required=True, readonly=True, check_company=True
    )
    question = fields.Text(related="account_id.home_question")
    answer = fields.Selection(
        [
            (HOME, "Yes: it acts for the Stripe account from now on"),
            (COPY, "No, it is a copy: cut it off from Stripe"),
        ],
        required=True,
    )
    public_url = fields.Char(
        string="Public address",
        compute="_compute_public_url",
        store=True,
        readonly=False,
        help="Where the world reaches this Odoo. Webhook, script and links use it.",
    )
    present_url = fields.Char(compute="_compute_present_url")

    @api.depends("account_id")
    def _compute_public_url(self):
        for wizard in self:
            wizard.public_url = wizard.account_id.public_url

    @api.depends("account_id")
    def _compute_present_url(self):
        for wizard in self:
            wizard.present_url = wizard.account_id._present_url()

    @needs("write")
    def action_confirm(self):
        """Do what the answer says."""
        self.ensure_one()
        self.account_id.check_access("write")
        account = self.account_id.sudo()
        if self.answer == COPY:
            account._become_copy()
            message = self.env._("This copy is cut off. Nothing was changed in Stripe.")
        else:
            account._become_home(self.public_url)
            message = self.env._(
                "Thank you. The webhook is being taken over and what was missed read."
            )
        return account._notify(message, "success")
