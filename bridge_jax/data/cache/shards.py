"""Shards on disk: records in ArrayRecord, their names beside them.

The names are written last, and both files appear whole: what a kill leaves behind is
never a shard.
"""

import contextlib
import os
import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import xxhash
from array_record.python import array_record_module

from bridge_jax.core.errors import BridgeError
from bridge_jax.data.cache import records

NAME = 16  # bytes of a record's name
RECORDS, NAMES = ".array_record", ".names"
_SIZE = struct.Struct("<Q")
_PARTIAL = ".partial"
# Rows are read in any order; texts and floats of one row hardly compress.
_WRITTEN = "group_size:1,uncompressed"
_READ = "readahead_buffer_size:0,max_parallelism:0"


def find(folder: Path, kind: str) -> list[Path]:
    """The shards of a kind, by the path of their names, in order."""
    return sorted(folder.glob(f"{kind}-*{NAMES}"))


class Writer:
    """Adds shards to a folder.

    Several processes may fill one folder if each has a label of its own. What an
    interrupted writer of the same label left unfinished is removed.

    Raises:
      BridgeError: the file system refuses.
    """

    def __init__(self, folder: Path, label: str = ""):
        self.folder, self._label = folder, label
        with _writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for path in self._own():
                if not path.with_suffix(NAMES).exists() or path.suffix == _PARTIAL:
                    path.unlink()

    def add(self, kind: str, packed: Mapping[bytes, bytes]) -> Path:
        """Write one shard of packed records by name; the path of its names."""
        with _writing(self.folder):
            shard = self.folder / f"{kind}-{self._label}{self._next(kind):05d}"
            data, names = shard.with_suffix(RECORDS), shard.with_suffix(NAMES)
            _write_records(_staged(data), list(packed.values()))
            os.replace(_staged(data), data)
            with _staged(names).open("wb") as file:
                file.write(_names(list(packed), data.stat().st_size))
                file.flush()
                os.fsync(file.fileno())
            os.replace(_staged(names), names)
        return names

    def _next(self, kind: str) -> int:
        return 1 + max(self._own(kind).values(), default=-1)

    def _own(self, kind: str = "[a-z]+") -> dict[Path, int]:
        """Files of this label -> the number of their shard."""
        mine = re.compile(rf"{kind}-{re.escape(self._label)}(\d{{5,}})\..*")
        found = ((path, mine.fullmatch(path.name)) for path in self.folder.iterdir())
        return {path: int(match[1]) for path, match in found if match}


class Shard:
    """A shard to read, opened when first asked.

    Raises:
      BridgeError: a file is missing, cut short or damaged.
    """

    def __init__(self, path: Path):
        self.path = path.with_suffix(RECORDS)
        try:
            self.names, size = _read_names(path.read_bytes())
        except (OSError, ValueError) as error:
            raise BridgeError(f"{path} is damaged ({error}){_WAY_OUT}") from None
        there = self.path.stat().st_size if self.path.exists() else 0
        if there != size:
            raise BridgeError(
                f"{self.path} has {there} bytes instead of {size}{_WAY_OUT}"
            )
        self.bytes = size
        self._reader: array_record_module.ArrayRecordReader | None = None

    def arrays(self, name: bytes, position: int) -> dict[str, np.ndarray]:
        """One record; not by two threads at once.

        Raises:
          BridgeError: it is not what was written.
        """
        try:
            if self._reader is None:
                reader = array_record_module.ArrayRecordReader(str(self.path), _READ)
                self._reader = reader
            return records.unpack(name, self._reader.read([position])[0])
        except (RuntimeError, IndexError, ValueError) as error:
            why = str(error).splitlines()[0] if str(error) else "nothing is there"
            raise BridgeError(
                f"{self.path}: record {position} is damaged ({why}){_WAY_OUT}"
            ) from None

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None


_WAY_OUT = (
    "; remove this shard's two files and run the `bridge cache build` that made it"
    " again: it makes what is missing"
)


def _names(names: list[bytes], size: int) -> bytes:
    """What stands beside a file of `size` bytes with records of these names.

    The size, the names one after another, and XXH3-128 of both.
    """
    told = _SIZE.pack(size) + b"".join(names)
    return told + xxhash.xxh3_128(told).digest()


def _read_names(found: bytes) -> tuple[np.ndarray, int]:
    """Names uint8 [n, 16] and size. Raises ValueError for what `_names` never wrote."""
    told, checksum = found[:-NAME], found[-NAME:]
    if len(found) < _SIZE.size + NAME or xxhash.xxh3_128(told).digest() != checksum:
        raise ValueError("its checksum does not match")
    names = np.frombuffer(told, np.uint8, offset=_SIZE.size).reshape(-1, NAME)
    return names, _SIZE.unpack_from(told)[0]


def _write_records(path: Path, packed: list[bytes]) -> None:
    writer = array_record_module.ArrayRecordWriter(str(path), _WRITTEN)
    try:
        for record in packed:
            writer.write(record)
    finally:
        writer.close()
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _staged(path: Path) -> Path:
    return path.with_name(path.name + _PARTIAL)


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Within, what the disk refuses becomes a BridgeError."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # the latter are ArrayRecord's
        why = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise BridgeError(f"cannot write {path}: {why}") from None
