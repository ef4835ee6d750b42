"""VQAv2's accuracy: an answer is as right as people agree on it.

Goyal et al. 2017 (arXiv 1612.00837) and the evaluation that goes with it: each of the
ten answers is left out in turn, the rest give min(1, how many say the same / 3), and
the mean counts. Given and right answers are brought to one spelling first (see
`vqa_words`). The official script does that only where people disagree, so that there
"Yes." is wrong if all ten say "yes"; here it is right.
"""

import dataclasses
from collections.abc import Sequence

from bridge_jax.eval.answers import vqa_words

AGREEING = 3  # as many others make an answer wholly right


@dataclasses.dataclass(frozen=True)
class Metric:
    """See the module's text."""

    def lacks(self, answers: Sequence[str], choices: Sequence[str]) -> str:
        """What an item needs before it can be judged; "" for nothing."""
        del choices
        if len(answers) > AGREEING:
            return ""
        return f"vqa_accuracy needs the answers of ten people, not {len(answers)}"

    def __call__(
        self, given: str, answers: Sequence[str], choices: Sequence[str]
    ) -> float:
        """0 to 1."""
        del choices
        given = vqa_words.plain(given)
        same = [vqa_words.plain(answer) == given for answer in answers]
        total = sum(same)
        return sum(min(1.0, (total - one) / AGREEING) for one in same) / len(same)
