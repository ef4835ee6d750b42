"""3x3 convolutions as nine products of matrices, one for each tap of the kernel.

The picture, shifted to where a tap looks, times the tap. XLA's own convolution makes
bfloat16 float32 on CPUs, while products may use units for bfloat16 (`products`).
"""

import jax.numpy as jnp
from jaxtyping import Float

from bridge_jax.core import hardware
from bridge_jax.core.types import Array
from bridge_jax.layers import products

# Measured on two CPU cores with AMX: twice to three times as fast from 192 on; at 128
# that depends on the picture, and below it is slower.
CHANNELS = 192


def pays(x: Float[Array, "B h w I"], kernel: Float[Array, "3 3 I O"]) -> bool:
    """Whether it is faster this way."""
    wide = min(x.shape[-1], kernel.shape[-1]) >= CHANNELS
    return wide and x.dtype == jnp.bfloat16 and hardware.is_one_cpu()


def same(
    x: Float[Array, "B h w I"], kernel: Float[Array, "3 3 I O"]
) -> Float[Array, "B h w O"]:
    """`convolution.same`; sums are float32."""
    batch, height, width, channels = x.shape
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    total = 0.0
    for i in range(3):
        for j in range(3):
            seen = padded[:, i : i + height, j : j + width].reshape(-1, channels)
            total = total + products.of_rows(seen, kernel[i, j].T)
    return total.astype(x.dtype).reshape(batch, height, width, kernel.shape[-1])
