"""Server-sent events: an answer that comes piece by piece."""

import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import StreamingResponse

from bridge_jax.serve.door import told

DONE = b"data: [DONE]\n\n"


def event(data: Any, name: str | None = None) -> bytes:
    """One event with JSON data."""
    line = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    start = f"event: {name}\n" if name else ""
    return f"{start}data: {line}\n\n".encode()


def response(pieces: AsyncIterator[bytes]) -> StreamingResponse:
    """The answer that `pieces` are; a mistake on the way becomes its last event."""
    return StreamingResponse(
        _told(pieces),
        media_type="text/event-stream",
        headers={"x-accel-buffering": "no"},  # proxies shall not gather it
    )


async def _told(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        async for piece in pieces:
            yield piece
    except Exception as error:  # noqa: BLE001 - the client is told in the stream
        refused = told(error)
        if refused is not None:
            yield event(refused.json())
