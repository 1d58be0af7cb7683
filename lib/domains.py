"""Domains: in one spelling, whose they are, and where mail to them ends."""

from functools import lru_cache

import idna
from publicsuffixlist import PublicSuffixList

# Domains of one provider at which the same name is the same mailbox, or is kept for its
# owner; the first stands for all. By what the providers say:
# support.apple.com/118230, proton.me/support/addresses-and-aliases,
# yandex.com/support/id/authorization/email.html, support.google.com/mail/answer/159001.
# Not here are providers where the same name may be somebody else's: Microsoft's
# outlook.com, hotmail.com and live.com, Yahoo's, GMX's, Tuta's, Mail.ru's.
_PROVIDERS = (
    ("gmail.com", "googlemail.com"),
    ("icloud.com", "me.com", "mac.com"),
    ("proton.me", "protonmail.com", "protonmail.ch", "pm.me"),
    (
        *("yandex.ru", "ya.ru", "yandex.com", "yandex.by", "yandex.kz", "yandex.ua"),
        *("yandex.uz", "yandex.com.tr", "narod.ru"),
    ),
)
_SISTERS = {domain: group[0] for group in _PROVIDERS for domain in group}
# What a provider does not look at in a name: ``{domain: {character: instead}}``.
_ALIKE = {
    "gmail.com": str.maketrans("", "", "."),
    "proton.me": str.maketrans("", "", "._-"),
    "yandex.ru": str.maketrans("-", "."),
}


def ascii_domain(domain):
    """Return a domain as the internet names it: ``xn--bcher-kva.example`` for
    ``Bücher.example``. What is no domain is only put in lower case."""
    domain = domain.strip().lower().removesuffix(".")
    if domain.isascii():
        return domain
    try:
        return idna.encode(domain, uts46=True).decode()
    except idna.IDNAError:
        return domain


def registrable(domain):
    """Return the part of a domain that somebody has registered: ``acme.co.uk`` for
    ``mail.acme.co.uk``, ``acme.github.io`` for itself. "" where anybody can have a
    domain below it (``co.uk``, ``github.io``), and for what is no domain."""
    domain = ascii_domain(domain)
    if ":" in domain or domain.rpartition(".")[2].isdigit():
        return ""  # an internet address
    return _public_suffixes().privatesuffix(domain) or ""


def domain_of(email):
    """Return the domain of an e-mail address, in one spelling."""
    return ascii_domain((email or "").rpartition("@")[2])


def one_spelling(email):
    """Return an e-mail address with its domain in one spelling; else as it is."""
    local, at, domain = email.rpartition("@")
    return f"{local}{at}{ascii_domain(domain)}" if at else email


def mailbox(email):
    """Return the mailbox an address leads to: ``Ja.ne+x@googlemail.com`` is
    ``jane@gmail.com``; "" for what is no address."""
    local, _at, domain = (email or "").strip().lower().rpartition("@")
    domain = ascii_domain(domain)
    domain = _SISTERS.get(domain, domain)
    local = local.partition("+")[0] or local
    local = local.translate(_ALIKE.get(domain, {})) or local
    return f"{local}@{domain}" if local and domain else ""


@lru_cache(maxsize=1)
def _public_suffixes():
    """The public suffix list of the installed package; read once a process (70 ms)."""
    return PublicSuffixList()
