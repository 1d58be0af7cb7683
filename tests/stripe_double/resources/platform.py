"""Account, events and webhook endpoints."""

import re
from urllib.parse import urlsplit

from ..contract import fields, nulls, resource_class
from ..dates import DAY
from ..errors import ApiError, missing
from ..routing import listing, retrieval, route
from . import common

EVENT_DAYS = 30
MAX_ENDPOINTS = 16


@route("GET", "/v1/account", "accounts_kyc_basic")
def account(call):
    world = call.world
    found = world.get("account", world.account) or world.add(_account(world))
    with world.change(found):
        found["settings"]["dashboard"]["timezone"] = world.double.timezone
    return found


def _account(world):
    return world.build(
        "account",
        id=world.account,
        business_profile=nulls(
            resource_class("account").BusinessProfile, name="Stripe double"
        ),
        charges_enabled=True,
        country="US",
        default_currency="usd",
        details_submitted=True,
        email="owner@example.com",
        metadata={},
        payouts_enabled=True,
        settings=_settings(world),
        type="standard",
    )


def _settings(world):
    cls = resource_class("account").Settings
    parts = {
        name: nulls(getattr(cls, kind))
        for name, kind in (
            ("branding", "Branding"),
            ("card_payments", "CardPayments"),
            ("dashboard", "Dashboard"),
            ("payments", "Payments"),
        )
    }
    return nulls(cls, **parts)


# -- events ---------------------------------------------------------------------


def _oldest(call):
    return call.world.now() - EVENT_DAYS * DAY


@route("GET", "/v1/events/{id}", "event")
def retrieve_event(call, id):
    """Events are kept for 30 days."""
    event = call.world.find("event", id)
    if event["created"] < _oldest(call):
        raise missing("event", id)
    return event


def _recent(call):
    """Lists start 30 days ago."""
    created = call.params.get("created") or {}
    if isinstance(created, int):
        created = {"gte": created, "lte": created}
    floor = max(created.get("gte", 0), _oldest(call))
    call.params["created"] = {**created, "gte": floor}
    if "type" in call.params and "types" in call.params:
        raise ApiError(
            "You may only specify one of these parameters: type, types.",
            code="parameters_exclusive",
        )
    if len(call.params.get("types", ())) > 20:
        raise ApiError("You can pass up to 20 types.", param="types")


def _type(world, event, wanted):
    """``invoice.*`` is allowed as a pattern."""
    if wanted.endswith("*"):
        return event["type"].startswith(wanted[:-1])
    return event["type"] == wanted


listing(
    "event",
    "/v1/events",
    "event",
    {
        "type": _type,
        "types": lambda world, event, wanted: any(
            _type(world, event, one) for one in wanted
        ),
        "delivery_success": lambda world, event, good: (
            event["pending_webhooks"] == 0 if good else event["pending_webhooks"] > 0
        ),
    },
    narrow=_recent,
)


# -- webhook endpoints ----------------------------------------------------------


def _known_events():
    found = re.findall(
        r"'([a-z0-9_.]+\.[a-z0-9_.]+)'", str(fields(resource_class("event"))["type"])
    )
    return {"*", *found}


def _check_events(names):
    known = _known_events()
    for index, name in enumerate(names):
        if name not in known:
            raise ApiError(
                f"Invalid enabled_events[{index}]: must be one of the event types"
                f" Stripe knows; got {name}",
                param=f"enabled_events[{index}]",
            )
    return list(names)


def _check_url(call, url):
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ApiError(
            "Invalid URL: An explicit scheme (such as https) must be provided.",
            code="url_invalid",
            param="url",
        )
    strict = call.world.livemode and not call.world.double.allow_http_live
    if strict and parts.scheme != "https":
        raise ApiError(
            "Invalid URL: URL must be a publicly accessible HTTPS URL in live mode.",
            code="url_invalid",
            param="url",
        )
    return url


@route("POST", "/v1/webhook_endpoints", "webhook")
def create_webhook_endpoint(call):
    """The secret is in this answer and never again."""
    params, world = call.params, call.world
    if len(world.all("webhook_endpoint")) >= MAX_ENDPOINTS:
        raise ApiError(
            f"You have reached the maximum of {MAX_ENDPOINTS} test webhook endpoints."
        )
    params.ignore("connect")
    endpoint = world.build(
        "webhook_endpoint",
        api_version=params.get("api_version"),
        description=params.get("description"),
        enabled_events=_check_events(params["enabled_events"]),
        metadata=common.metadata(params.get("metadata")),
        status="enabled",
        url=_check_url(call, params["url"]),
    )
    secret = world.new_id(None, "whsec", 32)
    world.add(endpoint, secret=secret)
    return {**endpoint, "secret": secret}


retrieval("webhook_endpoint", "/v1/webhook_endpoints/{webhook_endpoint}", "webhook")
listing("webhook_endpoint", "/v1/webhook_endpoints", "webhook")


@route("POST", "/v1/webhook_endpoints/{webhook_endpoint}", "webhook")
def update_webhook_endpoint(call, webhook_endpoint):
    params = call.params
    endpoint = call.world.find("webhook_endpoint", webhook_endpoint)
    with call.world.change(endpoint):
        common.copy(endpoint, params, "description")
        if "url" in params:
            endpoint["url"] = _check_url(call, params["url"])
        if "enabled_events" in params:
            endpoint["enabled_events"] = _check_events(params["enabled_events"])
        if "disabled" in params:
            endpoint["status"] = "disabled" if params["disabled"] else "enabled"
        common.merge_metadata(endpoint, params)
    return endpoint


@route("DELETE", "/v1/webhook_endpoints/{webhook_endpoint}", "webhook")
def delete_webhook_endpoint(call, webhook_endpoint):
    return call.world.remove(call.world.find("webhook_endpoint", webhook_endpoint))
