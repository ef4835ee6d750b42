"""Low-rank adapters as a transform of a parameter tree (LoRA, arXiv 2106.09685).

No model knows of it: `loss(attach(frozen, adapters, scale))`, differentiated with
respect to `adapters` alone, trains the adapters and nothing else. `Dense` adds the
product of an attached pair to what it computes, so no gradient of a whole kernel is
ever made. `merge` gives kernels of the old shape, to export.
"""

import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from bridge_jax.core import weights
from bridge_jax.core.errors import BridgeError
from bridge_jax.layers.linear import LOW_RANK


def init(
    params: Mapping[str, Any], patterns: Sequence[str], rank: int, key: jax.Array
) -> dict[str, Any]:
    """Adapters for every kernel whose path matches one of the patterns.

    Args:
      params: nested dict; boxed parameters give boxed adapters with their axis names.
      patterns: regular expressions searched in paths such as
        "llm/layers_0/attention/query/kernel"; only [in, out] kernels are adapted.
      rank: columns of the first factor, at least 1.
      key: random key; each kernel draws from its own path, whatever else is adapted.

    Returns:
      {... {"kernel": {"down": [in, rank] normal, "up": [rank, out] zeros}}} in
      float32: at first, merging changes nothing.

    Raises:
      BridgeError: a rank below 1, or patterns that match no kernel.
    """
    if rank < 1:
        raise BridgeError(f"lora: rank must be at least 1, got {rank}")
    kernels = {
        path: value
        for path, value in weights.flatten(params).items()
        if path.endswith("kernel") and nn.unbox(value).ndim == 2
    }
    dead = [p for p in patterns if not any(re.search(p, path) for path in kernels)]
    if dead:
        raise BridgeError(
            f"lora: patterns that match no kernel: {', '.join(dead)}; "
            f"a path looks like {next(iter(kernels), 'a/b/kernel')}"
        )
    adapters = {}
    for path, kernel in kernels.items():
        if any(re.search(pattern, path) for pattern in patterns):
            own = jax.random.fold_in(key, zlib.crc32(path.encode()))
            down, up = _pair(kernel, rank, own)
            adapters |= {f"{path}/down": down, f"{path}/up": up}
    return weights.unflatten(adapters)


def attach(
    params: Mapping[str, Any], adapters: Mapping[str, Any], scale: float
) -> dict[str, Any]:
    """params with each adapter's two factors beside its kernel, where `Dense` looks.

    `scale` is alpha / rank. Both trees unboxed.

    Raises:
      BridgeError: an adapter whose kernel `params` does not have.
    """
    flat = weights.flatten(params)
    for path, (down, up) in _pairs(flat, adapters).items():
        module = path.removesuffix("/kernel")
        for name, factor in zip(LOW_RANK, (down, scale * up), strict=True):
            flat[f"{module}/{name}"] = factor
    return weights.unflatten(flat)


def merge(
    params: Mapping[str, Any], adapters: Mapping[str, Any], scale: float
) -> dict[str, Any]:
    """params with kernel + scale * down @ up, in each kernel's own dtype.

    `scale` is alpha / rank. Both trees unboxed; other leaves are passed through.

    Raises:
      BridgeError: an adapter whose kernel `params` does not have.
    """
    flat = weights.flatten(params)
    for path, (down, up) in _pairs(flat, adapters).items():
        kernel = flat[path]
        change = scale * (down @ up)
        flat[path] = (kernel.astype(jnp.float32) + change).astype(kernel.dtype)
    return weights.unflatten(flat)


def _pairs(
    flat: Mapping[str, Any], adapters: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
    """Path of a kernel -> its two factors; raises as `merge` does."""
    factors = weights.flatten(adapters)
    paths = [path.removesuffix("/down") for path in factors if path.endswith("/down")]
    lost = [path for path in paths if path not in flat]
    if lost:
        raise BridgeError(f"lora: no such kernels: {', '.join(lost)}")
    return {path: (factors[f"{path}/down"], factors[f"{path}/up"]) for path in paths}


def _pair(kernel: Any, rank: int, key: jax.Array) -> tuple[Any, Any]:
    inputs, outputs = nn.unbox(kernel).shape
    down = jax.random.normal(key, (inputs, rank), jnp.float32) / inputs**0.5
    up = jnp.zeros((rank, outputs), jnp.float32)
    if isinstance(kernel, nn.LogicallyPartitioned):
        first, last = kernel.names
        return (
            nn.LogicallyPartitioned(down, (first, "lora")),
            nn.LogicallyPartitioned(up, ("lora", last)),
        )
    return down, up
