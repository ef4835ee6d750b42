"""Which of its two multipliers XLA compiles a program with, on one CPU.

YNNPACK is the faster one for hundreds of rows, Eigen for thousands; of a product alone
XLA cannot be told, so a program that mostly multiplies large matrices has Eigen for all
of them. YNNPACK keeps sums and convolutions.
"""

import functools
import os
from typing import Any

import jax
import jax.numpy as jnp

from bridge_jax.core import flops, hardware

# Measured on two cores (bench/NOTES.md): programs of such products take .86 to .99 of
# their time, others 1.0 to 1.07.
_KEPT = "LIBRARY_FUSION_TYPE_REDUCE,LIBRARY_FUSION_TYPE_INDIVIDUAL_CONVOLUTION"
_NAME = "xla_cpu_experimental_ynn_fusion_type"
_EIGEN = {_NAME: _KEPT}
_ROWS = 768
_MANY = 7 * 10**8  # multiplications of numbers in one product


def options(program: Any) -> dict[str, str]:
    """`compiler_options` for a closed jaxpr, such as `jax.jit(f).trace(...).jaxpr`.

    Nothing where it is not for one CPU, where large products are not most of what it
    computes, and where XLA_FLAGS says something else; of a loop that ends by itself, as
    decoding does, nobody knows.
    """
    if not hardware.is_one_cpu() or flops.ends_by_itself(program):
        return {}
    if _NAME in os.environ.get("XLA_FLAGS", "") or not _is_known():
        return {}
    large = every = 0.0
    for amount, matrices in flops.products(program):
        every += amount
        large += amount if matrices is not None and _is_large(matrices) else 0.0
    return dict(_EIGEN) if 2 * large > every else {}


def _is_large(one: flops.Matrices) -> bool:
    many = one.rows * one.inner * one.columns >= _MANY
    # Of bfloat16 YNNPACK alone knows the units there are for it.
    return many and one.rows >= _ROWS and one.dtype == jnp.float32


@functools.cache
def _is_known() -> bool:
    """Whether this XLA has that option."""
    try:
        jax.jit(lambda: 0, compiler_options=_EIGEN).lower().compile()
    except jax.errors.JaxRuntimeError:
        return False
    return True
