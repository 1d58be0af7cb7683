"""Deliveries: which endpoint gets which event, signed, at once or on command.

``manual`` keeps deliveries in a queue; the test decides about order, repetition and
loss. ``auto`` posts them from a background thread and repeats failures a few times.
Every attempt carries a new signature with the real time, as Stripe's do. Posts go to
loopback addresses only; ``rewrite`` maps public addresses onto them.
"""

import http.client
import ipaddress
import json
import queue
import random
import threading
import time
from datetime import datetime, timezone
from urllib.parse import urlsplit

from stripe import WebhookSignature

RETRY_DELAYS = (0.2, 1, 3)


def sign(body, secret, timestamp=None):
    return WebhookSignature.generate_signature_header(body.decode(), secret, timestamp)


class Delivery:
    """One event for one endpoint."""

    def __init__(self, hooks, world, event, endpoint):
        self.hooks = hooks
        self.world = world
        self.event = event
        self.endpoint = endpoint
        self.state = "pending"
        self.attempts = []

    @property
    def secret(self):
        return self.world.side[self.endpoint["id"]]["secret"]

    def body(self):
        version = self.endpoint["api_version"] or self.event["api_version"]
        event = {**self.event, "pending_webhooks": 1, "api_version": version}
        event = self.world.whole_event(event)
        if self.hooks.double.chaos.stale_events:
            first = self.hooks.first[event["data"]["object"]["id"]]
            stale = self.world.whole_event(first)["data"]["object"]
            event["data"] = {**event["data"], "object": stale}
        return json.dumps(event, indent=2).encode()

    def request(self, body=None, signature=None):
        """``(url, headers, body)`` to post with a client of one's own."""
        body = self.body() if body is None else body
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Accept": "*/*; q=0.5, application/xml",
            "Cache-Control": "no-cache",
            "Stripe-Signature": signature or sign(body, self.secret),
        }
        return self.hooks.rewrite_url(self.endpoint["url"]), headers, body

    def thin(self):
        """The same news as a thin event: type and id only, signed alike."""
        obj = self.event["data"]["object"]
        moment = datetime.fromtimestamp(self.event["created"], timezone.utc)
        event = {
            "id": self.event["id"],
            "object": "v2.core.event",
            "context": None,
            "created": moment.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "livemode": self.event["livemode"],
            "reason": None,
            "related_object": {
                "id": obj["id"],
                "type": obj["object"],
                "url": f"/v1/{obj['object']}s/{obj['id']}",
            },
            "type": f"v1.{self.event['type']}",
        }
        return self.request(json.dumps(event).encode())

    def forged(self, how):
        """A delivery Stripe never sent, or a strange one that is good.

        ``wrong_secret``, ``old_timestamp``, ``altered_body``, ``no_signature`` and
        ``only_v0`` must be refused; ``rolled_secret`` (a foreign ``v1`` before ours)
        must be accepted.
        """
        body = self.body()
        if how == "wrong_secret":
            return self.request(body, sign(body, "whsec_of_somebody_else"))
        if how == "old_timestamp":
            return self.request(body, sign(body, self.secret, int(time.time()) - 3600))
        if how == "altered_body":
            good = sign(body, self.secret)
            return self.request(body.replace(b'"livemode"', b'"Livemode"'), good)
        if how == "only_v0":
            return self.request(body, sign(body, self.secret).replace("v1=", "v0="))
        if how == "no_signature":
            url, headers, body = self.request(body)
            del headers["Stripe-Signature"]
            return url, headers, body
        if how == "rolled_secret":
            stamp, good = sign(body, self.secret).split(",")
            return self.request(body, f"{stamp},v1={'0' * 64},{good},v0={'1' * 64}")
        raise ValueError(f"unknown forgery {how!r}")

    def send(self, timeout=30):
        """Post it; returns the status (0 when nobody answered)."""
        status = post(*self.request(), timeout)
        self.attempts.append(status)
        with self.hooks.double.lock:
            if 200 <= status < 300:
                self._settle("delivered")
        return status

    def drop(self):
        """Stripe gave up, or the message was lost: it will never arrive."""
        self._settle("dropped")

    def _settle(self, state):
        if self.state == "pending":
            self.state = state
            if state == "delivered":
                self.event["pending_webhooks"] -= 1
        self.hooks.settled(self)

    def as_dict(self):
        return {
            "event": self.event["id"],
            "type": self.event["type"],
            "object": self.event["data"]["object"].get("id"),
            "endpoint": self.endpoint["id"],
            "url": self.endpoint["url"],
            "state": self.state,
            "attempts": self.attempts,
        }


def post(url, headers, body, timeout=30):
    """POST without following redirects: for Stripe a 3xx is a failure."""
    parts = urlsplit(url)
    if not is_loopback(parts.hostname):
        return 0
    connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout)
    try:
        target = parts.path or "/"
        connection.request(
            "POST", target + (f"?{parts.query}" if parts.query else ""), body, headers
        )
        response = connection.getresponse()
        response.read()
        return response.status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def is_loopback(host):
    if host == "localhost" or (host or "").endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


class Hooks:
    def __init__(self, double, mode="manual"):
        self.double = double
        self.mode = mode
        self.pending = {}
        self.first = {}
        self.rewrite = {}
        self._jobs = queue.Queue()
        self._thread = None
        self._idle = threading.Condition()

    def clear(self):
        self.pending = {}
        self.first = {}

    def rewrite_url(self, url):
        for old, new in self.rewrite.items():
            if url.startswith(old):
                return new + url[len(old) :]
        return url

    def queue(self, world, event):
        """A new event: one delivery for every endpoint that wants its type."""
        self.first.setdefault(event["data"]["object"]["id"], event)
        for endpoint in world.all("webhook_endpoint", status="enabled"):
            wanted = endpoint["enabled_events"]
            if "*" in wanted or event["type"] in wanted:
                self._enqueue(world, event, endpoint)

    def queue_fake(self, world, event):
        """An event from nowhere, for every endpoint."""
        endpoints = world.all("webhook_endpoint", status="enabled")
        return [self._enqueue(world, event, endpoint) for endpoint in endpoints]

    def _enqueue(self, world, event, endpoint):
        event["pending_webhooks"] += 1
        delivery = Delivery(self, world, event, endpoint)
        self.pending[id(delivery)] = delivery
        if self.mode == "auto":
            self._submit(delivery)
        return delivery

    def settled(self, delivery):
        with self._idle:
            self.pending.pop(id(delivery), None)
            self._idle.notify_all()

    def deliveries(self):
        """Pending deliveries, oldest first; those of dead endpoints are gone."""
        return [
            d
            for d in list(self.pending.values())
            if d.endpoint["status"] == "enabled"
            and d.endpoint["id"] not in d.world.removed
        ]

    def deliver(self, order=None, shuffle=None, duplicate=0, drop=(), limit=None):
        """Send pending deliveries now; returns ``[(event id, status)]``.

        ``order`` gives event ids, ``shuffle`` a seed for a random order; every
        delivery is sent ``1 + duplicate`` times; events or types in ``drop`` are
        lost for good.
        """
        jobs = self.deliveries()
        if order is not None:
            rank = {key: number for number, key in enumerate(order)}
            jobs = [d for d in jobs if d.event["id"] in rank]
            jobs.sort(key=lambda d: rank[d.event["id"]])
        lost = [d for d in jobs if {d.event["id"], d.event["type"]} & set(drop)]
        for delivery in lost:
            delivery.drop()
        jobs = [d for d in jobs if d not in lost][:limit] * (1 + duplicate)
        if shuffle is not None:
            random.Random(shuffle).shuffle(jobs)
        return [(d.event["id"], d.send()) for d in jobs]

    # -- the background thread of the automatic mode

    def _submit(self, delivery, delay=0.0):
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()
        self._jobs.put((time.monotonic() + delay, delivery))

    def _work(self):
        while True:
            moment, delivery = self._jobs.get()
            wait = moment - time.monotonic()
            if wait > 0:
                time.sleep(min(wait, 0.05))
                self._jobs.put((moment, delivery))
                continue
            if delivery.state != "pending" or id(delivery) not in self.pending:
                continue
            status = delivery.send()
            tries = len(delivery.attempts)
            if not 200 <= status < 300:
                if tries <= len(RETRY_DELAYS):
                    self._submit(delivery, RETRY_DELAYS[tries - 1])
                else:
                    delivery.drop()

    def wait(self, timeout=30):
        """Until nothing is pending (automatic mode); True if that was reached."""
        end = time.monotonic() + timeout
        with self._idle:
            while self.deliveries():
                left = end - time.monotonic()
                if left <= 0:
                    return False
                self._idle.wait(min(left, 0.1))
        return True
