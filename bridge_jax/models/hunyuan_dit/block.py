"""One transformer block: skip, self-attention, cross-attention, MLP."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from bridge_jax.core.types import Array
from bridge_jax.layers import activations, attention, linear, norm, packed, rope, shared
from bridge_jax.models.hunyuan_dit.config import Config
from bridge_jax.models.hunyuan_dit.embed import Mlp, dense

Rotary = tuple[jax.Array, jax.Array]  # cos, sin [1, 1, P, head_dim]


class SelfAttention(nn.Module):
    """Image tokens to image tokens; queries and keys normalised, then rotated."""

    config: Config

    @nn.compact
    def __call__(
        self, x: Float[Array, "B P D"], rotary: Rotary
    ) -> Float[Array, "B P D"]:
        """x [B, P, hidden] -> [B, P, hidden]."""
        config = self.config
        qkv = dense(config, 3 * config.hidden, ("embed", "heads"), "qkv")(x)
        query, key, value = unstack_heads(qkv, 3, config.heads)
        query = rope.apply_interleaved(head_norm(config, "query_norm")(query), *rotary)
        key = rope.apply_interleaved(head_norm(config, "key_norm")(key), *rotary)
        out = packed.attend(query, key, value, kernel=config.attention)
        out = attention.merge_heads(out)
        return dense(config, config.hidden, ("heads", "embed"), "output")(out)


class CrossAttention(nn.Module):
    """Image tokens to text states; only the queries have positions to rotate.

    No mask: padded text positions hold learned embeddings instead.
    """

    config: Config

    @nn.compact
    def __call__(
        self, x: Float[Array, "B P D"], text: Float[Array, "A S E"], rotary: Rotary
    ) -> Float[Array, "B P D"]:
        """x [B, P, hidden], text [B / n, S, clip_dim] -> [B, P, hidden].

        The n images of one text ask it together: its keys and values are made once.
        """
        config = self.config
        axes = ("embed", "heads")
        shape, texts = x.shape, text.shape[0]
        x = x.reshape(texts, -1, shape[-1])
        rotary = tuple(jnp.tile(t, (1, 1, shape[0] // texts, 1)) for t in rotary)
        query = dense(config, config.hidden, axes, "query")(x)
        query = attention.split_heads(query, config.heads)
        query = rope.apply_interleaved(head_norm(config, "query_norm")(query), *rotary)
        pair = dense(config, 2 * config.hidden, axes, "key_value")(text)
        key, value = unstack_heads(pair, 2, config.heads)
        key = head_norm(config, "key_norm")(key)
        out = packed.attend(query, key, value, kernel=config.attention)
        out = attention.merge_heads(out)
        out = dense(config, config.hidden, ("heads", "embed"), "output")(out)
        return out.reshape(shape)


class Block(nn.Module):
    """Pre-norm; time and pooled text add a shift before self-attention, no gates."""

    config: Config
    with_skip: bool = False

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B P D"],
        conditioning: Float[Array, "B D"],
        text: Float[Array, "A S E"],
        rotary: Rotary,
        skip: Float[Array, "B P D"] | None = None,
    ) -> Float[Array, "B P D"]:
        """One block.

        Args:
          x: [B, P, hidden].
          conditioning: [B, hidden], time embedding plus pooled text.
          text: [B, S, clip_dim], or fewer rows: see `CrossAttention`.
          rotary: see `rotary.tables`.
          skip: [B, P, hidden] from the first half, for blocks `with_skip`.
        """
        config = self.config
        if self.with_skip:
            x = layer_norm(config, "skip_norm")(jnp.concatenate([x, skip], axis=-1))
            x = dense(config, config.hidden, ("embed", None), "skip_linear")(x)
        zeros = nn.initializers.zeros
        shift = dense(config, config.hidden, ("embed", None), "shift", zeros)(
            activations.silu(conditioning)
        )
        shifted = shared.add(layer_norm(config, "self_norm")(x), shift[:, None])
        x = x + SelfAttention(config, name="self_attention")(shifted, rotary)
        x = x + CrossAttention(config, name="cross_attention")(
            layer_norm(config, "cross_norm")(x), text, rotary
        )
        x = x + Mlp(
            config, config.mlp_hidden, config.hidden, activation="gelu_tanh", name="mlp"
        )(layer_norm(config, "mlp_norm")(x))
        return linear.constrain(x, ("batch", "seq", "embed"))


def unstack_heads(x: Float[Array, "B T HD"], parts: int, heads: int) -> list[jax.Array]:
    """A fused projection [B, T, parts*H*D] -> `parts` arrays [B, H, T, D]."""
    return [attention.split_heads(part, heads) for part in jnp.split(x, parts, axis=-1)]


def layer_norm(config: Config, name: str) -> norm.LayerNorm:
    """Layer normalisation with scale and bias in the config's dtypes."""
    return norm.LayerNorm(
        config.norm_eps, dtype=config.dtype, param_dtype=config.param_dtype, name=name
    )


def head_norm(config: Config, name: str):
    """Normalisation of each head's queries or keys; nothing without `qk_norm`."""
    return layer_norm(config, name) if config.qk_norm else lambda x: x
