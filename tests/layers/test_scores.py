"""Scores over a vocabulary: in float32, with gradients at the speed of the weights."""

import equations
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bridge_jax.layers import linear


def gradients(dtype):
    """Of a loss in x [5, 8] and a table [32, 8], and the program that makes them."""
    rng = np.random.default_rng(0)
    table = linear.Embed(32, 8, dtype=jnp.dtype(dtype))
    x = jnp.asarray(rng.normal(size=(5, 8)), dtype)
    params = {"embedding": jnp.asarray(rng.normal(size=(32, 8)), jnp.float32)}

    def loss(params, x):
        scores = table.apply({"params": params}, x, method="attend")
        assert scores.dtype == jnp.float32
        return jnp.sum(jax.nn.logsumexp(scores, axis=-1) - scores[:, 3])

    made = jax.grad(loss, (0, 1))
    return made(params, x), jax.make_jaxpr(made)(params, x)


def test_in_float32_they_are_exact():
    (table, x), _ = gradients("float32")
    rng = np.random.default_rng(0)
    x0, t0 = rng.normal(size=(5, 8)), rng.normal(size=(32, 8))
    scores = x0 @ t0.T
    by_scores = np.exp(scores - scores.max(1, keepdims=True))
    by_scores /= by_scores.sum(1, keepdims=True)
    by_scores[:, 3] -= 1
    np.testing.assert_allclose(table["embedding"], by_scores.T @ x0, atol=1e-5)
    np.testing.assert_allclose(x, by_scores @ t0, atol=1e-5)


def test_in_half_precision_no_product_is_one_of_float32():
    (table, x), program = gradients("bfloat16")
    exact, _ = gradients("float32")
    for found, wanted in zip(jax.tree.leaves((table, x)), jax.tree.leaves(exact)):
        error = np.abs(np.asarray(found, np.float32) - wanted).max()
        assert error < 2e-2 * np.abs(wanted).max()
    products = [
        [str(one.aval.dtype) for one in equation.invars]
        for equation in equations.everywhere(program)
        if equation.primitive.name == "dot_general"
    ]
    assert products == [["bfloat16", "bfloat16"]] * 3


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_nothing_is_lost_without_a_gradient(dtype):
    table = linear.Embed(4, 2, dtype=jnp.dtype(dtype))
    params = {"embedding": jnp.arange(8.0).reshape(4, 2)}
    found = table.apply({"params": params}, jnp.ones((1, 3, 2)), method="attend")
    np.testing.assert_array_equal(found, np.broadcast_to([1, 5, 9, 13], (1, 3, 4)))
