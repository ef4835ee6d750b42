"""Rotary position embeddings, both layouts in use."""

from collections.abc import Callable
from typing import Any

import jax
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


Turn = Callable[[jax.Array], jax.Array]


def _rotation(turned: Turn) -> Callable[[jax.Array, jax.Array, jax.Array], jax.Array]:
    """x, cos, sin -> x cos + turned(x) sin, in float32 and back in x's dtype.

    `turned` is a quarter turn of each pair. The gradient is the rotation back; derived
    from the swapping of pairs, it takes a CPU up to twice as long. Angles have none.
    """

    @jax.custom_vjp
    def rotate(x: jax.Array, cos: jax.Array, sin: jax.Array) -> jax.Array:
        wide = x.astype(jnp.float32)
        return (wide * cos + turned(wide) * sin).astype(x.dtype)

    def forward(x: jax.Array, cos: jax.Array, sin: jax.Array) -> tuple[jax.Array, Any]:
        return rotate(x, cos, sin), (cos, sin)

    def backward(angles: Any, gradient: jax.Array) -> tuple[jax.Array, None, None]:
        cos, sin = angles
        return rotate(gradient, cos, -sin), None, None

    rotate.defvjp(forward, backward)
    return rotate


def _turned_halves(x: jax.Array) -> jax.Array:
    first, second = jnp.split(x, 2, axis=-1)
    return jnp.concatenate([-second, first], axis=-1)


def _turned_neighbours(x: jax.Array) -> jax.Array:
    pairs = x.reshape(*x.shape[:-1], -1, 2)
    return jnp.stack([-pairs[..., 1], pairs[..., 0]], axis=-1).reshape(x.shape)


_rotate_halves = _rotation(_turned_halves)
_rotate_neighbours = _rotation(_turned_neighbours)


def apply_half(
    x: Float[Array, "B H T D"],
    cos: Float[Array, "#B 1 T D"],
    sin: Float[Array, "#B 1 T D"],
) -> Float[Array, "B H T D"]:
    """Rotate pairs (i, i + D/2), the layout of GPT-NeoX, LLaMA and Qwen.

    x [B, H, T, D]; cos and sin broadcastable [B, 1, T, D] (both halves filled).
    """
    return _rotate_halves(x, cos, sin)


def apply_interleaved(
    x: Float[Array, "B H T D"],
    cos: Float[Array, "#B 1 T D"],
    sin: Float[Array, "#B 1 T D"],
) -> Float[Array, "B H T D"]:
    """Rotate pairs (2i, 2i + 1), the layout of HunyuanDiT.

    x [B, H, T, D]; cos and sin broadcastable [B, 1, T, D], each value repeated twice.
    """
    return _rotate_neighbours(x, cos, sin)
