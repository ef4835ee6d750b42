"""The folder of an index: what counts is what its index.json names.

FOLDER/index.json             the manifest: model, width, segments in their order
FOLDER/segment-000003/...     their arrays, see `segment.py`; never changed once named

A change writes new files beside the old ones and then replaces the manifest, which is
the moment at which it happens: before it, whatever was written is of no account, and
is swept away by the next change. An index that is not there yet is written beside its
place, as FOLDER.partial, and moved there whole.

Indexes of an older layout have one segment, whose files lie in FOLDER itself.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bridge_jax.core.errors import BridgeError

MANIFEST = "index.json"
_VERSION = 2
SEGMENT, REMOVED = "segment", "removed"  # kinds of files, see `Manifest.named`
APPROXIMATE = "approximate.faiss"  # beside a segment's arrays, see `approximate.py`
_OLD_FILES = ("embeddings.npy", "ids.json", APPROXIMATE)


@dataclasses.dataclass(frozen=True)
class Entry:
    """A segment, as the manifest tells of it.

    Attributes:
      name: its folder in that of the index; "" in the older layout.
      count: of vectors, removed ones too.
      ids_crc32: of the ids.
      removed: name of its file of rows that are removed; "" if none are.
      longest: at least the length of its longest vector.
      residual: at least the length of what rounding took from any of its vectors; -1
        where no rounded ones are kept.
    """

    name: str
    count: int
    ids_crc32: int
    removed: str = ""
    longest: float = 0.0
    residual: float = -1.0


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What an index consists of.

    Attributes:
      model: fingerprint of the model that made the vectors.
      width: E, of a vector.
      segments: those that count, in the order in which they were added.
      next: number of the next file to be named; none is used twice.
    """

    model: str
    width: int
    segments: tuple[Entry, ...] = ()
    next: int = 0

    def named(self, kind: str) -> tuple[str, "Manifest"]:
        """A name that was never used, and the manifest that knows that it is."""
        name = f"{kind}-{self.next:06d}"
        return name, dataclasses.replace(self, next=self.next + 1)

    def of(self, segments: Iterable[Entry]) -> "Manifest":
        """The same with other segments."""
        return dataclasses.replace(self, segments=tuple(segments))


def read(folder: Path) -> Manifest:
    """The manifest of an index of either layout.

    Raises:
      BridgeError: no index there, or a damaged one.
    """
    if not (folder / MANIFEST).is_file():
        raise BridgeError(
            f"{folder} is no index: it has no {MANIFEST}; make one with `bridge embed`"
        )
    try:
        about = json.loads((folder / MANIFEST).read_text())
        if about.get("version", 1) > _VERSION:
            raise BridgeError(
                f"{folder} is an index of version {about['version']}, and this"
                f" bridge_jax knows {_VERSION}: use a newer one"
            )
        return _manifest(about)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged(folder, type(error).__name__) from None


def unused(folder: Path) -> int:
    """A number that no file of an index has, be it damaged or not there at all."""
    kinds = (f"{SEGMENT}-*", f"{REMOVED}-*", f"{SEGMENT}-*/{REMOVED}-*")
    names = [path.stem for kind in kinds for path in folder.glob(kind)]
    return max((int(name.split("-")[1]) + 1 for name in names), default=0)


def damaged(folder: Path, why: str) -> BridgeError:
    """The error that says so."""
    return BridgeError(f"{folder} is a damaged index ({why}); make it again")


def check_free(folder: Path) -> None:
    """Raises BridgeError if `folder` holds something that is no index."""
    if folder.is_file():
        raise BridgeError(f"{folder} is a file: name a folder for the index")
    there = folder.is_dir() and any(folder.iterdir())
    if there and not (folder / MANIFEST).is_file():
        raise BridgeError(
            f"{folder} holds other files and is no index: name a new or empty folder"
        )


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[Path]:
    """Within, nobody else changes the index; gives the folder to write in.

    Raises:
      BridgeError: somebody does already; the folder cannot be written.
    """
    fresh = not (folder / MANIFEST).is_file()
    home = folder.with_name(folder.name + ".partial") if fresh else folder
    with locked(home, folder):
        if fresh:  # what a run that was killed left
            clear(home)
        yield home


@contextlib.contextmanager
def locked(home: Path, folder: Path) -> Iterator[None]:
    """Within, no other process is in `locked(home)`; makes the folder `home`.

    Args:
      folder: of the index, for messages.

    Raises:
      BridgeError: one is; the disk refuses something, here or within.
    """
    with _told(folder):
        home.mkdir(parents=True, exist_ok=True)
        handle = os.open(home, os.O_RDONLY)
        try:
            _lock(handle, folder)
            yield
        finally:
            os.close(handle)


def clear(home: Path) -> None:
    """Delete what is in a folder."""
    for path in home.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def commit(folder: Path, home: Path, manifest: Manifest) -> None:
    """From now on the index is what `manifest` says; all it names is written.

    Args:
      home: as of `writing`.
    """
    staged = home / f"{MANIFEST}.partial"
    with staged.open("w") as file:
        json.dump(_plain(manifest), file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(staged, home / MANIFEST)
    sync(home)
    if home != folder:
        os.replace(home, folder)  # an empty folder may be there
        sync(folder.parent)
    _sweep(folder, manifest)


def sync(folder: Path) -> None:
    """The names in `folder` outlive a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _lock(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BridgeError(
            f"{folder} is being changed by another process; wait until it is done"
        ) from None


@contextlib.contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BridgeError(
            f"cannot write {folder}: {error.strerror or error}; what it held is whole"
        ) from error


def _sweep(folder: Path, manifest: Manifest) -> None:
    """Delete what nothing names any more. What is left by a kill is swept next time."""
    named = {entry.name: entry for entry in manifest.segments}
    for path in folder.glob(f"{SEGMENT}-*"):
        if path.name not in named:
            shutil.rmtree(path)
    for entry in manifest.segments:
        for rows in (folder / entry.name).glob(f"{REMOVED}-*"):
            if rows.name != entry.removed:
                rows.unlink()
    if "" not in named:
        for name in (*_OLD_FILES, *folder.glob(f"{REMOVED}-*")):
            (folder / name).unlink(missing_ok=True)


def _plain(manifest: Manifest) -> dict[str, Any]:
    return {"version": _VERSION, **dataclasses.asdict(manifest)}


def _manifest(about: dict[str, Any]) -> Manifest:
    if "segments" not in about:
        only = Entry("", int(about["count"]), int(about["ids_crc32"]))
        return Manifest(about["model"], int(about["width"]), (only,))
    segments = tuple(_entry(one) for one in about["segments"])
    return Manifest(about["model"], int(about["width"]), segments, int(about["next"]))


def _entry(about: dict[str, Any]) -> Entry:
    entry = Entry(**about)
    # Names lead to files: none may lead out of the folder.
    for name in filter(None, (entry.name, entry.removed)):
        if Path(name).name != name or name.startswith("."):
            raise ValueError(name)
    return entry
