"""All records once an epoch, in another order each time: which is number i?"""

import functools

import numpy as np


def record(seed: int, index: int, count: int) -> int:
    """Number, below `count`, of the record that row `index` of an endless run reads."""
    epoch, place = divmod(index, count)
    return int(_order(seed, epoch, count)[place])


@functools.lru_cache(4)
def _order(seed: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(count)
