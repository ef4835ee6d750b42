"""Batches of one size, so that a model compiles once for each task."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from bridge_jax.core import log

T = TypeVar("T")


def batches(
    items: Sequence[T], most: int, what: str
) -> Iterator[tuple[int, list[T], int]]:
    """(index of the first item, batch, how many of it count), with a progress bar.

    The last batch is filled up with its last item, which then does not count.
    """
    number = -(-len(items) // most)
    size = -(-len(items) // max(number, 1))
    for index in log.progress(range(number), what):
        start = index * size
        real = list(items[start : start + size])
        if real:
            yield start, real + real[-1:] * (size - len(real)), len(real)
