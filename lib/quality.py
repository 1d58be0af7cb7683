"""What makes a referral look wrong: pure functions, lists from a kept package.

They only raise a question. A person decides (``affiliate.referral.flag``).
"""

from disposable_email_domains import blocklist

SELF, COMPANY, DISPOSABLE, AD, NO_VISIT = (
    "self",
    "company",
    "disposable",
    "ad",
    "no_visit",
)
# Of leads that are many.
ADDRESS, SPEED, BROWSER, UNVISITED = ("address", "speed", "browser", "unvisited")
_GMAIL = ("gmail.com", "googlemail.com")


def canonical(email):
    """Return the mailbox an address leads to: ``Ja.ne+x@googlemail.com`` is
    ``jane@gmail.com``."""
    local, _at, domain = (email or "").strip().lower().rpartition("@")
    local = local.partition("+")[0] or local
    if domain in _GMAIL:
        local, domain = local.replace(".", ""), _GMAIL[0]
    return f"{local}@{domain}" if local and domain else ""


def domain_of(email):
    return (email or "").strip().lower().rpartition("@")[2]


def is_disposable(email):
    """Tell whether an address is at a provider of throw-away addresses."""
    labels = domain_of(email).split(".")
    return any(".".join(labels[n:]) in blocklist for n in range(len(labels) - 1))


def is_same_company(email, other, is_shared):
    """Tell whether two addresses are at one company, or at parts of it.

    :param is_shared: tells of a domain whether everybody can have an address there
    """
    one, two = sorted((domain_of(email), domain_of(other)), key=len)
    if not one or is_shared(one) or is_shared(two):
        return False
    return two == one or two.endswith(f".{one}")


def doubts(emails, own, is_shared, trusted=False, ad="", weak=False):
    """Return ``{kind: what about it}`` of what looks wrong.

    :param emails: of the person who was brought
    :param own: the affiliate's
    :param trusted: the affiliate may buy for clients, and for himself
    :param ad: whose advertisement led to the visit that counts
    :param weak: it was a lead without a visit that bound the person
    """
    found = {}
    if not trusted:
        mailboxes = {canonical(email) for email in own} - {""}
        if mailboxes & {canonical(email) for email in emails}:
            found[SELF] = ""
        else:
            domains = [
                domain_of(email)
                for email in emails
                if any(is_same_company(email, other, is_shared) for other in own)
            ]
            if domains:
                found[COMPANY] = min(domains)
    if thrown_away := [domain_of(email) for email in emails if is_disposable(email)]:
        found[DISPOSABLE] = min(thrown_away)
    if ad:
        found[AD] = ad
    if weak:
        found[NO_VISIT] = ""
    return found
