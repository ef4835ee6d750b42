"""Ways to a convolution with fewer products give what the plain way gives."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bridge_jax.core import hardware
from bridge_jax.layers import convolution, phases, shifted, winograd


def given(height, width, channels, features, dtype="float32"):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, height, width, channels))
    kernel = rng.standard_normal((3, 3, channels, features)) / channels
    return jnp.asarray(x, dtype), jnp.asarray(kernel, dtype)


def fresh(function):
    """Jitted, and traced anew: what a patch changes is not known to be another."""
    return jax.jit(lambda *arguments: function(*arguments))


def exact(x, kernel):
    """A 3x3 convolution in float64, by its definition."""
    x, kernel = np.asarray(x, np.float64), np.asarray(kernel, np.float64)
    _, height, width, _ = x.shape
    x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return sum(
        x[:, i : i + height, j : j + width] @ kernel[i, j]
        for i in range(3)
        for j in range(3)
    )


@pytest.mark.parametrize("sides", [(4, 6), (2, 2), (8, 2), (2, 4), (6, 8)])
def test_winograd_is_the_convolution(sides):
    x, kernel = given(*sides, 5, 7)
    np.testing.assert_allclose(
        winograd.same(x, kernel), exact(x, kernel), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("sides", [(4, 6), (2, 2), (8, 2), (2, 4), (6, 8)])
def test_winograd_finds_the_gradient_of_the_kernel(sides):
    x, _ = given(*sides, 5, 7)
    gradient, _ = given(*sides, 7, 1)
    padded = np.pad(np.asarray(x, np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    height, width = sides
    wanted = [
        [
            np.einsum(
                "bhwi,bhwo->io", padded[:, i : i + height, j : j + width], gradient
            )
            for j in range(3)
        ]
        for i in range(3)
    ]
    found = winograd.kernel_gradient(x, gradient)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_winograd_rounds_halves_once(dtype):
    x, kernel = given(4, 8, 6, 5, dtype)
    found = winograd.same(x, kernel)
    single = winograd.same(x.astype(jnp.float32), kernel.astype(jnp.float32))
    np.testing.assert_array_equal(found, single.astype(dtype))
    gradient = winograd.kernel_gradient(x, found)
    assert (found.dtype, gradient.dtype) == (dtype, dtype)
    single = winograd.kernel_gradient(x.astype(jnp.float32), found.astype(jnp.float32))
    np.testing.assert_array_equal(gradient, single.astype(dtype))


@pytest.mark.parametrize("sides", [(4, 6), (3, 1), (1, 5)])
def test_phases_are_the_convolution_of_the_doubled_picture(sides):
    x, kernel = given(*sides, 5, 7)
    wanted = exact(np.repeat(np.repeat(x, 2, 1), 2, 2), kernel)
    np.testing.assert_allclose(phases.doubled(x, kernel), wanted, rtol=0, atol=1e-5)


WIDE = winograd.CHANNELS
LARGE = math.isqrt(winograd.PIXELS)
MANY = 46  # a side, of two pictures that have enough tiles


@pytest.mark.parametrize(
    ("sides", "widths", "suits"),
    [
        ((LARGE, LARGE), (WIDE, WIDE), True),
        ((LARGE - 2, LARGE), (WIDE, WIDE), False),
        ((LARGE, LARGE), (WIDE - 1, WIDE), False),
        ((LARGE, LARGE), (WIDE, WIDE - 1), False),
        ((LARGE, LARGE + 1), (WIDE, WIDE), False),
        ((LARGE + 1, LARGE), (WIDE, WIDE), False),
    ],
)
def test_whose_kernels_gradients_winograd_finds(sides, widths, suits):
    x, kernel = given(*sides, *widths)
    assert winograd.suits(x, kernel) == suits
    program = str(jax.make_jaxpr(convolution.same)(x, kernel))
    assert ("custom_vjp" in program) == suits
    found = jax.jit(convolution.same)(x, kernel)
    np.testing.assert_allclose(found, exact(x, kernel), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("batch", "side", "widths", "pays"),
    [
        (2, 64, (64, 64), True),
        (2, 30, (64, 64), False),  # few tiles
        (2, 128, (64, 96), False),  # narrow, and large
        (2, 128, (96, 96), True),
        (2, 32, (192, 256), True),
        (2, 32, (191, 256), False),
        (1, 30, (192, 192), False),
        (1, 63, (192, 192), False),
        (1, 32, (192, 192), True),
    ],
)
def test_which_pictures_go_through_winograds_matrices(batch, side, widths, pays):
    x = np.zeros((batch, side, side, widths[0]), np.float32)
    kernel = np.zeros((3, 3, *widths), np.float32)
    assert winograd.pays(x, kernel) == pays
    # Of the branches that a program has, a CPU's alone may multiply matrices.
    program = str(jax.make_jaxpr(convolution.same)(x, kernel))
    assert ("dot_general" in program) == pays


def test_the_large_ones_are_the_convolution_as_well():
    x, kernel = given(64, 66, 64, 64)
    assert winograd.pays(x, kernel)
    found = jax.jit(convolution.same)(x, kernel)
    np.testing.assert_allclose(found, exact(x, kernel), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("widths", "dtype", "one_cpu", "pays"),
    [
        ((shifted.WIDE, shifted.WIDE), "bfloat16", True, True),
        ((shifted.WIDE, shifted.WIDE), "bfloat16", False, False),
        ((shifted.WIDE, shifted.WIDE), "float16", True, False),
        ((96, 96), "bfloat16", True, True),
        ((64, 128), "bfloat16", True, True),
        ((128, 64), "bfloat16", True, True),
        ((64, 127), "bfloat16", True, False),
        ((63, 129), "bfloat16", True, False),
    ],
)
def test_on_one_cpu_wide_pictures_of_bfloat16_are_shifted(
    widths, dtype, one_cpu, pays, monkeypatch
):
    monkeypatch.setattr(hardware, "is_one_cpu", lambda: one_cpu)
    x, kernel = given(4, 6, *widths, dtype)
    for convolve, picture in (
        (convolution.same, x),
        (convolution.doubled, convolution.nearest(x)),
    ):
        program = fresh(convolve).lower(x, kernel)
        assert ("stablehlo.convolution" not in program.as_text()) == pays
        found = program.compile()(x, kernel)
        assert found.dtype == dtype
        # Sums are float32, what comes out is rounded once.
        wanted = exact(picture, kernel)
        np.testing.assert_allclose(
            np.asarray(found, np.float64), wanted, rtol=2.0**-8, atol=1e-5
        )


@pytest.mark.parametrize("width", [96, shifted.WIDE])
@pytest.mark.parametrize("side", [4, LARGE])
def test_gradients_of_bfloat16_are_those_of_the_plain_way(side, width, monkeypatch):
    monkeypatch.setattr(hardware, "is_one_cpu", lambda: True)
    x, kernel = given(side, side, width, width, "bfloat16")

    def loss(convolve):
        return lambda *both: jnp.sum(convolve(*both).astype(jnp.float32) ** 2)

    found = jax.jit(jax.grad(loss(convolution.same), (0, 1)))(x, kernel)
    wanted = jax.jit(jax.grad(loss(convolution.plain), (0, 1)))(x, kernel)
    for one, other in zip(found, wanted, strict=True):
        scale = float(jnp.abs(other).max())
        np.testing.assert_allclose(
            np.float32(one), np.float32(other), rtol=0, atol=2.0**-6 * scale
        )


def usual(convolve):
    """What `convolve` is, by XLA's own convolution."""
    if convolve is convolution.same:
        return convolution.plain
    return lambda x, kernel: convolution.plain(convolution.nearest(x), kernel)


def forward(convolve):
    return lambda *both: jnp.sum(jnp.sin(3.0 * convolve(*both)))


def backward(convolve):
    return jax.grad(forward(convolve), (0, 1))


@pytest.mark.parametrize("convolve", [convolution.same, convolution.doubled])
@pytest.mark.parametrize("work", [forward, backward])
def test_on_cpus_they_have_fewer_products(convolve, work):
    x, kernel = given(MANY, MANY, WIDE, WIDE)

    def flops(one):
        program = jax.jit(work(one)).lower(x, kernel).compile()
        return program.cost_analysis()["flops"]

    # 24 for 72 or 16 for 36, and what the small matrices take
    assert flops(convolve) < 0.65 * flops(usual(convolve))


@pytest.mark.parametrize("convolve", [convolution.same, convolution.doubled])
@pytest.mark.parametrize("side", [4, LARGE, MANY])
def test_gradients_are_those_of_the_plain_way(convolve, side):
    x, kernel = given(side, side, WIDE, WIDE)
    found = jax.jit(backward(convolve))(x, kernel)
    wanted = jax.jit(backward(usual(convolve)))(x, kernel)
    # The kernel's is a sum over all pixels.
    for one, other, pixels in zip(found, wanted, (1, (side / 4) ** 2), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-4 * pixels)


@pytest.mark.parametrize("convolve", [convolution.same, convolution.doubled])
@pytest.mark.parametrize("work", [forward, backward])
@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
def test_other_devices_are_left_to_their_compilers(convolve, work, platform):
    traced = jax.jit(work(convolve)).trace(*given(MANY, MANY, WIDE, WIDE))
    text = traced.lower(lowering_platforms=(platform,)).as_text()
    # One, and in the backward pass one more for each of two gradients.
    alone = text.count("stablehlo.convolution") == (1 if work is forward else 3)
    plain = alone and "dot_general" not in text and "tensor<2x2x" not in text
    assert plain == (platform != "cpu")
