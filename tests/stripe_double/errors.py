"""Stripe's error answers.

Every refusal of the double is an :class:`ApiError`; the HTTP layer turns it into
``{"error": {"type", "code", "message", "param", …}}`` with Stripe's status code, so
that the real ``stripe`` package raises the exception class users meet in production.
"""

DOC_URL = "https://stripe.com/docs/error-codes/"


class ApiError(Exception):
    """An answer with an error body. ``code`` is one of Stripe's error codes."""

    def __init__(
        self,
        message,
        *,
        status=400,
        type="invalid_request_error",
        code=None,
        param=None,
        headers=None,
        **extra,
    ):
        super().__init__(message)
        self.message = message
        self.status = status
        self.type = type
        self.code = code
        self.param = param
        self.headers = headers or {}
        self.extra = extra

    def body(self, request_id):
        error = {"message": self.message, "type": self.type, **self.extra}
        if self.code:
            error["code"] = self.code
            error["doc_url"] = DOC_URL + self.code.replace("_", "-")
        if self.param:
            error["param"] = self.param
        error["request_log_url"] = (
            f"https://dashboard.stripe.com/test/logs/{request_id}"
        )
        return {"error": error}


def missing(kind, value, param="id"):
    """404 ``resource_missing``: ``No such customer: 'cus_x'``."""
    noun = kind.rpartition(".")[2] if kind != "checkout.session" else kind
    return ApiError(
        f"No such {noun}: '{value}'",
        status=404,
        code="resource_missing",
        param=param,
    )


def unknown_parameter(name):
    """Stripe refuses parameters that do not exist in the requested version."""
    return ApiError(
        f"Received unknown parameter: {name}",
        code="parameter_unknown",
        param=name,
    )


def required(name):
    return ApiError(
        f"Missing required param: {name}.", code="parameter_missing", param=name
    )


def card_declined(**extra):
    """402, raised by the package as ``stripe.CardError``."""
    return ApiError(
        "Your card was declined.",
        status=402,
        type="card_error",
        code="card_declined",
        decline_code="generic_decline",
        **extra,
    )
