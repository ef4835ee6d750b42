"""What a judge says of pictures, whoever it is: --scorer names it.

judged = judging.judged("recorded:judge.jsonl", folder, {"1.png": item})
judged["1.png"].numbers(3, 1, 5, faults)     # [4.0, 5.0, 3.0]
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bridge_jax.core import rooms
from bridge_jax.core.errors import BridgeError
from bridge_jax.data.faults import Faults

ROOM = "bridge_jax.eval.scorers"
SILENCE = "the judge gave no verdict on any picture"


@dataclasses.dataclass(frozen=True)
class Judgement:
    """Of one picture.

    Attributes:
      where: the line it was read from, for messages.
      says: "scores", numbers in the order of the benchmark, or other fields that the
        benchmark knows; "scores" is None where the judge gave no verdict.
    """

    where: str
    says: Mapping[str, Any]

    @property
    def silent(self) -> bool:
        """Whether the judge was asked and gave no verdict: `"scores": null`."""
        return "scores" in self.says and self.says["scores"] is None

    def numbers(
        self, counts: Sequence[int], least: float, most: float, faults: Faults
    ) -> list[float]:
        """Its scores, none if it is silent; what they cannot be goes to `faults`.

        Args:
          counts: how many there may be.
          least, most: what each lies between.
        """
        if self.silent:
            return []
        values = self.says.get("scores")
        fits = (
            isinstance(values, list)
            and len(values) in counts
            and all(_between(value, least, most) for value in values)
        )
        if fits:
            return [float(value) for value in values]
        many = (
            " or ".join(map(str, counts)) if len(counts) < 3 else f"1 to {counts[-1]}"
        )
        faults.add(
            self.where,
            f'"scores" is {values!r} and must be a list of {many} numbers from'
            f" {least:g} to {most:g}, or null where the judge gave no verdict",
        )
        return []


def scores(
    judged: Mapping[str, Judgement], counts: Sequence[int], least: float, most: float
) -> dict[str, list[float]]:
    """picture -> its numbers, without pictures of which the judge was silent.

    Raises:
      BridgeError: all wrong scores at once; nothing but silence.
    """
    faults = Faults()
    found = {p: one.numbers(counts, least, most, faults) for p, one in judged.items()}
    faults.stop()
    found = {path: values for path, values in found.items() if values}
    if not found:
        raise BridgeError(SILENCE)
    return found


def unjudged(judged: Mapping[str, Judgement]) -> dict[str, float]:
    """How many pictures count for nothing, as the judge was silent; {} if none is."""
    count = sum(judgement.silent for judgement in judged.values())
    return {"unjudged": float(count)} if count else {}


def check(scorer: str | None) -> None:
    """Raise BridgeError if that judge is not there; None is no mistake."""
    if scorer is not None:
        _judge(scorer)


def judged(
    scorer: str | None, folder: Path, pictures: Mapping[str, Any], ask: str
) -> dict[str, Judgement]:
    """picture -> judgement, for each of `pictures` (path below `folder` -> item).

    Args:
      scorer: the text of --scorer.
      ask: what to give for it, where it is None.

    Raises:
      BridgeError: no such judge, or it is not there; pictures that it has not judged.
    """
    if scorer is None:
        raise BridgeError(f"the pictures are in {folder}; {ask}")
    found = _judge(scorer).judge(folder, pictures)
    missing = [path for path in pictures if path not in found]
    if missing:
        raise BridgeError(
            f"--scorer {scorer} says nothing of {len(missing)} of {len(pictures)}"
            f" pictures, {missing[0]} among them; let it judge all of {folder}"
        )
    return {path: found[path] for path in pictures}


def _judge(scorer: str) -> Any:
    name, _, argument = scorer.partition(":")
    return rooms.load(ROOM, name, "Scorer", "--scorer")(argument)


def _between(value: Any, least: float, most: float) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and least <= value <= most


def complete(folder: Path, wanted: Mapping[str, Any], what: str) -> None:
    """Raise BridgeError unless `folder` holds each of `wanted`, paths below it."""
    missing = [name for name in wanted if not (folder / name).exists()]
    if missing:
        raise BridgeError(
            f"{folder} lacks {len(missing)} of {len(wanted)} {what}, {missing[0]}"
            " among them; run the same with --only answer, every shard, to make them"
        )
