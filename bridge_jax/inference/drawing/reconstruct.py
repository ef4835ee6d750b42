"""Pictures through the autoencoder and back: what of them can be drawn at all."""

import functools
import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from bridge_jax.core import log
from bridge_jax.core.errors import BridgeError
from bridge_jax.core.types import Params
from bridge_jax.data import images as images_lib
from bridge_jax.inference import batching, inputs
from bridge_jax.inference.drawing import paint
from bridge_jax.inference.engine import Engine

_PIXELS = 2**23  # of a batch at most, unless one picture has more


def reconstruct(
    engine: Engine, params: Params, values: Sequence[Any]
) -> list[np.ndarray]:
    """uint8 [H, W, 3] of each picture; see `model.Model.reconstruct`."""
    engine.need("reconstruct", "vae")
    factor = engine.bundle["vae"].config.factor
    pictures = inputs.opened(values, functools.partial(_opened, factor=factor))
    groups: dict[tuple[int, ...], list[int]] = {}
    for number, picture in enumerate(pictures):
        groups.setdefault(picture.shape, []).append(number)
    found: dict[int, np.ndarray] = {}
    for chunk in log.progress(_chunks(engine, groups), "reconstructing"):
        batch = {"images": np.stack([pictures[i] for i in chunk.indices])}
        latents = {"latents": engine.run(paint.encode, params, batch, {})}
        drawn = engine.run(paint.reveal, params, latents, {}, longest=math.inf)
        found |= dict(zip(chunk.real, np.asarray(drawn)))
    return [found[number] for number in range(len(pictures))]


def _opened(value: Any, factor: int) -> np.ndarray:
    """uint8 [H, W, 3], sides multiples of `factor`; raises BridgeError otherwise."""
    picture = images_lib.open_image(value)
    height, width, _ = picture.shape
    if height % factor or width % factor:
        name = value if isinstance(value, str | os.PathLike) else "a picture"
        raise BridgeError(
            f"{name} is {height} x {width}: sides must be multiples of {factor}; scale"
            " or cut it"
        )
    return picture


def _chunks(
    engine: Engine, groups: dict[tuple[int, ...], list[int]]
) -> list[batching.Chunk]:
    """Pictures of one shape that run together."""
    found = []
    for (height, width, _), numbers in groups.items():
        most = min(engine.limits.images, max(1, _PIXELS // (height * width)))
        found += batching.chunks(numbers, most, engine.parts)
    return found
