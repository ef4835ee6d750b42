"""Optimiser rules whose state stays as it is where a step is no good.

Their update takes `good` (scalar bool) beside what optax's take. The state is selected
where it is made, and not by whoever calls: what follows then reads the selected moments
alone, and XLA can write them over the old ones. Selected afterwards, the old ones would
still be wanted, and copied (what that cost on CPUs: bench/NOTES.md).
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from bridge_jax.core.types import Array


def steady(rule: optax.GradientTransformation) -> optax.GradientTransformation:
    """`rule`, its state selected whole."""

    def update(
        updates: Any, state: Any, params: Any = None, *, good: Array
    ) -> tuple[Any, Any]:
        updates, new = rule.update(updates, state, params)
        return updates, select(good, new, state)

    return optax.GradientTransformationExtraArgs(rule.init, update)


def adam(b1: float, b2: float, eps: float) -> optax.GradientTransformation:
    """optax.scale_by_adam, its state selected before anything reads it."""

    def update(
        updates: Any, state: Any, params: Any = None, *, good: Array
    ) -> tuple[Any, Any]:
        del params
        mu = optax.tree.update_moment(updates, state.mu, b1, 1)
        nu = optax.tree.update_moment_per_elem_norm(updates, state.nu, b2, 2)
        count = optax.safe_increment(state.count)
        kept = optax.ScaleByAdamState(count, mu, nu)
        kept = _made(select(good, kept, state))
        mean = optax.tree.bias_correction(kept.mu, b1, count)
        square = optax.tree.bias_correction(kept.nu, b2, count)
        direction = jax.tree.map(lambda m, v: m / (jnp.sqrt(v) + eps), mean, square)
        return direction, kept

    return optax.GradientTransformationExtraArgs(
        optax.scale_by_adam(b1, b2, eps).init, update
    )


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
