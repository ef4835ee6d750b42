"""Activations: what they are, and how those of half precision are rounded."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bridge_jax.layers import activations


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


# By their definitions, in double precision.
EXACT = {
    "quick_gelu": lambda x: x * sigmoid(1.702 * x),
    "gelu": lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
    "gelu_tanh": lambda x: (
        x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2
    ),
    "silu": lambda x: x * sigmoid(x),
    "relu": lambda x: max(x, 0.0),
    "tanh": math.tanh,
}
X = np.linspace(-6, 6, 241)  # 0 in the middle
EPS = 1e-5


def of(name, x):
    return np.array([EXACT[name](float(one)) for one in x])


def test_all_of_them_are_known():
    assert set(activations.ACTIVATIONS) == set(EXACT)


@pytest.mark.parametrize("name", EXACT)
def test_they_are_what_their_names_say(name):
    found = activations.named(name)(jnp.asarray(X, jnp.float32))
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, of(name, X), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision_is_rounded_once(name, dtype):
    """So are gradients: each is within half a unit of its last place, and a little."""
    x = jnp.asarray(X, dtype)
    wide = np.asarray(x, np.float64)
    last = float(jnp.finfo(dtype).eps) / 2
    found, pull = jax.vjp(activations.named(name), x)
    (slope,) = pull(jnp.ones_like(x))
    assert found.dtype == slope.dtype == dtype
    exact = of(name, wide)
    # Of float32's own tanh the tails come out no better.
    tail = 1e-6 + float(jnp.finfo(dtype).smallest_normal)
    np.testing.assert_allclose(
        np.asarray(found, np.float64), exact, rtol=1.01 * last, atol=tail
    )
    smooth = np.abs(wide) > 1e-3  # but for relu, at 0
    rising = (of(name, wide + EPS) - of(name, wide - EPS)) / (2 * EPS)
    np.testing.assert_allclose(
        np.asarray(slope, np.float64)[smooth],
        rising[smooth],
        rtol=1.01 * last,
        atol=5e-6,
    )


NAMES = ["quick_gelu", "gelu", "gelu_tanh", "silu", "tanh"]
DTYPES = [jnp.bfloat16, jnp.float32]


def kept(function, *inputs):
    """(shape, dtype) of what backward keeps, but for single numbers."""
    _, pull = jax.vjp(function, *inputs)
    leaves = [leaf for leaf in jax.tree.leaves(pull) if leaf.size > 1]
    return [(leaf.shape, leaf.dtype) for leaf in leaves]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_backward_keeps_the_input_alone(name, dtype):
    x = jnp.ones((3, 5), dtype)
    assert kept(activations.named(name), x) == [(x.shape, x.dtype)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["gelu_tanh", "silu"])
def test_gated_is_the_product_and_backward_keeps_both_inputs(name, dtype):
    activation = activations.named(name)
    draw = np.random.default_rng(0)
    gate, up, share = (jnp.asarray(draw.normal(size=(3, 5)), dtype) for _ in range(3))
    found, pull = jax.vjp(lambda *both: activations.gated(activation, *both), gate, up)
    wanted, pulled = jax.vjp(lambda gate, up: activation(gate) * up, gate, up)
    np.testing.assert_array_equal(found, wanted)
    for one, other in zip(pull(share), pulled(share), strict=True):
        assert one.dtype == dtype
        np.testing.assert_allclose(*(np.float32(x) for x in (one, other)), rtol=1e-6)

    def gated(gate, up):
        return activations.gated(activation, gate, up)

    assert kept(gated, gate, up) == [(gate.shape, gate.dtype)] * 2
