"""Convolutional blocks of latent-diffusion autoencoders, NHWC.

All of them are `diffusers`' blocks of the same purpose, without time conditioning.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Float

from bridge_jax.core.types import Array
from bridge_jax.layers import activations, attention, convolution, linear, norm

EPS = 1e-6  # of every group norm here, as published


class ResnetBlock(nn.Module):
    """x + conv(silu(norm(conv(silu(norm(x)))))); the skip is projected on new widths.

    Submodules `norm1 conv1 norm2 conv2` and, where the width changes, `shortcut`.
    """

    features: int
    groups: int = 32
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B h w I"]) -> Float[Array, "B h w O"]:
        """x [B, h, w, in] -> [B, h, w, features]; `groups` divides both widths."""
        types = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        y = x
        for index in ("1", "2"):
            y = norm.GroupNorm(self.groups, EPS, name=f"norm{index}", **types)(y)
            y = linear.Conv(self.features, name=f"conv{index}", **types)(
                activations.silu(y)
            )
        if x.shape[-1] != self.features:
            x = pointwise(self.features, "shortcut", **types)(x)
        return x + y


class Downsample(nn.Module):
    """Halve height and width: a 3x3 convolution of stride 2, submodule `conv`."""

    features: int
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B h w I"]) -> Float[Array, "B g v O"]:
        """x [B, h, w, in] -> [B, h // 2, w // 2, features]."""
        return linear.Conv(
            self.features,
            convolution.halved,
            dtype=self.dtype,
            param_dtype=self.param_dtype,
            name="conv",
        )(x)


class Upsample(nn.Module):
    """Double height and width: nearest neighbour, then a 3x3 `conv`."""

    features: int
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B h w I"]) -> Float[Array, "B g v O"]:
        """x [B, h, w, in] -> [B, 2 h, 2 w, features]."""
        return linear.Conv(
            self.features,
            convolution.doubled,
            dtype=self.dtype,
            param_dtype=self.param_dtype,
            name="conv",
        )(x)


class SpatialAttention(nn.Module):
    """x + out(attention(norm(x))) over all positions, with one head.

    Submodules `norm query key value out`, all with biases.
    """

    groups: int = 32
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B h w C"]) -> Float[Array, "B h w C"]:
        """x [B, h, w, C] -> [B, h, w, C]; memory grows as (h w)^2."""
        batch, height, width, channels = x.shape
        types = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        y = norm.GroupNorm(self.groups, EPS, name="norm", **types)(x)
        y = y.reshape(batch, height * width, channels)
        q, k, v = (
            attention.split_heads(pointwise(channels, name, **types)(y), 1)
            for name in ("query", "key", "value")
        )
        y = attention.merge_heads(attention.attend(q, k, v))
        return x + pointwise(channels, "out", **types)(y).reshape(x.shape)


def pointwise(features: int, name: str | None = None, **types: Any) -> linear.Dense:
    """A 1x1 convolution, which is a linear layer over channels."""
    axes = ("conv_in", "conv_out")
    return linear.Dense(features, axes=axes, use_bias=True, name=name, **types)
