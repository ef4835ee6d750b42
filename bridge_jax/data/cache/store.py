"""Records of a cache by their names, from any thread."""

import functools
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.data.cache import origin, shards


class Kind:
    """All records of one kind in a folder, as there were when it was opened.

    Raises:
      BridgeError: a shard is missing, cut short or damaged.
    """

    def __init__(self, folder: Path, kind: str):
        self.shards = [shards.Shard(path) for path in shards.find(folder, kind)]
        self._lock = threading.Lock()
        names = [shard.names for shard in self.shards]
        none = np.zeros((0, shards.NAME), np.uint8)
        self._names = np.concatenate([none, *names])
        # Two integers a name: the first is searched, the second tells equals apart.
        halves = self._names.view(">u8").astype(np.uint64)
        self._order = np.lexsort((halves[:, 1], halves[:, 0]))
        self._halves = halves[self._order]
        self._starts = np.cumsum([0, *map(len, names)])

    def __len__(self) -> int:
        """Records, those that two writers made twice counted twice."""
        return len(self._names)

    def __iter__(self) -> Iterator[bytes]:
        return (name.tobytes() for name in self._names)

    def __contains__(self, name: bytes) -> bool:
        return self._place(name) is not None

    def get(self, name: bytes) -> dict[str, np.ndarray] | None:
        """The arrays of a record, or None if it is not there.

        Raises:
          BridgeError: the record is damaged.
        """
        place = self._place(name)
        if place is None:
            return None
        number = int(np.searchsorted(self._starts, place, side="right")) - 1
        shard, position = self.shards[number], place - int(self._starts[number])
        with self._lock:
            return shard.arrays(name, position)

    def close(self) -> None:
        """Let go of the files."""
        for shard in self.shards:
            shard.close()

    def _place(self, name: bytes) -> int | None:
        """Where among all records that of this name stands."""
        first, second = np.frombuffer(name, ">u8").astype(np.uint64)
        low, high = (
            np.searchsorted(self._halves[:, 0], first, side)
            for side in ("left", "right")
        )
        low += np.searchsorted(self._halves[low:high, 1], second)
        found = low < high and self._halves[low, 1] == second
        return int(self._order[low]) if found else None


class Store:
    """A cache to read: `kinds[kind]` and what made it.

    Raises:
      BridgeError: the folder is no cache.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.origin = origin.read(self.folder)
        self._lock = threading.Lock()
        self._kinds: dict[str, Kind] = {}

    def kind(self, name: str) -> Kind:
        """All records of one kind. Raises BridgeError as `Kind` does."""
        with self._lock:
            if name not in self._kinds:
                self._kinds[name] = Kind(self.folder, name)
            return self._kinds[name]

    def need(self, names: tuple[str, ...]) -> None:
        """Raises BridgeError unless the cache holds every kind."""
        lacking = [name for name in names if not len(self.kind(name))]
        if lacking:
            raise BridgeError(
                f"{self.folder} holds no {', '.join(lacking)}; `bridge cache build "
                f"--what {','.join(names)} --out {self.folder}` adds them"
            )


def faults(shard: shards.Shard) -> list[str]:
    """A sentence on every damaged record of a shard."""
    found = []
    for position, name in enumerate(shard.names):
        try:
            shard.arrays(name.tobytes(), position)
        except BridgeError as error:
            found.append(str(error))
    return found


@functools.lru_cache(8)
def opened(folder: str) -> Store:
    """The cache in a folder, opened once a process; see `forget`."""
    return Store(folder)


def forget() -> None:
    """Open caches anew next time: one has grown."""
    opened.cache_clear()
