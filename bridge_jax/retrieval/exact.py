"""Exact search in segments; of many vectors the rounded ones first (`rounded.py`)."""

from collections.abc import Sequence

import ml_dtypes
import numpy as np
from jax.sharding import Mesh

from bridge_jax.retrieval import nearest, rounded
from bridge_jax.retrieval.segment import Segment

FEW = 1 << 16  # vectors below which nothing is gained by rounded ones


def search(
    segments: Sequence[Segment],
    queries: np.ndarray,
    k: int,
    mesh: Mesh | None = None,
    in_full: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest of each query, best first; among equals the earlier vector.

    Args:
      queries: float32 [Q, E].
      k: no more than there are vectors that are not removed.
      mesh: see `nearest.nearest`.
      in_full: compare float32 with every vector, whether there are rounded ones or not.

    Returns:
      places int64, of the vectors of all segments numbered through, and scores float32,
      both [Q, k].
    """
    are_rounded = all(one.rounded is not None for one in segments)
    if in_full or not are_rounded or sum(map(len, segments)) < FEW:
        full = [(one.vectors, one.alive) for one in segments]
        return nearest.nearest(full, queries, k, mesh)
    places, scores, proven = _by_rounded(segments, queries, k, mesh)
    if not proven.all():
        rest = ~proven
        again = search(segments, queries[rest], k, mesh, in_full=True)
        places[rest], scores[rest] = again
    return places, scores


def scored(
    segments: Sequence[Segment], query: np.ndarray, places: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The k best of some vectors by exact scores, in the order of `search`.

    Args:
      query: float32 [E].
      places: int64 [n], as of `search`.

    Returns:
      places int64 and scores float32, both [min(k, n)].
    """
    places = np.sort(places)
    ends = np.cumsum([len(one) for one in segments])
    parts = np.split(places, np.searchsorted(places, ends[:-1]))
    starts = ends - [len(one) for one in segments]
    # In float64, in which equal vectors have equal scores wherever they lie.
    scores = np.concatenate(
        [
            one.take(part - start).astype(np.float64) @ query.astype(np.float64)
            for one, part, start in zip(segments, parts, starts, strict=True)
        ]
    ).astype(np.float32)
    best = np.argsort(-scores, kind="stable")[:k]
    return places[best], scores[best]


def _by_rounded(
    segments: Sequence[Segment], queries: np.ndarray, k: int, mesh: Mesh | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """places and scores [Q, k], and bool [Q] whether they are proven to be the best."""
    count = sum(one.count for one in segments)
    kept = min(rounded.kept(k), count)
    pieces = [(one.rounded, one.alive) for one in segments]
    near, rough = nearest.nearest(pieces, queries, kept, mesh)
    error = rounded.error(
        queries,
        queries.astype(ml_dtypes.bfloat16),
        max(one.entry.longest for one in segments),
        max(one.entry.residual for one in segments),
    )
    found = [scored(segments, *one, k) for one in zip(queries, near, strict=True)]
    places, scores = (np.stack(one) for one in zip(*found, strict=True))
    proven = rough[:, -1] + error < scores[:, -1]
    return places, scores, proven | (kept == count)
