"""One linear layer, as the first LLaVA had it."""

import flax.linen as nn
from jaxtyping import Float

from bridge_jax.core import types
from bridge_jax.core.types import Array
from bridge_jax.layers import linear
from bridge_jax.models.llava.config import Config
from bridge_jax.models.llava.connectors import Embed, cosines


class Connector(nn.Module):
    """Parameters: {"dense"}."""

    config: Config

    @nn.compact
    def __call__(
        self, features: Float[Array, "B N I"], embed: Embed
    ) -> Float[Array, "B N D"]:
        """features [B, N, width] -> [B, N, D]; no word is looked up."""
        del embed
        c = self.config.llm
        return linear.Dense(
            c.hidden_size,
            axes=(None, "embed"),
            use_bias=True,
            dtype=types.dtype(c.dtype),
            param_dtype=types.dtype(c.param_dtype),
            name="dense",
        )(features)

    def affinities(
        self, features: Float[Array, "B N I"], embed: Embed
    ) -> Float[Array, "B N V"]:
        """Cosines with every embedding that the decoder has: [B, N, vocab]."""
        return cosines(self(features, embed), embed, self.config.llm.vocab_size)
