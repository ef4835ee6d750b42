"""Decoding: a token a turn, each of which reads all weights once."""

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bridge_jax.bench import fill
from bridge_jax.bench.card import result, timing
from bridge_jax.core import hardware, trees
from bridge_jax.inference.answering import decode
from bridge_jax.models import build
from bridge_jax.plan import abstract
from bridge_jax.sharding import place

PROMPT, FEW, SLOTS = 128, 16, 256  # tokens
WITHOUT = ("vlm/vision/", "vlm/llm/embed_tokens/")  # what a turn does not read whole


def measure(model: Any, rows: int, rounds: int) -> result.Measured:
    """Time a turn of answers to `rows` texts.

    The time of few tokens is taken off that of many: prompts do not count.

    Args:
      model: {"vlm": {"family": "qwen2_vl", "size", ...}}; in bfloat16.
    """
    bundle = build.build(build.in_dtype(model, "bfloat16"))
    layout = place.make({"data": 1}, devices=jax.devices()[:1])
    shapes = abstract.whole(bundle, layout)
    config = bundle["vlm"].config
    batch = _prompts(config, rows)
    stops = np.array([-1], np.int32)

    def answer(params, batch, limit):
        shared = {"limit": limit, "stops": jnp.asarray(stops)}
        return decode.answer(bundle, params, batch, shared, slots=SLOTS, greedy=True)

    began = time.perf_counter()
    program = jax.jit(answer).lower(shapes, batch, np.int32(0)).compile()
    compiled = time.perf_counter() - began
    params, batch = fill.random(shapes), jax.device_put(batch)
    few, many = (
        timing.rounds(lambda count=count: program(params, batch, count), rounds)
        for count in (jnp.int32(FEW), jnp.int32(SLOTS))
    )
    turns = SLOTS - FEW
    return result.Measured(
        seconds=tuple((b - a) / turns for a, b in zip(few, many, strict=True)),
        compile=compiled,
        flops=0.0,
        bytes=_weights(params, config) + _remembered(config, rows),
        items=rows,
        peak=hardware.held(),
    )


def _prompts(config: Any, rows: int) -> dict[str, Any]:
    """Texts of random tokens, as fields of `decode.answer`."""
    tokens = np.random.default_rng(0).integers(10, config.pad, (rows, PROMPT))
    positions = np.broadcast_to(np.arange(PROMPT, dtype=np.int32), (rows, 3, PROMPT))
    return {
        "vlm": {
            "tokens": tokens.astype(np.int32),
            "positions": positions,
            "segments": np.ones((rows, PROMPT), np.int32),
        },
        "deltas": np.zeros(rows, np.int32),
        "numbers": np.arange(rows, dtype=np.int32),
    }


def _weights(params: Any, config: Any) -> float:
    """Bytes of weights that a turn reads."""
    left_out = WITHOUT[:1] if config.tied_embeddings else WITHOUT
    return sum(
        leaf.nbytes
        for path, leaf in trees.flatten(params).items()
        if not path.startswith(left_out)
    )


def _remembered(config: Any, rows: int) -> float:
    """Bytes of keys and values of all earlier tokens, in the middle of the answer."""
    tokens = PROMPT + (FEW + SLOTS) / 2
    width = config.kv_heads * config.head_dim
    return 2 * 2 * config.layers * width * tokens * rows
