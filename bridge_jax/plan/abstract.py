"""A run's state and batch as shapes on a mesh: nothing is allocated."""

from typing import Any

import jax
import numpy as np

from bridge_jax.core import rng
from bridge_jax.core.errors import BridgeError
from bridge_jax.data import pipeline
from bridge_jax.layers import lora
from bridge_jax.models import bundle as bundle_lib
from bridge_jax.sharding import place
from bridge_jax.train import optim, start, step
from bridge_jax.train import recipe as recipe_lib
from bridge_jax.train import state as state_lib


def params(recipe: recipe_lib.Recipe) -> Any:
    """ShapeDtypeStructs of all parameters where they would lie, adapters too."""
    boxed = recipe.bundle.abstract()
    adapters = recipe.config.lora
    if adapters.rank:

        def fresh(parts: Any) -> Any:
            key = rng.stream(0, "init/lora")
            return lora.init(parts, adapters.patterns, adapters.rank, key)

        boxed = boxed | {start.ADAPTERS: jax.eval_shape(fresh, boxed)}
    return _placed(boxed, recipe.layout)


def whole(bundle: bundle_lib.Bundle, layout: place.Layout) -> Any:
    """The same of a model that is used and not trained."""
    return _placed(bundle.abstract(), layout)


def _placed(boxed: Any, layout: place.Layout) -> Any:
    return jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(
            leaf.shape, leaf.dtype, sharding=sharding
        ),
        place.unbox(boxed),
        layout.shardings(boxed),
    )


def state(recipe: recipe_lib.Recipe, optimizer: optim.Optimizer, given: Any) -> Any:
    """The TrainState that a run would begin with, of `params`."""
    return state_lib.planned(given, optimizer, recipe.config.seed, recipe.layout)


def batch(recipe: recipe_lib.Recipe) -> Any:
    """Shapes of a global batch, from one row of each stream."""
    shapes, cache = {}, recipe.config.cache
    for name, given in recipe.config.streams.items():
        if "batch" not in given:
            raise BridgeError(f"streams.{name} says no batch: how many rows a step has")
        answers = cache.captions(recipe.processor)
        stream, size = pipeline.opened(name, given, recipe.processor, answers)
        row = cache.around(stream)(0)
        shapes[name] = jax.tree.map(
            lambda leaf, size=size: jax.ShapeDtypeStruct(
                (size, *np.shape(leaf)), np.asarray(leaf).dtype
            ),
            row,
        )
    return shapes


def training(recipe: recipe_lib.Recipe) -> tuple[step.Step, Any, Any]:
    """(step, state, batch) to compile, the program that the run itself compiles."""
    given = params(recipe)
    config = recipe.config
    optimizer = optim.make(config.optim, given, config.total_steps)
    made = recipe.step(optimizer)
    return made, state(recipe, optimizer, given), batch(recipe)
