"""Few shapes, so that few programs are compiled; and random numbers that stay put."""

import collections
import dataclasses
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

TOKENS = 32  # lengths are multiples of this


def length_bucket(length: int, step: int = TOKENS) -> int:
    """The next multiple of `step`."""
    return max(step, -(-length // step) * step)


def power_bucket(count: int, least: int = 1) -> int:
    """`least` times the next power of two that holds `count`."""
    return least << max(0, -(-count // least) - 1).bit_length()


@dataclasses.dataclass(frozen=True)
class Chunk:
    """Items that run together: the first `count` of `indices`; the rest is filling."""

    indices: tuple[int, ...]
    count: int

    @property
    def real(self) -> tuple[int, ...]:
        return self.indices[: self.count]


def chunks(order: Sequence[int], rows: int, parts: int = 1) -> list[Chunk]:
    """Cut `order` into chunks of one size.

    Args:
      order: indices of items, in the order in which to run them.
      rows: items a chunk. Fewer items than that make one chunk of a power of two.
      parts: devices that share a batch; every size is a multiple of it.
    """
    size = min(power_bucket(len(order), parts), power_bucket(rows, parts))
    return list(_cut(list(order), size))


def _cut(order: list[int], size: int) -> Iterator[Chunk]:
    for start in range(0, len(order), size):
        taken = order[start : start + size]
        filling = [taken[0]] * (size - len(taken))
        yield Chunk((*taken, *filling), len(taken))


def by_size(sizes: Sequence[Any]) -> list[int]:
    """Indices from the smallest to the largest, so that neighbours waste little."""
    return sorted(range(len(sizes)), key=sizes.__getitem__)


def stack(rows: Sequence[Any]) -> Any:
    """Equal trees of arrays -> one tree with a leading axis."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *rows)


def numbers(names: Sequence[bytes], copies: int = 1) -> np.ndarray:
    """Which stream of random numbers each result draws from: uint32 [N, copies].

    A function of what is asked and of how often it was asked before in this call: a
    result does not depend on the other requests beside it, and asking twice gives two.
    """
    asked: collections.Counter = collections.Counter()
    out = np.empty((len(names), copies), np.uint32)
    for i, name in enumerate(names):
        for copy in range(copies):
            out[i, copy] = zlib.crc32(b"%d:%s" % (asked[name], name))
            asked[name] += 1
    return out
