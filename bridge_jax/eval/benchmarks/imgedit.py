"""ImgEdit-Bench, its basic suite: one instruction a picture (Ye et al. 2025).

DATA is a folder with basic_edit.json (or edit.json) as published,
https://github.com/PKU-YuanGroup/ImgEdit: {KEY: {"id", "prompt", "edit_type"}}, "id"
the path of the source picture below the folder. The model writes KEY.png.

The judge, GPT-4o in the original, gives three numbers from 1 to 5 for each edit; here
it is `recorded:FILE`, {"picture": "KEY.png", "scores": [5, 4, 4]} a line. Figures: each
edit type, the mean over its edits of the mean of the three, and `overall`, the mean of
the types, as in the published tables (whose rounding to 0.01 on the way is left out).
"""

import json
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

_FILES = ("basic_edit.json", "edit.json")
_ASK = (
    "let a judge give each three numbers from 1 to 5 and record a line"
    ' {"picture": "KEY.png", "scores": [5, 4, 4]} for each: --only score --scorer'
    " recorded:FILE"
)


class Benchmark:
    """The edits of a folder.

    Attributes:
      data: the folder.
      edits: KEY -> {"id", "prompt", "edit_type"}, in the file's order.

    Raises:
      BridgeError: all entries that are none, and all pictures that are missing.
    """

    def __init__(self, data: Path):
        self.data, faults = data, Faults()
        found = [data / name for name in _FILES if (data / name).is_file()]
        if not found:
            faults.add(str(data), f"holds no {' and no '.join(_FILES)}")
            faults.stop()
        self.edits = _read(found[0], faults)
        for key, edit in self.edits.items():
            where = f"{found[0]}, {key!r}"
            faults_lib.name_of_file(key, where, faults)
            if not isinstance(edit, dict):
                faults.add(where, "is no JSON object")
            elif faults_lib.words(edit, ("id", "prompt", "edit_type"), where, faults):
                faults_lib.file_in(data, edit["id"], where, faults)
        faults.stop()

    def check(self, scorer: str | None) -> None:
        """Raise BridgeError if that judge is not there; None is no mistake."""
        judging.check(scorer)

    def answer(
        self, model: System, folder: Path, options: Options, shard: Shard = WHOLE
    ) -> None:
        """Edit the pictures of this shard that have no KEY.png yet."""
        keys = list(self.edits)
        requests = [(edit["id"], edit["prompt"]) for edit in self.edits.values()]
        wanted = [i for i, key in shard.of(keys) if not (folder / _name(key)).exists()]
        made = asking.edits(
            model,
            requests,
            wanted,
            options,
            lambda id: images.open_image(self.data / id),
        )
        for position, picture in made:
            records.write_picture(folder / _name(keys[position]), picture)

    def score(self, folder: Path, scorer: str | None) -> dict[str, float]:
        """overall and each edit type, 1 to 5."""
        pictures = {_name(key): edit for key, edit in self.edits.items()}
        judging.complete(folder, pictures, "edits")
        judged = judging.judged(scorer, folder, pictures, _ASK)
        scores = judging.scores(judged, (3,), 1, 5)
        types = records.means(
            (pictures[path]["edit_type"], sum(values) / len(values))
            for path, values in scores.items()
        )
        overall = {"overall": sum(types.values()) / len(types)}
        return overall | types | judging.unjudged(judged)


def _read(path: Path, faults: Faults) -> dict[str, Any]:
    try:
        found = json.loads(faults_lib.text(path))
    except ValueError as error:
        faults.add(str(path), f"is no JSON ({error})")
        found = {}
    if not faults.lines and not (isinstance(found, dict) and found):
        faults.add(str(path), "is no JSON object of edits")
    faults.stop()
    return found


def _name(key: str) -> str:
    return f"{key}.png"
