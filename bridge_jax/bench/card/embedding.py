"""Retrieval: pictures or texts to vectors, through LLM, aligner and heads."""

import time
from typing import Any

import jax
import numpy as np

from bridge_jax.bench import fill
from bridge_jax.bench.card import result, timing
from bridge_jax.core import flops, hardware
from bridge_jax.core.errors import BridgeError
from bridge_jax.inference import embed
from bridge_jax.models import build
from bridge_jax.plan import abstract
from bridge_jax.train import recipe

STREAM = "retrieve"


def measure(config: Any, modality: str, rounds: int) -> result.Measured:
    """Time vectors of a batch of the recipe's stream `retrieve`, all in bfloat16.

    Args:
      config: resolved, of a recipe with that stream.
      modality: "image" or "text".

    Raises:
      BridgeError: anything that the config gets wrong, or vectors not of length 1.
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
    params = fill.random(shapes)
    batch = made.layout.put_batch(next(made.batches())[STREAM])
    seconds = timing.rounds(lambda: program(params, batch), rounds)
    lengths = np.linalg.norm(np.asarray(program(params, batch), np.float32), axis=-1)
    if not np.allclose(lengths, 1.0, atol=1e-2):
        raise BridgeError(f"vectors of length 1 have lengths {lengths}")
    return result.Measured(
        seconds=seconds,
        compile=compiled,
        flops=flops.count(traced.jaxpr, ()).model,
        bytes=0.0,
        items=len(lengths),
        peak=hardware.held(),
    )
