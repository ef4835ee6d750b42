"""Weights of 8 bits with one scale an output channel, as a transform of a tree.

w is kept as round(w / s) in int8, s = max |w| / 127 over a channel, so that no weight
moves by more than s / 2. `Dense` and `Embed` read such weights as they read others and
multiply by s what comes out; activations stay as they are. For use, not for training.
"""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from bridge_jax.core import weights
from bridge_jax.layers.linear import SCALES

LEVELS = 127  # symmetric: -128 stays unused

# Which axis of a matrix its channels are counted along.
_CHANNELS = {"kernel": 1, "embedding": 0}


def quantize(params: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Host parameters with every matrix below `prefix` as int8, its scales beside it.

    Matrices are kernels [in, out], with a scale a column, and tables [vocab, features],
    with a scale a row. Everything else is passed through.
    """
    flat = {}
    for path, leaf in weights.flatten(params).items():
        axis = _axis(path, np.ndim(leaf)) if path.startswith(prefix) else None
        if axis is None:
            flat[path] = leaf
            continue
        values = np.asarray(leaf, np.float32)
        scale = np.abs(values).max(axis=1 - axis) / np.float32(LEVELS)
        scale = np.where(scale > 0, scale, np.float32(1))
        steps = np.round(values / np.expand_dims(scale, 1 - axis))
        flat[path] = steps.astype(np.int8)
        flat[_beside(path)] = scale
    return weights.unflatten(flat)


def boxed(boxes: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """Boxes of unquantized parameters, and those of the scales that `params` has.

    Scales are laid out as the channels that they belong to.
    """
    flat, held = weights.flatten(boxes), weights.flatten(params)
    scales = {}
    for path, box in flat.items():
        if _beside(path) in held:
            [size] = held[_beside(path)].shape
            name = box.names[_CHANNELS[path.rpartition("/")[2]]]
            shape = jax.ShapeDtypeStruct((size,), np.float32)
            scales[_beside(path)] = nn.LogicallyPartitioned(shape, (name,))
    return weights.unflatten(flat | scales)


def _axis(path: str, ndim: int) -> int | None:
    return _CHANNELS.get(path.rpartition("/")[2]) if ndim == 2 else None


def _beside(path: str) -> str:
    module, _, name = path.rpartition("/")
    return f"{module}/{SCALES[name]}" if name in SCALES else ""
