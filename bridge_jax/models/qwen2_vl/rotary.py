"""M-RoPE: rotary positions in time, height and width (arXiv 2409.12191, 2.1)."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Num

from bridge_jax.core.types import Array
from bridge_jax.layers import rope


def mrope(
    positions: Num[Array, "3 B T"],
    head_dim: int,
    theta: float,
    sections: tuple[int, int, int],
) -> tuple[Float[Array, "B 1 T D"], Float[Array, "B 1 T D"]]:
    """cos and sin [B, 1, T, head_dim] of positions [3, B, T], half-split layout.

    Rotary pair i turns with time, height or width, by the section that i falls into.
    """
    axis = np.repeat(np.arange(3), sections)
    per_pair = jnp.moveaxis(positions[axis], 0, -1).astype(jnp.float32)
    angles = per_pair * rope.frequencies(head_dim, theta)[None, None]
    angles = jnp.concatenate([angles, angles], axis=-1)[:, None]
    return jnp.cos(angles), jnp.sin(angles)
