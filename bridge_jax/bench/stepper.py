"""Training steps of a recipe, one call a step, to be timed."""

import time
from collections.abc import Callable
from typing import Any

import jax

from bridge_jax.train import optim, recipe, state


def stepper(config: recipe.Config) -> Callable[[], Any]:
    """A function that reads a batch and trains on it; its figures, not waited for."""
    made = recipe.make(config)
    params = made.fresh_params()
    rule = optim.make(config.optim, params, config.total_steps)
    now = [state.create(params, rule, config.seed, made.layout)]
    one = made.step(rule)
    batches = made.batches()

    def go() -> Any:
        now[0], figures = one(now[0], made.layout.put_batch(next(batches)))
        return figures

    return go


def timed(work: Callable[..., Any], *given: Any) -> float:
    """Seconds until all that `work` returns is there."""
    began = time.perf_counter()
    jax.block_until_ready(work(*given))
    return time.perf_counter() - began
