# Mirror: what Stripe says now. Knows nothing of commissions.
from . import affiliate_stripe_account
from . import affiliate_stripe_account_health
from . import affiliate_stripe_account_runs
from . import affiliate_stripe_account_endpoints
from . import affiliate_stripe_endpoint
from . import affiliate_stripe_mixin
from . import affiliate_stripe_product
from . import affiliate_stripe_price
from . import affiliate_stripe_coupon
from . import affiliate_stripe_promotion_code
from . import affiliate_stripe_customer
from . import affiliate_stripe_subscription
from . import affiliate_stripe_checkout_session
from . import affiliate_stripe_invoice
from . import affiliate_stripe_invoice_line
from . import affiliate_stripe_invoice_payment
from . import affiliate_stripe_charge
from . import affiliate_stripe_refund
from . import affiliate_stripe_credit_note
from . import affiliate_stripe_dispute
from . import affiliate_stripe_payout
from . import affiliate_stripe_balance_transaction
from . import affiliate_stripe_sync
from . import affiliate_stripe_sync_reading
from . import affiliate_stripe_sync_polling
from . import affiliate_stripe_erasure
from . import affiliate_stripe_run
from . import affiliate_stripe_run_part
from . import affiliate_stripe_run_walk
from . import affiliate_stripe_run_checks
from . import affiliate_stripe_run_difference
from . import affiliate_stripe_event
from . import affiliate_stripe_event_reception
from . import affiliate_stripe_event_workers
from . import affiliate_stripe_event_retention

# Business: who brought whom, and what that earns.
from . import affiliate_program
from . import affiliate_program_tracking
from . import affiliate_program_policy
from . import affiliate_commission_rule
from . import affiliate_affiliate
from . import affiliate_application
from . import affiliate_code
from . import affiliate_code_promotion
from . import affiliate_code_links
from . import affiliate_click
from . import affiliate_referral
from . import affiliate_referral_candidates
from . import affiliate_referral_binding
from . import affiliate_referral_move
from . import affiliate_referral_why
from . import affiliate_referral_privacy
from . import affiliate_referral_capture
from . import affiliate_referral_api
from . import affiliate_commission
from . import affiliate_commission_facts
from . import affiliate_commission_booking
from . import affiliate_commission_holds
from . import affiliate_commission_backlog
from . import affiliate_referral_flag
from . import affiliate_settlement
from . import affiliate_settlement_bill
from . import affiliate_rate_limit_log

# What people outside see of it.
from . import affiliate_program_form
from . import affiliate_program_website
from . import affiliate_affiliate_portal

# Core models we add to.
from . import account_move
from . import res_config_settings
from . import res_partner
