"""LangBridge: visual tokens are combinations of the decoder's own embeddings.

The decoder's table is read by the ids of the words and never changed from here: with
another decoder's table and ids, the same parameters are that decoder's connector.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Float

from bridge_jax.core.types import Array
from bridge_jax.models.langbridge import model as langbridge
from bridge_jax.models.llava.config import Config
from bridge_jax.models.llava.connectors import Embed


class Connector(nn.Module):
    """Parameters: those of `VocabularyAdapter`."""

    config: Config

    def setup(self):
        self.adapter = langbridge.VocabularyAdapter(self.config.langbridge)

    def __call__(
        self, features: Float[Array, "B N I"], embed: Embed
    ) -> Float[Array, "B N D"]:
        """features [B, N, width] -> [B, N, D]."""
        words = embed(jnp.asarray(self.config.words))
        mixed = langbridge.mix(self.coefficients(features), words)
        return mixed.astype(words.dtype)

    def coefficients(self, features: Float[Array, "B N I"]) -> Float[Array, "B N W"]:
        """features [B, N, width] -> float32 [B, N, words], one a word."""
        return self.adapter(features)

    def affinities(
        self, features: Float[Array, "B N I"], embed: Embed
    ) -> Float[Array, "B N W"]:
        """The coefficients; `config.words` are the words."""
        del embed
        return self.coefficients(features)
