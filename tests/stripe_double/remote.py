"""The control methods for a double in another process."""

import http.client
import json
from urllib.parse import urlsplit

import stripe

from .control import Control
from .http_control import public_methods


class ControlError(Exception):
    """The double refused; ``error`` is its error body."""

    def __init__(self, error):
        super().__init__(error.get("message"))
        self.error = error


class DoubleClient:
    """``DoubleClient("http://127.0.0.1:4242").advance(months=1)``.

    Has every public method of :class:`~.control.Control`; arguments by name (the
    first positional ones of the common methods are accepted as well).
    """

    def __init__(self, url):
        self.url = url.rstrip("/")

    def client(self, key="sk_test_double", **options):
        return stripe.StripeClient(key, base_addresses={"api": self.url}, **options)

    def __getattr__(self, name):
        if name not in public_methods():
            raise AttributeError(name)

        def call(*args, **arguments):
            arguments.update(_named(name, args))
            return self._post(name, arguments)

        return call

    def _post(self, name, arguments):
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
        try:
            body = json.dumps(arguments)
            connection.request("POST", f"/_double/{name}", body)
            response = connection.getresponse()
            data = json.loads(response.read())
        finally:
            connection.close()
        if "error" in data:
            raise ControlError(data["error"])
        return data["result"]


def _named(name, args):
    """Positional arguments by their names in :class:`Control`."""
    if not args:
        return {}
    code = getattr(Control, name).__code__
    names = code.co_varnames[1 : code.co_argcount]
    return dict(zip(names, args, strict=False))
