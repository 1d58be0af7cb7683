"""What makes a referral look wrong: pure functions, lists from a kept package.

They only raise a question. A person decides (``affiliate.referral.flag``).
"""

from disposable_email_domains import blocklist

from .domains import domain_of, mailbox, registrable

SELF, COMPANY, DISPOSABLE, AD, NO_VISIT = (
    "self",
    "company",
    "disposable",
    "ad",
    "no_visit",
)
SEARCH = "search"  # a search engine, and no advertisement, led to the visit
# Of leads that are many.
ADDRESS, SPEED, BROWSER, UNVISITED = ("address", "speed", "browser", "unvisited")


def is_disposable(email):
    """Tell whether an address is at a provider of throw-away addresses."""
    labels = domain_of(email).split(".")
    return any(".".join(labels[n:]) in blocklist for n in range(len(labels) - 1))


def is_same_company(email, other, is_shared):
    """Tell whether two addresses are at one company, or at parts of it: below one
    domain that somebody has registered.

    :param is_shared: tells of a domain whether everybody can have an address there
    """
    domains = {domain_of(email), domain_of(other)}
    owned = {registrable(domain) for domain in domains}
    if len(owned) > 1 or "" in owned:
        return False
    return not any(map(is_shared, domains | owned))


def doubts(emails, own, is_shared, trusted=False, ad="", search="", weak=False):
    """Return ``{kind: what about it}`` of what looks wrong.

    :param emails: of the person who was brought
    :param own: the affiliate's
    :param trusted: the affiliate may buy for clients, and for himself
    :param search: the search engine that led to the visit that counts
    :param ad: whose advertisement led to it
    :param weak: it was a lead without a visit that bound the person
    """
    found = {}
    if not trusted:
        mailboxes = {mailbox(email) for email in own} - {""}
        if mailboxes & {mailbox(email) for email in emails}:
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
    if search:
        found[SEARCH] = search
    if ad:
        found[AD] = ad
    if weak:
        found[NO_VISIT] = ""
    return found
