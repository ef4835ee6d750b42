"""/v1/images/generations and /v1/images/edits, whole or with previews on the way.

Beyond OpenAI's fields both take `seed`, `steps`, `guidance`, `rescale`, `sampler`,
`condition`, `negative_prompt` and `best_of`; drawing takes `rewrite`, editing
`strength` and the size "source". A stream shows as many `partial_images` of each
picture as are asked for.
"""

import math
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from bridge_jax.serve import bodies, events, patience
from bridge_jax.serve.backend import Size, Wish
from bridge_jax.serve.fields import Reader, shown
from bridge_jax.serve.limits import Limits
from bridge_jax.serve.line import Ticket
from bridge_jax.serve.pictures import Pictures, png
from bridge_jax.serve.served import Served

DEFAULT_STEPS = 25
LOOKS = 3  # times that a drawing without previews looks whether it is still wanted
DEFAULT_GUIDANCE = 3.0  # as of `bridge generate`
SAMPLERS = ("dpm", "ddim", "ddpm")
CONDITIONS = ("queries", "text")
_SIZE = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})")
_IGNORED = ("user", "quality", "style", "background", "moderation", "input_fidelity")
_REFUSED = {
    "mask": "is not offered: say in words what is to change",
    "output_compression": "is not offered: pictures are PNG",
}


def router(served: Served) -> APIRouter:
    routes = APIRouter()

    @routes.post("/v1/images/generations")
    async def generations(request: Request) -> Response:
        read = Reader(await bodies.read_json(request, served.limits))
        served.need("draw", read)
        choices = {"rewrite": read.flag("rewrite", True)}
        return await _answer(served, request, read, choices, None)

    @routes.post("/v1/images/edits")
    async def edits(request: Request) -> Response:
        form = await bodies.read_form(request, served.limits)
        read = Reader(form, texts=True)
        served.need("edit", read)
        strength = read.number("strength", None, 0.0, 1.0)
        choices = {} if strength is None else {"strength": strength}
        return await _answer(
            served, request, read, choices, _uploaded(read, served.limits)
        )

    return routes


async def _answer(
    served: Served,
    request: Request,
    read: Reader,
    choices: Mapping[str, Any],
    picture: bytes | None,
) -> Response:
    stream = read.flag("stream", False)
    partial = read.whole("partial_images", 0, 0, served.limits.steps)
    wish = _wish(read, served, choices, picture)
    read.close()
    steps = wish.choices["steps"]
    shown = partial if stream else 0
    every = math.ceil(steps / ((shown or LOOKS) + 1))
    ticket = served.drawings.enter(_work(served, wish, every, shown > 0))
    if not stream:
        return JSONResponse(await patience.result(request, ticket))
    happening = ticket.events()
    first = await patience.following(request, ticket, happening)
    rest = patience.rest(ticket, happening)
    kind = "image_generation" if picture is None else "image_edit"
    return events.response(_pieces(kind, first, rest))


def _wish(
    read: Reader, served: Served, choices: Mapping[str, Any], picture: bytes | None
) -> Wish:
    limits = served.limits
    prompt = read.text("prompt")
    if isinstance(prompt, str) and len(prompt) > limits.characters:
        read.wrong("prompt", f"has more than {limits.characters:,} characters")
    made = dict(choices) | {
        "seed": read.whole("seed", 0),
        "steps": read.whole("steps", min(DEFAULT_STEPS, limits.steps), 1, limits.steps),
        "guidance": read.number("guidance", DEFAULT_GUIDANCE, 0.0, 100.0),
        "rescale": _rescale(read),
        "sampler": read.one_of("sampler", SAMPLERS, SAMPLERS[0]),
        "condition": read.one_of("condition", CONDITIONS, CONDITIONS[0]),
        "best_of": read.whole("best_of", 1, 1, limits.n),
    }
    if read.has("negative_prompt"):
        made["negative"] = read.text("negative_prompt")
    n = read.whole("n", 1, 1, limits.n)
    size = _size(read, picture is not None)
    # "source" has about the area of the model's own.
    height, width = size if isinstance(size, tuple) else served.backend.size
    if height * width * n * made["best_of"] > limits.pixels:
        words = f"times n times best_of is more than {limits.pixels:,} pixels"
        read.wrong("size", words)
    # Pictures stay here: nothing is kept that an address could be given of.
    read.one_of("response_format", ("b64_json",), "b64_json")
    read.one_of("output_format", ("png",), "png")
    read.refuse((), _REFUSED)
    read.ignore(*_IGNORED)
    return Wish(prompt, picture, n, size, made)


def _rescale(read: Reader) -> float:
    """In tenths: a program is compiled for each value, and clients choose it."""
    value = read.number("rescale", 0.0, 0.0, 1.0)
    if round(value, 1) != value:
        read.wrong("rescale", f"{shown(value)} is none of 0, 0.1, ... 1")
    return value


def _size(read: Reader, edits: bool) -> Size:
    """What `Wish.size` is of "WIDTHxHEIGHT", "auto" and, for edits, "source"."""
    given = read.any("size", "auto")
    found = _SIZE.fullmatch(given) if isinstance(given, str) else None
    if found:
        return int(found[2]), int(found[1])
    if given == "auto" or (given == "source" and edits):
        return None if given == "auto" else given
    others = "auto or source" if edits else "auto"
    read.wrong("size", f"is not of the form 64x64 (width x height), nor {others}")
    return None


def _uploaded(read: Reader, limits: Limits) -> bytes:
    pictures, given = Pictures(limits, most=1), read.any("image")
    files = given if isinstance(given, list) else [given]
    for file in files if given is not None else []:
        if isinstance(file, bytes):
            pictures.file(read, "image", file)
        else:
            read.wrong("image", "is a text and not a file")
    if given is None:
        read.wrong("image", "is missing: upload a picture")
    return pictures.encoded[0] if pictures.encoded else b""


def _work(
    served: Served, wish: Wish, every: int, shown: bool
) -> Callable[[Ticket], Any]:
    def work(ticket: Ticket) -> dict[str, Any]:
        def show(step: int, steps: int, images: np.ndarray) -> None:
            ticket.wanted()
            if shown and step < steps:
                ticket.tell((step, steps, [png(image) for image in images]))

        drawn = served.backend.draw(wish, show, every)
        served.metrics.made("pictures", len(drawn.images))
        height, width = drawn.images.shape[1:3]
        note = {"note": drawn.note} if drawn.note else {}
        return {
            "created": int(time.time()),
            "data": [
                {"b64_json": png(image), "revised_prompt": drawn.caption} | note
                for image in drawn.images
            ],
            "output_format": "png",
            "size": f"{width}x{height}",
        }

    return work


async def _pieces(
    kind: str, first: Any, rest: AsyncIterator[Any]
) -> AsyncIterator[bytes]:
    """Every event of a drawing as OpenAI's client reads it, a picture each."""
    numbers: dict[int, int] = {}
    async for event in _with(first, rest):
        if isinstance(event, dict):
            for index, one in enumerate(event["data"]):
                yield _event(f"{kind}.completed", one | {"image_index": index}, event)
            continue
        step, steps, pictures = event
        for index, picture in enumerate(pictures):
            number = numbers[index] = numbers.get(index, -1) + 1
            told = {
                "b64_json": picture,
                "partial_image_index": number,
                "image_index": index,
                "step": step,
                "steps": steps,
            }
            yield _event(f"{kind}.partial_image", told, {})


def _event(name: str, told: dict[str, Any], whole: Mapping[str, Any]) -> bytes:
    common = {
        "type": name,
        "created_at": int(time.time()),
        "output_format": "png",
        "size": whole.get("size", "auto"),
        "quality": "auto",
        "background": "auto",
    }
    return events.event(common | told, name)


async def _with(first: Any, rest: AsyncIterator[Any]) -> AsyncIterator[Any]:
    yield first
    async for event in rest:
        yield event
