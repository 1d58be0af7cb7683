"""The groups of ``security/affiliate_groups.xml``, for code that asks for them."""

OFFICER = "affiliate_stripe.group_affiliate_officer"
MANAGER = "affiliate_stripe.group_affiliate_manager"
ACCOUNTANT = "affiliate_stripe.group_affiliate_accountant"
