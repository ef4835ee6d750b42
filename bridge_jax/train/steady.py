"""Optimiser rules whose state stays as it is where a step is no good.

Their update takes `good` (scalar bool) beside what optax's take. The state is selected
where it is made, and not by whoever calls: what follows then reads the selected moments
alone, and XLA can write them over the old ones. Selected afterwards, the old ones would
still be wanted, and copied (what that cost on CPUs: bench/NOTES.md).

Parameters and moments of half precision are read in float32, and rounded once a step:
rounded at every operation, what is learnt is lost in the last digits, and CPUs take
longer (bench/NOTES.md).
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from bridge_jax.core.types import Array


def steady(rule: optax.GradientTransformation) -> optax.GradientTransformation:
    """`rule`, its state selected whole; updates come in float32."""

    def update(
        updates: Any, state: Any, params: Any = None, *, good: Array
    ) -> tuple[Any, Any]:
        updates, new = rule.update(wide(updates), wide(state), wide(params))
        return updates, select(good, _rounded_as(state, new), state)

    return optax.GradientTransformationExtraArgs(rule.init, update)


def adam(b1: float, b2: float, eps: float) -> optax.GradientTransformation:
    """optax.scale_by_adam, its state selected before anything reads it.

    Updates come in float32.
    """

    def update(
        updates: Any, state: Any, params: Any = None, *, good: Array
    ) -> tuple[Any, Any]:
        del params
        updates, before = wide(updates), wide(state)
        mu = optax.tree.update_moment(updates, before.mu, b1, 1)
        nu = optax.tree.update_moment_per_elem_norm(updates, before.nu, b2, 2)
        count = optax.safe_increment(state.count)
        kept = _rounded_as(state, optax.ScaleByAdamState(count, mu, nu))
        kept = _made(select(good, kept, state))
        mean = optax.tree.bias_correction(wide(kept.mu), b1, count)
        square = optax.tree.bias_correction(wide(kept.nu), b2, count)
        direction = jax.tree.map(lambda m, v: m / (jnp.sqrt(v) + eps), mean, square)
        return direction, kept

    return optax.GradientTransformationExtraArgs(
        optax.scale_by_adam(b1, b2, eps).init, update
    )


def wide(tree: Any) -> Any:
    """The same with half precision as float32."""

    def widened(leaf: Array) -> Array:
        half = leaf.dtype in (jnp.bfloat16, jnp.float16)
        return leaf.astype(jnp.float32) if half else leaf

    return jax.tree.map(widened, tree)


def _rounded_as(like: Any, tree: Any) -> Any:
    return jax.tree.map(lambda like, leaf: leaf.astype(like.dtype), like, tree)


def select(good: Array, new: Any, old: Any) -> Any:
    """Each leaf of `new` where `good`, else that of `old`, a tree of the same shapes.

    `jnp.where` would be a function of its own for each leaf, which XLA's preset for
    fast compiling leaves apart from what makes the leaf.
    """
    return jax.tree.map(lambda new, old: jax.lax.select_n(good, old, new), new, old)


def _made(tree: Any) -> Any:
    """The same, in memory before anything reads it: XLA on CPUs would make it twice.

    Elsewhere one fusion writes moments and parameters at once, and needs no telling.
    """
    return jax.lax.platform_dependent(
        tree, cpu=jax.lax.optimization_barrier, default=lambda tree: tree
    )
