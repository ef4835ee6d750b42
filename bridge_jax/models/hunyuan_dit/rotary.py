"""2-D rotary tables: a centred crop of the base grid, sampled at the image's size.

An image of any aspect ratio is laid into the square grid that the model was trained
on, so positions always stay in the trained range.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from bridge_jax.core.types import Array
from bridge_jax.layers import rope


def crop(base: int, height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """(top, left), (bottom, right) of a height x width image fitted into base x base.

    Python's `round` halves to even, as the reference's does: released weights saw it.
    """
    if height > width:
        fitted = base, round(base / height * width)
    else:
        fitted = round(base / width * height), base
    top, left = (round((base - side) / 2) for side in fitted)
    return (top, left), (top + fitted[0], left + fitted[1])


def tables(
    height: int, width: int, head_dim: int, base: int
) -> tuple[Float[Array, "1 1 P D"], Float[Array, "1 1 P D"]]:
    """cos and sin for interleaved rotation of height x width patches, row by row.

    The first half of the head dimensions turns with the WIDTH coordinate, the second
    with the height.

    Returns:
      cos, sin: float32 [1, 1, height * width, head_dim].
    """
    (top, left), (bottom, right) = crop(base, height, width)
    rows = np.linspace(top, bottom, height, endpoint=False, dtype=np.float32)
    columns = np.linspace(left, right, width, endpoint=False, dtype=np.float32)
    positions = np.tile(columns, height), np.repeat(rows, width)
    frequencies = rope.frequencies(head_dim // 2)
    halves = [
        jnp.repeat(position[:, None] * frequencies[None], 2, axis=1)
        for position in positions
    ]
    angles = jnp.concatenate(halves, axis=1)[None, None]
    return jnp.cos(angles), jnp.sin(angles)
