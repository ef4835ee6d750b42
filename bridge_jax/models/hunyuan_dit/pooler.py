"""Attention pooling of the mT5 states into one vector."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Float

from bridge_jax.core.types import Array
from bridge_jax.layers import attention, linear, shared
from bridge_jax.models.hunyuan_dit.config import Config
from bridge_jax.models.hunyuan_dit.embed import dense


class Pooler(nn.Module):
    """The mean token asks, the mean and all tokens answer (CLIP's attention pool).

    There is no mask: padded positions count in the mean and in the softmax, as in the
    weights released.
    """

    config: Config

    @nn.compact
    def __call__(self, states: Float[Array, "B L D"]) -> Float[Array, "B O"]:
        """states [B, t5_length, t5_dim] -> [B, pooler_out]."""
        config = self.config
        width, heads = config.t5_dim, config.pooler_heads
        position = linear.param(
            self,
            "position",
            nn.initializers.normal(width**-0.5),
            (config.t5_length + 1, width),
            (None, "embed"),
            config.param_dtype,
        )
        mean = jnp.mean(states, axis=1, keepdims=True)
        tokens = jnp.concatenate([mean, states], axis=1).astype(config.dtype)
        tokens = shared.add(tokens, position[None])
        axes = ("embed", "heads")
        query = dense(config, width, axes, "query")(tokens[:, :1])
        key = dense(config, width, axes, "key")(tokens)
        value = dense(config, width, axes, "value")(tokens)
        pooled = attention.attend(
            attention.split_heads(query, heads),
            attention.split_heads(key, heads),
            attention.split_heads(value, heads),
        )
        pooled = attention.merge_heads(pooled)[:, 0]
        return dense(config, config.pooler_out, ("heads", "embed"), "output")(pooled)
