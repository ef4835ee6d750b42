"""Approximate search by FAISS (extra "faiss"): lists of neighbours, scored exactly.

Each segment has its own structure, made when it is first asked for and kept beside its
vectors: inverted lists of 8-bit codes, a quarter of the vectors' bytes. It may be
deleted at any time. What it proposes is scored by the vectors themselves, so scores
are exact, and only a neighbour in a list that nobody looked into is missed.
"""

import contextlib
import os
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.retrieval import exact, rounded
from bridge_jax.retrieval.folder import APPROXIMATE
from bridge_jax.retrieval.segment import Segment, in_blocks

_FEW = 4096  # vectors of which all are compared
_PROBED = 1 / 16  # of the lists, at first
_LEAST_PROBED = 8
_TRAINED = 40  # vectors a list that its centre is made of

_KNOWN: weakref.WeakKeyDictionary[Segment, Any] = weakref.WeakKeyDictionary()


def faiss() -> Any:
    """The package. Raises BridgeError where it is not installed."""
    try:
        import faiss as package
    except ImportError as error:
        raise BridgeError(
            f"approximate search needs faiss ({error}): pip install"
            " 'bridge_jax[faiss]', or search without --approximate"
        ) from None
    return package


def search(
    segments: Sequence[Segment], queries: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """As `exact.search`, but that some of the nearest may be missed.

    Raises:
      BridgeError: FAISS is not installed.
    """
    share = _PROBED
    while True:
        proposed = _proposed(segments, queries, k, share)
        if share >= 1 or min(map(len, proposed)) >= k:
            break
        share *= 4
    found = [
        exact.scored(segments, *one, k) for one in zip(queries, proposed, strict=True)
    ]
    places, scores = (np.stack(one) for one in zip(*found, strict=True))
    return places, scores


def recall(segments: Sequence[Segment], queries: np.ndarray, k: int) -> float:
    """The share of the k nearest by exact search that `search` finds, too."""
    k = min(k, sum(one.count for one in segments))
    near, _ = search(segments, queries, k)
    wanted, _ = exact.search(segments, queries, k)
    found = [
        np.isin(one, other).mean() for one, other in zip(wanted, near, strict=True)
    ]
    return float(np.mean(found))


def is_made(segments: Sequence[Segment]) -> bool:
    """Whether all that `search` needs is there already."""
    paths = [_path(one) for one in segments if len(one) >= _FEW]
    return all(path is not None and path.is_file() for path in paths)


def _proposed(
    segments: Sequence[Segment], queries: np.ndarray, k: int, share: float
) -> list[np.ndarray]:
    """int64 places of vectors that are not removed, for each query."""
    found: list[list[np.ndarray]] = [[] for _ in queries]
    start = 0
    for one in segments:
        structure = _structure(one)
        if hasattr(structure, "nprobe"):
            probed = max(_LEAST_PROBED, round(share * structure.nlist))
            structure.nprobe = min(probed, structure.nlist)
        most = min(len(one), rounded.kept(k) + len(one) - one.count)
        _, rows = structure.search(np.ascontiguousarray(queries), most)
        for into, some in zip(found, rows, strict=True):
            some = some[some >= 0]
            if one.alive is not None:
                some = some[one.alive[some]]
            into.append(some + start)
        start += len(one)
    return [np.concatenate(some) for some in found]


def _structure(one: Segment) -> Any:
    """FAISS's structure of a segment: known, kept on disk, or made and kept."""
    if one not in _KNOWN:
        _KNOWN[one] = _read(one) or _made(one)
    return _KNOWN[one]


def _read(one: Segment) -> Any | None:
    path, package = _path(one), faiss()
    if path is None or not path.is_file():
        return None
    with contextlib.suppress(RuntimeError):  # damaged: it is made anew
        read = package.read_index(str(path), package.IO_FLAG_MMAP)
        if read.ntotal == len(one):
            return read
    return None


def _made(one: Segment) -> Any:
    package, (count, width) = faiss(), one.vectors.shape
    if count < _FEW:
        structure = package.IndexFlatIP(width)
    else:
        lists = 1 << round(np.log2(count) / 2)
        kind = f"IVF{lists},SQ8"
        metric = package.METRIC_INNER_PRODUCT
        structure = package.index_factory(width, kind, metric)
        # Always the same ones: the structure is a function of the segment.
        few = np.random.default_rng(0).permutation(count)[: _TRAINED * lists]
        structure.train(one.take(np.sort(few)))
    for some in in_blocks(one.vectors):
        structure.add(np.ascontiguousarray(one.vectors[some]))
    if count >= _FEW:
        _keep(one, structure)
    return structure


def _keep(one: Segment, structure: Any) -> None:
    path = _path(one)
    if path is None:
        return
    staged = path.with_suffix(f".{os.getpid()}.partial")
    with contextlib.suppress(OSError, RuntimeError):  # then none is kept
        try:
            faiss().write_index(structure, str(staged))
            os.replace(staged, path)
        finally:
            staged.unlink(missing_ok=True)


def _path(one: Segment) -> Path | None:
    return None if one.file is None else one.file.path.with_name(APPROXIMATE)
