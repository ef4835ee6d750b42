"""Records of files by their number, one file a format; only what is asked is read.

A `Source(path)` has a length, and `source[i]` is ("file:where", record), where a record
that is none raises BridgeError. Reading is safe from several threads.
"""

from pathlib import Path
from typing import Any, Protocol

from bridge_jax.core import rooms
from bridge_jax.core.errors import BridgeError

# Suffix of a file -> the file here that reads it.
READERS = {".jsonl": "json_lines", ".json": "json_array"}


class Records(Protocol):
    """What a `Source` is."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[str, dict[str, Any]]: ...


def open_source(path: str | Path) -> Records:
    """The records of a file, read by its suffix.

    Raises:
      BridgeError: there is no such file, of no known kind, damaged or empty.
    """
    path = Path(path)
    if path.suffix not in READERS:
        raise BridgeError(f"{path}: records are read from {', '.join(READERS)}")
    if not path.is_file():
        raise BridgeError(f"{path}: no such file")
    cls = rooms.load(__name__, READERS[path.suffix], "Source", str(path))
    try:
        source = cls(path)
    except OSError as error:
        raise BridgeError(f"cannot read {path}: {error.strerror}") from None
    if not len(source):
        raise BridgeError(f"{path} holds no record")
    return source
