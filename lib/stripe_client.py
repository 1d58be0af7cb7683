"""The only door to Stripe's API: plain dicts in, plain dicts out, named problems.

Built on the official ``stripe`` package (retries, telemetry off, pinned API version).
Reads go through ``raw_request``: building the package's typed objects costs many times
the parsing, and a ``StripeObject`` must never reach a model.
"""

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from email.utils import mktime_tz, parsedate_tz

import stripe

from .stripe_paths import is_api_path

API_VERSION = stripe.api_version
MAJOR_API_VERSION = stripe.major_api_version
PAGE_SIZE = 100
# How many reads of one batch are under way at once. How many a second is a setting of
# the account (see stripe_pace.py).
CONCURRENT_READS = 16
# One number for connecting and reading: Odoo's test runner compares it. With its
# retries shorter than Odoo lets a scheduled action run (two minutes by default).
TIMEOUT_SECONDS = 30
NETWORK_RETRIES = 2
# So many passing problems in a row are no accident: the rest is not asked for. Where
# some calls fail and others do not, a batch that ended here would bring nothing home.
HOPELESS = 4

stripe.enable_telemetry = False
# The package tells of every call at INFO; Odoo's log is for what matters.
logging.getLogger("stripe").setLevel(logging.WARNING)
stripe.set_app_info("affiliate_stripe (Odoo)")


# What stops or delays all requests of an account, whatever they are about.
STOPPING, PASSING = ("key", "permission"), ("throttled", "unreachable")
ACCOUNT_PROBLEMS = STOPPING + PASSING


class StripeProblem(Exception):
    """Stripe, or the way to it, said no. ``code`` tells callers what to do.

    ``key``: the key is wrong or revoked · ``permission``: a restricted key lacks one ·
    ``missing``: the object does not exist · ``throttled``: too many requests ·
    ``unreachable``: network, timeout or an error at Stripe · ``refused``: the request
    itself was wrong · ``unreadable``: we do not understand the answer ·
    ``elsewhere``: not sent, for this database may be a copy (see ``may_write``).
    ``reason`` says which limit was too much, where Stripe tells.
    """

    def __init__(self, code, message, stripe_code=None, param=None, reason=None):
        super().__init__(message)
        self.code = code
        self.stripe_code = stripe_code
        self.param = param
        self.reason = reason

    @property
    def stops_account(self):
        """No request of this account can succeed before a person acts."""
        return self.code in STOPPING

    @property
    def is_passing(self):
        """Worth trying again later, without anybody acting."""
        return self.code in PASSING


_PROBLEMS = (
    (stripe.AuthenticationError, "key"),
    (stripe.PermissionError, "permission"),
    (stripe.RateLimitError, "throttled"),
    (stripe.APIConnectionError, "unreachable"),
    (stripe.InvalidRequestError, "refused"),
    (stripe.IdempotencyError, "refused"),
    (stripe.CardError, "refused"),
)


def _problem(error):
    """Return the StripeProblem for an exception of the ``stripe`` package."""
    code = next(
        (code for kind, code in _PROBLEMS if isinstance(error, kind)), "unreachable"
    )
    if error.http_status == 404 or error.code == "resource_missing":
        code = "missing"
    message = error.user_message or str(error) or type(error).__name__
    if isinstance(error, stripe.APIConnectionError):
        # The package's text is advice for programmers, over several lines.
        message = message.rpartition("Network error: ")[2].rstrip(")").split("\n")[0]
    return StripeProblem(
        code,
        message,
        stripe_code=error.code,
        param=getattr(error, "param", None),
        reason=error.headers.get("Stripe-Rate-Limited-Reason"),
    )


class StripeApi:
    """One Stripe account in one mode, as seen with one key.

    Thread-safe: the package keeps one HTTP session a thread.

    :param str base_url: another API address, for the test double only
    :param pace: ``lib.stripe_pace.Pace``, where calls are limited
    :param may_write: called with this object before each request that changes
        something at Stripe; raises ``StripeProblem`` where nothing may be changed
    :param float timeout: seconds to wait for an answer
    :param int retries: how often a call is tried again after a network problem
    """

    def __init__(
        self,
        api_key,
        base_url=None,
        pace=None,
        may_write=None,
        timeout=None,
        retries=None,
    ):
        self._pace = pace
        self._may_write = may_write
        self.clock = None  # what Stripe's was at its last answer, naive UTC
        self._client = stripe.StripeClient(
            api_key,
            max_network_retries=NETWORK_RETRIES if retries is None else retries,
            base_addresses={"api": base_url} if base_url else {},
            http_client=stripe.RequestsClient(timeout=timeout or TIMEOUT_SECONDS),
        )

    def request(self, method, path, params=None, idempotency_key=None):
        """Return the answer as a dict.

        :param str path: made by ``lib.stripe_paths.api_path``
        :raise StripeProblem: for everything that is not an answer
        """
        if not is_api_path(path):
            # No object has such an id, and nobody gets to another path with it.
            raise StripeProblem("missing", f"There can be nothing at {path!r}.")
        options = {"idempotency_key": idempotency_key} if idempotency_key else {}
        if method != "get" and self._may_write:
            self._may_write(self)
        if self._pace:
            self._pace.wait()
        try:
            answer = self._client.raw_request(method, path, **(params or {}), **options)
        except stripe.StripeError as error:
            raise _problem(error) from error
        if not isinstance(answer.data, dict):
            raise StripeProblem("unreachable", "Stripe's answer was not an object")
        if date := parsedate_tz(answer.headers.get("Date", "")):
            self.clock = datetime.fromtimestamp(mktime_tz(date), timezone.utc).replace(
                tzinfo=None
            )
        return answer.data

    def get(self, path, **params):
        return self.request("get", path, params)

    def post(self, path, params=None, idempotency_key=None):
        return self.request("post", path, params, idempotency_key)

    def delete(self, path):
        return self.request("delete", path)

    def pages(self, path, **params):
        """Yield the pages (lists of dicts) of a list, newest object first."""
        cursor = {}
        while True:
            page = self.get(path, **{"limit": PAGE_SIZE, **params, **cursor})
            yield page["data"]
            if not page.get("has_more") or not page["data"]:
                return
            cursor = {"starting_after": page["data"][-1]["id"]}

    def complete(self, raw, list_names, expand=()):
        """Fill the nested lists of ``raw`` that Stripe cut off after ten entries."""
        for name in list_names:
            nested = raw.get(name)
            if nested and nested.get("has_more"):
                inner = [
                    "data." + path.removeprefix(f"{name}.data.")
                    for path in expand
                    if path.startswith(f"{name}.data.")
                ]
                params = {"expand": inner} if inner else {}
                entries = [
                    entry
                    for page in self.pages(nested["url"], **params)
                    for entry in page
                ]
                raw[name] = {**nested, "data": entries, "has_more": False}
        return raw


def in_parallel(function, items, workers=CONCURRENT_READS, ask_all=False):
    """Return ``[(item, result or StripeProblem)]``, calling ``function`` concurrently.

    ``function`` must not touch the database: it runs in a thread, with no transaction
    open.

    :param bool ask_all: also where the account's problems leave no hope; otherwise
        what is left then gets the last of them as its answer
    """
    stopping, in_a_row = [], []

    def hopeless():
        return stopping or in_a_row[HOPELESS - 1 :]

    def guarded(item):
        if not ask_all and (problems := hopeless()):
            return item, problems[-1]
        try:
            answer = function(item)
        except StripeProblem as problem:
            if problem.code in ACCOUNT_PROBLEMS:
                (stopping if problem.stops_account else in_a_row).append(problem)
            return item, problem
        in_a_row.clear()
        return item, answer

    items = list(items)
    if len(items) <= 1:
        return [guarded(item) for item in items]
    with ThreadPoolExecutor(min(workers, len(items))) as pool:
        return list(pool.map(guarded, items))
