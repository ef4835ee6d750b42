"""A sum over positions a block at a time, and its gradient on the same way.

What a block makes in between (the scores of a vocabulary of 152k words, say) is gone
before the next one begins. A gradient that came afterwards would have to make it again;
that of a sum is known up to a factor as soon as the block's own share is.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

Sums = tuple[jax.Array, Any]


def total(
    fn: Callable[..., Sums], blocks: int, states: jax.Array, *beside: jax.Array
) -> Sums:
    """fn(states, *beside), where fn sums over positions: axis 1 of each argument.

    The gradient reaches `states` and whatever fn closes over, by the first sum alone.

    Args:
      fn: [B, T', D], [B, T'], ... -> (scalar, more scalars without a gradient). It must
        give zeros where all that is `beside` is 0, which fills the last block up.
      blocks: how many there are, at most one a position; block i is every `blocks`-th
        position, so that positions that lie on several devices stay where they are.
      states: [B, T, D] float.
      beside: [B, T], read and not differentiated.
    """
    blocks = min(blocks, states.shape[1])
    if blocks == 1:
        return fn(states, *beside)
    split = [_split(leaf, blocks) for leaf in (states, *beside)]
    pure, closed_over = jax.closure_convert(fn, *(leaf[0] for leaf in split))
    return _total(pure, closed_over, *split)


def _split(leaf: jax.Array, blocks: int) -> jax.Array:
    """[B, T, ...] -> [blocks, B, ceil(T / blocks), ...]."""
    rest = [(0, 0)] * (leaf.ndim - 2)
    leaf = jnp.pad(leaf, [(0, 0), (0, -leaf.shape[1] % blocks), *rest])
    rows, length = leaf.shape[:2]
    parts = leaf.reshape(rows, length // blocks, blocks, *leaf.shape[2:])
    return jnp.moveaxis(parts, 2, 0)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _total(fn, closed_over: Sequence[jax.Array], *blocks: jax.Array) -> Sums:
    def add(sums: Sums, block: Sequence[jax.Array]) -> tuple[Sums, None]:
        return jax.tree.map(jnp.add, sums, fn(*block, *closed_over)), None

    return jax.lax.scan(add, _zeros(fn, closed_over, blocks), blocks)[0]


def _forward(fn, closed_over, *given):
    # Gradients that nobody asked for, of a frozen table, say, are not made.
    asked = [leaf.value for leaf in closed_over if leaf.perturbed]
    states, *beside = (leaf.value for leaf in given)

    def step(carry, block):
        sums, gradients = carry
        states, *beside = block

        def of_block(asked, states):
            some = iter(asked)
            every = (
                next(some) if leaf.perturbed else leaf.value for leaf in closed_over
            )
            return fn(states, *beside, *every)

        share, pull, more = jax.vjp(of_block, asked, states, has_aux=True)
        found, of_states = pull(jnp.ones_like(share))
        sums = jax.tree.map(jnp.add, sums, (share, more))
        return (sums, jax.tree.map(jnp.add, gradients, found)), of_states

    sums = _zeros(fn, [leaf.value for leaf in closed_over], (states, *beside))
    gradients = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, jnp.float32), asked)
    (sums, gradients), of_states = jax.lax.scan(
        step, (sums, gradients), (states, *beside)
    )
    moved = iter(gradients)
    of_closed = [
        next(moved).astype(leaf.value.dtype) if leaf.perturbed else None
        for leaf in closed_over
    ]
    return sums, (of_closed, of_states, len(beside))


def _zeros(fn, closed_over, blocks):
    """Of what fn gives for one block."""
    shapes = jax.eval_shape(fn, *(leaf[0] for leaf in blocks), *closed_over)
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)


def _backward(fn, found, cotangents):
    del fn
    of_closed, of_states, beside = found

    def scaled(leaf):
        return (cotangents[0] * leaf).astype(leaf.dtype)

    of_closed, of_states = jax.tree.map(scaled, (of_closed, of_states))
    return of_closed, of_states, *[None] * beside


_total.defvjp(_forward, _backward, symbolic_zeros=True)
