"""Which things share a row: first fit, in the order that they come.

Many orders of bins exist; this one keeps what comes together together, so that a
shuffled order stays shuffled, and needs no more than a glance at the last open bins.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

OPEN = 256  # bins that are looked at; older ones are full enough


@dataclasses.dataclass(frozen=True)
class Bins:
    """Attributes:
    members: [N] int64, the things by bin, within a bin in their order.
    starts: [bins + 1] int64, where the members of each bin begin.
    """

    members: np.ndarray
    starts: np.ndarray

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, number: int) -> np.ndarray:
        return self.members[self.starts[number] : self.starts[number + 1]]


def first_fit(sizes: np.ndarray, room: Sequence[int], open_bins: int = OPEN) -> Bins:
    """Put each thing into the first of the open bins that has room for it.

    Args:
      sizes: [N, K] of things in K measures, each within `room`.
      room: [K] of a bin.
      open_bins: how many bins are kept open; with one more, the oldest is closed.

    Returns:
      Numbers below N, each once.
    """
    room = np.asarray(room, np.int64)
    free = np.full((open_bins, len(room)), -1, np.int64)  # -1: not yet open
    names = np.zeros(open_bins, np.int64)  # of the bin that stands in a slot
    chosen, count, oldest = np.empty(len(sizes), np.int64), 0, 0
    for number, size in enumerate(np.asarray(sizes, np.int64)):
        fits = np.flatnonzero((free >= size).all(axis=1))
        if len(fits):
            slot = fits[np.argmin(names[fits])]
        else:
            slot, oldest = oldest, (oldest + 1) % open_bins
            free[slot], names[slot] = room, count
            count += 1
        free[slot] -= size
        chosen[number] = names[slot]
    members = np.argsort(chosen, kind="stable")
    starts = np.searchsorted(chosen[members], np.arange(count + 1))
    return Bins(members, starts.astype(np.int64))
