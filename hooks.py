import logging

_logger = logging.getLogger(__name__)


def uninstall_hook(env):
    """Leave nothing of ours at Stripe that would go on calling this database.

    Webhook endpoints are deleted. Promotion codes stay: customers may still hold them,
    and "Disconnect" deactivates them on request.
    """
    # Its triggers go with their tables, the function would stay.
    env.cr.execute("DROP FUNCTION IF EXISTS affiliate_settlement_sum() CASCADE")
    env.cr.execute("DROP TABLE IF EXISTS affiliate_stripe_pace")
    for account in env["affiliate.stripe.account"].search([("state", "!=", "draft")]):
        problem = account._delete_endpoints()
        if problem:
            _logger.info(
                "Webhook endpoints of Stripe account %s could not be deleted: %s. "
                "Delete them in the Stripe dashboard.",
                account.display_name,
                problem,
            )
