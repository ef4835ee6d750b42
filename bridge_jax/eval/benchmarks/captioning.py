"""Captions of pictures, scored against what people wrote: BLEU and CIDEr-D.

DATA is COCO's json, {"images": [{"id", "file_name"}], "annotations": [{"image_id",
"caption"}]}, with its pictures beside it or in "images", or a file of JSON lines:

    {"image": "a.jpg", "captions": ["A cat.", "A cat on a mat."]}

The model is asked for captions as it was in training (`Model.describe`). Scorers are
files of `eval/captions`, both unless one is named; `eval/outside/treebank.py` says what
a word is.
"""

import dataclasses
from pathlib import Path
from typing import Any

from bridge_jax.core import rooms
from bridge_jax.data import faults, fields
from bridge_jax.data.faults import Faults
from bridge_jax.data.sources import coco
from bridge_jax.eval.options import Options
from bridge_jax.eval.outside import answer_files, picture_files, treebank
from bridge_jax.eval.outside.shards import WHOLE, Shard
from bridge_jax.eval.system import System

METRICS = "bridge_jax.eval.captions"


@dataclasses.dataclass(frozen=True)
class Item:
    """A picture and its references."""

    image: Path
    captions: tuple[str, ...]
    key: str


class Benchmark:
    """See the module's text.

    Raises:
      BridgeError: everything that is not as promised, all at once.
    """

    def __init__(self, data: Path):
        found, data = Faults(), Path(data)
        read = _coco if data.suffix == ".json" else _lines
        self.items = read(data, found)
        found.stop()

    def check(self, scorer: str | None) -> None:
        """Raises BridgeError if there is no such scorer."""
        _metrics(scorer)

    def answer(
        self, model: System, folder: Path, options: Options, shard: Shard = WHOLE
    ) -> None:
        """Let the model describe; answers_I_of_N.jsonl holds image and caption."""

        def describe(items: list[Item]) -> list[dict[str, str]]:
            found = model.describe(fields.open_pictures([one.image for one in items]))
            return [
                {"image": one.image.name, "caption": caption}
                for one, caption in zip(items, found, strict=True)
            ]

        answer_files.write(
            folder, shard, self.items, describe, options.batch, "captions"
        )

    def score(self, folder: Path, scorer: str | None = None) -> dict[str, float]:
        """bleu1 to bleu4 and cider.

        Raises:
          BridgeError: no such scorer; captions that are missing or doubled.
        """
        metrics = _metrics(scorer)
        found = answer_files.read(folder, self.items)
        captions = [treebank.words(record["caption"]) for record in found]
        told = [[treebank.words(one) for one in item.captions] for item in self.items]
        figures: dict[str, float] = {}
        for metric in metrics:
            figures |= metric(captions, told)
        return figures


def _metrics(scorer: str | None) -> list[Any]:
    """The one that is named, or all."""
    names = [scorer] if scorer else rooms.names(METRICS, "Metric")
    return [rooms.load(METRICS, name, "Metric", "scorer")() for name in names]


def _lines(data: Path, found: Faults) -> list[Item]:
    return [
        Item(
            picture_files.find(record, "image", data.parent, where, found),
            fields.texts(record, "captions", where, found),
            answer_files.key_of(record.get("image")),
        )
        for where, record in faults.json_lines(data, found)
    ]


def _coco(data: Path, found: Faults) -> list[Item]:
    items = []
    for where, record, annotations in coco.images(data, found):
        path = picture_files.find(record, "file_name", data.parent, where, found)
        said = tuple(coco.captions(annotations, where, found))
        items.append(Item(path, said, answer_files.key_of(record.get("file_name"))))
    return items
