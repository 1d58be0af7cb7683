from odoo.tools import email_normalize

from ..lib.domains import one_spelling


def email_key(text):
    """Return the one form in which the e-mail address in a text is compared and looked
    up (``lib.domains.one_spelling``); "" where there is none, or more than one.

    :param text: as Stripe, a form or a person has it: ``Jane <Jane@Example.com>``
    """
    return one_spelling(email_normalize(text or "") or "")
