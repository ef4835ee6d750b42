"""Steps whose gradient is out of proportion, told by the norms of those before them."""

import dataclasses

import jax.numpy as jnp

from bridge_jax.core.types import Array


@dataclasses.dataclass(frozen=True)
class Rule:
    """When a global gradient norm is a spike.

    It is one if it exceeds both twice the mean of the latest norms and that mean plus
    `sigmas` of their standard deviations. Nothing is judged before half of the window
    is known.

    Attributes:
      sigmas: 0 lets every finite step pass, and nothing is remembered.
      window: how many of the latest steps that counted are remembered.
    """

    sigmas: float = 0.0
    window: int = 128

    def fresh(self) -> Array | None:
        """The memory before the first step: float32 [window] of nan, or None."""
        return jnp.full(self.window, jnp.nan, jnp.float32) if self.sigmas else None

    def is_spike(self, norms: Array, norm: Array) -> Array:
        """bool scalar: whether `norm` is out of proportion to `norms`."""
        known = jnp.isfinite(norms)
        count = known.sum()
        mean = jnp.where(known, norms, 0.0).sum() / jnp.maximum(count, 1)
        square = jnp.where(known, jnp.square(norms - mean), 0.0).sum()
        deviation = jnp.sqrt(square / jnp.maximum(count, 1))
        bound = jnp.maximum(2.0 * mean, mean + self.sigmas * deviation)
        return (2 * count >= self.window) & (norm > bound)

    def remember(self, norms: Array, norm: Array, updates: Array) -> Array:
        """`norms` with `norm` in the place of the oldest; `updates` made so far."""
        return norms.at[updates % self.window].set(norm)
