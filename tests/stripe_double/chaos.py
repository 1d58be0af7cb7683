"""Hostility on demand: what goes wrong between a client and the real API.

A rule applies to requests whose ``"METHOD /path"`` matches its pattern, for its next
``times`` requests or with a ``probability``. Actions:

``status``    answer 409, 429, 500, 503, … without doing anything
``drop``      close the connection without an answer, nothing done
``timeout``   hold the connection for ``seconds``, then close it, nothing done
``latency``   wait ``seconds``, then answer as usual
``truncate``  do it, but cut the JSON in the middle
``lost``      do it (the write happens), but the answer never arrives
"""

import random
import re
import time

from .errors import ApiError

ACTIONS = {"status", "drop", "timeout", "latency", "truncate", "lost"}


class ConnectionLost(Exception):
    """Raised towards the HTTP layer: close the socket without an answer."""


class Rule:
    def __init__(self, action, pattern=".", times=1, probability=None, **arguments):
        if action not in ACTIONS:
            raise ValueError(f"unknown chaos action {action!r}")
        self.action = action
        self.pattern = re.compile(pattern)
        self.times = None if probability is not None else times
        self.probability = probability
        self.arguments = arguments

    def applies(self, request, rng):
        if not self.pattern.search(request):
            return False
        if self.probability is not None:
            return rng.random() < self.probability
        if self.times == 0:
            return False
        self.times -= 1
        return True


class Chaos:
    def __init__(self, seed=0):
        self.random = random.Random(seed)
        self.clear()

    def clear(self):
        self.rules = []
        self.page_size = None
        self.absent_nulls = False
        self.stale_events = False
        self.rate_limit = None
        self._bucket = (0.0, 0.0)

    def add(self, action, **arguments):
        self.rules.append(Rule(action, **arguments))

    def pick(self, request):
        for rule in self.rules:
            if rule.applies(request, self.random):
                return rule
        return None

    def before(self, rule):
        """What happens instead of, or before, the work."""
        if rule is None:
            return
        if rule.action in ("latency", "timeout"):
            time.sleep(rule.arguments.get("seconds", 0.2))
        if rule.action in ("drop", "timeout"):
            raise ConnectionLost
        if rule.action == "status":
            raise failure(rule.arguments.get("status", 500), rule.arguments)

    def after(self, rule, body):
        """What happens to a finished answer."""
        if rule is None:
            return body
        if rule.action == "lost":
            raise ConnectionLost
        if rule.action == "truncate":
            return body[: len(body) // 2]
        return body

    def throttle(self):
        """A token bucket of ``rate_limit`` requests a second (real time)."""
        if not self.rate_limit:
            return
        tokens, last = self._bucket
        now = time.monotonic()
        tokens = min(self.rate_limit, tokens + (now - last) * self.rate_limit)
        if tokens < 1:
            self._bucket = (tokens, now)
            raise failure(429, {})
        self._bucket = (tokens - 1, now)


def failure(status, arguments):
    """Stripe's own words for the usual failures."""
    headers = dict(arguments.get("headers") or {})
    if status == 429:
        headers.setdefault(
            "Stripe-Rate-Limited-Reason", arguments.get("reason", "global-rate")
        )
        return ApiError(
            "Request rate limit exceeded. Learn more about rate limits here"
            " https://stripe.com/docs/rate-limits.",
            status=429,
            code="rate_limit",
            headers=headers,
        )
    if status == 409:
        return ApiError(
            "This object cannot be accessed right now because another API request or"
            " Stripe process is currently accessing it. If you see this error"
            " intermittently, retry the request.",
            status=409,
            code="lock_timeout",
            headers=headers,
        )
    return ApiError(
        "An unknown error occurred",
        status=status,
        type="api_error",
        headers=headers,
    )
