"""Ways to a convolution with fewer products give what the plain way gives."""

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


@pytest.mark.parametrize("sides", [(4, 6), (2, 2), (8, 2)])
def test_winograd_is_the_convolution(sides):
    x, kernel = given(*sides, 5, 7)
    np.testing.assert_allclose(
        winograd.same(x, kernel), exact(x, kernel), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("sides", [(4, 6), (3, 1), (1, 5)])
def test_phases_are_the_convolution_of_the_doubled_picture(sides):
    x, kernel = given(*sides, 5, 7)
    wanted = exact(np.repeat(np.repeat(x, 2, 1), 2, 2), kernel)
    np.testing.assert_allclose(phases.doubled(x, kernel), wanted, rtol=0, atol=1e-5)


WIDE = winograd.CHANNELS


@pytest.mark.parametrize(
    ("sides", "widths", "pays"),
    [
        ((4, 4), (WIDE, WIDE), True),
        ((4, 4), (WIDE - 1, WIDE), False),
        ((4, 4), (WIDE, WIDE - 1), False),
        ((4, 3), (WIDE, WIDE), False),
        ((3, 4), (WIDE, WIDE), False),
    ],
)
def test_which_pictures_winograd_takes(sides, widths, pays):
    x, kernel = given(*sides, *widths)
    assert winograd.pays(x.shape, kernel.shape) == pays
    program = str(jax.make_jaxpr(convolution.same)(x, kernel))
    assert ("custom_vjp" in program) == pays
    found = jax.jit(convolution.same)(x, kernel)
    np.testing.assert_allclose(found, exact(x, kernel), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("width", "dtype", "one_cpu", "pays"),
    [
        (shifted.CHANNELS, "bfloat16", True, True),
        (shifted.CHANNELS, "bfloat16", False, False),
        (shifted.CHANNELS, "float16", True, False),
        (shifted.CHANNELS - 1, "bfloat16", True, False),
    ],
)
def test_on_one_cpu_wide_pictures_of_bfloat16_are_shifted(
    width, dtype, one_cpu, pays, monkeypatch
):
    monkeypatch.setattr(hardware, "is_one_cpu", lambda: one_cpu)
    x, kernel = given(4, 6, width, width, dtype)
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


def test_gradients_of_bfloat16_are_those_of_the_plain_way(monkeypatch):
    monkeypatch.setattr(hardware, "is_one_cpu", lambda: True)
    x, kernel = given(4, 4, shifted.CHANNELS, shifted.CHANNELS, "bfloat16")

    def gradients(convolve):
        def loss(x, kernel):
            return jnp.sum(convolve(x, kernel).astype(jnp.float32) ** 2)

        return jax.jit(jax.grad(loss, (0, 1)))(x, kernel)

    found = gradients(convolution.same)
    for one, other in zip(found, gradients(convolution.plain), strict=True):
        scale = float(jnp.abs(other).max())
        np.testing.assert_allclose(
            np.float32(one), np.float32(other), rtol=0, atol=2.0**-6 * scale
        )


@pytest.mark.parametrize("convolve", [convolution.same, convolution.doubled])
def test_on_cpus_they_have_fewer_products(convolve):
    x, kernel = given(8, 8, WIDE, WIDE)

    def flops(dtype):
        program = jax.jit(convolve).lower(x.astype(dtype), kernel.astype(dtype))
        return program.compile().cost_analysis()["flops"]

    # 16 for 36, and what the small matrices take, or a row and a column more
    assert flops("float32") < 0.65 * flops("bfloat16")


@pytest.mark.parametrize("convolve", [convolution.same, convolution.doubled])
def test_gradients_are_those_of_the_plain_way(convolve):
    x, kernel = given(4, 4, WIDE, WIDE)

    def loss(convolve, x, kernel):
        return jnp.sum(jnp.sin(3.0 * convolve(x, kernel)))

    def usual(x, kernel):
        if convolve is convolution.doubled:
            x = convolution.nearest(x)
        return convolution.plain(x, kernel)

    found = jax.jit(jax.grad(lambda *a: loss(convolve, *a), (0, 1)))(x, kernel)
    wanted = jax.jit(jax.grad(lambda *a: loss(usual, *a), (0, 1)))(x, kernel)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-4)


@pytest.mark.parametrize("convolve", [convolution.same, convolution.doubled])
@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
def test_other_devices_are_left_to_their_compilers(convolve, platform):
    traced = jax.jit(convolve).trace(*given(4, 4, WIDE, WIDE))
    text = traced.lower(lowering_platforms=(platform,)).as_text()
    lines = [one for one in text.splitlines() if "stablehlo.convolution" in one]
    whole = [f"tensor<3x3x{WIDE}x{WIDE}xf32>" in one for one in lines]
    assert (whole == [True] and "dot_general" not in text) == (platform != "cpu")
