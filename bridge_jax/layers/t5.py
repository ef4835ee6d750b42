"""The blocks of mT5, shared by the text encoder and by the query-embedding aligner.

Pre-norm residual blocks: self-attention with a relative position bias, optionally
cross-attention to a memory, and a gated feed-forward layer. T5's peculiarities
(Raffel et al. 2020; Shazeer 2020; Xue et al. 2021): no biases, no 1/sqrt(d) scaling of
the scores, RMS norms, one position-bias table shared by all layers.
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Shaped

from bridge_jax.core import types
from bridge_jax.core.types import Array
from bridge_jax.core.weights import Rule
from bridge_jax.layers import (
    activations,
    attention,
    linear,
    norm,
    products,
    shared,
    stack,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class StackConfig:
    """Sizes of a stack of T5 blocks; `heads * d_kv` may differ from `d_model`."""

    layers: int
    d_model: int
    heads: int
    d_kv: int
    d_ff: int
    buckets: int = 32
    max_distance: int = 128
    eps: float = 1e-6
    dropout: float = 0.1
    remat: str = "none"  # a name of `stack.POLICIES`
    scan: bool = False  # run the blocks as a loop, see `stack.fold`
    dtype: str = "float32"
    param_dtype: str = "float32"


def bucket(offset: np.ndarray, buckets: int, max_distance: int) -> np.ndarray:
    """The bucket of each key-minus-query offset, bidirectional.

    Half of the buckets serve each direction; in a half, the first half are single
    offsets and the rest grow logarithmically up to `max_distance`.
    """
    half = buckets // 2
    exact = half // 2
    distance = np.abs(offset)
    scale = np.float32(np.log(max_distance / exact))
    ratio = np.log(np.maximum(distance, 1).astype(np.float32) / np.float32(exact))
    far = exact + (ratio / scale * np.float32(half - exact)).astype(np.int32)
    near_or_far = np.where(distance < exact, distance, np.minimum(far, half - 1))
    return (offset > 0) * half + near_or_far


def _dense(config: StackConfig, features: int, axes, std: float) -> linear.Dense:
    return linear.Dense(
        features,
        axes=axes,
        dtype=types.dtype(config.dtype),
        param_dtype=types.dtype(config.param_dtype),
        kernel_init=nn.initializers.normal(std),
    )


def _rms_norm(config: StackConfig) -> norm.RMSNorm:
    return norm.RMSNorm(
        config.eps,
        dtype=types.dtype(config.dtype),
        param_dtype=types.dtype(config.param_dtype),
    )


class Attention(nn.Module):
    """Multi-head attention without scaling or biases; dropout on the weights."""

    config: StackConfig

    def setup(self):
        c = self.config
        inner = c.heads * c.d_kv
        # The missing 1/sqrt(d_kv) sits in the initial scale of the query (T5).
        width, into = c.d_model**-0.5, ("embed", "heads")
        self.query = _dense(c, inner, into, width * c.d_kv**-0.5)
        self.key = _dense(c, inner, into, width)
        self.value = _dense(c, inner, into, width)
        self.out = _dense(c, c.d_model, ("heads", "embed"), inner**-0.5)
        self.drop = nn.Dropout(c.dropout)

    def __call__(
        self,
        x: Float[Array, "B T D"],
        source: Float[Array, "B S D"],
        mask: Shaped[Array, "B S"] | None,
        bias: Float[Array, "1 H T S"] | None,
        deterministic: bool,
    ) -> Float[Array, "B T D"]:
        """x [B, T, D] attends to source [B, S, D]; mask [B, S]; bias [1, H, T, S]."""
        heads = self.config.heads
        q = attention.split_heads(self.query(x), heads)
        k = attention.split_heads(self.key(source), heads)
        v = attention.split_heads(self.value(source), heads)
        scores = products.of_rows(q, k)
        if bias is not None:
            scores = shared.add(scores, bias)
        if mask is not None:
            # Not -inf: a row with nothing to attend to gets the uniform average.
            smallest = jnp.finfo(jnp.float32).min
            scores = jnp.where(mask.astype(bool)[:, None, None], scores, smallest)

        def drop(weights: jax.Array) -> jax.Array:
            return self.drop(weights, deterministic=deterministic)

        mixed = attention.mix(scores, v, drop)
        return self.out(attention.merge_heads(mixed))


class GatedMLP(nn.Module):
    """down(gelu_tanh(gate x) * up x)."""

    config: StackConfig

    def setup(self):
        c = self.config
        width, into = c.d_model**-0.5, ("embed", "mlp")
        self.gate = _dense(c, c.d_ff, into, width)
        self.up = _dense(c, c.d_ff, into, width)
        self.down = _dense(c, c.d_model, ("mlp", "embed"), c.d_ff**-0.5)
        self.drop = nn.Dropout(c.dropout)

    def __call__(
        self, x: Float[Array, "B T D"], deterministic: bool
    ) -> Float[Array, "B T D"]:
        """x [B, T, D] -> [B, T, D]."""
        hidden = activations.gated(activations.gelu_tanh, self.gate(x), self.up(x))
        return self.down(self.drop(hidden, deterministic=deterministic))


class Block(nn.Module):
    """x += SA(norm x); x += CA(norm x, memory) if `cross`; x += MLP(norm x)."""

    config: StackConfig
    cross: bool = False

    def setup(self):
        c = self.config
        self.self_norm = _rms_norm(c)
        self.self_attention = Attention(c)
        if self.cross:
            self.cross_norm = _rms_norm(c)
            self.cross_attention = Attention(c)
        self.mlp_norm = _rms_norm(c)
        self.mlp = GatedMLP(c)
        self.drop = nn.Dropout(c.dropout)

    def __call__(
        self,
        x: Float[Array, "B T D"],
        mask: Shaped[Array, "B T"] | None,
        bias: Float[Array, "1 H T T"],
        memory: Float[Array, "B S D"] | None,
        memory_mask: Shaped[Array, "B S"] | None,
        deterministic: bool,
    ) -> Float[Array, "B T D"]:
        """x [B, T, D], mask [B, T], memory [B, S, D], memory_mask [B, S]."""
        y = self.self_norm(x)
        y = self.self_attention(y, y, mask, bias, deterministic)
        x = x + self.drop(y, deterministic=deterministic)
        if self.cross:
            y = self.cross_norm(x)
            y = self.cross_attention(y, memory, memory_mask, None, deterministic)
            x = x + self.drop(y, deterministic=deterministic)
        y = self.mlp(self.mlp_norm(x), deterministic)
        x = x + self.drop(y, deterministic=deterministic)
        return linear.constrain(x, ("batch", "seq", "embed"))


class Stack(nn.Module):
    """All blocks, the position bias they share, and the final norm."""

    config: StackConfig
    cross_layers: tuple[int, ...] = ()

    def setup(self):
        c = self.config
        self.relative_bias = linear.param(
            self,
            "relative_bias",
            nn.initializers.normal(c.d_model**-0.5),
            (c.buckets, c.heads),
            (None, "heads"),
            types.dtype(c.param_dtype),
        )
        # deterministic, argument 6 of Block.__call__, is a Python bool.
        block = stack.remat(Block, c.remat, c.scan, static=(6,))
        self.layers = [block(c, i in self.cross_layers) for i in range(c.layers)]
        self.final_norm = _rms_norm(c)
        self.drop = nn.Dropout(c.dropout)

    def position_bias(self, length: int) -> Float[Array, "1 H T T"]:
        """float32 [1, H, T, T], from key-minus-query offsets."""
        positions = np.arange(length)
        offset = positions[None, :] - positions[:, None]
        ids = bucket(offset, self.config.buckets, self.config.max_distance)
        table = self.relative_bias.astype(jnp.float32)
        return jnp.take(table, ids, axis=0).transpose(2, 0, 1)[None]

    def __call__(
        self,
        x: Float[Array, "B T D"],
        mask: Shaped[Array, "B T"] | None = None,
        memory: Float[Array, "B S D"] | None = None,
        memory_mask: Shaped[Array, "B S"] | None = None,
        deterministic: bool = True,
    ) -> Float[Array, "B T D"]:
        """x [B, T, D] -> [B, T, D]; masks are 1 or True where there is something."""
        dtype = types.dtype(self.config.dtype)
        x = self.drop(x.astype(dtype), deterministic=deterministic)
        bias = self.position_bias(x.shape[1])

        def step(layer, x, _):
            return layer(x, mask, bias, memory, memory_mask, deterministic), None

        c = self.config
        rngs = {}
        if c.dropout and not deterministic:
            rngs = {"dropout": self.make_rng("dropout")}
        x, _ = stack.fold(step, self.layers, x, scan=c.scan, dtype=c.dtype, rngs=rngs)
        return self.drop(self.final_norm(x), deterministic=deterministic)


def rules(
    config: StackConfig, prefix: str, cross_layers: tuple[int, ...] = ()
) -> list[Rule]:
    """The reference names of a `Stack`, as transformers gives them to T5 encoders.

    The feed-forward layer is the last `layer.N` of its block: 2 after cross-attention,
    1 otherwise.
    """
    first = f"{prefix}block.0.layer.0.SelfAttention.relative_attention_bias.weight"
    table = [
        Rule(first, "relative_bias"),
        Rule(f"{prefix}final_layer_norm.weight", "final_norm/scale"),
    ]
    for i in range(config.layers):
        cross = i in cross_layers
        roles = [("SelfAttention", "self_attention", "self_norm", _ATTENTION)]
        if cross:
            roles += [("EncDecAttention", "cross_attention", "cross_norm", _ATTENTION)]
        roles += [("DenseReluDense", "mlp", "mlp_norm", _GATED)]
        for n, (theirs, ours, ours_norm, kernels) in enumerate(roles):
            block, path = f"{prefix}block.{i}.layer.{n}", f"layers_{i}"
            table.append(
                Rule(f"{block}.layer_norm.weight", f"{path}/{ours_norm}/scale")
            )
            table += [
                Rule(f"{block}.{theirs}.{a}.weight", f"{path}/{ours}/{b}/kernel", _T)
                for a, b in kernels
            ]
    return table


_T = "transpose"
_ATTENTION = (("q", "query"), ("k", "key"), ("v", "value"), ("o", "out"))
_GATED = (("wi_0", "gate"), ("wi_1", "up"), ("wo", "down"))
