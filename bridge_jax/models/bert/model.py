"""BERT (Devlin et al. 2019) as a text encoder: post-norm, absolute positions.

Axes: B batch, T tokens, D hidden width.
"""

import functools

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int, Shaped

from bridge_jax.core import types
from bridge_jax.core.errors import BridgeError
from bridge_jax.core.types import Array
from bridge_jax.layers import activations, attention, linear, norm, shared, stack
from bridge_jax.models.bert.config import Config

_INIT = nn.initializers.normal(0.02)


def _dtypes(config: Config) -> dict:
    return {
        "dtype": types.dtype(config.dtype),
        "param_dtype": types.dtype(config.param_dtype),
    }


class Attention(nn.Module):
    """Multi-head self-attention with biases."""

    config: Config

    def setup(self):
        c = self.config
        dense = functools.partial(
            linear.Dense, c.hidden, use_bias=True, kernel_init=_INIT, **_dtypes(c)
        )
        self.query = dense(axes=("embed", "heads"))
        self.key = dense(axes=("embed", "heads"))
        self.value = dense(axes=("embed", "heads"))
        self.out = dense(axes=("heads", "embed"))

    def __call__(
        self, x: Float[Array, "B T D"], mask: Bool[Array, "B 1 1 T"]
    ) -> Float[Array, "B T D"]:
        """x [B, T, D], mask bool [B, 1, 1, T] -> [B, T, D]."""
        heads = self.config.heads
        q, k, v = (
            attention.split_heads(layer(x), heads)
            for layer in (self.query, self.key, self.value)
        )
        return self.out(attention.merge_heads(attention.attend(q, k, v, mask=mask)))


class Block(nn.Module):
    """x = norm(x + attention(x)); x = norm(x + down(gelu(up(x))))."""

    config: Config

    def setup(self):
        c = self.config
        dense = functools.partial(
            linear.Dense, use_bias=True, kernel_init=_INIT, **_dtypes(c)
        )
        self.attention = Attention(c)
        self.attention_norm = norm.LayerNorm(c.eps, **_dtypes(c))
        self.up = dense(c.ffn, axes=("embed", "mlp"))
        self.down = dense(c.hidden, axes=("mlp", "embed"))
        self.mlp_norm = norm.LayerNorm(c.eps, **_dtypes(c))
        self.drop = nn.Dropout(c.dropout)

    def __call__(
        self,
        x: Float[Array, "B T D"],
        mask: Bool[Array, "B 1 1 T"],
        deterministic: bool,
    ) -> Float[Array, "B T D"]:
        """x [B, T, D], mask bool [B, 1, 1, T] -> [B, T, D]."""
        y = self.drop(self.attention(x, mask), deterministic=deterministic)
        x = self.attention_norm(x + y)
        y = self.down(activations.gelu_exact(self.up(x)))
        x = self.mlp_norm(x + self.drop(y, deterministic=deterministic))
        return linear.constrain(x, ("batch", "seq", "embed"))


class Encoder(nn.Module):
    """Tokens to contextual states."""

    config: Config

    def setup(self):
        c = self.config
        table = functools.partial(
            linear.Embed, features=c.hidden, embedding_init=_INIT, **_dtypes(c)
        )
        self.token_embed = table(c.vocab)
        self.position_embed = table(c.positions, axes=(None, "embed"))
        self.type_embed = table(c.token_types, axes=(None, "embed"))
        self.embed_norm = norm.LayerNorm(c.eps, **_dtypes(c))
        # deterministic, argument 3 of Block.__call__, is a Python bool.
        block = stack.remat(Block, c.remat, c.scan, static=(3,))
        self.layers = [block(c) for _ in range(c.layers)]
        self.drop = nn.Dropout(c.dropout)

    def __call__(
        self,
        tokens: Int[Array, "B T"],
        mask: Shaped[Array, "B T"],
        token_types: Int[Array, "B T"] | None = None,
        deterministic: bool = True,
    ) -> Float[Array, "B T D"]:
        """Encode a batch.

        Args:
          tokens: int [B, T].
          mask: [B, T], 1 or True at real tokens.
          token_types: int [B, T], segment ids; all 0 when None.
          deterministic: False draws dropout from the "dropout" rng.

        Returns:
          last hidden states [B, T, D].

        Raises:
          BridgeError: T exceeds the position table.
        """
        length, positions = tokens.shape[1], self.config.positions
        if length > positions:
            raise BridgeError(
                f"bert: {length} tokens but only {positions} positions; cut the text"
            )
        if token_types is None:
            token_types = jnp.zeros_like(tokens)
        x = self.token_embed(tokens) + self.type_embed(token_types)
        x = shared.add(x, self.position_embed(jnp.arange(length))[None])
        x = self.drop(self.embed_norm(x), deterministic=deterministic)
        allowed = mask.astype(bool)[:, None, None]

        def step(layer, x, _):
            return layer(x, allowed, deterministic), None

        c = self.config
        rngs = {}
        if c.dropout and not deterministic:
            rngs = {"dropout": self.make_rng("dropout")}
        return stack.fold(step, self.layers, x, scan=c.scan, dtype=c.dtype, rngs=rngs)[
            0
        ]
