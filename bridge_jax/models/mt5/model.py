"""The encoder half of mT5 (Xue et al. 2021).

Axes: B batch, T tokens, D model width.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Float, Int, Shaped

from bridge_jax.core import types
from bridge_jax.core.types import Array
from bridge_jax.layers import linear, t5
from bridge_jax.models.mt5.config import Config


class Encoder(nn.Module):
    """Tokens, or embeddings already looked up, to contextual states."""

    config: Config

    def setup(self):
        c = self.config
        self.token_embed = linear.Embed(
            c.vocab,
            c.d_model,
            dtype=types.dtype(c.dtype),
            param_dtype=types.dtype(c.param_dtype),
            embedding_init=nn.initializers.normal(1.0),  # as T5: norms come first
        )
        self.stack = t5.Stack(c)
        nn.share_scope(self, self.stack)  # layers_0, not stack/layers_0

    def embed(self, tokens: Int[Array, "B T"]) -> Float[Array, "B T D"]:
        """tokens [B, T] int -> input embeddings [B, T, D]."""
        return self.token_embed(tokens)

    def __call__(
        self,
        inputs: Shaped[Array, "B T *D"],
        mask: Shaped[Array, "B T"],
        deterministic: bool = True,
    ) -> Float[Array, "B T D"]:
        """Encode tokens [B, T] int or embeddings [B, T, D] float to [B, T, D].

        mask [B, T] is 1 or True at real tokens; padded positions are not attended to
        but still produce (meaningless) states, as in the reference.
        """
        if jnp.issubdtype(inputs.dtype, jnp.integer):
            inputs = self.embed(inputs)
        return self.stack(inputs, mask, deterministic=deterministic)
