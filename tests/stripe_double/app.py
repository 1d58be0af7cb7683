"""One request from bytes to bytes: authentication, routing, idempotency, answer.

Knows nothing of sockets (that is ``server.py``), so a test may also call
:meth:`App.handle` directly.
"""

import hashlib
import json
import re
from urllib.parse import parse_qsl, unquote

from . import contract, routing
from . import params as parameters
from .errors import ApiError
from .keys import mask
from .render import Renderer, without_nulls

VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(\.\w+)?$")


class Request:
    """What a test may ask about afterwards: ``double.requests``."""

    def __init__(self, id, method, path, pairs, headers):
        self.id = id
        self.method = method
        self.path = path
        self.pairs = pairs
        self.key = (headers.get("Authorization") or "").partition(" ")[2]
        self.idempotency_key = headers.get("Idempotency-Key")
        self.stripe_version = headers.get("Stripe-Version")
        self.stripe_account = headers.get("Stripe-Account")
        self.status = None

    @property
    def params(self):
        return parameters.decode(self.pairs)

    def as_dict(self):
        return {
            "id": self.id,
            "method": self.method,
            "path": self.path,
            "params": self.params,
            "key": self.key,
            "idempotency_key": self.idempotency_key,
            "stripe_version": self.stripe_version,
            "status": self.status,
        }


class Answer:
    def __init__(self, status, body, headers=None):
        self.status = status
        self.body = body
        self.headers = headers or {}


def _unknown(request):
    """No such address at Stripe: 404. Stripe has it, the double does not: 501."""
    if parameters.is_known_call(request.method, request.path):
        return ApiError(
            f"The Stripe double does not implement {request.method} {request.path}",
            status=501,
            type="api_error",
        )
    return ApiError(
        f"Unrecognized request URL ({request.method}: {request.path}). If you are"
        " trying to list objects, remove the trailing slash. If you are trying to"
        " retrieve an object, make sure you passed a valid (non-empty) identifier in"
        " your code. Please see https://stripe.com/docs or we can help at"
        " https://support.stripe.com/.",
        status=404,
    )


class App:
    def __init__(self, double):
        self.double = double
        self.counter = 0

    def handle(self, method, target, headers, body):
        """The answer to a request; ``ConnectionLost`` when there is none."""
        path, _, query = target.partition("?")
        path = unquote(path)
        pairs = parse_qsl(query, keep_blank_values=True)
        if body:
            pairs += parse_qsl(body.decode(errors="replace"), keep_blank_values=True)
        double = self.double
        with double.lock:
            self.counter += 1
            request = Request(f"req_{self.counter:014d}", method, path, pairs, headers)
            double.log(request)
            rule = double.chaos.pick(f"{method} {path}")
        try:
            double.chaos.before(rule)
            answer = self._serve(request, headers)
        except ApiError as error:
            answer = Answer(error.status, error.body(request.id), error.headers)
        request.status = answer.status
        if not isinstance(answer.body, bytes):
            answer.body = json.dumps(answer.body).encode()
        answer.body = double.chaos.after(rule, answer.body)
        answer.headers = {
            "Request-Id": request.id,
            "Stripe-Version": request.stripe_version or double.api_version,
            **answer.headers,
        }
        if request.idempotency_key:
            answer.headers["Idempotency-Key"] = request.idempotency_key
        return answer

    def _serve(self, request, headers):
        double = self.double
        with double.lock:
            key = double.keys.authenticate(headers)
            double.chaos.throttle()
            version = request.stripe_version
            if version and not VERSION.match(version):
                raise ApiError(f"Invalid Stripe API version: {version}")
            world = self._world(request, key)
            found = routing.find(request.method, request.path)
            if not found:
                raise _unknown(request)
            route, args = found
            key.require(route.needed(), world.account)
            if request.method == "POST" and request.idempotency_key:
                return self._once(request, world, key, route, args)
            return self._run(request, world, key, route, args)

    def _world(self, request, key):
        """The key's world, or that of a connected account (``Stripe-Account``)."""
        double, account = self.double, request.stripe_account
        if account and account not in double.accounts():
            raise ApiError(
                f"The provided key '{mask(key.text)}' does not have access to account"
                f" '{account}' (or that account does not exist). Application access"
                " may have been revoked.",
                status=403,
                code="account_invalid",
            )
        return double.world(account or key.account, key.livemode)

    def _once(self, request, world, key, route, args):
        """Same key, same parameters: the first answer again; else an error."""
        seal = hashlib.sha256(repr(sorted(request.pairs)).encode()).hexdigest()
        stored = world.idempotency.get(request.idempotency_key)
        if stored:
            path, first, answer = stored
            if (path, first) != (request.path, seal):
                same = "endpoint" if path != request.path else "parameters"
                raise ApiError(
                    "Keys for idempotent requests can only be used with the same"
                    f" {same} they were first used with. Try using a key other than"
                    f" '{request.idempotency_key}' if you meant to execute a"
                    " different request.",
                    type="idempotency_error",
                )
            headers = {**answer.headers, "Idempotent-Replayed": "true"}
            return Answer(answer.status, answer.body, headers)
        try:
            answer = self._run(request, world, key, route, args)
        except ApiError as error:
            if error.status == 402:  # a decline is an outcome, not a refusal
                answer = Answer(402, error.body(request.id))
                self._store(world, request, seal, answer)
            raise
        self._store(world, request, seal, answer)
        return answer

    def _store(self, world, request, seal, answer):
        if not isinstance(answer.body, bytes):
            answer.body = json.dumps(answer.body).encode()
        world.idempotency[request.idempotency_key] = (request.path, seal, answer)

    def _run(self, request, world, key, route, args):
        params = self._parse(request, route)
        call = routing.Call(world, key, request.method, request.path, params)
        world.request = request if request.method != "GET" else None
        world.reading = request.method == "GET"
        try:
            return self._ready(call) or self._made(call, route, args)
        finally:
            world.request, world.reading = None, False

    def _ready(self, call):
        """An answer out of the bulk, as it is; see ``bulk.py``."""
        world, chaos = call.world, self.double.chaos
        altered = chaos.page_size or chaos.absent_nulls or self.double.check_answers
        if world.bulk and world.reading and not altered and not call.key.permissions:
            body = world.bulk.answer(call.path, call.params)
            return body and Answer(200, body)
        return None

    def _made(self, call, route, args):
        params = call.params
        result = route.handler(call, **args)
        unread = params.unread()
        if unread:
            raise ApiError(
                f"The Stripe double does not implement {', '.join(unread)} of"
                f" {call.method} {route.path}",
                status=501,
                type="api_error",
            )
        data = Renderer(call.world, call.key).answer(result, params.get("expand") or [])
        if self.double.check_answers:
            for obj in data["data"] if data["object"] == "list" else [data]:
                contract.require(obj)
        if self.double.chaos.absent_nulls:
            data = without_nulls(data)
        return Answer(200, json.dumps(data).encode())

    def _parse(self, request, route):
        if route.spec is None:
            return routing.Params()
        return routing.Params(route.spec.parse(parameters.decode(request.pairs)))
