"""Lets requests in one by one: counted, measured, cut off in time, and none at the end.

A plain ASGI layer around the endpoints. Whatever they raise becomes an answer here.
"""

import asyncio
import logging
import time
from typing import Any

from starlette.exceptions import HTTPException

from bridge_jax.core.errors import BridgeError
from bridge_jax.serve.line import Left
from bridge_jax.serve.refused import Refused, broken
from bridge_jax.serve.served import Served

LOG = logging.getLogger("bridge_jax.serve")
_ALWAYS = ("/healthz", "/metrics")  # answered while the server stops, too
_STATUS_OF_GONE = 499  # as nginx counts clients that left


class Door:
    """ASGI: see above."""

    def __init__(self, app: Any, served: Served):
        self._app, self._served = app, served

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = time.monotonic(), None

        async def sent(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._served.inside += 1
        try:
            if self._served.stopping and scope["path"] not in _ALWAYS:
                raise Refused(503, "the server is stopping", retry_after=5)
            await self._app(scope, self._limited(scope, receive), sent)
        except Exception as error:  # noqa: BLE001 - somebody waits for an answer
            refused = told(error)  # if it was told already, its log matters
            if status is None and refused is not None:
                await refused.response()(scope, receive, sent)
        finally:
            self._served.inside -= 1
            route = getattr(scope.get("route"), "path", "other")
            seconds = time.monotonic() - begun
            self._served.metrics.answered(route, status or _STATUS_OF_GONE, seconds)

    def _limited(self, scope: Any, receive: Any) -> Any:
        """`receive` for bodies that are small enough and do not take too long."""
        limits, size = self._served.limits, 0
        deadline = asyncio.get_running_loop().time() + limits.body_seconds
        arrived = False

        async def received() -> Any:
            nonlocal size, arrived
            if arrived:  # now it waits for the client to leave
                return await receive()
            self._check(_announced(scope))
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise Refused(
                    408, f"the body took longer than {limits.body_seconds} s to arrive"
                ) from None
            size += len(message.get("body", b""))
            self._check(size)
            arrived = not message.get("more_body", False)
            return message

        return received

    def _check(self, size: int) -> None:
        most = self._served.limits.body_bytes
        if size > most:
            raise Refused(
                413,
                f"the body is larger than {most:,} bytes: send fewer or smaller"
                " pictures",
            )


def told(error: Exception) -> Refused | None:
    """What a client is told of `error`, or None where it has left."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, Left):
        return None
    if isinstance(error, BridgeError):
        return Refused(400, str(error))
    if isinstance(error, HTTPException):
        return Refused(error.status_code, _OF_ROUTES.get(error.status_code, "refused"))
    LOG.error("a request failed", exc_info=error)
    return broken()


_OF_ROUTES = {
    404: "there is no such address here; the endpoints are below /v1",
    405: "this address does not take that method",
}


def _announced(scope: Any) -> int:
    given = dict(scope["headers"]).get(b"content-length", b"0")
    return int(given) if given.isdigit() and len(given) < 20 else 0
