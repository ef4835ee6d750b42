"""All things once an epoch, several a row, in another order each time: who is in row i?

The rows of an epoch are as many as its order happens to need, so where one begins is
known when those before it are packed: some seconds for a million things.
"""

import bisect
import threading

import numpy as np

from bridge_jax.data.records import epochs, packing


class PackedEpochs:
    """Rows of an endless run over things of known sizes.

    Args:
      sizes: [N, K] in K measures, each within `room`.
      room: [K] of a row.
    """

    def __init__(self, sizes: np.ndarray, room: tuple[int, ...], seed: int):
        self._sizes, self._room, self._seed = sizes, room, seed
        self._ends: list[int] = []  # rows up to the end of each epoch
        self._kept: dict[int, packing.Bins] = {}
        self._lock = threading.Lock()

    def __getitem__(self, index: int) -> np.ndarray:
        """Numbers below N of the things in row `index`."""
        with self._lock:
            while not self._ends or index >= self._ends[-1]:
                packed = self._packed(len(self._ends))
                self._ends.append((self._ends or [0])[-1] + len(packed))
            epoch = bisect.bisect_right(self._ends, index)
            begins = self._ends[epoch - 1] if epoch else 0
            return self._packed(epoch)[index - begins]

    def fill(self, epoch: int = 0) -> np.ndarray:
        """Share of each of the K measures that the rows of an epoch use."""
        with self._lock:
            rows = len(self._packed(epoch))
        return self._sizes.sum(axis=0) / (rows * np.asarray(self._room))

    def count(self, epoch: int = 0) -> int:
        """How many rows an epoch has."""
        with self._lock:
            return len(self._packed(epoch))

    def _packed(self, epoch: int) -> packing.Bins:
        if epoch not in self._kept:
            order = epochs.order(self._seed, epoch, len(self._sizes))
            bins = packing.first_fit(self._sizes[order], self._room)
            while len(self._kept) > 1:  # reading ahead meets two at most
                del self._kept[min(self._kept)]
            self._kept[epoch] = packing.Bins(order[bins.members], bins.starts)
        return self._kept[epoch]
