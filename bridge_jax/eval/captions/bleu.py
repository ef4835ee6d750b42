"""BLEU-1 to BLEU-4 of a corpus (Papineni et al. 2002).

Geometric mean of n-gram precisions, each n-gram counted at most as often as the
reference that has it most often, times exp(1 - r / c) where the captions (c words
together) are shorter than their references (r: for each caption the length nearest to
its own, the shorter of two equally near). Counts are summed over the corpus before
they are divided, as COCO's evaluation does; nothing is smoothed.
"""

import collections
import dataclasses
import math
from collections.abc import Sequence

from bridge_jax.eval.captions import ngrams

LONGEST = 4
Words = Sequence[str]


@dataclasses.dataclass(frozen=True)
class Metric:
    """See the module's text."""

    def __call__(
        self, captions: Sequence[Words], references: Sequence[Sequence[Words]]
    ) -> dict[str, float]:
        """bleu1 to bleu4, from 0 to 1.

        Args:
          captions: words of each picture's caption.
          references: words of each picture's references, one at least.
        """
        right, said = [0] * LONGEST, [0] * LONGEST
        length = wanted = 0
        for caption, told in zip(captions, references, strict=True):
            length += len(caption)
            sizes = [len(one) for one in told]
            wanted += min(sizes, key=lambda size: (abs(size - len(caption)), size))
            for n in range(LONGEST):
                found = ngrams.counts(caption, n + 1)
                most: collections.Counter = collections.Counter()
                for one in told:
                    most |= ngrams.counts(one, n + 1)
                right[n] += (found & most).total()
                said[n] += found.total()
        brevity = math.exp(min(0.0, 1 - wanted / length)) if length else 0.0
        return {
            f"bleu{n}": brevity * _mean(right[:n], said[:n])
            for n in range(1, LONGEST + 1)
        }


def _mean(right: Sequence[int], said: Sequence[int]) -> float:
    """Geometric mean of the precisions."""
    if not all(right):
        return 0.0
    logs = [math.log(r / s) for r, s in zip(right, said, strict=True)]
    return math.exp(sum(logs) / len(logs))
