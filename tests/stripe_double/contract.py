"""What an object may look like: read from the installed ``stripe`` package.

The resource classes of the package carry an annotation for every field of every
object at the package's API version. They are the contract: :func:`check` reports
unknown fields, missing required ones, wrong types and values outside an enum;
:func:`blank` makes the skeleton of a new object (all nullable fields ``null``, as
Stripe answers); :func:`step` tells the renderer what a field expands to. Upgrading
the package upgrades the contract.

What the annotations cannot say is in the tables below.
"""

import re
import typing
from decimal import Decimal
from functools import cache
from importlib import import_module

from stripe import ListObject, StripeObject
from stripe._object_classes import OBJECT_CLASSES
from stripe._stripe_object import UntypedStripeObject

NoneType = type(None)

#: Fields that are absent unless asked for with ``expand`` ("includable").
INCLUDABLE = {
    "charge": {"refunds"},
    "checkout.session": {"line_items"},
    "coupon": {"applies_to", "currency_options"},
    "customer": {
        "cash_balance",
        "invoice_credit_balance",
        "sources",
        "subscriptions",
        "tax",
        "tax_ids",
    },
    "invoice": {"amount_paid_off_stripe", "confirmation_secret", "payments"},
    "item": {"discounts", "taxes"},
    "payment_link": {"line_items"},
    "plan": {"tiers"},
    "price": {"currency_options", "tiers"},
}

#: Optional fields that Stripe leaves out instead of answering ``null``.
ABSENT = {"currency_options", "deleted", "secret"}

#: Optional fields that Stripe's API description does not require: they are left out
#: where there is nothing to say, while others are answered ``null``.
LEFT_OUT = {
    "charge": {
        "authorization_code",
        "level3",
        "presentment_details",
        "radar_options",
        "transfer",
    },
    "checkout.session": {
        "allowed_payment_method_types",
        "branding_settings",
        "excluded_payment_method_types",
        "name_collection",
        "optional_items",
        "presentment_details",
        "redirect_on_completion",
        "return_url",
        "tax_id_collection",
    },
    "customer": {"business_name", "customer_account", "individual_name"},
    "dispute": {"intended_submission_method", "network_reason_code"},
    "event": {"account", "context"},
    "invoice": {"status_details", "threshold_reason"},
    "invoiceitem": {"frozen_fields", "invoicing_rules", "proration_details"},
    "payment_intent": {
        "allowed_payment_method_types",
        "hooks",
        "payment_details",
        "payment_record",
        "presentment_details",
    },
    "payment_link": {"name_collection", "optional_items"},
    "product": {"tax_details"},
    "refund": {
        "description",
        "failure_balance_transaction",
        "failure_reason",
        "instructions_email",
        "next_action",
        "pending_reason",
        "presentment_details",
    },
    "setup_intent": {
        "allowed_payment_method_types",
        "attach_to_self",
        "customer_account",
        "managed_payments",
    },
    "subscription": {"presentment_details", "status_details"},
    "subscription_item": {"billed_until", "current_trial"},
}

#: Required by the annotations, and yet not there in one case: (class, field).
NOT_ALWAYS = {("CreditNote.Refund", "refund")}  # of a payment record's refund

DECIMAL = re.compile(r"-?\d+(\.\d+)?$")


class ContractError(AssertionError):
    """The double was about to answer something Stripe never would."""


@cache
def resource_class(kind):
    """The package's class of an object type, e.g. ``invoice`` -> ``Invoice``."""
    module, name = OBJECT_CLASSES[kind]
    return getattr(import_module(module), name)


@cache
def _kinds():
    """Class name -> kind; the plain resources win over those of sub-packages."""
    ranked = sorted(OBJECT_CLASSES.items(), key=lambda item: -item[1][0].count("."))
    return {name: kind for kind, (_module, name) in ranked}


def kind_of(reference):
    """``'InvoicePayment'`` (or an import alias ``RefundResource``) -> its kind."""
    name, kinds = reference.__forward_arg__, _kinds()
    if name in ("Session", "SessionResource"):
        return "checkout.session"
    return kinds.get(name) or kinds.get(name.removesuffix("Resource"))


@cache
def fields(cls):
    """Field name -> annotation, without the class variables."""
    return {
        name: typing.ForwardRef(tp) if isinstance(tp, str) else tp
        for name, tp in cls.__annotations__.items()
        if typing.get_origin(tp) is not typing.ClassVar
    }


def options(tp):
    """The alternatives of a union, or the type alone."""
    return typing.get_args(tp) if typing.get_origin(tp) is typing.Union else (tp,)


def nullable(tp):
    return NoneType in options(tp)


@cache
def _skeleton(kind):
    absent = ABSENT | INCLUDABLE.get(kind, set())
    return {
        name: None
        for name, tp in fields(resource_class(kind)).items()
        if nullable(tp) and name not in absent
    }


def blank(kind):
    """A new object with every nullable field ``null``; the maker sets the rest."""
    return {"id": None, "object": kind, **_skeleton(kind)}


def nulls(cls, **values):
    """A nested hash with every nullable field ``null``."""
    return {name: None for name, tp in fields(cls).items() if nullable(tp)} | values


def has_field(kind, name):
    return name in fields(resource_class(kind))


# -- checking -------------------------------------------------------------------


def check(obj, kind=None):
    """All the ways in which ``obj`` breaks the contract (empty when it does not)."""
    problems = []
    _resource(obj, kind or obj.get("object"), kind or obj.get("object"), problems)
    return problems


def require(obj):
    problems = check(obj)
    if problems:
        raise ContractError(f"{obj.get('id')}: " + "; ".join(problems))


def _resource(value, kind, path, problems):
    if value.get("deleted") is True:
        if set(value) - {"id", "object", "deleted", "currency"}:
            problems.append(f"{_at(path)}: a deleted stub has only id and object")
        return
    if value.get("object") != kind:
        problems.append(f"{_at(path)}: object is {value.get('object')!r}, not {kind!r}")
        return
    _struct(value, resource_class(kind), path, problems)


def _at(path):
    """``(((invoice, lines), data), 0)`` -> ``invoice.lines.data[0]``; paths are only
    put into words when there is a problem."""
    if isinstance(path, str):
        return path
    parent, name = path
    return (
        f"{_at(parent)}[{name}]" if isinstance(name, int) else (f"{_at(parent)}.{name}")
    )


@cache
def _table(cls):
    """Field name -> (checker, required): the annotations, looked up only once."""
    return {
        name: (
            _checker(tp),
            not nullable(tp) and (cls.__qualname__, name) not in NOT_ALWAYS,
        )
        for name, tp in fields(cls).items()
    }


def _struct(value, cls, path, problems):
    table = _table(cls)
    for name in value.keys() - table.keys():
        problems.append(f"{_at(path)}.{name}: unknown field")
    for name, (checker, needed) in table.items():
        if name in value:
            checker(value[name], (path, name), problems)
        elif needed:
            problems.append(f"{_at(path)}.{name}: missing")


SCALARS = {
    str: lambda v: isinstance(v, str),
    bool: lambda v: isinstance(v, bool),
    int: lambda v: isinstance(v, int) and not isinstance(v, bool),
    float: lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    Decimal: lambda v: isinstance(v, str) and bool(DECIMAL.match(v)),
    NoneType: lambda v: v is None,
}


@cache
def _checker(tp):
    """A function ``(value, path, problems)`` for one annotation."""
    if tp is typing.Any:
        return lambda value, path, problems: None
    if tp in SCALARS:
        return _scalar(tp, SCALARS[tp])
    origin = typing.get_origin(tp)
    if origin is typing.Union:
        return _union(tp)
    if origin is typing.Literal:
        allowed = typing.get_args(tp)
        return _scalar(f"one of {allowed[:5]}", lambda v: v in allowed)
    if origin is list:
        return _list(_checker(typing.get_args(tp)[0]))
    if origin is not None and issubclass(origin, ListObject):
        return _list_object(_checker(typing.get_args(tp)[0]))
    if origin is not None and issubclass(origin, UntypedStripeObject):
        return _mapping(_checker(typing.get_args(tp)[0]))
    if isinstance(tp, type) and issubclass(tp, StripeObject):
        return _nested(tp)
    return _reference(tp)


def _scalar(name, accepts):
    def run(value, path, problems):
        if not accepts(value):
            problems.append(f"{_at(path)}: {value!r} is not {name}")

    return run


def _union(tp):
    """A union holds when one alternative does; ``Literal | str`` means the enum."""
    parts = options(tp)
    if any(typing.get_origin(p) is typing.Literal for p in parts):
        parts = tuple(p for p in parts if p is not str)
    checkers = [_checker(p) for p in parts if p is not NoneType]
    may_be_null = NoneType in parts

    def run(value, path, problems):
        if value is None and may_be_null:
            return
        best = None
        for checker in checkers:
            found = []
            checker(value, path, found)
            if not found:
                return
            if best is None or len(found) > len(best):
                best = found
        problems.extend(best)

    return run


def _list(item):
    def run(value, path, problems):
        if not isinstance(value, list):
            problems.append(f"{_at(path)}: {value!r} is not a list")
            return
        for index, element in enumerate(value):
            item(element, (path, index), problems)

    return run


def _list_object(item):
    items = _list(item)

    def run(value, path, problems):
        if not isinstance(value, dict) or value.get("object") != "list":
            problems.append(f"{_at(path)}: not a list object")
            return
        if set(value) != {"object", "data", "has_more", "url"}:
            problems.append(f"{_at(path)}: list with {sorted(value)}")
        items(value.get("data"), (path, "data"), problems)

    return run


def _mapping(item):
    def run(value, path, problems):
        if not isinstance(value, dict):
            problems.append(f"{_at(path)}: {value!r} is not a mapping")
            return
        for key, element in value.items():
            item(element, (path, key), problems)

    return run


def _nested(cls):
    def run(value, path, problems):
        if not isinstance(value, dict):
            problems.append(f"{_at(path)}: {value!r} is not a {cls.__name__}")
        elif "OBJECT_NAME" in vars(cls):
            _resource(value, cls.OBJECT_NAME, path, problems)
        else:
            _struct(value, cls, path, problems)

    return run


def _reference(tp):
    """A forward reference to another resource, e.g. an expanded ``Customer``."""
    kind = kind_of(tp)

    def run(value, path, problems):
        if not isinstance(value, dict):
            problems.append(f"{_at(path)}: {value!r} is not a {kind}")
        else:
            _resource(value, kind, path, problems)

    return run


# -- expanding ------------------------------------------------------------------


class Step(typing.NamedTuple):
    """What lies behind a field: ids of ``kinds``, a nested ``cls``, or a list."""

    expandable: bool
    kinds: tuple
    cls: type | None
    list_object: bool


@cache
def step(cls, name):
    """How the expander goes through a field; ``None`` if there is no such field."""
    tp = fields(cls).get(name)
    if tp is None:
        return None
    parts = [p for p in options(tp) if p is not NoneType]
    listed = False
    if len(parts) == 1 and typing.get_origin(parts[0]) is list:
        parts = list(options(typing.get_args(parts[0])[0]))
    elif len(parts) == 1 and _is_list_object(parts[0]):
        listed = True
        parts = list(options(typing.get_args(parts[0])[0]))
    kinds, nested = [], None
    for part in parts:
        if isinstance(part, typing.ForwardRef):
            kinds.append(kind_of(part))
        elif isinstance(part, type) and issubclass(part, StripeObject):
            nested = part
    return Step(str in parts and bool(kinds), tuple(kinds), nested, listed)


def _is_list_object(tp):
    origin = typing.get_origin(tp)
    return isinstance(origin, type) and issubclass(origin, ListObject)
