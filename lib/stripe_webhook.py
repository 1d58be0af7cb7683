"""Is this delivery really from Stripe? Nothing else is decided here."""

import logging

import stripe

_logger = logging.getLogger(__name__)

# Stripe signs each attempt anew, so its own default tolerance fits retries too.
TOLERANCE_SECONDS = 300
MAX_BODY_BYTES = 1024 * 1024


def is_signed(body, header, secrets, tolerance=TOLERANCE_SECONDS):
    """Tell whether ``body`` carries a fresh signature by one of ``secrets``.

    While a secret is being rolled two are valid at once. No secret: refused.

    :param bytes body: the raw request body, exactly as received
    :param str header: the ``Stripe-Signature`` header
    :param secrets: iterable of ``whsec_…`` strings
    """
    for secret in secrets:
        try:
            if stripe.WebhookSignature.verify_header(
                body.decode(), header or "", secret, tolerance
            ):
                return True
        except stripe.SignatureVerificationError:
            if _is_late(body, header, secret):
                return False
        except (ValueError, TypeError):
            # Not UTF-8, or a signature with non-ASCII characters: forged.
            return False
    return False


def _is_late(body, header, secret):
    """Tell, also the log, whether a signature is good and only too old.

    Stripe signs each attempt anew: somebody plays an old delivery once more, or a clock
    is wrong, and then nothing at all is taken any more.
    """
    try:
        stripe.WebhookSignature.verify_header(body.decode(), header or "", secret)
    except stripe.SignatureVerificationError:
        return False
    _logger.warning(
        "A delivery was refused: Stripe signed it too long ago. If there are more of"
        " them, the clock of this server is wrong."
    )
    return True
