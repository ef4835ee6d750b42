"""What attention mixes: a softmax whose division comes last."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bridge_jax.layers import attention


def plain(scores, v):
    return jax.nn.softmax(scores, axis=-1) @ v


@pytest.fixture
def given():
    draw = np.random.default_rng(0)
    shapes = (2, 3, 5, 7), (2, 3, 7, 4)
    return tuple(jnp.asarray(draw.normal(scale=3, size=s), jnp.float32) for s in shapes)


def test_it_is_softmax_and_so_are_its_gradients(given):
    found, pull = jax.vjp(attention.mix, *given)
    wanted, pulled = jax.vjp(plain, *given)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    share = jnp.cos(wanted * 10)
    for one, other in zip(pull(share), pulled(share), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_large_scores_and_rows_that_see_nothing(given):
    _, v = given
    smallest = float(jnp.finfo(jnp.float32).min)
    scores = jnp.full((2, 3, 5, 7), smallest).at[:, :, 0, 2].set(1e4)
    found = attention.mix(scores, v)
    np.testing.assert_allclose(found[:, :, 0], v[:, :, 2], rtol=1e-6)
    mean = jnp.broadcast_to(v.mean(2, keepdims=True), found[:, :, 1:].shape)
    np.testing.assert_allclose(found[:, :, 1:], mean, rtol=1e-5, atol=1e-6)


def test_what_is_dropped_stays_in_the_sum(given):
    scores, v = given
    kept = jnp.asarray(np.random.default_rng(1).uniform(size=scores.shape) < 0.5)
    found = attention.mix(scores, v, lambda weights: jnp.where(kept, 2 * weights, 0.0))
    weights = jnp.where(kept, 2 * jax.nn.softmax(scores, axis=-1), 0.0)
    np.testing.assert_allclose(found, weights @ v, rtol=1e-5, atol=1e-6)


def test_half_precision_is_mixed_in_half_precision(given):
    scores, v = given
    found = attention.mix(scores, v.astype(jnp.bfloat16))
    assert found.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.float32(found), plain(scores, v), atol=0.05)
