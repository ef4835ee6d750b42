"""Who may ask: address, token, Host and Origin; and what browsers may do with answers.

A server listens on loopback unless there is a token. On loopback it is still within
reach of every page that a user's browser shows. Such a page cannot hide its Origin, and
one whose own name was made to point here (DNS rebinding) says that name as the Host.
"""

import dataclasses
import hashlib
import hmac
import ipaddress
from collections.abc import Collection
from typing import Any

from bridge_jax.core.errors import BridgeError
from bridge_jax.serve.refused import Refused

LEAST_TOKEN = 16  # characters
OPEN_PATHS = ("/", "/healthz")  # and the page's files: nothing of a user's is there
PAGE = "/page/files/"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src 'self' blob: data:; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


@dataclasses.dataclass(frozen=True)
class Security:
    """What is asked of a client.

    Attributes:
      host: address that is listened on.
      token: what "Authorization: Bearer ..." must say, or None for nothing.
      names: further names that the server is known by, such as a proxy's.

    Raises:
      BridgeError: no token where one is needed, or one that is easily guessed.
    """

    host: str = "127.0.0.1"
    token: str | None = None
    names: Collection[str] = ()

    def __post_init__(self):
        if self.token is not None:
            _check_token(self.token)
        elif not is_loopback(self.host):
            raise BridgeError(
                f"--host {self.host} lets others in, so a token is needed: give --token"
                " or $BRIDGE_JAX_TOKEN, or leave --host out to serve this machine alone"
            )

    def check(self, path: str, headers: dict[bytes, bytes]) -> None:
        """Raises Refused for a request that must not be answered.

        Args:
          headers: by their names in lower case.
        """
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if not self._is_ours(host):
            raise Refused(
                403,
                "the Host header names another server: use the address that this one"
                " was started with, or start it with --name",
            )
        origin = headers.get(b"origin")
        site = headers.get(b"sec-fetch-site", b"none")
        foreign = site not in (b"none", b"same-origin")
        if origin is not None:
            foreign |= origin.decode("latin-1").lower().partition("://")[2] != host
        is_open = path in OPEN_PATHS or path.startswith(PAGE)
        if foreign and not (is_open and origin is None):
            raise Refused(403, "pages of other sites may not use this server")
        if not is_open and not self._knows_token(headers.get(b"authorization", b"")):
            raise Refused(
                401,
                "a token is needed: send it as `Authorization: Bearer TOKEN` (api_key"
                " of OpenAI's client)",
                code="invalid_api_key",
            )

    def _is_ours(self, host: str) -> bool:
        name = _without_port(host)
        known = {self.host.lower(), *(one.lower() for one in self.names)}
        if name in _LOOPBACK or name.strip("[]") in known:
            return True
        # Only a name can be made to point elsewhere, an address is what it is.
        return not is_loopback(self.host) and _address(name) is not None

    def _knows_token(self, given: bytes) -> bool:
        """In a time that says nothing of the token."""
        if self.token is None:
            return True
        scheme, _, said = given.partition(b" ")
        digests = [
            hashlib.sha256(one).digest() for one in (said.strip(), self.token.encode())
        ]
        return hmac.compare_digest(*digests) and scheme.lower() == b"bearer"


class Guard:
    """ASGI: asks `Security` before anything is read; raises its Refused."""

    def __init__(self, app: Any, security: Security):
        self._app, self._security = app, security

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            self._security.check(scope["path"], dict(scope["headers"]))
        await self._app(scope, receive, send)


class Headers:
    """ASGI: `HEADERS` on every answer."""

    def __init__(self, app: Any):
        self._app = app
        self._headers = [(k.encode(), v.encode()) for k, v in HEADERS.items()]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def sent(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *self._headers]
            await send(message)

        await self._app(scope, receive, sent)


def is_loopback(host: str) -> bool:
    """Whether an address is of this machine alone."""
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return None


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def _check_token(token: str) -> None:
    if len(token) < LEAST_TOKEN or not token.isascii() or not token.isprintable():
        raise BridgeError(
            f"the token must have at least {LEAST_TOKEN} plain characters;"
            ' make one: python -c "import secrets; print(secrets.token_urlsafe())"'
        )
    if token != token.strip():
        raise BridgeError("the token must not begin or end with a space")
