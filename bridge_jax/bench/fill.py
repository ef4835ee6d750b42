"""Weights of models that nobody has trained, made where they lie."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from bridge_jax.core.types import Params

SCALE = 0.02


def random(shapes: Any) -> Params:
    """Arrays for ShapeDtypeStructs that say where they lie (`plan/abstract`).

    Matrices are drawn; vectors are one, since most of them are scales. A program for
    each shape, not one of all initialisers: a large model would compile for minutes.
    """
    leaves, structure = jax.tree.flatten(shapes)
    made = [_one(leaf, seed) for seed, leaf in enumerate(leaves)]
    return jax.tree.unflatten(structure, made)


def _one(leaf: jax.ShapeDtypeStruct, seed: int) -> jax.Array:
    return _program(leaf.shape, leaf.dtype, leaf.sharding)(jnp.uint32(seed))


@functools.cache
def _program(shape: tuple[int, ...], dtype: Any, where: Any) -> Any:
    def draw(seed: jax.Array) -> jax.Array:
        if len(shape) < 2:
            return jnp.ones(shape, dtype)
        return SCALE * jax.random.normal(jax.random.key(seed), shape, dtype)

    return jax.jit(draw, out_shardings=where)
