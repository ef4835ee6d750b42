"""A training step of a recipe: its own program, its own first batch, random weights."""

import time
from typing import Any

import jax

from bridge_jax.bench import fill
from bridge_jax.bench.card import result, timing
from bridge_jax.core import hardware
from bridge_jax.core.errors import BridgeError
from bridge_jax.plan import abstract
from bridge_jax.train import meter, recipe, state


def measure(config: Any, rounds: int) -> result.Measured:
    """Time steps on one batch, which is there already.

    Args:
      config: resolved, or what its JSON says.

    Raises:
      BridgeError: anything that the config gets wrong, or a step that is skipped.
    """
    made = recipe.make(config)
    began = time.perf_counter()
    one, shapes, batch_shapes = abstract.training(made)
    one.compile(shapes, batch_shapes)  # before anything lies on the card
    compiled = time.perf_counter() - began
    params = fill.random(shapes.params)
    now = [state.create(params, one.optimizer, made.config.seed, made.layout)]
    read = next(made.batches())
    batch = made.layout.put_batch(read)
    told = []

    def run() -> Any:
        now[0], figures = one(now[0], batch)
        told.append((figures["loss"][0], figures["skipped"][0]))
        return told[-1]

    seconds = timing.rounds(run, rounds)
    assert one.traces == 1, "the batch is not what was compiled for"
    assert one.count is not None
    losses, skipped = zip(*jax.device_get(told), strict=True)
    if any(skipped):
        raise BridgeError(
            f"{sum(skipped):.0f} of {len(skipped)} steps were skipped, which changes"
            " what they cost: their loss or gradient was not finite"
        )
    return result.Measured(
        seconds=seconds,
        compile=compiled,
        flops=one.count.model,
        bytes=0.0,
        items=meter.samples(read),
        peak=hardware.held(),
        told={"first_loss": float(losses[0]), "last_loss": float(losses[-1])},
    )
