"""Normalisations, computed in float32 and cast back."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from bridge_jax.core.types import Array
from bridge_jax.layers import linear


def _last(vector: jax.Array, rank: int) -> jax.Array:
    """[D] -> [1, ..., 1, D], so that broadcasting is explicit."""
    return vector.astype(jnp.float32).reshape((1,) * (rank - 1) + (-1,))


class RMSNorm(nn.Module):
    """x / rms(x) * scale, without mean or bias (T5, Qwen2)."""

    eps: float = 1e-6
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32
    axis: str | None = "norm"

    @nn.compact
    def __call__(self, x: Float[Array, "*B D"]) -> Float[Array, "*B D"]:
        """x [..., D] -> [..., D]."""
        scale = linear.param(
            self,
            "scale",
            nn.initializers.ones,
            (x.shape[-1],),
            (self.axis,),
            self.param_dtype,
        )
        x = x.astype(jnp.float32)
        variance = jnp.mean(jnp.square(x), axis=-1, keepdims=True)
        y = x * jax.lax.rsqrt(variance + self.eps)
        return (y * _last(scale, x.ndim)).astype(self.dtype)


class LayerNorm(nn.Module):
    """(x - mean) / std * scale + bias over the last axis."""

    eps: float = 1e-6
    use_scale: bool = True
    use_bias: bool = True
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32
    axis: str | None = "norm"

    @nn.compact
    def __call__(self, x: Float[Array, "*B D"]) -> Float[Array, "*B D"]:
        """x [..., D] -> [..., D]."""
        width, rank = x.shape[-1], x.ndim
        x = x.astype(jnp.float32)
        mean = jnp.mean(x, axis=-1, keepdims=True)
        centred = x - mean
        variance = jnp.mean(jnp.square(centred), axis=-1, keepdims=True)
        y = centred * jax.lax.rsqrt(variance + self.eps)
        if self.use_scale:
            scale = linear.param(
                self,
                "scale",
                nn.initializers.ones,
                (width,),
                (self.axis,),
                self.param_dtype,
            )
            y = y * _last(scale, rank)
        if self.use_bias:
            bias = linear.param(
                self,
                "bias",
                nn.initializers.zeros,
                (width,),
                (self.axis,),
                self.param_dtype,
            )
            y = y + _last(bias, rank)
        return y.astype(self.dtype)


class GroupNorm(nn.Module):
    """Normalise [B, h, w, C] over space and groups of channels."""

    groups: int = 32
    eps: float = 1e-6
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32
    axis: str | None = "norm"

    @nn.compact
    def __call__(self, x: Float[Array, "B h w C"]) -> Float[Array, "B h w C"]:
        """x [B, h, w, C] -> [B, h, w, C]; `groups` must divide C."""
        channels = x.shape[-1]
        flat = x.astype(jnp.float32).reshape(x.shape[0], -1, channels)
        # Reduce over positions first and over groups of channels last: XLA on CPU is
        # three times as fast as with the groups as an axis of the big array.
        flat = flat - self._per_group(jnp.mean(flat, axis=1))[:, None]
        variance = self._per_group(jnp.mean(jnp.square(flat), axis=1))
        y = (flat * jax.lax.rsqrt(variance + self.eps)[:, None]).reshape(x.shape)
        scale = linear.param(
            self,
            "scale",
            nn.initializers.ones,
            (channels,),
            (self.axis,),
            self.param_dtype,
        )
        bias = linear.param(
            self,
            "bias",
            nn.initializers.zeros,
            (channels,),
            (self.axis,),
            self.param_dtype,
        )
        return (y * _last(scale, 4) + _last(bias, 4)).astype(self.dtype)

    def _per_group(self, channels: jax.Array) -> jax.Array:
        """[B, C] -> [B, C], each channel given the mean of its group."""
        batch, width = channels.shape
        grouped = channels.reshape(batch, self.groups, -1)
        return jnp.repeat(jnp.mean(grouped, axis=2), width // self.groups, axis=1)
