"""Is this delivery really from Stripe? Nothing else is decided here."""

import stripe

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
            continue
        except (ValueError, TypeError):
            # Not UTF-8, or a signature with non-ASCII characters: forged.
            return False
    return False
