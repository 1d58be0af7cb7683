"""What a request may say: read from the installed ``stripe`` package.

The services of the package name, for every method and path, the class of its
parameters. :func:`spec` finds it and :meth:`Spec.parse` turns Stripe's form encoding
(all strings) into typed values. Parameters that do not exist at this version are
refused exactly as Stripe does: 400 ``parameter_unknown``.
"""

import re
import sys
import typing
from functools import cache
from importlib import import_module
from pathlib import Path

import stripe
from stripe._request_options import RequestOptions
from stripe._stripe_object import UntypedStripeObject

from .errors import ApiError, required, unknown_parameter

SERVICE_METHOD = re.compile(
    r'params: (?:Optional\[)?"(\w+)"\]?(?: = None)?,\n'
    r"(?:(?!params:).)*?self\._request\(\s*"
    r'"(\w+)",\s*"(/v1/[^"]+)"',
    re.S,
)
PLACEHOLDER = re.compile(r"\{\w+\}")


def shape(path):
    """A path without the names of its placeholders."""
    return PLACEHOLDER.sub("{}", path)


@cache
def package_routes():
    """``(METHOD, path shape) -> (params module, class name)`` of the package."""
    root = Path(stripe.__file__).parent
    routes = {}
    for file in root.rglob("*_service.py"):
        family = file.parent.relative_to(root).parts
        for name, method, path in SERVICE_METHOD.findall(file.read_text("utf-8")):
            module = ".".join(("stripe.params", *family, _module_name(name)))
            routes[method.upper(), shape(path)] = (module, name)
    return routes


@cache
def _patterns():
    return [
        (method, re.compile(re.escape(path).replace(r"\{\}", "[^/]+") + "$"))
        for method, path in package_routes()
    ]


def is_known_call(method, path):
    """Whether the package has a call for this request, implemented here or not."""
    return any(m == method and p.match(path) for m, p in _patterns())


def _module_name(class_name):
    return "_" + re.sub(r"(?<!^)(?=[A-Z])", "_", class_name).lower()


@cache
def spec(method, path):
    """The parameters of a route, or ``None`` when the package has no such call."""
    found = package_routes().get((method, shape(path)))
    if found is None:
        return None
    module, name = found
    return Spec(getattr(import_module(module), name))


@cache
def _annotations(cls):
    """Name -> type of a parameter class, forward references resolved."""
    own = {}
    skip = set(RequestOptions.__annotations__)
    for name, tp in cls.__annotations__.items():
        if name not in skip:
            own[name] = _resolve(tp, cls.__module__)
    return own


def _resolve(tp, module):
    """Evaluate the string annotations; ``Required``/``NotRequired`` are peeled."""
    if isinstance(tp, typing.ForwardRef):
        tp = tp.__forward_arg__
    if isinstance(tp, str):
        # The text is an annotation of the installed package, not input.
        value = eval(tp, vars(sys.modules[module]))  # pylint: disable=eval-used
        return _resolve(value, module)
    if getattr(typing.get_origin(tp), "__name__", "") in ("NotRequired", "Required"):
        return _resolve(typing.get_args(tp)[0], module)
    if str(typing.get_origin(tp)).endswith(("NotRequired", "Required")):
        return _resolve(typing.get_args(tp)[0], module)
    return tp


class Spec:
    """The parameters of one call."""

    def __init__(self, cls):
        self.cls = cls
        self.fields = _annotations(cls)

    def parse(self, raw):
        """Typed parameters of a request, or an :class:`ApiError` as Stripe's."""
        return _typed_dict(self.cls, raw, "")


def _typed_dict(cls, raw, path):
    known = _annotations(cls)
    for name in raw:
        if name not in known:
            raise unknown_parameter(_join(path, name))
    for name in cls.__required_keys__:
        if name in known and name not in raw:
            raise required(_join(path, name))
    return {
        name: _coerce(known[name], value, _join(path, name), cls.__module__)
        for name, value in raw.items()
    }


def _join(path, name):
    return f"{path}[{name}]" if path else name


def _alternatives(tp, module):
    tp = _resolve(tp, module)
    if typing.get_origin(tp) is typing.Union or isinstance(tp, _UnionType):
        found = []
        for part in typing.get_args(tp):
            found.extend(_alternatives(part, module))
        return found
    return [tp]


_UnionType = type(int | str)


def _coerce(tp, value, path, module):
    """One value by its annotation. A union takes the alternative that fits."""
    parts = _alternatives(tp, module)
    if isinstance(value, dict):
        return _compound(parts, value, path, module)
    if value == "" and _clearable(parts):
        return ""
    for part in parts:
        if typing.get_origin(part) is list:
            raise ApiError(f"Invalid array: {path}", param=path)
    return _scalar(parts, value, path)


def _clearable(parts):
    """An empty value unsets: ``Literal['']`` says so, and texts always may."""
    return str in parts or any(
        typing.get_origin(p) is typing.Literal and "" in typing.get_args(p)
        for p in parts
    )


def _compound(parts, value, path, module):
    for part in parts:
        origin = typing.get_origin(part)
        if origin is list and all(k == "" or k.isdigit() for k in value):
            items = _items(value)
            inner = typing.get_args(part)[0]
            return [
                _coerce(inner, item, f"{path}[{index}]", module)
                for index, item in enumerate(items)
            ]
    for part in parts:
        origin = typing.get_origin(part)
        if typing.is_typeddict(part) or hasattr(part, "__required_keys__"):
            return _typed_dict(part, value, path)
        if origin is dict:
            inner = typing.get_args(part)[1]
            return {
                key: _coerce(inner, item, f"{path}[{key}]", module)
                for key, item in value.items()
            }
        if origin is UntypedStripeObject or part is typing.Any:
            return value
    raise ApiError(f"Invalid string: {value}", param=path)


def _items(value):
    """``{'0': a, '1': b}`` or ``{'': [a, b]}`` (from ``x[]=``) -> ``[a, b]``."""
    if "" in value:
        return value[""] if isinstance(value[""], list) else [value[""]]
    return [value[key] for key in sorted(value, key=int)]


def _scalar(parts, value, path):
    if isinstance(value, list):  # the same name sent twice: the last one counts
        value = value[-1]
    enum = [
        choice
        for part in parts
        if typing.get_origin(part) is typing.Literal
        for choice in typing.get_args(part)
    ]
    if value in enum:
        return value
    if bool in parts:
        if value not in ("true", "false"):
            raise ApiError(f"Invalid boolean: {value}", param=path)
        return value == "true"
    if int in parts:
        if re.fullmatch(r"-?\d+", value):
            return int(value)
        raise _bad_integer(value, path)
    if float in parts:
        try:
            return float(value)
        except ValueError:
            raise ApiError(f"Invalid decimal: {value}", param=path) from None
    if enum and any(isinstance(choice, str) and choice for choice in enum):
        raise ApiError(
            f"Invalid {path}: must be one of "
            + ", ".join(str(choice) for choice in enum[:-1] if choice)
            + f" or {enum[-1]}",
            param=path,
        )
    return value


def _bad_integer(value, path):
    if value == "":
        return ApiError(
            f"You passed an empty string for '{path}'. We assume empty values are an"
            f" attempt to unset a parameter; however '{path}' cannot be unset. You"
            f" should remove '{path}' from your request or supply a non-empty value.",
            code="parameter_invalid_empty",
            param=path,
        )
    return ApiError(
        f"Invalid integer: {value}", code="parameter_invalid_integer", param=path
    )


# -- Stripe's bracket encoding --------------------------------------------------

KEY = re.compile(r"\[([^\]]*)\]")


def decode(pairs):
    """``[('items[0][price]', 'p')]`` -> ``{'items': {'0': {'price': 'p'}}}``."""
    tree = {}
    for name, value in pairs:
        head, bracket, rest = name.partition("[")
        keys = [head, *KEY.findall(bracket + rest)]
        node = tree
        for key in keys[:-1]:
            child = node.get(key)
            if not isinstance(child, dict):
                child = node[key] = {}
            node = child
        if keys[-1] == "" and len(keys) > 1:
            node.setdefault("", []).append(value)
        else:
            node[keys[-1]] = value
    return tree
