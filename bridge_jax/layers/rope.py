"""Rotary position embeddings, both layouts in use."""

import jax.numpy as jnp
from jaxtyping import Float, Num

from bridge_jax.core.types import Array


def frequencies(dim: int, theta: float = 10000.0) -> Float[Array, " half"]:
    """theta ** (-2i/dim) for i < dim/2: float32 [dim/2] (Su et al. 2021)."""
    return theta ** (-jnp.arange(0, dim, 2, dtype=jnp.float32) / dim)


def turns(
    positions: Num[Array, "B T"], frequencies: Float[Array, " half"]
) -> tuple[Float[Array, "B 1 T D"], Float[Array, "B 1 T D"]]:
    """cos and sin [B, 1, T, D] of positions [B, T], for `apply_half`.

    frequencies [D/2] as from this module.
    """
    angles = positions.astype(jnp.float32)[..., None] * frequencies[None, None]
    angles = jnp.concatenate([angles, angles], axis=-1)[:, None]
    return jnp.cos(angles), jnp.sin(angles)


def apply_half(
    x: Float[Array, "B H T D"],
    cos: Float[Array, "#B 1 T D"],
    sin: Float[Array, "#B 1 T D"],
) -> Float[Array, "B H T D"]:
    """Rotate pairs (i, i + D/2), the layout of GPT-NeoX, LLaMA and Qwen.

    x [B, H, T, D]; cos and sin broadcastable [B, 1, T, D] (both halves filled).
    """
    first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    rotated = jnp.concatenate([-second, first], axis=-1)
    return (x.astype(jnp.float32) * cos + rotated * sin).astype(x.dtype)


def apply_interleaved(
    x: Float[Array, "B H T D"],
    cos: Float[Array, "#B 1 T D"],
    sin: Float[Array, "#B 1 T D"],
) -> Float[Array, "B H T D"]:
    """Rotate pairs (2i, 2i + 1), the layout of HunyuanDiT.

    x [B, H, T, D]; cos and sin broadcastable [B, 1, T, D], each value repeated twice.
    """
    wide = x.astype(jnp.float32)
    pairs = wide.reshape(*x.shape[:-1], -1, 2)
    rotated = jnp.stack([-pairs[..., 1], pairs[..., 0]], axis=-1).reshape(x.shape)
    return (wide * cos + rotated * sin).astype(x.dtype)
