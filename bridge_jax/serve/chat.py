"""/v1/chat/completions: whole answers, or piece by piece."""

import dataclasses
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from bridge_jax.serve import bodies, events, patience
from bridge_jax.serve.asked import read_ask
from bridge_jax.serve.backend import Answer, Ask, Reply, Scored
from bridge_jax.serve.fields import Reader
from bridge_jax.serve.line import Ticket
from bridge_jax.serve.served import Served

BEGUN = "begun"  # the first event of every chat


def router(served: Served) -> APIRouter:
    routes = APIRouter()

    @routes.post("/v1/chat/completions")
    async def completions(request: Request) -> Response:
        read = Reader(await bodies.read_json(request, served.limits))
        served.need("chat", read)
        stream = read.flag("stream", False)
        counts = _wants_counts(read)
        ask = read_ask(read, served.limits)
        read.close()
        ticket = served.chats.enter(_work(served, ask))
        speaker = _Speaker(served, ask.logprobs is not None)
        if not stream:
            said = await patience.result(request, ticket)
            return JSONResponse(speaker.whole(said))
        happening = ticket.events()
        # Mistakes that only the model sees still have a status of their own.
        await patience.following(request, ticket, happening)
        rest = patience.rest(ticket, happening)
        return events.response(speaker.pieces(rest, counts))

    return routes


@dataclasses.dataclass
class _Said:
    """What has become of one request: its answers, and log-probabilities if wanted."""

    answers: list[Answer]
    chosen: list[list[Scored] | None]


def _work(served: Served, ask: Ask) -> Callable[[Ticket], _Said]:
    def work(ticket: Ticket) -> _Said:
        replies = served.backend.chat(ask)
        said = _Said([], [])
        try:
            for reply in replies:
                ticket.on_leaving(reply.cancel)
            ticket.tell(BEGUN)
            for number, reply in enumerate(replies):
                _listen(ticket, number, reply, said)
        except BaseException:
            for reply in replies:
                reply.cancel()
            raise
        written = sum(len(answer.tokens) for answer in said.answers)
        served.metrics.made("tokens", written)
        return said

    return work


def _listen(ticket: Ticket, number: int, reply: Reply, said: _Said) -> None:
    chosen: list[Scored] = []
    for piece in reply:
        chosen += piece.logprobs or ()
        ticket.tell((number, piece))
    said.answers.append(reply.result())
    said.chosen.append(chosen)
    ticket.tell((number, said.answers[-1].finish))


class _Speaker:
    """Says an answer as OpenAI does."""

    def __init__(self, served: Served, logprobs: bool):
        self._logprobs = logprobs
        self._head = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": served.name,
        }

    def whole(self, said: _Said) -> dict[str, Any]:
        choices = [
            {
                "index": number,
                "message": {
                    "role": "assistant",
                    "content": answer.text,
                    "refusal": None,
                },
                "logprobs": self._told(chosen),
                "finish_reason": answer.finish,
            }
            for number, (answer, chosen) in enumerate(
                zip(said.answers, said.chosen, strict=True)
            )
        ]
        kind = {"object": "chat.completion"}
        return self._head | kind | {"choices": choices, "usage": _usage(said)}

    async def pieces(
        self, rest: AsyncIterator[Any], counts: bool
    ) -> AsyncIterator[bytes]:
        begun: set[int] = set()
        async for event in rest:
            if isinstance(event, _Said):
                if counts:
                    yield self._chunk([], _usage(event))
                continue
            number, what = event
            if number not in begun:
                begun.add(number)
                first = {"role": "assistant", "content": ""}
                yield self._chunk([_delta(number, first)])
            if isinstance(what, str):
                yield self._chunk([_delta(number, {}, end=what)])
            else:
                told = self._told(what.logprobs)
                yield self._chunk([_delta(number, {"content": what.text}, told)])
        yield events.DONE

    def _chunk(self, choices: list[Any], usage: Any = None) -> bytes:
        kind = {"object": "chat.completion.chunk"}
        return events.event(self._head | kind | {"choices": choices, "usage": usage})

    def _told(self, chosen: Sequence[Scored] | None) -> dict[str, Any] | None:
        if not self._logprobs:
            return None
        content = [
            _scored(one) | {"top_logprobs": [_scored(other) for other in one.others]}
            for one in chosen or ()
        ]
        return {"content": content, "refusal": None}


def _scored(one: Scored) -> dict[str, Any]:
    letters = list(one.text.encode())
    return {"token": one.text, "logprob": one.log_probability, "bytes": letters}


def _delta(
    number: int, delta: dict[str, str], logprobs: Any = None, end: str | None = None
) -> dict[str, Any]:
    told = {"index": number, "delta": delta, "logprobs": logprobs}
    return told | {"finish_reason": end}


def _usage(said: _Said) -> dict[str, Any]:
    """All answers have one prompt."""
    first = said.answers[0]
    written = sum(len(answer.tokens) for answer in said.answers)
    return {
        "prompt_tokens": first.prompt_tokens,
        "completion_tokens": written,
        "total_tokens": first.prompt_tokens + written,
        "prompt_tokens_details": {"cached_tokens": first.reused},
    }


def _wants_counts(read: Reader) -> bool:
    options = read.object_of(read.any("stream_options", {}), "stream_options")
    wanted = options.flag("include_usage", False)
    options.ignore("include_obfuscation")
    options.unknown()
    return wanted
