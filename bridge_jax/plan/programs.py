"""The programs that a run consists of, traced for devices that may not be there."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bridge_jax.core import flops, trees
from bridge_jax.core.errors import BridgeError
from bridge_jax.inference import batching
from bridge_jax.inference.answering import decode
from bridge_jax.inference.drawing import generate, paint
from bridge_jax.inference.engine import Engine
from bridge_jax.inference.results import Caption
from bridge_jax.inference.settings import Settings
from bridge_jax.models import build
from bridge_jax.plan import abstract
from bridge_jax.sharding import place
from bridge_jax.train import recipe as recipe_lib
from bridge_jax.train import step as step_lib

PROMPT = "a photo of a red circle above a blue square"
CAPTION = "a small red circle top, a large blue square bottom, on a black background"


@dataclasses.dataclass(frozen=True)
class Program:
    """One compiled thing.

    Attributes:
      name: "training step", or a stage of sampling.
      traced: what jax traced, to lower and compile under `layout.scope()`.
      layout: mesh and rules.
      params: shapes of all parameters that stay, on their devices.
      state: the same and whatever else stays, such as the optimiser's.
      averaged: the part of `state` that is a moving average of parameters, or None.
      batch: shapes of what is given besides, and their shardings.
      trainable: path -> whether it trains.
      count: its arithmetic.
    """

    name: str
    traced: Any
    layout: place.Layout
    params: Any
    state: Any
    averaged: Any
    batch: tuple[Any, Any]
    trainable: Any
    count: flops.Count


def training(recipe: recipe_lib.Recipe) -> list[Program]:
    """The one step of a training run."""
    step, state, batch = abstract.training(recipe)
    traced = step.trace(state, batch)
    assert step.count is not None
    given = batch, recipe.layout.batch_sharding(batch)
    return [
        Program(
            name="training step",
            traced=traced,
            layout=recipe.layout,
            params=state.params,
            state=state,
            averaged=state.ema,
            batch=given,
            trainable=trees.partition(state.params, step.trainable)[0],
            count=step.count,
        )
    ]


def sampling(recipe: recipe_lib.Recipe) -> list[Program]:
    """Prompts to pictures, one a share of the batch: rewriting, conditions, painting.

    Weights are bfloat16, as for `bridge_jax.load(path, dtype="bfloat16")`.

    Raises:
      BridgeError: the model lacks a part that drawing needs.
    """
    engine = _engine(recipe)
    params = abstract.whole(engine.bundle, engine.layout)
    rows = engine.parts
    settings = Settings(steps=25, guidance=6.0)
    shared = engine.processor

    made = generate.Rows(shared, [PROMPT], [Caption(CAPTION)], settings)
    looked = _rows(engine, made(0), rows)
    empty = _whole(engine, batching.stack([shared.texts("", "")] * rows))
    names = {"condition": settings.condition, "mask": settings.mask}
    conditions = _program(
        engine, params, "conditions", paint.conditions, looked, {"empty": empty}, names
    )
    wanted, unwanted = conditions.traced.out_info
    seed = jax.ShapeDtypeStruct((), jnp.uint32, sharding=engine.layout.replicated)
    numbers = _rows(engine, np.uint32(0), rows)
    painting = _program(
        engine,
        params,
        f"painting, {settings.steps} steps",
        paint.paint,
        {"condition": _placed(engine, wanted), "numbers": numbers},
        {"unconditional": _whole(engine, unwanted), "seed": seed},
        settings.sampling,
    )
    return [_rewriting(engine, params, rows), conditions, painting]


PROGRAMS: Mapping[str, Callable[[recipe_lib.Recipe], list[Program]]] = {
    "training": training,
    "sampling": sampling,
}


def _engine(recipe: recipe_lib.Recipe) -> Engine:
    """An engine for the recipe's model on the recipe's mesh."""
    missing = [name for name in paint.PARTS["queries"] if name not in recipe.bundle]
    if missing:
        raise BridgeError(
            f"sampling needs {', '.join(missing)}, which this config's model lacks;"
            " give a config of all parts, such as configs/stage2_omnibridge_7b.py"
        )
    described = recipe.bundle.description()
    parts = {name: described[name] for name in paint.PARTS["queries"]}
    bundle = build.build(build.in_dtype(parts, "bfloat16"))
    return Engine(bundle, recipe.processor, recipe.layout)


def _rewriting(engine: Engine, params: Any, rows: int) -> Program:
    """The LLM writes captions: prefill, then a token a turn."""
    prompt = decode.Conversation(engine.processor.draw(PROMPT, None))
    batch = decode.prepare(engine, [prompt])
    one = jax.tree.map(lambda leaf: leaf[0], batch) | {"numbers": np.uint32(0)}
    scalar = {"limit": jnp.int32, "temperature": jnp.float32, "seed": jnp.uint32}
    shared = {name: np.zeros((), dtype) for name, dtype in scalar.items()}
    shared["stops"] = np.zeros(len(engine.processor.template.ends), np.int32)
    slots = batching.length_bucket(engine.processor.config.memory_length, decode.SLOTS)
    return _program(
        engine,
        params,
        "rewriting",
        decode.answer,
        _rows(engine, one, rows),
        _whole(engine, shared),
        {"slots": slots, "greedy": True},
    )


def _program(
    engine: Engine,
    params: Any,
    name: str,
    program: Callable[..., Any],
    batch: Any,
    shared: Any,
    static: Mapping[str, Any],
) -> Program:
    jitted = engine.jitted(program, static)
    with engine.layout.scope():
        traced = jitted.trace(params, batch, shared, **static)
    given = (batch, shared)
    return Program(
        name=name,
        traced=traced,
        layout=engine.layout,
        params=params,
        state=params,
        averaged=None,
        batch=(given, jax.tree.map(lambda leaf: leaf.sharding, given)),
        trainable={},
        count=flops.count(traced.jaxpr, (step_lib.VISION, *engine.bundle.parts)),
    )


def _rows(engine: Engine, row: Any, rows: int) -> Any:
    """Shapes of so many rows like this one, laid out as a batch."""
    many = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((rows, *np.shape(leaf)), leaf.dtype), row
    )
    return _placed(engine, many)


def _placed(engine: Engine, batch: Any) -> Any:
    return jax.tree.map(
        lambda leaf, where: jax.ShapeDtypeStruct(
            leaf.shape, leaf.dtype, sharding=where
        ),
        batch,
        engine.layout.batch_sharding(batch),
    )


def _whole(engine: Engine, tree: Any) -> Any:
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(
            np.shape(leaf), leaf.dtype, sharding=engine.layout.replicated
        ),
        tree,
    )
