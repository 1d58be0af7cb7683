"""Routes: one decorator, and the generic calls every family shares.

A handler takes a :class:`Call` and the path's placeholders and returns the object (or
:class:`Page`) to answer. Parameters are typed and checked before it runs. What the
package allows but a handler never looked at is answered with 501: a test must not
pass because the double ignored what it was asked.
"""

import re

from . import params as parameters
from .errors import ApiError
from .world import dotted

ROUTES = []


class Params(dict):
    """Parameters that remember which of them were looked at."""

    def __init__(self, *args):
        super().__init__(*args)
        self.seen = {"expand"}

    def get(self, key, default=None):
        self.seen.add(key)
        return super().get(key, default)

    def __getitem__(self, key):
        self.seen.add(key)
        return super().__getitem__(key)

    def __contains__(self, key):
        self.seen.add(key)
        return super().__contains__(key)

    def take(self, *names):
        """The given parameters that were sent, e.g. to copy onto an object."""
        self.seen.update(names)
        return {n: dict.get(self, n) for n in names if dict.__contains__(self, n)}

    def ignore(self, *names):
        """Parameters that change nothing the double shows."""
        self.seen.update(names)

    def unread(self):
        return sorted(set(self) - self.seen)


class Call:
    """One request on its way through a handler."""

    def __init__(self, world, key, method, path, params):
        self.world = world
        self.key = key
        self.method = method
        self.path = path
        self.params = params


class Page:
    """One page of a list, in the order it is answered."""

    def __init__(self, kind, items, has_more, url):
        self.kind = kind
        self.items = items
        self.has_more = has_more
        self.url = url


class Route:
    def __init__(self, method, path, permission, handler):
        self.method = method
        self.path = path
        self.permission = permission
        self.handler = handler
        self.names = re.findall(r"\{(\w+)\}", path)
        pattern = re.sub(r"\\\{\w+\\\}", "([^/]+)", re.escape(path))
        self.pattern = re.compile(pattern + "$")
        self.fixed = path.count("{") == 0

    @property
    def spec(self):
        return parameters.spec(self.method, self.path)

    def needed(self):
        """The restricted-key permission, e.g. ``coupon_write``."""
        if self.permission is None:
            return None
        return f"{self.permission}_{'read' if self.method == 'GET' else 'write'}"


def route(method, path, permission=None):
    def register(handler):
        ROUTES.append(Route(method, path, permission, handler))
        return handler

    return register


def find(method, path):
    """``(route, arguments)``; fixed paths win over placeholders."""
    best = None
    for candidate in ROUTES:
        if candidate.method == method and (m := candidate.pattern.match(path)):
            if candidate.fixed:
                return candidate, {}
            best = best or (candidate, dict(zip(candidate.names, m.groups(), strict=1)))
    return best


# -- generic calls --------------------------------------------------------------


def retrieval(kind, path, permission):
    """``GET /v1/things/{id}``."""

    @route("GET", path, permission)
    def retrieve(call, **args):
        return call.world.find(kind, next(reversed(args.values())))

    return retrieve


def listing(kind, path, permission, filters=None, narrow=None):
    """``GET /v1/things``: newest first, paged both ways, filtered.

    ``filters`` maps a parameter to the (dotted) field it must equal, or to a
    function ``(world, obj, value)``; ``narrow`` may refuse or rewrite parameters, and
    return the ids to look at.
    """
    filters = filters or {}

    @route("GET", path, permission)
    def list_things(call, **args):
        ids = narrow(call) if narrow else None
        tests, where = [], {}
        for name, target in filters.items():
            if name not in call.params:
                continue
            value = call.params[name]
            if callable(target):
                tests.append(_by_function(target, call.world, value))
            else:
                where[target] = value
                tests.append(_by_field(target, value))
        if ids is None:
            ids = call.world.candidates(kind, where)
        return paginate(call, kind, ids, tests)

    return list_things


def _by_function(target, world, value):
    return lambda obj: target(world, obj, value)


def _by_field(target, value):
    return lambda obj: dotted(obj, target) == value


def limit_of(call):
    limit = call.params.get("limit", 10)
    if not 1 <= limit <= 100:
        raise ApiError(
            f"Invalid integer: {limit}. Limit must be between 1 and 100.",
            code="parameter_invalid_integer",
            param="limit",
        )
    return min(limit, call.world.double.chaos.page_size or limit)


def window(created):
    """``created`` as (lowest, highest) second, both inclusive."""
    if isinstance(created, int):
        return created, created
    low = max(created.get("gte", 0), created.get("gt", -1) + 1)
    high = min(created.get("lte", 2**62), created.get("lt", 2**62) - 1)
    return low, high


def paginate(call, kind, ids, tests):
    """A page of stored objects; ``ids`` run from old to new."""
    world, limit = call.world, limit_of(call)
    after, before = call.params.get("starting_after"), call.params.get("ending_before")
    if after and before:
        raise ApiError(
            "You may only specify one of these parameters: starting_after,"
            " ending_before.",
            code="parameters_exclusive",
        )
    store = world.objects.get(kind, {})
    low, high = window(call.params.get("created") or {})
    stamp = "date" if kind == "invoiceitem" else "created"
    walk = _walk(world, kind, ids, after, before)
    found = []
    for position in walk:
        obj = store[ids[position]]
        moment = obj.get(stamp, 0)
        if (moment > high) if before else (moment < low):
            break
        if obj["id"] in world.removed or not low <= moment <= high:
            continue
        if all(test(obj) for test in tests):
            found.append(obj)
            if len(found) > limit:
                break
    page = found[:limit]
    if before:
        page.reverse()
    return Page(kind, page, len(found) > limit, call.path)


def _walk(world, kind, ids, after, before):
    """The positions to look at: from new to old, or upwards from ``before``."""
    cursor, param = (after, "starting_after") if after else (before, "ending_before")
    if not cursor:
        return range(len(ids) - 1, -1, -1)
    world.find(kind, cursor, param)  # a deleted object is no cursor any more
    start = world.place(kind, ids, cursor)
    if after:
        return range(start - 1, -1, -1)
    if start < len(ids) and ids[start] == cursor:
        start += 1
    return range(start, len(ids))


def paginate_items(call, kind, items):
    """A page of a short list in the order given (lines, items of an object)."""
    limit = limit_of(call)
    keys = [item["id"] for item in items]
    after, before = call.params.get("starting_after"), call.params.get("ending_before")
    for name, cursor in (("starting_after", after), ("ending_before", before)):
        if cursor and cursor not in keys:
            raise ApiError(
                f"No such {kind}: '{cursor}'", code="resource_missing", param=name
            )
    if before:
        end = keys.index(before)
        start = max(0, end - limit)
        return Page(kind, items[start:end], start > 0, call.path)
    start = keys.index(after) + 1 if after else 0
    page = items[start : start + limit]
    return Page(kind, page, start + limit < len(items), call.path)
