"""Showing that somebody is there without saying who."""

from .domains import one_spelling, readable_domain

DOTS = "•••"


def mask_email(email):
    """Return ``j•••@e•••.com`` for ``jane@example.com``.

    The number of dots is always the same, so that the length says nothing; of the
    domain its first letter and its ending are left. Two spellings of one address look
    the same.
    """
    local, at, domain = one_spelling(email).rpartition("@")
    domain = readable_domain(domain)
    if not at or not local or not domain:
        return DOTS
    name, dot, ending = domain.rpartition(".")
    if not dot:
        return f"{local[0]}{DOTS}@{domain[0]}{DOTS}"
    return f"{local[0]}{DOTS}@{name[:1]}{DOTS}.{ending}"
