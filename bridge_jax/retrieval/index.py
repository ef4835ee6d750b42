"""Embeddings to search, with the id of each: in memory, or mapped from a folder.

    index = Index.open("index", model.fingerprint)
    ids, scores = index.search(queries, 10)
    index.add(embeddings, ["new"])
    index.remove(["old"])

A change on disk is there as a whole or not at all, whenever the process is killed (see
`folder.py`); who opened the index before goes on with what it was.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.retrieval import changes, reading
from bridge_jax.retrieval import folder as folder_lib
from bridge_jax.retrieval.segment import Segment

ABOUT = folder_lib.MANIFEST


class Index:
    """Embeddings of one model; made by `build` or `open`.

    Attributes:
      segments: the pieces that it consists of, in the order in which they were added.
      model: fingerprint of the model that made the embeddings; "" if nobody said.
      width: E, of an embedding.
      folder: where it lies; None of one in memory.
    """

    def __init__(
        self,
        segments: Sequence[Segment],
        width: int,
        model: str = "",
        folder: Path | None = None,
    ):
        self.segments = tuple(segments)
        self.width, self.model, self.folder = width, model, folder

    @classmethod
    def build(
        cls, embeddings: np.ndarray, ids: Sequence[str], model: str = ""
    ) -> "Index":
        """Check and take over `embeddings` [N, E] and their `ids`, in memory.

        Raises:
          BridgeError: nothing to index, not finite, or ids that do not match.
        """
        embeddings, ids = _checked(embeddings, ids)
        return cls((Segment(embeddings, ids),), embeddings.shape[1], model)

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
        manifest, segments = reading.read(folder, model)
        return cls(segments, manifest.width, manifest.model, folder)

    def __len__(self) -> int:
        """Embeddings that are not removed."""
        return sum(one.count for one in self.segments)

    @property
    def ids(self) -> tuple[str, ...]:
        """Of all embeddings, in the order in which they were added."""
        return tuple(changes.ids_of(self.segments))

    @property
    def embeddings(self) -> np.ndarray:
        """float32 [N, E] in the order of `ids`.

        A map of the disk where it is one segment of which nothing is removed, and a
        copy in memory otherwise.
        """
        if len(self.segments) == 1 and self.segments[0].alive is None:
            return self.segments[0].vectors
        none = np.zeros((0, self.width), np.float32)
        return np.concatenate([none, *changes.vectors(self.segments)])

    def search(
        self,
        queries: np.ndarray,
        k: int = 10,
        *,
        mesh: Any = None,
        approximate: bool = False,
    ) -> tuple[list[list[str]], np.ndarray]:
        """The k nearest of each query by dot product, best first.

        Args:
          queries: [Q, E].
          k: at least 1; no more than there are come back.
          mesh: a `jax.sharding.Mesh` whose devices share the vectors by their rows;
            None for one device.
          approximate: ask FAISS (extra "faiss"), which may miss some; otherwise the
            answer is exact.

        Returns:
          ids, and scores float32 [Q, min(k, N)]. Among equals the earlier id wins.

        Raises:
          BridgeError: queries of another width, or that are no finite numbers; FAISS is
            not installed.
        """
        from bridge_jax.retrieval import approximate as approximate_lib
        from bridge_jax.retrieval import exact

        queries = np.asarray(queries, np.float32)
        if queries.ndim != 2 or queries.shape[1] != self.width:
            raise BridgeError(
                f"queries are {list(queries.shape)}, the index is [{len(self)}, "
                f"{self.width}]: use queries [Q, {self.width}] of the model that made"
                " it"
            )
        if not np.isfinite(queries).all():
            raise BridgeError("some queries are not finite numbers")
        if k < 1:
            raise BridgeError(f"k {k} must be at least 1")
        k = min(k, len(self))
        if not len(queries) or not k:
            none = [[] for _ in queries]
            return none, np.zeros((len(queries), 0), np.float32)
        if approximate:
            places, scores = approximate_lib.search(self.segments, queries, k)
        else:
            places, scores = exact.search(self.segments, queries, k, mesh)
        return [self._named(row) for row in places], scores

    def recall(self, k: int = 10, queries: int = 100) -> float:
        """The share of the k nearest that approximate search finds, too.

        Args:
          queries: how many stored embeddings are searched for, chosen by chance.

        Raises:
          BridgeError: FAISS is not installed.
        """
        from bridge_jax.retrieval import approximate as approximate_lib

        draw = np.random.default_rng(0)
        rows = [
            one.take(draw.choice(one.rows(), min(queries, one.count), replace=False))
            for one in self.segments
            if one.count
        ]
        if not rows:
            return 1.0
        some = draw.permutation(np.concatenate(rows))[:queries]
        return approximate_lib.recall(self.segments, some, k)

    def save(self, folder: str | Path) -> None:
        """Write the index to a folder, instead of one that is there.

        Raises:
          BridgeError: `folder` holds something that is not an index.
        """
        some = changes.vectors(self.segments)
        changes.replace(Path(folder), some, self.ids, self.width, self.model)

    def add(self, embeddings: np.ndarray, ids: Sequence[str]) -> None:
        """Add embeddings [N, E] of new ids, on disk and here.

        Raises:
          BridgeError: ids that are there already, named; one in memory; as `build`.
        """
        embeddings, ids = _checked(embeddings, ids)
        if embeddings.shape[1] != self.width:
            raise BridgeError(
                f"embeddings are {list(embeddings.shape)}, the index is [{len(self)},"
                f" {self.width}]: use those of the model that made it"
            )
        folder = self._on_disk()
        changes.add(folder, [embeddings], ids, self.model)
        self._reopen(folder)

    def remove(self, ids: Iterable[str]) -> None:
        """Remove embeddings by their ids, on disk and here.

        Raises:
          BridgeError: ids that are not there, named; nothing is removed then.
        """
        folder = self._on_disk()
        changes.remove(folder, ids)
        self._reopen(folder)

    def compact(self) -> None:
        """Write the index anew without what was removed; `remove` does when it is much.

        Raises:
          BridgeError: one in memory.
        """
        folder = self._on_disk()
        changes.compact(folder)
        self._reopen(folder)

    def _on_disk(self) -> Path:
        if self.folder is None:
            raise BridgeError(
                "this index is in memory: save it, and open what is saved"
            )
        return self.folder

    def _reopen(self, folder: Path) -> None:
        _, self.segments = reading.read(folder, self.model)

    def _named(self, places: np.ndarray) -> list[str]:
        """The ids of vectors numbered through, removed ones too."""
        ends = np.cumsum([len(one) for one in self.segments])
        numbers = np.searchsorted(ends, places, side="right").tolist()
        starts = [0, *ends.tolist()]
        return [
            self.segments[number].ids[int(place) - starts[number]]
            for number, place in zip(numbers, places, strict=True)
        ]


def _checked(
    embeddings: np.ndarray, ids: Sequence[str]
) -> tuple[np.ndarray, tuple[str, ...]]:
    embeddings = np.asarray(embeddings, np.float32)
    if embeddings.ndim != 2 or not embeddings.size:
        raise BridgeError(
            f"an index needs embeddings [N, E], not {list(embeddings.shape)}"
        )
    if len(ids) != len(embeddings):
        raise BridgeError(f"{len(embeddings)} embeddings but {len(ids)} ids")
    if not np.isfinite(embeddings).all():
        raise BridgeError("some embeddings are not finite numbers: nothing indexed")
    ids = tuple(str(one) for one in ids)
    changes.check_ids(ids)
    return embeddings, ids
