"""The page at `/`: its files, and the two addresses that it alone asks.

Everything else it does by the endpoints that any client has.
"""

import importlib.resources
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from bridge_jax.serve import bodies, patience
from bridge_jax.serve.fields import Reader
from bridge_jax.serve.line import Ticket
from bridge_jax.serve.pictures import Pictures
from bridge_jax.serve.refused import Refused
from bridge_jax.serve.security import PAGE
from bridge_jax.serve.served import Served

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def files() -> dict[str, tuple[bytes, str]]:
    """name -> (content, type) of all that the page is made of."""
    home = importlib.resources.files(__package__)
    return {
        one.name: (one.read_bytes(), kind)
        for one in home.iterdir()
        for end, kind in TYPES.items()
        if one.name.endswith(end)
    }


def router(served: Served) -> APIRouter:
    routes, made = APIRouter(), files()

    @routes.get("/")
    async def page() -> Response:
        content, kind = made["index.html"]
        return Response(content, media_type=kind)

    @routes.get(f"{PAGE}{{name}}")
    async def file(name: str) -> Response:
        if name not in made:
            raise Refused(404, "the page has no such file")
        content, kind = made[name]
        return Response(content, media_type=kind)

    @routes.get("/page/about")
    async def about() -> Response:
        limits = served.limits
        names = ("n", "steps", "tokens", "pictures", "results")
        height, width = served.backend.size
        return JSONResponse(
            {
                "model": served.name,
                "tasks": sorted(served.backend.tasks),
                "size": f"{width}x{height}",
                "limits": {name: getattr(limits, name) for name in names},
                "searches": served.shelf is not None,
            }
        )

    @routes.post("/page/search")
    async def search(request: Request) -> Response:
        read = Reader(await bodies.read_json(request, served.limits))
        served.need("embed", read)
        if served.shelf is None:
            raise Refused(404, "there is nothing to search: start with --index FOLDER")
        work = _search(served, read)
        read.close()
        ticket = served.embeddings.enter(work)
        return JSONResponse(await patience.result(request, ticket))

    return routes


def _search(served: Served, read: Reader) -> Callable[[Ticket], Any]:
    """Looks for a text, for a picture, or for both."""
    pictures = Pictures(served.limits, most=1)
    k = read.whole("k", 12, 1, served.limits.results)
    text, url = read.text("text", None), read.text("picture", None)
    if url is not None:
        pictures.data_url(read, "picture", url)
    if text is None and url is None:
        read.wrong("text", "is missing, and a picture, too: give at least one")
    if text is not None and len(text) > served.limits.characters:
        read.wrong("text", f"has more than {served.limits.characters:,} characters")
    texts = [] if text is None else [text]

    def work(ticket: Ticket) -> dict[str, Any]:
        _, query = served.backend.embed(texts, pictures.encoded)
        ticket.wanted()
        return {"results": served.shelf.find(query, k)}

    return work
