"""COCO's captions: captions_train2017.json and what has its form.

    {"images": [{"id": 9, "file_name": "000000000009.jpg"}],
     "annotations": [{"image_id": 9, "caption": "A cat."}]}

A record is an image with all that is said of it: {"image": "000000000009.jpg",
"captions": ["A cat.", ...], "id": 9}. Names are as in the file. The file is read whole
when it is opened; in memory stays what records hold, as JSON.
"""

from pathlib import Path
from typing import Any

from bridge_jax.data import fields
from bridge_jax.data.faults import Faults
from bridge_jax.data.sources import bytes_of, packed

_Placed = tuple[str, dict[str, Any]]


def images(
    path: str | Path, found: Faults
) -> list[tuple[str, dict[str, Any], list[_Placed]]]:
    """("file: images[i]", image, annotations with their places) of each image.

    Ids that are missing or doubled, and annotations of no image, go to `found`.

    Raises:
      BridgeError: the file cannot be read or is no JSON object.
    """
    document = bytes_of.document(str(path))
    told: dict[str, list[_Placed]] = {}
    listed = fields.records(document, "images", path, found)
    for where, record in listed:
        number = record.get("id")
        if not isinstance(number, int | str) or str(number) in told:
            found.add(where, f"'id' {number!r} is no number, or another image's too")
        told[str(number)] = []
    for where, record in fields.records(document, "annotations", path, found):
        if str(record.get("image_id")) in told:
            told[str(record["image_id"])].append((where, record))
        else:
            found.add(
                where, f"'image_id' {record.get('image_id')!r} is no image's 'id'"
            )
    return [(where, one, told[str(one.get("id"))]) for where, one in listed]


def captions(annotations: list[_Placed], where: str, found: Faults) -> list[str]:
    """What annotations say of the image at `where`."""
    if not annotations:
        found.add(where, "no annotation is about it")
    return [fields.word(one, "caption", place, found) for place, one in annotations]


class Source:
    """See the module's text.

    Raises:
      BridgeError: all that tells no image from another, at once.
    """

    def __init__(self, path: str):
        self._path, found = path, Faults()
        listed = images(path, found)
        found.stop()
        self._records = packed.Records(
            {
                "place": where.removeprefix(path),
                "file_name": image.get("file_name"),
                "id": image["id"],
                "said": [
                    (place.removeprefix(path), one.get("caption"))
                    for place, one in annotations
                ],
            }
            for where, image, annotations in listed
        )

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> tuple[str, dict[str, Any]]:
        found, kept = Faults(), self._records[index]
        where = self._path + kept["place"]
        name = fields.word(kept, "file_name", where, found)
        said = [(self._path + at, {"caption": one}) for at, one in kept["said"]]
        told = captions(said, where, found)
        found.stop()
        return where, {"image": name, "captions": told, "id": kept["id"]}
