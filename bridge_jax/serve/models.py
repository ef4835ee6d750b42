"""/v1/models, /healthz and /metrics: what there is, and how it is."""

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from bridge_jax.serve.refused import Refused
from bridge_jax.serve.served import Served


def router(served: Served) -> APIRouter:
    routes = APIRouter()
    card = {
        "id": served.name,
        "object": "model",
        "created": served.created,
        "owned_by": "bridge_jax",
    }

    @routes.get("/v1/models")
    async def models() -> Response:
        return JSONResponse({"object": "list", "data": [card]})

    @routes.get("/v1/models/{name:path}")
    async def model(name: str) -> Response:
        if name != served.name:
            told = f"there is no such model here: this server has {served.name}"
            raise Refused(404, told, param="model", code="model_not_found")
        return JSONResponse(card)

    @routes.get("/healthz")
    async def health() -> Response:
        if served.stopping:
            raise Refused(503, "the server is stopping")
        return JSONResponse({"status": "ok"})

    @routes.get("/metrics")
    async def metrics() -> Response:
        return Response(
            served.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8"
        )

    return routes
