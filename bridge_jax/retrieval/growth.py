"""Which segments of an index are written anew together, so that there are never many.

What is added joins the segments before it that are no larger: sizes fall by half from
one to the next, so of N vectors there are about log2(N) segments, and each vector is
written log2(N) times at most. The order of the vectors stays.
"""

from collections.abc import Sequence

MOST_REMOVED = 0.25  # of all vectors; with more, the index is written anew


def joined(counts: Sequence[int], new: int) -> int:
    """How many of the last segments `new` vectors are written together with.

    Args:
      counts: vectors of each segment, removed ones left out.
    """
    taken = 0
    for count in reversed(counts):
        if count > new:
            break
        new += count
        taken += 1
    return taken


def is_worn(total: int, left: int) -> bool:
    """Whether so much is removed that the index is to be written anew."""
    return total - left > MOST_REMOVED * total
