"""Muon: Nesterov momentum whose matrices are orthogonalised, many at a time.

Newton-Schulz's iterations are fifteen products a matrix. Kernels of one role
("q/kernel" of all layers) have one shape and one sharding, so they are orthogonalised
as one stack: a program of that many fewer products, which compiles sooner.
"""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from bridge_jax.core.types import Array
from bridge_jax.layers import products

# Float32 numbers in one stack, which is a copy; a larger kernel is a stack of its own.
LARGEST_STACK = 2**24

# Newton-Schulz's iteration: x becomes a x + b (x xT) x + c (x xT)^2 x, so often.
_A, _B, _C = 3.4445, -4.7750, 2.0315
_TIMES = 5
_LEAST = 1e-8  # added to the norm of a matrix


class State(NamedTuple):
    """Updates so far (int32) and the mean gradient, a tree like the parameters."""

    count: Array
    mu: Any


def scale_by_muon(momentum: float) -> optax.GradientTransformation:
    """optax.contrib.scale_by_muon of kernels [..., out], in fewer and larger products.

    A kernel is a matrix: everything before its last axis reaches in.
    """

    def init(params: Any) -> State:
        return State(jnp.zeros((), jnp.int32), jax.tree.map(jnp.zeros_like, params))

    def update(updates: Any, state: State, params: Any = None) -> tuple[Any, State]:
        del params
        mu = optax.tree.update_moment(updates, state.mu, momentum, 1)
        count = optax.safe_increment(state.count)
        mean = optax.tree.bias_correction(mu, momentum, optax.safe_increment(count))
        now = optax.tree.bias_correction(updates, momentum, count)
        ahead = jax.tree.map(lambda m, g: momentum * m + (1 - momentum) * g, mean, now)
        return orthogonalised(ahead), State(count, mu)

    return optax.GradientTransformation(init, update)


def orthogonalised(kernels: Any) -> Any:
    """Each kernel [..., out] of a tree with its singular values brought near 1."""
    found, structure = jax.tree_util.tree_flatten_with_path(kernels)
    names = [jax.tree_util.keystr(path[-2:]) for path, _ in found]
    leaves = [leaf for _, leaf in found]
    for indices in _stacks(names, [leaf.shape for leaf in leaves]):
        stack = jnp.stack([_matrix(leaves[i]) for i in indices])
        for i, one in zip(indices, _orthogonalised(stack), strict=True):
            leaves[i] = one.reshape(leaves[i].shape)
    return jax.tree.unflatten(structure, leaves)


def _orthogonalised(stack: Array) -> Array:
    """[n, rows, columns], each of the n matrices by itself (Jordan et al. 2024)."""
    tall = stack.shape[1] > stack.shape[2]
    x = stack.mT if tall else stack
    x = x / (jnp.linalg.norm(x, axis=(1, 2), keepdims=True) + _LEAST)
    for _ in range(_TIMES):
        square = products.of_rows(x, x).astype(x.dtype)
        x = _A * x + products.product(
            _B * square + _C * products.product(square, square), x
        )
    return x.mT if tall else x


def _matrix(kernel: Array) -> Array:
    return kernel.reshape(-1, kernel.shape[-1])


def _stacks(names: list[str], shapes: list[tuple[int, ...]]) -> Iterable[list[int]]:
    """Indices of kernels that have one name and one shape, as many as may be."""
    groups: dict[Any, list[int]] = {}
    for index, key in enumerate(zip(names, shapes, strict=True)):
        groups.setdefault(key, []).append(index)
    for (_, shape), indices in groups.items():
        most = max(1, LARGEST_STACK // math.prod(shape))
        for start in range(0, len(indices), most):
            yield indices[start : start + most]
