"""Karpathy's lists: dataset_coco.json, dataset_flickr30k.json, dataset_flickr8k.json.

    {"images": [{"filename", "filepath", "split", "sentences": [{"raw"}], "cocoid"}]}
    open_source("dataset_coco.json[train+restval]")     without a split: all images

A record is {"image": "val2014/COCO_val2014_000000391895.jpg", "captions": [...],
"split": "test", "id": 391895}; names are as in the list, with `filepath` if it has one.
The file is read whole when it is opened; in memory stays what records hold, as JSON.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import fields
from bridge_jax.data.faults import Faults
from bridge_jax.data.sources import bytes_of, packed, shards


def images(
    path: str | Path, splits: Collection[str], found: Faults
) -> list[tuple[str, dict[str, Any]]]:
    """("file: images[i]", image) of each image of these splits, or of all.

    Raises:
      BridgeError: the file cannot be read or is no JSON object.
    """
    listed = fields.records(bytes_of.document(str(path)), "images", path, found)
    if not splits:
        return listed
    there = {str(record.get("split")) for _, record in listed}
    for name in sorted(set(splits) - there) if listed else ():
        found.add(
            str(path), f"no image is of split {name!r} (but {', '.join(sorted(there))})"
        )
    return [(where, one) for where, one in listed if one.get("split") in splits]


def captions(record: Mapping[str, Any], where: str, found: Faults) -> list[str]:
    """The sentences of an image as they were written."""
    listed = fields.records(record, "sentences", where, found)
    return [fields.word(one, "raw", place, found) for place, one in listed]


class Source:
    """See the module's text.

    Raises:
      BridgeError: the file is no such list, or has no image of a split.
    """

    def __init__(self, path: str):
        self._path, split = shards.split_of(path)
        found = Faults()
        listed = images(self._path, split.split("+") if split else (), found)
        found.stop()
        self._records = packed.Records(
            _small(one) | {"place": where.removeprefix(self._path)}
            for where, one in listed
        )

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> tuple[str, dict[str, Any]]:
        found, kept = Faults(), self._records[index]
        where = self._path + kept["place"]
        name = fields.word(kept, "filename", where, found)
        said = captions(kept, where, found)
        found.stop()
        below = kept["filepath"]
        if below is not None and not isinstance(below, str):
            raise BridgeError(f"{where}: 'filepath' is no text")
        return where, {
            "image": f"{below}/{name}" if below else name,
            "captions": said,
            "split": kept["split"],
            "id": kept["id"],
        }


def _small(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a record is made of, right or wrong; without the words of each sentence."""
    sentences = record.get("sentences")
    if isinstance(sentences, list):
        sentences = [
            {"raw": one.get("raw")} if isinstance(one, dict) else one
            for one in sentences
        ]
    kept = {name: record.get(name) for name in ("filename", "filepath", "split")}
    number = record.get("cocoid", record.get("imgid"))
    return kept | {"id": number, "sentences": sentences}
