"""One look at every record before training: how large it is, or why it is of no use."""

import concurrent.futures
import os
from collections.abc import Callable

import numpy as np

from bridge_jax.core import log

CHUNK = 256  # records that a thread takes at once


def take(
    count: int,
    measure: Callable[[int], tuple[int, ...] | None],
    measures: int,
    description: str,
) -> np.ndarray:
    """Measure records 0 to `count` - 1, several at a time.

    Args:
      measure: sizes of a record, or None for what is of no use.
      measures: K.

    Returns:
      [count, K] int32; -1 for what is of no use.

    Raises:
      BridgeError: as `measure` does.
    """
    sizes = np.full((count, measures), -1, np.int32)

    def chunk(start: int) -> int:
        stop = min(start + CHUNK, count)
        for number in range(start, stop):
            found = measure(number)
            if found is not None:
                sizes[number] = found
        return stop - start

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(chunk, start) for start in range(0, count, CHUNK)]
        with log.progress([], description, count) as bar:
            try:
                for job in concurrent.futures.as_completed(jobs):
                    bar.update(job.result())
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    return sizes
