"""Products of matrices, or of stacks of them, whose sums are float32.

CPUs with units for it (AMX) multiply bfloat16 several times as fast as float32, and XLA
lets them where a product is asked for in float32, of matrices that lie row after row.
Otherwise it makes both float32 first, which is slower than to have had float32. So do
gradients that come as float32: of bfloat16, they are rounded to bfloat16 here.

None of it where programs may be split over devices: what says how a matrix lies is
nothing that XLA's partitioner can split, and the whole matrix would be gathered.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental.layout import Layout, with_layout_constraint
from jaxtyping import Float

from bridge_jax.core import hardware
from bridge_jax.core.types import Array

_LAST, _FIRST = -1, -2  # axes of a matrix


def product(
    x: Float[Array, "*N T I"], y: Float[Array, "*N I O"]
) -> Float[Array, "*N T O"]:
    """x @ y in the dtype of both."""
    return _product(x, y) if _pays(x) else jnp.matmul(x, y)


def of_columns(
    x: Float[Array, "*N T I"], y: Float[Array, "*N T O"]
) -> Float[Array, "*N I O"]:
    """Scalar products of the columns of both, x.T @ y, in the dtype of both."""
    return product(x.mT, y)


def of_rows(
    x: Float[Array, "*N T D"], y: Float[Array, "*N S D"]
) -> Float[Array, "*N T S"]:
    """Scalar products of the rows of both, x @ y.T, in float32."""
    if _pays(x):
        return _of_rows(x, y)
    product = "...td,...sd->...ts"
    return jnp.einsum(product, x, y, preferred_element_type=jnp.float32)


def _pays(x: jax.Array) -> bool:
    return x.dtype == jnp.bfloat16 and hardware.is_one_cpu()


def _summed(x: jax.Array, y: jax.Array, axis: int) -> jax.Array:
    """x's last axis with that axis of y, float32."""
    stack = tuple(range(x.ndim - 2))
    over = ((x.ndim - 1,), (y.ndim + axis,))
    return jax.lax.dot_general(
        _row_after_row(x),
        _row_after_row(y),
        (over, (stack, stack)),
        preferred_element_type=jnp.float32,
    )


def _row_after_row(x: jax.Array) -> jax.Array:
    return with_layout_constraint(x, Layout(tuple(range(x.ndim))))


@jax.custom_vjp
def _product(x: jax.Array, y: jax.Array) -> jax.Array:
    return _summed(x, y, _FIRST).astype(x.dtype)


def _product_back(kept: Any, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, y = kept
    return _summed(gradient, y, _LAST).astype(x.dtype), _product(x.mT, gradient)


@jax.custom_vjp
def _of_rows(x: jax.Array, y: jax.Array) -> jax.Array:
    return _summed(x, y, _LAST)


def _of_rows_back(kept: Any, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, y = kept
    gradient = gradient.astype(x.dtype)
    return _product(gradient, y), _product(gradient.mT, x)


def _kept(rule: Any, x: jax.Array, y: jax.Array) -> tuple[jax.Array, Any]:
    return rule(x, y), (x, y)


_product.defvjp(functools.partial(_kept, _product), _product_back)
_of_rows.defvjp(functools.partial(_kept, _of_rows), _of_rows_back)
