"""Control over HTTP, for a double that runs as its own process."""

import json

from . import pages
from .control import Control
from .errors import ApiError

#: Methods of :class:`Control` that make no sense as JSON, with their replacements.
SPECIAL = {
    "deliveries": lambda double: [d.as_dict() for d in double.deliveries()],
}


def public_methods():
    names = {n for n in vars(Control) if not n.startswith("_")}
    return names - {"find"} | {"reset"}


def answer(double, method, target, body):
    """``(status, content type, body, headers)`` of a request outside ``/v1``."""
    path = target.partition("?")[0]
    if path == "/_double" or path == "/_double/":
        return _json(200, {"methods": sorted(public_methods())})
    name = path.removeprefix("/_double/")
    if not path.startswith("/_double/"):
        page = pages.answer(double, method, target, body)
        return page or _json(404, {"error": {"message": f"Nothing at {path}"}})
    if name not in public_methods():
        return _json(404, {"error": {"message": f"Nothing at {path}"}})
    arguments = json.loads(body or b"{}")
    try:
        if name in SPECIAL:
            result = SPECIAL[name](double, **arguments)
        else:
            result = getattr(double, name)(**arguments)
    except ApiError as error:
        return _json(error.status, error.body("req_control"))
    except (TypeError, ValueError) as error:
        return _json(400, {"error": {"message": str(error)}})
    return _json(200, {"result": result})


def _json(status, data):
    return status, "application/json", json.dumps(data).encode(), {}
