"""All records once an epoch, in another order each time: which is number i?"""

import functools

import numpy as np


def record(seed: int, index: int, count: int) -> int:
    """Number, below `count`, of the record that row `index` of an endless run reads."""
    epoch, place = divmod(index, count)
    return int(order(seed, epoch, count)[place])


@functools.lru_cache(4)
def order(seed: int, epoch: int, count: int) -> np.ndarray:
    """The numbers below `count` as they come in an epoch, [count] int64."""
    return np.random.default_rng((seed, epoch)).permutation(count)
