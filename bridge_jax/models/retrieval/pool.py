"""Attention pooling: a sequence to one vector, its mean as the query.

Axes: B batch, S positions, D width, E embedding.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from bridge_jax.core import types
from bridge_jax.core.types import Array
from bridge_jax.layers import attention, linear, norm
from bridge_jax.models.retrieval.config import Config


class AttentionPool(nn.Module):
    """Query, keys and values each have their own LayerNorm and projection."""

    config: Config

    def setup(self):
        c = self.config
        dtypes = {
            "dtype": types.dtype(c.dtype),
            "param_dtype": types.dtype(c.param_dtype),
        }
        layer_norm = functools.partial(norm.LayerNorm, c.eps, **dtypes)
        dense = functools.partial(linear.Dense, use_bias=True, **dtypes)
        self.query_norm, self.key_norm = layer_norm(), layer_norm()
        self.value_norm = layer_norm()
        self.query = dense(c.d_model, axes=("embed", "heads"))
        self.key = dense(c.d_model, axes=("embed", "heads"))
        self.value = dense(c.d_model, axes=("embed", "heads"))
        self.out = dense(c.out, axes=("heads", "latent"))

    def __call__(
        self, x: Float[Array, "B S D"], mask: Bool[Array, "B S"] | None = None
    ) -> Float[Array, "B E"]:
        """x [B, S, D], mask bool [B, S] (None: every position counts) -> [B, E]."""
        heads = self.config.pool_heads
        q = self.query(self.query_norm(_mean(x, mask)))
        k, v = self.key(self.key_norm(x)), self.value(self.value_norm(x))
        pooled = attention.attend(
            attention.split_heads(q, heads),
            attention.split_heads(k, heads),
            attention.split_heads(v, heads),
            mask=None if mask is None else mask[:, None, None],
        )
        return self.out(attention.merge_heads(pooled))[:, 0]


def _mean(x: jax.Array, mask: jax.Array | None) -> jax.Array:
    """float32 mean over positions, [B, 1, D]; 0 in a row without any."""
    wide = x.astype(jnp.float32)
    if mask is None:
        return jnp.mean(wide, axis=1, keepdims=True)
    counted = jnp.where(mask[:, :, None], wide, 0.0)
    number = jnp.maximum(jnp.sum(mask, axis=1), 1).astype(jnp.float32)
    return jnp.sum(counted, axis=1, keepdims=True) / number[:, None, None]
