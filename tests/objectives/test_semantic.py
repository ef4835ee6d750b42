"""The semantic-guided loss: what it teaches, and how batches merge.

That its value and gradients are the reference's is for `bridge parity` to show.
"""

import jax
import jax.numpy as jnp
import numpy as np

from bridge_jax.objectives import semantic


def test_target_gets_no_gradient():
    pred, target = jnp.ones((2, 3, 4)), jnp.zeros((2, 3, 4))
    value = jax.grad(lambda t: semantic.semantic_mse(pred, t)[0])(target)
    assert not value.any()


def test_batches_merge_exactly():
    keys = jax.random.split(jax.random.key(0))
    pred, target = (jax.random.normal(k, (4, 3, 5)) for k in keys)
    whole = semantic.semantic_mse(pred, target)
    one = semantic.semantic_mse(pred[:1], target[:1])
    rest = semantic.semantic_mse(pred[1:], target[1:])
    np.testing.assert_allclose(one[0] + rest[0], whole[0], rtol=1e-6)
    assert one[1] + rest[1] == whole[1] == 4
