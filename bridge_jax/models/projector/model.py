"""Projector: one linear layer without bias.

Axes: B batch, S memory positions, D aligner width.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Float, Shaped

from bridge_jax.core import types
from bridge_jax.core.types import Array
from bridge_jax.layers import linear
from bridge_jax.models.projector.config import Config


class Projector(nn.Module):
    """Language-model states to the aligner's memory."""

    config: Config

    @nn.compact
    def __call__(
        self, states: Float[Array, "B S I"], mask: Shaped[Array, "B S"] | None = None
    ) -> Float[Array, "B S D"]:
        """states [B, S, hidden], mask [B, S] -> [B, S, D], exactly 0 where masked."""
        c = self.config
        if mask is not None:
            states = jnp.where(mask.astype(bool)[:, :, None], states, 0)
        return linear.Dense(
            c.d_model,
            axes=(None, "embed"),
            dtype=types.dtype(c.dtype),
            param_dtype=types.dtype(c.param_dtype),
            name="dense",
        )(states)
