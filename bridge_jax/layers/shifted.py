"""3x3 convolutions as products of matrices, of pictures shifted to where taps look.

Wide ones are nine products, one for each tap. Narrower ones are one: of every pixel
with its neighbours in the row, by the taps of all three rows; then results of three
rows are added. XLA's own convolution makes bfloat16 float32 on CPUs, while products may
use units for bfloat16 (`products`).
"""

import jax.numpy as jnp
from jaxtyping import Float

from bridge_jax.core import hardware
from bridge_jax.core.types import Array
from bridge_jax.layers import products

# Measured on two CPU cores with AMX, times of XLA's own way and of `winograd`: one
# product takes .4 to .8 of the better where kernels are 64 by 128 and more or 96 by 96
# (at most .99, where pictures are of 128 x 128), nine .3 to .7 of it from 256 on, and
# .7 to .8 of what one takes there.
WIDTHS = 192  # channels in and out, of which neither has less than a third
WIDE = 256


def pays(x: Float[Array, "B h w I"], kernel: Float[Array, "3 3 I O"]) -> bool:
    """Whether it is faster this way."""
    widths = x.shape[-1], kernel.shape[-1]
    enough = sum(widths) >= WIDTHS and 3 * min(widths) >= WIDTHS
    return enough and x.dtype == jnp.bfloat16 and hardware.is_one_cpu()


def same(
    x: Float[Array, "B h w I"], kernel: Float[Array, "3 3 I O"]
) -> Float[Array, "B h w O"]:
    """`convolution.same`; sums are float32."""
    wide = min(x.shape[-1], kernel.shape[-1]) >= WIDE
    return (in_nine if wide else in_one)(x, kernel)


def in_nine(
    x: Float[Array, "B h w I"], kernel: Float[Array, "3 3 I O"]
) -> Float[Array, "B h w O"]:
    """A product for each tap."""
    batch, height, width, channels = x.shape
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    total = 0.0
    for i in range(3):
        for j in range(3):
            seen = padded[:, i : i + height, j : j + width].reshape(-1, channels)
            total = total + products.of_rows(seen, kernel[i, j].T)
    return total.astype(x.dtype).reshape(batch, height, width, kernel.shape[-1])


def in_one(
    x: Float[Array, "B h w I"], kernel: Float[Array, "3 3 I O"]
) -> Float[Array, "B h w O"]:
    """One product for all taps."""
    batch, height, width, channels = x.shape
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    row = jnp.concatenate([padded[:, :, j : j + width] for j in range(3)], axis=-1)
    taps = kernel.reshape(3, 3 * channels, -1)
    taps = jnp.moveaxis(taps, 2, 1).reshape(-1, 3 * channels)  # of all rows
    found = products.of_rows(row.reshape(-1, 3 * channels), taps)
    found = found.reshape(batch, height + 2, width, 3, -1)
    total = sum(found[:, i : i + height, :, i] for i in range(3))
    return total.astype(x.dtype)
