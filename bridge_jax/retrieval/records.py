"""What is to be embedded: pictures and texts of files, folders and data sets.

photos, a.png                files, and all pictures below a folder
train-{000..010}.tar         records of any kind that `data/sources` reads: WebDataset,
photos.parquet, tfds:...     Parquet, JSON, ArrayRecord, TFDS, COCO, Karpathy, ...

A folder in which there are pictures is a folder of pictures; texts are then the
captions beside them or in its metadata. The id of a picture is its path, or the place
of its record; that of a text is followed by the text.
"""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import sources
from bridge_jax.data.faults import Faults
from bridge_jax.data.forms import captioned
from bridge_jax.data.records import record_stream
from bridge_jax.data.sources import kinds, places, shards, stamps

WHAT = ("pictures", "texts", "both")


@dataclasses.dataclass(frozen=True)
class Entry:
    """One thing to embed.

    Attributes:
      id: what a search will give.
      kind: "images" or "texts", as `Model.embed` names them.
      value: what it takes.
    """

    id: str
    kind: str
    value: Any


class Records:
    """Records by their number, each of which has some entries.

    Args:
      paths: see the module's text.
      what: one of WHAT.
      columns: "image=photo,caption=alt", the records' own names of fields.
      images: folder that pictures are named from; by default that of the file.

    Raises:
      BridgeError: everything that is not there or cannot be opened; nothing at all.
    """

    def __init__(
        self,
        paths: Sequence[str],
        what: str = "pictures",
        columns: str = "",
        images: str = "",
    ):
        self._what, self._names = what, record_stream.renamed(columns)
        self._parts = _opened(paths, what, images)
        self._said = [what, columns, images]

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __getitem__(self, number: int) -> list[Entry]:
        """What record `number` has. Raises BridgeError if that cannot be read."""
        for part in self._parts:
            if number < len(part):
                break
            number -= len(part)
        else:
            raise IndexError(number)
        if isinstance(part, _Files):
            path = part.paths[number]
            return [Entry(path, "images", path)]
        where, record = part.source[number]
        for ours, theirs in self._names.items():
            if theirs in record:
                record = {**record, ours: record[theirs]}
        return self._entries(where, record, part.homes)

    @property
    def stamp(self) -> str:
        """Another text as soon as a file is another one, or something else is asked."""
        told = [*self._said, *(part.stamp for part in self._parts)]
        return hashlib.sha256("\0".join(told).encode("utf-8", "replace")).hexdigest()

    def _entries(
        self, where: str, record: Mapping[str, Any], homes: Sequence[str]
    ) -> list[Entry]:
        found, entries = Faults(), []
        if self._what != "texts":
            picture = captioned.picture(record, homes, where, found)
            entries.append(Entry(where, "images", picture))
        if self._what != "pictures":
            said = dict.fromkeys(captioned.captions(record, where, found))
            entries += [Entry(f"{where}: {text}", "texts", text) for text in said]
        found.stop()
        return entries


@dataclasses.dataclass(frozen=True)
class _Files:
    """Pictures by their paths."""

    paths: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def stamp(self) -> str:
        return "\0".join(f"{path}\0{places.stamp(path)[1]}" for path in self.paths)


@dataclasses.dataclass(frozen=True)
class _Source:
    """Records of a source, and the folders that their pictures are named from."""

    path: str
    source: sources.Records
    homes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.source)

    @property
    def stamp(self) -> str:
        return f"{self.path}\0{len(self.source)}\0{stamps.of(self.path)}"


def _opened(paths: Sequence[str], what: str, images: str) -> list[_Files | _Source]:
    files: dict[str, None] = {}  # each once, however often it is named
    parts, missing, problems = [], [], []
    for path in paths:
        try:
            if not _is_there(path):
                missing.append(path)
            elif _is_picture(path) and what == "pictures":
                files |= dict.fromkeys(_pictures(path))
            else:
                parts.append(_source(path, images))
        except BridgeError as error:
            problems.append(str(error))
    if missing:
        problems.insert(0, f"no such file or folder: {', '.join(missing)}")
    if problems:
        raise BridgeError("; ".join(problems))
    return ([_Files(tuple(files))] if files else []) + parts


def _is_there(path: str) -> bool:
    plain, _ = shards.split_of(path)
    named = path.startswith("tfds:") or shards.is_list(plain)  # tell by themselves
    return named or places.is_file(plain) or places.is_folder(plain)


def _is_picture(path: str) -> bool:
    """Whether it is one, or a folder of some, of this machine."""
    if path.startswith("tfds:") or places.is_elsewhere(path):
        return False
    if Path(path).is_dir():
        return bool(_pictures(path))
    return Path(path).is_file() and kinds.suffix_of(path) not in kinds.READERS


def _pictures(path: str) -> list[str]:
    if not Path(path).is_dir():
        return [str(Path(path))]
    below = sorted(Path(path).rglob("*"))
    return [str(one) for one in below if one.suffix.lower() in kinds.PICTURES]


def _source(path: str, images: str) -> _Source:
    is_file = Path(path).is_file() and not places.is_elsewhere(path)
    if is_file and kinds.suffix_of(path) in kinds.PICTURES:
        raise BridgeError(f"{path}: a picture alone has no texts; name its folder")
    kind = "image_folder" if _is_picture(path) and Path(path).is_dir() else ""
    try:
        source = sources.open_source(path, kind)
    except BridgeError as error:
        if not Path(path).is_dir():
            raise
        raise BridgeError(
            f"no picture ({' '.join(sorted(kinds.PICTURES))}) in {path}: {error}"
        ) from error
    home = shards.home(path)
    homes = (images,) if images else (home, places.below(home, "images"))
    return _Source(path, source, homes)
