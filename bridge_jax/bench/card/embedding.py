"""Retrieval: pictures or texts to vectors, through LLM, aligner and heads."""

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from bridge_jax.bench.card import fill, result, timing
from bridge_jax.core import flops
from bridge_jax.core.errors import BridgeError
from bridge_jax.inference import embed
from bridge_jax.models import build
from bridge_jax.plan import abstract
from bridge_jax.train import recipe

STREAM = "retrieve"


def prepare(config: Any, modality: str) -> Callable[[int], result.Measured]:
    """Compile vectors of a batch of the recipe's stream `retrieve`, all in bfloat16.

    The result measures them, and raises BridgeError for vectors not of length 1.

    Args:
      config: resolved, of a recipe with that stream.
      modality: "image" or "text".

    Raises:
      BridgeError: anything that the config gets wrong.
    """
    made = recipe.make(config)
    parts = made.bundle.description()
    bundle = build.build(
        build.in_dtype({name: parts[name] for name in embed.PARTS}, "bfloat16")
    )
    shapes = abstract.whole(bundle, made.layout)

    def vectors(params: Any, batch: Any) -> jax.Array:
        return embed.embedding(bundle, params, batch, {}, modality=modality)

    began = time.perf_counter()
    with made.layout.scope():
        traced = jax.jit(vectors).trace(shapes, abstract.batch(made)[STREAM])
        program = traced.lower().compile()
    compiled = time.perf_counter() - began

    def measure(rounds: int) -> result.Measured:
        params = fill.random(shapes)
        batch = made.layout.put_batch(next(made.batches())[STREAM])
        seconds = timing.rounds(lambda: program(params, batch), rounds)
        out = np.asarray(program(params, batch), np.float32)
        lengths = np.linalg.norm(out, axis=-1)
        if not np.allclose(lengths, 1.0, atol=1e-2):
            raise BridgeError(f"vectors of length 1 have lengths {lengths}")
        return result.Measured(
            seconds=seconds,
            compile=compiled,
            flops=flops.count(traced.jaxpr, ()).model,
            bytes=0.0,
            items=len(lengths),
            peak=result.held(),
        )

    return measure
