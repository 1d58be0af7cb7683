"""API keys: who asks, in which account and mode, and what the key may do."""

from .errors import ApiError


class Key:
    def __init__(self, text, account, livemode, permissions=None, state="active"):
        self.text = text
        self.account = account
        self.livemode = livemode
        self.permissions = None if permissions is None else set(permissions)
        self.state = state

    def allows(self, permission):
        if self.permissions is None or permission is None:
            return True
        family, _, level = permission.rpartition("_")
        if level == "read" and f"{family}_write" in self.permissions:
            return True
        return permission in self.permissions

    def require(self, permission, account):
        """Stripe's refusal for a restricted key; raised as ``PermissionError``."""
        if not self.allows(permission):
            raise ApiError(
                f"The provided key '{mask(self.text)}' does not have the required"
                f" permissions for this endpoint on account '{account}'. Having the"
                f" 'rak_{permission}' permission would allow this request to"
                " continue.",
                status=403,
            )


def mask(text):
    head, tail = text[:8], text[-4:]
    return head + "*" * max(4, len(text) - 12) + tail


class Keyring:
    """Every well-formed key is taken, unless ``exclusive``; registered keys may be
    restricted to permissions, bound to another account, expired or revoked."""

    def __init__(self, account):
        self.account = account
        self.keys = {}
        self.exclusive = False

    def register(self, text, account=None, permissions=None, state="active"):
        livemode = text[3:7] == "live"
        self.keys[text] = Key(
            text, account or self.account, livemode, permissions, state
        )
        return self.keys[text]

    def authenticate(self, headers):
        text = _bearer(headers)
        if not text:
            raise ApiError(
                "You did not provide an API key. You need to provide your API key in"
                " the Authorization header, using Bearer auth (e.g. 'Authorization:"
                " Bearer YOUR_SECRET_KEY').",
                status=401,
            )
        key = self.keys.get(text)
        if key is None and not self.exclusive and _well_formed(text):
            key = self.register(text)
        if key is None or key.state == "revoked":
            raise ApiError(f"Invalid API Key provided: {mask(text)}", status=401)
        if key.state == "expired":
            raise ApiError(
                f"Expired API Key provided: {mask(text)}",
                status=401,
                code="api_key_expired",
            )
        return key


def _well_formed(text):
    return text.startswith(("sk_test_", "sk_live_", "rk_test_", "rk_live_")) and (
        len(text) > 8 and text.isascii()
    )


def _bearer(headers):
    scheme, _, value = (headers.get("Authorization") or "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        import base64
        import binascii

        try:
            return base64.b64decode(value).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""
