"""What is given is how much of each word is in each token: nothing to be learnt.

A decoder that is to understand LangBridge's adapters can practise on such mixtures
before there is an adapter.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Float

from bridge_jax.core.types import Array
from bridge_jax.models.langbridge import model as langbridge
from bridge_jax.models.llava.config import Config
from bridge_jax.models.llava.connectors import Embed


class Connector(nn.Module):
    """Parameters: none; features are coefficients of `config.words`."""

    config: Config

    def __call__(
        self, features: Float[Array, "B N W"], embed: Embed
    ) -> Float[Array, "B N D"]:
        """features [B, N, words] -> [B, N, D]."""
        words = embed(jnp.asarray(self.config.words))
        return langbridge.mix(features, words).astype(words.dtype)

    def affinities(
        self, features: Float[Array, "B N W"], embed: Embed
    ) -> Float[Array, "B N W"]:
        """The features; `config.words` are the words."""
        del embed
        return features.astype(jnp.float32)
