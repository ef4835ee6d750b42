"""Rotary embeddings: complex numbers that turn, in both layouts, and back again."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bridge_jax.layers import rope

B, H, T, D = 2, 3, 5, 8
ANGLES = np.random.default_rng(0).normal(size=(B, 1, T, D // 2))
# The two numbers of a pair, and what a table of one angle a pair becomes.
LAYOUTS = {
    "half": (rope.apply_half, lambda x: (x[..., : D // 2], x[..., D // 2 :])),
    "interleaved": (rope.apply_interleaved, lambda x: (x[..., ::2], x[..., 1::2])),
}
TABLES = {
    "half": np.concatenate([ANGLES, ANGLES], axis=-1),
    "interleaved": np.repeat(ANGLES, 2, axis=-1),
}


def complexes(name, x):
    first, second = LAYOUTS[name][1](np.asarray(x, np.float64))
    return first + 1j * second


def given(name, dtype=jnp.float32):
    x = np.random.default_rng(1).normal(size=(B, H, T, D))
    angles = TABLES[name]
    return jnp.asarray(x, dtype), *map(jnp.float32, (np.cos(angles), np.sin(angles)))


@pytest.mark.parametrize("name", LAYOUTS)
def test_pairs_turn_by_their_angles(name):
    x, cos, sin = given(name)
    turned = LAYOUTS[name][0](x, cos, sin)
    wanted = complexes(name, x) * np.exp(1j * ANGLES)
    np.testing.assert_allclose(complexes(name, turned), wanted, atol=1e-6)


@pytest.mark.parametrize("name", LAYOUTS)
def test_gradients_turn_back_and_angles_have_none(name):
    x, cos, sin = given(name)
    gradient = jax.random.normal(jax.random.key(0), x.shape)
    _, pull = jax.vjp(LAYOUTS[name][0], x, cos, sin)
    back, *angles = pull(gradient)
    wanted = complexes(name, gradient) * np.exp(-1j * ANGLES)
    np.testing.assert_allclose(complexes(name, back), wanted, atol=1e-6)
    assert not any(np.asarray(one).any() for one in angles)


@pytest.mark.parametrize("name", LAYOUTS)
def test_half_precision_is_turned_in_float32(name):
    x, cos, sin = given(name, jnp.bfloat16)
    turned = LAYOUTS[name][0](x, cos, sin)
    exact = LAYOUTS[name][0](x.astype(jnp.float32), cos, sin)
    assert turned.dtype == jnp.bfloat16
    np.testing.assert_array_equal(turned, exact.astype(jnp.bfloat16))
