"""The state of one Stripe account in one mode.

Test and live mode of every account are separate worlds. A world keeps objects by
type and id exactly as they are answered (plain dicts, ids where Stripe answers ids),
private facts of the engine beside them in :attr:`World.side`, and the event log.
"""

import heapq
import json
import random
import string
import zlib
from bisect import bisect_left
from contextlib import contextmanager

import stripe

from . import contract, legacy
from .errors import missing
from .shapes import present

ALPHABET = string.ascii_letters + string.digits

PREFIX = {
    "balance_transaction": "txn",
    "billing.credit_balance_transaction": "cbtxn",
    "billing.credit_grant": "credgr",
    "charge": "ch",
    "checkout.session": "cs",
    "credit_note": "cn",
    "credit_note_line_item": "cnli",
    "customer": "cus",
    "customer_balance_transaction": "cbtxn",
    "discount": "di",
    "dispute": "du",
    "event": "evt",
    "invoice": "in",
    "invoice_payment": "inpay",
    "invoiceitem": "ii",
    "item": "li",
    "line_item": "il",
    "payment_intent": "pi",
    "payment_link": "plink",
    "payment_record": "prec",
    "payout": "po",
    "price": "price",
    "product": "prod",
    "promotion_code": "promo",
    "refund": "re",
    "setup_intent": "seti",
    "shipping_rate": "shr",
    "subscription": "sub",
    "subscription_item": "si",
    "subscription_schedule": "sub_sched",
    "tax_rate": "txr",
    "webhook_endpoint": "we",
}

#: Equality filters that have an index, so that lists stay fast in a large world.
#: Their values never change once set; :meth:`World.reindex` after setting one late.
INDEXED = {
    "charge": ("customer", "payment_intent"),
    "checkout.session": ("payment_link", "payment_intent", "subscription"),
    "credit_note": ("customer", "invoice"),
    "dispute": ("charge", "payment_intent"),
    "event": ("type",),
    "invoice": ("customer", "parent.subscription_details.subscription"),
    "invoice_payment": (
        "invoice",
        "payment.payment_intent",
        "payment.payment_record",
    ),
    "payment_intent": ("customer",),
    "refund": ("charge", "payment_intent"),
    "subscription": ("customer",),
}


def clone(value):
    """A deep copy of JSON data (``copy.deepcopy`` is ten times slower)."""
    if isinstance(value, dict):
        return {key: clone(item) for key, item in value.items()}
    if isinstance(value, list):
        return [clone(item) for item in value]
    return value


def difference(before, after):
    """``previous_attributes``: the old values of what changed, hashes partially."""
    result = {}
    for key, new in after.items():
        old = before.get(key)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict) and "object" not in new:
            keys = old.keys() | new.keys()
            result[key] = {k: old.get(k) for k in keys if old.get(k) != new.get(k)}
        else:
            result[key] = old
    return result


def dotted(obj, path):
    """``parent.subscription_details.subscription`` of an object, or ``None``."""
    for part in path.split("."):
        if obj is None:
            return None
        obj = obj.get(part)
    return obj


class World:
    def __init__(self, double, account, livemode, seed=0):
        self.double = double
        self.account = account
        self.livemode = livemode
        self.random = random.Random(f"{seed}/{account}/{livemode}")
        self.objects = {}
        self.order = {}
        self.sequence = {}
        self.index = {}
        self.removed = set()
        self.side = {}
        self.request = None
        self.idempotency = {}
        self.due = []
        self.ticket = 0
        self.bulk = None
        self.reading = False

    # -- time and ids

    def now(self):
        return self.double.clock.now()

    def new_id(self, kind, prefix=None, length=24):
        prefix = prefix or PREFIX[kind]
        if kind == "checkout.session":
            prefix += "_live" if self.livemode else "_test"
            length = 58
        return f"{prefix}_" + "".join(self.random.choices(ALPHABET, k=length))

    def schedule(self, moment, what, key):
        """Let the engine look at an object when the clock gets there."""
        self.ticket += 1
        heapq.heappush(self.due, (moment, self.ticket, what, key))

    def pop_due(self):
        return heapq.heappop(self.due)

    # -- objects

    def build(self, kind, id=None, **values):
        """A new object of a type, not yet stored."""
        obj = contract.blank(kind)
        obj["id"] = id or self.new_id(kind)
        for name, value in (("created", self.now()), ("livemode", self.livemode)):
            if contract.has_field(kind, name):
                obj[name] = value
        obj.update(values)
        return obj

    def add(self, obj, *events, **side):
        """Store a new object, keep the engine's facts about it, log its events."""
        kind, key = obj["object"], obj["id"]
        self.validate(obj)
        self.objects.setdefault(kind, {})[key] = obj
        order = self.order.setdefault(kind, [])
        self.sequence[kind, key] = len(order)
        order.append(key)
        for field in INDEXED.get(kind, ()):
            bucket = (kind, field, dotted(obj, field))
            self.index.setdefault(bucket, []).append(key)
        self.side[key] = side
        if kind == "promotion_code":
            bucket = (kind, "code", obj["code"].lower())
            self.index.setdefault(bucket, []).append(key)
        for event in events:
            self.emit(event, obj)
        return obj

    def codes(self, code):
        """Ids of promotion codes with this text, whatever their case."""
        return self.index.get(("promotion_code", "code", code.lower()), [])

    def reindex(self, obj, field):
        """Enter an object under a value it got after it was added."""
        kind, key = obj["object"], obj["id"]
        ids = self.index.setdefault((kind, field, dotted(obj, field)), [])
        if key not in ids:
            ids.insert(self.place(kind, ids, key), key)

    def validate(self, obj):
        if self.double.strict:
            contract.require(obj)

    def peek(self, kind, key):
        """The object, also when it was deleted; ``None`` if it never was."""
        return self.objects.get(kind, {}).get(key)

    def get(self, kind, key):
        return None if key in self.removed else self.peek(kind, key)

    def find(self, kind, key, param=None):
        """The object, or Stripe's ``No such …``: 404 in the path, 400 in a param."""
        obj = self.get(kind, key)
        if obj is None:
            error = missing(kind, key, param or "id")
            error.status = 400 if param else 404
            raise error
        return obj

    def all(self, kind, **where):
        """Objects that exist, oldest first; ``a__b=`` compares a nested field."""
        where = {name.replace("__", "."): value for name, value in where.items()}
        return [
            obj
            for key in self.candidates(kind, where)
            if (obj := self.objects[kind][key]) is not None
            and key not in self.removed
            and all(dotted(obj, name) == value for name, value in where.items())
        ]

    def candidates(self, kind, where=()):
        """Ids of a type, oldest first, narrowed by the first index that helps."""
        for field in INDEXED.get(kind, ()):
            if field in where:
                return self.index.get((kind, field, where[field]), [])
        return self.order.get(kind, [])

    def place(self, kind, ids, key):
        """Where ``key`` stands (or would stand) in a list of :meth:`candidates`."""
        number = self.sequence[kind, key]
        return bisect_left(ids, number, key=lambda i: self.sequence[kind, i])

    def remove(self, obj, *events):
        """Delete: gone from lists; the last state goes out with the event."""
        self.removed.add(obj["id"])
        for event in events:
            self.emit(event, obj)
        return {"id": obj["id"], "object": obj["object"], "deleted": True}

    @contextmanager
    def change(self, obj, *events):
        """Change an object; log ``events`` with the old values if anything did."""
        if self.double.quiet and not self.double.strict:
            yield obj
            return
        before = clone(obj)
        yield obj
        previous = difference(before, obj)
        if previous:
            self.validate(obj)
            for event in events:
                self.emit(event, obj, previous)

    # -- events

    def event(self, event_type, data):
        """An Event object, not logged yet."""
        request = self.request
        return {
            "id": self.new_id("event"),
            "object": "event",
            "api_version": self.double.api_version,
            "created": self.now(),
            "data": data,
            "livemode": self.livemode,
            "pending_webhooks": 0,
            "request": {
                "id": request.id if request else None,
                "idempotency_key": request.idempotency_key if request else None,
            },
            "type": event_type,
        }

    def emit(self, event_type, obj, previous=None):
        """Log an Event with a snapshot and queue its deliveries."""
        if self.double.quiet:
            return None
        data = {"object": present(obj)}
        if previous:
            data["previous_attributes"] = previous
        event = self.log_event(self.event(event_type, data))
        self.double.hooks.queue(self, event)
        return event

    def log_event(self, event):
        """Keep an event, its data packed."""
        packed = zlib.compress(json.dumps(event["data"]).encode(), 1)
        about = event["data"]["object"]
        stub = {"object": {"id": about["id"], "object": about["object"]}}
        return self.add({**event, "data": stub}, data=packed)

    def whole_event(self, event):
        """An event with its snapshot; stored ones keep it packed, as they are many."""
        if event["id"] not in self.side:
            return event
        data = json.loads(zlib.decompress(self.side[event["id"]]["data"]))
        data["object"] = legacy.rendered(self, data["object"], event["api_version"])
        return {**event, "data": data}


API_VERSION = stripe.api_version
