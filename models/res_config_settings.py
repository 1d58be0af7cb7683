from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..tools.access import needs
from .affiliate_application import LINK_DAYS, MAILS_A_DAY
from .affiliate_click import CLICK_DAYS
from .affiliate_stripe_event_retention import EVENT_DAYS, PAYLOAD_DAYS

MOST_PROXIES = 9


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    affiliate_stripe_account_id = fields.Many2one(
        "affiliate.stripe.account",
        string="Stripe account",
        compute="_compute_affiliate_stripe_account_id",
    )
    affiliate_stripe_state = fields.Selection(
        related="affiliate_stripe_account_id.state"
    )
    affiliate_stripe_problem = fields.Char(
        related="affiliate_stripe_account_id.problem"
    )
    affiliate_stripe_workers = fields.Integer(
        string="Workers that process Stripe events"
    )
    affiliate_stripe_event_days = fields.Integer(
        string="Days to keep events",
        config_parameter="affiliate_stripe.event_days",
        default=EVENT_DAYS,
    )
    affiliate_stripe_payload_days = fields.Integer(
        string="Days to keep their contents",
        config_parameter="affiliate_stripe.payload_days",
        default=PAYLOAD_DAYS,
    )

    affiliate_stripe_click_days = fields.Integer(
        string="Days to keep visits",
        config_parameter="affiliate_stripe.click_days",
        default=CLICK_DAYS,
    )

    affiliate_stripe_application_mails = fields.Integer(
        string="Mails that ask to confirm, a day",
        config_parameter="affiliate_stripe.application_mails",
        default=MAILS_A_DAY,
    )
    affiliate_stripe_application_days = fields.Integer(
        string="Days to confirm",
        config_parameter="affiliate_stripe.application_days",
        default=LINK_DAYS,
    )

    affiliate_addresses_hidden = fields.Boolean(
        compute="_compute_affiliate_addresses_hidden"
    )

    affiliate_trusted_proxies = fields.Integer(
        string="Trusted proxies",
        config_parameter="affiliate_stripe.trusted_proxies",
        default=1,
    )
    affiliate_proxies_missed = fields.Integer(
        compute="_compute_affiliate_proxies_missed"
    )

    def _compute_affiliate_proxies_missed(self):
        missed = self.env["affiliate.click"]._proxies_missed()
        self.affiliate_proxies_missed = missed

    def _compute_affiliate_addresses_hidden(self):
        hidden = self.env["affiliate.rate.limit.log"]._is_hidden()
        self.affiliate_addresses_hidden = hidden

    def _compute_affiliate_stripe_account_id(self):
        for settings in self:
            settings.affiliate_stripe_account_id = self.env[
                "affiliate.stripe.account"
            ].search([("company_id", "=", settings.company_id.id)], limit=1)

    @api.constrains("affiliate_stripe_event_days", "affiliate_stripe_payload_days")
    def _check_affiliate_stripe_days(self):
        for settings in self:
            payload_days = settings.affiliate_stripe_payload_days
            if not 1 <= payload_days <= settings.affiliate_stripe_event_days:
                raise ValidationError(
                    self.env._(
                        "Stripe events are kept for one day at least, and their "
                        "contents not longer than the events."
                    )
                )

    @api.constrains("affiliate_trusted_proxies")
    def _check_affiliate_trusted_proxies(self):
        for settings in self:
            if not 1 <= settings.affiliate_trusted_proxies <= MOST_PROXIES:
                raise ValidationError(
                    self.env._(
                        "Between visitors and Odoo there are 1 to %s trusted proxies.",
                        MOST_PROXIES,
                    )
                )

    @api.constrains("affiliate_stripe_click_days")
    def _check_affiliate_stripe_click_days(self):
        longest = (
            self.env["affiliate.program"]
            .sudo()
            .search([], order="cookie_days desc", limit=1)
        )
        for settings in self:
            if settings.affiliate_stripe_click_days < max(1, longest.cookie_days):
                raise ValidationError(
                    self.env._(
                        "Visits are kept at least as long as links count: %s days.",
                        max(1, longest.cookie_days),
                    )
                )

    @api.constrains(
        "affiliate_stripe_application_mails", "affiliate_stripe_application_days"
    )
    def _check_affiliate_stripe_applications(self):
        for settings in self:
            if (
                min(
                    settings.affiliate_stripe_application_mails,
                    settings.affiliate_stripe_application_days,
                )
                < 1
            ):
                raise ValidationError(
                    self.env._(
                        "At least one mail a day has to be allowed, and one day to "
                        "confirm. Unpublish the program to take no applications."
                    )
                )

    @api.model
    def get_values(self):
        workers = self.env["affiliate.stripe.event"]._workers()
        return {
            **super().get_values(),
            "affiliate_stripe_workers": 1 + len(workers[1:].filtered("active")),
        }

    def set_values(self):
        done = super().set_values()
        count = self.affiliate_stripe_workers
        if count != self.get_values()["affiliate_stripe_workers"]:
            self.env["affiliate.stripe.event"]._set_workers(count)
        return done

    @needs("read")
    def action_affiliate_stripe_account(self):
        """Open the company's Stripe account, or a new one."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Stripe account"),
            "res_model": "affiliate.stripe.account",
            "res_id": self.affiliate_stripe_account_id.id,
            "view_mode": "form",
        }
