"""E and D: pooled states of a unified model to embeddings and back.

Axes: B batch, H width of the states, E width of the embedding.
"""

import flax.linen as nn
from jaxtyping import Float

from bridge_jax.core.types import Array
from bridge_jax.layers import mlp
from bridge_jax.models.latent_maps.config import Config


class Maps(nn.Module):
    """Two networks of two layers each."""

    config: Config

    def setup(self):
        c = self.config
        types_of = {"dtype": c.dtype, "param_dtype": c.param_dtype}
        self.to_embedding = mlp.TwoLayers(c.inner, c.embedding, **types_of)
        self.to_hidden = mlp.TwoLayers(c.inner, c.hidden, **types_of)

    def __call__(
        self, hidden: Float[Array, "B D"]
    ) -> tuple[Float[Array, "B E"], Float[Array, "B D"]]:
        """hidden [B, H] -> (embedding [B, E], hidden again [B, H])."""
        embedding = self.to_embedding(hidden)
        return embedding, self.to_hidden(embedding)

    def embed(self, hidden: Float[Array, "B D"]) -> Float[Array, "B E"]:
        """hidden [B, H] -> [B, E]."""
        return self.to_embedding(hidden)
