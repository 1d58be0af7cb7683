import logging

from odoo import SUPERUSER_ID, api, modules

_logger = logging.getLogger(__name__)

# Where a transaction keeps the ids of the mails that leave when it is stored.
WAITING = "affiliate_stripe_mails"


def send_soon(mails):
    """Send mails as soon as what they tell of is stored, not with the hourly queue.

    As core does (``mail.mail.send_after_commit``), and whatever a mail server does then
    harms nobody: what cannot be sent is shown as failed, or stays in the queue.
    """
    env, ids = mails.env, mails.ids
    if not ids:
        return
    if modules.module.current_test:  # there is no commit in tests
        _send(mails)
        return

    waiting = env.cr.postcommit.data.setdefault(WAITING, [])
    if not waiting:
        env.cr.postcommit.add(lambda: _send_stored(env, waiting))
    waiting += ids


def _send_stored(env, ids):
    """Send all mails of a transaction together: one connection a mail server."""
    try:
        with env.registry.cursor() as cr:
            own = api.Environment(cr, SUPERUSER_ID, env.context)
            _send(own["mail.mail"].browse(ids))
    except Exception:
        _logger.exception("Mails %s wait for the queue", ids)


def _send(mails):
    try:
        with mails.env.cr.savepoint():
            mails.exists().send()
    except Exception:  # e.g. the mail server hung up
        _logger.exception("Mails %s wait for the queue", mails.ids)
