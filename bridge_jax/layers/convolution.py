"""Convolutions of pictures [B, h, w, in] with kernels [k, k, in, out], NHWC and HWIO.

What each computes is `plain`'s. On CPUs some take another way to it: fewer products in
float32 (`winograd`, `phases`), or bfloat16's own (`shifted`). So do their gradients,
for which XLA's way takes two to eight times as long; picture and kernel are all that is
kept for them. Elsewhere compilers choose.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Float

from bridge_jax.core.types import Array
from bridge_jax.layers import phases, shifted, winograd

Convolve = Callable[[jax.Array, jax.Array], jax.Array]
Back = Callable[[jax.Array, jax.Array, jax.Array], tuple[jax.Array, jax.Array]]


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
    if shifted.pays(x, kernel):
        return _shifted(x, kernel)
    return _filtered(x, kernel) if winograd.suits(x, kernel) else plain(x, kernel)


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
    return same(nearest(x), kernel)


def _of_nearest_back(x, kernel, gradient):
    return jax.vjp(_of_nearest, x, kernel)[1](gradient)


def _fewer(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return winograd.same(x, kernel) if winograd.pays(x, kernel) else plain(x, kernel)


def _same_back(x, kernel, gradient):
    """The picture's gradient is `same` of what came, with the kernel turned."""
    turned = kernel[::-1, ::-1].swapaxes(2, 3)
    if winograd.suits(x, kernel):
        of_kernel = winograd.kernel_gradient(x, gradient)
    else:
        of_kernel = jax.vjp(functools.partial(plain, x), kernel)[1](gradient)[0]
    return same(gradient, turned), of_kernel


def _on_cpus(other: Convolve, back: Back, usual: Convolve) -> Convolve:
    """`usual`, for which CPUs compute `other`, and its gradients by `back`."""

    @jax.custom_vjp
    def convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return jax.lax.platform_dependent(x, kernel, cpu=other, default=usual)

    def forward(x, kernel):
        return convolve(x, kernel), (x, kernel)

    def backward(kept, gradient):
        def usual_back(x, kernel, gradient):
            return jax.vjp(usual, x, kernel)[1](gradient)

        return jax.lax.platform_dependent(*kept, gradient, cpu=back, default=usual_back)

    convolve.defvjp(forward, backward)
    return convolve


_filtered = _on_cpus(_fewer, _same_back, plain)
_shifted = _on_cpus(shifted.same, _same_back, plain)
_doubled = _on_cpus(phases.doubled, _of_nearest_back, _of_nearest)
