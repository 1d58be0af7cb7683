"""What a visitor's browser tells about where he came from: parsed, or refused.

A **reference** names a visit wherever it travels (link parameter, cookie, form field,
``client_reference_id`` at Stripe): the tracking code, and after ``_`` the random id of
the visitor, e.g. ``DRONA29_k3v9…``. The id leads to all his visits; the code alone
still counts where no visit could be recorded. It fits Stripe's
``client_reference_id`` (``[A-Za-z0-9_-]``, at most 200).
"""

import re
import secrets
import string
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from . import codes

LINK_PARAMETER = "via"
MAX_TEXT = 100
MAX_URL = 500
UTM = ("utm_source", "utm_medium", "utm_campaign")
# Click ids that paid advertising adds to addresses, and whose they are.
AD_PARAMETERS = {
    "gclid": "Google Ads",
    "gbraid": "Google Ads",
    "wbraid": "Google Ads",
    "gad_source": "Google Ads",
    "msclkid": "Microsoft Advertising",
    "fbclid": "Meta",
    "ttclid": "TikTok",
    "twclid": "X",
    "li_fat_id": "LinkedIn",
    "rdt_cid": "Reddit",
}
_VISITOR = re.compile(r"[A-Za-z0-9]{16,40}")
_SUB_ID = re.compile(r"[\w.:~-]{1,64}", re.ASCII)
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?")
# Browsers take a backslash for a slash and drop line breaks: such an address would
# lead elsewhere than we read in it.
_NO_ADDRESS = re.compile(r"[\x00-\x20\x7f<>\"\\^`{|}]")
_PARAMETER = re.compile(r"[A-Za-z][\w.-]{0,29}", re.ASCII)
_ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True)
class Reference:
    """A code, and the visitor's id where there is one."""

    code: str
    visitor: str = ""

    def __str__(self):
        return f"{self.code}_{self.visitor}" if self.visitor else self.code


@dataclass(frozen=True)
class Visit:
    """Where a visitor landed and came from; all texts are safe to store and show."""

    landing_url: str = ""  # without parameters
    referrer: str = ""  # host only
    sub_id: str = ""
    utm_source: str = ""
    utm_medium: str = ""
    utm_campaign: str = ""
    ad_network: str = ""


def new_visitor():
    """Return a random id of a visitor, as the script makes them too."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(22))


def parse_reference(text):
    """Return the ``Reference`` in a text.

    :raise ValueError: it is none
    """
    code, _mark, visitor = text.partition("_") if isinstance(text, str) else ("",) * 3
    reference = Reference(codes.normalise(code), visitor)
    if not codes.is_valid(code.upper()) or (
        visitor and not _VISITOR.fullmatch(visitor)
    ):
        raise ValueError("not a reference")
    return reference


def parse_visit(url, referrer=""):
    """Return the ``Visit`` that an address and the page before it tell.

    :raise ValueError: not addresses a browser would send
    """
    if not isinstance(url, str) or not isinstance(referrer or "", str):
        raise ValueError("address")
    parts = _split(url)
    query = dict(parse_qsl(parts.query)) | dict(parse_qsl(parts.fragment))
    sub_id = query.get("sub", "") or query.get("sub_id", "")
    if sub_id and not _SUB_ID.fullmatch(sub_id):
        raise ValueError("sub-id")
    return Visit(
        landing_url=urlunsplit((parts.scheme, parts.netloc, parts.path, "", "")),
        referrer=(_split(referrer).hostname or "") if referrer else "",
        sub_id=sub_id,
        ad_network=next((AD_PARAMETERS[n] for n in AD_PARAMETERS if query.get(n)), ""),
        **{name: _text(query.get(name, "")) for name in UTM},
    )


def parse_domains(text):
    """Return the domains in a text of commas, spaces or lines.

    :raise ValueError: with the first that is no domain as its text
    """
    domains = []
    for word in re.split(r"[\s,;]+", text or ""):
        if not word:
            continue
        host = urlsplit(word if "//" in word else f"//{word}").hostname or ""
        if not _HOST.fullmatch(host) or ("." not in host and host != "localhost"):
            raise ValueError(word)
        if host not in domains:
            domains.append(host)
    return domains


def host_of(address):
    """Return the host of an address or of an ``Origin``, "" where it has none."""
    if not address or _NO_ADDRESS.search(address):
        return ""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return ""
    return host if parts.scheme in ("http", "https") and _HOST.fullmatch(host) else ""


def is_within(host, domains):
    """Tell whether a host is one of the domains or below one."""
    return bool(host) and any(
        host == domain or host.endswith(f".{domain}") for domain in domains
    )


def origin_of(address):
    """Return scheme, host and port of an address as browsers name it, or ""."""
    if not host_of(address):
        return ""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}"


def is_parameter(name):
    """Tell whether a text can be the name of a parameter of an address."""
    return bool(_PARAMETER.fullmatch(name))


def with_parameters(url, parameters):
    """Return an address with these query parameters, other values of them replaced."""
    parts = urlsplit(url)
    query = [
        (name, value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
        if name not in parameters
    ]
    query += [(name, value) for name, value in parameters.items() if value]
    return urlunsplit(parts._replace(query=urlencode(query)))


def _split(url):
    if len(url) > MAX_URL * 8 or _NO_ADDRESS.search(url):
        raise ValueError("address")
    parts = urlsplit(url)
    if not host_of(url):
        raise ValueError("address")
    return parts._replace(
        path=parts.path[:MAX_URL], netloc=parts.netloc.rpartition("@")[2]
    )


def _text(text):
    if re.search(r"[\x00-\x1f\x7f<>]", text):
        raise ValueError("text")
    return text[:MAX_TEXT]
