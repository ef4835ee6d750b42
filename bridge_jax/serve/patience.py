"""Waiting for a ticket: no longer than its time, and only while the client is there."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request

from bridge_jax.serve.line import Left, Ticket
from bridge_jax.serve.refused import Refused


async def result(request: Request, ticket: Ticket) -> Any:
    """What the work returns; what it tells before is dropped.

    Raises:
      Refused: its time is over (504).
      Left: the client is.
    """
    events, found = ticket.events(), None
    while True:
        try:
            found = await following(request, ticket, events)
        except StopAsyncIteration:
            return found


async def following(
    request: Request, ticket: Ticket, events: AsyncIterator[Any]
) -> Any:
    """The next of `events`, of a client that is not being answered yet.

    Raises:
      StopAsyncIteration: there are no more; and as `result`.
    """
    coming = asyncio.ensure_future(anext(events))
    gone = asyncio.ensure_future(_gone(request))
    try:
        left = ticket.deadline - asyncio.get_running_loop().time()
        await asyncio.wait(
            {coming, gone}, timeout=left, return_when=asyncio.FIRST_COMPLETED
        )
        if coming.done():
            return coming.result()
        raise Left if gone.done() else late()
    except BaseException:
        ticket.leave()
        raise
    finally:
        coming.cancel()
        gone.cancel()


async def rest(ticket: Ticket, events: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """All further `events`, of a client that is being answered.

    Raises:
      Refused: its time is over (504).
    """
    try:
        while True:
            try:
                async with asyncio.timeout_at(ticket.deadline):
                    event = await anext(events)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise late() from None
            yield event
    finally:
        ticket.leave()


def late() -> Refused:
    return Refused(504, "the request took too long: ask for less, or try again later")


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
