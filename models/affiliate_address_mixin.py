from odoo import models


class AffiliateAddressMixin(models.AbstractModel):
    """Links of what belongs to a Stripe account: they lead to its public address."""

    _name = "affiliate.address.mixin"
    _description = "Public address of an affiliate program"

    def get_base_url(self):
        account = self.sudo()._address_account() if len(self) == 1 else None
        return account.get_base_url() if account else super().get_base_url()

    def _address_account(self):
        return self.stripe_account_id
