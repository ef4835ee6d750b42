"""Right is one of the answers word for word, but for case and surrounding space."""

import dataclasses
from collections.abc import Sequence

from bridge_jax.eval.tasks import understanding


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
        """1 or 0."""
        del choices
        return float(any(understanding.matches(given, answer) for answer in answers))
