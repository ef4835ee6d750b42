"""Two linear layers with an exact GELU between them, as LLaVA-1.5 has them."""

import functools

import flax.linen as nn
from jaxtyping import Float

from bridge_jax.core import types
from bridge_jax.core.types import Array
from bridge_jax.layers import activations, linear
from bridge_jax.models.llava.config import Config
from bridge_jax.models.llava.connectors import Embed, cosines


class Connector(nn.Module):
    """Parameters: {"inner", "outer"}."""

    config: Config

    @nn.compact
    def __call__(
        self, features: Float[Array, "B N I"], embed: Embed
    ) -> Float[Array, "B N D"]:
        """features [B, N, width] -> [B, N, D]; no word is looked up."""
        del embed
        c = self.config.llm
        dense = functools.partial(
            linear.Dense,
            c.hidden_size,
            use_bias=True,
            dtype=types.dtype(c.dtype),
            param_dtype=types.dtype(c.param_dtype),
        )
        inner = dense(axes=(None, "mlp"), name="inner")(features)
        return dense(axes=("mlp", "embed"), name="outer")(activations.gelu_exact(inner))

    def affinities(
        self, features: Float[Array, "B N I"], embed: Embed
    ) -> Float[Array, "B N V"]:
        """Cosines with every embedding that the decoder has: [B, N, vocab]."""
        return cosines(self(features, embed), embed, self.config.llm.vocab_size)
