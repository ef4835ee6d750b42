"""A server with a backend that needs no model, and clients of it."""

import sys
from pathlib import Path

import httpx2
import openai
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import stand_in

from bridge_jax.serve import app as app_lib
from bridge_jax.serve import security as security_lib
from bridge_jax.serve import served as served_lib
from bridge_jax.serve.limits import Limits

ADDRESS = "http://localhost:8000"


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def backend():
    return stand_in.StandIn()


@pytest.fixture
def limits():
    """Small ones; a file of tests may have others."""
    return Limits(
        body_bytes=60_000,
        json_depth=8,
        messages=4,
        characters=500,
        pictures=2,
        pixels=10_000,
        tokens=16,
        n=3,
        steps=10,
        inputs=4,
        rows=2,
        waiting=2,
        seconds=5,
        body_seconds=1,
    )


@pytest.fixture
def served(backend, limits):
    made = served_lib.Served(backend, "stand-in", limits)
    yield made
    backend.close()
    made.close()


@pytest.fixture
def app(served):
    return app_lib.make(served, security_lib.Security())


@pytest.fixture
def connect(app):
    """connect(**options) -> an httpx2.AsyncClient of the server, in this process."""

    def made(**options):
        transport = httpx2.ASGITransport(app=app)
        return httpx2.AsyncClient(
            transport=transport, base_url=ADDRESS, timeout=20, **options
        )

    return made


@pytest.fixture
async def client(connect):
    async with connect() as one:
        yield one


@pytest.fixture
async def official(connect):
    """OpenAI's own client, as it is."""
    async with connect() as http:
        yield openai.AsyncOpenAI(
            base_url=f"{ADDRESS}/v1", api_key="none", http_client=http, max_retries=0
        )
