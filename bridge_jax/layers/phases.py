"""A 3x3 convolution of a picture doubled in size, without making that picture.

Of doubled rows a, a, b, b, ... three neighbours are of two rows, so that a pixel of the
output sees 2 x 2 pixels of the small picture. Which of the kernel's nine taps meet on
one of them depends on the output's phase alone: whether its row and its column are even
or odd. That makes four kernels of 2 x 2, and 16 products for 36.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from bridge_jax.core.types import Array


def doubled(
    x: Float[Array, "B h w I"], kernel: Float[Array, "3 3 I O"]
) -> Float[Array, "B 2*h 2*w O"]:
    """`convolution.plain` of `convolution.nearest`, but for rounding.

    All four kernels go over the picture at once: [B, h + 1, w + 1, 4 O]. An odd row is
    computed where its lower pixel is, one further than the even row before it.
    """
    batch, height, width, _ = x.shape
    kernels = [both for rows in _by_phase(kernel, 0) for both in _by_phase(rows, 1)]
    y = jax.lax.conv_general_dilated(
        x,
        jnp.concatenate(kernels, axis=-1),
        window_strides=(1, 1),
        padding=((1, 1), (1, 1)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    even_even, even_odd, odd_even, odd_odd = jnp.split(y, 4, axis=-1)
    even = [even_even[:, :-1, :-1], even_odd[:, :-1, 1:]]
    odd = [odd_even[:, 1:, :-1], odd_odd[:, 1:, 1:]]
    rows = [jnp.stack(columns, axis=3) for columns in (even, odd)]
    return jnp.stack(rows, axis=2).reshape(batch, 2 * height, 2 * width, -1)


def _by_phase(kernel: jax.Array, axis: int) -> tuple[jax.Array, jax.Array]:
    """Three taps along an axis as two: of even places, and of odd ones."""
    first, middle, last = jnp.split(kernel, 3, axis=axis)
    even = jnp.concatenate([first, middle + last], axis)
    odd = jnp.concatenate([first + middle, last], axis)
    return even, odd
