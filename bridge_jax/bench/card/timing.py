"""Time of a program that is warm: rounds of a second or so, each waited for."""

import time
from collections.abc import Callable
from typing import Any

import jax

WARM_UP = 3  # runs
ROUND = 1.0  # seconds that a round takes at least, if one run is shorter


def rounds(run: Callable[[], Any], count: int) -> tuple[float, ...]:
    """Seconds a run in each of `count` rounds.

    Args:
      run: starts the work once; what it returns is there when the work is done.
    """
    for _ in range(WARM_UP):
        began = time.perf_counter()
        jax.block_until_ready(run())
        once = time.perf_counter() - began
    times = max(1, round(ROUND / once))
    found = []
    for _ in range(count):
        began = time.perf_counter()
        last = None
        for _ in range(times):
            last = run()
        jax.block_until_ready(last)
        found.append((time.perf_counter() - began) / times)
    return tuple(found)
