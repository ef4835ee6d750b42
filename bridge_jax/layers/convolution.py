"""Convolutions of pictures [B, h, w, in] with kernels [k, k, in, out], NHWC and HWIO.

What each computes is `plain`'s. On CPUs some take another way to it, in float32 with
fewer products (`winograd`, `phases`), in bfloat16 with faster ones (`shifted`), and
gradients go the plain way: they would keep several times as much from the forward pass.
Elsewhere compilers choose.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Float

from bridge_jax.core.types import Array
from bridge_jax.layers import phases, shifted, winograd

Convolve = Callable[[jax.Array, jax.Array], jax.Array]


def plain(
    x: Float[Array, "B h w I"],
    kernel: Float[Array, "k k I O"],
    stride: int = 1,
    padding: tuple[tuple[int, int], tuple[int, int]] = ((1, 1), (1, 1)),
) -> Float[Array, "B g v O"]:
    """XLA's own convolution; padding is with zeros, of rows and of columns."""
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=padding,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def same(
    x: Float[Array, "B h w I"], kernel: Float[Array, "3 3 I O"]
) -> Float[Array, "B h w O"]:
    """Height and width stay: one pixel of zeros around."""
    if x.dtype == jnp.float32 and winograd.pays(x.shape, kernel.shape):
        return _same(x, kernel)
    return _shifted(x, kernel) if shifted.pays(x, kernel) else plain(x, kernel)


def halved(
    x: Float[Array, "B h w I"], kernel: Float[Array, "3 3 I O"]
) -> Float[Array, "B g v O"]:
    """Height and width halve. Zeros are on the bottom and the right only.

    So have the released autoencoders; around the picture, they would shift it by half a
    pixel.
    """
    return plain(x, kernel, 2, ((0, 1), (0, 1)))


def doubled(
    x: Float[Array, "B h w I"], kernel: Float[Array, "3 3 I O"]
) -> Float[Array, "B 2*h 2*w O"]:
    """`same` of the picture made twice as high and wide, by `nearest`."""
    return _doubled(x, kernel) if x.dtype == jnp.float32 else same(nearest(x), kernel)


def nearest(x: Float[Array, "B h w C"]) -> Float[Array, "B 2*h 2*w C"]:
    """Repeat every pixel twice in both directions: [B, h, w, C] -> [B, 2h, 2w, C]."""
    return jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)


def _of_nearest(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return plain(nearest(x), kernel)


def _on_cpus(other: Convolve, usual: Convolve) -> Convolve:
    """`usual`, for which CPUs compute `other`; gradients are those of `usual`."""

    @jax.custom_vjp
    def convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return jax.lax.platform_dependent(x, kernel, cpu=other, default=usual)

    def forward(x, kernel):
        return convolve(x, kernel), (x, kernel)

    def backward(kept, gradient):
        return jax.vjp(usual, *kept)[1](gradient)

    convolve.defvjp(forward, backward)
    return convolve


_same = _on_cpus(winograd.same, plain)
_shifted = _on_cpus(shifted.same, plain)
_doubled = _on_cpus(phases.doubled, _of_nearest)
