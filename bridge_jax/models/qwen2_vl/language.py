"""The language model: RMSNorm, grouped-query attention with M-RoPE, SwiGLU.

B rows of T positions; H query heads, K key/value heads, h = head width, S cache slots.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from bridge_jax.core.types import dtype
from bridge_jax.layers import attention, linear, norm, rope
from bridge_jax.models.qwen2_vl import cache as kv
from bridge_jax.models.qwen2_vl.config import Config


class Attention(nn.Module):
    """Grouped-query attention; q, k and v have biases, the output has none."""

    config: Config

    @nn.compact
    def __call__(self, x, cos, sin, mask, memory=None):
        """x [B, T, hidden] -> ([B, T, hidden], memory).

        `memory` is (keys, values, start): one layer's cache and the first slot to
        write; the new memory comes back as (keys, values).
        """
        config = self.config
        width = config.head_dim
        query = _dense(config, config.heads * width, ("embed", "heads"), "query", True)
        key = _dense(
            config, config.kv_heads * width, ("embed", "kv_heads"), "key", True
        )
        value = _dense(
            config, config.kv_heads * width, ("embed", "kv_heads"), "value", True
        )
        q = rope.apply_half(attention.split_heads(query(x), config.heads), cos, sin)
        k = rope.apply_half(attention.split_heads(key(x), config.kv_heads), cos, sin)
        v = attention.split_heads(value(x), config.kv_heads)
        if memory is not None:
            keys, values, start = memory
            k, v = kv.write(keys, k, start), kv.write(values, v, start)
            memory = (k, v)
        x = attention.merge_heads(attention.attend(q, k, v, mask=mask))
        return _dense(config, config.hidden_size, ("heads", "embed"), "out")(x), memory


class MLP(nn.Module):
    """SwiGLU: down(silu(gate x) * up x)."""

    config: Config

    @nn.compact
    def __call__(self, x):
        """x [B, T, hidden] -> [B, T, hidden]."""
        config = self.config
        gate = _dense(config, config.ffn_size, ("embed", "mlp"), "gate")(x)
        up = _dense(config, config.ffn_size, ("embed", "mlp"), "up")(x)
        down = _dense(config, config.hidden_size, ("mlp", "embed"), "down")
        return down(nn.silu(gate) * up)


class Block(nn.Module):
    """Pre-norm attention and MLP."""

    config: Config

    @nn.compact
    def __call__(self, x, cos, sin, mask, memory=None):
        """x [B, T, hidden] -> ([B, T, hidden], memory)."""
        attend = Attention(self.config, name="attention")
        normed = _norm(self.config, "attention_norm")(x)
        y, memory = attend(normed, cos, sin, mask, memory)
        x = x + y
        x = x + MLP(self.config, name="mlp")(_norm(self.config, "mlp_norm")(x))
        return linear.constrain(x, ("batch", "seq", "embed")), memory


class LanguageModel(nn.Module):
    """A causal decoder over embeddings, so that visual tokens can take part."""

    config: Config

    def setup(self):
        config = self.config
        block = nn.remat(Block) if config.remat == "full" else Block
        self.embed_tokens = _table(config)
        self.layers = [block(config) for _ in range(config.layers)]
        self.norm = _norm(config)
        if not config.tied_embeddings:
            # Stored like the input table: scores then come out in float32.
            self.head = _table(config)

    def embed(self, tokens: jax.Array) -> jax.Array:
        """tokens [B, T] int -> [B, T, hidden]."""
        return self.embed_tokens(tokens)

    def __call__(self, embeddings, positions, segments, cache=None):
        """Run the stack.

        Args:
          embeddings: [B, T, hidden].
          positions: [3, B, T] int, M-RoPE (time, height, width).
          segments: [B, T] int, sequence number within a packed row; 0 is padding.
            A token sees earlier tokens of its own segment.
          cache: `KVCache` to continue from (one sequence a row), or None.

        Returns:
          Last hidden states after the final norm [B, T, hidden], meaningless where
          padded, and the cache moved on by T slots (None without one).
        """
        config = self.config
        cos, sin = mrope(
            positions, config.head_dim, config.theta, config.mrope_sections
        )
        x = embeddings.astype(dtype(config.dtype))
        x = linear.constrain(x, ("batch", "seq", "embed"))
        if cache is None:
            x = self._train(x, cos, sin, causal_mask(segments))
        else:
            x, cache = self._decode(x, cos, sin, segments, cache)
        hidden = self.norm(x)
        if self.is_initializing():
            # Neither table is on this path; both must exist.
            self.embed(jnp.zeros((1, 1), jnp.int32))
            self.logits(hidden[:, :1])
        return hidden, cache

    def _train(self, x, cos, sin, mask):
        for layer in self.layers:
            x, _ = layer(x, cos, sin, mask)
        return x

    def _decode(self, x, cos, sin, segments, cache):
        start = cache.length
        cache, mask = kv.reserve(cache, segments)
        memories = []
        for layer, keys, values in zip(
            self.layers, cache.keys, cache.values, strict=True
        ):
            x, memory = layer(x, cos, sin, mask, (keys, values, start))
            memories.append(memory)
        keys, values = zip(*memories, strict=True)
        return x, cache.replace(keys=keys, values=values)

    def logits(self, hidden: jax.Array) -> jax.Array:
        """hidden [B, T, hidden] -> float32 [B, T, vocab]."""
        table = self.embed_tokens if self.config.tied_embeddings else self.head
        return table.attend(hidden)


def mrope(
    positions: jax.Array, head_dim: int, theta: float, sections: tuple[int, int, int]
) -> tuple[jax.Array, jax.Array]:
    """cos and sin [B, 1, T, head_dim] of positions [3, B, T], half-split layout.

    Rotary pair i turns with time, height or width, by the section that i falls into.
    """
    axis = np.repeat(np.arange(3), sections)
    per_pair = jnp.moveaxis(positions[axis], 0, -1).astype(jnp.float32)
    angles = per_pair * rope.frequencies(head_dim, theta)[None, None]
    angles = jnp.concatenate([angles, angles], axis=-1)[:, None]
    return jnp.cos(angles), jnp.sin(angles)


def causal_mask(segments: jax.Array) -> jax.Array:
    """segments [B, T] -> bool [B, 1, T, T]: earlier, same segment, not padding."""
    same = segments[:, :, None] == segments[:, None, :]
    index = jnp.arange(segments.shape[1])
    causal = index[:, None] >= index[None, :]
    return (same & (segments != 0)[:, None, :] & causal[None])[:, None]


def _dense(
    config: Config, features: int, axes: tuple[str, str], name: str, bias: bool = False
):
    return linear.Dense(
        features,
        axes=axes,
        use_bias=bias,
        dtype=dtype(config.dtype),
        param_dtype=dtype(config.param_dtype),
        name=name,
    )


def _norm(config: Config, name: str | None = None):
    return norm.RMSNorm(
        config.eps,
        dtype=dtype(config.dtype),
        param_dtype=dtype(config.param_dtype),
        name=name,
    )


def _table(config: Config):
    return linear.Embed(
        config.vocab_size,
        config.hidden_size,
        dtype=dtype(config.dtype),
        param_dtype=dtype(config.param_dtype),
    )
