"""GenEval: are the objects there, as many, so coloured, so placed (Ghosh et al. 2023).

DATA is evaluation_metadata.jsonl as published (https://github.com/djghosh13/geneval),
553 lines {"tag", "include", "exclude"?, "prompt"}.

    00000/metadata.jsonl          the line of the prompt
    00000/samples/0000.png ...    the pictures, four of each unless -n says otherwise
    00000/grid.png                all of them side by side
    00000/drawing.json            the caption that was drawn

is what GenEval's evaluator reads. Figures go from 0 to 1: each tag over its pictures,
`overall` the mean of the tags, `correct_images` over all pictures and `correct_prompts`
with one right picture or more. Judges: `geneval_results:FILE` of that evaluator,
`shapes` for prompts about shapes, `recorded:FILE` with "scores": [0 or 1].
"""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bridge_jax.data import faults as faults_lib
from bridge_jax.data.faults import Faults
from bridge_jax.eval import records
from bridge_jax.eval.options import Options
from bridge_jax.eval.outside import asking, judging
from bridge_jax.eval.outside.shards import WHOLE, Shard
from bridge_jax.eval.system import System
from bridge_jax.eval.tasks import generation

_ASK = (
    "let GenEval's evaluation/evaluate_images.py judge them and give its results.jsonl:"
    " --only score --scorer geneval_results:FILE (or --scorer shapes, for prompts about"
    " shapes)"
)


class Benchmark:
    """The prompts of a metadata file.

    Attributes:
      prompts: its lines, in order.

    Raises:
      BridgeError: all lines that are none of GenEval's.
    """

    def __init__(self, data: Path):
        faults = Faults()
        lines = faults_lib.json_lines(data, faults)
        for where, line in lines:
            _check(line, where, faults)
        faults.stop()
        self.prompts = [line for _, line in lines]

    def check(self, scorer: str | None) -> None:
        """Raise BridgeError if that judge is not there; None is no mistake."""
        judging.check(scorer)

    def answer(
        self, model: System, folder: Path, options: Options, shard: Shard = WHOLE
    ) -> None:
        """Draw the prompts of this shard that have no folder yet."""
        wanted = [
            i for i, _ in shard.of(self.prompts) if not (folder / _name(i)).exists()
        ]
        texts = [prompt["prompt"] for prompt in self.prompts]
        for position, drawing in asking.drawings(model, texts, wanted, options):
            place = folder / _name(position)
            staged = place.with_name(place.name + ".partial")
            shutil.rmtree(staged, ignore_errors=True)
            prompt = self.prompts[position]
            generation.write(staged, prompt, drawing, options.conditions[0])
            os.replace(staged, place)

    def score(self, folder: Path, scorer: str | None) -> dict[str, float]:
        """overall, correct_images, correct_prompts and each tag, 0 to 1."""
        places = {_name(i): prompt for i, prompt in enumerate(self.prompts)}
        judging.complete(folder, places, "prompts")
        pictures = {
            path.relative_to(folder).as_posix(): prompt
            for name, prompt in places.items()
            for path in sorted((folder / name / "samples").glob("*.png"))
        }
        judged = judging.judged(scorer, folder, pictures, _ASK)
        scores = judging.scores(judged, (1,), 0, 1)
        found = [(pictures[path], value) for path, [value] in scores.items()]
        return _figures(found) | judging.unjudged(judged)


def _figures(found: list[tuple[Mapping[str, Any], float]]) -> dict[str, float]:
    tags = records.means((prompt["tag"], value) for prompt, value in found)
    # As published, lines that are equal count as one prompt.
    best: dict[str, float] = {}
    for prompt, value in found:
        name = json.dumps(prompt)
        best[name] = max(best.get(name, 0.0), value)
    return {
        "overall": sum(tags.values()) / len(tags),
        "correct_images": sum(value for _, value in found) / len(found),
        "correct_prompts": sum(best.values()) / len(best),
    } | tags


def _name(position: int) -> str:
    return f"{position:05}"


def _check(line: dict[str, Any], where: str, faults: Faults) -> None:
    faults_lib.words(line, ("tag", "prompt"), where, faults)
    include = line.get("include")
    if not isinstance(include, list) or not include:
        faults.add(where, "'include' is missing or no list of objects")
        return
    exclude = line.get("exclude", [])
    if not isinstance(exclude, list):
        faults.add(where, "'exclude' is no list of objects")
        exclude = []
    for index, entry in enumerate([*include, *exclude]):
        before = index if index < len(include) else 0
        for problem in _entry_problems(entry, before):
            faults.add(where, f"object {index + 1} {problem}")


def _entry_problems(entry: Any, before: int) -> list[str]:
    """What is wrong with an object that may be placed by one of `before` others."""
    if not isinstance(entry, dict):
        return ["is no JSON object"]
    problems = []
    if not isinstance(entry.get("class"), str):
        problems.append("has no 'class'")
    count = entry.get("count")
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        problems.append(f"has 'count' {count!r}, not a number from 1 on")
    if not isinstance(entry.get("color", ""), str):
        problems.append(f"has 'color' {entry['color']!r}, which is no text")
    place = entry.get("position", ["", 0])
    fits = isinstance(place, list) and len(place) == 2 and isinstance(place[0], str)
    if not (fits and type(place[1]) is int and 0 <= place[1] < max(before, 1)):
        problems.append(
            f"has 'position' {place!r}, not [relation, number of an object before it]"
        )
    elif "position" in entry and not before:
        problems.append("has a 'position', and no object stands before it")
    return problems
