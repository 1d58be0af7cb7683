"""What reading one Stripe object gives, and the small readers all kinds share."""

from dataclasses import dataclass, field
from datetime import datetime, timezone

from .money import to_major
from .stripe_paths import api_path


@dataclass
class Row:
    """One row of the mirror, before it is written (see ``stripe_objects``)."""

    kind: str
    stripe_id: str
    values: dict
    data: dict
    weak: bool = False  # a second-hand account: never overwrites a row


@dataclass
class Reading:
    """What one raw object tells: rows, and what else must be read."""

    rows: list = field(default_factory=list)
    needs: set = field(default_factory=set)  # {(kind, stripe id)}
    lookups: list = field(default_factory=list)  # [(kind, params)]
    # Lists to ask each time, not only when the object is new: what they hold is told
    # by no event.
    parts: list = field(default_factory=list)  # [(kind, params)]
    # When events say that charges were paid: [(charge, type of event, moment)].
    moments: list = field(default_factory=list)

    def merge(self, other):
        self.rows += other.rows
        self.needs |= other.needs
        self.lookups += other.lookups
        self.parts += other.parts
        self.moments += other.moments


@dataclass(frozen=True)
class Kind:
    """One kind of Stripe object. ``permission`` is its name at restricted keys."""

    name: str
    model: str
    path: str
    read: callable
    permission: str
    expand: tuple = ()
    nested: tuple = ()  # lists inside the object that Stripe cuts after ten entries
    listed: bool = True  # has a list of its own that a sync can walk
    # Some lists leave things out unless asked: filters that together show everything.
    filters: tuple = ({},)
    page_size: int = 100  # fewer where each object brings many others

    def request(self, stripe_id):
        """Return (path, params) that read one object completely."""
        return api_path(*self.path.split("/")[2:], stripe_id), self._params()

    def list_params(self):
        """Return the params that make a list of complete objects."""
        return self._params(prefix="data.")

    def _params(self, prefix=""):
        return (
            {"expand": [prefix + path for path in self.expand]} if self.expand else {}
        )


def ref(value):
    """Return the id behind an expandable field (str, dict or None)."""
    return value.get("id") if isinstance(value, dict) else value or None


def moment(timestamp):
    """Return Stripe's Unix seconds as a naive UTC datetime, or None."""
    if not timestamp:
        return None
    return datetime.fromtimestamp(timestamp, timezone.utc).replace(tzinfo=None)


def money(raw, name, currency=None):
    """Return the Decimal of a minor-unit field, or None where Stripe has none."""
    amount = raw.get(name)
    code = currency or raw.get("currency")
    return None if amount is None or not code else to_major(amount, code)


def without(raw, *names):
    return {name: value for name, value in raw.items() if name not in names}


def new_row(kind, raw, values, data=None):
    """Return the row of ``raw``. Where it names no mode, the account's is meant."""
    base = {"livemode": raw.get("livemode"), "created": moment(raw.get("created"))}
    return Row(kind, raw["id"], {**base, **values}, raw if data is None else data)


def needed(*pairs):
    """Return the ``needs`` of some (kind, Stripe id), the id of which may be None."""
    return {(kind, stripe_id) for kind, stripe_id in pairs if stripe_id}


def promotion_codes(discounts):
    """Return the needs of a list of discounts (ids, objects or None)."""
    return needed(
        *(
            ("promotion_code", ref(discount.get("promotion_code")))
            for discount in discounts or ()
            if isinstance(discount, dict)
        )
    )
