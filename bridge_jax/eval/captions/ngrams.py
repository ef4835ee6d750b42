"""Runs of n words, counted."""

import collections
from collections.abc import Sequence

Ngram = tuple[str, ...]


def counts(words: Sequence[str], n: int) -> collections.Counter[Ngram]:
    """How often each run of `n` words stands in `words`."""
    return collections.Counter(
        tuple(words[start : start + n]) for start in range(len(words) - n + 1)
    )
