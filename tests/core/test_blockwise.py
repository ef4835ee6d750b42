"""Sums a block at a time: the whole's values and gradients, without the whole."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bridge_jax.core import blockwise, flops
from bridge_jax.sharding import place

ROWS, LENGTH, WIDTH, WORDS = 8, 22, 6, 40
LENGTHS = {"even": LENGTH, "filled up": LENGTH - 3}


def given(length=LENGTH, words=WORDS):
    draw = np.random.default_rng(0)
    table = draw.normal(size=(words, WIDTH)).astype(np.float32)
    states = draw.normal(size=(ROWS, length, WIDTH)).astype(np.float32)
    targets = draw.integers(0, words, (ROWS, length))
    weights = (draw.random((ROWS, length)) < 0.6).astype(np.float32)
    return table, states, targets, weights


def scored(table, states, targets, weights):
    log_p = jax.nn.log_softmax(states @ table.T)
    found = jnp.take_along_axis(log_p, targets[..., None], axis=-1)[..., 0]
    return -jnp.sum(found * weights), jnp.sum(weights)


def loss(blocks, table, states, targets, weights):
    """In a scale of its own, so that a factor left out would show."""
    total, count = blockwise.total(
        functools.partial(scored, table), blocks, states, targets, weights
    )
    return 3.0 * total / count


@pytest.mark.parametrize("length", LENGTHS.values(), ids=LENGTHS)
@pytest.mark.parametrize("blocks", [2, 5, 1000])
def test_values_and_gradients_are_those_of_the_whole(blocks, length):
    def both(blocks):
        of = jax.value_and_grad(functools.partial(loss, blocks), argnums=(0, 1))
        return jax.jit(of)(*given(length))

    (value, gradients), (wanted, whole) = both(blocks), both(1)
    np.testing.assert_allclose(value, wanted, rtol=1e-6)
    for found, plain in zip(gradients, whole, strict=True):
        np.testing.assert_allclose(found, plain, atol=1e-6)


def test_without_a_gradient_it_is_the_sum():
    table, states, targets, weights = given()
    fn = functools.partial(scored, table)
    found = jax.jit(lambda *of: blockwise.total(fn, 4, *of))(states, targets, weights)
    np.testing.assert_allclose(found, fn(states, targets, weights), rtol=1e-6)


def test_a_gradient_costs_no_second_pass_and_a_frozen_table_none():
    arguments = given()

    def products(asked, blocks):
        of = jax.grad(functools.partial(loss, blocks), argnums=asked)
        return flops.count(jax.jit(of).trace(*arguments).jaxpr, ()).model

    for asked in ((0, 1), (1,)):
        assert products(asked, 2) == pytest.approx(products(asked, 1), rel=0.1)
    assert products((1,), 2) < 0.75 * products((0, 1), 2)


def test_the_scores_are_never_whole():
    arguments = given(length=64, words=4000)
    whole = ROWS * 64 * 4000 * 4

    def scratch(blocks):
        of = jax.grad(functools.partial(loss, blocks), argnums=(0, 1))
        compiled = jax.jit(of).lower(*arguments).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    assert scratch(1) > whole > scratch(8) > scratch(16)
    assert scratch(8) < scratch(1) / 3


@pytest.mark.parametrize(
    "rules", [{"fsdp": 8}, {"fsdp": 2, "sequence": 2, "tensor": 2}], ids=str
)
def test_a_mesh_computes_the_same(rules):
    layout = place.make(rules, "fsdp_tp_sp", strict=True)
    table, *batch = given()
    of = jax.jit(jax.value_and_grad(functools.partial(loss, 2), argnums=(0, 1)))
    with layout.scope():
        value, gradients = of(table, *layout.put_batch(batch))
    wanted, whole = of(table, *batch)
    np.testing.assert_allclose(value, wanted, rtol=1e-6)
    for found, plain in zip(gradients, whole, strict=True):
        np.testing.assert_allclose(found, plain, atol=1e-6)
