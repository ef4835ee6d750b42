"""The vocabulary adapter and the mixing of embeddings.

Axes: B batch, N visual tokens, V words of the subset, D width of the language model.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from bridge_jax.core import types
from bridge_jax.core.types import Array
from bridge_jax.layers import activations, linear
from bridge_jax.models.langbridge.config import Config


class VocabularyAdapter(nn.Module):
    """Linear, exact GELU, Linear, Linear: nothing between the last two.

    The last starts at zero, unlike the original's: all scores are equal.
    """

    config: Config

    def setup(self):
        c = self.config
        dense = functools.partial(
            linear.Dense,
            use_bias=True,
            dtype=types.dtype(c.dtype),
            param_dtype=types.dtype(c.param_dtype),
        )
        self.inner = dense(c.hidden, axes=("embed", "mlp"))
        self.outer = dense(c.hidden, axes=("mlp", "embed"))
        # Fresh, it says nothing: what it would say by chance means something else to
        # each language model.
        self.words = dense(
            c.vocab, axes=("embed", "vocab"), kernel_init=nn.initializers.zeros
        )

    def __call__(self, features: Float[Array, "B N I"]) -> Float[Array, "B N V"]:
        """features [B, N, vision] -> float32 coefficients [B, N, V]."""
        hidden = self.outer(activations.gelu_exact(self.inner(features)))
        return shape(self.config, self.words(hidden).astype(jnp.float32))


def shape(config: Config, scores: Float[Array, "*B V"]) -> Float[Array, "*B V"]:
    """Scores [..., V] to coefficients of the config's form, [..., V]."""
    if config.form == "linear":
        return scores
    if config.form == "topk":
        least = jax.lax.top_k(scores, config.top)[0][..., -1:]
        scores = jnp.where(scores >= least, scores, -jnp.inf)
    return jax.nn.softmax(scores, axis=-1)


def mix(
    coefficients: Float[Array, "B N V"], embeddings: Float[Array, "V D"]
) -> Float[Array, "B N D"]:
    """Visual tokens as combinations of word embeddings, in float32.

    Args:
      coefficients: [B, N, V].
      embeddings: [V, D], rows of a language model's own frozen table: another model's
        rows of the same words move the adapter to that model.

    Returns:
      float32 [B, N, D].
    """
    wide = coefficients.astype(jnp.float32).reshape(-1, coefficients.shape[-1])
    table = jax.lax.stop_gradient(embeddings).astype(jnp.float32)
    return jnp.dot(wide, table).reshape(*coefficients.shape[:-1], table.shape[1])
