"""Pieces of a file by their place in it, as JSON objects and as texts.

A file of this machine is mapped into memory, and a few hundred are at once. One from
elsewhere is read whole, when a piece of it is first asked for, and kept; or else piece
by piece, where files are large and the pieces are, too (tars).
"""

import dataclasses
import json
import mmap
from typing import Any

from bridge_jax.core.errors import BridgeError
from bridge_jax.data.sources import places
from bridge_jax.data.sources.recent import Recent

_MAPPED = Recent(256)  # of the 1,024 files that a process may have open
_FETCHED = Recent(16)  # in memory


@dataclasses.dataclass(frozen=True)
class Bytes:
    """Bytes of a file: no handle, but a path, so that processes can share it.

    Attributes:
      path: where it is.
      size: in bytes.
      stamp: of the file that was opened; another one is refused.
    """

    path: str
    size: int
    stamp: str

    def whole(self) -> mmap.mmap | bytes:
        """All of them, to search in."""
        if places.is_elsewhere(self.path):
            return _FETCHED.get((self.path, self.stamp), self._fetched)
        return _MAPPED.get((self.path, self.stamp), self._mapped)

    def piece(self, start: int, end: int) -> bytes:
        return self.whole()[start:end]

    def piece_alone(self, start: int, end: int) -> bytes:
        """These bytes, and no others are fetched from elsewhere."""
        if not places.is_elsewhere(self.path):
            return self.piece(start, end)
        with places.told(self.path):
            files, inner = places.files_of(self.path)
            return files.cat_file(inner, start=start, end=end)

    def _mapped(self) -> mmap.mmap | bytes:
        with places.opened(self.path) as file:
            self._check()
            if not self.size:
                return b""  # cannot be mapped
            with places.told(self.path):
                return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def _fetched(self) -> bytes:
        self._check()
        with places.opened(self.path) as file, places.told(self.path):
            return file.read()

    def _check(self) -> None:
        if places.stamp(self.path)[1] != self.stamp:
            raise BridgeError(f"{self.path} has changed since it was opened")


def opened(path: str) -> Bytes:
    """The file's bytes, none of them read yet. Raises BridgeError if there is none."""
    return Bytes(path, *places.stamp(path))


def text(piece: bytes, where: str) -> str:
    """What these bytes say in UTF-8. Raises BridgeError for anything else."""
    try:
        return piece.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BridgeError(f"{where}: is no UTF-8 (byte {error.start})") from None


def value(piece: bytes, where: str) -> Any:
    """The JSON value that these bytes spell. Raises BridgeError for anything else."""
    try:
        return json.loads(text(piece, where))
    except (ValueError, RecursionError) as error:
        raise BridgeError(f"{where}: is no JSON ({error})") from None


def parsed(piece: bytes, where: str) -> dict[str, Any]:
    """The object that these bytes spell. Raises BridgeError for anything else."""
    found = value(piece, where)
    if not isinstance(found, dict):
        raise BridgeError(f"{where}: is no JSON object")
    return found


def document(path: str) -> dict[str, Any]:
    """The JSON object that a whole file is. Raises BridgeError if it is none."""
    return parsed(bytes(opened(path).whole()), path)
