"""From stored objects to answers: expansion, includable fields, absent nulls."""

from . import contract
from .errors import ApiError
from .routing import Page
from .shapes import list_object, present

#: ``(kind, field) -> function(world, obj)`` for fields that come only with expand.
INCLUDES = {}

#: The restricted-key permission that covers reading an object type.
READ = {
    "balance_transaction": "balance_transaction_source",
    "charge": "charge",
    "checkout.session": "checkout_session",
    "coupon": "coupon",
    "credit_note": "credit_note",
    "customer": "customer",
    "dispute": "dispute",
    "invoice": "invoice",
    "invoice_payment": "invoice",
    "payment_intent": "payment_intent",
    "payment_link": "payment_links",
    "payout": "payout",
    "price": "plan",
    "product": "product",
    "promotion_code": "promotion_code",
    "refund": "charge",
    "subscription": "subscription",
}

MAX_LEVELS = 4


def includes(kind, field):
    def register(function):
        INCLUDES[kind, field] = function
        return function

    return register


class Renderer:
    def __init__(self, world, key):
        self.world = world
        self.key = key

    def answer(self, result, expand):
        """The JSON data of a handler's result."""
        for path in expand:
            if path.count(".") >= MAX_LEVELS:
                raise ApiError(
                    f"You cannot expand more than 4 levels of a property: {path}",
                    param="expand",
                )
        if isinstance(result, Page):
            items = [present(obj) for obj in result.items]
            if result.kind == "event":
                items = [self.world.whole_event(event) for event in items]
            for path in expand:
                head, _, rest = path.partition(".")
                if head != "data" or not rest:
                    raise _cannot(path, f"data.{path}")
                items = [self.expand(item, rest.split("."), path) for item in items]
                if not items:
                    self._prove(result.kind, rest.split("."), path)
            return list_object(items, result.url, result.has_more)
        result = present(result)
        if result["object"] == "event":
            result = self.world.whole_event(result)
        for path in expand:
            result = self.expand(result, path.split("."), path)
        return result

    def _prove(self, kind, names, path):
        """An impossible path is refused on an empty list as well."""
        if contract.step(contract.resource_class(kind), names[0]) is None:
            raise _cannot(path)

    def expand(self, obj, names, path):
        if obj.get("deleted"):
            return obj
        cls = contract.resource_class(obj["object"])
        return self._walk(obj, cls, names, path)

    def _walk(self, obj, cls, names, path):
        """A copy of ``obj`` in which the field ``names[0]`` is expanded."""
        name, rest = names[0], names[1:]
        step = contract.step(cls, name)
        if step is None:
            raise _cannot(path)
        kind = obj.get("object")
        included = name in contract.INCLUDABLE.get(kind, ())
        obj = dict(obj)
        if included and name not in obj:
            maker = INCLUDES.get((kind, name))
            obj[name] = _shown(maker(self.world, obj)) if maker else None
        value = obj.get(name)
        if not rest and not included and not step.expandable:
            raise _cannot(path)
        if value is None:
            return obj
        if step.list_object:
            obj[name] = self._list(value, rest, path)
        elif isinstance(value, list):
            obj[name] = [self._value(v, step, rest, path) for v in value]
        else:
            obj[name] = self._value(value, step, rest, path)
        return obj

    def _list(self, value, rest, path):
        if not rest:
            return value
        if rest[0] != "data" or len(rest) == 1:
            raise _cannot(path)
        data = [self.expand(item, rest[1:], path) for item in value["data"]]
        return {**value, "data": data}

    def _value(self, value, step, rest, path):
        if isinstance(value, str) and step.expandable:
            value = self._lookup(value, step.kinds)
            if isinstance(value, str):
                return value
        if not rest or not isinstance(value, dict):
            return value
        if "object" in value and step.kinds:
            return self.expand(value, rest, path)
        if step.cls is None:
            raise _cannot(path)
        return self._walk(value, step.cls, rest, path)

    def _lookup(self, key, kinds):
        """The object behind an id; the key must be allowed to read it."""
        for kind in kinds:
            obj = self.world.peek(kind, key) if kind else None
            if obj is None:
                continue
            if kind in READ:
                self.key.require(f"{READ[kind]}_read", self.world.account)
            if key in self.world.removed:
                return {"id": key, "object": kind, "deleted": True}
            return present(obj)
        return key


def _shown(value):
    """What comes only when asked for, as it is shown."""
    if isinstance(value, dict) and value.get("object") == "list":
        return {**value, "data": [present(item) for item in value["data"]]}
    return value


def _cannot(path, hint=None):
    message = f"This property cannot be expanded ({path})."
    if hint:
        message += f" You may want to try expanding '{hint}' instead."
    return ApiError(message, param="expand")


def without_nulls(value):
    """The same data with every ``null`` field left out (a hostile mode)."""
    if isinstance(value, dict):
        return {k: without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [without_nulls(v) for v in value]
    return value
