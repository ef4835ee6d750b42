"""Records of files by their number, one file a format; only what is asked is read.

A `Source(path)` has a length, and `source[i]` is ("file:where", record), where a record
that is none raises BridgeError. Reading is safe from several threads, and a source can
be sent to another process: it holds where records are, and no handles.

    open_source("train.jsonl")
    open_source("gs://bucket/shard-{00000..00010}.tar")     (see `shards.py`)
    open_source("dataset_coco.json[train+restval]")         (see `karpathy.py`)
    open_source("tfds:coco_captions/2014[train]")           (see `tfds.py`)

Pictures in records stay what they are: names of files, bytes, or (TFDS) arrays.
"""

from pathlib import Path
from typing import Any, Protocol

from bridge_jax.core import rooms
from bridge_jax.core.errors import BridgeError
from bridge_jax.data.sources import kinds, places


class Records(Protocol):
    """What a `Source` is."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[str, dict[str, Any]]: ...


def open_source(path: str | Path, kind: str = "") -> Records:
    """The records of a file, of a folder or of several files.

    Args:
      path: of this machine or with a scheme (as text: a Path loses a slash of it).
      kind: a file here that reads it, or any module by its full name; by default
        `kinds.kind_of` guesses.

    Raises:
      BridgeError: there is no such file, of no known kind, damaged or empty.
    """
    path = str(path)
    if kinds.is_several(path, kind):
        source = rooms.load(__name__, "several", "Source", path)(path, kind)
    else:
        reader = kind or kinds.kind_of(path)
        cls = rooms.load(__name__, reader, "Source", path)
        with places.told(path):
            source = cls(path)
    if not len(source):
        raise BridgeError(f"{path} holds no record")
    return source
