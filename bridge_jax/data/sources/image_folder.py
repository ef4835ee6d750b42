"""A folder of pictures with what is said of them.

    metadata.jsonl, .csv, .parquet     as Hugging Face's imagefolder: a line a picture,
                                       {"file_name": "a/1.jpg", "text": "A cat."}
    a/1.jpg + a/1.txt (or .caption)    a caption beside each, at any depth

The first is taken if it is there. A record is {"image": "a/1.jpg", "caption": ...} with
all other fields of the line; where there is neither "caption" nor "captions", "text" is
the caption. Of a file beside a picture, one line is its "caption", several are its
"captions"; a picture without one has none. Names of sub-folders mean nothing, unless
there is nothing else: then the first is the "label".

Names are relative to the folder; pictures are not looked at. Memory: the name and nine
bytes a picture, or what the file of metadata needs.
"""

import csv
import io
from typing import Any

import numpy as np

from bridge_jax.core import log
from bridge_jax.core.errors import BridgeError
from bridge_jax.data.sources import (
    bytes_of,
    json_lines,
    kinds,
    packed,
    parquet,
    places,
)

BESIDE = (".txt", ".caption")
_NAME = "file_name"


class Source:
    """See the module's text.

    Raises:
      BridgeError: metadata that cannot be read, or in sub-folders alone.
    """

    def __init__(self, path: str):
        there = set(places.names(path))
        metadata = [name for name in kinds.METADATA if name in there]
        if len(metadata) > 1:
            raise BridgeError(f"{path}: has both {' and '.join(metadata)}")
        self._is_listed = bool(metadata)
        if metadata:
            [name] = metadata
            reader = _READERS[name.rsplit(".", 1)[1]]
            self._records = reader(places.below(path, name))
        else:
            self._records = _Beside(path)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> tuple[str, dict[str, Any]]:
        where, record = self._records[index]
        return where, _named(record, where) if self._is_listed else record


class _Beside:
    """Pictures, and the captions beside them."""

    def __init__(self, folder: str):
        self._folder = folder
        pictures, captions = [], {}
        for name in places.walk(folder):
            stem, suffix = _parted(name)
            if suffix in kinds.PICTURES:
                pictures.append(name)
            elif suffix in BESIDE:
                captions[stem] = min(BESIDE.index(suffix), captions.get(stem, 9))
            elif name.rsplit("/", 1)[-1] in kinds.METADATA:
                raise BridgeError(
                    f"{folder}: has {name}; name the folder that this is in"
                )
        pictures.sort()
        stems = {_parted(name)[0] for name in pictures}
        alone = [stem for stem in captions if stem not in stems]
        if alone and pictures:
            one = min(alone)
            log.say(f"{folder}: {len(alone)} captions have no picture, one is {one!r}")
        if not pictures:
            raise BridgeError(
                f"{folder}: holds no pictures; files of records in its folders are"
                f" named so: {places.below(folder, '**/*.tar')}"
            )
        self._names = packed.texts(pictures)
        kind = (captions.get(_parted(name)[0], -1) for name in pictures)
        self._beside = np.fromiter(kind, np.int8, len(pictures))
        self._labels = not captions and all("/" in name for name in pictures)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: int) -> tuple[str, dict[str, Any]]:
        name = self._names[index]
        where = places.shown(places.below(self._folder, name))
        record = {"image": name}
        if self._labels:
            record["label"] = name.split("/")[0]
        kind = int(self._beside[index])
        if kind < 0:
            return where, record
        beside = places.below(self._folder, _parted(name)[0] + BESIDE[kind])
        with places.opened(beside) as file, places.told(beside):
            said = file.read()
        text = bytes_of.text(said, places.shown(beside)).removeprefix("\ufeff")
        said = [line.strip() for line in text.splitlines() if line.strip()]
        if not said:
            raise BridgeError(f"{where}: its caption says nothing")
        told = {"caption": said[0]} if len(said) == 1 else {"captions": said}
        return where, record | told


class _Table:
    """The lines of metadata.csv."""

    def __init__(self, path: str):
        self._path = path
        text = bytes_of.text(bytes(bytes_of.opened(path).whole()), path)
        rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), ""), strict=True)
        try:
            self._rows = packed.Records(rows)
        except csv.Error as error:
            raise BridgeError(
                f"{path}:{rows.reader.line_num}: is no CSV ({error})"
            ) from None

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> tuple[str, dict[str, Any]]:
        where, row = f"{self._path}: record {index}", self._rows[index]
        # What is too much has no name, and what is missing no value.
        if "null" in row or None in row.values():
            raise BridgeError(f"{where}: has not as many columns as the first line")
        return where, row


_READERS = {"jsonl": json_lines.Source, "csv": _Table, "parquet": parquet.Source}


def _named(record: dict[str, Any], where: str) -> dict[str, Any]:
    """Our names for Hugging Face's."""
    name = record.pop(_NAME, None)
    if not isinstance(name, str) or not name:
        raise BridgeError(f"{where}: '{_NAME}' is no name of a file")
    if name.startswith("/") or ".." in name.split("/"):
        raise BridgeError(f"{where}: {name!r} leads out of the folder")
    if not {"caption", "captions"} & record.keys() and "text" in record:
        record["caption"] = record.pop("text")
    return {"image": name} | record


def _parted(name: str) -> tuple[str, str]:
    """("a/1", ".jpg") of "a/1.JPG"."""
    suffix = kinds.suffix_of(name)
    return name[: len(name) - len(suffix)], suffix
