"""The whole server: endpoints, and what stands before them."""

import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from bridge_jax.core.errors import BridgeError
from bridge_jax.serve import chat, embeddings, images, models, page
from bridge_jax.serve.door import Door, told
from bridge_jax.serve.line import Left
from bridge_jax.serve.refused import Refused, broken
from bridge_jax.serve.security import Guard, Headers, Security
from bridge_jax.serve.served import Served

ENDPOINTS = (models, chat, images, embeddings, page)
_GONE = 499


def make(served: Served, security: Security) -> Headers:
    """An ASGI application; `served` is closed when it ends."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        served.close()

    # No docs: their page loads scripts from elsewhere.
    app = FastAPI(
        title="bridge_jax", lifespan=lifespan, docs_url=None, redoc_url=None,
        openapi_url=None, redirect_slashes=False,
    )  # fmt: skip
    for endpoints in ENDPOINTS:
        app.include_router(endpoints.router(served))
    for kind in (Refused, BridgeError, HTTPException, Left):
        app.add_exception_handler(kind, _answer)
    # What nobody expected goes on to the door, which logs it.
    app.add_exception_handler(Exception, _broken)
    return Headers(Door(Guard(app, security), served))


async def _answer(_: Request, error: Exception) -> Response:
    refused = told(error)
    return Response(status_code=_GONE) if refused is None else refused.response()


async def _broken(_: Request, error: Exception) -> Response:
    return broken().response()
