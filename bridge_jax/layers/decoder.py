"""Causal decoders as Qwen2 and LLaMA are: RMSNorm, grouped queries, rotary, SwiGLU.

B rows of T positions; H query heads, K key/value heads, h = head width, S cache slots.
"""

from typing import Protocol

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Float, Int

from bridge_jax.core.types import Array, dtype
from bridge_jax.layers import activations, attention, linear, norm, packed, rope, stack
from bridge_jax.layers import kv_cache as kv


class Config(Protocol):
    """What a family's config tells its decoder; `kv_cache.Sizes` too.

    Attributes:
      qkv_bias: whether queries, keys and values have biases (Qwen2) or none (LLaMA).
      tied_embeddings: the output head is the input table.
      attention: a name of `packed.KERNELS`, for all but what goes on from a cache.
      remat: a name of `stack.POLICIES`.
      scan: whether training runs the layers as a loop, see `stack.fold`.
    """

    vocab_size: int
    hidden_size: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn_size: int
    eps: float
    tied_embeddings: bool
    attention: str
    remat: str
    scan: bool
    dtype: str
    param_dtype: str

    @property
    def qkv_bias(self) -> bool: ...


class Attention(nn.Module):
    """Grouped-query attention; q, k and v may have biases, the output has none."""

    config: Config

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B T D"],
        cos: Float[Array, "#B 1 T W"],
        sin: Float[Array, "#B 1 T W"],
        mask,
        memory=None,
        at: Int[Array, "B R"] | None = None,
    ):
        """x [B, T, hidden] -> ([B, T, hidden], memory), or [B, R, hidden] of `at`.

        `mask` is what `packed.sight` says for the config's kernel, but bool where
        there is a memory to see or `at`, of whose R positions it then is. `memory` is
        (keys, values, start): one layer's cache and the first slot to write, or None
        where nothing was written before, and x sees itself alone; the new memory comes
        back as (keys, values).
        """
        config = self.config
        width = config.head_dim
        inner, shared, bias = (
            config.heads * width,
            config.kv_heads * width,
            config.qkv_bias,
        )
        query = _dense(config, inner, ("embed", "heads"), "query", bias)
        key = _dense(config, shared, ("embed", "kv_heads"), "key", bias)
        value = _dense(config, shared, ("embed", "kv_heads"), "value", bias)
        asking, *turns = (_taken(one, at) for one in (x, cos, sin))
        q = attention.split_heads(query(asking), config.heads)
        q = rope.apply_half(q, *turns)
        k = rope.apply_half(attention.split_heads(key(x), config.kv_heads), cos, sin)
        v = attention.split_heads(value(x), config.kv_heads)
        start = None
        if memory is not None:
            *layer, start = memory
            first = jnp.int32(0) if start is None else start
            memory = kv.write(tuple(layer), (k, v), first)
        if start is not None:
            x = attention.attend(q, *memory, mask=mask, turned=True)
        elif at is not None:
            x = attention.attend(q, k, v, mask=mask)
        else:
            x = packed.attend(q, k, v, mask, causal=True, kernel=config.attention)
        x = attention.merge_heads(x)
        return _dense(config, config.hidden_size, ("heads", "embed"), "out")(x), memory


class MLP(nn.Module):
    """SwiGLU: down(silu(gate x) * up x)."""

    config: Config

    @nn.compact
    def __call__(self, x: Float[Array, "B T D"]) -> Float[Array, "B T D"]:
        """x [B, T, hidden] -> [B, T, hidden]."""
        config = self.config
        gate = _dense(config, config.ffn_size, ("embed", "mlp"), "gate")(x)
        up = _dense(config, config.ffn_size, ("embed", "mlp"), "up")(x)
        down = _dense(config, config.hidden_size, ("mlp", "embed"), "down")
        return down(activations.gated(activations.silu, gate, up))


class Block(nn.Module):
    """Pre-norm attention and MLP."""

    config: Config

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B T D"],
        cos: Float[Array, "#B 1 T W"],
        sin: Float[Array, "#B 1 T W"],
        mask,
        memory=None,
        at: Int[Array, "B R"] | None = None,
    ):
        """x [B, T, hidden] -> ([B, T, hidden], memory), or [B, R, hidden] of `at`."""
        attend = Attention(self.config, name="attention")
        normed = _norm(self.config, "attention_norm")(x)
        y, memory = attend(normed, cos, sin, mask, memory, at)
        x = _taken(x, at) + y
        x = x + MLP(self.config, name="mlp")(_norm(self.config, "mlp_norm")(x))
        # R is any number: the devices that share a sequence need not divide it.
        length = "seq" if at is None else None
        return linear.constrain(x, ("batch", length, "embed")), memory


class Decoder(nn.Module):
    """A causal decoder over embeddings, so that visual tokens can take part."""

    config: Config

    def setup(self):
        config = self.config
        block = stack.remat(Block, config.remat, config.scan)
        self.embed_tokens = _table(config)
        self.layers = [block(config) for _ in range(config.layers)]
        self.norm = _norm(config)
        if not config.tied_embeddings:
            # Stored like the input table: scores then come out in float32.
            self.head = _table(config)

    def embed(self, tokens: Int[Array, "*B"]) -> Float[Array, "*B D"]:
        """tokens [...] int -> [..., hidden]."""
        return self.embed_tokens(tokens)

    def __call__(
        self,
        embeddings: Float[Array, "B T D"],
        rotary,
        segments: Int[Array, "B T"],
        cache=None,
        at: Int[Array, "B R"] | None = None,
    ):
        """Run the stack.

        Args:
          embeddings: [B, T, hidden].
          rotary: cos and sin [B, 1, T, head_dim], half-split layout.
          segments: [B, T] int, sequence number within a packed row; 0 is padding.
            A token sees earlier tokens of its own segment.
          cache: `KVCache` to continue from (one sequence a row), or None.
          at: [B, R] int, positions in T whose states alone are wanted, or None for all.
            Where they are few enough, the last layer makes keys and values of the
            others and no more.

        Returns:
          Last hidden states after the final norm [B, T, hidden], meaningless where
          padded, or [B, R, hidden]; and the cache moved on by T slots (None without
          one).
        """
        config = self.config
        alone = at  # where the last layer runs, None for everywhere
        if at is not None:
            new = cache is None or cache.fresh
            kernel = config.attention if new else "xla"
            if not packed.are_few(at.shape[1], segments.shape[1], kernel):
                alone = None
        x = embeddings.astype(dtype(config.dtype))
        x = linear.constrain(x, ("batch", "seq", "embed"))
        if cache is None:
            x = self._train(x, rotary, segments, alone)
        else:
            x, cache = self._decode(x, rotary, segments, cache, alone)
        hidden = self.norm(_taken(x, at) if alone is None else x)
        if self.is_initializing():
            # Neither table is on this path; both must exist.
            self.embed(jnp.zeros((1, 1), jnp.int32))
            self.logits(hidden[:, :1])
        return hidden, cache

    def _train(self, x, rotary, segments, at):
        c = self.config

        def through(mask, at=None):
            return lambda layer, x, _: (layer(x, *rotary, mask, None, at)[0], None)

        seen, asked = self._sights(segments, at)
        layers, last = self._apart(at)
        x, _ = stack.fold(through(seen), layers, x, scan=c.scan, dtype=c.dtype)
        if last:
            x, _ = stack.fold(through(asked, at), last, x)
        return x

    def _decode(self, x, rotary, segments, cache, at):
        start = None if cache.fresh else cache.start
        cache, mask = kv.reserve(cache, segments)
        if start is None:
            seen, asked = self._sights(segments, at)
        else:
            seen, asked = mask, _taken(mask, at)

        def through(mask, at=None):
            return lambda layer, x, memory: layer(
                x, *rotary, mask, (*memory, start), at
            )

        before = list(zip(cache.keys, cache.values, strict=True))
        layers, last = self._apart(at)
        x, memories = stack.fold(through(seen), layers, x, before[: len(layers)])
        if last:
            x, own = stack.fold(through(asked, at), last, x, before[-1:])
            memories = [*memories, *own]
        keys, values = zip(*memories, strict=True)
        return x, cache.replace(keys=keys, values=values)

    def _sights(self, segments, at):
        """Who sees whom in a layer that runs everywhere, and in one that runs `at`."""
        seen = packed.sight(segments, causal=True, kernel=self.config.attention)
        return seen, None if at is None else packed.sight_at(segments, at)

    def _apart(self, at):
        """Layers that run everywhere, and those that run only `at` some positions."""
        return (self.layers, []) if at is None else (self.layers[:-1], self.layers[-1:])

    def logits(self, hidden: Float[Array, "B T D"]) -> Float[Array, "B T V"]:
        """hidden [B, T, hidden] -> float32 [B, T, vocab]."""
        table = self.embed_tokens if self.config.tied_embeddings else self.head
        return table.attend(hidden)


def _taken(x: Array, at: Int[Array, "B R"] | None) -> Array:
    """x [#B, T, W] or [#B, 1, T, W] at R positions of each row; as it is for None."""
    if at is None:
        return x
    at = jnp.expand_dims(at, (-1,) if x.ndim == 3 else (1, -1))
    return jnp.take_along_axis(x, at, axis=-2, mode="clip")


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
