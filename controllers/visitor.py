"""What public pages may know of a visitor, and how long they let him wait."""

from functools import wraps

from psycopg2.errors import LockNotAvailable

from odoo.http import GeoIP, request

from ..lib import visits

# What proxies tell of whom they speak for.
FORWARDED = ("X-Forwarded-For", "X-Forwarded-Host", "Forwarded")
# What CDNs tell beside it: Cloudflare; Cloudflare and Akamai; Fastly; Azure.
CDN = ("CF-Connecting-IP", "True-Client-IP", "Fastly-Client-IP", "X-Azure-ClientIP")


def waits_for_nobody(busy, hurried=False):
    """Decorate a public page: where somebody has locked what it needs (an update, a
    backup, a long report), it says so soon instead of waiting with the visitor.

    :param busy: ``f(request's parameters) -> answer``, which asks the database nothing
    :param bool hurried: what the page asks by itself hurries (``_hurry``)
    """

    def decorate(page):
        @wraps(page)
        def hurry(self, *args, **values):
            try:
                if not hurried:
                    request.env["affiliate.stripe.sync"]._hurry(request.env.cr)
                return page(self, *args, **values)
            except LockNotAvailable:
                # Odoo would try again and again, and wait between.
                request.env.cr.rollback()
                return busy(*args, **values)

        return hurry

    return decorate


def busy_page(*_args, **_values):
    """Ask a visitor to try again, in few words: what the page is made of is locked."""
    return request.make_response(
        request.env._("We are busy just now. Please try again in a moment."),
        [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Cache-Control", "no-store"),
            ("Retry-After", "5"),
        ],
        status=503,
    )


def visitor_address():
    """Return the visitor's address, or None where Odoo cannot know it.

    Behind a proxy that Odoo does not heed (it needs ``proxy_mode`` and the header
    ``X-Forwarded-Host``), all visitors have the address of the proxy. Such a proxy is
    near: whoever comes from afar is himself, whatever headers he sends. Odoo itself
    (``http.ProxyFix``) believes the last proxy only; the setting says how many there
    are.
    """
    httprequest = request.httprequest
    peer, headers = httprequest.remote_addr, httprequest.headers
    if _is_heeded():
        trusted = request.env["affiliate.click"]._trusted_proxies()
        return visits.told_by_proxies(*_told(), trusted) or peer
    if any(name in headers for name in (*FORWARDED, *CDN)) and visits.is_near(peer):
        request.env["affiliate.rate.limit.log"]._note_hidden()
        return None
    return peer


def visitor_country():
    """Return the code of the country of the visitor's address, or None."""
    address = visitor_address()
    if address == request.httprequest.remote_addr:
        return request.geoip.country_code
    return GeoIP(address).country_code if visits.ip_in(address or "") else None


def visitor_proxies():
    """Return how many proxies say that the visitor came by them, None for nobody whom
    Odoo heeds."""
    return visits.proxies_passed(*_told()) if _is_heeded() else None


def _is_heeded():
    """Tell whether Odoo believes the proxy that the request came by."""
    httprequest = request.httprequest
    fixed = "werkzeug.proxy_fix.orig" in httprequest.environ
    return fixed and "X-Forwarded-For" in httprequest.headers


def _told():
    headers = request.httprequest.headers
    cdn = next((headers[name] for name in CDN if name in headers), "")
    return headers["X-Forwarded-For"], cdn


def nearest_lang(text):
    """Return the website's language nearest to the one a page says it has, or None."""
    text = text if isinstance(text, str) else ""
    return request.env["ir.http"].get_nearest_lang(text.replace("-", "_")[:10])


def is_flood(scope, limit, minutes=60):
    """Count one more act from the visitor's address; tell whether it is one of too
    many."""
    log = request.env["affiliate.rate.limit.log"]
    return not log._allow(scope, visitor_address(), limit, minutes)
