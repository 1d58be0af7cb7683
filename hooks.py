import logging

_logger = logging.getLogger(__name__)


def uninstall_hook(env):
    """Leave nothing of ours: neither in Stripe, where it would go on calling this
    database, nor in the database what Odoo does not know of.

    Webhook endpoints are deleted, unless this database is a copy. Promotion codes stay:
    customers may still hold them, and "Deactivate codes" switches them off on request.
    """
    accounts = env["affiliate.stripe.account"].with_context(active_test=False)
    for account in accounts.search([("state", "!=", "draft")]):
        if problem := account._leave_stripe():
            _logger.info(
                "Webhook endpoints of Stripe account %s were not deleted: %s Delete "
                "them in Stripe's dashboard if no other database uses them.",
                account.display_name,
                problem,
            )
    # The triggers go with their tables, function and settings would stay.
    env.cr.execute("DROP FUNCTION IF EXISTS affiliate_settlement_sum() CASCADE")
    env.cr.execute("DROP TABLE IF EXISTS affiliate_stripe_pace, affiliate_stripe_mark")
    env["ir.config_parameter"].search([("key", "=like", "affiliate_stripe.%")]).unlink()
