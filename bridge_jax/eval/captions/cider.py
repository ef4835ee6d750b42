"""CIDEr-D: how much a caption says of what the references agree on.

Vedantam et al. 2015 (arXiv 1411.5726), the variant of COCO's evaluation. For each n
from 1 to 4, n-grams weigh (their count) x log(pictures / pictures whose references
have it). A caption's likeness to a reference is the cosine of the two weighings, the
caption's clipped to the reference's, times exp(-(difference in words)^2 / (2 x 6^2)).
The figure is the mean over references, n and pictures, times 10. Document frequencies
are those of the references at hand, so figures of different sets do not compare, and
one picture alone (log 1 = 0) gives 0.
"""

import collections
import dataclasses
import math
from collections.abc import Mapping, Sequence

from bridge_jax.eval.captions import ngrams

LONGEST = 4
SIGMA = 6.0
SCALE = 10.0
Words = Sequence[str]
Weights = Mapping[ngrams.Ngram, float]


@dataclasses.dataclass(frozen=True)
class Metric:
    """See the module's text."""

    def __call__(
        self, captions: Sequence[Words], references: Sequence[Sequence[Words]]
    ) -> dict[str, float]:
        """cider, from 0 to 10.

        Args:
          captions: words of each picture's caption.
          references: words of each picture's references, one at least.
        """
        total = 0.0
        for n in range(1, LONGEST + 1):
            rarity = _rarity(references, n)
            for caption, told in zip(captions, references, strict=True):
                likeness = [_likeness(caption, one, n, rarity) for one in told]
                total += sum(likeness) / len(likeness)
        return {"cider": SCALE * total / (LONGEST * len(captions))}


def _rarity(references: Sequence[Sequence[Words]], n: int) -> "_Rarity":
    seen: collections.Counter = collections.Counter()
    for told in references:
        seen.update({gram for one in told for gram in ngrams.counts(one, n)})
    return _Rarity(seen, len(references))


@dataclasses.dataclass(frozen=True)
class _Rarity:
    """Log of the inverse share of pictures whose references have an n-gram."""

    seen: Mapping[ngrams.Ngram, int]
    pictures: int

    def weights(self, words: Words, n: int) -> dict[ngrams.Ngram, float]:
        return {
            # What no reference has weighs as what one has.
            gram: count * math.log(self.pictures / max(1, self.seen.get(gram, 0)))
            for gram, count in ngrams.counts(words, n).items()
        }


def _likeness(caption: Words, reference: Words, n: int, rarity: _Rarity) -> float:
    mine, theirs = rarity.weights(caption, n), rarity.weights(reference, n)
    lengths = _length(mine) * _length(theirs)
    if not lengths:
        return 0.0
    shared = (min(w, theirs[g]) * theirs[g] for g, w in mine.items() if g in theirs)
    apart = len(caption) - len(reference)
    return sum(shared) / lengths * math.exp(-(apart**2) / (2 * SIGMA**2))


def _length(weights: Weights) -> float:
    return math.sqrt(sum(weight**2 for weight in weights.values()))
