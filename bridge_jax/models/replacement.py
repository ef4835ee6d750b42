"""Which of the aligner's input positions are learned queries, and r(step), their share.

The reference has fixed dials chosen by hand between runs (0, 0.005, 0.15,
U(0.15, 0.75), U(0.15, 1), U(0.75, 1), 1); the paper says that text conditioning is
gradually replaced. Here it is one schedule with the dials as special cases: at each
step r is drawn from U(low, high), and both ends move linearly, or in jumps from one
dial to the next.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from bridge_jax.core.types import Array


@dataclasses.dataclass(frozen=True)
class Schedule:
    """r ~ U(low, high), each row its own draw.

    Attributes:
      start: (low, high) before `begin`.
      end: (low, high) after `finish`.
      begin, finish: optimiser steps between which the ends move linearly.
      dials: (low, high), (low, high), ... that take equal shares of the steps between
        `begin` and `finish` one after the other, in place of `start` and `end`.
    """

    start: tuple[float, float] = (0.0, 0.15)
    end: tuple[float, float] = (1.0, 1.0)
    begin: int = 0
    finish: int = 1000
    dials: tuple[tuple[float, float], ...] = ()

    def interval(self, step: jax.Array) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """(low, high) at `step`, float32 scalars."""
        span = max(self.finish - self.begin, 1)
        share = jnp.clip((step - self.begin) / span, 0.0, 1.0).astype(jnp.float32)
        if self.dials:
            turns = jnp.asarray(self.dials, jnp.float32)
            last = len(self.dials) - 1
            low, high = turns[jnp.minimum((share * len(turns)).astype(int), last)]
            return low, high
        low = self.start[0] + share * (self.end[0] - self.start[0])
        high = self.start[1] + share * (self.end[1] - self.start[1])
        return low, high

    def ratios(self, key: jax.Array, rows: int, step: jax.Array) -> Float[Array, " B"]:
        """One ratio a row: float32 [rows]."""
        low, high = self.interval(step)
        return low + (high - low) * jax.random.uniform(key, (rows,))


def sample_mask(
    key: jax.Array,
    ratios: Float[Array, " B"],
    length: int,
    replaceable: Bool[Array, " B"],
) -> Bool[Array, "B L"]:
    """Replace every position of row b with probability ratios[b], independently.

    Args:
      key: random key.
      ratios: float [B] in [0, 1]; 0 replaces nothing and 1 everything, exactly.
      length: L, positions a row.
      replaceable: bool [B]; False keeps the row's text whole (editing samples).

    Returns:
      bool [B, L].
    """
    draws = jax.random.uniform(key, (ratios.shape[0], length))  # in [0, 1)
    return (draws < ratios[:, None]) & replaceable[:, None]


def fixed(ratio: float) -> Schedule:
    """The dial that stands still."""
    return Schedule(start=(ratio, ratio), end=(ratio, ratio))
