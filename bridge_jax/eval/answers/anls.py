"""Average normalised Levenshtein similarity: small slips of reading are forgiven.

As ST-VQA and DocVQA are scored (Biten et al. 2019, arXiv 1905.13648): 1 - edits /
length of the longer text, the best over the answers, and 0 below a threshold of 0.5.
Case and runs of white space do not count. At exactly 0.5 the paper's formula gives 0
and the script of the public leaderboard 0.5: here, as there, it is 0.5.
"""

import dataclasses
from collections.abc import Sequence

THRESHOLD = 0.5


@dataclasses.dataclass(frozen=True)
class Metric:
    """See the module's text."""

    def lacks(self, answers: Sequence[str], choices: Sequence[str]) -> str:
        """What an item needs before it can be judged; "" for nothing."""
        del answers, choices
        return ""

    def __call__(
        self, given: str, answers: Sequence[str], choices: Sequence[str]
    ) -> float:
        """0, or from 0.5 to 1."""
        del choices
        best = max(similarity(_plain(given), _plain(answer)) for answer in answers)
        return best if best >= THRESHOLD else 0.0


def similarity(one: str, other: str) -> float:
    """1 for equal texts (two empty ones too), 0 for texts that share no letter."""
    longer = max(len(one), len(other))
    return 1 - distance(one, other) / longer if longer else 1.0


def distance(one: str, other: str) -> int:
    """Fewest letters to insert, delete or replace: Levenshtein's distance."""
    above = list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        here = [row]
        for column, wanted in enumerate(other, 1):
            replaced = above[column - 1] + (letter != wanted)
            here.append(min(replaced, above[column] + 1, here[-1] + 1))
        above = here
    return above[-1]


def _plain(text: str) -> str:
    return " ".join(text.lower().split())
