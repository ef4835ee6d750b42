"""What every one of our sides needs: a model of theirs as ours, and its training."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from bridge_jax.bench.side_by_side.case import LEARNING_RATE, Side, Task
from bridge_jax.checkpoint import weights_file
from bridge_jax.convert import run
from bridge_jax.core import hardware, memory, multipliers, runtime, term
from bridge_jax.core.types import Params
from bridge_jax.models import build
from bridge_jax.models.bundle import Bundle
from bridge_jax.sharding import place
from bridge_jax.train import optim, state, step


def start() -> None:
    """Set up jax. What compiling takes is told, so nothing comes from earlier runs."""
    runtime.start({"BRIDGE_JAX_CACHE": ""})


def layout() -> place.Layout:
    """One device."""
    return place.make({"data": 1}, devices=jax.devices()[:1])


def load(
    task: Task, form: str, source: str = "", **changes: Mapping[str, Any]
) -> tuple[Bundle, Params]:
    """Their weights below task.weights/source as a bundle of ours, on the device.

    `changes` are fields of a part's config to set.
    """
    target = task.imported / source
    if not target.exists():
        run.import_(form, task.weights / source, target)
    model = weights_file.read_config(target)["model"]
    model = {
        name: part | _kernels(part) | changes.get(name, {})
        for name, part in model.items()
    }
    bundle = build.build(build.in_dtype(model, task.dtype))
    params = weights_file.load(target, dtype=task.dtype)
    boxed = bundle.abstract()
    return bundle, place.put_params(layout(), params, boxed)


def _kernels(part: Mapping[str, Any]) -> dict[str, str]:
    """What our recipes say at published sizes: the best that the device has."""
    return {"attention": "auto"} if "attention" in part else {}


held = hardware.held  # as the other side's, `peers/sides`


def program(function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    """Runs function(*arguments), compiled, with arguments on the device."""
    arguments = jax.device_put(arguments)
    chosen = multipliers.options(jax.jit(function).trace(*arguments).jaxpr)
    compiled = jax.jit(function, compiler_options=chosen)

    def run() -> Any:
        return jax.block_until_ready(compiled(*arguments))

    return run


def forward(function: Callable[..., jax.Array], *arguments: Any) -> Side:
    """A side whose one result is the array that `function` returns."""
    return Side(program(function, *arguments), lambda out: {"out": np.asarray(out)})


def train(
    params: Params,
    batch: Any,
    loss: Callable[[Params, Any], term.Term],
    trainable: tuple[tuple[str, bool], ...] = ((".*", True),),
) -> Side:
    """A side that takes training steps on one batch, as our loops do."""
    config = optim.OptimConfig(
        learning_rate=LEARNING_RATE, schedule="constant", trainable=trainable
    )
    rule = optim.make(config, params, total_steps=1)
    where = layout()

    def terms(params, batch, rngs, now):
        del rngs, now
        return {"loss": (1.0, loss(params, batch))}

    one = step.Step(terms, rule, where)
    now = [state.create(params, rule, 0, where)]
    batch = where.put_batch(jax.tree.map(np.asarray, batch))

    def run() -> float:
        if one.traces == 0:
            one.compile(now[0], batch)
            memory.release()  # as the loop does, though not as soon
        now[0], figures = one(now[0], batch)
        total, weight = figures["loss"]
        return float(total) / float(weight)

    return Side(run, lambda value: {"loss": np.asarray(value)})
