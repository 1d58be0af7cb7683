"""Very many sales in no time: copies of a few that the double has really made.

A handful of model customers lives through a year and a month of subscription in a world
of its own, with everything that checks the double. What comes of it (customers,
subscriptions, invoices with their lines, payments, charges, refunds) is kept as text in
which ids and times are gaps. A copy is a number: it fills the gaps. So 100,000
invoices cost little more memory than their ids, a list page of them is made of ready
text, and each looks exactly as the renderer makes it.

A copy that somebody wants to change becomes ordinary objects first (`Bulk.thaw`).
Time stands still for the others: what renews them is :meth:`Bulk.renew`.
"""

import json
import re
from bisect import bisect_left
from collections import defaultdict

from .keys import Key
from .render import Renderer
from .routing import window
from .world import INDEXED, clone, dotted

MONTHS = 12  # of a model customer's history; one more is the model of renewals
#: 2000-01-01: far from every time of a real object, so that times can be told apart.
EPOCH, LATEST = 946684800, 1262304000
#: The last eight characters of ids: of a copy, and of what a renewal has made.
COPY, RENEWAL = "CoPyCoPy", "ReNeWaLs"
PROMOTION, COUPON = "promo_PrOmOtIoNcOdE", "CoUpOnCoUpOn"
GAP = re.compile(rf'"@T(\d+)@"|{COPY}|{RENEWAL}|{PROMOTION}|{COUPON}')
#: (amount of each of two lines, currency, which invoices are refunded and how much)
MODELS = [
    ((2900 + 700 * n, 900 + 100 * n), "eur" if n % 4 == 3 else "usd", refunds)
    for n, refunds in enumerate(
        {
            n % 11 + 1: (None, 500)[n % 2],
            **({(n + 5) % 11 + 1: 700} if n % 5 == 0 else {}),
        }
        for n in range(20)
    )
]
SHARED = ("account", "coupon", "price", "product", "promotion_code")
UNLISTED = ("discount", "line_item", "subscription_item")  # no list goes over all
PATHS = {
    "/v1/balance_transactions": "balance_transaction",
    "/v1/charges": "charge",
    "/v1/customers": "customer",
    "/v1/invoice_payments": "invoice_payment",
    "/v1/invoices": "invoice",
    "/v1/payment_intents": "payment_intent",
    "/v1/refunds": "refund",
    "/v1/subscriptions": "subscription",
}
ALL = Key("sk_test_bulk", None, False)  # what may be seen was asked before


class Template:
    """An object's text with gaps."""

    def __init__(self, value):
        parts, self.gaps, end = [], [], 0
        text = json.dumps(_without_times(value))
        for gap in GAP.finditer(text):
            parts.append(text[end : gap.start()].replace("%", "%%"))
            self.gaps.append(int(gap[1]) if gap[1] else gap[0])
            parts.append("%d" if gap[1] else "%b")
            end = gap.end()
        parts.append(text[end:].replace("%", "%%"))
        self.text = "".join(parts).encode()

    def fill(self, copy):
        shift, names = copy.shift, copy.names
        values = [
            gap + shift if gap.__class__ is int else names[gap] for gap in self.gaps
        ]
        return self.text % tuple(values)


def _without_times(value):
    if isinstance(value, dict):
        return {key: _without_times(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_times(item) for item in value]
    if value.__class__ is int and EPOCH <= value < LATEST:
        return f"@T{value}@"
    return value


class Model:
    """One model customer: the objects of the history, and those of one renewal."""

    def __init__(self, number, shared, promotion, strict, seed):
        from .double import StripeDouble
        from .shop import Shop

        prices, currency, refunds = MODELS[number % len(MODELS)]
        self.double = StripeDouble(now=EPOCH, strict=strict, seed=f"{seed}/{number}")
        self.world = world = self.double.world()
        self.double.quiet = True
        for obj, side in shared:
            world.add(clone(obj), **clone(side))
        with self.double:
            shop = Shop(self.double)
            mark = self._mark(world, COPY)
            customer = shop.customer(
                f"customer-{COPY}@shop.example", name=f"Customer {COPY}"
            )
            world.peek("customer", customer["id"])["invoice_prefix"] = COPY
            wanted = [
                price
                for price in world.all("price", currency=currency)
                if price["unit_amount"] in prices
            ]
            if promotion:
                extra = {"discounts": [{"promotion_code": promotion}]}
            else:
                extra = {}
            shop.subscribe(customer, *wanted, **extra)
            for month in range(1, MONTHS + 1):
                if month > 1:
                    self.double.advance(to=EPOCH, months=month - 1)
                if month in refunds:
                    newest = world.all("invoice")[-1]
                    self.double.advance(days=3)
                    shop.refund(newest, refunds[month])
            self.history = self._listed(world)
            self.double.quiet = False
            mark(RENEWAL)
            self.double.advance(to=EPOCH, months=MONTHS)
            self.renewed_at = self.double.now()
            known = {key for _kind, key in self.history}
            self.renewal = [
                (kind, key) for kind, key in self._listed(world) if key not in known
            ]
        self.events = [key for kind, key in self.renewal if kind == "event"]
        self.renewal = [pair for pair in self.renewal if pair[0] != "event"]
        self.templates, self.created = {}, {}
        for kind, key in self.history + self.renewal:
            self.created[key[:-8]] = world.peek(kind, key).get("created", EPOCH)

    @staticmethod
    def _mark(world, mark):
        """End all new ids with a mark; returns what changes the mark."""
        marks, original = [mark], world.new_id
        world.new_id = lambda *args, **kw: original(*args, **kw)[:-8] + marks[0]
        return lambda other: marks.__setitem__(0, other)

    @staticmethod
    def _listed(world):
        return [
            (kind, key)
            for kind, keys in world.order.items()
            if kind not in SHARED
            for key in keys
        ]

    def template(self, kind, key, expand=None):
        """``expand``: the answer to a request; without: the stored object itself."""
        found = self.templates.get((key, expand))
        if found is None:
            obj = self.world.peek(kind, key)
            if expand is not None:
                obj = Renderer(self.world, ALL).answer(obj, expand)
            found = self.templates[key, expand] = Template(obj)
        return found

    def event(self, key, types):
        """The whole event of a renewal, where its type is wanted."""
        event = self.world.peek("event", key)
        if event["type"] not in types:
            return None
        if key not in self.templates:
            self.templates[key] = Template(self.world.whole_event(event))
        return self.templates[key]

    def side(self, key):
        """The engine's private facts; objects in them as references."""
        found = self.templates.get((key, "side"))
        if found is None:
            side = {
                name: ["@ref", value["object"], value["id"]]
                if isinstance(value, dict) and "object" in value
                else value
                for name, value in self.world.side[key].items()
            }
            found = self.templates[key, "side"] = Template(side)
        return found


class Copy:
    """A model customer once more: under a number, shifted in time."""

    __slots__ = ("model", "names", "renewals", "shift", "thawed")

    def __init__(self, model, shift, names):
        self.model, self.shift, self.names = model, shift, names
        self.renewals = []
        self.thawed = False


class Store(dict):
    """The objects of one kind, or all sides: asks the bulk for what it lacks."""

    def __init__(self, found, ask):
        super().__init__(found)
        self.ask = ask

    def __missing__(self, key):
        value = self.ask(key)
        if value is None:
            raise KeyError(key)
        return value

    def get(self, key, default=None):
        value = super().get(key)
        if value is None:
            value = self.ask(key)
        return default if value is None else value


class Bulk:
    """The copies in one world."""

    def __init__(self, world, invoices, promotion_codes=(), months=24, seed=0):
        self.world = world
        self.copies, self.renewals = [], []
        self.heads = {}  # an id without its last eight characters -> (model, kind, key)
        promotions = [world.find("promotion_code", key) for key in promotion_codes]
        self.models = self._make_models(promotions, seed)
        for model in self.models:
            for kind, key in model.history + model.renewal:
                self.heads[key[:-8]] = (model, kind, key)
        self._copy(-(-invoices // MONTHS), promotions, months)

    # --- making

    def _make_models(self, promotions, seed):
        from .double import StripeDouble
        from .shop import Shop

        world = self.world
        with StripeDouble(now=world.now(), seed=f"{seed}/shop") as double:
            shop = Shop(double)
            for number, (prices, currency, _refunds) in enumerate(MODELS):
                product = shop.product(f"Plan {number}")["id"]
                for amount in prices:
                    shop.price(amount, currency, product=product)
            made = double.world()
            shared = [
                (obj, made.side[obj["id"]])
                for kind in ("product", "price")
                for obj in made.all(kind)
            ]
        for obj, side in shared:
            if world.peek(obj["object"], obj["id"]) is None:
                world.add(clone(obj), **clone(side))
        terms = []
        if promotions:
            coupon = world.find("coupon", promotions[0]["promotion"]["coupon"])
            code = {**promotions[0], "id": PROMOTION, "created": world.now()}
            code["promotion"] = {**code["promotion"], "coupon": COUPON}
            terms = [
                ({**coupon, "id": COUPON}, world.side[coupon["id"]]),
                (code, world.side[promotions[0]["id"]]),
            ]
        return [
            Model(
                number,
                shared + terms,
                PROMOTION if promotions and number % 4 == 0 else None,
                strict=world.double.strict,
                seed=seed,
            )
            for number in range(len(MODELS))
        ]

    def _copy(self, count, promotions, months):
        now = self.world.now()
        start = now - months * 2629800
        spread = (months - MONTHS) * 2629800
        for number in range(count):
            names = {COPY: b"%08d" % number, RENEWAL: b"", PROMOTION: b"", COUPON: b""}
            if promotions:
                promotion = promotions[number // 4 % len(promotions)]
                names[PROMOTION] = promotion["id"].encode()
                names[COUPON] = promotion["promotion"]["coupon"].encode()
            model = self.models[number % len(self.models)]
            shift = start + spread * number // count - EPOCH
            self.copies.append(Copy(model, shift, names))
        self._enter(
            (copy, number, copy.model.history)
            for number, copy in enumerate(self.copies)
        )

    def _enter(self, batches):
        """Enter ids into the world's lists and indexes, in order of time."""
        world, entries = self.world, defaultdict(list)
        for copy, number, pairs in batches:
            tag, own = f"{number:08d}", copy.names[COPY].decode()
            created = copy.model.created
            for kind, key in pairs:
                if kind in UNLISTED:
                    continue
                entries[kind].append((created[key[:-8]] + copy.shift, key[:-8] + tag))
                obj = copy.model.world.objects[kind][key]
                for field in INDEXED.get(kind, ()):
                    value = dotted(obj, field)
                    if value is not None:
                        value = value.replace(COPY, own).replace(RENEWAL, tag)
                    bucket = (kind, field, value)
                    world.index.setdefault(bucket, []).append(key[:-8] + tag)
        for kind, fresh in entries.items():
            fresh.sort()
            order = world.order.setdefault(kind, [])
            first = len(order)
            if order and self.created(kind, order[-1]) > fresh[0][0]:
                fresh += [(self.created(kind, key), key) for key in order]
                fresh.sort(key=lambda entry: entry[0])
                order.clear()
                first = 0
            order += [key for _moment, key in fresh]
            for place in range(first, len(order)):
                world.sequence[kind, order[place]] = place
        for kind in {*entries, *UNLISTED}:
            store = world.objects.get(kind, {})
            if not isinstance(store, Store):
                world.objects[kind] = Store(store, self._asker(kind))
        if not isinstance(world.side, Store):
            world.side = Store(world.side, self._side)

    def renew(self, count, types):
        """The next ``count`` customers pay an invoice now; logs their events of
        ``types`` and queues the deliveries."""
        world, batch = self.world, []
        owners = [copy for copy in self.copies if not copy.thawed]
        for number in range(len(self.renewals), len(self.renewals) + count):
            owner = owners[number % len(owners)]
            names = {**owner.names, RENEWAL: b"%08d" % number}
            copy = Copy(owner.model, world.now() - owner.model.renewed_at, names)
            owner.renewals.append(copy)
            self.renewals.append(copy)
            batch.append((copy, number, owner.model.renewal))
        self._enter(batch)
        for copy, _number, _pairs in batch:
            for key in copy.model.events:
                template = copy.model.event(key, types)
                if template:
                    event = world.log_event(json.loads(template.fill(copy)))
                    world.double.hooks.queue(world, event)

    # --- finding

    def _locate(self, key):
        """(copy, kind, key in the model) behind an id, or None."""
        found = self.heads.get(key[:-8])
        if found is None or not key[-8:].isdigit():
            return None
        model, kind, original = found
        copies = self.renewals if original.endswith(RENEWAL) else self.copies
        number = int(key[-8:])
        if number >= len(copies) or copies[number].model is not model:
            return None
        return copies[number], kind, original

    def created(self, kind, key):
        found = self._locate(key)
        if found:
            return found[0].shift + found[0].model.created[key[:-8]]
        return self.world.objects[kind][key].get("created", 0)

    def _asker(self, kind):
        store = dict

        def ask(key):
            found = self._locate(key)
            if found is None or found[1] != kind or found[0].thawed:
                return None
            copy, _kind, original = found
            if self.world.reading:
                return json.loads(copy.model.template(kind, original).fill(copy))
            self.thaw(copy)
            return store.get(self.world.objects[kind], key)

        return ask

    def _side(self, key):
        found = self._locate(key)
        if found is None or found[0].thawed:
            return None
        copy, _kind, original = found
        if not self.world.reading:
            self.thaw(copy)
            return dict.get(self.world.side, key)
        side = json.loads(copy.model.side(original).fill(copy))
        return {name: self._resolved(value) for name, value in side.items()}

    def _resolved(self, value):
        if isinstance(value, list) and value[:1] == ["@ref"]:
            return self.world.objects[value[1]][value[2]]
        return value

    def thaw(self, copy):
        """Make a copy and its renewals ordinary objects, because one changes."""
        owner = self.copies[int(copy.names[COPY])]
        world, sides = self.world, []
        for each, pairs in (
            (owner, owner.model.history),
            *((renewal, owner.model.renewal) for renewal in owner.renewals),
        ):
            each.thawed = True
            for kind, original in pairs:
                obj = json.loads(each.model.template(kind, original).fill(each))
                world.objects[kind][obj["id"]] = obj
                sides.append((obj["id"], each.model.side(original).fill(each)))
        for key, text in sides:
            side = json.loads(text)
            side = {name: self._resolved(value) for name, value in side.items()}
            world.side[key] = side
        for kind, part, name in (
            ("invoice", "line_item", "lines"),
            ("subscription", "subscription_item", "items"),
        ):
            # A part is one object, whichever way one comes to it.
            for key, _text in sides:
                obj = dict.get(world.objects[kind], key)
                if obj:
                    parts = obj[name]["data"]
                    parts[:] = [world.objects[part][p["id"]] for p in parts]

    # --- answering

    def answer(self, path, params):
        """The body of a GET that concerns untouched copies only, or None."""
        asked = dict(params)
        expand = asked.pop("expand", None) or []
        kind = PATHS.get(path)
        if kind is None:
            path, _, key = path.rpartition("/")
            if path not in PATHS or asked:
                return None
            return self._text(PATHS[path], key, tuple(expand))
        if not all(name.startswith("data.") for name in expand):
            return None
        inner = tuple(name.removeprefix("data.") for name in expand)
        limit, after = asked.pop("limit", 10), asked.pop("starting_after", None)
        created = asked.pop("created", None) or {}
        ids = self._narrowed(kind, asked)
        if ids is None or not 1 <= limit <= 100 or self.world.removed:
            return None
        low, high = window(created)
        end = len(ids)
        if high < 2**62:
            end = bisect_left(ids, high + 1, key=lambda i: self.created(kind, i))
        if after:
            if (kind, after) not in self.world.sequence:
                return None
            end = min(end, self.world.place(kind, ids, after))
        start = 0
        if low:
            start = bisect_left(ids, low, key=lambda i: self.created(kind, i))
        page = ids[max(start, end - limit) : end][::-1]
        texts = [self._text(kind, key, inner) for key in page]
        if not texts or None in texts:
            return None
        more = b"true" if end - limit > start else b"false"
        return b'{"object": "list", "url": "%b", "has_more": %b, "data": [%b]}' % (
            path.encode(),
            more,
            b", ".join(texts),
        )

    def _narrowed(self, kind, asked):
        """The ids a list is about, when an index knows them, or None."""
        if kind == "subscription" and asked.get("status") == "all":
            asked.pop("status")
        if not asked:
            return self.world.order[kind]
        if len(asked) > 1:
            return None
        ((name, value),) = asked.items()
        if kind == "invoice_payment" and name == "payment":
            name, value = f"payment.{value['type']}", value.get(value["type"])
        if kind == "invoice" and name == "subscription":
            name = "parent.subscription_details.subscription"
        if name not in INDEXED.get(kind, ()):
            return None
        return self.world.index.get((kind, name, value), [])

    def _text(self, kind, key, expand):
        found = self._locate(key)
        if found is None or found[1] != kind or found[0].thawed:
            return None
        copy, _kind, original = found
        return copy.model.template(kind, original, expand).fill(copy)
