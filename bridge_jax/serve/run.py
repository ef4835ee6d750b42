"""A server on the network, from its first request to a stop that loses none."""

import logging
import socket
import time
from types import FrameType

import uvicorn

from bridge_jax.core.errors import BridgeError
from bridge_jax.serve import app as app_lib
from bridge_jax.serve.security import Security
from bridge_jax.serve.served import Served

_IDLE_SECONDS = 30  # that an unused connection is kept
_LAST_SECONDS = 5  # for what is cut off at the end to be told so


class Server(uvicorn.Server):
    """On the first signal new requests are turned away, and running ones finish."""

    def __init__(self, config: uvicorn.Config, served: Served):
        super().__init__(config)
        self._served = served
        self._until = 0.0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Once clients can come it tells where."""
        await super().startup(sockets)
        for one in sockets or ():
            host, port = one.getsockname()[:2]
            host = f"[{host}]" if ":" in host else host
            print(f"{self._served.name} is served at http://{host}:{port}", flush=True)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal; the second one ends everything at once."""
        if self._served.stopping:
            self.force_exit = self.should_exit = True
            return
        self._served.stopping = True
        self._until = time.monotonic() + self._served.limits.stop_seconds

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        served = self._served
        if served.stopping and (served.inside == 0 or time.monotonic() > self._until):
            self.should_exit = True
        return await super().on_tick(counter)


def make(served: Served, security: Security) -> Server:
    """The server of a model, not yet started."""
    config = uvicorn.Config(
        app_lib.make(served, security),
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # any client could say that it is another
        limit_concurrency=served.limits.connections + 1,  # the first that is refused
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_LAST_SECONDS,
    )
    return Server(config, served)


def bind(host: str, port: int) -> socket.socket:
    """The socket of an address, on which nobody is answered yet.

    Raises:
      BridgeError: the address cannot be had.
    """
    one = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind((host, port))
    except OSError as error:
        one.close()
        raise BridgeError(
            f"cannot listen on {host}, port {port} ({error.strerror}): if another"
            " server is there, choose one with --port"
        ) from None
    return one


def serve(served: Served, security: Security, listener: socket.socket) -> None:
    """Serve on a socket of `bind` until a signal."""
    logging.basicConfig(format="%(asctime)s %(name)s: %(message)s")
    make(served, security).run(sockets=[listener])
