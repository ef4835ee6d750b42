"""/v1/embeddings: of texts, and by the further field `images` of pictures, too."""

import base64
from collections.abc import Callable
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from bridge_jax.serve import bodies, patience
from bridge_jax.serve.fields import Reader
from bridge_jax.serve.limits import Limits
from bridge_jax.serve.line import Ticket
from bridge_jax.serve.pictures import Pictures
from bridge_jax.serve.served import Served


def router(served: Served) -> APIRouter:
    routes = APIRouter()

    @routes.post("/v1/embeddings")
    async def embeddings(request: Request) -> Response:
        read = Reader(await bodies.read_json(request, served.limits))
        served.need("embed", read)
        texts, pictures = _inputs(read, served.limits)
        packed = read.one_of("encoding_format", ("float", "base64"), "float")
        read.refuse((), {"dimensions": "is not offered: leave it out"})
        read.ignore("user")
        read.close()
        work = _work(served, texts, pictures, packed == "base64")
        ticket = served.embeddings.enter(work)
        return JSONResponse(await patience.result(request, ticket))

    return routes


def _inputs(read: Reader, limits: Limits) -> tuple[list[str], list[bytes]]:
    """The texts and encoded pictures, at least one of all."""
    texts = _list(read, "input")
    if not all(isinstance(text, str) and text.strip() for text in texts):
        read.wrong("input", "is not a text or a list of texts that say something")
        texts = []
    pictures = Pictures(limits, most=limits.inputs)
    for number, url in enumerate(_list(read, "images")):
        if isinstance(url, str):
            pictures.data_url(read, f"images[{number}]", url)
        else:
            read.wrong(f"images[{number}]", "is not a data URL")
    count = len(texts) + len(pictures.encoded)
    if not 1 <= count <= limits.inputs and not read.problems:
        read.wrong("input", f"has {count:,} inputs: give 1 to {limits.inputs:,}")
    characters = sum(map(len, texts))
    if characters > limits.characters:
        read.wrong("input", f"has more than {limits.characters:,} characters")
    return texts, pictures.encoded


def _list(read: Reader, name: str) -> list[Any]:
    given = read.any(name, [])
    return given if isinstance(given, list) else [given]


def _work(
    served: Served, texts: list[str], pictures: list[bytes], packed: bool
) -> Callable[[Ticket], Any]:
    def work(ticket: Ticket) -> dict[str, Any]:
        tokens, vectors = served.backend.embed(texts, pictures)
        served.metrics.made("embeddings", len(vectors))
        data = [
            {"object": "embedding", "index": i, "embedding": _told(vector, packed)}
            for i, vector in enumerate(vectors)
        ]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        told = {"object": "list", "data": data, "model": served.name}
        return told | {"usage": usage}

    return work


def _told(vector: np.ndarray, packed: bool) -> list[float] | str:
    vector = np.asarray(vector, np.float32)
    if not packed:
        return vector.tolist()
    return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")
