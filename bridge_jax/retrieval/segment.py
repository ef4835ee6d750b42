"""Vectors that were added together, with their ids: arrays that are mapped from disk.

embeddings.npy                    float32 [N, E]
rounded.npy                       the same as bfloat16, kept as uint16; see `rounded.py`
id_letters.npy, id_ends.npy       uint8 and int64 [N], see `data/sources/packed.py`
removed-000007.npy                int64, rows that are removed
approximate.faiss                 made when it is asked for, see `approximate.py`

Arrays are written in order and block by block, so that any number of vectors needs
the memory of one block.
"""

import dataclasses
import json
import os
import shutil
import weakref
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Self

import ml_dtypes
import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.data.sources import packed
from bridge_jax.retrieval import folder as folder_lib
from bridge_jax.retrieval import rounded as rounded_lib

EMBEDDINGS, ROUNDED, OLD_IDS = "embeddings.npy", "rounded.npy", "ids.json"
LETTERS, ENDS = "id_letters.npy", "id_ends.npy"
_BLOCK = 1 << 24  # values that are written at once
DISAGREE = "its files disagree"

Ids = packed.Texts | tuple[str, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Segment:
    """Attributes:
    vectors: float32 [N, E].
    ids: of each.
    rounded: bfloat16 [N, E], or None.
    alive: bool [N], or None where none is removed.
    file: where `vectors` are mapped from, or None.
    entry: what the manifest says of it.
    """

    vectors: np.ndarray
    ids: Ids
    rounded: np.ndarray | None = None
    alive: np.ndarray | None = None
    file: "File | None" = None
    entry: folder_lib.Entry = folder_lib.Entry("", 0, 0)

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def count(self) -> int:
        """Vectors that are not removed."""
        return len(self) if self.alive is None else int(self.alive.sum())

    def rows(self) -> np.ndarray:
        """int64, of the vectors that are not removed."""
        if self.alive is None:
            return np.arange(len(self))
        return np.flatnonzero(self.alive)

    def take(self, rows: np.ndarray) -> np.ndarray:
        """The vectors of some rows, float32 [n, E]."""
        if self.file is None:
            return self.vectors[rows]
        return self.file.take(rows, self.vectors.shape[1])

    def without(self, rows: Sequence[int]) -> "Segment":
        """The same, and these rows are removed, too."""
        if not len(rows):
            return self
        alive = np.ones(len(self), bool) if self.alive is None else self.alive.copy()
        alive[rows] = False
        return dataclasses.replace(self, alive=alive)

    def blocks(self) -> Iterator[np.ndarray]:
        """The vectors that are not removed, float32 [n, E] at a time."""
        for some in in_blocks(self.vectors):
            start = some.start
            block = self.vectors[some]
            if self.alive is not None:
                block = block[self.alive[start : start + len(block)]]
            if len(block):
                yield block


class File:
    """A .npy file of float32 rows, of which some are read.

    Through the map, each would bring its neighbours with it: where the kernel maps two
    megabytes at a time, a thousand rows would be two gigabytes of memory.
    """

    def __init__(self, path: Path):
        self.path, self._handle = path, os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._handle)
        with os.fdopen(os.dup(self._handle), "rb") as file:
            np.lib.format.read_magic(file)
            np.lib.format.read_array_header_1_0(file)
            self._start = file.tell()

    def take(self, rows: np.ndarray, width: int) -> np.ndarray:
        """Rows float32 [n, width] by their numbers."""
        taken = np.empty((len(rows), width), np.float32)
        for into, row in zip(taken, rows.tolist(), strict=True):
            os.preadv(self._handle, [into], self._start + row * into.nbytes)
        return taken


def in_blocks(vectors: np.ndarray) -> Iterator[slice]:
    """Rows [N, E] in pieces that fit into memory."""
    step = max(1, _BLOCK // vectors.shape[1])
    for start in range(0, len(vectors), step):
        yield slice(start, min(start + step, len(vectors)))


def write(
    home: Path,
    name: str,
    width: int,
    blocks: Iterable[np.ndarray],
    ids: Iterable[str],
) -> folder_lib.Entry:
    """Write a segment's folder; it counts once a manifest names it.

    Args:
      home: folder of the index.
      blocks: float32 [n, width] each; all of them, one after another.
      ids: as many as there are vectors.

    Raises:
      BridgeError: vectors that are no finite numbers; ids that are not as many.
    """
    folder = home / name
    shutil.rmtree(folder, ignore_errors=True)  # what a run that was killed left
    folder.mkdir()
    kept = packed.texts(ids)
    norms = rounded_lib.Norms()
    with (
        _Rows(folder / EMBEDDINGS, np.float32, width) as full,
        _Rows(folder / ROUNDED, np.uint16, width) as short,
    ):
        for block in blocks:
            if not np.isfinite(block).all():
                raise BridgeError(
                    "some embeddings are not finite numbers: nothing indexed"
                )
            near = block.astype(ml_dtypes.bfloat16)
            norms.add(block, near)
            full.add(np.ascontiguousarray(block, np.float32))
            short.add(near.view(np.uint16))
    if full.count != len(kept):
        raise BridgeError(f"{full.count} embeddings but {len(kept)} ids")
    for file, array in ((LETTERS, kept.letters), (ENDS, kept.ends)):
        _write_array(folder / file, array)
    folder_lib.sync(folder)
    return folder_lib.Entry(
        name,
        full.count,
        _checksum(kept),
        longest=norms.longest,
        residual=norms.residual,
    )


def read(home: Path, entry: folder_lib.Entry, width: int) -> Segment:
    """Map a segment's arrays.

    Raises:
      OSError, ValueError, EOFError: files that are missing, damaged or disagree.
    """
    folder = home / entry.name
    vectors = np.load(folder / EMBEDDINGS, mmap_mode="r", allow_pickle=False)
    if vectors.shape != (entry.count, width) or vectors.dtype != np.float32:
        raise ValueError(DISAGREE)
    rounded, alive = None, None
    if entry.residual >= 0:
        rounded = np.load(folder / ROUNDED, mmap_mode="r", allow_pickle=False)
        if rounded.shape != vectors.shape or rounded.dtype != np.uint16:
            raise ValueError(DISAGREE)
        rounded = rounded.view(ml_dtypes.bfloat16)
    if entry.removed:
        alive = np.ones(entry.count, bool)
        alive[np.load(folder / entry.removed, allow_pickle=False)] = False
    file = File(folder / EMBEDDINGS)
    return Segment(vectors, _ids(folder, entry), rounded, alive, file, entry)


def write_removed(home: Path, segment: Segment, name: str) -> folder_lib.Entry:
    """Write which rows of a segment are removed; it counts once a manifest says so."""
    folder, name = home / segment.entry.name, f"{name}.npy"
    _write_array(folder / name, np.flatnonzero(~segment.alive))
    folder_lib.sync(folder)
    return dataclasses.replace(segment.entry, removed=name)


def _write_array(path: Path, array: np.ndarray) -> None:
    with path.open("wb") as file:
        np.save(file, array, allow_pickle=False)
        _sync(file)


def _ids(folder: Path, entry: folder_lib.Entry) -> Ids:
    if (folder / LETTERS).is_file():
        arrays = (
            np.load(folder / name, mmap_mode="r", allow_pickle=False)
            for name in (LETTERS, ENDS)
        )
        ids = packed.Texts(*arrays)
        whole = len(ids) == entry.count and _checksum(ids) == entry.ids_crc32
    else:
        ids = tuple(json.loads((folder / OLD_IDS).read_text()))
        found = zlib.crc32(json.dumps(list(ids)).encode())
        whole = len(ids) == entry.count and found == entry.ids_crc32
    if not whole:
        raise ValueError(DISAGREE)
    return ids


def _checksum(ids: packed.Texts) -> int:
    return zlib.crc32(ids.ends.tobytes(), zlib.crc32(ids.letters.tobytes()))


class _Rows:
    """A .npy file [N, width] that is written row by row; N is filled in at the end."""

    def __init__(self, path: Path, dtype: type, width: int):
        self._path, self._dtype, self._width = path, np.dtype(dtype), width
        self.count = 0

    def __enter__(self) -> Self:
        self._file = self._path.open("wb")
        self._head()
        return self

    def __exit__(self, *raised: object) -> None:
        with self._file:
            if raised[0] is None:
                self._file.seek(0)
                self._head()  # as long as before: numpy leaves room to grow
                _sync(self._file)

    def add(self, rows: np.ndarray) -> None:
        self._file.write(rows.data)
        self.count += len(rows)

    def _head(self) -> None:
        np.lib.format.write_array_header_1_0(
            self._file,
            {
                "descr": np.lib.format.dtype_to_descr(self._dtype),
                "fortran_order": False,
                "shape": (self.count, self._width),
            },
        )


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
