"""Products of matrices, or of stacks of them, whose sums are float32.

CPUs with units for it (AMX) multiply bfloat16 several times as fast as float32. XLA
uses them where a product is asked for in float32, of matrices that lie row after row;
any other it computes in float32, with what converting takes on top. Gradients of such a
product would come as float32, and are rounded to bfloat16 for the same reason.

As on accelerators, float32 is multiplied so where `jax_default_matmul_precision` is
"BF16_BF16_F32". For a CPU, XLA does nothing of the kind by itself.

None of it where programs may be split over devices: what says how a matrix lies is
nothing that XLA's partitioner can split, and the whole matrix would be gathered.

A single row of float32, as where one decodes, takes as long as its matrix takes to be
read. On a CPU one thread reads that, but several share a stack of its blocks.
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
_HALF = jnp.bfloat16
_ALGORITHM = "BF16_BF16_F32"  # jax's name for this
_BLOCKS = 4  # of a matrix that a single row is multiplied by
_SHARED = 2**17  # the fewest elements of a matrix that threads gain by sharing


def product(
    x: Float[Array, "*N T I"], y: Float[Array, "*N I O"]
) -> Float[Array, "*N T O"]:
    """x @ y in the dtype of both."""
    if _pays(x):
        return _product(x, y)
    return _by_blocks(x, y) if _is_read_by_one_thread(x, y) else jnp.matmul(x, y)


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
        return _of_rows(x, y, x.dtype)
    product = "...td,...sd->...ts"
    return jnp.einsum(product, x, y, preferred_element_type=jnp.float32)


def _pays(x: jax.Array) -> bool:
    asked = jax.config.jax_default_matmul_precision == _ALGORITHM
    return hardware.is_one_cpu() and (
        x.dtype == _HALF or (asked and x.dtype == jnp.float32)
    )


def _is_read_by_one_thread(x: jax.Array, y: jax.Array) -> bool:
    row = x.ndim == 2 and len(x) == 1 and len(y) % _BLOCKS == 0
    return row and y.size >= _SHARED and hardware.is_one_cpu()


def _by_blocks(x: jax.Array, y: jax.Array) -> jax.Array:
    """x @ y, [1, I] by [I, O]: a block of y's rows at a time, then their sum."""
    blocks = y.reshape(_BLOCKS, -1, y.shape[-1])
    parts = jnp.einsum("bi,bio->bo", x.reshape(_BLOCKS, -1), blocks)
    return jnp.sum(parts, axis=0, keepdims=True)


def _summed(x: jax.Array, y: jax.Array, axis: int) -> jax.Array:
    """x's last axis with that axis of y: both rounded to bfloat16, sums in float32."""
    stack = tuple(range(x.ndim - 2))
    over = ((x.ndim - 1,), (y.ndim + axis,))
    return jax.lax.dot_general(
        _row_after_row(x.astype(_HALF)),
        _row_after_row(y.astype(_HALF)),
        (over, (stack, stack)),
        preferred_element_type=jnp.float32,
    )


def _row_after_row(x: jax.Array) -> jax.Array:
    return with_layout_constraint(x, Layout(tuple(range(x.ndim))))


@jax.custom_vjp
def _product(x: jax.Array, y: jax.Array) -> jax.Array:
    return _summed(x, y, _FIRST).astype(x.dtype)


def _product_kept(x: jax.Array, y: jax.Array) -> tuple[jax.Array, Any]:
    return _product(x, y), (x.astype(_HALF), y.astype(_HALF))


def _product_back(kept: Any, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, y = kept
    to_x, to_y = _summed(gradient, y, _LAST), _summed(x.mT, gradient, _FIRST)
    return to_x.astype(gradient.dtype), to_y.astype(gradient.dtype)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _of_rows(x: jax.Array, y: jax.Array, dtype: Any) -> jax.Array:
    """Gradients come back in `dtype`, that of x and y."""
    del dtype
    return _summed(x, y, _LAST)


def _of_rows_kept(x: jax.Array, y: jax.Array, dtype: Any) -> tuple[jax.Array, Any]:
    return _of_rows(x, y, dtype), (x.astype(_HALF), y.astype(_HALF))


def _of_rows_back(
    dtype: Any, kept: Any, gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, y = kept
    to_x, to_y = _summed(gradient, y, _FIRST), _summed(gradient.mT, x, _FIRST)
    return to_x.astype(dtype), to_y.astype(dtype)


_product.defvjp(_product_kept, _product_back)
_of_rows.defvjp(_of_rows_kept, _of_rows_back)
