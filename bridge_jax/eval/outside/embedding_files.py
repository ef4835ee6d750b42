"""Embeddings of shards on disk: one npz a shard, kept whole while it grows.

Shard I of N writes `embeddings_I_of_N.npz`: positions [n] and keys [n] of its items,
images [n, E], captions [m, E] and owners [m], the position that each caption belongs
to. It is replaced after every block of items, so that an interrupted shard goes on.
"""

import dataclasses
import os
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from bridge_jax.core import log
from bridge_jax.core.errors import BridgeError
from bridge_jax.eval.outside import answer_files
from bridge_jax.eval.outside.shards import Shard

STEM = "embeddings"
BLOCK = 512  # items between two saves
T = TypeVar("T", bound=answer_files.Item)


@dataclasses.dataclass(frozen=True)
class Embeddings:
    """See the module's text."""

    positions: np.ndarray
    keys: np.ndarray
    images: np.ndarray
    captions: np.ndarray
    owners: np.ndarray

    def joined(self, other: "Embeddings") -> "Embeddings":
        """Both, one after the other."""
        names = [field.name for field in dataclasses.fields(self)]
        pairs = {name: (getattr(self, name), getattr(other, name)) for name in names}
        return Embeddings(**{n: np.concatenate(p) for n, p in pairs.items()})


def write(
    folder: Path,
    shard: Shard,
    items: Sequence[T],
    make: Callable[[list[T]], tuple[np.ndarray, np.ndarray, Sequence[int]]],
) -> None:
    """Add the embeddings of this shard's items that its file lacks.

    Args:
      items: of all shards.
      make: items -> float32 images [n, E], captions [m, E], and how many captions
        each of the items has.

    Raises:
      BridgeError: the file holds embeddings of other items.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / answer_files.name(shard, STEM, "npz")
    made = _read(path, items) if path.is_file() else None
    done = set() if made is None else set(made.positions.tolist())
    left = [(place, item) for place, item in shard.of(items) if place not in done]
    starts = range(0, len(left), BLOCK)
    for start in log.progress(starts, "blocks of pictures"):
        places, some = zip(*left[start : start + BLOCK], strict=True)
        images, captions, counts = make(list(some))
        block = Embeddings(
            np.asarray(places, np.int64),
            np.asarray([item.key for item in some]),
            images,
            captions,
            np.repeat(np.asarray(places, np.int64), counts),
        )
        made = block if made is None else made.joined(block)
        _save(path, made)


def read(folder: Path, items: Sequence[answer_files.Item]) -> Embeddings:
    """All items' embeddings in order, out of the files of all shards.

    Raises:
      BridgeError: items that no shard embedded, or that several did; embeddings of
        other items; damaged files.
    """
    files = sorted(Path(folder).glob(f"{STEM}_*_of_*.npz"))
    found = {path: _read(path, items) for path in files}
    places = {path: made.positions.tolist() for path, made in found.items()}
    answer_files.cover(Path(folder), places, len(items))
    widths = {made.images.shape[1] for made in found.values()}
    if len(widths) > 1:
        raise BridgeError(
            f"{folder}: shards of different models, {widths} numbers wide"
        )
    first, *rest = found.values()
    for other in rest:
        first = first.joined(other)
    by_image = np.argsort(first.positions)
    by_owner = np.argsort(first.owners, kind="stable")
    return Embeddings(
        first.positions[by_image],
        first.keys[by_image],
        first.images[by_image],
        first.captions[by_owner],
        first.owners[by_owner],
    )


def _save(path: Path, made: Embeddings) -> None:
    staged = path.with_name(path.name + ".partial")
    with staged.open("wb") as file:
        np.savez(file, **dataclasses.asdict(made))
    os.replace(staged, path)


def _read(path: Path, items: Sequence[answer_files.Item]) -> Embeddings:
    try:
        # Opened here: numpy leaves a damaged file open.
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            names = [field.name for field in dataclasses.fields(Embeddings)]
            made = Embeddings(**{name: file[name] for name in names})
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise BridgeError(
            f"{path} is damaged ({type(error).__name__}); remove it and embed again"
        ) from None
    for place, key in zip(made.positions.tolist(), made.keys.tolist(), strict=True):
        if not (0 <= place < len(items) and items[place].key == key):
            raise BridgeError(
                f"{path} holds another item {place} than the data has now: score with"
                " the data that was embedded, or give a new directory"
            )
    return made
