"""GEdit-Bench: edits that users asked for, in two languages (Liu et al. 2025).

DATA is a folder with one .jsonl, a line an edit with the fields of the published set
(https://github.com/stepfun-ai/Step1X-Edit): "key", "instruction",
"instruction_language", "task_type", "image", which is the path of the source below the
folder (`input_image_raw` saved as a file), and, if known, "Intersection_exist".

    fullset/TASK/LANGUAGE/KEY.png           the edited picture
    fullset/TASK/LANGUAGE/KEY_SRCIMG.png    what it was made of

is what its evaluator reads. The judge is VIEScore: of each edit its semantic
consistency and its perceptual quality, 0 to 10. Here it is `recorded:FILE`,
{"picture": "fullset/TASK/LANGUAGE/KEY.png", "scores": [SC, PQ]} a line. An edit's
overall is sqrt(SC * PQ). Figures: LANGUAGE/semantic, /quality and /overall, each the
mean of the tasks' means; LANGUAGE/TASK, a task's mean overall; and the first three
again as LANGUAGE/intersection/... over edits that have "Intersection_exist".
"""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bridge_jax.data import faults as faults_lib
from bridge_jax.data import images
from bridge_jax.data.faults import Faults
from bridge_jax.eval import records
from bridge_jax.eval.options import Options
from bridge_jax.eval.outside import asking, judging
from bridge_jax.eval.outside.shards import WHOLE, Shard
from bridge_jax.eval.system import System

_NAMED = ("key", "instruction_language", "task_type")
_FIELDS = (*_NAMED, "instruction", "image")
_KINDS = ("semantic", "quality", "overall")
_ASK = (
    "let VIEScore judge them and record a line"
    ' {"picture": "fullset/TASK/LANGUAGE/KEY.png", "scores": [SC, PQ]}, each 0 to 10:'
    " --only score --scorer recorded:FILE"
)


class Benchmark:
    """The edits of a folder.

    Attributes:
      data: the folder.
      edits: path of the edited picture -> line of the file.

    Raises:
      BridgeError: all lines that are no edit or stand twice, and missing pictures.
    """

    def __init__(self, data: Path):
        self.data, faults = data, Faults()
        files = sorted(data.glob("*.jsonl"))
        if len(files) != 1:
            faults.add(str(data), f"holds {len(files)} .jsonl files and must hold one")
            faults.stop()
        self.edits: dict[str, dict[str, Any]] = {}
        for where, line in faults_lib.json_lines(files[0], faults):
            if not faults_lib.words(line, _FIELDS, where, faults):
                continue
            for name in _NAMED:
                faults_lib.name_of_file(line[name], where, faults)
            faults_lib.file_in(data, line["image"], where, faults)
            if _path(line) in self.edits:
                faults.add(where, f"{_path(line)} stands there twice")
            self.edits[_path(line)] = line
        faults.stop()

    def check(self, scorer: str | None) -> None:
        """Raise BridgeError if that judge is not there; None is no mistake."""
        judging.check(scorer)

    def answer(
        self, model: System, folder: Path, options: Options, shard: Shard = WHOLE
    ) -> None:
        """Edit the pictures of this shard that are not there yet."""
        paths = list(self.edits)
        requests = [(one["image"], one["instruction"]) for one in self.edits.values()]
        wanted = [i for i, path in shard.of(paths) if not (folder / path).exists()]
        for position, picture in asking.edits(
            model, requests, wanted, options, self._source
        ):
            path, source = folder / paths[position], requests[position][0]
            # First the source: a picture that is there says that both are.
            beside = path.with_name(f"{path.stem}_SRCIMG.png")
            records.write_picture(beside, self._source(source))
            records.write_picture(path, picture)

    def score(self, folder: Path, scorer: str | None) -> dict[str, float]:
        """For each language semantic, quality and overall, 0 to 10, and each task."""
        judging.complete(folder, self.edits, "edits")
        judged = judging.judged(scorer, folder, self.edits, _ASK)
        scores = judging.scores(judged, (2,), 0, 10)
        figures = {}
        for language in sorted(
            {e["instruction_language"] for e in self.edits.values()}
        ):
            found = [
                (self.edits[path], values)
                for path, values in scores.items()
                if self.edits[path]["instruction_language"] == language
            ]
            both = [pair for pair in found if pair[0].get("Intersection_exist") is True]
            figures |= _named(language, _means(found))
            figures |= _named(f"{language}/intersection", _means(both))
            figures |= _named(language, _tasks(found, 2))
        return figures | judging.unjudged(judged)

    def _source(self, name: str) -> Any:
        return images.open_image(self.data / name)


def _means(found: list[tuple[Mapping[str, Any], list[float]]]) -> dict[str, float]:
    """semantic, quality and overall: the means of the tasks' means."""
    kinds = [_tasks(found, number).values() for number in range(len(_KINDS))]
    pairs = zip(_KINDS, kinds, strict=True)
    return {kind: sum(tasks) / len(tasks) for kind, tasks in pairs if tasks}


def _tasks(
    found: Iterable[tuple[Mapping[str, Any], list[float]]], number: int
) -> dict[str, float]:
    """A task's mean of one of _KINDS."""
    return records.means(
        (edit["task_type"], (*values, math.sqrt(math.prod(values)))[number])
        for edit, values in found
    )


def _named(start: str, figures: Mapping[str, float]) -> dict[str, float]:
    return {f"{start}/{name}": value for name, value in figures.items()}


def _path(line: Mapping[str, Any]) -> str:
    return "fullset/{task_type}/{instruction_language}/{key}.png".format(**line)
