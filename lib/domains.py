"""Domains and e-mail addresses: in one spelling, whose they are, and where mail to them
ends."""

import re
import unicodedata
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
        return _ascii_anyhow(domain)


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
    """Return an e-mail address in the one form in which addresses are compared and
    looked up, wherever they come from; "" for none. It is not for people to read.

    The domain is as the internet names it (``xn--bcher-kva.example``). The name before
    it is composed (NFC) and without case, in every script. Letters that only some
    languages take for others stay what they are: ``weiß@`` is not ``weiss@``.
    """
    local, at, domain = (email or "").strip().rpartition("@")
    return f"{_fold(local)}@{ascii_domain(domain)}" if at else _fold(domain)


def spellings(email):
    """Return the forms in which others may have stored an e-mail address, for looking
    it up where we do not keep it ourselves, e.g. in contacts.

    All of them have the same ``one_spelling``. Mixed case outside of A-Z is not
    among them.
    """
    one = one_spelling(email)
    name, at, domain = one.rpartition("@")
    names = {name}
    if not name.isascii():
        upper = name.upper()
        names |= {upper, upper.lower(), name.title(), name.capitalize()}
    written = {
        unicodedata.normalize(form, f"{local}{at}{host}")
        for local in names
        for host in {domain, readable_domain(domain)}
        for form in ("NFC", "NFD")
    }
    return sorted(text for text in written if one_spelling(text) == one)


def readable_domain(domain):
    """Return a domain as people write it: ``bücher.example`` for
    ``xn--bcher-kva.example``."""
    try:
        return idna.decode(domain)
    except (idna.IDNAError, UnicodeError):
        return domain


def mailbox(email):
    """Return the mailbox an address leads to: ``Ja.ne+x@googlemail.com`` is
    ``jane@gmail.com``; "" for what is no address."""
    local, _at, domain = one_spelling(email).rpartition("@")
    domain = _SISTERS.get(domain, domain)
    local = local.partition("+")[0] or local
    local = local.translate(_ALIKE.get(domain, {})) or local
    return f"{local}@{domain}" if local and domain else ""


def _fold(text):
    """Return a text without case, composed: each letter for itself, so that the end of
    a word (Greek sigma) changes nothing.

    It is less than ``str.casefold``, which takes some letters for others: a long s
    (``ſ``) for ``s``, and with it the mailbox of one person for another's.
    """
    composed = unicodedata.normalize("NFC", text)
    lower = "".join(letter.lower() for letter in composed)
    return unicodedata.normalize("NFC", lower.replace("ς", "σ"))


def _ascii_anyhow(domain):
    """Return a domain in letters of ASCII that today's rules do not allow, but some
    registries do (``❤.example``), or nearly one (``bücher_x.example``)."""
    try:
        domain = idna.uts46_remap(domain, std3_rules=False)
        return ".".join(
            label if label.isascii() else f"xn--{label.encode('punycode').decode()}"
            for label in re.split(r"[.\u3002\uff0e\uff61]", domain)
        )
    except (idna.IDNAError, UnicodeError):
        return unicodedata.normalize("NFC", domain)


@lru_cache(maxsize=1)
def _public_suffixes():
    """The public suffix list of the installed package; read once a process (70 ms)."""
    return PublicSuffixList()
