"""What this card gives: matrix products and memory, with nothing else on it."""

import statistics
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from bridge_jax.bench.card import timing

SIDES = (4096, 8192, 16384)  # of square products
GIGABYTES = 4.0  # to copy
ROUNDS = 3


def measure(
    sides: Sequence[int] = SIDES, gigabytes: float = GIGABYTES
) -> dict[str, float]:
    """{"flops": bfloat16 FLOP/s, "memory": bytes/s read and written by a copy}.

    The best of all products counts, and they are of random numbers: products of zeros
    take less power, and run faster.
    """
    # Written beside what is read: in place it would be half as many bytes.
    numbers = _random((int(gigabytes * 1e9) // 4,), jnp.float32)
    copy = jax.jit(lambda x: x + 1)
    return {
        "flops": max(_product(side, form) for side in sides for form in _FORMS),
        "memory": 2 * numbers.nbytes / _seconds(lambda: copy(numbers)),
    }


# Which axis of each factor is summed over: a card has other programs for each.
_FORMS = ("ij,jk->ik", "ij,kj->ik", "ji,jk->ik")


def _product(side: int, form: str) -> float:
    """FLOP/s."""
    left, right = (_random((side, side), jnp.bfloat16, seed) for seed in range(2))
    program = jax.jit(lambda a, b: jnp.einsum(form, a, b))
    return 2 * side**3 / _seconds(lambda: program(left, right))


def _random(shape: tuple[int, ...], dtype: Any, seed: int = 0) -> jax.Array:
    return jax.jit(lambda: jax.random.normal(jax.random.key(seed), shape, dtype))()


def _seconds(run: Callable[[], Any]) -> float:
    return statistics.median(timing.rounds(run, ROUNDS))
