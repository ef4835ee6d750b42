"""What rows share, such as a bias or positions, added to each of them."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Float

from bridge_jax.core import hardware
from bridge_jax.core.types import Array

# Elements of a row beyond which a CPU takes twenty times as long to sum rows as to
# multiply them by ones.
_WIDE = 2**14


def add(x: Float[Array, "*S"], shared: Float[Array, "*T"]) -> Float[Array, "*S"]:
    """x + shared, which has axes of length 1 where rows of x share it; in x's dtype.

    Added in float32, and with that its gradient, a sum over those rows: of bfloat16 it
    would be rounded at every row.
    """
    wide, one = x.astype(jnp.float32), shared.astype(jnp.float32)
    alike = x.shape[1:] == shared.shape[1:] and len(shared) == 1
    if alike and shared.size > _WIDE and hardware.is_one_cpu():
        return _add_rows(wide, one).astype(x.dtype)
    return (wide + one).astype(x.dtype)


@jax.custom_vjp
def _add_rows(x: jax.Array, row: jax.Array) -> jax.Array:
    return x + row


def _add_rows_kept(x: jax.Array, row: jax.Array) -> tuple[jax.Array, None]:
    return _add_rows(x, row), None


def _add_rows_back(kept: None, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    del kept
    count, *row = gradient.shape
    ones = jnp.ones((1, count), gradient.dtype)
    total = jnp.matmul(ones, gradient.reshape(count, math.prod(row)))
    return gradient, total.reshape(1, *row)


_add_rows.defvjp(_add_rows_kept, _add_rows_back)
