"""How many wrong candidates stand before the first right one, block by block.

Similarities are computed in float64, in which equal vectors score alike whatever the
order of the sums; what lies within `TIE` of the best right candidate counts as equal.
Ties count against the query, and so do values that are not numbers: a model that
embeds everything alike finds nothing.
"""

from collections.abc import Sequence

import numpy as np

TIE = 1e-9
BLOCK = 1024  # queries whose similarities exist at once


def ahead(
    queries: np.ndarray,
    candidates: np.ndarray,
    wanted: np.ndarray,
    labels: np.ndarray,
    leave_out_self: bool = False,
) -> np.ndarray:
    """Wrong candidates that score at least as high as the best right one: int [Q].

    Args:
      queries: [Q, E].
      candidates: [C, E].
      wanted: [Q]; candidates of a query's label are right, and one at least is.
      labels: [C].
      leave_out_self: candidate i is query i itself, and no candidate of it.
    """
    candidates = candidates.astype(np.float64).T
    found = []
    for start in range(0, len(queries), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(queries)))
        scores = queries[rows].astype(np.float64) @ candidates
        right = wanted[rows, None] == labels[None, :]
        wrong = ~right
        if leave_out_self:
            right[rows - start, rows] = False
        best = np.where(right, scores, -np.inf).max(axis=1)
        # A NaN among the right ones makes `best` NaN, and then nothing lies below it.
        below = scores < best[:, None] - TIE
        found.append((wrong & ~below).sum(axis=1))
    return np.concatenate(found)


def recalls(places: np.ndarray, cuts: Sequence[int]) -> dict[int, float]:
    """Share of queries with a right candidate among the first k, for each k."""
    return {k: float((places < k).mean()) for k in cuts}
