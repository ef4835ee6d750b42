"""What rows share, in half precision: gradients are sums over all of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bridge_jax.layers import linear

LAYERS = {
    "dense": (linear.Dense(3, use_bias=True, dtype=jnp.bfloat16), (4, 32, 32, 5)),
    "conv": (linear.Conv(3, dtype=jnp.bfloat16), (4, 32, 32, 5)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_bias_learns_from_every_row(name):
    """In bfloat16 the sum over the rows would be rounded at each of them."""
    layer, shape = LAYERS[name]
    shares = np.random.default_rng(0).uniform(size=(*shape[:-1], 3))
    shares = jnp.asarray(shares, jnp.bfloat16)
    params = jax.jit(layer.init)(jax.random.key(0), jnp.zeros(shape, jnp.bfloat16))

    def total(params):
        y = layer.apply(params, jnp.ones(shape, jnp.bfloat16))
        assert y.dtype == jnp.bfloat16
        return jnp.sum((y * shares).astype(jnp.float32))

    bias = jax.jit(jax.grad(total))(params)["params"]["bias"]
    wanted = np.asarray(shares, np.float64).sum((0, 1, 2))
    np.testing.assert_allclose(jax.tree.leaves(bias)[0], wanted, rtol=1e-6)
