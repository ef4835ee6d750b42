"""A folder of embeddings to search: exact, memory-mapped, saved whole or not at all.

FOLDER/embeddings.npy float32 [N, E]; FOLDER/ids.json, N texts; FOLDER/index.json, which
model made them and their checksum.
"""

import dataclasses
import json
import os
import shutil
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bridge_jax.core.errors import BridgeError

EMBEDDINGS, IDS, ABOUT = "embeddings.npy", "ids.json", "index.json"
_BLOCK = 1 << 16  # embeddings compared at once


@dataclasses.dataclass(frozen=True)
class Index:
    """Embeddings [N, E] with the id of each, and the fingerprint of their model."""

    embeddings: np.ndarray
    ids: tuple[str, ...]
    model: str = ""

    @classmethod
    def build(
        cls, embeddings: np.ndarray, ids: Sequence[str], model: str = ""
    ) -> "Index":
        """Check and take over `embeddings` [N, E] and their `ids`.

        Raises:
          BridgeError: nothing to index, not finite, or ids that do not match.
        """
        embeddings = np.asarray(embeddings, np.float32)
        if embeddings.ndim != 2 or not embeddings.size:
            raise BridgeError(
                f"an index needs embeddings [N, E], not {list(embeddings.shape)}"
            )
        if len(ids) != len(embeddings):
            raise BridgeError(f"{len(embeddings)} embeddings but {len(ids)} ids")
        if not np.isfinite(embeddings).all():
            raise BridgeError("some embeddings are not finite numbers: nothing indexed")
        return cls(embeddings, tuple(str(one) for one in ids), model)

    def save(self, folder: str | Path) -> None:
        """Write the index, in place of one that is there.

        Raises:
          BridgeError: `folder` holds something that is not an index.
        """
        folder = Path(folder)
        _check_free(folder)
        staged = folder.with_name(folder.name + ".partial")
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(parents=True)
        np.save(staged / EMBEDDINGS, self.embeddings)
        (staged / IDS).write_text(json.dumps(self.ids, ensure_ascii=False))
        about = {
            "model": self.model,
            "count": len(self.ids),
            "width": self.embeddings.shape[1],
            "ids_crc32": _checksum(self.ids),
        }
        (staged / ABOUT).write_text(json.dumps(about, indent=2) + "\n")
        _swap(staged, folder)

    @classmethod
    def open(cls, folder: str | Path, model: str | None = None) -> "Index":
        """Open a saved index; the embeddings stay on disk until they are compared.

        Args:
          folder: as given to `save`.
          model: fingerprint of the model that will make the queries, to be checked.

        Raises:
          BridgeError: no index there, a damaged one, or one of another model.
        """
        folder = Path(folder)
        if not (folder / ABOUT).is_file():
            raise BridgeError(
                f"{folder} is no index: it has no {ABOUT}; make one with `bridge embed`"
            )
        try:
            about = json.loads((folder / ABOUT).read_text())
            ids = tuple(json.loads((folder / IDS).read_text()))
            embeddings = np.load(folder / EMBEDDINGS, mmap_mode="r", allow_pickle=False)
            shape = (about["count"], about["width"])
            whole = embeddings.shape == shape and len(ids) == shape[0]
            whole = whole and about["ids_crc32"] == _checksum(ids)
            found = about["model"]
        except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
            raise BridgeError(
                f"{folder} is a damaged index ({type(error).__name__}); make it again"
            ) from None
        if not whole:
            raise BridgeError(
                f"{folder} is a damaged index (its files disagree); make it again"
            )
        if model is not None and found != model:
            raise BridgeError(
                f"{folder} was made with another model ({found or 'unknown'}, this is "
                f"{model}): load that model, or embed again with this one"
            )
        return cls(embeddings, ids, found)

    def search(
        self, queries: np.ndarray, k: int = 10
    ) -> tuple[list[list[str]], np.ndarray]:
        """The k nearest of each query by dot product, best first.

        Args:
          queries: [Q, E].
          k: at least 1; no more than there are come back.

        Returns:
          ids, and scores float32 [Q, min(k, N)]. Among equals the earlier id wins.

        Raises:
          BridgeError: queries of another width.
        """
        queries = np.asarray(queries, np.float32)
        width = self.embeddings.shape[1]
        if queries.ndim != 2 or queries.shape[1] != width:
            raise BridgeError(
                f"queries are {list(queries.shape)}, the index is [{len(self.ids)}, "
                f"{width}]: use queries [Q, {width}] of the model that made it"
            )
        if k < 1:
            raise BridgeError(f"k {k} must be at least 1")
        places, scores = _nearest(self.embeddings, queries, min(k, len(self.ids)))
        return [[self.ids[i] for i in row] for row in places], scores


def _nearest(
    embeddings: np.ndarray, queries: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Indices int64 and scores float32, both [Q, k], block by block."""
    places = np.zeros((len(queries), 0), np.int64)
    scores = np.zeros((len(queries), 0), np.float32)
    for start in range(0, len(embeddings), _BLOCK):
        block = queries @ np.asarray(embeddings[start : start + _BLOCK]).T
        numbers = np.arange(start, start + block.shape[1])[None]
        scores = np.concatenate([scores, block], axis=1)
        places = np.concatenate([places, np.repeat(numbers, len(queries), 0)], axis=1)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        scores = np.take_along_axis(scores, best, axis=1)
        places = np.take_along_axis(places, best, axis=1)
    return places, scores


def _checksum(ids: Sequence[str]) -> int:
    return zlib.crc32(json.dumps(list(ids)).encode())


def _check_free(folder: Path) -> None:
    if folder.is_file():
        raise BridgeError(f"{folder} is a file: name a folder for the index")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / ABOUT).is_file():
        raise BridgeError(
            f"{folder} holds other files and is no index: name a new or empty folder"
        )


def _swap(staged: Path, folder: Path) -> None:
    """`staged` becomes `folder`; an older one goes only when the new one is there."""
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(staged, folder)
    shutil.rmtree(old, ignore_errors=True)
