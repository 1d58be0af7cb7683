"""Reading Stripe's lists page by page, in threads, between two moments.

Pure: where a walk is, is a ``Place``; who walks stores it with every page.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone

from .stripe_client import ACCOUNT_PROBLEMS, StripeProblem
from .stripe_objects import KINDS
from .stripe_rows import moment

# What is walked after what: whatever an object leads to is there before it, so that
# hardly anything has to be read one by one.
STAGES = (
    ("product", "price", "coupon", "promotion_code"),
    ("customer",),
    ("subscription",),
    ("invoice",),
    ("checkout_session", "charge"),
    ("refund", "dispute", "credit_note", "balance_transaction"),
    ("payout",),  # tells which transactions it is made of
)
# Nothing in Stripe is older than Stripe.
STRIPE_BEGAN = datetime(2011, 9, 1)
# Halving a shorter span is not worth a call.
SHORTEST_SPAN = timedelta(days=1)
# How often a walk goes on in one second because its cursor was deleted.
MAX_RETRIES = 3


@dataclass(frozen=True)
class Place:
    """Where a walk over one list is. Lists run from new to old.

    ``start`` and ``end`` are naive UTC, None for open; the end is not included.
    ``after`` is the id of the last object seen, ``reached`` when it was created;
    without ``after``, the second ``reached`` is read once more.
    """

    kind: str
    start: datetime = None
    end: datetime = None
    after: str = None
    params: dict = field(default_factory=dict)
    reached: datetime = None
    retries: int = 0

    def from_its_end(self):
        """Return where the walk over this span begins."""
        return replace(self, after=None, reached=None, retries=0)

    def request(self):
        """Return (path, params) of the next page."""
        kind = KINDS[self.kind]
        created, end = {}, self.end
        if self.reached and not self.after:
            end = self.reached + timedelta(seconds=1)
        if self.start:
            created["gte"] = _unix(self.start)
        if end:
            created["lt"] = _unix(end)
        params = {
            **kind.list_params(),
            **self.params,
            "limit": kind.page_size,
            "created": created or None,
            "starting_after": self.after,
        }
        return kind.path, {k: v for k, v in params.items() if v is not None}


@dataclass(frozen=True)
class Page:
    """One page as it came: ``asked_at`` by the database's clock."""

    asked_at: datetime
    raws: list
    readings: list
    unreadable: list  # raw objects we cannot understand
    has_more: bool

    @property
    def reached(self):
        """When the oldest object of the page was created."""
        return next(filter(None, map(created_at, reversed(self.raws))), None)


def created_at(raw):
    """Return when a raw object was created, None where it does not tell."""
    created = raw.get("created")
    return moment(created) if isinstance(created, int) else None


def read_page(stripe_api, place, clock):
    """Return the ``Page`` at a ``Place``; runs in a thread.

    :raise StripeProblem: where the list cannot be read
    """
    asked_at = clock()
    path, params = place.request()
    answer = stripe_api.get(path, **params)
    kind, readings, unreadable = KINDS[place.kind], [], []
    for raw in answer["data"]:
        try:
            readings.append(understand(stripe_api, kind, raw))
        except StripeProblem as problem:
            # Of one object, e.g. deleted before the rest of its lines was read.
            if problem.code in ACCOUNT_PROBLEMS:
                raise
            unreadable.append(raw)
    has_more = bool(answer.get("has_more") and answer["data"])
    return Page(asked_at, answer["data"], readings, unreadable, has_more)


def next_places(place, page, split):
    """Return where to go on after a page: nowhere, on, or at two places at once.

    :param bool split: whether there is somebody free to walk the older half
    """
    if not page.has_more:
        return []
    reached = page.reached
    retries = place.retries if reached == place.reached else 0
    on = replace(place, after=page.raws[-1]["id"], reached=reached, retries=retries)
    start = place.start or STRIPE_BEGAN
    if not (split and reached and reached - start > 2 * SHORTEST_SPAN):
        return [on]
    middle = start + (reached - start) / 2
    middle = middle.replace(microsecond=0)
    return [replace(on, start=middle), replace(place.from_its_end(), end=middle)]


def without_cursor(place, problem):
    """Return where to go on when the last object seen was deleted since, or None.

    Stripe refuses to go on after it: then from its second on once more. That objects
    of this second are met twice does not matter; that they are met for ever would.

    :param problem: what came instead of a page
    """
    if problem.stripe_code != "resource_missing" or problem.param != "starting_after":
        return None
    if place.retries == MAX_RETRIES:
        return None
    return replace(place, after=None, retries=place.retries + 1)


def next_filter(place):
    """Return where to go on after a list: at its next filter, or nowhere."""
    filters = KINDS[place.kind].filters
    following = filters.index(place.params) + 1
    return [
        replace(place.from_its_end(), params=params)
        for params in filters[following : following + 1]
    ]


def share_walked(place, page):
    """Return how much of its span the walk at ``place`` has behind it, 0 to 1.

    An estimate: what was created when is not spread evenly.
    """
    start, end = place.start or STRIPE_BEGAN, place.end or page.asked_at
    if not page.reached or end <= start:
        return 0
    return min(0.99, max(0, (end - page.reached) / (end - start)))


def understand(stripe_api, kind, raw):
    """Return the reading of one raw object.

    :raise StripeProblem: ``unreadable``: an answer that makes no sense to us
    """
    try:
        return kind.read(stripe_api.complete(raw, kind.nested, kind.expand))
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        raise StripeProblem(
            "unreadable", f"{raw.get('id')} cannot be understood: {error!r}"
        ) from error


def _unix(value):
    return int(value.replace(tzinfo=timezone.utc).timestamp())
