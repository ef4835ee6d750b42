"""Looking at pictures while they are drawn: a program in parts, run by the host.

`paint.paint` runs all steps as one program. Here the same steps run a few at a time,
and between them what is predicted of the clean pictures is decoded and shown. The parts
are plain calls from whatever thread draws; nothing calls back out of a program. Numbers
such as steps and guidance are arguments here: whatever is asked for, no program is
compiled anew, but for sizes, samplers, rescaling, and numbers of pictures.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bridge_jax.core.errors import Mistakes
from bridge_jax.core.types import Params
from bridge_jax.diffusion import samplers, sampling
from bridge_jax.inference import batching, inputs
from bridge_jax.inference.drawing import paint
from bridge_jax.inference.engine import Engine
from bridge_jax.inference.settings import Settings

# (steps taken, steps in all, uint8 [n, H, W, 3])
Previews = Callable[[int, int, np.ndarray], None]
EVERY = 5
_ROWS = 32  # steps in the smallest table
LONGEST = 32  # latents along a preview's longer side: 256 pixels as published


@dataclasses.dataclass(frozen=True)
class Watch:
    """Who looks, and every how many steps."""

    show: Previews
    every: int = EVERY

    def painted(
        self,
        engine: Engine,
        params: Params,
        batch: Mapping[str, Any],
        shared: Mapping[str, Any],
        settings: Settings,
        rows: Sequence[int],
    ) -> np.ndarray:
        """What `paint.paint` gives, those of `rows` shown on the way.

        Whatever `show` raises ends the work there and goes to the caller.
        """
        numbers, static = _in_numbers(settings)
        shared = {**shared, **numbers}
        mixed = settings.start > 0
        state = engine.advance(
            paint.begin, params, batch, shared, size=settings.size, mixed=mixed
        )
        steps = settings.steps - settings.start
        for first in range(0, steps, self.every):
            stop = min(first + self.every, steps)
            part = {"first": np.int32(first), "stop": np.int32(stop)}
            state = engine.advance(
                paint.go_on, params, {**batch, "state": state}, shared | part, **static
            )
            if stop < steps and rows:
                latents = {"latents": state.x0}
                seen = engine.run(paint.reveal, params, latents, {}, longest=LONGEST)
                self.show(stop, steps, np.asarray(seen)[list(rows)])
        latents = {"latents": state.x}
        return engine.run(paint.reveal, params, latents, {}, longest=math.inf)


def _in_numbers(settings: Settings) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings as arrays, and the little that a program is compiled for."""
    sampler, start = samplers.load(settings.sampler), settings.start
    plan = sampler.plan(settings.steps)
    rows = batching.power_bucket(settings.steps, _ROWS)
    table = [
        np.pad(column.astype(np.float32), (0, rows - len(column)))
        for column in plan.since(start)
    ]
    signal, sigma = sampling.mixture(sampler, settings.steps, start)
    scalars = {
        "signal": signal,
        "sigma": sigma,
        "scale": settings.guidance,
    }
    numbers = {name: np.float32(value) for name, value in scalars.items()}
    numbers |= {"table": sampling.Plan(*table), "start": np.int32(start)}
    return numbers, {
        "sampler": settings.sampler,
        "stochastic": plan.stochastic,
        "guided": settings.guidance != 1,
        "rescale": settings.rescale,
    }


def watch(previews: Previews | None, preview_every: int) -> Watch | None:
    """The `Watch` of keyword arguments. Raises BridgeError for those that cannot be."""
    mistakes = Mistakes()
    with mistakes:
        inputs.positive(preview_every, "preview_every")
    if not (previews is None or callable(previews)):
        mistakes.add(f"previews {previews!r:.60} is no function")
    mistakes.end()
    return Watch(previews, preview_every) if previews else None
