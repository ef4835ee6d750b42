"""A released layout straight onto a mesh: each process reads what its devices hold."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import ml_dtypes
import numpy as np

from bridge_jax.convert import plan, run
from bridge_jax.core import trees, weights
from bridge_jax.core.types import Params
from bridge_jax.models import build
from bridge_jax.sharding import place

# Our axis k is their axis AXES[transform][k]: a part of ours is a part of theirs.
AXES = {"transpose": (1, 0), "conv2d": (2, 3, 1, 0)}
Index = tuple[slice, ...]


def load(
    name: str,
    source: Path,
    layout: place.Layout,
    dtype: str | None = None,
    on_read: Callable[[str, int], None] = lambda tensor, size: None,
) -> tuple[dict[str, Any], Params]:
    """Read a released model onto the devices of a mesh.

    Args:
      name: of the format.
      layout: mesh and rules; every process calls this alike.
      dtype: what weights become; None keeps the file's.
      on_read: told (tensor, bytes) of everything that is read.

    Returns:
      (the model's description, sharded parameters).

    Raises:
      BridgeError: as `run.import_`.
    """
    form = plan.named(name)
    found = run.open_source(form, source)
    model = form.read(run.read_about(form, source), found.shapes)
    moves, _ = plan.importing(form, model, found)
    bundle = build.build(model)
    shardings = trees.flatten(layout.shardings(bundle.abstract()))
    flat = {
        move.target: _array(move, found, shardings[move.target], dtype, on_read)
        for move in moves
    }
    return bundle.description(), trees.unflatten(flat)


def _array(move, found, sharding, dtype, on_read) -> jax.Array:
    """One global array; what several devices hold is read once."""
    shape = move.spec[1]
    rule = move.rules[0]
    turns = len(move.rules) == 1 and rule.transform in ("copy", *AXES) and shape
    whole = functools.cache(lambda: _whole(move, found, on_read))
    parts: dict[tuple, np.ndarray] = {}

    def part(index: Index) -> np.ndarray:
        key = tuple(one.indices(size)[:2] for one, size in zip(index, shape))
        if key not in parts:
            ends = tuple(slice(*pair) for pair in key)
            if turns:
                array = _part(move, found, on_read, ends)
            else:
                array = np.ascontiguousarray(whole()[ends])
            parts[key] = array if dtype is None else array.astype(_numpy(dtype))
        return parts[key]

    return jax.make_array_from_callback(shape, sharding, part)


def _part(move, found, on_read, index: Index) -> np.ndarray:
    """A part of ours, from the same part of theirs."""
    rule, name = move.rules[0], move.sources[0]
    axes = AXES.get(rule.transform, tuple(range(len(index))))
    theirs = [slice(None)] * len(index)
    for ours, axis in enumerate(axes):
        theirs[axis] = index[ours]
    array = found.slice(name, tuple(theirs))
    on_read(name, array.nbytes)
    return np.ascontiguousarray(weights.turned(move.rules, [array]))


def _whole(move, found, on_read) -> np.ndarray:
    """All of it: cut anew and not only turned. Such tensors are small."""
    arrays = [found[name] for name in move.sources]
    for name, array in zip(move.sources, arrays, strict=True):
        on_read(name, array.nbytes)
    return weights.turned(move.rules, arrays)


def _numpy(dtype: str) -> np.dtype:
    return np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
