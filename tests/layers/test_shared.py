"""What rows share, added: in float32, and its gradient is their sum."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bridge_jax.core import hardware
from bridge_jax.layers import shared


def test_what_is_shared_is_rounded_with_the_sum():
    x = jnp.full((2, 3), 1.0, jnp.bfloat16)
    row = jnp.asarray([[2.0**-8, 2.0**-9, 2.0**-7]], jnp.float32)
    found = shared.add(x, row)
    assert found.dtype == jnp.bfloat16
    assert found[0].tolist() == found[1].tolist() == [1.0, 1.0, 1 + 2.0**-7]


def gradients(x, row, share):
    def total(x, row):
        return jnp.sum((shared.add(x, row) * share).astype(jnp.float32))

    return jax.jit(jax.grad(total, argnums=(0, 1)))(x, row)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("one_cpu", [True, False])
@pytest.mark.parametrize(
    "shape, row", [((5, 3, 8192), (1, 3, 8192)), ((5, 3, 8192), (1, 1, 8192))]
)
def test_gradients_are_sums_over_rows(shape, row, one_cpu, dtype, monkeypatch):
    monkeypatch.setattr(hardware, "is_one_cpu", lambda: one_cpu)
    draw = np.random.default_rng(0)
    x, share = (jnp.asarray(draw.normal(size=shape), dtype) for _ in range(2))
    to_x, to_row = gradients(x, jnp.zeros(row, jnp.float32), share)
    assert to_x.dtype == dtype
    np.testing.assert_array_equal(to_x, share)
    wanted = np.asarray(share, np.float64)
    over = tuple(i for i, size in enumerate(row) if size == 1)
    wanted = wanted.sum(over, keepdims=True)
    np.testing.assert_allclose(to_row, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "row, one_cpu, product",
    [
        ((1, 3, 8192), True, True),
        ((1, 3, 8192), False, False),
        ((1, 1, 8192), True, False),
        ((1, 3, 64), True, False),
    ],
)
def test_wide_rows_are_summed_by_a_product(row, one_cpu, product, monkeypatch):
    """On one CPU, where summing takes twenty times as long."""
    monkeypatch.setattr(hardware, "is_one_cpu", lambda: one_cpu)
    x = jnp.zeros((5, 3, row[-1]))

    def total(row):
        return jnp.sum(shared.add(x, row))

    program = str(jax.make_jaxpr(jax.grad(total))(jnp.zeros(row)))
    assert ("dot_general" in program) == product
