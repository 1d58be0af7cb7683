"""What a visitor's browser tells about where he came from: parsed, or refused.

Addresses and references are refused where they are none. What is only told beside
them (sub-id, campaign, the page before) is left out where it is of no use: it never
costs the visit.

A **reference** names a visit wherever it travels (link parameter, cookie, form field,
``client_reference_id`` at Stripe): the tracking code, and after ``_`` the id of the
visitor, e.g. ``DRONA29_k3v9…``. The id leads to all his visits; the code alone still
counts where no visit could be recorded. It fits Stripe's ``client_reference_id``
(``[A-Za-z0-9_-]``, at most 200).

Only our server issues ids: each ends with a signature of what is before it, so that
nobody can make one up and have visits recorded under it.
"""

import hmac
import ipaddress
import re
import secrets
import string
from dataclasses import dataclass
from urllib.parse import (
    parse_qsl,
    unquote_plus,
    urlencode,
    urljoin,
    urlsplit,
    urlunsplit,
)

from . import codes, traffic

LINK_PARAMETER = "via"
MAX_TEXT = 100
MAX_SUB_ID = 64
MAX_URL = 500
UTM = ("utm_source", "utm_medium", "utm_campaign")
_VISITOR = re.compile(r"[A-Za-z0-9]{16,40}")
# Of links we make; others may send whatever text they like.
_SUB_ID = re.compile(rf"[\w.:~-]{{1,{MAX_SUB_ID}}}", re.ASCII)
# No domain has an underscore, but the names of some people's sites do.
_HOST = re.compile(r"[a-z0-9_]([a-z0-9._-]{0,250}[a-z0-9_])?")
# Browsers take a backslash for a slash and drop line breaks: such an address would
# lead elsewhere than we read in it. Half a character (JSON can carry one) is no text.
_NO_ADDRESS = re.compile(r"[\x00-\x20\x7f<>\"\\^`{|}\ud800-\udfff]")
_NO_TEXT = re.compile(r"[\x00-\x1f\x7f<>\ud800-\udfff]")
# How an address begins, typed well or nearly so; and how what is none begins. What is
# before a port is a host.
_WEB = re.compile(r"(https?):/*", re.IGNORECASE)
_NO_WEB = re.compile(r"[a-z][a-z0-9+.-]*:(?!\d)", re.IGNORECASE)
_PARAMETER = re.compile(r"[A-Za-z][\w.-]{0,29}", re.ASCII)
# Networks of one's own: where a proxy of one's own is.
_NEAR = [
    ipaddress.ip_network(network)
    for network in (
        *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
        *("100.64.0.0/10", "169.254.0.0/16", "::1/128", "fc00::/7", "fe80::/10"),
    )
]
_ALPHABET = string.ascii_letters + string.digits
RANDOM, SIGNED = 20, 12  # letters of an id, 119 bits, and of its signature, 48 bits


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
    search_engine: str = ""


def new_visitor(sign):
    """Return a new id for a visitor.

    :param sign: returns the keyed hash of a text, in letters and digits
    """
    text = "".join(secrets.choice(_ALPHABET) for _ in range(RANDOM))
    return text + sign(text)[:SIGNED]


def is_issued(visitor, sign):
    """Tell whether an id was made by ``new_visitor`` with the same key."""
    text, signature = visitor[:RANDOM], visitor[RANDOM:]
    return bool(_VISITOR.fullmatch(visitor)) and hmac.compare_digest(
        signature, sign(text)[:SIGNED]
    )


def parse_reference(text):
    """Return the ``Reference`` in a text, as people and programs copy it: see
    ``codes.plain``.

    :raise ValueError: it is none
    """
    text = codes.plain(text) if isinstance(text, str) else ""
    code, _mark, visitor = text.rpartition("_")
    if not (code and _VISITOR.fullmatch(visitor)):
        code, visitor = text, ""
    reference = Reference(codes.normalise(code), visitor)
    if not codes.is_valid(reference.code):
        raise ValueError("not a reference")
    return reference


def parse_visitor(text):
    """Return a visitor's id as a browser tells it, "" for none.

    :raise ValueError: it cannot be one
    """
    if text and not (isinstance(text, str) and _VISITOR.fullmatch(text)):
        raise ValueError("not a visitor")
    return text or ""


def parse_visit(url, referrer="", to=""):
    """Return the ``Visit`` that an address and the page before it tell.

    :param to: the page of the site that a link of ours leads to: what advertising or a
        search engine adds to it tells as much as what it adds to the link
    :raise ValueError: ``url`` is no address a browser would send
    """
    parts = _split(url)
    if not parts or len(url) > MAX_URL * 8:
        raise ValueError("address")
    query, further, before = _query(parts), _query_of(to), host_of(referrer)
    marks = further | query
    ad = traffic.ad_network(marks)
    netloc, path = parts.netloc.rpartition("@")[2], parts.path[:MAX_URL]
    return Visit(
        landing_url=urlunsplit((parts.scheme, netloc, path, "", "")),
        referrer=before,
        sub_id=_text(query.get("sub", "") or query.get("sub_id", ""), MAX_SUB_ID),
        ad_network=ad and (_text(ad) or "utm_medium"),
        search_engine="" if ad else traffic.search_engine(marks, before),
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
        host = host_of(word if "://" in word else f"https://{word}")
        if not host or ("." not in host and host != "localhost"):
            raise ValueError(word)
        if host not in domains:
            domains.append(host)
    return domains


def host_of(address):
    """Return the host of an address or of an ``Origin``, "" where it has none."""
    parts = _split(address)
    return parts.hostname if parts else ""


def completed(site):
    """Return the address that a person means who leaves out how it begins, or types
    ``https:/acme.com``: encrypted, but where it is on his own machine or network, which
    has no certificate. What begins as something else (``mailto:``) stays."""
    if begins := _WEB.match(site):
        return f"{begins[1].lower()}://{site[begins.end() :]}"
    if _NO_WEB.match(site):
        return site
    site = site.removeprefix("//")
    host = host_of(f"http://{site}")
    near = host.endswith((".localhost", ".local")) or host == "localhost"
    return f"http{'' if near or (_ip(host) and is_near(host)) else 's'}://{site}"


def page_of(site, to):
    """Return the address that a link names on a page of a site, or "" for none."""
    try:
        address = urljoin(site, to)
    except (ValueError, TypeError):
        return ""
    return address if _split(address) else ""


def is_within(host, domains):
    """Tell whether a host is one of the domains or below one."""
    return bool(host) and any(
        host == domain or host.endswith(f".{domain}") for domain in domains
    )


def origin_of(address):
    """Return scheme, host and port of an address as browsers name it, or ""."""
    parts = _split(address)
    if not parts:
        return ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}"


def is_parameter(name):
    """Tell whether a text can be the name of a parameter of an address."""
    return bool(_PARAMETER.fullmatch(name))


def is_sub_id(text):
    """Tell whether a link we make may carry a sub-id."""
    return bool(_SUB_ID.fullmatch(text))


def is_text(text):
    """Tell whether a visit would keep a text of an address."""
    return not _NO_TEXT.search(text)


def carried(parameters):
    """Return the parameters that a link of ours hands on to the site."""
    return {
        name: value
        for name, value in parameters.items()
        if isinstance(value, str)
        and (
            name in ("sub", "sub_id")
            or name.lower().startswith("utm_")
            or traffic.is_ad_parameter(name)
        )
    }


def network_of(address):
    """Return what one visitor holds: an IPv4 address, or an IPv6 network of 64 bits."""
    ip = _ip(address)
    if ip and ip.version == 6:
        return str(ipaddress.ip_network((ip, 64), strict=False))
    return str(ip or address)


def told_by_proxies(forwarded, cdn, trusted):
    """Return the visitor's address by what trusted proxies tell, "" for none.

    Each proxy adds to ``X-Forwarded-For``, at its end, from where it was asked. Only as
    many as are trusted are believed: what is left of theirs the visitor may have
    written himself. Where one of them forgets what was told to it, a CDN's own header
    tells it; who came by fewer of them is he who asked the first.

    :param str forwarded: the header ``X-Forwarded-For``
    :param str cdn: what a CDN's header says, "" for none
    :param int trusted: how many proxies there are, 1 at least
    """
    chain = [ip_in(part) for part in forwarded.split(",")]
    if len(chain) < trusted and ip_in(cdn):
        return ip_in(cdn)
    believed = chain[-trusted:]
    return next(filter(None, believed), "")


def proxies_passed(forwarded, cdn):
    """Return how many proxies say that a request came by them.

    A visitor can make it more, by what he writes himself.
    """
    chain = [ip_in(part) for part in forwarded.split(",")]
    hidden = ip_in(cdn) and ip_in(cdn) not in chain
    return len(chain) + bool(hidden)


def ip_in(text):
    """Return the internet address in a part of such a header, which may have a port;
    "" where there is none."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    ip = _ip(text)
    return str(ip) if ip else ""


def is_near(address):
    """Tell whether an address is in a network of one's own, or none (a socket)."""
    ip = _ip(address)
    return not ip or any(ip in network for network in _NEAR)


def with_parameters(url, parameters):
    """Return an address with these query parameters, other values of them replaced.

    The rest of the query stays as it is written: some sites read pages from it
    (``index.php?/signup``), or have signed it.
    """
    parts = urlsplit(url)
    query = [
        pair
        for pair in parts.query.split("&")
        if pair and unquote_plus(pair.partition("=")[0]) not in parameters
    ]
    added = urlencode({name: value for name, value in parameters.items() if value})
    return urlunsplit(parts._replace(query="&".join(filter(None, [*query, added]))))


def _split(address):
    """Return the parts of a web address, None where it is none; never fails."""
    if not isinstance(address, str) or _NO_ADDRESS.search(address):
        return None
    try:
        parts = urlsplit(address)
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        return None
    known = _HOST.fullmatch(host) or (_ip(host) and ":" in host)
    return parts if parts.scheme in ("http", "https") and known else None


def _query(parts):
    """Return the parameters of an address, names in lower case: those of its query,
    then those of its fragment, which may be an address itself (``#/plans?gclid=1``)."""
    _page, _mark, inner = parts.fragment.rpartition("?")
    found = [*parse_qsl(parts.query), *parse_qsl(parts.fragment), *parse_qsl(inner)]
    return {name.lower(): value for name, value in found}


def _query_of(to):
    """Return the parameters of an address or of a part of one; never fails."""
    try:
        return _query(urlsplit(to))
    except (ValueError, TypeError, AttributeError):
        return {}


def _ip(address):
    """Return the IP address in a text, or None; IPv4 as such."""
    try:
        ip = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return None
    return (ip.version == 6 and ip.ipv4_mapped) or ip


def _text(text, longest=MAX_TEXT):
    return text[:longest] if is_text(text) else ""
