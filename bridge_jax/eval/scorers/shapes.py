"""The exact reader of the shapes world, against GenEval's include and exclude."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import shapes_world
from bridge_jax.data.shapes import palette, prompts
from bridge_jax.eval import records
from bridge_jax.eval.outside.judging import Judgement


class Scorer:
    """1 for a picture that shows what its prompt asks for, 0 for another.

    Raises:
      BridgeError: prompts that name what the shapes world has not.
    """

    def __init__(self, argument: str):
        if argument:
            raise BridgeError(f"--scorer shapes takes nothing, not {argument!r}")

    def judge(self, folder: Path, pictures: Mapping[str, Any]) -> dict[str, Judgement]:
        """`pictures` are made for GenEval's metadata."""
        foreign = sorted(
            {word for item in pictures.values() for word in _foreign(item)}
        )
        if foreign:
            raise BridgeError(
                "--scorer shapes reads coloured shapes alone, and the prompts name"
                f" {', '.join(foreign[:8])}{' ...' if foreign[8:] else ''}; let"
                " GenEval's own evaluator judge: --scorer geneval_results:results.jsonl"
            )
        found = {}
        for path, item in pictures.items():
            shown = records.read_shapes(folder / path)
            right = shapes_world.geneval_correct(shown, item)
            found[path] = Judgement(path, {"scores": [float(right)]})
        return found


def _foreign(item: Mapping[str, Any]) -> set[str]:
    """Words of the metadata that the reader does not know."""
    unknown = set()
    for entry in [*item["include"], *item.get("exclude", ())]:
        unknown |= {entry["class"]} - set(palette.SHAPES)
        unknown |= {entry.get("color")} - {None, *palette.COLORS}
        unknown |= {*entry.get("position", ())[:1]} - set(prompts.POSITIONS)
    return unknown
