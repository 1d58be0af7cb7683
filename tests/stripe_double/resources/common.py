"""Small things every family needs."""

from ..errors import ApiError
from ..world import clone

MAX_KEYS, MAX_KEY, MAX_VALUE = 50, 40, 500


def metadata(given):
    """``metadata`` of a new object; limits as Stripe's."""
    if not given:
        return {}
    if len(given) > MAX_KEYS:
        raise ApiError(f"Metadata can have at most {MAX_KEYS} keys.", param="metadata")
    for key, value in given.items():
        if len(key) > MAX_KEY or len(value) > MAX_VALUE:
            raise ApiError(
                "Metadata keys can be up to 40 and values up to 500 characters"
                f" long: {key[:MAX_KEY]}",
                param="metadata",
            )
    return {key: value for key, value in given.items() if value != ""}


def merge_metadata(obj, params):
    """Update: given keys are set, empty values unset, ``metadata=''`` unsets all."""
    if "metadata" not in params:
        return
    given = params["metadata"]
    if given == "":
        obj["metadata"] = {}
        return
    merged = {**(obj["metadata"] or {}), **metadata(given)}
    obj["metadata"] = {k: v for k, v in merged.items() if given.get(k) != ""}


def copy(obj, params, *names):
    """Set the given simple fields; an empty text unsets."""
    for name, value in params.take(*names).items():
        obj[name] = None if value == "" else value


def tax_rates(world, keys, param):
    """Ids -> copies of TaxRate objects, as they are embedded."""
    return [clone(world.find("tax_rate", key, param)) for key in keys or []]


def unused(values):
    """What a converter of nested parameters did not look at is not implemented."""
    if values:
        raise ApiError(
            f"The Stripe double does not implement {', '.join(sorted(values))}",
            status=501,
            type="api_error",
        )
