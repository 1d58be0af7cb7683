"""Showing that somebody is there without saying who."""

DOTS = "•••"


def mask_email(email):
    """Return ``j•••@e•••.com`` for ``jane@example.com``.

    The number of dots is always the same, so that the length says nothing; of the
    domain its first letter and its ending are left.
    """
    local, at, domain = (email or "").strip().lower().rpartition("@")
    if not at or not local or not domain:
        return DOTS
    name, dot, ending = domain.rpartition(".")
    if not dot:
        return f"{local[0]}{DOTS}@{domain[0]}{DOTS}"
    return f"{local[0]}{DOTS}@{name[:1]}{DOTS}.{ending}"
